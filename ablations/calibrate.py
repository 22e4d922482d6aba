"""python -m ablations.calibrate: how often the verdicts are wrong, on made-up studies whose truth is known.

Each study has a reference and as many changes as claims, all under the same seeds; errors are normal, with a part
that a seed's trials share.  Effects and verdicts are made by the very functions that judge real studies.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any

from ablations.declaration import ONE_OUT, Claim, Rule

if TYPE_CHECKING:
    import numpy as np

    from ablations.types import Effect

MARGIN = 1.0  # the claims' smallest effect of interest
SCENARIOS = {  # name -> true effects, in margins, taken in turn by the claims
    "no effect anywhere": (0.0,),
    "half the margin": (0.5,),
    "a hair below the margin": (0.999,),
    "at the margin": (1.0,),
    "opposite, at the margin": (-1.0,),
    "none, at and far beyond the margin": (0.0, 1.0, 4.0),
}


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of the studies of one scenario."""

    scenario: str
    studies: int
    claims: int
    wrong: int = 0  # studies with a wrong statement on any claim
    wrong_direction: int = 0
    wrong_size: int = 0
    covered: int = 0  # claims whose single 95% interval holds the truth
    covered_all: int = 0  # studies all of whose simultaneous intervals do
    calls: Counter[str] = field(default_factory=Counter)


def wrong(call: str, true: float, margin: float = MARGIN) -> tuple[bool, bool]:
    """Whether a call's statement on the direction is wrong, and that on the size, given the true d."""
    from ablations import verdicts as words

    as_claimed = call in (words.REPRODUCED, words.DIRECTION_ONLY)
    direction = (as_claimed and true <= 0) or (call == words.CONTRADICTED and true >= 0)
    size = (call == words.REPRODUCED and true < margin) or (call == words.NO_EFFECT and abs(true) >= margin)
    return direction, size


def simulate(
    scenario: str, *, studies: int, seeds: int = 10, claims: int = 8, scatter: float = 0.5, shared: float = 0.5,
    seed: int = 0,
) -> Tally:  # fmt: skip
    """The tally of one scenario; `scatter` is of one trial, in margins, and `shared` the share of its variance that
    the trials of a seed have in common.
    """
    import numpy as np

    from ablations.verdicts import adjust, call

    random, rule = np.random.default_rng([seed, list(SCENARIOS).index(scenario)]), Rule()
    truths = [SCENARIOS[scenario][index % len(SCENARIOS[scenario])] * MARGIN for index in range(claims)]
    made = [_claim(index) for index in range(claims)]
    counts: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    gc.freeze()  # statsmodels collects garbage at every adjustment: with less to look at, that is quick
    for errors in _errors(random, studies, seeds, claims, scatter, shared):
        effects = [_effect(errors[:, index + 1] + true, errors[:, 0]) for index, true in enumerate(truths)]
        adjusted = adjust(made, effects)
        found = [call(c, e, p, m, rule.alpha) for c, e, (p, m) in zip(made, effects, adjusted, strict=True)]
        mistakes = [wrong(one, true) for one, true in zip(found, truths, strict=True)]
        calls.update(found)
        counts["wrong_direction"] += any(direction for direction, _ in mistakes)
        counts["wrong_size"] += any(size for _, size in mistakes)
        counts["wrong"] += any(map(any, mistakes))
        counts["covered"] += sum(_holds(e, true, 0.95) for e, true in zip(effects, truths, strict=True))
        level = 1 - rule.alpha / claims
        counts["covered_all"] += all(_holds(e, true, level) for e, true in zip(effects, truths, strict=True))
    gc.unfreeze()
    return Tally(scenario=scenario, studies=studies, claims=claims, calls=calls, **counts)


def _errors(
    random: np.random.Generator, studies: int, seeds: int, claims: int, scatter: float, shared: float
) -> Iterator[np.ndarray[Any, Any]]:
    """For each study [seeds, 1 + claims] errors, the reference's first."""
    for _ in range(studies):
        common = random.normal(0, scatter * sqrt(shared), (seeds, 1))
        yield 20 + common + random.normal(0, scatter * sqrt(1 - shared), (seeds, claims + 1))


def _claim(index: int) -> Claim:
    return Claim(
        name=f"claim_{index}",
        component=f"component_{index}",
        level="off",
        statement="The change raises the error.",
        source="made up",
        metric="test_top1_error_percent",
        published="no number given",
        direction=1,
        smallest_effect=MARGIN,
        family="made up",
    )


def _effect(departed: np.ndarray[Any, Any], kept: np.ndarray[Any, Any]) -> Effect:
    from ablations.effects import Contrast, paired

    contrast = Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept="reference")
    return paired(contrast, "test_top1_error_percent", departed, kept)


def _holds(effect: Effect, true: float, level: float) -> bool:
    from ablations.statistics import t_interval

    low, high = t_interval(effect.estimate, effect.error, effect.df, level)
    return low <= true <= high


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors."""
    from ablations.verdicts import CALLS, INCONCLUSIVE

    head = ["truth", "wrong anywhere", "in direction", "in size", "95% intervals that hold", "simultaneous, all hold"]
    head += list(CALLS[: CALLS.index(INCONCLUSIVE) + 1])
    rows = []
    for one in tallies:
        per_study = [one.wrong, one.wrong_direction, one.wrong_size]
        trials = one.studies * one.claims
        rows.append(
            [
                one.scenario,
                *(_percent(count, one.studies) for count in per_study),
                _percent(one.covered, trials),
                _percent(one.covered_all, one.studies),
                *(f"{100 * one.calls[call] / trials:.1f}" for call in head[6:]),
            ]
        )
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(count: int, of: int) -> str:
    share = count / of
    return f"{100 * share:.1f} ± {100 * sqrt(share * (1 - share) / of):.1f}"


def main(
    studies: int = 2000, seeds: int = 10, claims: int = 8, scatter: float = 0.5, shared: float = 0.5, seed: int = 0
) -> None:
    """Simulate studies of known truth and count the wrong verdicts; prints a Markdown table.

    Args:
        studies: how many of each kind.
        seeds: trainings of each variant.
        claims: in the family.
        scatter: standard deviation of a trial's error, in units of the smallest effect of interest.
        shared: the part of its variance that the trials of one seed share.
        seed: of the simulation.
    """
    tallies = []
    for scenario in SCENARIOS:
        print(f"{scenario}: {studies} studies", file=sys.stderr)
        tallies.append(
            simulate(scenario, studies=studies, seeds=seeds, claims=claims, scatter=scatter, shared=shared, seed=seed)
        )
    print(table(tallies))


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
