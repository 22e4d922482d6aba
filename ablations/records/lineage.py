"""Which code decides a result: a digest of the sources that some functions reach.

Only definitions that are used count, so that a change to a report does not look like a change to the training.
Standard library only.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

_PACKAGES = ("ablations",)  # only definitions of these packages are followed
_C_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class _Module:
    """What a source file defines, and what its names stand for."""

    path: Path
    defined: dict[str, list[ast.stmt]]  # name -> the statements at the top of the module that bind it
    bare: list[ast.stmt]  # other statements at its top, such as a registration; they count if the module is reached
    imported: dict[str, tuple[str, str]]  # name -> (module, name in it); the name is "" for the module itself


Entry = tuple[str, str]  # a module and the name of a function in it


@functools.cache
def digest_of(entries: tuple[Entry, ...]) -> str:
    """Returns sixteen hex digits over every definition that the entries reach by name, and over our C sources.

    The digest is of syntax trees without docstrings, imports and paths.  So neither comments nor formatting, nor the
    move of a definition to another file, changes it.
    """
    trees = sorted(_written(statement) for statement in reached(entries))
    digest = hashlib.sha256("\n".join(trees).encode())
    # glob.glob also looks into a folder that is a link, as `ablations/models` is in a checkout; Path.rglob does not.
    sources = (Path(path) for package in _PACKAGES for path in glob(f"{_folder(package)}/**/*.c", recursive=True))
    for path in sorted(sources, key=lambda path: path.name):
        digest.update(b" ".join(_C_COMMENT.sub(b" ", path.read_bytes()).split()))
    return digest.hexdigest()[:16]


def reached(entries: tuple[Entry, ...]) -> list[ast.stmt]:
    """Returns the statements that the entries use directly or through others, each once."""
    found: dict[int, ast.stmt] = {}
    seen: set[tuple[str, str]] = set()
    visited: set[str] = set()
    waiting = list(entries)
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        module = _module(name)
        statements = list(module.defined.get(wanted, ()))
        if wanted in module.imported:  # a name that the module only passes on
            waiting.append(_source(*module.imported[wanted]))
        if name not in visited:
            visited.add(name)
            statements += module.bare
        for statement in statements:
            found[id(statement)] = statement
            waiting += _uses(statement, name)
    return list(found.values())


def _uses(statement: ast.stmt, name: str) -> Iterator[tuple[str, str]]:
    """Yields the (module, name) pairs of our own packages that a statement of the module `name` may refer to."""
    module = _module(name)
    local = {**module.imported, **_imports(statement, name)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            where, what = local.get(node.value.id, ("", ""))
            if where and _is_module(where, what):
                yield f"{where}.{what}" if what else where, node.attr
        if isinstance(node, ast.Name):
            if node.id in local:
                where, what = local[node.id]
                if what and not _is_module(where, what):
                    yield where, what
            elif node.id in module.defined:
                yield name, node.id


def _source(where: str, what: str) -> tuple[str, str]:
    """Returns an import of `what` from `where` as (module, name); the name is "" if a module is imported."""
    return (f"{where}.{what}", "") if _is_module(where, what) else (where, what)


def _is_module(where: str, what: str) -> bool:
    """Tells whether `what` in the package `where` is a module; an empty `what` stands for `where` itself."""
    return not what or _path(f"{where}.{what}") is not None


@functools.cache
def _path(name: str) -> Path | None:
    """Returns the source file of one of our own modules, or None.

    It is found by its place, because `find_spec` would import the packages that hold the module.
    """
    package, *rest = name.split(".")
    if package not in _PACKAGES:
        return None
    place = _folder(package).joinpath(*rest)
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _folder(package: str) -> Path:
    """Returns the folder of an installed package."""
    spec = find_spec(package)
    assert spec and spec.origin, package
    return Path(spec.origin).parent


@functools.cache
def _module(name: str) -> _Module:
    """Returns what the source of one of our own modules defines, parsed once per process."""
    path = _path(name)
    assert path, name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined: dict[str, list[ast.stmt]] = {}
    bare: list[ast.stmt] = []
    for statement in tree.body:
        names = _bound(statement)
        for bound in names:
            defined.setdefault(bound, []).append(statement)
        if not names and not _is_docstring(statement) and not _only_imports(statement):
            bare.append(statement)
    return _Module(path=path, defined=defined, bare=bare, imported=_imports(tree, name, top_only=True))


def _bound(statement: ast.stmt) -> list[str]:
    """Returns the names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


def _imports(tree: ast.AST, name: str, *, top_only: bool = False) -> dict[str, tuple[str, str]]:
    """Returns what imports of our own packages bind in `tree`: local name -> (module, name in it or "").

    `name` is the module of `tree`, from which relative imports start.
    """
    found: dict[str, tuple[str, str]] = {}
    for node in _top_imports(tree) if top_only else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            where = resolve_name("." * node.level + (node.module or ""), name) if node.level else node.module or ""
            if where.partition(".")[0] in _PACKAGES:
                found |= {alias.asname or alias.name: (where, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            own = (alias for alias in node.names if alias.name.partition(".")[0] in _PACKAGES and alias.asname)
            found |= {str(alias.asname): (alias.name, "") for alias in own}
    return found


def _top_imports(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the imports at the top of a module, also those under `if TYPE_CHECKING`, but not those in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _top_imports(node)


def _only_imports(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        return all(map(_only_imports, [*statement.body, *statement.orelse]))
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _kept(body: list[ast.stmt]) -> list[ast.stmt]:
    """Leaves out docstrings, and imports inside functions, which say where a name comes from but not what is done."""
    kept = [one for one in body if not _is_docstring(one) and not isinstance(one, ast.Import | ast.ImportFrom)]
    return kept or [ast.Pass()]


def _written(node: object) -> str:
    """Writes a syntax tree without docstrings and inner imports, as text that is the same in every Python version.

    `ast.dump` would not do: newer versions of Python write fields that older ones do not know, even if they are empty.
    """
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields: dict[str, Any] = {name: getattr(node, name, None) for name in node._fields}
    if isinstance(fields.get("body"), list):
        fields["body"] = _kept(fields["body"])
    held = (f"{name}={_written(value)}" for name, value in fields.items() if value not in (None, []))
    return f"{type(node).__name__}({','.join(held)})"
