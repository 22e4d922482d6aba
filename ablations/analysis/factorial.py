"""Factorials: main effects and interactions by one contrast per seed, and the sum of the parts against the whole.

One seed of a design is enough to estimate an effect: the mean of half of its variants less the mean of the others.  The
effect is the mean of these contrasts, and its interval is a t interval over seeds.  Contrasts scatter for two reasons:
single trainings scatter, and an effect differs from seed to seed.  An analysis of variance with one residual variance
for all trials sees only the first reason.  In simulated studies with five seeds of 2^6 variants, its 95% intervals held
the truth in only 69% of studies if effects varied between seeds half as much as single trials do, and in 54% if they
varied as much.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import pandas as pd

from ablations.analysis.statistics import LEVEL, Array, correlation, holm, largest, over_seeds, p_of_mean, t_interval
from ablations.analysis.tables import Outcomes
from ablations.analysis.tables import overlap as overlap_of
from ablations.core.claim import MAIN, ONE_IN
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.text import counted, few
from ablations.core.variant import Departure, Variant

INTERACTION = "interaction"
Term = tuple[Departure, ...]  # one departure: its main effect; two: their interaction


@dataclass(frozen=True, kw_only=True)
class _Model:
    """How the effects of a design follow from the outcomes of one seed; K terms, V variants."""

    terms: tuple[Term, ...]  # main effects first
    weights: Array  # (K, V): multiplied by a seed's outcomes (V,) it gives the effects; nan: not estimable
    signs: Array  # (K, V): 1 for variants on the departed side of a term, -1 for those on the other
    words: tuple[str, ...]  # of each term: what it may be confused with, for `Effect.method`


def factorial_design(study: Study) -> tuple[Variant, ...]:
    """Returns the variants of the factorial in `study`; empty if there is none.

    They are balanced and orthogonal in the components, or the grid says that they are meant to be.  A reference that
    was added only for the controls is left out.
    """
    if study.estimand == ONE_IN:
        return ()
    plain = tuple(variant for variant in study.variants if set(variant.departures) <= set(study.components))
    for design in (plain, tuple(variant for variant in plain if variant.departures)):
        if _is_balanced(_coded(design, study.components)):
            return design
    return plain if study.factorial else ()


def contrast_by_seed(study: Study, by_seed: pd.DataFrame, departure: Departure) -> pd.Series[float]:
    """Returns the contrast of a departure for each seed whose whole design finished; the mean is the main effect."""
    model = _model_of(study)
    if model is None:
        return pd.Series(dtype=float)
    complete = _complete(study, by_seed)
    return complete @ pd.Series(model.weights[model.terms.index((departure,))], index=complete.columns)


def main_effects(study: Study, outcomes: Outcomes, metric: str) -> list[Effect]:
    """Returns each component's effect on `metric`, averaged over settings of the others; empty without a factorial.

    Estimate and interval are over the n seeds whose whole design finished.
    """
    return [effect for effect in _effects(study, outcomes, metric) if effect.kind == MAIN]


def interactions(study: Study, outcomes: Outcomes, metric: str) -> list[Effect]:
    """Returns the two-way interactions in the metric's unit; none without a factorial.

    The interaction a x b is half the difference between the effect of a with b departed and with b kept (Box, Hunter
    and Hunter, Statistics for Experimenters, 2nd ed. 2005, chapter 5).  Of interactions that a fraction cannot tell
    apart, only the first is returned; `aliases` names the others.
    """
    return [effect for effect in _effects(study, outcomes, metric) if effect.kind == INTERACTION]


def clear_interactions(study: Study, outcomes: Outcomes, metric: str, alpha: float) -> list[Effect]:
    """Returns the two-way interactions of which Holm's p, over all of them, is below `alpha`, the largest first."""
    found = interactions(study, outcomes, metric)
    clear = [one for one, p in zip(found, holm([one.p for one in found]), strict=True) if p < alpha]
    return sorted(clear, key=lambda one: -abs(one.estimate))


def aliases(study: Study, effect: Effect, order: int = 2) -> tuple[str, ...]:
    """Returns the interactions of `order` components that the design cannot tell from this effect, a main effect or an
    interaction: `c x d`, or `-c x d` if subtracted.
    """
    design = _coded(factorial_design(study), study.components)
    names = effect.component.split(" x ")
    term = tuple(departure for departure in study.components if departure[0] in names)
    return _same_column(design, study.components, term, order)


def parts_and_whole(study: Study, outcomes: Outcomes, metric: str) -> pd.DataFrame:
    """Returns, per seed, the sum of the effects of single changes and the effect of all of them at once.

    The columns are parts and whole.  Seeds with a missing trial are left out.  The table is empty if the study lacks
    one of the variants.
    """
    by_seed = outcomes.by_seed(metric)
    singles = [Variant(departures=(departure,)).label for departure in study.components]
    empty = pd.DataFrame(columns=["parts", "whole"], dtype=float)
    if len({name for name, _ in study.components}) < max(2, len(singles)):
        return empty  # two levels of one component cannot be made at once
    everything = Variant(departures=study.components).label
    reference = Variant().label
    needed = [reference, everything, *singles]
    if not set(needed) <= set(by_seed.columns):
        return empty
    complete = by_seed[needed].dropna()
    kept = complete[reference]
    parts = complete[singles].sub(kept, axis=0).sum(axis=1)
    return pd.DataFrame({"parts": parts, "whole": complete[everything] - kept})


def _coded(variants: Sequence[Variant], components: Sequence[Departure]) -> np.ndarray:
    """Returns (variants, components): +1 if a variant has the departure, otherwise -1."""
    rows = [[1 if departure in variant.departures else -1 for departure in components] for variant in variants]
    return np.array(rows, dtype=float).reshape(len(variants), len(components))


def _is_balanced(coded: np.ndarray) -> bool:
    """Tells whether columns of +-1 have as many of each and are orthogonal, with more runs than factors."""
    runs, factors = coded.shape
    gram = coded.T @ coded
    return bool(runs > factors > 1 and not coded.sum(axis=0).any() and np.array_equal(gram, runs * np.eye(factors)))


def _model_of(study: Study) -> _Model | None:
    design = factorial_design(study)
    return _model(design, study.components, not study.aliases) if design else None


@functools.lru_cache(maxsize=64)
def _model(design: tuple[Variant, ...], components: tuple[Departure, ...], full: bool) -> _Model:
    """Returns the weights of a design: twice the coefficients of least squares on columns of +-1.

    In a balanced design these are differences of two means.  The terms are the main effects and every two-way
    interaction whose column is linearly independent of those before it.  A fraction of which some variants could not be
    made has no interactions, because what is left of it could hardly tell them apart.
    """
    coded = _coded(design, components)
    balanced = _is_balanced(coded)
    pairs = _interactions(components, 2) if balanced or full else []
    columns, known = [np.ones(len(design))], list[Term]()
    for term in [*((departure,) for departure in components), *pairs]:
        column = _column(coded, components, term)
        if np.linalg.matrix_rank(np.column_stack([*columns, column])) > len(columns):
            columns.append(column)
            known.append(term)
    solved = dict(zip(known, 2 * np.linalg.pinv(np.column_stack(columns))[1:], strict=True))
    terms = (*((departure,) for departure in components), *(term for term in known if len(term) > 1))
    return _Model(
        terms=terms,
        weights=np.array([solved.get(term, np.full(len(design), nan)) for term in terms]),
        signs=np.array([_column(coded, components, term) for term in terms]),
        words=tuple(_words(coded, components, term, balanced) for term in terms),
    )


def _interactions(components: Sequence[Departure], order: int) -> list[Term]:
    """Returns the interactions of `order` components, as terms."""
    terms = itertools.combinations(components, order)
    return [term for term in terms if len({name for name, _ in term}) == order]


def _column(coded: Array, components: Sequence[Departure], term: Term) -> Array:
    """Returns the column of a term (variants,), +-1: the product of the columns of its departures."""
    columns = coded[:, [components.index(departure) for departure in term]]
    return np.asarray(columns.prod(axis=1))


def _same_column(coded: Array, components: Sequence[Departure], term: Term, order: int = 2) -> tuple[str, ...]:
    """Returns the other interactions of `order` components with the same column as `term`, or its negative (with a
    minus).
    """
    own, found = _column(coded, components, term), list[str]()
    for other in _interactions(components, order):
        column = _column(coded, components, other)
        if other != term and abs(own @ column) == len(own):
            found.append(("" if own @ column > 0 else "-") + " x ".join(name for name, _ in other))
    return tuple(found)


def _words(coded: Array, components: Sequence[Departure], term: Term, balanced: bool) -> str:
    """Returns what a term may be confused with, in words; empty in a full factorial."""
    if len(coded) == 2 ** len(components):
        return ""
    if not balanced:
        return "by least squares, as the design lacks variants that could not be made"
    if same := _same_column(coded, components, term):
        return f"aliased with {', '.join(same)}"
    if len(term) > 1:
        return "clear of other two-way interactions"
    same = _same_column(coded, components, term, 3)
    return f"clear of two-way interactions{f', but aliased with {few(same, 3)}' if same else ''}"


def _complete(study: Study, by_seed: pd.DataFrame) -> pd.DataFrame:
    """Returns the outcomes (seeds, variants of the design) of the seeds whose whole design finished."""
    labels = [variant.label for variant in factorial_design(study)]
    return by_seed.reindex(columns=labels).dropna()


def _effects(study: Study, outcomes: Outcomes, metric: str) -> list[Effect]:
    """Returns the main effects and then the interactions, each from one contrast per seed."""
    model = _model_of(study)
    if model is None:
        return []
    table = outcomes.table
    complete, overlap = _complete(study, outcomes.by_seed(metric)), overlap_of(study.setting, table)
    begun = set() if table.empty else set(table.loc[table["variant"].isin(complete.columns), "seed"])
    left_out = len(begun) - len(complete)
    return [_effect(model, index, complete, left_out, metric, overlap) for index in range(len(model.terms))]


def _effect(model: _Model, index: int, complete: pd.DataFrame, left_out: int, metric: str, overlap: float) -> Effect:
    """Returns the effect of one term; `left_out` is the number of seeds with a missing trial."""
    term, signs = model.terms[index], model.signs[index]
    values = complete.to_numpy(dtype=float)
    by_seed, size = values @ model.weights[index], largest(values)
    estimate, error, df = over_seeds(by_seed, overlap, size)
    low, high = t_interval(estimate, error, df, LEVEL)
    departed, kept = (tuple(map(str, complete.columns[signs == side])) for side in (1, -1))
    return Effect(
        component=" x ".join(component for component, _ in term),
        level=" x ".join(level for _, level in term),
        metric=metric,
        kind=MAIN if len(term) == 1 else INTERACTION,
        estimate=estimate,
        low=low,
        high=high,
        p=p_of_mean(estimate, error, df, overlap),
        n=len(values),
        correlation=correlation(*(values[:, signs == side].mean(axis=1) for side in (1, -1))),
        method=_method(model, index, len(values), left_out, overlap, same=estimate if error == 0 else None),
        error=error,
        df=df,
        spread=over_seeds(by_seed, size=size)[1] * sqrt(len(values)),
        overlap=overlap,
        departed=departed,
        kept=kept,
    )


def _method(model: _Model, index: int, seeds: int, left_out: int, overlap: float, *, same: float | None) -> str:
    """Returns how an effect was computed; `same` is the contrast of every seed if all are equal."""
    variants = model.weights.shape[1]
    if not np.isfinite(model.weights[index]).all():
        how = "not estimable: the variants that could be made do not tell it from the others"
    elif same == 0:
        how = f"a contrast of {variants} variants that is zero in all {seeds} seeds, so neither an interval nor a p"
    elif same is not None:
        how = f"the same contrast of {variants} variants in all {seeds} seeds, so no interval, and "
        how += "no p, as splits overlap" if overlap != 0 else "the exact p of flipping its signs"
    elif seeds > 1:
        how = f"paired t over {seeds} seeds, each with its own contrast of {variants} variants"
        how += ", corrected for the overlap of splits (Nadeau and Bengio 2003)" * (overlap != 0)
    else:
        how = "one seed: no interval" if seeds else f"no seed has finished all {variants} variants"
    left = f"{counted(left_out, 'seed')} left out, as a trial of the design is missing" if left_out else ""
    return "; ".join(filter(None, (how, left, model.words[index])))
