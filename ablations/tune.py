"""The learning rate of each arm, chosen before a study's own trials, with as many trials for each arm.

The search is a pattern search in the logarithm of the rate (Kolda, Lewis and Torczon 2003, SIAM Review
45:385): first the arm's own rate, then in each round a rate on either side of the best so far, half way to
its neighbour, or four times beyond where it has none.  What to try next is a pure function of the records,
so an interrupted search goes on where it was, on whichever executor, and two runs agree.

Ray Tune spreads the trials but does not choose them.  Its own searchers (Optuna, HyperOpt, Ax, ...) are
made for many dimensions, suggest by the order in which trials happen to end, and keep their state in
pickles beside our records.  ASHA stops a trial that is behind at some epoch, when that epoch is reached by
others, so arms would not get equal budgets and a slow start would count as a loss.  With a threshold to
reach there is an exact rule instead: a trial that has taken as many steps as the best of its arm has lost.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablations.registry import derive, trains_otherwise
from ablations.threshold import LOOKED, STEPS, TRAINED
from ablations.types import DONE, FINAL, Attempt, Budget, Result, Study, Trial, Tuned, Tuning, Variant
from models.presets import PRESETS
from models.spec import Spec

SEED = 1_000_000  # no study has so many seeds, so none of them is used for choosing
BEYOND = 4.0  # factor from the best rate to the first one beyond it


@dataclass(frozen=True, kw_only=True)
class Search:
    """A tuning under way: what each arm has tried, and the trials that must run before it can go on."""

    tuning: Tuning
    missing: tuple[Trial, ...]
    left: int  # trials that are still to run, those of later rounds included


def start(study: Study, trials: int, available: int) -> Tuning:
    """The tuning of `study` before anything was tried; `available` images are not held out for validation."""
    budget = replace(study.budget, evaluate_on="validation", train_examples=min(study.budget.train_examples, available))
    return Tuning(trials=trials, seed=SEED, budget=budget)


def advance(study: Study, trials: Sequence[Trial], tuning: Tuning, records: Mapping[str, Result]) -> Search:
    """How far `records`, results by key, bring the tuning of the study's `trials`.

    Controls are not tuned, and share the rate of the arm that they depart from: a placebo's best rate is
    that arm's by construction, and sabotage must show under the same recipe.
    """
    found = [_advance(trial, tuning, records) for trial in arms(study, trials)]
    missing = tuple(trial for _, todo in found for trial in todo)
    left = sum(tuning.trials - len(arm.attempts) for arm, _ in found)
    done = () if missing else tuple(arm for arm, _ in found)
    return Search(tuning=replace(tuning, arms=done), missing=missing, left=left)


def arms(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """One untuned trial of each arm whose rate is chosen, in the study's order."""
    first: dict[Variant, Trial] = {}
    for trial in trials:
        arm = arm_of(study, trial.variant)
        first.setdefault(arm, replace(trial, variant=arm, spec=derive(reference_of(study), arm)))
    return list(first.values())


def reference_of(study: Study) -> Spec:
    """What the study's variants depart from."""
    return study.budget.sized(PRESETS[study.preset].spec)


def arm_of(study: Study, variant: Variant) -> Variant:
    """`variant` without the controls and without what evaluation alone reads: the arm whose rate it has."""
    spec = reference_of(study)
    own = (pair for pair in variant.departures if pair[0] not in study.controls and trains_otherwise(spec, pair))
    return Variant(departures=tuple(own))


def apply(study: Study, trials: Sequence[Trial], tuning: Tuning) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials at the rates that were chosen."""
    factors = {arm.variant: arm.factor for arm in tuning.arms}
    tuned = tuple(at_rate(trial, factors[arm_of(study, trial.variant)]) for trial in trials)
    return replace(study, tuning=tuning, keys=tuple(trial.key for trial in tuned)), tuned


def at_rate(trial: Trial, factor: float) -> Trial:
    """`trial` with its learning rate times `factor`."""
    return replace(trial, spec=replace(trial.spec, learning_rate=trial.spec.learning_rate * factor))


def said(tuning: Tuning) -> list[str]:
    """A line an arm: the rate that was chosen, and whether a better one may lie beyond."""
    lines = []
    for arm in tuning.arms:
        chosen = best(arm.attempts)
        came_to = (
            f"{chosen.steps_to_threshold:,.0f} steps to {tuning.budget.threshold_percent:g}% training error"
            if chosen.steps_to_threshold is not None
            else f"{chosen.error_percent:.1f}% error"
            if chosen.error_percent is not None
            else "diverged at every rate"
        )
        edge = "; it lies at the edge of what was tried, so a better one may lie beyond" if at_edge(arm) else ""
        lines.append(f"tuned     {arm.variant.label}: {arm.factor:g} times its own rate ({came_to}){edge}")
    return lines


def _advance(trial: Trial, tuning: Tuning, records: Mapping[str, Result]) -> tuple[Tuned, tuple[Trial, ...]]:
    """What the arm of `trial` has tried, and the trials of its round that have no final record."""
    attempts: list[Attempt] = []
    while len(attempts) < tuning.trials:
        factors = next_factors(attempts)[: tuning.trials - len(attempts)]
        budget = _capped(tuning.budget, attempts)
        asked = [at_rate(replace(trial, seed=tuning.seed, budget=budget), factor) for factor in factors]
        missing = tuple(one for one in asked if one.key not in records or records[one.key].status not in FINAL)
        attempts += [
            _attempt(factor, records[one.key]) for factor, one in zip(factors, asked, strict=True) if one not in missing
        ]
        if missing:
            return Tuned(variant=trial.variant, attempts=tuple(attempts), factor=1.0), missing
    return Tuned(variant=trial.variant, attempts=tuple(attempts), factor=best(attempts).factor), ()


def next_factors(attempts: Sequence[Attempt]) -> list[float]:
    """What to try after `attempts`: on either side of the best, the more promising side first.

    That is a side on which nothing was tried yet, or else that of the better neighbour.
    """
    if not attempts:
        return [1.0]
    ranked = sorted(attempts, key=lambda one: one.factor)
    middle = ranked.index(best(attempts))
    sides: list[tuple[tuple[float, ...], float]] = []
    for beside, beyond in ((middle - 1, 1 / BEYOND), (middle + 1, BEYOND)):
        if 0 <= beside < len(ranked):
            neighbour = ranked[beside]
            sides.append((rank(neighbour), math.sqrt(neighbour.factor * ranked[middle].factor)))
        else:
            sides.append(((-1.0,), ranked[middle].factor * beyond))
    return [_rounded(factor) for _, factor in sorted(sides)]


def best(attempts: Sequence[Attempt]) -> Attempt:
    """The fastest to the threshold, else the lowest error, else, of those that diverged, the lowest rate."""
    return min(attempts, key=lambda one: (*rank(one), one.factor))


def rank(attempt: Attempt) -> tuple[float, float]:
    """The lower the better: arrivals by their steps, then errors, then what diverged."""
    if attempt.steps_to_threshold is not None:
        return 0, attempt.steps_to_threshold
    return (1, attempt.error_percent) if attempt.error_percent is not None else (2, math.inf)


def outcome(tuning: Tuning, attempt: Attempt) -> float | None:
    """The steps to the threshold where the budget has one, else the error; None where there is none."""
    return attempt.steps_to_threshold if tuning.budget.threshold_percent is not None else attempt.error_percent


def at_edge(arm: Tuned) -> bool:
    """Whether the best rate is the lowest or the highest that was tried, so that a better one may lie beyond."""
    factors = [one.factor for one in arm.attempts]
    return arm.factor in (min(factors), max(factors))


def _capped(budget: Budget, attempts: Sequence[Attempt]) -> Budget:
    """`budget`, ended at the steps of the best arrival so far: what takes longer has lost."""
    arrivals = [one.steps_to_threshold for one in attempts if one.steps_to_threshold is not None]
    if not arrivals or not budget.stop_at_threshold:
        return budget
    return replace(budget, max_steps=min(math.ceil(min(arrivals)), budget.steps))


def _attempt(factor: float, result: Result) -> Attempt:
    budget, metrics = result.trial.budget, result.metrics
    named = LOOKED if budget.threshold_percent is not None else f"{budget.evaluate_on}_top1_error_percent"
    return Attempt(
        factor=factor,
        key=result.trial.key,
        status=result.status,
        steps_to_threshold=metrics.get(STEPS),
        steps=int(metrics.get(TRAINED, budget.steps if result.status == DONE else 0)),
        error_percent=metrics.get(named),
    )


def _rounded(factor: float) -> float:
    """Three digits, so that a rate can be read."""
    return float(f"{factor:.3g}")


def tuned(study: Study, departure: tuple[str, str]) -> bool:
    """Whether the arm of a (component, level) pair had its learning rate chosen for itself."""
    return study.tuning is not None and any(departure in arm.variant.departures for arm in study.tuning.arms)
