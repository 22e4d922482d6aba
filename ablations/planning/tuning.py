"""The learning rate of each arm, chosen before a study's own trials, with as many trials for each.

The search is a pattern search in the logarithm of the rate (Kolda, Lewis and Torczon 2003, SIAM Review
45:385): first the arm's own rate, then in each round a rate on either side of the best so far, half way to
its neighbour, or four times beyond where it has none.  What to try next is a pure function of the records,
so an interrupted search goes on where it was, on whichever executor, and two runs agree.

At each rate an arm trains under three seeds, and the rate that it gets is where a parabola through the best
and its neighbours is lowest (`ablations.analysis.parabola`).  All of a study's seeds share the rate, so an error in it
does not average out: with one training a rate, and the best of them chosen, a family of six claims without
any effect got a wrong direction in a quarter of studies (`ablations.calibration.tuning` counts it).

Ray Tune spreads the trials but does not choose them.  Its own searchers (Optuna, HyperOpt, Ax, ...) are
made for many dimensions, suggest by the order in which trials happen to end, and keep their state in
pickles beside our records.  ASHA stops a trial that is behind at some epoch, when that epoch is reached by
others, so arms would not get equal budgets and a slow start would count as a loss.  Where trials end at a
threshold, one that has taken twice the steps of the best rate ends without it, and a rate with fewer arrivals
has lost: to have the better mean all the same, its two other trials would have to be 1.4 times as fast as
the best rate's.  A trial that is merely slower than the best rate is no loss, as a mean of three decides.

Light: modules that plan a study import this one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablations.analysis.parabola import CLEARLY, Lowest, Point, lowest
from ablations.core.result import DONE, FINAL, LOOKED, STEPS, TRAINED, Result
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.tuning import Attempt, Tuned, Tuning, TuningTrial, _natural, _outcomes, best, outcome, rank
from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.planning.factors import trains_otherwise
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import Budget

SEED = 1_000_000  # no study has so many seeds, so none of them is used for choosing
SEEDS = 3  # trainings at each rate: SEED and those after it
BEYOND = 4.0  # factor from the best rate to the first one beyond it
SLOWER = 2.0  # times the steps of the best rate, at which a trial of another one has lost


@dataclass(frozen=True, kw_only=True)
class Search:
    """A tuning under way: what each arm has tried, and the trials that must run before it can go on."""

    tuning: Tuning
    missing: tuple[Trial, ...]
    left: int  # trials that are still to run, those of later rounds included
    total: int  # trials in all


def start(study: Study, rates: int, available: int) -> Tuning:
    """The tuning of `study` before anything was tried; `available` images are not held out for validation."""
    budget = replace(study.budget, evaluate_on="validation", train_examples=min(study.budget.train_examples, available))
    return Tuning(rates=rates, seed=SEED, seeds=SEEDS, clearly=CLEARLY, slower=SLOWER, budget=budget)


def advance(study: Study, trials: Sequence[Trial], tuning: Tuning, records: Mapping[str, Result]) -> Search:
    """How far `records`, results by key, bring the tuning of the study's `trials`."""
    found = [_advance(trial, tuning, records) for trial in arms(study, trials)]
    missing = tuple(trial for _, todo, _ in found for trial in todo)
    total = len(found) * tuning.rates * tuning.seeds
    finished = sum(count for _, _, count in found)
    done = () if missing else tuple(arm for arm, _, _ in found)
    return Search(tuning=replace(tuning, arms=done), missing=missing, left=total - finished, total=total)


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
    """`variant` without the departures that have no rate of their own: the arm whose rate it has.

    Those are what evaluation alone reads, and a sabotage: its damage must show under the reference's own recipe, and a
    rate of its own would hide as much of the damage as a rate can.  A placebo has a rate of its own, found with its
    own draws: it is the reference over again, so an effect of it shows the error of the tuning too.
    """
    spec = reference_of(study)
    own = (
        pair
        for pair in variant.departures
        if trains_otherwise(spec, pair) and (pair[0] not in study.controls or _only_draws(spec, pair))
    )
    return Variant(departures=tuple(own))


def tuned(study: Study, departure: tuple[str, str]) -> bool:
    """Whether the rate was tuned for each arm of the study with this departure, and for the reference.

    What evaluation alone reads has the arm that it shares its training with.  False for a sabotage, which has the
    reference's rate, and while the tuning is under way.
    """
    if study.tuning is None:
        return False
    spec = reference_of(study)
    if departure[0] in study.controls and not _only_draws(spec, departure):
        return False
    own = {arm.variant for arm in study.tuning.arms if arm.attempts}
    departed = [arm_of(study, variant) for variant in study.variants if departure in variant.departures]
    reference = [arm_of(study, variant) for variant in study.variants if not variant.departures]
    return bool(departed) and {*departed, *reference} <= own


def _only_draws(spec: Spec, departure: tuple[str, str]) -> bool:
    """Whether a departure changes nothing but the random draws, as a placebo does."""
    return replace(derive(spec, Variant(departures=(departure,))), stream_salt=spec.stream_salt) == spec


def apply(study: Study, trials: Sequence[Trial], tuning: Tuning) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials at the rates that were chosen."""
    factors = {arm.variant: arm.factor for arm in tuning.arms}
    rated = tuple(at_rate(trial, factors[arm_of(study, trial.variant)]) for trial in trials)
    return replace(study, tuning=tuning, keys=tuple(trial.key for trial in rated)), rated


def at_rate(trial: Trial, factor: float) -> Trial:
    """`trial` with its learning rate times `factor`."""
    return replace(trial, spec=replace(trial.spec, learning_rate=trial.spec.learning_rate * factor))


def _advance(trial: Trial, tuning: Tuning, records: Mapping[str, Result]) -> tuple[Tuned, tuple[Trial, ...], int]:
    """What the arm of `trial` has tried, the trials of its round without a final record, and how many have one."""
    attempts: list[Attempt] = []
    while len(attempts) < tuning.rates:
        factors = next_factors(attempts)[: tuning.rates - len(attempts)]
        budget = _capped(tuning, attempts)
        asked = [
            [
                at_rate(replace(trial, seed=tuning.seed + number, budget=budget), factor)
                for number in range(tuning.seeds)
            ]
            for factor in factors
        ]
        keys = [one.key for each in asked for one in each]
        missing = tuple(
            one for each in asked for one in each if one.key not in records or records[one.key].status not in FINAL
        )
        if missing:
            finished = len(attempts) * tuning.seeds + len(keys) - len(missing)
            return Tuned(variant=trial.variant, attempts=tuple(attempts), factor=1.0), missing, finished
        for factor, each in zip(factors, asked, strict=True):
            attempts.append(Attempt(factor=factor, trials=tuple(_trial(records[one.key]) for one in each)))
    factor = chosen(attempts, tuning.clearly)
    return Tuned(variant=trial.variant, attempts=tuple(attempts), factor=factor), (), len(attempts) * tuning.seeds


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


def chosen(attempts: Sequence[Attempt], clearly: float = CLEARLY) -> float:
    """The factor that an arm gets: where the parabola is lowest, or the best of those tried where there is none."""
    found = fitted(attempts, clearly)
    return _rounded(math.exp(found.at)) if found else best(attempts).factor


def fitted(attempts: Sequence[Attempt], clearly: float = CLEARLY) -> Lowest | None:
    """The parabola that chooses the rate: over the factor's natural logarithm, of the errors in percent or of the
    natural logarithms of the steps.

    It goes through rates at which every trial came to an outcome: one that diverged, or that was ended before it
    arrived, has none.  A rate with such a trial is a wall, and what lies behind it is left out.  None where the best
    rate has such a trial itself, where the rates are too few, and where `clearly` is 0.
    """
    if not clearly:
        return None
    timed = _arrives(attempts)
    ranked = sorted(attempts, key=lambda one: one.factor)
    for whole, side_by_side in itertools.groupby(ranked, key=lambda one: None not in _outcomes(one, timed)):
        near = list(side_by_side)
        if whole and best(attempts) in near:
            return lowest([_point(one, timed) for one in near], clearly)
    return None


def came_to(tuning: Tuning, arm: Tuned) -> float | None:
    """What the chosen rate came to, as `outcome`; by the parabola where it was not tried itself.

    None where a trial has no outcome there, and where the arm never arrived at a threshold, so that errors chose.
    """
    tried = next((one for one in arm.attempts if one.factor == arm.factor), None)
    if tried is not None:
        return outcome(tuning, tried)
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.budget.threshold_percent is not None
    return _natural(found.value, timed) if found and timed == _arrives(arm.attempts) else None


def cost(tuning: Tuning, arm: Tuned) -> float | None:
    """What not knowing the best rate better is expected to cost an arm: points of error, or percent of its steps.

    The parabola's curvature times the variance of its lowest place, by the delta method.  None without a parabola, and
    where the arm never arrived at a threshold, so that its errors chose.
    """
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.budget.threshold_percent is not None
    if found is None or timed != _arrives(arm.attempts):
        return None
    return 100 * math.expm1(found.cost) if timed else found.cost


def _arrives(attempts: Sequence[Attempt]) -> bool:
    """Whether any trial arrived at a threshold, so that steps choose, and not errors."""
    return any(one.steps_to_threshold is not None for attempt in attempts for one in attempt.trials)


def _point(attempt: Attempt, timed: bool) -> Point:
    values = [value for value in _outcomes(attempt, timed) if value is not None]
    return Point(at=math.log(attempt.factor), outcomes=tuple(values))


def _capped(tuning: Tuning, attempts: Sequence[Attempt]) -> Budget:
    """The budget, ended at so many times the steps of the best rate so far, where all trials of that arrived."""
    budget = tuning.budget
    if not attempts or not budget.stop_at_threshold:
        return budget
    missed, log_steps = rank(best(attempts))
    if missed:
        return budget
    # Rounded, as the last digits of a logarithm differ between machines, and the number is part of the trials' keys.
    return replace(budget, max_steps=min(math.ceil(round(tuning.slower * math.exp(log_steps), 6)), budget.steps))


def _trial(result: Result) -> TuningTrial:
    budget, metrics = result.trial.budget, result.metrics if result.status == DONE else {}
    named = LOOKED if budget.threshold_percent is not None else f"{budget.evaluate_on}_top1_error_percent"
    return TuningTrial(
        key=result.trial.key,
        status=result.status,
        steps_to_threshold=metrics.get(STEPS),
        steps=int(metrics.get(TRAINED, budget.steps if result.status == DONE else 0)),
        error_percent=metrics.get(named),
    )


def _rounded(factor: float) -> float:
    """Three digits, so that a rate can be read."""
    return float(f"{factor:.3g}")
