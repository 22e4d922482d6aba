"""Trends over doses: components whose levels, and the reference, are so much of one thing.

One slope a seed, by least squares over its own doses, so that what a seed adds to all of its trials drops out; then the
mean of the slopes and its t interval over seeds, as for every effect.  D doses, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from ablations.analysis.evidence import Evidence
from ablations.analysis.factorial import LEVEL
from ablations.analysis.statistics import Array, over_seeds, t_interval, t_test
from ablations.core.load import load
from ablations.core.subject import Doses
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What one step of a dose does: one more of it, or where doses are compared as ratios one doubling."""

    component: str
    doses: Doses
    outcomes: pd.DataFrame  # one row a seed that finished at every dose, a column a dose in rising order
    slope: float  # of the outcome as it is compared, for each step
    low: float  # of its 95% t interval; nan for fewer than two seeds
    high: float
    p: float  # two-sided, of no slope, not adjusted
    overlap: float  # of splits, as in `ablations.analysis.statistics.over_seeds`
    bend: float  # p of no curvature: the straight line says all; nan for two doses or fewer than two seeds

    @property
    def seeds(self) -> int:
        """That have finished at every dose."""
        return len(self.outcomes)


def trends(evidence: Evidence) -> list[Trend]:
    """Of every component with doses all of which the study compares with the reference, on the main outcome."""
    found = _doses(evidence)
    return [
        _trend(evidence, name, doses) for name, doses in found.items() if _labels(name, doses) <= _planned(evidence)
    ]


def incomplete(evidence: Evidence) -> list[str]:
    """The components with doses of which the study lacks some, and so has no trend."""
    under_study = {name for name, _ in evidence.study.components}
    found = {name: doses for name, doses in _doses(evidence).items() if name in under_study}
    return [name for name, doses in found.items() if not _labels(name, doses) <= _planned(evidence)]


def steps(doses: Array, *, log: bool) -> Array:
    """(D,) doses in the steps that a slope is told by: themselves, or their logarithms to base 2."""
    return np.log2(doses) if log else doses


def slopes(outcomes: Array, places: Array, degree: int) -> Array:
    """(S,) for each seed the coefficient of the `degree`-th polynomial over the doses' `places` (D,), of (S, D).

    1 gives the least-squares slope; 2 what is left of the square of the place once a straight line is taken out of it.
    """
    powers = np.vander(places - places.mean(), degree + 1, increasing=True)
    column = (
        powers[:, degree] - powers[:, :degree] @ np.linalg.lstsq(powers[:, :degree], powers[:, degree], rcond=None)[0]
    )
    return np.asarray(outcomes @ column / (column @ column))


def _doses(evidence: Evidence) -> Mapping[str, Doses]:
    found: Mapping[str, Doses] = load(evidence.study.subject).doses(evidence.study.setting)
    return found


def _labels(component: str, doses: Doses) -> set[str]:
    return {_label(component, level) for level in doses.levels}


def _label(component: str, level: str) -> str:
    return Variant(departures=((component, level),)).label


def _planned(evidence: Evidence) -> set[str]:
    """The variants of a study that has the reference, to which a trend belongs."""
    return set(evidence.labels) if "reference" in evidence.labels else set()


def _trend(evidence: Evidence, component: str, doses: Doses) -> Trend:
    named = {"reference": doses.reference, **{_label(component, level): dose for level, dose in doses.levels.items()}}
    order = sorted(named, key=named.__getitem__)
    outcomes = evidence.by_seed(evidence.metric).reindex(columns=order).dropna()
    outcomes = outcomes.rename(columns=named)
    places, values = steps(np.array([named[label] for label in order]), log=doses.log), outcomes.to_numpy(dtype=float)
    slope, error, df = over_seeds(slopes(values, places, 1), evidence.overlap)
    low, high = t_interval(slope, error, df, LEVEL)
    bend = (
        t_test(*over_seeds(slopes(values, places, 2), evidence.overlap)) if len(order) > 2 and len(values) > 1 else nan
    )
    return Trend(
        component=component, doses=doses, outcomes=outcomes, overlap=evidence.overlap, slope=slope, low=low, high=high,
        p=t_test(slope, error, df), bend=bend,
    )  # fmt: skip
