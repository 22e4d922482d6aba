"""The components of a study file -> their levels, each a change of the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablations.core.errors import InputError, nearest, shown
from ablations.core.load import MILD, PLACEBO, SABOTAGE
from ablations.core.subject import Doses
from ablations.subject import LINEAR, LOG, Component
from ablations.subjects.own.configs import changed, fields, like, plain, value_of

Change = Mapping[str, Any] | Callable[[Any], Any]  # fields -> values, or a function from a configuration to another
WORD = re.compile(r"\w[\w.+-]*")  # names that --components can hold


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component of a study file, with its levels as changes."""

    name: str
    levels: Mapping[str, Change]  # by their names, the default one first
    about: Component  # as the file has it: summary, source, scale and so on


def parts_of(reference: Any, components: Mapping[str, Any]) -> dict[str, Part]:
    """Returns the components of a study file by name.

    Raises InputError on a name that --components cannot hold, on a component without levels, and on a level that is no
    change: one of an unknown field, one that JSON cannot hold, or one that the reference has already.
    """
    values = plain(reference)
    if not isinstance(values, dict):
        raise InputError(f"the reference is {shown(reference)}; it must be a dataclass or a dict.")
    if not components:
        raise InputError("components is empty: name at least one field that can be changed.")
    return {name: _part(reference, values, name, written) for name, written in components.items()}


def _part(reference: Any, values: Mapping[str, Any], name: str, written: Any) -> Part:
    if not isinstance(name, str) or not WORD.fullmatch(name):
        raise InputError(f"a component is called {shown(name)}; a name is of letters, digits and any of _ . + -")
    if name in (PLACEBO, SABOTAGE, MILD):
        raise InputError(f"a component is called {shown(name)}, which is the name of a control.")
    about = written if isinstance(written, Component) else Component(written)
    levels = _levels(values, name, about.levels)
    if not levels:
        raise InputError(f"component {name!r} has no levels.")
    for level, change in levels.items():
        if not WORD.fullmatch(level):
            raise InputError(f"a level of {name!r} is called {shown(level)}; give it a name: {{'name': {{...}}}}.")
        if applied(reference, values, change) == values:
            raise InputError(f"{name}={level} is what the reference has: name another value.")
    for level, words in about.labels.items():
        if level not in levels or not isinstance(words, str) or not words.strip():
            raise InputError(
                f"labels of component {name!r} has {shown(level)}: {shown(words)}{nearest(level, levels)} each is the "
                f"name of a level and its words; the levels are {', '.join(levels)}."
            )
    for one in about.when:
        if one not in fields(values):
            raise InputError(f"when of component {name!r} names {shown(one)}{nearest(one, fields(values))} no field.")
    part = Part(name=name, levels=levels, about=about)
    doses_of(part, values)
    return part


def doses_of(part: Part, values: Mapping[str, Any]) -> Doses | None:
    """Returns the doses of a component, beside a reference with these values; None if its levels are not ordered.

    Levels are doses if the component says so, or if the reference's value and two levels or more, all of them, are
    numbers. Raises InputError if the component says so and a level is no number.
    """
    about = part.about
    if about.scale not in (LINEAR, LOG):
        raise InputError(f"component {part.name!r} has the scale {shown(about.scale)}; it is 'linear' or 'log'.")
    found = {level: _dose(part.name, change) for level, change in part.levels.items()}
    doses = {"the reference": value_of(values, part.name), **found}
    wrong = {
        level: dose for level, dose in doses.items() if isinstance(dose, bool) or not isinstance(dose, int | float)
    }
    asked = about.ordered or (about.ordered is None and about.scale == LOG)
    if about.ordered is False or ((wrong or len(found) < 2) and not asked):
        return None
    for level, dose in doses.items():
        if level in wrong or (about.scale == LOG and not dose > 0):
            kind = "number above 0, as its scale is logarithmic" if level not in wrong else "number of that field"
            raise InputError(f"component {part.name!r} is ordered, and {level} is {shown(dose)}, which is no {kind}.")
    first = float(doses.pop("the reference"))
    levels = {level: float(dose) for level, dose in doses.items()}
    return Doses(reference=first, levels=levels, log=about.scale == LOG, unit=about.unit)


def _dose(name: str, change: Change) -> Any:
    """Returns the value of the field `name` if the change is of that field alone; else None."""
    return change[name] if isinstance(change, Mapping) and list(change) == [name] else None


def _levels(values: Mapping[str, Any], name: str, written: Any) -> dict[str, Change]:
    """Returns level -> change, in the order in which the file has them."""
    if callable(written):
        return {getattr(written, "__name__", "changed"): written}
    if isinstance(written, Mapping):
        return _by_name(name, [(str(level), _named(name, one)) for level, one in written.items()])
    if name not in fields(values):
        raise InputError(
            f"component {name!r} is no field of the reference{nearest(name, fields(values))} or give its levels names: "
            f"{{{name!r}: {{'off': {{'field': value}}}}}}."
        )
    several = list(written) if isinstance(written, list | tuple) and not _is_value(values, name, written) else [written]
    return _by_name(name, [(level_name(one), {name: one}) for one in several])


def _by_name(name: str, levels: Sequence[tuple[str, Change]]) -> dict[str, Change]:
    """Returns the levels of a component by their names.  Raises InputError if two have one name."""
    names = [level for level, _ in levels]
    if twice := next((level for level in names if names.count(level) > 1), None):
        raise InputError(
            f"component {name!r} has two levels called {shown(twice)}: give them names, {{'one': ..., 'other': ...}}."
        )
    return dict(levels)


def _is_value(values: Mapping[str, Any], name: str, written: Any) -> bool:
    """Tells whether a list is one value of the field, because the field holds lists."""
    return isinstance(value_of(values, name), list) and not any(isinstance(one, list | tuple) for one in written)


def _named(name: str, written: Any) -> Change:
    if callable(written):
        return written  # type: ignore[no-any-return]
    if isinstance(written, Mapping):
        return dict(written)
    return {name: written}


def level_name(value: Any) -> str:
    """Returns the name of a level that the file gives as a bare value: `off` for False, None and 0, else the value."""
    if value in (None, False, 0, "none"):
        return "off"
    return "on" if value is True else "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def applied(reference: Any, values: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Returns `values` with the change made.  Raises InputError if the change fails."""
    if not callable(change):
        return changed(values, change)
    word = getattr(change, "__name__", "a level")
    try:
        made = plain(change(like(reference, values)), word)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the level {word} cannot be used: {type(error).__name__}: {error}.") from error
    if not isinstance(made, dict) or made.keys() != values.keys():
        raise InputError(f"the level {word} returns {shown(made)}, which is no configuration like the reference.")
    return made
