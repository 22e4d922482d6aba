"""Tables of outcomes: which rows count, outcomes by seed and variant, and metrics after an early epoch.

Only finished trials with a finite metric, which is not huge, count.  The last value of a training that failed means
nothing, so `ablations.analysis.failures` marks its row and no table of outcomes contains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, nan
from pathlib import Path

import pandas as pd

from ablations.core.errors import InputError, printable
from ablations.core.result import DIVERGED, DONE, Result
from ablations.core.setting import SPLIT, TEST_SIZE, TRAIN_SIZE, Metric, Setting
from ablations.core.study import Study
from ablations.records.files import write_text

IDENTITY = ("key", "variant", "seed", "status")  # columns of a table that say which trial a row is of
DATA = "data"  # column that says on which of several data sets a trial was
FAILED = "failed"  # the status, in a table of outcomes, of every training that failed
FAILURES = (DIVERGED, FAILED)  # statuses of trainings that failed
HUGE = 1e150  # from here on an outcome counts as that of a failed training: sums of such squares may be infinite
ENDED = (DONE, *FAILURES)  # statuses of trainings that have an outcome
UNFINISHED = "unfinished"  # the status of a variant under a seed that has not run on every data set
_LABEL = re.compile(r"-\w[\w.=+ -]*")  # a variant's label: without brackets, a spreadsheet cannot call functions in it


def as_csv(table: pd.DataFrame) -> str:
    """Returns `table` as CSV in full precision, without its index, and safe to open in a spreadsheet.

    A spreadsheet runs text that begins with = + @ or - as a formula.  Such text gets an apostrophe before it, unless it
    is a variant's label.
    """
    named = table.rename(columns={name: _cell(name) for name in table})
    return named.map(_cell).to_csv(index=False)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") and not _LABEL.fullmatch(text) else text


def usable(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Returns the rows of finished trials with a finite metric below HUGE; none if the table lacks the metric."""
    if metric not in table:
        return table.iloc[:0]
    return table[(table["status"] == DONE) & (table[metric].astype(float).abs() < HUGE)]


def overlap(setting: Setting, table: pd.DataFrame) -> float:
    """Returns n_test / n_train if seeds are splits of the data, by which standard errors are corrected; otherwise 0.

    It is nan if finished trials do not all report the same sizes.
    """
    if setting.replicate != SPLIT:
        return 0.0
    found = sizes(table)
    return found[0][1] / found[0][0] if len(found) == 1 and min(found[0]) > 0 else nan


def sizes(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Returns the different (train_size, test_size) that finished trials report; nan for a size that is missing."""
    if table.empty:
        return []
    rows = table[table["status"] == DONE].reindex(columns=[TRAIN_SIZE, TEST_SIZE]).drop_duplicates()
    return [(float(train), float(test)) for train, test in rows.itertuples(index=False)]


def by_seed(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Returns the finished, finite outcomes: one row per seed, one column per variant's label, nan if there is none.

    Raises InputError if a variant has two records under one seed.
    """
    if metric not in table or table.empty:
        return pd.DataFrame()
    return _pivoted(usable(table[["variant", "seed", "status", metric]], metric), metric)


def _pivoted(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Returns a column of `rows` as one row per seed and one column per variant; InputError if a place has two."""
    twice = rows[rows.duplicated(["variant", "seed"])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(f"Two records for variant {row['variant']!r} and seed {row['seed']}: remove the older one.")
    return rows.pivot(index="seed", columns="variant", values=name)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """A table of outcomes, and the tables that effects are computed from, by seed (rows) and by variant (columns).

    Each of these tables is made only once.  A study has dozens of effects, and a table takes longer than one of them.
    """

    table: pd.DataFrame  # one row per trial: its variant, seed and status, and its metrics; it must not be changed
    _known: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def by_seed(self, metric: str) -> pd.DataFrame:
        """Returns what the function `by_seed` does, and raises what it does."""
        if metric not in self._known:
            self._known[metric] = by_seed(self.table, metric)
        return self._known[metric]

    @cached_property
    def failed(self) -> pd.DataFrame:
        """Which trainings failed: 1 for one that failed, 0 for another that ended, nan if there is no outcome.

        Raises InputError if a variant has two outcomes under one seed.
        """
        if self.table.empty:
            return pd.DataFrame()
        rows = self.table.loc[self.table["status"].isin(ENDED), ["variant", "seed", "status"]]
        return _pivoted(rows.assign(failed=rows["status"].isin(FAILURES).astype(float)), "failed")

    def failed_of(self, labels: Sequence[str]) -> pd.DataFrame:
        """Returns the columns of `failed` of these variants, one that is not known without an outcome."""
        return self.failed.reindex(columns=list(labels)).astype(float)


def with_epochs(table: pd.DataFrame, results: Iterable[Result], early: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """Returns `table` with the columns `early`, such as `train_loss@1`: each is a metric after an epoch.

    `early` is the column's name -> (metric, epoch), since a metric of its own may be called `recall@10`.
    """
    if not early or table.empty:
        return table
    curves = {result.trial.key: {row.get("epoch"): row for row in result.curve} for result in results}
    columns = {
        name: [curves[key].get(float(epoch), {}).get(metric, nan) for key in table["key"]]
        for name, (metric, epoch) in early.items()
    }
    return table.assign(**columns)


def compared(table: pd.DataFrame, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """Returns `table` with the natural logarithms of those metrics that are compared as ratios."""
    logged = {
        str(name): [metric.compared(float(value)) for value in table[name]]
        for name in table
        if (metric := metrics.get(str(name), metrics.get(str(name).rpartition("@")[0]))) and metric.ratio
    }
    return table.assign(**logged) if logged else table


def over_blocks(each: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns one row per variant and seed: means over data sets; `each` is name -> table of outcomes on one data set.

    So a seed's paired difference is the mean of its differences on the data sets, and everything that compares seeds
    works as with one data set.  A row has failed if one of its trials has, and is done if all of them are.  The sizes
    of splits are those of the data set whose splits overlap most.  Raises InputError if a variant has two records under
    one seed on one data set.
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
    """Returns the status of a variant under one seed, from those of its trials on the data sets: the worst of them.

    It is UNFINISHED if a trial is missing, because only seeds with a trial on every data set are compared.
    """
    others = [one for one in found if one != DONE]
    failed = [one for one in others if one in FAILURES]
    return next(iter([*failed, *others]), DONE if len(found) == planned else UNFINISHED)


def _widest(found: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, float] | None:
    """Returns the (train_size, test_size) of the data set whose splits overlap most.

    They are nan if one data set has several sizes, and None is returned if no trial reports any.
    """
    if not any(found):
        return None
    if any(len(some) > 1 for some in found):
        return nan, nan
    return max((one for some in found for one in some), key=lambda pair: pair[1] / pair[0] if pair[0] > 0 else inf)


def table(study: Study, results: Iterable[Result]) -> pd.DataFrame:
    """Returns one row per result: key, variant, seed, status, seconds, a column per component, and its last metrics.

    A component's column holds the level's name or "reference".  It is called by the component's name or, if the table
    has a column of that name already, as for a component called "seed", by that name with "component" before it.
    """
    several = bool(study.setting.blocks)
    identity = (*IDENTITY, "seconds", DATA)
    names = {
        name: f"component {name}" if name in identity else name
        for name in dict.fromkeys([*(name for name, _ in study.components), *study.controls])
    }
    # A number with such a name would replace them; a metric of an old study may be called as the time is.
    taken = {*IDENTITY, *names.values(), *([DATA] * several), *({"seconds"} - {*study.setting.metrics})}
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
                **{column: levels.get(name, "reference") for name, column in names.items()},
                **{name: value for name, value in result.metrics.items() if name not in taken},
            }
        )
    columns = ["key", "variant", "seed", *([DATA] * several), "status", "seconds", *names.values()]
    return pd.DataFrame(rows, columns=None if rows else columns)


def write_table(folder: Path, study: Study, results: Iterable[Result]) -> Path:
    """Writes table.csv, for a spreadsheet, with numbers in full precision, and returns its path."""
    path = folder / "table.csv"
    write_text(path, as_csv(table(study, results)))
    return path
