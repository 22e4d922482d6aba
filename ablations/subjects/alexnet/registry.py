"""The registry of components: finds their files, loads them, and looks components up by name.

Every file in the folder `components` beside this one is loaded, and every file in the folders that the environment
variable ABLATIONS_COMPONENTS names, which worker processes inherit.
Standard library only, since planning a study imports no torch.
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
_BROKEN: dict[str, str] = {}  # a file or folder of the user's own that cannot be used -> why
_OWN: dict[str, Path] = {}  # name of a component of the user's own -> its file
_HOME = Path(__file__).parent / "components"
_WORD = re.compile(r"\w[\w.+-]*")  # names that --components can take, and that no table or page reads as markup


def register(component: Component) -> Component:
    """Adds `component` to the registry and returns it.

    Raises ValueError on a duplicate name, on a component without levels, on a name that --components could not take,
    and on a field that does not have the type that `Component` declares.
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
    """Raises ValueError if a field does not have the type that `Component` declares."""
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
    """Returns every component by name, in alphabetical order; loads files that have not been loaded yet.

    A file of the user's own that cannot be used is left out, and `broken` names it.  It is no error here, so that
    studies of other components can still be read and reported.
    """
    ours = _HOME.resolve()
    # Ours are loaded first, so that a file of the user's own with the same name is the one that is refused.
    for path in sorted(_files(), key=lambda path: (path.parent != ours, path)):
        if path not in _LOADED:
            _load(path)
            _LOADED.add(path)  # after loading, so that one of ours that cannot be imported fails every time, not once
    return dict(sorted(_COMPONENTS.items()))


def broken() -> list[str]:
    """Returns a sentence on each file or folder of the user's own components that cannot be used."""
    components()
    return [f"{what} cannot be used: {why}." for what, why in sorted(_BROKEN.items())]


def check_components() -> None:
    """Raises InputError if a file or a folder of the user's own components cannot be used."""
    for sentence in broken():
        raise InputError(sentence)


def own_file(name: str) -> Path | None:
    """Returns the file of a component of the user's own, or None for one of ours."""
    return _OWN.get(name)


def component(name: str) -> Component:
    """Returns the component of that name.  Raises InputError with the nearest name if there is none."""
    # Search the folders only for a name that is not known yet, since plans look names up thousands of times.
    if name not in _COMPONENTS and name not in components():
        check_components()  # a broken file may be the one that should define it
        raise unknown("component", name, components())
    return _COMPONENTS[name]


def derive(spec: Spec, variant: Variant) -> Spec:
    """Returns `spec` as `variant` rewrites it.  Raises InputError on an unknown component or level."""
    for name, level in variant.departures:
        levels = component(name).levels
        if level not in levels:
            raise unknown(f"level of {name}", level, levels)
        spec = levels[level](spec) if name not in _OWN else _rewritten(spec, name, level)
    return spec


def _rewritten(spec: Spec, name: str, level: str) -> Spec:
    """Returns `spec` as a rewrite of the user's own changes it.  Raises InputError, naming its file, if it fails."""
    try:
        changed = _COMPONENTS[name].levels[level](spec)
        if not isinstance(changed, Spec):
            raise TypeError(f"it returns {changed!r}, which is no Spec")
        check_types(changed)
    except (Exception, SystemExit) as error:
        raise InputError(f"{name}={level} of {_OWN[name]} cannot be used: {_why(error, _OWN[name])}.") from error
    return changed


def _files() -> Iterator[Path]:
    """Yields the files of all components, except those whose name begins with an underscore."""
    yield from _HOME.resolve().glob("[!_]*.py")
    for folder in filter(None, os.environ.get("ABLATIONS_COMPONENTS", "").split(os.pathsep)):
        if Path(folder).is_dir():
            yield from (path.resolve() for path in Path(folder).glob("*.py") if not path.stem.startswith("_"))
        else:
            _BROKEN[f"{folder!r}, which ABLATIONS_COMPONENTS names,"] = "it is not a folder"


def _load(path: Path) -> None:
    """Imports a file, whose components register themselves; one of the user's own that fails is noted in _BROKEN."""
    if path.parent == _HOME.resolve():
        importlib.import_module(f"ablations.subjects.alexnet.components.{path.stem}")
        return
    # Two folders may hold files of the same name, so the module's name has a hash of the path.
    name = f"ablations_extra_{path.stem}_{abs(hash(path))}"
    before = dict(_COMPONENTS)  # to undo what a file registered before it failed
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
    """Says in a clause what failed in a file of the user's own, and in which of its lines."""
    said = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split()).rstrip(".")
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{type(error).__name__}{f': {said[:300]}' if said else ''}{f', in line {line}' if line else ''}"
