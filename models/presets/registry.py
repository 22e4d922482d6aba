"""The table of presets and how a function joins it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ablations.models.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A reference `Spec`, one line of what it is, and where its numbers come from."""

    name: str
    spec: Spec
    summary: str
    source: str
    parameters: int  # trainable numbers with `classes` classes at the spec's image size: published, or by hand
    classes: int


PRESETS: dict[str, Preset] = {}


def preset(
    name: str, *, summary: str, source: str, parameters: int, classes: int = 1000
) -> Callable[[Callable[[], Spec]], Callable[[], Spec]]:
    """Registers the Spec that the decorated function returns.  A duplicate name raises ValueError."""

    def register(make: Callable[[], Spec]) -> Callable[[], Spec]:
        if name in PRESETS:
            raise ValueError(f"preset {name!r} is registered twice")
        PRESETS[name] = Preset(
            name=name, spec=make(), summary=summary, source=source, parameters=parameters, classes=classes
        )
        return make

    return register
