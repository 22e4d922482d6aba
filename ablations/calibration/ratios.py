"""python -m ablations.calibrate ratios: how often verdicts are wrong on metrics that are compared as ratios.

Made-up times: a change multiplies them by a known factor, and each is scattered by a lognormal factor, a part of which
the trials of a seed share.  They go through the very functions that read the records of real studies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import log, sqrt
from typing import TYPE_CHECKING, Any

from ablations.core.claim import ONE_OUT

if TYPE_CHECKING:
    from ablations.calibration.rule import Tally
    from ablations.core.effect import Effect

TIME = "seconds_to_train"
FACTOR = 1.1  # the claims' smallest effect of interest
TRUTHS = {  # in words -> what the changes multiply times by, in turn by the claims
    "no effect": (1.0,),
    "at the margin": (FACTOR,),
    "at the margin, the other way": (1 / FACTOR,),
    "none, at and far beyond the margin": (1.0, FACTOR, 1.5),
}


def simulate(
    truth: str, *, studies: int, seeds: int = 10, claims: int = 8, scatter: float = 0.05, seed: int = 0
) -> Tally:
    """The tally of one truth; `scatter` is the standard deviation of the logarithm of one time, half of it shared."""
    import numpy as np

    from ablations.calibration.rule import tallied

    random = np.random.default_rng([seed, list(TRUTHS).index(truth)])
    factors = np.array([TRUTHS[truth][index % len(TRUTHS[truth])] for index in range(claims)])

    def families() -> Iterator[list[Effect]]:
        for _ in range(studies):
            common = random.normal(0, scatter * sqrt(0.5), (seeds, 1))
            own = random.normal(0, scatter * sqrt(0.5), (seeds, claims + 1))
            yield _effects(60 * np.exp(common + own) * np.array([1.0, *factors]))

    return tallied(truth, [log(one) for one in factors], families(), margin=log(FACTOR))


def _effects(times: Any) -> list[Effect]:
    """The effect of each column of times [seeds, 1 + claims] against the first, as real studies have it."""
    import numpy as np
    import pandas as pd

    from ablations.analysis.effects import Contrast, compare
    from ablations.analysis.tables import Outcomes, compared
    from ablations.core.setting import Metric

    seeds, arms = times.shape
    rows = pd.DataFrame(
        {
            "variant": np.tile([str(arm) for arm in range(arms)], seeds),
            "seed": np.repeat(np.arange(seeds), arms),
            "status": "done",
            TIME: times.ravel(),
        }
    )
    outcomes = Outcomes(compared(rows, {TIME: Metric(words="time", unit="seconds", ratio=True)}))
    contrasts = [
        Contrast(component="a", level="off", kind=ONE_OUT, departed=str(arm), kept="0") for arm in range(1, arms)
    ]
    return [compare(outcomes, contrast, TIME) for contrast in contrasts]


def main(studies: int = 500, seeds: int = 10, claims: int = 8, scatter: float = 0.05, seed: int = 0) -> None:
    """Simulate studies of times and count the wrong verdicts; prints a Markdown table.

    Args:
        studies: how many of each truth.
        seeds: trials of each variant.
        claims: in the family.
        scatter: standard deviation of the logarithm of one time.
        seed: of the simulation.
    """
    from ablations.calibration.rule import table

    tallies = []
    for truth in TRUTHS:
        print(f"{truth}: {studies} studies", file=sys.stderr)
        tallies.append(simulate(truth, studies=studies, seeds=seeds, claims=claims, scatter=scatter, seed=seed))
    print(table(tallies))
