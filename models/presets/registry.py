"""The table of presets, and the decorator that adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ablations.models.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A reference `Spec`, with one line on what it is and where its numbers come from."""

    name: str
    spec: Spec
    summary: str  # one line
    source: str  # paper or files that its numbers were taken from
    # Trainable numbers with `classes` classes at the spec's image size, as published or as counted by hand.  Tests
    # compare it with what `layout` counts.
    parameters: int
    classes: int  # of the data set that it was made for


PRESETS: dict[str, Preset] = {}


def preset(
    name: str, *, summary: str, source: str, parameters: int, classes: int = 1000
) -> Callable[[Callable[[], Spec]], Callable[[], Spec]]:
    """Registers the Spec that the decorated function returns under `name`.  Raises ValueError on a duplicate name."""

    def register(make: Callable[[], Spec]) -> Callable[[], Spec]:
        if name in PRESETS:
            raise ValueError(f"preset {name!r} is registered twice")
        PRESETS[name] = Preset(
            name=name, spec=make(), summary=summary, source=source, parameters=parameters, classes=classes
        )
        return make

    return register
