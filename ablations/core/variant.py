"""A variant: the departures from the reference that a trial has.  Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

Departure = tuple[str, str]  # (component, level)


@dataclass(frozen=True, kw_only=True, order=True)
class Variant:
    """Departures from the reference, ((component, level), ...), in sorted order; () is the reference.

    They are sorted so that a variant has one key in whatever order its departures were given.
    Raises ValueError on two levels of one component.
    """

    departures: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        departures = tuple(sorted((name, level) for name, level in self.departures))
        if len({name for name, _ in departures}) < len(departures):
            raise ValueError(f"two levels of one component: {departures}")
        object.__setattr__(self, "departures", departures)

    @property
    def label(self) -> str:
        """The variant's name, such as `reference`, `-lrn`, `-dropout -lrn` or `activation=tanh`."""
        words = [f"-{name}" if level == "off" else f"{name}={level}" for name, level in self.departures]
        return " ".join(words) or "reference"


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A combination that a grid left out, and why."""

    variant: Variant
    reason: str
