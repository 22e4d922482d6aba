"""From a table of outcomes to effects: paired differences by seed, and the main effects of a factorial.

An effect is departure minus reference, so a positive effect on an error means that the change raises it.  A pair is
left out if one of its trials has no finite metric; reports say how many pairs are missing.  If trainings failed, an
effect is over the seeds under which both arms trained, and says how often each arm did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from ablations.analysis import factorial
from ablations.analysis.failures import with_trainings
from ablations.analysis.statistics import (
    LEVEL,
    Array,
    correlation,
    largest,
    over_seeds,
    p_of_mean,
    t_interval,
)
from ablations.analysis.tables import Outcomes
from ablations.analysis.tables import overlap as overlap_of
from ablations.core.claim import MAIN, ONE_IN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.variant import Departure, Variant

REFERENCE = Variant()


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One paired comparison of two variants."""

    component: str
    level: str
    kind: str  # the estimand: ONE_OUT or ONE_IN
    departed: str  # label of the variant with the departure
    kept: str  # label of the variant without it


def effects(study: Study, outcomes: Outcomes, metric: str) -> list[Effect]:
    """Returns the effects on `metric`, in the study's order: paired effects, then controls, then main effects.

    Which paired effects there are depends on which single departures the study has; main effects need a factorial.  An
    effect without a finished pair is kept, with n = 0 and a nan estimate.
    """
    overlap = overlap_of(study.setting, outcomes.table)
    paired = [compare(outcomes, contrast, metric, overlap) for contrast in contrasts(study)]
    return paired + main_effects(study, outcomes, metric)


def main_effects(study: Study, outcomes: Outcomes, metric: str) -> list[Effect]:
    """Returns the effects of `factorial.main_effects`, with how often trainings failed with and without the change."""
    found = []
    for effect in factorial.main_effects(study, outcomes, metric):
        single = factorial.contrast_by_seed(study, outcomes.by_seed(metric), (effect.component, effect.level))
        found.append(_without_exact(with_trainings(effect, outcomes, single.to_numpy(dtype=float))))
    return found


def contrasts(study: Study) -> list[Contrast]:
    """Returns the paired comparisons that the study's variants allow: components first, then controls."""
    found = [contrast_of(study, departure) for departure in study.components]
    found += [_one_out(departure) for departure in controls(study)]
    planned = {variant.label for variant in study.variants}
    return [contrast for contrast in found if {contrast.departed, contrast.kept} <= planned]


def contrast_of(study: Study, departure: Departure, against: Variant = REFERENCE) -> Contrast:
    """Returns the comparison that tells the effect of a departure in this design.

    In a one-in study, all changes are compared with all changes but this one.  Otherwise the departure alone is
    compared with `against`.
    """
    return _one_in(study, departure) if study.estimand == ONE_IN else _one_out(departure, against)


def controls(study: Study) -> list[Departure]:
    """Returns the departures that are trained as controls: the placebo and the sabotages."""
    single = {variant.departures[0] for variant in study.variants if len(variant.departures) == 1}
    return sorted(departure for departure in single if departure[0] in study.controls)


def differences(study: Study, outcomes: Outcomes, metric: str) -> pd.DataFrame:
    """Returns the differences of single seeds behind `effects`: columns component, level, kind, seed, difference.

    For a main effect, a seed's difference is its contrast; a seed has one if all trials of its design finished.
    """
    rows: list[tuple[Any, ...]] = []
    for contrast in contrasts(study):
        pairs = _arms(outcomes.by_seed(metric), contrast).dropna()
        change = pairs["departed"] - pairs["kept"]
        rows += [(contrast.component, contrast.level, contrast.kind, *item) for item in change.items()]
    for component, level in study.components:
        found = factorial.contrast_by_seed(study, outcomes.by_seed(metric), (component, level))
        rows += [(component, level, MAIN, *item) for item in found.items()]
    return pd.DataFrame(rows, columns=["component", "level", "kind", "seed", "difference"])


def differences_of(found: pd.DataFrame, effect: Effect) -> list[float]:
    """Returns the differences of `effect`, one per seed; `found` is what `differences` returned."""
    same = (found["component"] == effect.component) & (found["level"] == effect.level) & (found["kind"] == effect.kind)
    return [float(value) for value in found.loc[same, "difference"]]


def mean_interval(values: Sequence[float] | pd.Series[float], overlap: float = 0.0) -> tuple[float, float, float]:
    """Returns the mean of the finite values and the bounds of its 95% t interval, which are nan for fewer than two.

    `overlap` is that of splits, as in `over_seeds`.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    mean, error, df = over_seeds(finite, overlap)
    return mean, *t_interval(mean, error, df, LEVEL)


def compare(outcomes: Outcomes, contrast: Contrast, metric: str, overlap: float = 0.0) -> Effect:
    """Returns the effect of one comparison, paired by seed, over the pairs of which both trials have a number.

    Trials that are missing may be those of easy seeds, or of hard ones, so the means of all trials are not compared.
    `overlap` is that of the splits that seeds stand for, as in `over_seeds`.
    """
    pairs = _arms(outcomes.by_seed(metric), contrast).dropna()
    departed, kept = (pairs[arm].to_numpy(dtype=float) for arm in ("departed", "kept"))
    return _without_exact(with_trainings(paired(contrast, metric, departed, kept, overlap), outcomes, departed - kept))


def _without_exact(effect: Effect) -> Effect:
    """Returns `effect`, without its exact tests if seeds are overlapping splits: those tests assume independence."""
    return effect if effect.overlap == 0 else replace(effect, p_flip=nan, p_trained=nan)


def paired(contrast: Contrast, metric: str, departed: Array, kept: Array, overlap: float = 0.0) -> Effect:
    """Returns the paired effect of one comparison; `departed` and `kept` (S,) are the arms' outcomes, seed by seed."""
    change = departed - kept
    size = largest(departed, kept)
    _, plain, _ = over_seeds(change, size=size)
    estimate, error, _ = over_seeds(change, overlap, size)
    return _effect(
        contrast,
        metric,
        estimate=estimate,
        error=error,
        df=change.size - 1,
        spread=plain * sqrt(change.size),
        n=change.size,
        correlation=correlation(departed, kept),
        method=_paired_words(change.size, overlap, same=estimate if error == 0 else None),
        overlap=overlap,
    )


def _paired_words(n: int, overlap: float, *, same: float | None) -> str:
    """Returns how an effect was computed; `same` is the difference of every pair if all are equal."""
    if same == 0:
        return f"no difference in any of {n} pairs, so neither an interval nor a p"
    if same is not None and overlap == 0:
        return f"the same in all {n} pairs, so no interval, and the exact p of flipping their signs"
    if same is not None:
        return f"the same in all {n} splits, so no interval, and no p, as they overlap"
    if n > 1 and overlap != 0:
        return f"paired t over {n} splits, corrected for their overlap (Nadeau and Bengio 2003)"
    return f"paired t over {n} seeds" if n > 1 else "one seed: no interval" if n else "no finished pair"


def _effect(
    contrast: Contrast, metric: str, *, estimate: float, error: float, df: float, overlap: float, **rest: Any
) -> Effect:
    low, high = t_interval(estimate, error, df, LEVEL)
    return Effect(
        component=contrast.component,
        level=contrast.level,
        metric=metric,
        kind=contrast.kind,
        estimate=estimate,
        low=low,
        high=high,
        p=p_of_mean(estimate, error, df, overlap),
        error=error,
        df=df,
        overlap=overlap,
        departed=(contrast.departed,),
        kept=(contrast.kept,),
        **rest,
    )


def _one_out(departure: Departure, against: Variant = REFERENCE) -> Contrast:
    component, level = departure
    departed = Variant(departures=(departure,)).label
    return Contrast(component=component, level=level, kind=ONE_OUT, departed=departed, kept=against.label)


def _one_in(study: Study, departure: Departure) -> Contrast:
    component, level = departure
    everything = Variant(departures=study.components)
    without = Variant(departures=tuple(other for other in study.components if other != departure))
    return Contrast(component=component, level=level, kind=ONE_IN, departed=everything.label, kept=without.label)


def _arms(by_seed: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Returns the outcomes of both arms: columns departed and kept, one row per seed, nan if a trial has no number."""
    empty = pd.Series(index=by_seed.index, dtype=float)
    return pd.DataFrame({"departed": by_seed.get(contrast.departed, empty), "kept": by_seed.get(contrast.kept, empty)})
