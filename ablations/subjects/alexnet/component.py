"""The type of AlexNet's components: what one changes in a Spec, and how its activity is measured."""

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

    A number near zero means that the component changes nothing by construction: an ablation of it tests nothing.
    """

    measure: Callable[[Probe], float]  # takes a probe of one trained reference
    unit: str  # what the number is, in words
    negligible: float = 0.01  # below this the component counts as inactive, and no claim on it is judged


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a network, of its data treatment or of its recipe that can be changed."""

    name: str
    reference: str  # what the reference does, in words
    # Level -> pure function that rewrites a Spec to have it; the reference itself is no level.  Designs use the first
    # level unless another is asked for.
    levels: Mapping[str, Callable[[Spec], Spec]]
    summary: str  # one line: what it does
    source: str  # where it is described, with the section
    activity: Activity
    control: bool = False  # whether it is a placebo or a sabotage, which is part of every study
    labels: Mapping[str, str] = field(default_factory=dict)  # level -> its words, "no dropout"; else by `core.labels`
