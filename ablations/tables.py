"""Tables of outcomes: which rows count, seeds against variants, and numbers of an early epoch.

Only finished trials with a finite metric count.  A training that failed, whatever that looked like, has no last-epoch
value that means anything: `ablations.failures` marks its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

import numpy as np
import pandas as pd

from ablations.names import InputError
from ablations.types import DONE, Result


def usable(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of finished trials whose metric is a number; none where the table lacks it."""
    if metric not in table:
        return table.iloc[:0]
    return table[(table["status"] == DONE) & np.isfinite(table[metric].astype(float))]


def by_seed(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Finished, finite outcomes: one row a seed, one column a variant's label, nan where there is none."""
    if metric not in table or table.empty:
        return pd.DataFrame()
    rows = usable(table, metric)
    twice = rows[rows.duplicated(["variant", "seed"])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(f"Two records for variant {row['variant']!r} and seed {row['seed']}: remove the older one.")
    return rows.pivot(index="seed", columns="variant", values=metric)


def with_epochs(table: pd.DataFrame, results: Iterable[Result], metrics: Iterable[str]) -> pd.DataFrame:
    """`table` with a column for each of `metrics` such as `train_loss@1`: the metric after that epoch."""
    early = {name: name.rpartition("@") for name in metrics if "@" in name}
    if not early or table.empty:
        return table
    curves = {result.trial.key: {row.get("epoch"): row for row in result.curve} for result in results}
    columns = {
        name: [curves[key].get(float(epoch), {}).get(metric, nan) for key in table["key"]]
        for name, (metric, _, epoch) in early.items()
    }
    return table.assign(**columns)
