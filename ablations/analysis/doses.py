"""Trends over doses, for components whose levels and reference are different amounts of one thing.

Each seed gives one slope, by least squares over its own trials, so that what a seed adds to all of its trials cancels.
The trend is the mean of the slopes, with its t interval over seeds, as for every effect.  D doses, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10, nan

import numpy as np
import pandas as pd

from ablations.analysis.evidence import Evidence
from ablations.analysis.statistics import LEVEL, Array, largest, over_seeds, p_of_mean, t_interval
from ablations.core.load import load
from ablations.core.subject import Doses
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What one step of a dose does to the main outcome: `step` more or, if `doses.log`, a doubling."""

    component: str
    doses: Doses
    outcomes: pd.DataFrame  # one row per seed that finished at every dose, one column per dose, in rising order
    slope: float  # change of the outcome per step, in the unit in which effects are compared
    low: float  # lower end of its 95% t interval; nan for fewer than two seeds
    high: float  # its upper end
    p: float  # two-sided, unadjusted, that the slope is zero
    overlap: float  # of splits, as in `ablations.analysis.statistics.over_seeds`
    failed: int  # trainings at these doses that failed, whose seeds are left out
    constant: bool  # whether the slopes of two seeds or more are all equal, so that they give no interval
    bend: float  # p that there is no curvature; nan for two doses or fewer than two seeds

    @property
    def step(self) -> float:
        """How much more of the dose the slope is for, if it is not for a doubling."""
        return step(self.doses)

    @property
    def seeds(self) -> int:
        """The number of seeds that have finished at every dose."""
        return len(self.outcomes)


def trends(evidence: Evidence) -> list[Trend]:
    """Returns the trend of every component with doses of which the study has all levels, and the reference."""
    found = _doses(evidence)
    return [
        _trend(evidence, name, doses) for name, doses in found.items() if _labels(name, doses) <= _planned(evidence)
    ]


def incomplete(evidence: Evidence) -> list[str]:
    """Returns the components under study that have doses but no trend, because the study lacks some of their levels."""
    under_study = {name for name, _ in evidence.study.components}
    found = {name: doses for name, doses in _doses(evidence).items() if name in under_study}
    return [name for name, doses in found.items() if not _labels(name, doses) <= _planned(evidence)]


def step(doses: Doses) -> float:
    """Returns the largest power of ten of which the range of the doses holds two: 10 for 4 to 64, .1 for 0 to .2."""
    amounts = (doses.reference, *doses.levels.values())
    return float(10 ** floor(log10((max(amounts) - min(amounts)) / 2 * (1 + 1e-9))))


def steps(doses: Doses, values: Array) -> Array:
    """Returns the doses `values` (D,) on the scale of the slope: in doublings if `doses.log`, else in its `step`."""
    return np.log2(values) if doses.log else values / step(doses)


def slopes(outcomes: Array, places: Array, degree: int) -> Array:
    """Returns for each seed (S,) the highest coefficient of a least-squares polynomial of that degree.

    The polynomial is fitted to the seed's `outcomes` (S, D) at `places` (D,).  Degree 1 gives the slope, degree 2 the
    curvature.
    """
    powers = np.vander(places - places.mean(), degree + 1, increasing=True)
    column = (
        powers[:, degree] - powers[:, :degree] @ np.linalg.lstsq(powers[:, :degree], powers[:, degree], rcond=None)[0]
    )
    return np.asarray(outcomes @ column / (column @ column))


def _doses(evidence: Evidence) -> Mapping[str, Doses]:
    """Returns, by name, the components of the subject whose levels are doses."""
    found: Mapping[str, Doses] = load(evidence.study.subject).doses(evidence.study.setting)
    return found


def _labels(component: str, doses: Doses) -> set[str]:
    return {_label(component, level) for level in doses.levels}


def _label(component: str, level: str) -> str:
    return Variant(departures=((component, level),)).label


def _planned(evidence: Evidence) -> set[str]:
    """Returns the labels of the study's variants; none if it lacks the reference, which is a dose of every trend."""
    return set(evidence.labels) if "reference" in evidence.labels else set()


def _trend(evidence: Evidence, component: str, doses: Doses) -> Trend:
    named = {"reference": doses.reference, **{_label(component, level): dose for level, dose in doses.levels.items()}}
    order = sorted(named, key=named.__getitem__)
    outcomes = evidence.by_seed(evidence.metric).reindex(columns=order).dropna()
    outcomes = outcomes.rename(columns=named)
    places, values = steps(doses, np.array([named[label] for label in order])), outcomes.to_numpy(dtype=float)
    size, overlap = largest(values), evidence.overlap
    slope, error, df = over_seeds(slopes(values, places, 1), overlap, size)
    low, high = t_interval(slope, error, df, LEVEL)
    bends = len(order) > 2 and len(values) > 1
    bend = p_of_mean(*over_seeds(slopes(values, places, 2), overlap, size), overlap) if bends else nan
    return Trend(
        component=component, doses=doses, outcomes=outcomes, overlap=overlap, slope=slope, low=low, high=high,
        p=p_of_mean(slope, error, df, overlap), constant=error == 0, bend=bend,
        failed=sum(evidence.failed_by_variant.get(label, (0, 0))[0] for label in order),
    )  # fmt: skip
