"""Factorials: main effects and interactions by a contrast for each seed, and the sum of the parts against the whole.

An effect of a design is had from one seed alone, as the mean of half of its variants less that of the others.  Over
seeds these contrasts scatter by what single trials do, and by what a departure does to one seed and not to another.
One residual variance for all trials sees only the first: with five seeds of 2^6 variants its 95% intervals held the
truth in 69% of studies where effects varied between seeds half as much as trials do, and in 54% where as much.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import pandas as pd

from ablations.analysis.statistics import Array, correlation, over_seeds, t_interval, t_test
from ablations.analysis.tables import by_seed
from ablations.analysis.tables import overlap as overlap_of
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.text import counted
from ablations.core.variant import Departure, Variant

INTERACTION = "interaction"
LEVEL = 0.95  # of every interval

Term = tuple[Departure, ...]  # one departure: its main effect; two: their interaction


@dataclass(frozen=True, kw_only=True)
class _Model:
    """What one seed of a design tells; K terms, V variants."""

    terms: tuple[Term, ...]  # main effects first
    weights: Array  # [K, V]: times the outcomes of a seed, its effects; nan where they cannot be told apart
    signs: Array  # [K, V]: 1 on the side where a term counts as departed, -1 on the other
    words: tuple[str, ...]  # of each term: what else it may be, for `Effect.method`


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


def contrast_by_seed(study: Study, outcomes: pd.DataFrame, departure: Departure) -> pd.Series[float]:
    """The main effect of a departure in each seed whose whole design finished; its mean is the estimate."""
    model = _model_of(study)
    if model is None:
        return pd.Series(dtype=float)
    complete = _complete(study, outcomes)
    return complete @ pd.Series(model.weights[model.terms.index((departure,))], index=complete.columns)


def main_effects(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Each component's effect on `metric`, averaged over the settings of the others; empty without a factorial.

    Its mean and its t interval over seeds, n of them, whose whole design finished.
    """
    return [effect for effect in _effects(study, table, metric) if effect.kind == MAIN]


def interactions(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Two-way interactions in the metric's unit; empty without a factorial.

    a x b is half the difference between the effect of a with b departed and with b kept (Box, Hunter and Hunter,
    Statistics for Experimenters, 2nd ed. 2005, chapter 5).  Of those that a fraction cannot tell apart the first
    stands for all, and `aliases` names the others.
    """
    return [effect for effect in _effects(study, table, metric) if effect.kind == INTERACTION]


def aliases(study: Study, effect: Effect) -> tuple[str, ...]:
    """The interactions that the design cannot tell from this one, `c x d`, or `-c x d` where they are subtracted."""
    design = _coded(factorial_design(study), study.components)
    names = effect.component.split(" x ")
    term = tuple(departure for departure in study.components if departure[0] in names)
    return _same_column(design, study.components, term)


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


def _model_of(study: Study) -> _Model | None:
    design = factorial_design(study)
    return _model(design, study.components, study.grid == "full") if design else None


@functools.lru_cache(maxsize=64)
def _model(design: tuple[Variant, ...], components: tuple[Departure, ...], full: bool) -> _Model:
    """Twice the coefficients of least squares on +-1 coding: in a balanced design, differences of two means.

    Main effects, and every two-way interaction whose column is no sum of those before it.  Where variants of a
    fraction could not be made there are no interactions: what is left of it could hardly tell them apart.
    """
    coded = _coded(design, components)
    balanced = _is_balanced(coded)
    pairs = _pairs(components) if balanced or full else []
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


def _pairs(components: Sequence[Departure]) -> list[Term]:
    return [pair for pair in itertools.combinations(components, 2) if pair[0][0] != pair[1][0]]


def _column(coded: Array, components: Sequence[Departure], term: Term) -> Array:
    """[variants] +-1: the product of the columns of a term's departures."""
    columns = coded[:, [components.index(departure) for departure in term]]
    return np.asarray(columns.prod(axis=1))


def _same_column(coded: Array, components: Sequence[Departure], term: Term) -> tuple[str, ...]:
    """The other two-way interactions whose column is that of `term`, or its negative."""
    own, found = _column(coded, components, term), list[str]()
    for pair in _pairs(components):
        column = _column(coded, components, pair)
        if pair != term and abs(own @ column) == len(own):
            found.append(("" if own @ column > 0 else "-") + " x ".join(name for name, _ in pair))
    return tuple(found)


def _words(coded: Array, components: Sequence[Departure], term: Term, balanced: bool) -> str:
    """What a term may be taken for, in words; empty in a full factorial."""
    if not balanced:
        return "by least squares, as the design lacks variants that could not be made"
    if len(coded) == 2 ** len(components):
        return ""
    if same := _same_column(coded, components, term):
        return f"aliased with {', '.join(same)}"
    return "clear of two-way interactions" if len(term) == 1 else "clear of other two-way interactions"


def _complete(study: Study, outcomes: pd.DataFrame) -> pd.DataFrame:
    """[seeds, variants of the design]: the outcomes of the seeds whose whole design finished."""
    labels = [variant.label for variant in factorial_design(study)]
    return outcomes.reindex(columns=labels).dropna()


def _effects(study: Study, table: pd.DataFrame, metric: str) -> list[Effect]:
    """Main effects and then interactions, each from one contrast a seed."""
    model = _model_of(study)
    if model is None:
        return []
    complete, overlap = _complete(study, by_seed(table, metric)), overlap_of(study.setting, table)
    begun = set() if table.empty else set(table.loc[table["variant"].isin(complete.columns), "seed"])
    left_out = len(begun) - len(complete)
    return [_effect(model, index, complete, left_out, metric, overlap) for index in range(len(model.terms))]


def _effect(model: _Model, index: int, complete: pd.DataFrame, left_out: int, metric: str, overlap: float) -> Effect:
    term, signs = model.terms[index], model.signs[index]
    values = complete.to_numpy(dtype=float)
    estimate, error, df = over_seeds(values @ model.weights[index], overlap)
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
        p=t_test(estimate, error, df),
        n=len(values),
        correlation=correlation(*(values[:, signs == side].mean(axis=1) for side in (1, -1))),
        method=_method(model, index, len(values), left_out, overlap),
        error=error,
        df=df,
        spread=over_seeds(values @ model.weights[index])[1] * sqrt(len(values)),
        overlap=overlap,
        departed=departed,
        kept=kept,
    )


def _method(model: _Model, index: int, seeds: int, left_out: int, overlap: float) -> str:
    variants = model.weights.shape[1]
    if not np.isfinite(model.weights[index]).all():
        how = "not estimable: the variants that could be made do not tell it from the others"
    elif seeds > 1:
        how = f"paired t over {seeds} seeds, each with its own contrast of {variants} variants"
        how += ", corrected for the overlap of splits (Nadeau and Bengio 2003)" * (overlap != 0)
    else:
        how = "one seed: no interval" if seeds else f"no seed has finished all {variants} variants"
    left = f"{counted(left_out, 'seed')} left out, as a trial of the design is missing" if left_out else ""
    return "; ".join(filter(None, (how, left, model.words[index])))
