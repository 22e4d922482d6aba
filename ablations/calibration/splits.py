"""python -m ablations.calibrate splits: how sure intervals are where seeds are overlapping splits of one data set.

Each made-up study draws one finite data set of two classes and splits it anew for every seed.  Two learners, nearest
class means, see features of their own; where the features tell as much, neither is better on average over data sets,
and a difference that is told is wrong.  The plain paired t, by which nothing here is judged, stands beside the one that
is corrected for the overlap (Nadeau and Bengio, Machine Learning 52, 2003).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablations.core.claim import ONE_OUT, Rule

if TYPE_CHECKING:
    import numpy as np

FEATURES = 5  # that a learner sees
APART = 0.4  # by which the means of the classes differ in each of them, in standard deviations
TOLD = {"equally good": 1.0, "one sees classes a quarter as far apart": 0.25}  # truth -> what APART is times for one
SHARES = (0.1, 0.2, 0.5)  # of the examples that are tested on
METRIC = "error_percent"


@dataclass(frozen=True, kw_only=True)
class SplitTally:
    """What became of the studies of one truth and one share of tested examples."""

    truth: str
    share: float
    studies: int
    plain: int = 0  # a difference with p below the rule's alpha, by the plain paired t
    corrected: int = 0  # and by the corrected one
    held_plain: int = 0  # 95% intervals that hold the true difference, which is that of the mean over all studies
    held_corrected: int = 0


def simulate(
    truth: str, *, share: float = 0.2, studies: int, seeds: int = 10, examples: int = 100, seed: int = 0
) -> SplitTally:
    """The tally of one truth; the true difference is zero by symmetry, or else the mean over these studies."""
    import numpy as np

    from ablations.analysis.effects import Contrast, paired

    random = np.random.default_rng([seed, list(TOLD).index(truth), round(100 * share)])
    test = round(share * examples)
    overlap, contrast = (
        test / (examples - test),
        Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept=""),
    )
    errors = [_errors(random, TOLD[truth], seeds, examples, test) for _ in range(studies)]
    true = 0.0 if TOLD[truth] == 1 else float(np.mean([one[:, 1] - one[:, 0] for one in errors]))
    found = {
        name: [paired(contrast, METRIC, one[:, 1], one[:, 0], by) for one in errors]
        for name, by in (("plain", 0.0), ("corrected", overlap))
    }
    alpha = Rule().alpha
    told = {name: sum(one.p < alpha for one in effects) for name, effects in found.items()}
    held = {name: sum(one.low <= true <= one.high for one in effects) for name, effects in found.items()}
    return SplitTally(
        truth=truth,
        share=share,
        studies=studies,
        plain=told["plain"],
        corrected=told["corrected"],
        held_plain=held["plain"],
        held_corrected=held["corrected"],
    )


def _errors(random: np.random.Generator, worse: float, seeds: int, examples: int, test: int) -> np.ndarray[Any, Any]:
    """[seeds, 2] errors in percent of both learners on the tested part of each split of one data set."""
    import numpy as np

    classes = random.permutation(np.repeat([-1.0, 1.0], [examples // 2, examples - examples // 2]))
    apart = np.repeat([APART, APART * worse], FEATURES)
    seen = classes[:, None] * apart / 2 + random.normal(size=(examples, 2 * FEATURES))
    errors = np.empty((seeds, 2))
    for split in range(seeds):
        order = random.permutation(examples)
        tested, trained = order[:test], order[test:]
        for learner in range(2):
            own = seen[:, learner * FEATURES : (learner + 1) * FEATURES]
            means = [own[trained][classes[trained] == side].mean(axis=0) for side in (-1, 1)]
            middle, away = (means[0] + means[1]) / 2, means[1] - means[0]
            errors[split, learner] = 100 * np.mean(((own[tested] - middle) @ away > 0) != (classes[tested] > 0))
    return errors


def table(tallies: Sequence[SplitTally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors."""
    from ablations.calibration.rule import _percent

    head = ["truth", "tested on", "told, plain t", "told, corrected", "intervals that hold, plain t", "corrected"]
    lines = [head, ["---", *["---:"] * 5]]
    for one in tallies:
        counts = (one.plain, one.corrected, one.held_plain, one.held_corrected)
        lines.append([one.truth, f"{one.share:.0%}", *(_percent(count, one.studies) for count in counts)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(studies: int = 2000, seeds: int = 10, examples: int = 100, seed: int = 0) -> None:
    """Simulate studies whose seeds are splits and count what is told of them; prints a Markdown table.

    Args:
        studies: how many of each kind.
        seeds: splits of each data set.
        examples: of each data set.
        seed: of the simulation.
    """
    tallies = []
    for truth in TOLD:
        for share in SHARES:
            print(f"{truth}, {share:.0%} tested on: {studies} studies", file=sys.stderr)
            tallies.append(simulate(truth, share=share, studies=studies, seeds=seeds, examples=examples, seed=seed))
    print(table(tallies))
