"""What the choice of the evaluated examples adds to an effect, from what each of them gave to every trial.

S seeds, E evaluated examples.
"""

from __future__ import annotations

from math import isclose, nan

import numpy as np

from ablations.analysis.evidence import Evidence
from ablations.analysis.factorial import LEVEL
from ablations.analysis.statistics import both_samplings, discordant, t_interval
from ablations.core.effect import Effect
from ablations.core.units import is_ratio


def interval_over_both(evidence: Evidence, effect: Effect) -> tuple[float, float]:
    """The 95% interval of an effect on the main metric over new seeds and new examples to evaluate on.

    Never narrower than that over seeds alone, of which it has the degrees of freedom and at least the standard error.
    nan where examples were not recorded, or where they do not make the effect: it is of other seeds, or unpaired.
    """
    if evidence.overlap or is_ratio(evidence.main_metric):  # other examples a seed; a mean of no logarithms
        return nan, nan
    found = _differences(evidence, effect)
    by_seed = found.mean(axis=1) if len(found) > 1 else np.empty(0)
    size = max(1.0, abs(evidence.mean(effect.metric, effect.kept[0]))) if effect.kept else 1.0
    near = 1e-6 * size  # a metric may have the seven digits of a float32
    if len(by_seed) < 2 or effect.df != len(by_seed) - 1 or not isclose(by_seed.mean(), effect.estimate, abs_tol=near):
        return nan, nan
    error, df = both_samplings(found)
    return t_interval(effect.estimate, max(error, effect.error), df, LEVEL)  # rounding does not make it narrower


def _differences(evidence: Evidence, effect: Effect) -> np.ndarray:
    """[S, E] what examples give with the departure minus without it: the mean is the effect."""
    rows = []
    for seed in range(evidence.study.seeds):
        sides = [
            [evidence.by_example.get((label, seed)) for label in labels] for labels in (effect.departed, effect.kept)
        ]
        whole = [[one for one in side if one is not None] for side in sides]
        alike = len({len(one) for side in whole for one in side}) == 1
        if alike and [len(side) for side in whole] == [len(side) for side in sides]:
            departed, kept = (np.mean(side, axis=0) for side in whole)
            rows.append(departed - kept)
    return np.array(rows if len({len(row) for row in rows}) == 1 else [])


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
