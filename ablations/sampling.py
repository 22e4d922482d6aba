"""What the choice of the evaluation images adds to an effect, from which of them each trial got right.

S seeds, E evaluation images.
"""

from __future__ import annotations

from math import nan

import numpy as np

from ablations.evidence import Evidence
from ablations.factorial import LEVEL
from ablations.statistics import both_samplings, discordant, t_interval
from ablations.types import Effect


def interval_over_both(evidence: Evidence, effect: Effect) -> tuple[float, float]:
    """The 95% interval of an effect on the top-1 error, in points, over new seeds and new evaluation images.

    nan where images were not recorded, or where the effect comes from other seeds than those that recorded them.
    """
    found = _differences(evidence, effect)
    one_pair_a_seed = len(effect.departed) == 1
    if len(found) < 2 or (one_pair_a_seed and len(found) != effect.n):
        return nan, nan
    error, df = both_samplings(found)
    return t_interval(float(found.mean()), error, df, LEVEL)


def _differences(evidence: Evidence, effect: Effect) -> np.ndarray:
    """[S, E] 100 times wrong with the departure minus wrong without it: its mean is the effect in points."""
    rows = []
    for seed in range(evidence.study.seeds):
        sides = [[evidence.right.get((label, seed)) for label in labels] for labels in (effect.departed, effect.kept)]
        whole = [[one for one in side if one is not None] for side in sides]
        if all(whole) and [len(side) for side in whole] == [len(side) for side in sides]:
            departed, kept = (np.mean(side, axis=0) for side in whole)
            rows.append(100 * (kept - departed))
    return np.array(rows)


def single_models(evidence: Evidence, effect: Effect) -> tuple[int, int, float] | None:
    """Of one seed's two networks: images that only the changed one got right, only the other, and McNemar's exact p.

    None where the effect has more than one pair, or the images were not recorded.
    """
    if effect.n != 1 or len(effect.departed) != 1:
        return None
    for seed in range(evidence.study.seeds):
        one, two = (evidence.right.get((labels[0], seed)) for labels in (effect.departed, effect.kept))
        if one is not None and two is not None:
            return discordant(one, two)
    return None
