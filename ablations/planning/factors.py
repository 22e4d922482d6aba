"""Whether departures change anything, and which of them cannot be combined: computed from the configs they lead to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ablations.core.errors import InputError, shown, unknown
from ablations.core.identity import leaves
from ablations.core.load import load
from ablations.core.setting import Config, Setting
from ablations.core.subject import Component
from ablations.core.text import few
from ablations.core.variant import Departure, Variant

SHOWN = 4  # most fields that the reason for a conflict names


def component_of(components: Mapping[str, Component], name: str) -> Component:
    """Returns the component of that name.  Raises InputError, with the nearest name, if there is none."""
    if name not in components:
        raise unknown("component", name, components)
    return components[name]


def departures_of(subject: str, words: Sequence[str]) -> tuple[Departure, ...]:
    """Returns the departures that `words` ask for, as --components writes them.

    `lrn` asks for the component's first level, `lrn=batch_norm` for that level, and `lrn=all` for every level.
    Raises InputError on an unknown name, and on a control, because the study itself decides on its controls.
    """
    chosen: list[Departure] = []
    for word in words:
        name, equals, level = word.partition("=")
        found = component_of(load(subject).components, name)
        if equals and not level:
            raise InputError(f"{shown(word)} names no level of {name}; leave out the = for {found.levels[0]}.")
        if found.control:
            raise InputError(f"{name} is a control and rides along in every study; leave it out of --components.")
        levels = list(found.levels) if level == "all" else [level or found.levels[0]]
        for one in levels:
            if one not in found.levels:
                raise unknown(f"level of {name}", one, found.levels)
            if (name, one) not in chosen:
                chosen.append((name, one))
    return tuple(chosen)


def controls(subject: str, names: Sequence[str] | None = None) -> tuple[Departure, ...]:
    """Returns the first level of every control of the subject, or of those in `names`."""
    return tuple(
        (name, found.levels[0])
        for name, found in load(subject).components.items()
        if found.control and (names is None or name in names)
    )


class Forms:
    """The configs that departures make of one setting's reference, and their conflicts, each computed only once."""

    def __init__(self, subject: str, setting: Setting) -> None:
        self.subject: Any = load(subject)
        self.setting = setting
        self._configs: dict[tuple[Departure, ...], Config] = {}
        self._forms: dict[tuple[Departure, ...], Hashable] = {}
        self._conflicts: dict[tuple[Departure, Departure], str] = {}

    def config(self, *departures: Departure) -> Config:
        """Returns the reference's config with the departures made in this order."""
        if departures not in self._configs:
            self._configs[departures] = self.subject.configure(self.setting, departures)
        return self._configs[departures]

    def form(self, *departures: Departure) -> Hashable:
        """Returns a value that is equal for departures whose results are equal: the subject's canonical config."""
        if departures not in self._forms:
            self._forms[departures] = self.subject.canonical(self.config(*departures))
        return self._forms[departures]

    def changes(self, departure: Departure) -> bool:
        """Tells whether a departure trains or evaluates otherwise than the reference, or is a no-op."""
        return self.form(departure) != self.form()

    def conflict(self, first: Departure, second: Departure) -> str:
        """Returns why two departures cannot be combined, or an empty string.

        They can if their order does not matter and neither makes the other a no-op.
        """
        if (first, second) not in self._conflicts:
            self._conflicts[first, second] = self._conflict(first, second)
        return self._conflicts[first, second]

    def _conflict(self, first: Departure, second: Departure) -> str:
        if first[0] == second[0]:
            return f"two levels of {first[0]}"
        one, two = (Variant(departures=(departure,)).label for departure in (first, second))
        for label, departure in ((one, first), (two, second)):
            if not self.changes(departure):
                return f"{label} changes nothing here"
        there, back = self.form(first, second), self.form(second, first)
        if there != back:
            shared = self._shared(first, second)
            why = f"both rewrite {shared}" if shared else "depend on their order: one reads what the other rewrites"
            return f"{one} and {two} {why}"
        for idle, label, other in ((two, one, first), (one, two, second)):
            if there == self.form(other):
                shared = self._shared(first, second)
                detail = f": both rewrite {shared}" if shared else ""
                return f"{idle} changes nothing beside {label}{detail}"
        return ""

    def _shared(self, first: Departure, second: Departure) -> str:
        """Writes the names of the config's fields that both departures change, of many only the first `SHOWN`."""
        fields = sorted(self._touched(first) & self._touched(second))
        return few(fields, SHOWN) if fields else ""

    def _touched(self, departure: Departure) -> set[str]:
        """Returns the paths of the config's fields that a departure changes."""
        before, after = leaves(self.config()), leaves(self.config(departure))
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        return {path.removeprefix("spec.") for path in changed}
