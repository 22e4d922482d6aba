"""What Ray reads from the environment, set before it is imported; imports no ray."""

from __future__ import annotations

import os

# Read by ray when it is imported: no telemetry, no files and no banners of its own, Ctrl-C is ours.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # a dump of the stack at SIGTERM
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # of a cluster that does not answer: each try takes 40 s
    "RAY_prestart_worker_first_driver": "0",  # those are never used: Tune asks for an environment of its own
    "RAY_worker_register_timeout_seconds": "600",  # importing torch on a busy machine took more than Ray's 60
    "RAY_agent_register_timeout_ms": "600000",  # the same of Ray's own agents
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # tracebacks of what becomes a record, in which the reason is
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)
