"""The learning rate of each arm, chosen before a study's own trials, with as many trials for each.

The search is a pattern search in the logarithm of the rate (Kolda, Lewis and Torczon 2003, SIAM Review 45:385).  The
first round tries the arm's own rate.  Each later round tries one rate on either side of the best so far: halfway to the
next rate that was tried or, if there is none on that side, four times beyond.  What to try next is a pure function of
the records, so an interrupted search continues where it was, on any executor, and two runs agree.

At each rate an arm trains under three seeds.  The rate that it gets is where a parabola through the best rate and its
neighbours is lowest (`ablations.analysis.parabola`).  All seeds of a study share the rate, so an error in the rate does
not average out.  When there was one training per rate and the best rate was chosen, a family of six claims without any
effect got a wrong direction in a quarter of simulated studies (`ablations.calibration.tuning`).

Ray Tune runs the trials but does not choose them.  Its searchers (Optuna, HyperOpt, Ax, ...) are made for many
dimensions, their suggestions depend on the order in which trials happen to end, and they keep their state in pickles
beside our records.  ASHA stops a trial that is behind others at some epoch, so arms would not get equal budgets and a
slow start would count as a loss.

If trials end at a threshold, a trial that has taken twice the steps of the best rate is ended without reaching it, and
a rate with such a trial loses.  For a better mean in spite of that trial, its other two trials would have to be 1.4
times as fast as the best rate's.  A trial that is merely slower than the best rate's does not lose by that, because the
mean of three decides.

Modules that plan a study import this one, so it imports nothing that loads slowly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablations.analysis.parabola import CLEARLY
from ablations.analysis.tuning import arm_of, chosen, rounded
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.result import DONE, FINAL, LOOKED, STEPS, TRAINED, Result
from ablations.core.setting import Config
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.tuning import Attempt, Tuned, Tuning, TuningTrial, best, rank
from ablations.core.variant import Variant

SEED = 1_000_000  # first seed of the tuning; no study has so many seeds, so none of its own trials has this one
SEEDS = 3  # trainings at each rate, with SEED and the seeds after it
BEYOND = 4.0  # factor from the best rate to the next one, on a side where no rate was tried yet
SLOWER = 2.0  # a trial is ended after this many times the steps of the best rate


@dataclass(frozen=True, kw_only=True)
class Search:
    """A tuning under way: what each arm has tried, and the trials that must run before it can go on."""

    tuning: Tuning  # without arms until all are tuned
    missing: tuple[Trial, ...]  # trials of the present rounds that are still to run
    left: int  # number of trials that are still to run, those of later rounds included
    total: int  # number of trials in all


def start(study: Study, rates: int) -> Tuning:
    """Returns the tuning of `study`, with `rates` rates for each arm, before anything was tried.

    Raises InputError if there is no target and higher is better of the main metric, because the lowest is looked for.
    """
    setting = load(study.subject).for_tuning(study.setting)
    if setting.target is None and not setting.main_metric.lower_is_better:
        raise InputError(f"--tune looks for the lowest {setting.main}, of which higher is better: leave --tune out.")
    return Tuning(rates=rates, seed=SEED, seeds=SEEDS, clearly=CLEARLY, slower=SLOWER, setting=setting)


def advance(study: Study, trials: Sequence[Trial], tuning: Tuning, records: Mapping[str, Result]) -> Search:
    """Returns how far `records`, results by key, bring the tuning of the study's `trials`."""
    found = [_advance(trial, tuning, records) for trial in arms(study, trials)]
    missing = tuple(trial for _, todo, _ in found for trial in todo)
    total = len(found) * tuning.rates * tuning.seeds
    finished = sum(count for _, _, count in found)
    done = () if missing else tuple(arm for arm, _, _ in found)
    return Search(tuning=replace(tuning, arms=done), missing=missing, left=total - finished, total=total)


def arms(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """Returns one untuned trial of each arm whose rate is chosen, in the study's order."""
    subject = load(study.subject)
    first: dict[Variant, Trial] = {}
    for trial in trials:
        arm = arm_of(study, trial.variant)
        first.setdefault(arm, replace(trial, variant=arm, config=subject.configure(study.setting, arm.departures)))
    return list(first.values())


def apply(study: Study, trials: Sequence[Trial], tuning: Tuning) -> tuple[Study, tuple[Trial, ...]]:
    """Returns the study and its trials with the rates that were chosen."""
    factors = {arm.variant: arm.factor for arm in tuning.arms}
    rated = tuple(at_rate(trial, factors[arm_of(study, trial.variant)]) for trial in trials)
    return replace(study, tuning=tuning, keys=tuple(trial.key for trial in rated)), rated


def at_rate(trial: Trial, factor: float) -> Trial:
    """Returns `trial` with its learning rate multiplied by `factor`."""
    return replace(trial, config=load(trial.subject).at_rate(trial.config, factor))


def _advance(trial: Trial, tuning: Tuning, records: Mapping[str, Result]) -> tuple[Tuned, tuple[Trial, ...], int]:
    """Returns what the arm of `trial` has tried, which trials of its present round are missing, and how many are done.

    A trial is missing if it has no final record.  The number is that of all rounds.
    """
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
    """Returns the factors to try after `attempts`: one on either side of the best, the more promising side first.

    The more promising side is one on which nothing was tried yet, or else the side of the better neighbour.
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
    """Returns the config of a tuning trial.

    If trials end at a target, and all trials at the best rate so far reached it, the trial is ended after `slower`
    times the steps that they took.
    """
    subject = load(trial.subject)
    config: Config = subject.tuned(tuning.setting, trial.config)
    if not attempts or not tuning.setting.races:
        return config
    missed, log_steps = rank(best(attempts))
    if missed:
        return config
    # The number is part of the trials' keys, and the last digits of a logarithm differ between machines: so it is
    # rounded before `ceil`.
    most = math.ceil(round(tuning.slower * math.exp(log_steps), 6))
    capped: Config = subject.capped(config, min(most, subject.steps(config)))
    return capped


def _trial(tuning: Tuning, result: Result) -> TuningTrial:
    """Returns what the tuning's record keeps of a trial."""
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
