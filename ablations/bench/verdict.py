"""The time to a verdict: what a design costs until the interval of each effect of a study is narrow enough.

Two things are measured: how outcomes scatter, in the records of a factorial, and how long a training takes
(`verdict_run.py`).  The rest is arithmetic: how many seeds make a 95% t interval as narrow as it is asked to be.

Shapes: S seeds, V variants of the factorial, K changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, nan
from typing import Any

import numpy as np
from scipy import stats

from ablations.analysis.evidence import Evidence
from ablations.analysis.factorial import factorial_design
from ablations.analysis.group_sequential import Look
from ablations.core.errors import InputError
from ablations.planning.request import look_seeds

LEVEL = 0.95  # coverage of every interval
MOST = 20_000  # largest number of seeds that is considered
# (Wall time x workers) / (seconds of the trials) of a study, from its command to its last record, measured on 90 trials
# of 99 s (SPEED.md, "Start-up and overhead").  The plain loop is taken to have no overhead.
OVERHEAD = 1.014
STUDIES = 4_000  # simulated studies by which the seeds of a sequential design are estimated
SAMPLES = 2_000  # bootstrap samples of seeds and rounds

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Variances, in squared units, of the parts of y = variant + seed + change x seed + residual of a training."""

    within: float  # of one variant over seeds, which is how unpaired means scatter
    left: float  # the same without the part that all variants of a seed share
    own: float  # of the residual of a training
    main: Array  # (K,) of each change's contrast over the V variants: that of its effect over seeds, plus 4 / V `own`
    variants: int  # V

    def effect(self, which: Callable[[Array], Any] = np.mean) -> float:
        """Returns the variance of an effect over seeds, 0 at least.

        `which` summarises the variances of all changes, by their mean or otherwise.
        """
        return max(0.0, float(which(self.main)) - 4 * self.own / self.variants)

    def pair(self, which: Callable[[Array], Any] = np.mean) -> float:
        """Returns the variance of a paired difference of two trainings."""
        return 2 * self.own + self.effect(which)

    def contrast(self, runs: int, which: Callable[[Array], Any] = np.mean) -> float:
        """Returns the variance of a main effect, estimated from `runs` variants of a seed."""
        return self.effect(which) + 4 * self.own / runs


def scatter(outcomes: Array, signs: Array) -> Scatter:
    """Estimates the variances from `outcomes` (S, V).

    `signs` (V, K) are 1 for a variant with the change and -1 for one without it, and must be balanced.  Raises
    InputError on fewer than three seeds.
    """
    seeds, variants = outcomes.shape
    changes = signs.shape[1]
    if seeds < 3:
        raise InputError(f"the time to a verdict needs 3 seeds of the whole factorial, but the study has {seeds}.")
    contrasts = outcomes @ signs * (2 / variants)  # (S, K)
    centred = outcomes - outcomes.mean(axis=0)
    left = centred - centred.mean(axis=1, keepdims=True)
    own = left - (contrasts - contrasts.mean(axis=0)) @ signs.T / 2
    return Scatter(
        within=float((centred**2).sum() / ((seeds - 1) * variants)),
        left=float((left**2).sum() / ((seeds - 1) * (variants - 1))),
        own=float((own**2).sum() / ((seeds - 1) * (variants - 1 - changes))),
        main=contrasts.var(axis=0, ddof=1),
        variants=variants,
    )


def measured(evidence: Evidence) -> tuple[Array, Array]:
    """Returns outcomes (S, V) of the seeds of which all variants are trained, and the signs (V, K) of the changes.

    Raises InputError if the study is no balanced factorial.
    """
    study = evidence.study
    design = factorial_design(study)
    rows = [[1.0 if one in variant.departures else -1.0 for one in study.components] for variant in design]
    signs = np.array(rows)
    if not design or signs.sum(axis=0).any():
        raise InputError(
            f"study {study.name!r} is no balanced factorial, from which the scatter of effects could be estimated."
        )
    table = evidence.by_seed(study.setting.main).reindex(columns=[one.label for one in design]).dropna()
    return table.to_numpy(dtype=float), signs


@lru_cache(maxsize=8)
def _within_reach(arms: int, level: float) -> Array:
    """Returns, for n = 2, 3, ..., the variance of one seed's estimate with which n seeds just reach the half-width.

    The variance is in squared half-widths.  The t quantile has `arms` * (n - 1) degrees of freedom: `arms` is 1 for
    pairs and contrasts, and 2 for unpaired means.
    """
    n = np.arange(2, MOST)
    found: Array = n / stats.t.ppf((1 + level) / 2, arms * (n - 1)) ** 2
    return found


def seeds_for(variance: float, half_width: float, *, arms: int = 1, level: float = LEVEL) -> int:
    """Returns the number of seeds, two at least, with which the interval is that narrow if they scatter as measured.

    Raises InputError if that takes more than `MOST`.
    """
    place = int(np.searchsorted(_within_reach(arms, level), variance / half_width**2))
    if place >= MOST - 2:
        raise InputError(f"a half-width of {half_width:g} takes more than {MOST:,} seeds; ask for a wider one.")
    return place + 2


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one seed of a design costs.  Our designs include the controls."""

    trainings: int
    worth: float  # time of all trainings, in trainings of the reference, since some variants take longer
    runs: int  # variants of a factorial that the contrast of an effect is over; 2 for pairs


@dataclass(frozen=True, kw_only=True)
class Time:
    """What one way to the verdict takes."""

    design: str  # its grid
    seeds: float
    trainings: float
    seconds: float


def times(
    found: Scatter,
    costs: Mapping[str, Costs],
    *,
    half_width: float,
    plain_seconds: float,
    our_seconds: float,
    which: Callable[[Array], Any] = np.mean,
    shared: bool = False,
) -> dict[str, Time]:
    """Returns what each way takes, by its letter: a is plain and unpaired, b ours in pairs, c our cheapest design.

    `costs` holds "plain" and our designs, "one_out" among them.  `plain_seconds` and `our_seconds` are those of a
    training of the reference by each loop, with all processors busy.  `which` summarises the variances of the changes.
    `shared` grants the plain loop that all of its trainings see the same images, which removes the scatter of seeds.
    """

    def ours(name: str) -> Time:
        cost = costs[name]
        variance = found.pair(which) if cost.runs == 2 else found.contrast(cost.runs, which)
        seeds = seeds_for(variance, half_width)
        seconds = OVERHEAD * our_seconds * seeds * cost.worth
        return Time(design=name, seeds=seeds, trainings=seeds * cost.trainings, seconds=seconds)

    unpaired = seeds_for(2 * (found.left if shared else found.within), half_width, arms=2)
    plain = costs["plain"]
    made = [ours(name) for name in costs if name != "plain"]
    return {
        "a": Time(
            design="one_out",
            seeds=unpaired,
            trainings=unpaired * plain.trainings,
            seconds=plain_seconds * unpaired * plain.worth,
        ),
        "b": ours("one_out"),
        "c": min(made, key=lambda one: one.seconds),
    }


def looks_for(variance: float, half_width: float) -> tuple[int, ...]:
    """Returns the usual looks of a sequential study whose last interval has `half_width`, at the level of that look."""
    last = max(4, seeds_for(variance, half_width))
    while True:
        looks = look_seeds(last, None)
        level = 1 - Look(number=len(looks), seeds=looks).level(1 - LEVEL)
        needed = seeds_for(variance, half_width, level=level)
        if needed <= last:
            return looks
        last = needed


def seeds_given(
    effects: Sequence[float], variance: float, half_width: float, looks: Sequence[int], random: np.random.Generator
) -> Array:
    """Returns the seeds (STUDIES, K) after which each effect is settled in simulated studies with those effects.

    An effect that is never settled gets the seeds of the last look.  As in `ablations.analysis.looks`, one is settled
    when its group-sequential interval shows that it is larger or smaller than the smallest effect of interest, which is
    two half-widths here.
    """
    margin, looks = 2 * half_width, tuple(looks)
    draws = random.normal(effects, variance**0.5, (looks[-1], STUDIES, len(effects)))
    given = np.full(draws.shape[1:], nan)
    for number, seeds in enumerate(looks, start=1):
        look, seen = Look(number=number, seeds=looks), draws[:seeds]
        error = seen.std(axis=0, ddof=1) / seeds**0.5
        outer, inner = (float(stats.t.isf(look.level(a) / 2, seeds - 1)) for a in (1 - LEVEL, 2 * (1 - LEVEL)))
        size = np.abs(seen.mean(axis=0))
        told = (size - outer * error > margin) | (size + inner * error < margin)
        given[np.isnan(given) & told] = seeds
    given[np.isnan(given)] = looks[-1]
    return given


def sequential(
    found: Scatter, effects: Sequence[float], cost: Costs, *, half_width: float, our_seconds: float, design: str
) -> Time:
    """Returns what a sequential study of that design takes on average, over simulated studies.

    A factorial goes on until all effects are settled.  In a study of pairs, a change stops when its effect is settled.
    """
    pairs = cost.runs == 2
    variance = found.pair() if pairs else found.contrast(cost.runs)
    looks = looks_for(variance, half_width)
    given = seeds_given(effects, variance, half_width, looks, np.random.default_rng(0))
    longest = given.max(axis=1)
    if pairs:  # the reference and the controls go on until the last change stops
        alone = cost.trainings - len(effects)
        trainings = float((given.sum(axis=1) + alone * longest).mean())
    else:
        trainings = float(cost.trainings * longest.mean())
    seconds = OVERHEAD * our_seconds * trainings * cost.worth / cost.trainings
    return Time(design=design, seeds=float(longest.mean()), trainings=trainings, seconds=seconds)


def resampled(
    outcomes: Array,
    signs: Array,
    costs: Mapping[str, Costs],
    rounds: Sequence[tuple[float, float]],
    *,
    half_width: float,
) -> dict[str, tuple[float, float]]:
    """Returns 95% bootstrap intervals, over seeds and rounds, of how many times b and c are as fast as a.

    `rounds` holds the seconds of a training by the plain loop and by ours, for each round.
    """
    random = np.random.default_rng(0)
    gains: dict[str, list[float]] = {"b": [], "c": []}
    for _ in range(SAMPLES):
        drawn = outcomes[random.integers(len(outcomes), size=len(outcomes))]
        plain, ours = np.median(np.array(rounds)[random.integers(len(rounds), size=len(rounds))], axis=0)
        if np.ptp(drawn, axis=0).max() == 0:  # the sample holds one seed only
            continue
        made = times(
            scatter(drawn, signs), costs, half_width=half_width, plain_seconds=float(plain), our_seconds=float(ours)
        )
        for letter, some in gains.items():
            some.append(made["a"].seconds / made[letter].seconds)
    return {
        letter: (float(np.quantile(some, 0.025)), float(np.quantile(some, 0.975))) if some else (nan, inf)
        for letter, some in gains.items()
    }


def alike(outcomes: Array, signs: Array) -> float:
    """Returns p of Bartlett's test that the contrasts of all changes have the same variance over seeds."""
    contrasts = outcomes @ signs * (2 / outcomes.shape[1])
    return float(stats.bartlett(*contrasts.T).pvalue)
