"""Sets the environment variables that Ray reads when it is imported.  Imports no ray."""

from __future__ import annotations

import os

# They switch off telemetry, log files and banners of Ray, and leave Ctrl-C to us.  A value that is set already stays.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # no dump of the stack at SIGTERM
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # tries to reach a cluster that does not answer; each takes 40 s
    "RAY_prestart_worker_first_driver": "0",  # they would never be used: Tune's workers have another environment
    "RAY_worker_register_timeout_seconds": "600",  # Ray's 60 were too few to import torch on a busy machine
    "RAY_agent_register_timeout_ms": "600000",  # likewise for Ray's agents, in milliseconds
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the record of a failed trial holds its error already
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)
