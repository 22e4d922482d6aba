"""Networks of one variant averaged: what the mean of their softmax outputs gets wrong.  No training is added.

Shapes: S networks, one a seed; N images; K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt
from typing import Any

import numpy as np

from ablations.analysis.statistics import both_samplings, t_interval

MOST = 64  # ensembles of one size; where there are more, so many are drawn, always the same

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All ensembles of `size` networks of one variant, or `MOST` of them, on the same images."""

    size: int
    errors: tuple[float, ...]  # top-1 in percent, one an ensemble
    single: float  # percent, mean of the single networks
    low: float  # of the 95% interval of the gain; nan where there is none
    high: float
    new_seeds: bool  # the interval is for other networks and other images; otherwise for other images alone

    @property
    def error(self) -> float:
        """Top-1 error in percent, mean over the ensembles."""
        return sum(self.errors) / len(self.errors)

    @property
    def gain(self) -> float:
        """Points that averaging adds to the error of a single network: below zero where it helps."""
        return self.error - self.single


def ensembles(probabilities: Sequence[Array], labels: Array) -> list[Ensemble]:
    """For each size from 2 to S what averaging does to the error, from S arrays (N, K) and the true classes (N,).

    The interval is for the mean over all ensembles of that size, less the mean over single networks.  Each image is
    its own pair, so that what is hard for all of them cancels.  Over networks it is that of the jackknife's
    pseudovalues, whose variance is not too small on average (Efron and Stein 1981, Annals of Statistics 9:586); of
    all S networks there is one ensemble, which nothing can be left out of, so its interval is over images alone.
    """
    single = np.stack([_wrong(probabilities, (seed,), labels) for seed in range(len(probabilities))])
    return [_of_size(probabilities, labels, single, size) for size in range(2, len(probabilities) + 1)]


def _of_size(probabilities: Sequence[Array], labels: Array, single: Array, size: int) -> Ensemble:
    seeds, images = single.shape
    chosen = subsets(seeds, size)
    wrong = np.stack([_wrong(probabilities, subset, labels) for subset in chosen])
    gains = _gains(wrong, single)
    if size < seeds:
        without = [[seed not in subset for subset in chosen] for seed in range(seeds)]
        left = [_gains(wrong[rest], np.delete(single, seed, axis=0)) for seed, rest in enumerate(without)]
        error, df = both_samplings(seeds * gains - (seeds - 1) * np.stack(left))
    else:
        error, df = float(gains.std(ddof=1)) / sqrt(images), images - 1.0
    low, high = t_interval(float(gains.mean()), error, df, 0.95)
    errors = tuple(round(float(value), 6) for value in 100 * wrong.mean(axis=1))
    mean = float(100 * single.mean())
    return Ensemble(size=size, errors=errors, single=mean, low=low, high=high, new_seeds=size < seeds)


def _gains(wrong: Array, single: Array) -> Array:
    """(N,) points: how often the ensembles miss an image, less how often the single networks do."""
    gains: Array = 100 * (wrong.mean(axis=0) - single.mean(axis=0))
    return gains


def subsets(seeds: int, size: int) -> list[tuple[int, ...]]:
    """All sets of `size` out of 0..seeds-1, or `MOST` of them at random."""
    if comb(seeds, size) <= MOST:
        return list(combinations(range(seeds), size))
    random = np.random.default_rng([seeds, size])
    found: set[tuple[int, ...]] = set()
    while len(found) < MOST:
        found.add(tuple(sorted(int(seed) for seed in random.choice(seeds, size, replace=False))))
    return sorted(found)


def _wrong(probabilities: Sequence[Array], subset: Sequence[int], labels: Array) -> Array:
    """(N,) bool: which images the mean of these networks' probabilities misses; of a tie, the first class counts."""
    total = np.zeros(probabilities[0].shape, dtype=np.float32)
    for seed in subset:
        total += probabilities[seed]
    wrong: Array = total.argmax(axis=1) != labels
    return wrong
