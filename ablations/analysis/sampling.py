"""The uncertainty of an effect that comes from the choice of the evaluated examples.

It is estimated from what each example gave to every trial.  S seeds, E evaluated examples.
"""

from __future__ import annotations

from math import isclose, nan

import numpy as np

from ablations.analysis.evidence import Evidence
from ablations.analysis.statistics import LEVEL, both_samplings, discordant, largest, t_interval
from ablations.core.effect import Effect
from ablations.core.units import is_ratio


def interval_over_both(evidence: Evidence, effect: Effect) -> tuple[float, float]:
    """Returns the 95% interval of an effect on the main metric over new seeds and new examples to evaluate on.

    It is never narrower than the interval over seeds alone: it has the same degrees of freedom, and a standard error
    that is at least as large.  Its bounds are nan if examples were not recorded, or if the mean over the recorded ones
    is not the effect, because it is over other seeds or unpaired.
    """
    # Each split evaluates on other examples, and the mean of logarithms is not the logarithm of a mean over examples.
    if evidence.overlap or is_ratio(evidence.main_metric):
        return nan, nan
    found = _differences(evidence, effect)
    by_seed = found.mean(axis=1) if len(found) > 1 else np.empty(0)
    arms = evidence.by_seed(effect.metric).reindex(columns=[*effect.departed, *effect.kept])
    near = 1e-6 * largest(arms.to_numpy(dtype=float))  # a metric may have been computed as a float32, with seven digits
    if len(by_seed) < 2 or effect.df != len(by_seed) - 1 or not isclose(by_seed.mean(), effect.estimate, abs_tol=near):
        return nan, nan
    error, df = both_samplings(found)
    return t_interval(effect.estimate, max(error, effect.error), df, LEVEL)  # `error` may be less by rounding


def _differences(evidence: Evidence, effect: Effect) -> np.ndarray:
    """Returns (S, E) what each example gives with the departure minus without it; the mean is the effect.

    Seeds of which a trial lacks its examples are left out.
    """
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
    """Compares the two networks of an effect with one seed on single images.

    Returns how many images only the changed network got right, how many only the other one did, and McNemar's exact p;
    None if the effect has another number of pairs, or if the images were not recorded.
    """
    if effect.n != 1 or len(effect.departed) != 1:
        return None
    for seed in range(evidence.study.seeds):
        one, two = (evidence.right.get((labels[0], seed)) for labels in (effect.departed, effect.kept))
        if one is not None and two is not None:
            return discordant(one, two)
    return None
