"""A component of AlexNet: what it changes in a Spec, and how active it is in a trained reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ablations.models.spec import Spec

if TYPE_CHECKING:
    from ablations.subjects.alexnet.activity import Probe


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How much a component's presence changes what the trained reference computes.

    `measure` gets a `Probe` of one trained reference and returns a number; `unit` says of what.
    A number near zero means that the toggle is null by construction.
    """

    measure: Callable[[Probe], float]
    unit: str
    negligible: float = 0.01  # below this the component counts as inactive, and no claim on it is judged


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a network, of its data or of its recipe that can be changed: a factor.

    `levels` maps a level's name to the pure rewrite of a Spec that brings it about; the reference
    itself is no level.  The first level is the one that designs use unless another is asked for.
    """

    name: str
    reference: str  # the word for what the reference does
    levels: Mapping[str, Callable[[Spec], Spec]]
    summary: str  # one line: what it does
    source: str  # where it is described, with the section
    activity: Activity
    control: bool = False  # a placebo or a sabotage: rides along in every study
    labels: Mapping[str, str] = field(default_factory=dict)  # level -> its words, "no dropout"; else by `core.labels`
