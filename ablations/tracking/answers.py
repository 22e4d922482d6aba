"""The findings of a study as metrics and tags of a tracking tool: effects, ratios, intervals and verdicts.

Numbers are metrics, so that they can be sorted and plotted; the interval and the verdict that belong to one are tags.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ablations.analysis.time_to_target import Speed, speeds
from ablations.core.claim import ONE_IN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.result import LOG_STEPS, STEPS
from ablations.core.setting import LOGS, Metric, phased, unphased
from ablations.core.text import MINUS, number
from ablations.core.units import between, in_unit, interval_of, is_ratio, times
from ablations.core.variant import Variant
from ablations.tracking import names

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings

EFFECT, RATIO, INTERVAL, VERDICT, SEEDS = "effect", "ratio", "interval", "verdict", "seeds"
DIGITS = 6  # significant digits of a number
_REFERENCE = Variant().label


class Answer(NamedTuple):
    """The effect of a change on a metric."""

    metric: str  # name of the metric, with its phase
    component: str
    level: str
    kind: str  # what the effect is: ONE_OUT, ONE_IN, MAIN, or an interaction
    number: float  # a difference in the metric's unit, or a ratio; nan if only a bound is known
    ratio: bool  # whether `number` is a ratio
    interval: str  # the 95% interval as text, with the number of seeds
    departed: tuple[str, ...]  # labels of the variants with the change
    kept: tuple[str, ...]  # labels of the variants that they are compared with

    @property
    def measure(self) -> str:
        """`effect.test_error` or `ratio.steps_to_threshold`: the same for every change, so that all share a column."""
        return f"{RATIO if self.ratio else EFFECT}.{self.metric}"


class Answers:
    """The effects of a study, each under a name that MLflow accepts."""

    def __init__(self, evidence: Findings) -> None:
        self._evidence, self._study = evidence, evidence.study
        self._all: dict[str, Answer] = {}
        for one in self._found():
            self._all.setdefault(self._name(one), one)
        self._keys = names.keys(self._all)
        self._intervals = names.keys(map(_interval, self._all))

    def study_metrics(self) -> dict[str, float]:
        """Returns effects by name: `effect.test_error.lrn.off`, or `ratio.steps_to_threshold.activation.tanh`."""
        return _rounded({self._keys[name]: one.number for name, one in self._all.items()})

    def study_tags(self) -> dict[str, str]:
        """Returns a tag for each interval, `interval.test_error.lrn.off`, and for each claim, `verdict.lrn_cifar`."""
        found = {self._intervals[_interval(name)]: one.interval for name, one in self._all.items()}
        said = {f"{VERDICT}.{one.claim.name}": one.label for one in self._evidence.verdicts}
        known = names.keys(said, reserved=found)
        return {**found, **{known[name]: label for name, label in said.items()}}

    def variant_metrics(self, label: str) -> dict[str, float]:
        """Returns a variant's effects against the reference, the means of its metrics, and its number of seeds."""
        evidence = self._evidence
        found = {names.key(one.measure): one.number for one in self._of(label)}
        found[SEEDS] = float(len(evidence.values(evidence.metric, label)))
        metrics = {phased(name, evidence.phase) for name in self._study.setting.metrics}
        means = {name: evidence.mean(name, label) for name in metrics}
        known = names.keys(means, reserved=found)
        found |= {known[name]: mean for name, mean in means.items()}
        return _rounded(found)

    def variant_tags(self, label: str) -> dict[str, str]:
        """Returns the intervals of the effects of one variant, and the verdicts on the claims about it."""
        found = {names.key(_interval(one.measure)): one.interval for one in self._of(label)}
        about = [one for one in self._evidence.verdicts if _label(one.claim.component, one.claim.level) == label]
        said = [f"{one.label} ({one.claim.name})" if len(about) > 1 else one.label for one in about]
        return found | ({VERDICT: "; ".join(said)} if said else {})

    def columns(self) -> tuple[str, ...]:
        """Returns the columns of a table of variants, such as `metrics.seeds`; the table is sorted by the first."""
        race = self._study.setting.races
        mains = [one for one in self._all.values() if one.metric == (STEPS if race else self._evidence.metric)]
        measures = [one.measure for one in mains if one.kind in (ONE_OUT, ONE_IN)][:1]
        means = [] if race else [names.key(self._evidence.metric)]
        told = [f"metrics.{names.key(one)}" for one in measures]
        told += [f"tags.{names.key(_interval(one))}" for one in measures]
        return (*told, f"tags.{VERDICT}", *(f"metrics.{one}" for one in (*means, SEEDS)))

    def _found(self) -> Iterator[Answer]:
        """Yields the effect of each change on the main metric or on the steps of a race, then that of each claim."""
        evidence, setting = self._evidence, self._study.setting
        claimed = [one.effect for one in evidence.verdicts if one.effect]
        if setting.target:
            # These keep arms that never reached the target.
            yield from map(_raced, speeds(self._study, evidence.results))
            claimed = [one for one in claimed if one.metric != LOG_STEPS]
        for effect in [*([] if setting.races else evidence.effects), *claimed]:
            yield _answer(effect, self._read(effect.metric))

    def _of(self, label: str) -> list[Answer]:
        """Returns the effects that compare the variant of this label alone with the reference."""
        return [one for one in self._all.values() if (one.departed, one.kept) == ((label,), (_REFERENCE,))]

    def _name(self, one: Answer) -> str:
        """Returns the name of an effect, which says its kind and what it is compared with where these are unusual."""
        kind = [] if one.kind == self._study.estimand else [one.kind.replace(" ", "_")]
        other = [f"against {' '.join(one.kept)}"] if one.kind == ONE_OUT and one.kept != (_REFERENCE,) else []
        return ".".join([one.measure, one.component, one.level, *kind, *other])

    def _read(self, name: str) -> Metric:
        """Returns the metric of that name in the table, which may hold its phase, and an epoch after an `@`."""
        known = self._evidence.metrics
        for plain in (name, name.rpartition("@")[0]):
            for one in (plain, unphased(plain, self._evidence.phase)):
                if one in known:
                    return known[one]
        return Metric(words=name)


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    """Returns the finite numbers, rounded to `DIGITS`, since MLflow shows every digit that there is."""
    return {name: float(f"{value:.{DIGITS}g}") for name, value in found.items() if math.isfinite(value)}


def _label(component: str, level: str) -> str:
    return Variant(departures=((component, level),)).label


def _interval(name: str) -> str:
    """Returns the name of the interval that belongs to the effect of that name: `interval.test_error.lrn.off`."""
    return f"{INTERVAL}.{name.partition('.')[2]}"


def _answer(effect: Effect, metric: Metric) -> Answer:
    within = interval_of(metric, effect)
    said = [within if effect.constant else in_unit(metric, within), f"n {effect.n}"]
    if effect.unstable:
        arms = [f"{trained} of {ended}" for trained, ended in zip(effect.trained, effect.ended, strict=True)]
        said.append(f"trained {arms[0]}, without the change {arms[1]}")
    return Answer(
        metric=STEPS if effect.metric == LOG_STEPS else effect.metric,
        component=effect.component,
        level=effect.level,
        kind=effect.kind,
        number=times(effect.estimate) if is_ratio(metric) else effect.estimate,
        ratio=is_ratio(metric),
        interval="; ".join(said).replace(MINUS, "-"),
        departed=effect.departed,
        kept=effect.kept,
    )


def _raced(speed: Speed) -> Answer:
    low, high = speed.interval
    bounds = between(Metric(words="", unit=LOGS), speed.estimate.low, speed.estimate.high)
    if low == 0 or math.isinf(high):
        bounds = f"{number(low)} or more" if low > 0 else f"{number(high)} or less" if high < math.inf else "unknown"
    censored = f", {speed.censored} of them censored" if speed.censored else ""
    return Answer(
        metric=STEPS,
        component=speed.component,
        level=speed.level,
        kind=ONE_IN if speed.kept != _REFERENCE else ONE_OUT,
        number=speed.ratio,
        ratio=True,
        interval=f"{bounds} times; n {len(speed.pairs)}{censored}",
        departed=(speed.departed,),
        kept=(speed.kept,),
    )
