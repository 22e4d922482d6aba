"""Factorial designs: main effects and interactions by least squares, and the sum of the parts against the whole."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from ablations.declaration import MAIN
from ablations.statistics import t_interval, t_test
from ablations.tables import by_seed, usable
from ablations.types import Effect, Study, Variant

INTERACTION = "interaction"
LEVEL = 0.95  # of every interval

Departure = tuple[str, str]  # (component, level)


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


def halves(study: Study, outcomes: pd.DataFrame, departure: Departure) -> pd.Series[float]:
    """Mean with the departure minus mean without it, for each seed whose whole design finished."""
    design = factorial_design(study)
    labels = [variant.label for variant in design]
    if not labels or not set(labels) <= set(outcomes.columns):
        return pd.Series(dtype=float)
    complete = outcomes[labels].dropna()
    made = [variant.label for variant in design if departure in variant.departures]
    return complete[made].mean(axis=1) - complete.drop(columns=made).mean(axis=1)


def main_effects(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Each component's effect on `metric`, averaged over the settings of the others; empty without a factorial."""
    return [effect for effect in _terms(study, table, metric) if effect.kind == MAIN]


def interactions(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Two-way interactions of a full factorial, in the metric's unit; empty for other designs.

    a x b is half the difference between the effect of a with b departed and with b kept
    (Box, Hunter and Hunter, Statistics for Experimenters, 2nd ed. 2005, chapter 5).
    """
    return [effect for effect in _terms(study, table, metric) if effect.kind == INTERACTION]


def parts_and_whole(study: Study, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Per seed: the sum of the effects of single changes, and the effect of all of them at once.

    Columns parts, whole; seeds of which a trial is missing are left out, and all are where the study lacks a variant.
    """
    outcomes = by_seed(table, metric)
    singles = [Variant(departures=(departure,)).label for departure in study.components]
    empty = pd.DataFrame(columns=["parts", "whole"], dtype=float)
    if len({name for name, _ in study.components}) < max(2, len(singles)):
        return empty  # two levels of one component cannot be made at once
    everything = Variant(departures=study.components).label
    reference = Variant().label
    needed = [reference, everything, *singles]
    if not set(needed) <= set(outcomes.columns):
        return empty
    complete = outcomes[needed].dropna()
    kept = complete[reference]
    parts = complete[singles].sub(kept, axis=0).sum(axis=1)
    return pd.DataFrame({"parts": parts, "whole": complete[everything] - kept})


def _coded(variants: Sequence[Variant], components: Sequence[Departure]) -> np.ndarray:
    """[variants, components], +1 where the departure is made and -1 where not."""
    rows = [[1 if departure in variant.departures else -1 for departure in components] for variant in variants]
    return np.array(rows, dtype=float).reshape(len(variants), len(components))


def _is_balanced(coded: np.ndarray) -> bool:
    runs, factors = coded.shape
    gram = coded.T @ coded
    return bool(runs > factors > 1 and not coded.sum(axis=0).any() and np.array_equal(gram, runs * np.eye(factors)))


def _terms(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
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
    rows = usable(table, metric)
    rows = rows[rows["variant"].isin(design)]
    coded = _coded([design[label] for label in rows["variant"]], study.components)
    columns = {departure: coded[:, index] for index, departure in enumerate(study.components)}
    products = [np.prod([columns[departure] for departure in term], axis=0) for term in terms]
    blocks = pd.get_dummies(rows["seed"], dtype=float).to_numpy()
    outcome = rows[metric].to_numpy(dtype=float) if len(rows) else np.empty(0)
    values, errors, df, method = _least_squares(outcome, np.column_stack([*products, blocks]), len(terms))
    tail = ", with all two-way interactions" if full else "; main effects only, aliased with interactions"
    return [
        _term(term, metric, design, value, error, df, len(rows), method + tail)
        for term, value, error in zip(terms, values, errors, strict=True)
    ]


def _least_squares(outcome: np.ndarray, columns: np.ndarray, terms: int) -> tuple[np.ndarray, np.ndarray, float, str]:
    """[terms] effects, [terms] standard errors, degrees of freedom; nan where the finished trials cannot tell."""
    sm: Any = importlib.import_module("statsmodels.api")  # slow, only factorials need it, and it is untyped
    unknown = np.full(terms, nan)
    if not outcome.size or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return unknown, unknown, nan, "not estimable: too few finished trials"
    if outcome.size == columns.shape[1]:
        solved = 2 * np.linalg.solve(columns, outcome)[:terms]
        return solved, unknown, nan, "least squares without a spare trial: no interval"
    fit = sm.OLS(outcome, columns).fit()
    method = "least squares on +-1 coding, seeds as blocks"
    return 2 * fit.params[:terms], 2 * fit.bse[:terms], float(fit.df_resid), method


def _term(
    term: tuple[Departure, ...],
    metric: str,
    design: Mapping[str, Variant],
    value: float,
    error: float,
    df: float,
    trials: int,
    method: str,
) -> Effect:
    low, high = t_interval(float(value), float(error), df, LEVEL)
    # The runs on either side of a main effect; an interaction has no such sides.
    made = {label for label, variant in design.items() if len(term) == 1 and term[0] in variant.departures}
    return Effect(
        component=" x ".join(component for component, _ in term),
        level=" x ".join(level for _, level in term),
        metric=metric,
        kind=MAIN if len(term) == 1 else INTERACTION,
        estimate=float(value),
        low=low,
        high=high,
        p=t_test(float(value), float(error), df),
        n=trials,
        correlation=nan,
        method=f"{method}; n counts trials",
        error=float(error),
        df=df,
        spread=float(error) * sqrt(trials / 2),  # an effect averages trials / 2 pairs
        departed=tuple(label for label in design if label in made),
        kept=tuple(label for label in design if made and label not in made),
    )
