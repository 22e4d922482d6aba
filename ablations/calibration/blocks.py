"""python -m ablations.calibrate blocks: how often intervals over several data sets hold what they are of.

Each made-up study has one change on B data sets under S seeds.  Two things can be asked of it: the mean effect on these
data sets, and that on data sets like these, from which they were drawn.  What the functions say that judge real studies
stands beside other ways: the scatter within each data set added up (degrees of freedom by Satterthwaite), all pairs as
one sample, and the plain t over data sets.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from ablations.core.claim import ONE_OUT

if TYPE_CHECKING:
    import numpy as np

METRIC = "error_percent"
BY_SEED, WITHIN, POOLED = "these: ours, by seed", "these: within data sets", "these: all pairs as one"
LIKE, PLAIN, POOLED_LIKE = "like these: ours", "like these: t over data sets", "like these: all pairs as one"
WAYS = (BY_SEED, WITHIN, POOLED, LIKE, PLAIN, POOLED_LIKE)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How the data sets of a made-up study differ."""

    differ: float = 1.0  # standard deviation of true effects between data sets, in that of a paired difference
    one: float = 1.0  # times that scatter on the first data set
    common: float = 0.0  # share of the variance of a difference that a seed does to all data sets alike


TRUTHS = {
    "the same effect on all": Truth(differ=0.0),
    "another effect on each": Truth(),
    "the same, one data set scatters ten times as much": Truth(differ=0.0, one=10.0),
    "the same, half of a seed's draws common to all": Truth(differ=0.0, common=0.5),
    "another, half of a seed's draws common to all": Truth(common=0.5),
}


@dataclass(frozen=True, kw_only=True)
class BlocksTally:
    """What became of the studies of one truth."""

    truth: str
    studies: int
    seeds: int
    held: Mapping[str, int]  # way -> 95% intervals that hold what they are of
    width: Mapping[str, float]  # way -> mean width


def simulate(truth: str, *, studies: int, seeds: int = 10, blocks: int = 6, seed: int = 0) -> BlocksTally:
    """The tally of one truth: on data sets like these, the change does nothing on average."""
    import numpy as np

    asked = TRUTHS[truth]
    random = np.random.default_rng([seed, list(TRUTHS).index(truth), seeds, blocks])
    scatter = np.array([asked.one, *[1.0] * (blocks - 1)])
    held, width = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
    for _ in range(studies):
        true = random.normal(0, asked.differ, blocks)
        draws = random.normal(0, sqrt(1 - asked.common), (seeds, blocks)) * scatter
        pairs = true + draws + random.normal(0, sqrt(asked.common), (seeds, 1))
        for way, (low, high) in _intervals(pairs).items():
            of = float(true.mean()) if way.startswith("these") else 0.0
            held[way] += low <= of <= high
            width[way] += (high - low) / studies
    return BlocksTally(truth=truth, studies=studies, seeds=seeds, held=held, width=width)


def _intervals(pairs: np.ndarray[Any, Any]) -> dict[str, tuple[float, float]]:
    """Each way's interval, from [seeds, data sets] paired differences."""
    import numpy as np

    from ablations.analysis.blocks import summed
    from ablations.analysis.effects import Contrast, paired
    from ablations.analysis.statistics import over_seeds, t_interval

    contrast = Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept="reference")
    zeros = np.zeros(len(pairs))
    effect = paired(contrast, METRIC, pairs.mean(axis=1), zeros)
    each = [paired(contrast, METRIC, column, zeros) for column in pairs.T]
    ours = summed(effect, each)
    parts = np.array([one.error for one in each]) ** 2 / len(each) ** 2
    df = float(parts.sum() ** 2 / (parts**2 / (len(pairs) - 1)).sum())
    pooled = t_interval(*over_seeds(pairs.ravel()), 0.95)
    return {
        BY_SEED: (effect.low, effect.high),
        WITHIN: t_interval(effect.estimate, sqrt(float(parts.sum())), df, 0.95),
        POOLED: pooled,
        LIKE: (ours.low, ours.high),
        PLAIN: t_interval(*over_seeds(pairs.mean(axis=0)), 0.95),
        POOLED_LIKE: pooled,
    }


def table(tallies: Sequence[BlocksTally]) -> str:
    """The tallies as a Markdown table: per cent with standard errors, and how wide beside our own way."""
    from ablations.calibration.rule import _percent

    lines = [["truth", "seeds", *WAYS], ["---", *["---:"] * (1 + len(WAYS))]]
    for one in tallies:
        cells = []
        for way in WAYS:
            beside = one.width[way] / one.width[BY_SEED if way.startswith("these") else LIKE]
            cells.append(f"{_percent(one.held[way], one.studies)} (x {beside:.2f})")
        lines.append([one.truth, str(one.seeds), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(studies: int = 2000, blocks: int = 6, seed: int = 0) -> None:
    """Simulate studies of several data sets and count the intervals that hold; prints a Markdown table.

    Args:
        studies: how many of each truth.
        blocks: data sets of each, five or more.
        seed: of the simulation.
    """
    tallies = []
    for truth in TRUTHS:
        for seeds in (10, 3):
            print(f"{truth}, {seeds} seeds: {studies} studies", file=sys.stderr)
            tallies.append(simulate(truth, studies=studies, seeds=seeds, blocks=blocks, seed=seed))
    print(table(tallies))
