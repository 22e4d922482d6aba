"""Tables of outcomes: which rows count, seeds against variants, and numbers of an early epoch.

Only finished trials with a finite metric count.  A training that failed, whatever that looked like, has no last-epoch
value that means anything: `ablations.analysis.failures` marks its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablations.core.errors import InputError, printable
from ablations.core.result import DIVERGED, DONE, Result
from ablations.core.setting import SPLIT, TEST_SIZE, TRAIN_SIZE, Metric, Setting
from ablations.core.study import Study
from ablations.records.files import write_text

if TYPE_CHECKING:
    import pandas as pd


IDENTITY = ("key", "variant", "seed", "status")  # columns of a table that say which trial a row is of
DATA = "data"  # and on which of several data sets
FAILED = "failed"  # the status, in a table of outcomes, of every training that failed
FAILURES = (DIVERGED, FAILED)
UNFINISHED = "unfinished"  # of a seed that has not run on every data set
_LABEL = re.compile(r"-\w[\w.=+ -]*")  # of a variant, which no spreadsheet can take for more than names and signs


def as_csv(table: pd.DataFrame) -> str:
    """`table` as CSV in full precision, without its index, safe to open in a spreadsheet.

    Text that one would run as a formula, as it begins with = + @ or - and is no variant's label, gets an apostrophe
    before it.
    """
    named = table.rename(columns={name: _cell(name) for name in table})
    return named.map(_cell).to_csv(index=False)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") and not _LABEL.fullmatch(text) else text


def usable(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of finished trials whose metric is a number; none where the table lacks it."""
    if metric not in table:
        return table.iloc[:0]
    return table[(table["status"] == DONE) & np.isfinite(table[metric].astype(float))]


def overlap(setting: Setting, table: pd.DataFrame) -> float:
    """n_test / n_train of the splits that seeds stand for, by which errors are corrected: 0 where they stand for none.

    nan where finished trials do not all report the same sizes.
    """
    if setting.replicate != SPLIT:
        return 0.0
    found = sizes(table)
    return found[0][1] / found[0][0] if len(found) == 1 and min(found[0]) > 0 else nan


def sizes(table: pd.DataFrame) -> list[tuple[float, float]]:
    """The different (train_size, test_size) that finished trials report; nan for one that is missing."""
    if table.empty:
        return []
    rows = table[table["status"] == DONE].reindex(columns=[TRAIN_SIZE, TEST_SIZE]).drop_duplicates()
    return [(float(train), float(test)) for train, test in rows.itertuples(index=False)]


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


def compared(table: pd.DataFrame, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """`table` with every metric as it is compared: of those that are told as ratios, the natural logarithms."""
    logged = {
        str(name): [metric.compared(float(value)) for value in table[name]]
        for name in table
        if (metric := metrics.get(str(name).partition("@")[0])) and metric.ratio
    }
    return table.assign(**logged) if logged else table


def over_blocks(each: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a variant and seed: means over the data sets of `each`, name -> its table of outcomes.

    So a seed's paired difference is the mean of those that it has on each data set, which all that compares seeds can
    go on with.  A row is of a training that failed where one of its trials did, and is not done before all are.  The
    sizes of splits are those of the data set whose splits overlap most.
    """
    rows = pd.concat([one.assign(**{DATA: name}) for name, one in each.items()], ignore_index=True)
    if rows.empty:
        return rows
    twice = rows[rows.duplicated(["variant", "seed", DATA])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(
            f"Two records for variant {row['variant']!r} and seed {row['seed']} on {row[DATA]}: remove the older one."
        )
    groups = rows.groupby(["variant", "seed"], sort=False)
    numbers = [name for name in rows.select_dtypes("number") if name != "seed"]
    means = groups[numbers].mean().where(groups[numbers].count() == len(each))
    merged = groups.first().drop(columns=[*numbers, DATA]).join(means)
    merged["status"] = groups["status"].agg(lambda some: _status(list(some), len(each)))
    widest = _widest([sizes(one) for one in each.values()])
    return merged.assign(**dict(zip((TRAIN_SIZE, TEST_SIZE), widest, strict=True)) if widest else {}).reset_index()


def _status(found: list[str], planned: int) -> str:
    """Of a seed on all data sets, from those of its trials: the worst of them, as only whole seeds are compared."""
    others = [one for one in found if one != DONE]
    failed = [one for one in others if one in FAILURES]
    return next(iter([*failed, *others]), DONE if len(found) == planned else UNFINISHED)


def _widest(found: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, float] | None:
    """Of the sizes of each data set's splits those that overlap most; nan where one has several, None for none."""
    if not any(found):
        return None
    if any(len(some) > 1 for some in found):
        return nan, nan
    return max((one for some in found for one in some), key=lambda pair: pair[1] / pair[0] if pair[0] > 0 else inf)


def table(study: Study, results: Iterable[Result]) -> pd.DataFrame:
    """One row a result: key, variant, seed, status, seconds, a column a component, and the last epoch's metrics.

    A component's column holds the level's name or "reference".
    """
    import pandas as pd

    names = list(dict.fromkeys(name for name, _ in study.components))
    several = bool(study.setting.blocks)
    taken = {*IDENTITY, *names, *study.controls, *([DATA] * several)}  # columns that no number of a trial may stand in
    rows = []
    for result in results:
        levels = dict(result.trial.variant.departures)
        rows.append(
            {
                "key": result.trial.key,
                "variant": result.trial.variant.label,
                "seed": result.trial.seed,
                **({DATA: result.trial.data} if several else {}),
                "status": result.status,
                "seconds": result.seconds,
                **{name: levels.get(name, "reference") for name in [*names, *study.controls]},
                **{name: value for name, value in result.metrics.items() if name not in taken},
            }
        )
    columns = ["key", "variant", "seed", *([DATA] * several), "status", "seconds", *names, *study.controls]
    return pd.DataFrame(rows, columns=None if rows else columns)


def write_table(folder: Path, study: Study, results: Iterable[Result]) -> Path:
    """table.csv, for a spreadsheet; numbers in full precision."""
    path = folder / "table.csv"
    write_text(path, as_csv(table(study, results)))
    return path
