"""The metrics of a study file: which way is better, whether they are compared as ratios, and which row counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError, shown
from ablations.core.load import MILD, PLACEBO, SABOTAGE
from ablations.core.result import LOG_STEPS
from ablations.core.setting import SPLIT, TEST_SIZE, TRAIN_SIZE, Metric
from ablations.core.variant import Variant

# Other words for points.
PERCENT = {"%", "pct", "percent", "percents", "percentage", "point", "pp", "percentage points"}
CPU, MEMORY, COUNT = "cpu_seconds", "memory_mib", "evaluated_examples"
# Names of numbers that this package records of trials, and what they are.
RECORDED = {
    CPU: "the processor time of a trial's process",
    MEMORY: "the memory of a trial's process",
    COUNT: "the number of a trial's examples",
    "seconds": "the time of a trial",
    "epoch": "the number of a row",
    LOG_STEPS: "the time to a target",
}


def metric_of(name: str, one: Any) -> Metric:
    """Returns the Metric that the file describes as `one`.  Raises InputError if it is wrong."""
    given = one if isinstance(one, written.Metric) else written.Metric(one)
    if given.better not in (written.HIGHER, written.LOWER):
        raise InputError(
            f"metric {shown(name)} says {shown(given.better)}; it is 'higher' or 'lower', whichever is better."
        )
    if given.unit.strip().lower() in PERCENT:
        raise InputError(
            f"metric {shown(name)} has the unit {shown(given.unit)}; percentages have the unit 'points', in which "
            "their differences are told."
        )
    chances = given.chance.values() if isinstance(given.chance, Mapping) else [given.chance]
    for chance in chances:
        if chance is not None and (isinstance(chance, bool) or not isinstance(chance, int | float)):
            raise InputError(f"metric {shown(name)} has the chance level {shown(chance)}; it is a number.")
        if given.ratio and chance is not None and not chance > 0:
            raise InputError(
                f"metric {shown(name)} has the chance level {shown(chance)}; it is compared as a ratio, so above 0."
            )
    if given.perfect is not None and not all(_improves(given, chance) for chance in chances if chance is not None):
        raise InputError(
            f"metric {shown(name)} has the best value {shown(given.perfect)}; perfect= is a number that is better than "
            "its chance level."
        )
    if given.take not in (written.LAST, written.BEST):
        raise InputError(f"metric {shown(name)} takes {shown(given.take)} of its rows; it is 'last' or 'best'.")
    return Metric(
        words=given.words or name.replace("_", " ").removesuffix(f" {given.unit}"),  # latency_ms, in ms: latency
        unit=given.unit,
        lower_is_better=given.better == written.LOWER,
        best=given.take == written.BEST,
        ratio=given.ratio,
        perfect=given.perfect,
    )


def rows_of(metrics: Mapping[str, Metric], names: Iterable[str]) -> str:
    """Returns which row of a trial each of these metrics takes: the last, or the best, which depends on what is better.

    A record depends on nothing else that is said of a metric.
    """
    found = {name: metrics[name] for name in sorted(names)}
    return str({name: one.best and ("lowest" if one.lower_is_better else "highest") for name, one in found.items()})


def _improves(given: written.Metric, chance: float) -> bool:
    """Tells whether the best value of a metric is a number that is better than guessing."""
    best = given.perfect
    if isinstance(best, bool) or not isinstance(best, int | float) or not isfinite(best):
        return False
    return best > chance if given.better == written.HIGHER else best < chance


def check_names(metrics: Mapping[str, Metric], components: Iterable[str]) -> None:
    """Raises InputError if a metric has the name of a number that is recorded anyway, or of a column of a table."""
    for name in metrics:
        if name in RECORDED:
            raise InputError(
                f"metric {shown(name)} has the name under which {RECORDED[name]} is recorded: call it otherwise, such "
                f"as {f'measured_{name}'!r}."
            )
    if same := {*metrics} & {"key", "variant", "seed", "status", "data", PLACEBO, SABOTAGE, MILD, *components}:
        raise InputError(f"metric {shown(min(same))} has the name of something else in a table: call it otherwise.")


def beside(found: Mapping[str, float], ours: Collection[str]) -> dict[str, float]:
    """Returns the numbers that a trial gave, those with a name of `ours` as `NAME as given`, so that both are kept."""
    return {f"{name} as given" if name in ours else name: value for name, value in found.items()}


def check_ratios(metrics: Mapping[str, Metric], row: Mapping[str, float]) -> None:
    """Raises ValueError if a metric that is compared as a ratio is not above 0."""
    for name, metric in metrics.items():
        if metric.ratio and name in row and not row[name] > 0:
            raise ValueError(f"{name} is {row[name]:g}; it is compared as a ratio, so it must be above 0")


def stopped(rows: Sequence[Mapping[str, Any]], name: str, column: str) -> str:
    """Returns a sentence if a metric's last number comes long before the last row; else an empty text.

    "Long" is more than twice the widest gap between two of its numbers.  A metric that came once is not judged.
    """
    places = _places(rows)
    came = [place for place, row in zip(places, rows, strict=True) if row.get(column) is not None]
    widest = max((later - earlier for earlier, later in pairwise(came)), default=0)
    if widest > 0 and max(places) - max(came) > 2 * widest:
        return f"{name} came last at {max(came):g}, and others until {max(places):g}: what counts is of {max(came):g}"
    return ""


def _places(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Returns the place of each row: its step or its epoch, if all rows have one, else its number from 1."""
    for name in ("step", "epoch"):
        found = [row.get(name) for row in rows]
        if all(isinstance(one, int | float) and isfinite(one) for one in found):
            return [float(one) for one in found if one is not None]
    return [*map(float, range(1, len(rows) + 1))]


def check_sizes(replicate: str, metrics: Mapping[str, float]) -> None:
    """Raises ValueError if seeds are splits and a trial does not report the sizes of its own."""
    for name in (TRAIN_SIZE, TEST_SIZE) if replicate == SPLIT else ():
        if not metrics.get(name, 0) > 0:
            raise ValueError(
                f"replicate is 'split', so a trial reports {TRAIN_SIZE} and {TEST_SIZE}, how many examples it "
                f"trains and tests on; {name} is {metrics.get(name, 'missing')}"
            )


def in_words(published: float | None, metric: Metric) -> str:
    """Writes the published effect of a claim."""
    if published is None:
        return "no number given"
    return f"{published:g} times" if metric.ratio else f"{published:+g}"


def said_of(component: str, level: str, kind: str, metric: str) -> str:
    """Returns the statement of a claim whose author wrote none."""
    label = Variant(departures=((component, level),)).label
    return f"{label} leaves {metric} the same" if kind == "same" else f"{label} {kind} {metric}"
