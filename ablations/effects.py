"""A table of outcomes -> effects: paired differences by seed, main effects, two-way interactions.

Sign: departure minus reference level, so a positive effect on an error means that the change raises
it.  Only finished trials with a finite metric count.  A trial that diverged has no last-epoch value
that means anything; its pair is left out here, and whoever shows an effect says how many are.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ablations.names import InputError
from ablations.types import DONE, Effect, Study, Variant

LEVEL = 0.95  # of every interval
REFERENCE = Variant()
Departure = tuple[str, str]  # (component, level)


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
    outcomes = by_seed(table, metric)
    return [_paired(outcomes, contrast, metric) for contrast in contrasts(study)] + _main(study, table, metric)


def interactions(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Two-way interactions of a full factorial, in the metric's unit; empty for other designs.

    a x b is half the difference between the effect of a with b departed and with b kept
    (Box, Hunter and Hunter, Statistics for Experimenters, 2nd ed. 2005, chapter 5).
    """
    return [effect for effect in _factorial(study, table, metric) if effect.kind == "interaction"]


def contrasts(study: Study) -> list[Contrast]:
    """The paired comparisons that the study's variants allow: components first, then controls."""
    base = _everything(study) if study.grid == "one_in" else None
    found = [_one_in(base, departure) if base else _one_out(departure) for departure in study.components]
    found += [_one_out(departure) for departure in controls(study)]
    planned = {variant.label for variant in study.variants}
    return [contrast for contrast in found if {contrast.departed, contrast.kept} <= planned]


def controls(study: Study) -> list[Departure]:
    """The departures that ride along without being under study: placebo, sabotage."""
    single = {variant.departures[0] for variant in study.variants if len(variant.departures) == 1}
    return sorted(departure for departure in single if departure[0] in study.controls)


def by_seed(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Finished, finite outcomes: one row a seed, one column a variant's label, nan where there is none."""
    if metric not in table or table.empty:
        return pd.DataFrame()
    usable = _usable(table, metric)
    twice = usable[usable.duplicated(["variant", "seed"])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(f"Two records for variant {row['variant']!r} and seed {row['seed']}: remove the older one.")
    return usable.pivot(index="seed", columns="variant", values=metric)


def differences(study: Study, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The single differences behind `effects`: columns component, level, kind, seed, difference.

    For a main effect the difference of a seed is that between its two halves, where all of them finished.
    """
    outcomes = by_seed(table, metric)
    rows: list[tuple[Any, ...]] = []
    for contrast in contrasts(study):
        pairs = _pairs(outcomes, contrast)
        change = pairs["departed"] - pairs["kept"]
        rows += [(contrast.component, contrast.level, contrast.kind, *item) for item in change.items()]
    for component, level in study.components:
        design = factorial_design(study)
        rows += [(component, level, "main", *item) for item in _halves(design, outcomes, (component, level)).items()]
    return pd.DataFrame(rows, columns=["component", "level", "kind", "seed", "difference"])


def differences_of(found: pd.DataFrame, effect: Effect) -> list[float]:
    """The rows of `differences` that belong to `effect`."""
    same = (found["component"] == effect.component) & (found["level"] == effect.level) & (found["kind"] == effect.kind)
    return [float(value) for value in found.loc[same, "difference"]]


def factorial_design(study: Study) -> tuple[Variant, ...]:
    """The variants of the factorial in `study`; empty where its grid is none.

    Balanced and orthogonal in the components, or declared as such; a reference that was only added
    for the controls is left out.
    """
    if study.grid == "one_in":
        return ()
    plain = tuple(variant for variant in study.variants if set(variant.departures) <= set(study.components))
    for design in (plain, tuple(variant for variant in plain if variant.departures)):
        if _is_balanced(_coded(design, study.components)):
            return design
    return plain if study.grid in ("full", "fractional") else ()


def mean_interval(values: Sequence[float] | pd.Series[float]) -> tuple[float, float, float]:
    """Mean of the finite values and its 95% t interval; nan bounds for fewer than two."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size < 2:
        return (float(finite[0]) if finite.size else nan), nan, nan
    half = stats.sem(finite) * stats.t.ppf((1 + LEVEL) / 2, finite.size - 1)
    return float(finite.mean()), float(finite.mean() - half), float(finite.mean() + half)


def _one_out(departure: Departure) -> Contrast:
    component, level = departure
    departed = Variant(departures=(departure,)).label
    return Contrast(component=component, level=level, kind="one out", departed=departed, kept=REFERENCE.label)


def _one_in(base: Variant, departure: Departure) -> Contrast:
    component, level = departure
    without = Variant(departures=tuple(other for other in base.departures if other != departure))
    return Contrast(component=component, level=level, kind="one in", departed=base.label, kept=without.label)


def _everything(study: Study) -> Variant:
    """The variant with the most departures: all of them, unless some cannot be combined."""
    return max(study.variants, key=lambda variant: len(set(variant.departures) & set(study.components)))


def _usable(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    return table[(table["status"] == DONE) & np.isfinite(table[metric].astype(float))]


def _pairs(outcomes: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """The seeds for which both arms finished: columns departed, kept."""
    empty = pd.Series(index=outcomes.index, dtype=float)
    arms = {
        "departed": outcomes.get(contrast.departed, empty),
        "kept": outcomes.get(contrast.kept, empty),
    }
    return pd.DataFrame(arms).dropna()


def _paired(outcomes: pd.DataFrame, contrast: Contrast, metric: str) -> Effect:
    pairs = _pairs(outcomes, contrast)
    departed, kept = pairs["departed"].to_numpy(dtype=float), pairs["kept"].to_numpy(dtype=float)
    n = len(pairs)
    estimate = float(np.mean(departed - kept)) if n else nan
    low, high, p = _paired_t(departed, kept)
    return Effect(
        component=contrast.component,
        level=contrast.level,
        metric=metric,
        kind=contrast.kind,
        estimate=estimate,
        low=low,
        high=high,
        p=p,
        n=n,
        correlation=_correlation(departed, kept),
        method=f"paired t over {n} seeds" if n > 1 else "one seed: no interval" if n else "no finished pair",
    )


def _paired_t(departed: np.ndarray, kept: np.ndarray) -> tuple[float, float, float]:
    """Low, high and two-sided p; where all pairs differ by the same, the interval is that number and p nan."""
    change = departed - kept
    if change.size < 2:
        return nan, nan, nan
    if _is_constant(change):
        return float(change[0]), float(change[0]), nan
    test = stats.ttest_rel(departed, kept)
    interval = test.confidence_interval(LEVEL)
    return float(interval.low), float(interval.high), float(test.pvalue)


def _correlation(departed: np.ndarray, kept: np.ndarray) -> float:
    if departed.size < 3 or _is_constant(departed) or _is_constant(kept):
        return nan
    return float(stats.pearsonr(departed, kept).statistic)


def _is_constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= 1e-9


def _coded(variants: Sequence[Variant], components: Sequence[Departure]) -> np.ndarray:
    """[variants, components], +1 where the departure is made and -1 where not."""
    rows = [[1 if departure in variant.departures else -1 for departure in components] for variant in variants]
    return np.array(rows, dtype=float).reshape(len(variants), len(components))


def _is_balanced(coded: np.ndarray) -> bool:
    runs, factors = coded.shape
    gram = coded.T @ coded
    return bool(runs > factors > 1 and not coded.sum(axis=0).any() and np.array_equal(gram, runs * np.eye(factors)))


def _halves(design: Sequence[Variant], outcomes: pd.DataFrame, departure: Departure) -> pd.Series[float]:
    """Mean with the departure minus mean without it, for each seed whose whole design finished."""
    labels = [variant.label for variant in design]
    if not labels or not set(labels) <= set(outcomes.columns):
        return pd.Series(dtype=float)
    complete = outcomes[labels].dropna()
    made = [variant.label for variant in design if departure in variant.departures]
    return complete[made].mean(axis=1) - complete.drop(columns=made).mean(axis=1)


def _main(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    return [effect for effect in _factorial(study, table, metric) if effect.kind == "main"]


def _factorial(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Main effects and, for a full factorial, interactions: twice the coefficients of one least-squares fit.

    +-1 coding, one constant for each seed (blocks).  All interactions beyond two-way count as noise.
    """
    design = {variant.label: variant for variant in factorial_design(study)}
    if not design:
        return []
    full = study.grid == "full" or len(design) == 2 ** len(study.components)
    terms: list[tuple[Departure, ...]] = [(departure,) for departure in study.components]
    if full:
        terms += [pair for pair in combinations(study.components, 2) if pair[0][0] != pair[1][0]]
    rows = _usable(table, metric) if metric in table else table.iloc[:0]
    rows = rows[rows["variant"].isin(design)]
    coded = _coded([design[label] for label in rows["variant"]], study.components)
    columns = {departure: coded[:, index] for index, departure in enumerate(study.components)}
    products = [np.prod([columns[departure] for departure in term], axis=0) for term in terms]
    blocks = pd.get_dummies(rows["seed"], dtype=float).to_numpy()
    outcome = rows[metric].to_numpy(dtype=float) if len(rows) else np.empty(0)
    numbers, method = _least_squares(outcome, np.column_stack([*products, blocks]), len(terms))
    tail = ", with all two-way interactions" if full else "; main effects only, aliased with interactions"
    return [_term(term, metric, row, len(rows), method + tail) for term, row in zip(terms, numbers, strict=True)]


def _least_squares(outcome: np.ndarray, columns: np.ndarray, terms: int) -> tuple[np.ndarray, str]:
    """[terms, 4]: effect, low, high, p; nan where the finished trials cannot tell.  And how it was had."""
    sm: Any = importlib.import_module("statsmodels.api")  # slow, only factorials need it, and it is untyped
    found = np.full((terms, 4), nan)
    if not outcome.size or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return found, "not estimable: too few finished trials"
    if outcome.size == columns.shape[1]:
        found[:, 0] = 2 * np.linalg.solve(columns, outcome)[:terms]
        return found, "least squares without a spare trial: no interval"
    fit = sm.OLS(outcome, columns).fit()
    found[:, 0] = 2 * fit.params[:terms]
    found[:, 1:3] = 2 * fit.conf_int(1 - LEVEL)[:terms]
    found[:, 3] = fit.pvalues[:terms]
    return found, "least squares on +-1 coding, seeds as blocks"


def _term(term: tuple[Departure, ...], metric: str, row: np.ndarray, trials: int, method: str) -> Effect:
    estimate, low, high, p = (float(number) for number in row)
    return Effect(
        component=" x ".join(component for component, _ in term),
        level=" x ".join(level for _, level in term),
        metric=metric,
        kind="main" if len(term) == 1 else "interaction",
        estimate=estimate,
        low=low,
        high=high,
        p=p,
        n=trials,
        correlation=nan,
        method=f"{method}; n counts trials",
    )
