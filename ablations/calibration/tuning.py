"""python -m ablations.calibrate tuning: how often a tuned study tells a direction where there is none.

On made-up studies of a reference and as many changes as claims, none of which has an effect: each arm has a best
learning rate of its own, at which its error is the same.  Each arm's rate is tuned first, by the very functions that
tune real ones, and then the arms train at the rates so found, paired by seed.  A rate that misses the best one is an
error that all seeds of an arm share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablations.analysis.tuning import chosen
from ablations.calibration.rule import made_up_claim, made_up_effect
from ablations.core.claim import Rule
from ablations.core.result import DONE
from ablations.core.tuning import Attempt, TuningTrial, best
from ablations.planning import tuning

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """A way to tune: trainings at each rate, and what chooses the factor from the attempts."""

    seeds: int
    choose: Callable[[Sequence[Attempt]], float]


PROCEDURES = {
    "as studies are tuned": Procedure(seeds=tuning.SEEDS, choose=chosen),
    "three trainings a rate, the best of those tried": Procedure(
        seeds=3, choose=lambda attempts: best(attempts).factor
    ),
    "one training a rate, the best of those tried": Procedure(seeds=1, choose=lambda attempts: best(attempts).factor),
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Error over the rate: a parabola in its logarithm, times `above` beyond the best rate.

    `bend` is how much the error rises one octave from the best rate, in standard deviations of a training, of the part
    that is not shared by the trainings of its seed.
    """

    bend: float
    above: float = 1.0


CURVES = {
    "flat: a quarter of a training's scatter at half the best rate": Curve(bend=0.25),
    "as much as a training's scatter": Curve(bend=1.0),
    "steep: four times a training's scatter": Curve(bend=4.0),
    "as much as the scatter, and three times that at twice the best rate": Curve(bend=1.0, above=3.0),
}


@dataclass(frozen=True, kw_only=True)
class TunedTally:
    """What became of the tuned studies of one kind, in none of which any change has an effect."""

    curve: str
    procedure: str
    studies: int
    claims: int
    # Studies in which any claim has an adjusted p below the rule's: its direction is told, unless its interval lies
    # within the smallest effect of interest, which would hide a part of the errors of a precise study.
    wrong_direction: int = 0
    covered: int = 0  # claims whose single 95% interval holds zero
    missed: float = 0.0  # how far the arms lie above their best rate's error on average, in margins


SCATTER = 0.5  # of one training, in margins
SHARED = 0.5  # the share of its variance that the trainings of a seed have in common, those of the tuning too


def simulate(
    curve: str, procedure: str, *, studies: int, seeds: int = 10, claims: int = 6, rates: int = 7, seed: int = 0
) -> TunedTally:
    """The tally of one kind."""
    import numpy as np

    from ablations.analysis.rule import adjust

    random = np.random.default_rng([seed, list(CURVES).index(curve)])
    made, alpha = [made_up_claim(index) for index in range(claims)], Rule().alpha
    wrong, covered, missed = 0, 0, 0.0
    scatters = SCATTER * math.sqrt(SHARED), SCATTER * math.sqrt(1 - SHARED)
    for _ in range(studies):
        above = _tuned(random, CURVES[curve], PROCEDURES[procedure], claims + 1, rates, scatters)
        common = random.normal(0, scatters[0], (seeds, 1))
        errors = 20 + above + common + random.normal(0, scatters[1], (seeds, claims + 1))
        effects = [made_up_effect(errors[:, index + 1], errors[:, 0]) for index in range(claims)]
        adjusted = adjust(made, effects)
        wrong += any(p < alpha for p, _ in adjusted)
        covered += sum(effect.low <= 0 <= effect.high for effect in effects)
        missed += float(above.mean())
    return TunedTally(
        curve=curve, procedure=procedure, studies=studies, claims=claims, wrong_direction=wrong, covered=covered,
        missed=missed / studies,
    )  # fmt: skip


def _tuned(
    random: np.random.Generator,
    curve: Curve,
    procedure: Procedure,
    arms: int,
    rates: int,
    scatters: tuple[float, float],
) -> np.ndarray[Any, Any]:
    """How far each arm lies above its best rate's error once it is tuned: [arms]."""
    import numpy as np

    common = random.normal(0, scatters[0], procedure.seeds)
    above = []
    for _ in range(arms):
        optimum = random.uniform(-2, 2)  # octaves from the rate that the arm starts from

        def at(factor: float, optimum: float = optimum) -> float:
            octaves = math.log2(factor) - optimum
            return curve.bend * scatters[1] * octaves**2 * (curve.above if octaves > 0 else 1.0)

        attempts: list[Attempt] = []
        while len(attempts) < rates:
            for factor in tuning.next_factors(attempts)[: rates - len(attempts)]:
                errors = 20 + at(factor) + common + random.normal(0, scatters[1], procedure.seeds)
                trials = tuple(TuningTrial(key="", status=DONE, error_percent=float(error)) for error in errors)
                attempts.append(Attempt(factor=factor, trials=trials))
        above.append(at(procedure.choose(attempts)))
    return np.array(above)


def table(tallies: Sequence[TunedTally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors; the last column in margins."""
    head = ["error around the best rate", "tuning", "wrong direction", "95% intervals that hold", "above the best rate"]
    rows = [
        [
            one.curve,
            one.procedure,
            _percent(one.wrong_direction, one.studies),
            _percent(one.covered, one.studies * one.claims),
            f"{one.missed:.3f}",
        ]
        for one in tallies
    ]
    lines = [head, ["---", "---", "---:", "---:", "---:"], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(count: int, of: int) -> str:
    share = count / of
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / of):.1f}"


def main(studies: int = 2000, seeds: int = 10, claims: int = 6, rates: int = 7, seed: int = 0) -> None:
    """Simulate tuned studies without any effect and count the wrong directions; prints a Markdown table.

    Args:
        studies: how many of each kind.
        seeds: trainings of each variant.
        claims: in the family.
        rates: learning rates that are tried for each arm.
        seed: of the simulation.
    """
    kinds = [(curve, procedure) for curve in CURVES for procedure in PROCEDURES]
    print(
        table([simulate(*kind, studies=studies, seeds=seeds, claims=claims, rates=rates, seed=seed) for kind in kinds])
    )
