"""python -m ablations.calibrate best: how often the best of each trial's rows tells a direction where there is none.

Made-up studies none of whose changes has an effect on what trials end at, but whose rows are noisier with the change.
Each trial gives its last row, or its best one, by the very function that real trials are read with.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablations.core.setting import Metric

if TYPE_CHECKING:
    from ablations.calibration.rule import Tally
    from ablations.core.effect import Effect


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a trial gives, and how many times noisier than the reference's the rows of a change are."""

    best: bool
    noisier: float


SCENES = {
    f"{'best' if best else 'last'} row, a change {words}": Scene(best=best, noisier=noisier)
    for best in (False, True)
    for words, noisier in (("as noisy as the reference", 1.0), ("half as noisy again", 1.5), ("twice as noisy", 2.0))
}


def simulate(scene: str, *, studies: int, seeds: int = 10, claims: int = 4, rows: int = 20, seed: int = 0) -> Tally:
    """The tally of one scene; errors of the rows scatter by half of what trials scatter by, in the reference."""
    import numpy as np

    from ablations.calibration.rule import made_up_effect, tallied

    random, asked = np.random.default_rng([seed, list(SCENES).index(scene)]), SCENES[scene]
    metric = Metric(words="error", best=asked.best)

    def families() -> Iterator[list[Effect]]:
        for _ in range(studies):
            ends = 20 + random.normal(0, 0.5, (seeds, 1, 1)) + random.normal(0, 0.5, (seeds, claims + 1, 1))
            noise = np.array([1.0, *[asked.noisier] * claims])[:, None] * random.normal(
                0, 0.25, (seeds, claims + 1, rows)
            )
            given = np.array([[metric.taken(list(trial)) for trial in arms] for arms in ends + noise])
            yield [made_up_effect(given[:, index + 1], given[:, 0]) for index in range(claims)]

    return tallied(scene, [0.0] * claims, families())


def main(studies: int = 500, seeds: int = 10, claims: int = 4, rows: int = 20, seed: int = 0) -> None:
    """Simulate studies without any effect and count the directions that are told; prints a Markdown table.

    Args:
        studies: how many of each scene.
        seeds: trials of each variant.
        claims: in the family.
        rows: of each trial.
        seed: of the simulation.
    """
    from ablations.calibration.rule import table

    tallies = []
    for scene in SCENES:
        print(f"{scene}: {studies} studies", file=sys.stderr)
        tallies.append(simulate(scene, studies=studies, seeds=seeds, claims=claims, rows=rows, seed=seed))
    print(table(tallies))
