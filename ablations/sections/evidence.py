"""What one report is about: the records, their table, and what follows from them; computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import nan

import numpy as np
import pandas as pd

from ablations import effects as estimating
from ablations.registry import components, derive
from ablations.sections.document import change, number
from ablations.types import DIVERGED, DONE, Effect, Result, Study, Variant
from models.layout import layout
from models.spec import Spec

CONFOUNDED = 0.05  # relative change of parameters or arithmetic from which a comparison is labelled
SHOWN = 24  # variants of a study up to which figures show those with two changes


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A study, its results, and the table that `store.table` made of them."""

    study: Study
    results: Sequence[Result]
    problems: Sequence[str]
    table: pd.DataFrame
    _by_seed: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @property
    def phase(self) -> str:
        """`test` or `validation`: what the errors were measured on."""
        return self.study.budget.evaluate_on

    @property
    def metric(self) -> str:
        """The column of the main outcome."""
        return main_metric(self.study)

    @cached_property
    def effects(self) -> list[Effect]:
        """Of every component and control on the main outcome."""
        return estimating.effects(self.study, self.table, self.metric)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The single differences behind `effects`."""
        return estimating.differences(self.study, self.table, self.metric)

    @property
    def labels(self) -> list[str]:
        """Every planned variant's label, in the study's order."""
        return [variant.label for variant in self.study.variants]

    @cached_property
    def shown(self) -> list[str]:
        """The variants that figures show: those that a paired effect compares, and where they are few, the pairs."""
        compared = {name for one in estimating.contrasts(self.study) for name in (one.departed, one.kept)}
        few = {one.label for one in self.study.variants if len(one.departures) < 3 and len(self.labels) <= SHOWN}
        return [label for label in self.labels if label in compared | few | {"reference"}]

    @cached_property
    def names(self) -> dict[str, str]:
        """A name for each variant: its label, but "all changes" and "all but -lrn" in a one-in study."""
        every = max(self.study.variants, key=lambda one: len(one.departures)).departures
        words = {label: label for label in self.labels}
        if self.study.grid == "one_in" and len(every) > 1:
            for departure in every:
                without = Variant(departures=tuple(other for other in every if other != departure))
                words[without.label] = f"all but {Variant(departures=(departure,)).label}"
            words[Variant(departures=every).label] = "all changes"
        return words

    def count(self, status: str) -> int:
        """How many trials ended so."""
        return sum(result.status == status for result in self.results)

    def by_seed(self, metric: str) -> pd.DataFrame:
        """Finished outcomes, seeds x variants."""
        if metric not in self._by_seed:
            self._by_seed[metric] = estimating.by_seed(self.table, metric)
        return self._by_seed[metric]

    def values(self, metric: str, variant: str) -> pd.Series[float]:
        """The finished outcomes of one variant, by seed; may be empty."""
        outcomes = self.by_seed(metric)
        return outcomes[variant].dropna() if variant in outcomes else pd.Series(dtype=float)

    def mean(self, metric: str, variant: str) -> float:
        """Over the finished seeds; nan where there is none."""
        values = self.values(metric, variant)
        return float(values.mean()) if len(values) else nan


def label(effect: Effect) -> str:
    """`-lrn` or `activation=tanh`, as variants are named."""
    return Variant(departures=((effect.component, effect.level),)).label


def main_metric(study: Study) -> str:
    """The column of the study's main outcome."""
    return f"{study.budget.evaluate_on}_top1_error_percent"


def arms(evidence: Evidence, effect: Effect) -> tuple[list[str], list[str]]:
    """The labels of the variants with the departure, and of those without it, that `effect` compares."""
    if effect.kind == "main":
        design = estimating.factorial_design(evidence.study)
        made = [one.label for one in design if (effect.component, effect.level) in one.departures]
        return made, [one.label for one in design if one.label not in made]
    for one in estimating.contrasts(evidence.study):
        if (one.component, one.level, one.kind) == (effect.component, effect.level, effect.kind):
            return [one.departed], [one.kept]
    return [], []


def ratio(evidence: Evidence, effect: Effect, metric: str) -> float:
    """The mean of `metric` with the departure over that without it: parameters or macs."""
    made, kept = ([evidence.mean(metric, label) for label in side] for side in arms(evidence, effect))
    made, kept = ([value for value in side if np.isfinite(value)] for side in (made, kept))
    return float(np.mean(made) / np.mean(kept)) if made and kept else nan


def broken(evidence: Evidence, effect: Effect) -> tuple[int, int, int]:
    """Of the pairs (of the trials, for a main effect): planned, left out as diverged, left out for another reason."""
    made, kept = arms(evidence, effect)
    seeds = evidence.study.seeds
    planned = seeds * len({*made, *kept}) if effect.kind == "main" else seeds
    involved = [one for one in evidence.results if one.trial.variant.label in {*made, *kept}]
    diverged = [one for one in involved if one.status == DIVERGED]
    lost = len(diverged) if effect.kind == "main" else len({one.trial.seed for one in diverged})
    return planned, lost, max(planned - effect.n - lost, 0)


def notes(evidence: Evidence, effect: Effect) -> str:
    """What a reader must know of one effect: confounds, broken pairs, a toggle that did nothing."""
    planned, diverged, other = broken(evidence, effect)
    unit = "trials" if effect.kind == "main" else "pairs"
    words = [*_confounds(evidence, effect)]
    if diverged or other:
        reasons = [f"{diverged} diverged"] * bool(diverged) + [f"{other} without a result"] * bool(other)
        words.append(f"{diverged + other} of {planned} {unit} broken: {', '.join(reasons)}")
    single = estimating.differences_of(evidence.differences, effect)
    if len(single) > 1 and not any(single):
        words.append("every pair identical: a toggle without effect?")
    if effect.kind != "main" and effect.n == 1:
        words.append("one pair: no interval")
    if effect.kind == "main" and not np.isfinite(effect.low):
        words.append(effect.method.split(";")[0])
    return "; ".join(words)


def _confounds(evidence: Evidence, effect: Effect) -> list[str]:
    names = (("parameters", "parameters"), ("multiply-adds", "macs"))
    ratios = [(name, ratio(evidence, effect, metric)) for name, metric in names]
    large = [f"{change(value)} {name}" for name, value in ratios if abs(value - 1) > CONFOUNDED]
    maps = map_changes(evidence, effect)
    parts = [", ".join(large)] * bool(large) + [f"map sizes {maps}"] * bool(maps)
    return [f"confounded: {', '.join(parts)}"] if parts else []


def map_changes(evidence: Evidence, effect: Effect) -> str:
    """`conv2 16 to 17`: the maps whose side the departure alters, in pixels; empty when none."""
    size = evidence.study.budget.image_size
    kept, made = _specs(evidence, effect)
    try:
        before, after = (layout(spec, num_classes=10, image_size=size) if spec else () for spec in (kept, made))
    except ValueError:
        return ""  # a network that cannot be built is among the failures already
    return ", ".join(
        f"{one.name} {one.map_size} to {two.map_size}"
        for one, two in zip(before, after, strict=False)
        if one.map_size != two.map_size
    )


def _specs(evidence: Evidence, effect: Effect) -> tuple[Spec | None, Spec | None]:
    """The specs without and with the departure, from the records, or derived where no such trial ran."""
    recorded = {result.trial.variant.label: result.trial.spec for result in evidence.results}
    if effect.kind == "one in":
        made, kept = arms(evidence, effect)
        return recorded.get(kept[0]), recorded.get(made[0])
    single = Variant(departures=((effect.component, effect.level),))
    reference = recorded.get("reference")
    if single.label in recorded or reference is None:
        return reference, recorded.get(single.label)
    try:
        return reference, derive(reference, single)
    except ValueError:
        return reference, None  # a component that this installation does not know


def reference_word(component: str) -> str:
    """What the reference does, in the component's own words."""
    known = components().get(component)
    return known.reference if known else "reference"


def mean_and_interval(evidence: Evidence, metric: str, variant: str) -> tuple[int, float, float, float]:
    """n, mean and 95% t interval over the finished seeds."""
    values = evidence.values(metric, variant)
    return len(values), *estimating.mean_interval(values)


def sampling_error(evidence: Evidence, error_percent: float) -> str:
    """Standard error of an error rate for the evaluated images alone, in points: sqrt(p (1 - p) / n)."""
    images = evidence.mean("evaluated_examples", "reference")
    if not (np.isfinite(images) and np.isfinite(error_percent) and images > 0):
        return "cannot be given, as the number of images was not recorded"
    share = error_percent / 100
    return f"{number(100 * float(np.sqrt(share * (1 - share) / images)))} points over {images:,.0f} images"


def finished(evidence: Evidence) -> list[Result]:
    """The results with status done."""
    return [result for result in evidence.results if result.status == DONE]
