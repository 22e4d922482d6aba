"""python -m ablations.calibrate doses: how often trends over doses are told that are not there, and hold what is.

Made-up outcomes at four doses under the same seeds; a part of their variance is shared by the trials of a seed, and
where slopes differ between seeds that is a part of what they scatter by.  The functions are those that real studies
are told by.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from ablations.core.claim import Rule

DOSES = (8.0, 16.0, 32.0, 128.0)  # on a logarithmic scale, so that the places are uneven


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What one doubling does, how much of that differs between seeds, and what the square of the place adds."""

    slope: float = 0.0
    differ: float = 0.0
    square: float = 0.0


TRUTHS = {
    "no trend": Truth(),
    "no trend on average, slopes differ between seeds": Truth(differ=0.3),
    "a straight line": Truth(slope=0.5),
    "a bent one": Truth(slope=0.5, square=0.3),
}


@dataclass(frozen=True, kw_only=True)
class TrendTally:
    """What became of the studies of one truth."""

    truth: str
    studies: int
    told: int = 0  # a trend with p below the rule's alpha
    covered: int = 0  # 95% intervals that hold the true slope, of the least-squares line through the true means
    bent: int = 0  # a bend with p below it


def simulate(truth: str, *, studies: int, seeds: int = 10, scatter: float = 0.5, seed: int = 0) -> TrendTally:
    """The tally of one truth; `scatter` is the standard deviation of one trial, half of its variance shared."""
    import numpy as np

    from ablations.analysis.doses import slopes
    from ablations.analysis.statistics import over_seeds, p_of_mean, t_interval

    random, asked, alpha = np.random.default_rng([seed, list(TRUTHS).index(truth)]), TRUTHS[truth], Rule().alpha
    places = np.log2(DOSES)
    means = asked.slope * places + asked.square * (places - places.mean()) ** 2
    true = float(slopes(means[None], places, 1)[0])
    told = covered = bent = 0
    for _ in range(studies):
        common = random.normal(0, scatter * sqrt(0.5), (seeds, 1))
        own = random.normal(0, scatter * sqrt(0.5), (seeds, len(places)))
        outcomes = means + common + own + random.normal(0, asked.differ, (seeds, 1)) * places
        slope, error, df = over_seeds(slopes(outcomes, places, 1))
        low, high = t_interval(slope, error, df, 0.95)
        told += p_of_mean(slope, error, df) < alpha
        covered += low <= true <= high
        bent += p_of_mean(*over_seeds(slopes(outcomes, places, 2))) < alpha
    return TrendTally(truth=truth, studies=studies, told=told, covered=covered, bent=bent)


def table(tallies: Sequence[TrendTally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors."""
    from ablations.calibration.rule import _percent

    lines = [["truth", "a trend is told", "95% intervals that hold", "a bend is told"], ["---", *["---:"] * 3]]
    for one in tallies:
        lines.append([one.truth, *(_percent(count, one.studies) for count in (one.told, one.covered, one.bent))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(studies: int = 2000, seeds: int = 10, scatter: float = 0.5, seed: int = 0) -> None:
    """Simulate trends over doses and count what is told of them; prints a Markdown table.

    Args:
        studies: how many of each truth.
        seeds: trials at each dose.
        scatter: standard deviation of one trial.
        seed: of the simulation.
    """
    tallies = []
    for truth in TRUTHS:
        print(f"{truth}: {studies} studies", file=sys.stderr)
        tallies.append(simulate(truth, studies=studies, seeds=seeds, scatter=scatter, seed=seed))
    print(table(tallies))
