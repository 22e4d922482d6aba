"""The components: found by being a file in `ablations/components`, looked up by name.

A folder of one's own joins through the environment variable ABLATIONS_COMPONENTS, which worker
processes inherit.  Standard library only: planning a study imports no torch.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from ablations.names import unknown
from ablations.types import Component, Variant
from models.equivalence import canonical
from models.spec import Spec, leaves, training_part

SHOWN = 4  # fields that the reason for a conflict names
_COMPONENTS: dict[str, Component] = {}
_LOADED: set[Path] = set()
_OWN: dict[str, Path] = {}  # the files of the user's own components by their names
_HOME = Path(__file__).parent / "components"


def register(component: Component) -> Component:
    """`component`, now known by its name.  A duplicate name or a component without levels raises ValueError."""
    if component.name in _COMPONENTS:
        raise ValueError(f"component {component.name!r} is registered twice")
    if not component.levels:
        raise ValueError(f"component {component.name!r} has no levels")
    _COMPONENTS[component.name] = component
    return component


def components() -> dict[str, Component]:
    """Every component by name, in alphabetical order; loads what has not been loaded yet."""
    for path in sorted(_files()):
        if path not in _LOADED:
            _load(path)
            _LOADED.add(path)  # only now: a file that cannot be imported fails every time, not once
    return dict(sorted(_COMPONENTS.items()))


def own_file(name: str) -> Path | None:
    """The file of a component of the user's own, from a folder of ABLATIONS_COMPONENTS; None for one of ours."""
    return _OWN.get(name)


def component(name: str) -> Component:
    """The component of that name.  Raises ValueError with the nearest name."""
    # The folders are only looked through for a name that is not known yet: plans ask thousands of times.
    if name not in _COMPONENTS and name not in components():
        raise unknown("component", name, components())
    return _COMPONENTS[name]


def derive(spec: Spec, variant: Variant) -> Spec:
    """`spec` under the rewrites of `variant`.  Raises ValueError on an unknown component or level."""
    for name, level in variant.departures:
        levels = component(name).levels
        if level not in levels:
            raise unknown(f"level of {name}", level, levels)
        spec = levels[level](spec)
    return spec


def changes(spec: Spec, variant: Variant) -> bool:
    """Whether `variant` is another training or evaluation than `spec`, not only other words for it."""
    return canonical(derive(spec, variant)) != canonical(spec)


def trains_otherwise(spec: Spec, departure: tuple[str, str]) -> bool:
    """Whether a departure changes what training reads, and not the evaluation alone."""
    departed = derive(spec, Variant(departures=(departure,)))
    return canonical(training_part(departed)) != canonical(training_part(spec))


def conflict(spec: Spec, first: tuple[str, str], second: tuple[str, str]) -> str | None:
    """Why two departures cannot be combined on `spec`, or None: computed from what they rewrite.

    They can when the order does not matter and neither makes the other a no-op.
    """
    if first[0] == second[0]:
        return f"two levels of {first[0]}"
    one, two = (Variant(departures=(departure,)) for departure in (first, second))
    changed = {alone: derive(spec, alone) for alone in (one, two)}
    forms = {alone: canonical(derived) for alone, derived in changed.items()}
    for alone in (one, two):
        if forms[alone] == canonical(spec):
            return f"{alone.label} changes nothing here"
    there, back = canonical(derive(changed[one], two)), canonical(derive(changed[two], one))
    shared = functools.partial(_shared, spec, changed[one], changed[two])
    if there != back:
        why = f"both rewrite {shared()}" if shared() else "depend on their order: one reads what the other rewrites"
        return f"{one.label} and {two.label} {why}"
    for idle, other in ((two, one), (one, two)):
        if there == forms[other]:
            detail = f": both rewrite {shared()}" if shared() else ""
            return f"{idle.label} changes nothing beside {other.label}{detail}"
    return None


def _shared(spec: Spec, one: Spec, two: Spec) -> str:
    """The fields in which both `one` and `two` differ from `spec`; the first few of many."""
    fields = sorted(_touched(spec, one) & _touched(spec, two))
    more = f" and {len(fields) - SHOWN} more" if len(fields) > SHOWN else ""
    return ", ".join(fields[:SHOWN]) + more


def _touched(spec: Spec, changed: Spec) -> set[str]:
    before, after = leaves(spec), leaves(changed)
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def _files() -> Iterator[Path]:
    folders: Iterable[str] = filter(None, os.environ.get("ABLATIONS_COMPONENTS", "").split(os.pathsep))
    for folder in [_HOME, *map(Path, folders)]:
        if not folder.is_dir():
            raise ValueError(f"ABLATIONS_COMPONENTS names {str(folder)!r}, which is not a folder.")
        yield from (path.resolve() for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _load(path: Path) -> ModuleType:
    if path.parent == _HOME.resolve():
        return importlib.import_module(f"ablations.components.{path.stem}")
    # Two folders may hold a file of one name; the registry refuses a second component of one name.
    name = f"ablations_extra_{path.stem}_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
