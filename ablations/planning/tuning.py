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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablations.analysis.parabola import CLEARLY
from ablations.analysis.tuning import arm_of, chosen, rounded
from ablations.core.load import load
from ablations.core.result import DONE, FINAL, LOOKED, STEPS, TRAINED, Result
from ablations.core.setting import Config
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.tuning import Attempt, Tuned, Tuning, TuningTrial, best, rank
from ablations.core.variant import Variant

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


def start(study: Study, rates: int) -> Tuning:
    """The tuning of `study` before anything was tried."""
    setting = load(study.subject).for_tuning(study.setting)
    return Tuning(rates=rates, seed=SEED, seeds=SEEDS, clearly=CLEARLY, slower=SLOWER, setting=setting)


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
    subject = load(study.subject)
    first: dict[Variant, Trial] = {}
    for trial in trials:
        arm = arm_of(study, trial.variant)
        first.setdefault(arm, replace(trial, variant=arm, config=subject.configure(study.setting, arm.departures)))
    return list(first.values())


def apply(study: Study, trials: Sequence[Trial], tuning: Tuning) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials at the rates that were chosen."""
    factors = {arm.variant: arm.factor for arm in tuning.arms}
    rated = tuple(at_rate(trial, factors[arm_of(study, trial.variant)]) for trial in trials)
    return replace(study, tuning=tuning, keys=tuple(trial.key for trial in rated)), rated


def at_rate(trial: Trial, factor: float) -> Trial:
    """`trial` with its learning rate times `factor`."""
    return replace(trial, config=load(trial.subject).at_rate(trial.config, factor))


def _advance(trial: Trial, tuning: Tuning, records: Mapping[str, Result]) -> tuple[Tuned, tuple[Trial, ...], int]:
    """What the arm of `trial` has tried, the trials of its round without a final record, and how many have one."""
    attempts: list[Attempt] = []
    while len(attempts) < tuning.rates:
        factors = next_factors(attempts)[: tuning.rates - len(attempts)]
        config = _capped(trial, tuning, attempts)
        asked = [
            [
                at_rate(replace(trial, seed=tuning.seed + number, config=config), factor)
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
            attempts.append(Attempt(factor=factor, trials=tuple(_trial(tuning, records[one.key]) for one in each)))
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
    return [rounded(factor) for _, factor in sorted(sides)]


def _capped(trial: Trial, tuning: Tuning, attempts: Sequence[Attempt]) -> Config:
    """The config of a tuning trial, ended at some times the steps of the best rate so far, where it all arrived."""
    subject = load(trial.subject)
    config: Config = subject.tuned(tuning.setting, trial.config)
    if not attempts or not tuning.setting.races:
        return config
    missed, log_steps = rank(best(attempts))
    if missed:
        return config
    # Rounded, as the last digits of a logarithm differ between machines, and the number is part of the trials' keys.
    most = math.ceil(round(tuning.slower * math.exp(log_steps), 6))
    capped: Config = subject.capped(config, min(most, subject.steps(config)))
    return capped


def _trial(tuning: Tuning, result: Result) -> TuningTrial:
    metrics = result.metrics if result.status == DONE else {}
    named = LOOKED if tuning.setting.target is not None else tuning.setting.main
    whole = load(result.trial.subject).steps(result.trial.config) if result.status == DONE else 0
    return TuningTrial(
        key=result.trial.key,
        status=result.status,
        steps_to_threshold=metrics.get(STEPS),
        steps=int(metrics.get(TRAINED, whole)),
        error_percent=metrics.get(named),
    )
