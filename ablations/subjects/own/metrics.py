"""What a study file says of its metrics: which way is better, whether ratios count, which row of a trial is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError, shown
from ablations.core.setting import SPLIT, TEST_SIZE, TRAIN_SIZE, Metric
from ablations.core.variant import Variant


def metric_of(name: str, one: Any) -> Metric:
    """A metric as the file has it.  Raises InputError on one that cannot be read."""
    given = one if isinstance(one, written.Metric) else written.Metric(one)
    if given.better not in (written.HIGHER, written.LOWER):
        raise InputError(
            f"metric {shown(name)} says {shown(given.better)}; it is 'higher' or 'lower', whichever is better."
        )
    chances = given.chance.values() if isinstance(given.chance, Mapping) else [given.chance]
    for chance in chances:
        if chance is not None and (isinstance(chance, bool) or not isinstance(chance, int | float)):
            raise InputError(f"metric {shown(name)} has the chance level {shown(chance)}; it is a number.")
        if given.ratio and chance is not None and not chance > 0:
            raise InputError(
                f"metric {shown(name)} has the chance level {shown(chance)}; it is compared as a ratio, so above 0."
            )
    if given.take not in (written.LAST, written.BEST):
        raise InputError(f"metric {shown(name)} takes {shown(given.take)} of its rows; it is 'last' or 'best'.")
    return Metric(
        words=given.words or name.replace("_", " "),
        unit=given.unit,
        lower_is_better=given.better == written.LOWER,
        best=given.take == written.BEST,
        ratio=given.ratio,
    )


def check_names(metrics: Mapping[str, Metric], components: Iterable[str]) -> None:
    """Raises InputError on a metric that has the name of another column of a table of results."""
    if same := {*metrics} & {"key", "variant", "seed", "status", *components}:
        raise InputError(f"metric {shown(min(same))} has the name of something else in a table: call it otherwise.")


def check_ratios(metrics: Mapping[str, Metric], row: Mapping[str, float]) -> None:
    """Raises ValueError on a number that is compared as a ratio and has no logarithm."""
    for name, metric in metrics.items():
        if metric.ratio and name in row and not row[name] > 0:
            raise ValueError(f"{name} is {row[name]:g}; it is compared as a ratio, so it must be above 0")


def stopped(rows: Sequence[Mapping[str, Any]], name: str, column: str) -> str:
    """A sentence where a metric's last number is long before the last of the `rows`, by how often it came before.

    Empty where it is not, and of one that came once.
    """
    places = _places(rows)
    came = [place for place, row in zip(places, rows, strict=True) if row.get(column) is not None]
    widest = max((later - earlier for earlier, later in pairwise(came)), default=0)
    if widest > 0 and max(places) - max(came) > 2 * widest:
        return f"{name} came last at {max(came):g}, and others until {max(places):g}: what counts is of {max(came):g}"
    return ""


def _places(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Where each row stands: at its step or its epoch, where all rows have one, else at its number."""
    for name in ("step", "epoch"):
        found = [row.get(name) for row in rows]
        if all(isinstance(one, int | float) and isfinite(one) for one in found):
            return [float(one) for one in found if one is not None]
    return [*map(float, range(1, len(rows) + 1))]


def check_sizes(replicate: str, metrics: Mapping[str, float]) -> None:
    """Raises ValueError where seeds are splits and a trial does not say how large its own is."""
    for name in (TRAIN_SIZE, TEST_SIZE) if replicate == SPLIT else ():
        if not metrics.get(name, 0) > 0:
            raise ValueError(
                f"replicate is 'split', so a trial reports {TRAIN_SIZE} and {TEST_SIZE}, how many examples it "
                f"trains and tests on; {name} is {metrics.get(name, 'missing')}"
            )


def in_words(published: float | None, metric: Metric) -> str:
    """A published effect as its claim has it."""
    if published is None:
        return "no number given"
    return f"{published:g} times" if metric.ratio else f"{published:+g}"


def said_of(component: str, level: str, kind: str, metric: str) -> str:
    """The claim in a sentence, where its author wrote none."""
    label = Variant(departures=((component, level),)).label
    return f"{label} leaves {metric} the same" if kind == "same" else f"{label} {kind} {metric}"
