"""Reads what a trial has logged to an MLflow store of its own."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path


def address(store: Path) -> str:
    """Returns the address of a store in one file, for MLFLOW_TRACKING_URI."""
    return f"sqlite:///{store}"


def points(store: Path) -> Iterator[list[tuple[int, str, float]]]:
    """Yields, for each run from the first that began, all that it logged as (step, metric, value)."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address(store))
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time ASC"]) if experiments else []
    for run in runs:
        names = sorted(run.data.metrics)
        history = [one for name in names for one in client.get_metric_history(run.info.run_id, name)]
        yield [(one.step, one.key, _as_logged(one.value)) for one in history]


def _as_logged(value: float) -> float:
    """Returns an infinity for the largest float, as which MLflow stores it; other values as they are."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value
