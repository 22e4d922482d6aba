"""Ensembles of networks of one variant: the error of their averaged softmax outputs.  They need no further training.

Shapes: S networks, one per seed; N images; K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt

import numpy as np

from ablations.analysis.statistics import LEVEL, Array, both_samplings, t_interval

MOST = 64  # most ensembles of one size that are evaluated; of more, a random sample, which is always the same


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All ensembles of `size` networks of one variant, or `MOST` of them, on the same images."""

    size: int
    errors: tuple[float, ...]  # top-1 error in percent of each ensemble
    single: float  # mean top-1 error in percent of single networks
    low: float  # lower end of the 95% interval of the gain; nan if there is none
    high: float  # its upper end
    new_seeds: bool  # whether the interval is for other networks and other images, or for other images alone

    @property
    def error(self) -> float:
        """Top-1 error in percent, mean over the ensembles."""
        return sum(self.errors) / len(self.errors)

    @property
    def gain(self) -> float:
        """Points that averaging adds to the error of a single network: below zero where it helps."""
        return self.error - self.single


def ensembles(probabilities: Sequence[Array], labels: Array) -> list[Ensemble]:
    """Returns the ensembles of each size from 2 to S, from S arrays (N, K) of probabilities and the true classes (N,).

    The interval is for the mean error over all ensembles of that size, less the mean error of single networks.  The two
    are compared image by image, so that the difficulty of an image cancels.  The scatter over networks comes from the
    jackknife's pseudovalues, whose variance is not too small on average (Efron and Stein 1981, Annals of Statistics
    9:586).  Of size S there is only one ensemble, and leaving out a network leaves none of that size, so its interval
    is over images alone.
    """
    single = np.stack([_wrong(probabilities, (seed,), labels) for seed in range(len(probabilities))])
    return [_of_size(probabilities, labels, single, size) for size in range(2, len(probabilities) + 1)]


def _of_size(probabilities: Sequence[Array], labels: Array, single: Array, size: int) -> Ensemble:
    """Returns the ensembles of one size; `single` (S, N) says which images each network alone misses."""
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
    low, high = t_interval(float(gains.mean()), error, df, LEVEL)
    errors = tuple(round(float(value), 6) for value in 100 * wrong.mean(axis=1))
    mean = float(100 * single.mean())
    return Ensemble(size=size, errors=errors, single=mean, low=low, high=high, new_seeds=size < seeds)


def _gains(wrong: Array, single: Array) -> Array:
    """Returns, in points (N,), how often the ensembles miss each image, less how often the single networks do."""
    gains: Array = 100 * (wrong.mean(axis=0) - single.mean(axis=0))
    return gains


def subsets(seeds: int, size: int) -> list[tuple[int, ...]]:
    """Returns all sets of `size` out of 0..seeds-1, or `MOST` random ones of them, which are always the same."""
    if comb(seeds, size) <= MOST:
        return list(combinations(range(seeds), size))
    random = np.random.default_rng([seeds, size])
    found: set[tuple[int, ...]] = set()
    while len(found) < MOST:
        found.add(tuple(sorted(int(seed) for seed in random.choice(seeds, size, replace=False))))
    return sorted(found)


def _wrong(probabilities: Sequence[Array], subset: Sequence[int], labels: Array) -> Array:
    """Returns which images (N,) the networks' mean probabilities misclassify; a tie counts for the first class."""
    total = np.zeros(probabilities[0].shape, dtype=np.float32)
    for seed in subset:
        total += probabilities[seed]
    wrong: Array = total.argmax(axis=1) != labels
    return wrong
