"""python -m ablations.calibrate kinds: how often verdicts on claims of sameness, and of two things, are wrong.

As `ablations.calibrate` does for claims that say one thing: studies of known truth, judged by the functions that judge
real ones.  Errors are normal, and a part of their variance is shared by the trials of a seed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any

from ablations.core.claim import ONE_OUT, RAISES, SAME, Claim, Rule

if TYPE_CHECKING:
    import numpy as np

    from ablations.core.effect import Effect

MARGIN = 1.0  # the claims' smallest effect of interest
SECOND = "raises test_top1_error_percent"
SAMENESS = {  # truth in words -> true effect, in margins
    "the same": 0.0,
    "half the margin": 0.5,
    "a hair within the margin": 0.999,
    "at the margin": 1.0,
    "at the margin, the other way": -1.0,
    "twice the margin": 2.0,
}
TWO_THINGS = {  # truth in words -> true effects on the first metric and on the second, in margins
    "neither": (0.0, 0.0),
    "the first alone, beyond the margin": (3.0, 0.0),
    "the second alone": (0.0, 3.0),
    "both, beyond the margin": (3.0, 3.0),
    "both, hardly": (0.001, 0.001),
    "the first, and the second falls": (3.0, -3.0),
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What became of the studies of one truth."""

    truth: str
    studies: int
    claims: int
    wrong: int = 0  # studies with a wrong statement on any claim
    calls: Counter[str] = field(default_factory=Counter)


def sameness_wrong(call: str, true: float) -> bool:
    """Whether a call on a claim of sameness is wrong, given the true effect: what differs by less is the same."""
    from ablations.analysis.rule import CONTRADICTED, REPRODUCED

    return (call == REPRODUCED and abs(true) >= MARGIN) or (call == CONTRADICTED and abs(true) < MARGIN)


def two_things_wrong(call: str, first: float, second: float) -> bool:
    """Whether a call on a claim that both metrics rise is wrong, given what they truly do."""
    from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, REPRODUCED

    holds = first > 0 and second > 0
    return (call in (REPRODUCED, DIRECTION_ONLY) and not holds) or (call == CONTRADICTED and holds)


def sameness(
    truth: str, *, studies: int, seeds: int = 10, claims: int = 8, scatter: float = 0.5, seed: int = 0
) -> Kind:
    """The calls on families of claims of sameness; `scatter` is of one trial, in margins."""
    import numpy as np

    from ablations.analysis.rule import call

    random, true = np.random.default_rng([seed, list(SAMENESS).index(truth)]), SAMENESS[truth] * MARGIN
    claim, alpha = _claim(SAME, ""), Rule().alpha
    calls: Counter[str] = Counter()
    wrong = 0
    for _ in range(studies):
        kept, *departed = _errors(random, seeds, claims + 1, scatter)
        effects = [_effect(one + true, kept) for one in departed]
        found = [call(claim, one, 1.0, claims, alpha) for one in effects]  # the rule asks for no p of sameness
        calls.update(found)
        wrong += any(sameness_wrong(one, true) for one in found)
    return Kind(truth=truth, studies=studies, claims=claims, wrong=wrong, calls=calls)


def two_things(
    truth: str, *, studies: int, seeds: int = 10, claims: int = 4, scatter: float = 0.5, seed: int = 0
) -> Kind:
    """The calls on families of claims of two things, whose second metrics count as comparisons of their own."""
    import numpy as np

    from ablations.analysis.rule import adjust, call, companion_state, intervals, with_companion

    random, (first, second) = np.random.default_rng([seed, list(TWO_THINGS).index(truth)]), TWO_THINGS[truth]
    made, alpha = [_claim(RAISES, SECOND, index) for index in range(claims)], Rule().alpha
    calls: Counter[str] = Counter()
    wrong = 0
    for _ in range(studies):
        arms = _errors(random, seeds, 2 * (claims + 1), scatter)
        (kept, kept_too), pairs = arms[:2], zip(arms[2::2], arms[3::2], strict=True)
        effects = [(_effect(one + first, kept), _effect(two + second, kept_too)) for one, two in pairs]
        found = []
        adjusted = adjust(made, [one for one, _ in effects])
        for claim, (one, two), (p, m) in zip(made, effects, adjusted, strict=True):
            outer, _ = intervals(two, alpha, m, None)
            found.append(with_companion(call(claim, one, p, m, alpha), companion_state(RAISES, *outer)))
        calls.update(found)
        wrong += any(two_things_wrong(one, first, second) for one in found)
    return Kind(truth=truth, studies=studies, claims=claims, wrong=wrong, calls=calls)


def _errors(random: np.random.Generator, seeds: int, arms: int, scatter: float) -> np.ndarray[Any, Any]:
    """[arms, seeds] errors, half of their variance shared within a seed."""
    common = random.normal(0, scatter * sqrt(0.5), (1, seeds))
    errors: np.ndarray[Any, Any] = 20 + common + random.normal(0, scatter * sqrt(0.5), (arms, seeds))
    return errors


def _claim(direction: int, also: str, index: int = 0) -> Claim:
    return Claim(
        name=f"claim_{index}",
        component=f"component_{index}",
        level="off",
        statement="Made up.",
        source="made up",
        metric="gap_percent",
        published="no number given",
        direction=direction,
        smallest_effect=MARGIN,
        family="made up",
        also=also,
    )


def _effect(departed: np.ndarray[Any, Any], kept: np.ndarray[Any, Any]) -> Effect:
    from ablations.analysis.effects import Contrast, paired

    contrast = Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept="reference")
    return paired(contrast, "gap_percent", departed, kept)


def table(found: Sequence[Kind]) -> str:
    """The tallies as a Markdown table, in per cent: of studies for "wrong anywhere", of claims for the calls."""
    from ablations.analysis.rule import CALLS, NOT_TESTED

    named = [call for call in CALLS if call != NOT_TESTED]
    lines = [["truth", "wrong anywhere", *named], ["---", *["---:"] * (1 + len(named))]]
    for one in found:
        share = one.wrong / one.studies
        error = 100 * sqrt(share * (1 - share) / one.studies)
        each = [f"{100 * one.calls[call] / (one.studies * one.claims):.1f}" for call in named]
        lines.append([one.truth, f"{100 * share:.1f} ± {error:.1f}", *each])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(studies: int = 2000, seeds: int = 10, scatter: float = 0.5, seed: int = 0) -> None:
    """Simulate studies of known truth and count the wrong verdicts; prints two Markdown tables.

    Args:
        studies: how many of each kind.
        seeds: trainings of each variant.
        scatter: standard deviation of a trial's error, in units of the smallest effect of interest.
        seed: of the simulation.
    """
    for words, simulated, truths in (("sameness", sameness, SAMENESS), ("two things", two_things, TWO_THINGS)):
        print(f"claims of {words}: {studies} studies of each truth", file=sys.stderr)
        found = [simulated(truth, studies=studies, seeds=seeds, scatter=scatter, seed=seed) for truth in truths]
        print(f"\nClaims of {words}:\n\n{table(found)}")
