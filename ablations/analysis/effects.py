"""A table of outcomes -> effects: paired differences by seed, and the main effects of a factorial.

Sign: departure minus reference level, so a positive effect on an error means that the change raises
it.  A pair of which a trial has no finite metric is left out here, and whoever shows an effect says how many are.
An effect is over the seeds at which both arms trained, and it carries how often each of them did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ablations.analysis import factorial
from ablations.analysis.failures import with_trainings
from ablations.analysis.statistics import (
    Array,
    correlation,
    inflation,
    is_constant,
    over_seeds,
    t_interval,
    t_test,
    welch,
)
from ablations.analysis.tables import by_seed
from ablations.analysis.tables import overlap as overlap_of
from ablations.core.claim import MAIN, ONE_IN, ONE_OUT, Rule
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.variant import Departure, Variant

LEVEL = factorial.LEVEL
REFERENCE = Variant()
BROKEN = Rule().missing  # share of broken pairs beyond which an effect is estimated without pairs


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One paired comparison: the label of the variant with the departure, and of the one without it."""

    component: str
    level: str
    kind: str
    departed: str
    kept: str


def effects(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Effects on `metric`, in its unit, in the study's order with the controls last.

    Paired for what single departures and one-in variants allow, and `main` effects for a factorial.
    An effect without a finished pair is kept, with n = 0 and estimate nan.
    """
    overlap = overlap_of(study.setting, table)
    paired = [compare(table, contrast, metric, overlap) for contrast in contrasts(study)]
    return paired + main_effects(study, table, metric)


def main_effects(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Those of `factorial.main_effects`, with how often the trainings of either level failed."""
    outcomes = by_seed(table, metric)
    found = []
    for effect in factorial.main_effects(study, table, metric):
        single = factorial.contrast_by_seed(study, outcomes, (effect.component, effect.level))
        found.append(_without_exact(with_trainings(effect, table, single.to_numpy(dtype=float))))
    return found


def contrasts(study: Study) -> list[Contrast]:
    """The paired comparisons that the study's variants allow: components first, then controls."""
    found = [contrast_of(study, departure) for departure in study.components]
    found += [_one_out(departure) for departure in controls(study)]
    planned = {variant.label for variant in study.variants}
    return [contrast for contrast in found if {contrast.departed, contrast.kept} <= planned]


def contrast_of(study: Study, departure: Departure, against: Variant = REFERENCE) -> Contrast:
    """What a departure is compared with in this design: the reference or another variant, or all changes but it."""
    return _one_in(_everything(study), departure) if study.estimand == ONE_IN else _one_out(departure, against)


def controls(study: Study) -> list[Departure]:
    """The departures that ride along without being under study: placebo, sabotage."""
    single = {variant.departures[0] for variant in study.variants if len(variant.departures) == 1}
    return sorted(departure for departure in single if departure[0] in study.controls)


def differences(study: Study, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The single differences behind `effects`: columns component, level, kind, seed, difference.

    For a main effect the difference of a seed is its contrast, where its whole design finished.
    """
    outcomes = by_seed(table, metric)
    rows: list[tuple[Any, ...]] = []
    for contrast in contrasts(study):
        pairs = _arms(outcomes, contrast).dropna()
        change = pairs["departed"] - pairs["kept"]
        rows += [(contrast.component, contrast.level, contrast.kind, *item) for item in change.items()]
    for component, level in study.components:
        found = factorial.contrast_by_seed(study, outcomes, (component, level))
        rows += [(component, level, MAIN, *item) for item in found.items()]
    return pd.DataFrame(rows, columns=["component", "level", "kind", "seed", "difference"])


def differences_of(found: pd.DataFrame, effect: Effect) -> list[float]:
    """The rows of `differences` that belong to `effect`."""
    same = (found["component"] == effect.component) & (found["level"] == effect.level) & (found["kind"] == effect.kind)
    return [float(value) for value in found.loc[same, "difference"]]


def mean_interval(values: Sequence[float] | pd.Series[float], overlap: float = 0.0) -> tuple[float, float, float]:
    """Mean of the finite values and its 95% t interval; nan bounds for fewer than two.

    `overlap` is that of splits, as in `over_seeds`.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size < 2:
        return (float(finite[0]) if finite.size else nan), nan, nan
    mean = float(finite.mean())
    error = 0.0 if is_constant(finite) else float(stats.sem(finite)) * inflation(finite.size, overlap)
    return mean, *t_interval(mean, error, finite.size - 1, LEVEL)


def compare(table: pd.DataFrame, contrast: Contrast, metric: str, overlap: float = 0.0) -> Effect:
    """The effect of one comparison: paired by seed, or unpaired (Welch) where over a fifth of the pairs are broken.

    Where a training failed the pairs that are left are compared, however few, and how often either arm failed is told.
    `overlap` is that of the splits that seeds stand for, as in `over_seeds`.
    """
    outcomes = _arms(by_seed(table, metric), contrast)
    pairs = outcomes.dropna()
    departed, kept = (pairs[arm].to_numpy(dtype=float) for arm in ("departed", "kept"))
    found = with_trainings(paired(contrast, metric, departed, kept, overlap), table, departed - kept)
    found = _without_exact(found)
    lost = 0 if found.unstable else _broken(table, contrast, len(pairs))
    if lost > BROKEN * (lost + len(pairs)) and (outcomes.count() > 1).all():
        unpaired = _unpaired(outcomes, contrast, metric, lost, overlap)
        return _without_exact(with_trainings(unpaired, table, departed - kept))
    return found


def _without_exact(effect: Effect) -> Effect:
    """`effect` without exact tests over seeds where those are splits that overlap: they take them as independent."""
    return effect if effect.overlap == 0 else replace(effect, p_flip=nan, p_trained=nan)


def paired(contrast: Contrast, metric: str, departed: Array, kept: Array, overlap: float = 0.0) -> Effect:
    """The effect of one comparison from the outcomes of both arms, seed by seed; `overlap` is as in `over_seeds`."""
    change = departed - kept
    _, plain, _ = over_seeds(change)
    estimate, error, _ = over_seeds(change, overlap)
    return _effect(
        contrast,
        metric,
        estimate=estimate,
        error=error,
        df=change.size - 1,
        spread=plain * sqrt(change.size),
        n=change.size,
        correlation=correlation(departed, kept),
        method=_paired_words(change.size, overlap),
        overlap=overlap,
    )


def _paired_words(n: int, overlap: float) -> str:
    if n > 1 and overlap != 0:
        return f"paired t over {n} splits, corrected for their overlap (Nadeau and Bengio 2003)"
    return f"paired t over {n} seeds" if n > 1 else "one seed: no interval" if n else "no finished pair"


def _unpaired(outcomes: pd.DataFrame, contrast: Contrast, metric: str, lost: int, overlap: float) -> Effect:
    departed, kept = (outcomes[arm].dropna().to_numpy(dtype=float) for arm in ("departed", "kept"))
    error, df = welch(departed, kept, overlap)
    return _effect(
        contrast,
        metric,
        estimate=float(departed.mean() - kept.mean()),
        error=error,
        df=df,
        spread=sqrt(float(departed.var(ddof=1) + kept.var(ddof=1))),
        n=min(departed.size, kept.size),
        correlation=nan,
        method=f"Welch's t, unpaired, as {lost} pairs are broken",
        overlap=overlap,
    )


def _effect(contrast: Contrast, metric: str, *, estimate: float, error: float, df: float, **rest: Any) -> Effect:
    low, high = t_interval(estimate, error, df, LEVEL)
    return Effect(
        component=contrast.component,
        level=contrast.level,
        metric=metric,
        kind=contrast.kind,
        estimate=estimate,
        low=low,
        high=high,
        p=t_test(estimate, error, df),
        error=error,
        df=df,
        departed=(contrast.departed,),
        kept=(contrast.kept,),
        **rest,
    )


def _one_out(departure: Departure, against: Variant = REFERENCE) -> Contrast:
    component, level = departure
    departed = Variant(departures=(departure,)).label
    return Contrast(component=component, level=level, kind=ONE_OUT, departed=departed, kept=against.label)


def _one_in(base: Variant, departure: Departure) -> Contrast:
    component, level = departure
    without = Variant(departures=tuple(other for other in base.departures if other != departure))
    return Contrast(component=component, level=level, kind=ONE_IN, departed=base.label, kept=without.label)


def _everything(study: Study) -> Variant:
    """The variant with the most departures: all of them, unless some cannot be combined."""
    return max(study.variants, key=lambda variant: len(set(variant.departures) & set(study.components)))


def _arms(outcomes: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Columns departed, kept, one row a seed, nan where a trial has no number."""
    empty = pd.Series(index=outcomes.index, dtype=float)
    return pd.DataFrame(
        {"departed": outcomes.get(contrast.departed, empty), "kept": outcomes.get(contrast.kept, empty)}
    )


def _broken(table: pd.DataFrame, contrast: Contrast, whole: int) -> int:
    """Pairs of which both trials have a record and not both a number; what has not run yet breaks nothing."""
    if table.empty:
        return 0
    seeds = [set(table.loc[table["variant"] == label, "seed"]) for label in (contrast.departed, contrast.kept)]
    return len(seeds[0] & seeds[1]) - whole
