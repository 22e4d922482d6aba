"""The components: found by being a file in `ablations/components`, looked up by name.

A folder of one's own joins through the environment variable ABLATIONS_COMPONENTS, which worker
processes inherit.  Standard library only: planning a study imports no torch.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from ablations.core.errors import InputError, shown, unknown
from ablations.core.fields import check_types
from ablations.core.variant import Variant
from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component

_COMPONENTS: dict[str, Component] = {}
_LOADED: set[Path] = set()
_BROKEN: dict[str, str] = {}  # what cannot be used of the user's own, and why
_OWN: dict[str, Path] = {}  # the files of the user's own components by their names
_HOME = Path(__file__).parent / "components"
_WORD = re.compile(r"\w[\w.+-]*")  # what --components can name, and no table or page takes for more than a word


def register(component: Component) -> Component:
    """`component`, now known by its name.

    Raises ValueError on a duplicate name, on a component without levels, on a name that cannot be typed, and on a field
    of another type than it has.
    """
    if not isinstance(component, Component):
        raise ValueError(f"register takes a Component, not {component!r}")
    if component.name in _COMPONENTS:
        raise ValueError(f"component {component.name!r} is registered twice")
    if not component.levels:
        raise ValueError(f"component {component.name!r} has no levels")
    for word in (component.name, *component.levels):
        if not (isinstance(word, str) and _WORD.fullmatch(word)):
            what = "component" if word is component.name else "level"
            raise ValueError(f"a {what} is called {shown(word)}; a name is of letters, digits and any of _ . + -")
    _check_fields(component)
    _COMPONENTS[component.name] = component
    return component


def _check_fields(component: Component) -> None:
    """Raises ValueError where a field has not the type that `Component` declares."""
    name, levels, activity = component.name, component.levels, component.activity
    right = {
        "reference": isinstance(component.reference, str),
        "summary": isinstance(component.summary, str),
        "source": isinstance(component.source, str),
        "control": isinstance(component.control, bool),
        "labels": isinstance(component.labels, Mapping)
        and all(level in levels and isinstance(words, str) for level, words in component.labels.items()),
        "levels": isinstance(levels, Mapping)
        and all(isinstance(level, str) and _WORD.fullmatch(level) and callable(levels[level]) for level in levels),
        "activity": isinstance(activity, Activity)
        and callable(activity.measure)
        and isinstance(activity.unit, str)
        and isinstance(activity.negligible, int | float),
    }
    for field, fits in right.items():
        if not fits:
            raise ValueError(f"the {field} of component {name!r} is {getattr(component, field)!r}, of another type")


def components() -> dict[str, Component]:
    """Every component by name, in alphabetical order; loads what has not been loaded yet.

    A file of the user's own that cannot be used is left out, and `broken` names it: what was trained with other
    components can be read and reported all the same.
    """
    ours = _HOME.resolve()
    for path in sorted(_files(), key=lambda path: (path.parent != ours, path)):  # ours first: their names are taken
        if path not in _LOADED:
            _load(path)
            _LOADED.add(path)  # only now: one of ours that cannot be imported fails every time, not once
    return dict(sorted(_COMPONENTS.items()))


def broken() -> list[str]:
    """A sentence on each of the user's own files, or folders of them, that cannot be used; mostly none."""
    components()
    return [f"{what} cannot be used: {why}." for what, why in sorted(_BROKEN.items())]


def check_components() -> None:
    """Raises InputError where a file or a folder of the user's own components cannot be used."""
    for sentence in broken():
        raise InputError(sentence)


def own_file(name: str) -> Path | None:
    """The file of a component of the user's own, from a folder of ABLATIONS_COMPONENTS; None for one of ours."""
    return _OWN.get(name)


def component(name: str) -> Component:
    """The component of that name.  Raises ValueError with the nearest name."""
    # The folders are only looked through for a name that is not known yet: plans ask thousands of times.
    if name not in _COMPONENTS and name not in components():
        check_components()  # it may be meant to be in there
        raise unknown("component", name, components())
    return _COMPONENTS[name]


def derive(spec: Spec, variant: Variant) -> Spec:
    """`spec` under the rewrites of `variant`.  Raises ValueError on an unknown component or level."""
    for name, level in variant.departures:
        levels = component(name).levels
        if level not in levels:
            raise unknown(f"level of {name}", level, levels)
        spec = levels[level](spec) if name not in _OWN else _rewritten(spec, name, level)
    return spec


def _rewritten(spec: Spec, name: str, level: str) -> Spec:
    """`spec` under a rewrite that somebody else wrote.  Raises InputError, which names its file, where it fails."""
    try:
        changed = _COMPONENTS[name].levels[level](spec)
        if not isinstance(changed, Spec):
            raise TypeError(f"it returns {changed!r}, which is no Spec")
        check_types(changed)
    except (Exception, SystemExit) as error:
        raise InputError(f"{name}={level} of {_OWN[name]} cannot be used: {_why(error, _OWN[name])}.") from error
    return changed


def _files() -> Iterator[Path]:
    yield from _HOME.resolve().glob("[!_]*.py")
    for folder in filter(None, os.environ.get("ABLATIONS_COMPONENTS", "").split(os.pathsep)):
        if Path(folder).is_dir():
            yield from (path.resolve() for path in Path(folder).glob("*.py") if not path.stem.startswith("_"))
        else:
            _BROKEN[f"{folder!r}, which ABLATIONS_COMPONENTS names,"] = "it is not a folder"


def _load(path: Path) -> None:
    if path.parent == _HOME.resolve():
        importlib.import_module(f"ablations.subjects.alexnet.components.{path.stem}")
        return
    # Two folders may hold a file of one name; the registry refuses a second component of one name.
    name = f"ablations_extra_{path.stem}_{abs(hash(path))}"
    before = dict(_COMPONENTS)
    try:
        if not path.is_file():
            raise OSError("it is no file")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        _COMPONENTS.clear()
        _COMPONENTS.update(before)
        _BROKEN[f"the component file {path}"] = _why(error, path)
    else:
        _OWN.update(dict.fromkeys(_COMPONENTS.keys() - before.keys(), path))


def _why(error: BaseException, path: Path) -> str:
    """What somebody else's file did wrong, and in which of its lines, in a clause."""
    said = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split()).rstrip(".")
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{type(error).__name__}{f': {said[:300]}' if said else ''}{f', in line {line}' if line else ''}"
