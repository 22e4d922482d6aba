"""The time to a verdict: what designs cost until the interval of each effect of a study is narrow enough.

Scatter is measured, in the records of a factorial that was run; so is what a training takes (`verdict_run.py`).  The
rest is arithmetic: how many seeds bring the half-width of a 95% t interval down to the one that is asked for.

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
from ablations.analysis.tables import by_seed
from ablations.core.errors import InputError
from ablations.planning.request import look_seeds

LEVEL = 0.95  # of every interval
MOST = 20_000  # seeds that are looked at
# (Wall time x workers) / (seconds of the trials) of a study as it runs, from its command to its last record: 90 trials
# of 99 s (SPEED.md, "Start-up and overhead").  The plain loop is given none.
OVERHEAD = 1.014
STUDIES = 4_000  # that are made up for the looks
SAMPLES = 2_000  # of seeds and rounds, drawn anew

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Variances, in squared units, of y = variant + seed + change x seed + what a training does by itself.

    `main` (K,) are those of each change's contrast over the V variants: of its effect between seeds, plus 4 / V `own`.
    """

    within: float  # of one variant over seeds: what unpaired means scatter by
    left: float  # the same without what all variants of a seed share
    own: float  # of a training by itself
    main: Array
    variants: int

    def effect(self, which: Callable[[Array], Any] = np.mean) -> float:
        """The variance of an effect between seeds, over the changes: their mean, or another of them; not below 0."""
        return max(0.0, float(which(self.main)) - 4 * self.own / self.variants)

    def pair(self, which: Callable[[Array], Any] = np.mean) -> float:
        """Of a paired difference of two trainings."""
        return 2 * self.own + self.effect(which)

    def contrast(self, runs: int, which: Callable[[Array], Any] = np.mean) -> float:
        """Of a main effect over so many variants a seed."""
        return self.effect(which) + 4 * self.own / runs


def scatter(outcomes: Array, signs: Array) -> Scatter:
    """What `outcomes` (S, V) tell; `signs` (V, K) are 1 where a change is made and -1 where not, balanced.

    Raises InputError on fewer than three seeds.
    """
    seeds, variants = outcomes.shape
    changes = signs.shape[1]
    if seeds < 3:
        raise InputError(f"The time to a verdict needs 3 seeds of the whole factorial, and {seeds} are there.")
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
    """Outcomes (S, V) of the seeds whose whole factorial is there, and the signs (V, K) of its changes.

    Raises InputError where the study is no balanced factorial.
    """
    study = evidence.study
    design = factorial_design(study)
    rows = [[1.0 if one in variant.departures else -1.0 for one in study.components] for variant in design]
    signs = np.array(rows)
    if not design or signs.sum(axis=0).any():
        raise InputError(f"study {study.name!r} is no balanced factorial, whose records tell how effects scatter.")
    table = by_seed(evidence.table, study.setting.main).reindex(columns=[one.label for one in design]).dropna()
    return table.to_numpy(dtype=float), signs


@lru_cache(maxsize=8)
def _within_reach(arms: int, level: float) -> Array:
    """For n = 2, 3, ...: the variance of one seed's say, in squared half-widths, that n seeds bring down to one.

    `arms` samples of n give the t its degrees of freedom: 1 for pairs and contrasts, 2 for unpaired means.
    """
    n = np.arange(2, MOST)
    found: Array = n / stats.t.ppf((1 + level) / 2, arms * (n - 1)) ** 2
    return found


def seeds_for(variance: float, half_width: float, *, arms: int = 1, level: float = LEVEL) -> int:
    """Seeds after which the interval is that narrow, should they scatter as was measured; two at least.

    Raises InputError beyond MOST.
    """
    place = int(np.searchsorted(_within_reach(arms, level), variance / half_width**2))
    if place >= MOST - 2:
        raise InputError(f"A half-width of {half_width:g} takes more than {MOST:,} seeds: ask for a wider one.")
    return place + 2


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a seed of a design costs, in trainings and in trainings of the reference; controls ride along in ours."""

    trainings: int
    worth: float  # trainings of the reference: some variants take longer
    runs: int  # of a factorial that an effect is a contrast of; 2: pairs


@dataclass(frozen=True, kw_only=True)
class Time:
    """One way to the verdict."""

    design: str
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
    """Each way by its letter: a plain and unpaired, b ours in pairs, c the cheapest design of ours.

    `costs` holds "plain" and designs of ours, "one_out" among them; seconds are those of a training of the reference,
    by the plain loop and by ours, all processors being busy.  `which` picks the change whose scatter counts.  `shared`:
    the plain loop is granted that all of its trainings see the same images, so that seeds have nothing in common.
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
    """The usual looks of a sequential study whose last one is as narrow as `half_width`, at the level left by then."""
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
    """Seeds (STUDIES, K) after which each effect is settled, in made-up studies of those effects, or the last look's.

    Settled as by `ablations.analysis.looks`: by the group-sequential intervals an effect is known to be larger or
    smaller than the smallest of interest, which is two half-widths.
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
    """What a sequential study of that design is expected to take: the mean over made-up ones.

    A factorial goes on until all effects are settled; of pairs, a change stops when its own is.
    """
    pairs = cost.runs == 2
    variance = found.pair() if pairs else found.contrast(cost.runs)
    looks = looks_for(variance, half_width)
    given = seeds_given(effects, variance, half_width, looks, np.random.default_rng(0))
    longest = given.max(axis=1)
    if pairs:  # the reference and the controls go on with the longest
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
    """How sure the gains of b and c over a are: the middle 95% over seeds and rounds drawn anew.

    `rounds` are seconds of a training by the plain loop and by ours.
    """
    random = np.random.default_rng(0)
    gains: dict[str, list[float]] = {"b": [], "c": []}
    for _ in range(SAMPLES):
        drawn = outcomes[random.integers(len(outcomes), size=len(outcomes))]
        plain, ours = np.median(np.array(rounds)[random.integers(len(rounds), size=len(rounds))], axis=0)
        if np.ptp(drawn, axis=0).max() == 0:  # one seed all over
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
    """p of Bartlett's test that the contrasts of all changes scatter alike over seeds."""
    contrasts = outcomes @ signs * (2 / outcomes.shape[1])
    return float(stats.bartlett(*contrasts.T).pvalue)
