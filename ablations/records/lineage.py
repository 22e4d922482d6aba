"""Which code decides a result: a digest of the sources that some functions reach.

Standard library only.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec, resolve_name
from pathlib import Path

_PACKAGES = ("ablations",)
_C_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class _Module:
    """What a source file defines, and what its names stand for."""

    path: Path
    defined: dict[str, list[ast.stmt]]  # name -> the statements at the top of the module that bind it
    bare: list[ast.stmt]  # other statements at its top, such as a registration
    imported: dict[str, tuple[str, str]]  # name -> (module, name in it, or "" for the module itself)


Entry = tuple[str, str]  # a module and the name of a function in it


@functools.cache
def digest_of(entries: tuple[Entry, ...]) -> str:
    """Sixteen hex digits of every definition that the entries reach by name, and of our C sources.

    Syntax trees are compared, without docstrings, imports and paths: neither comments nor formatting nor the move of
    a definition to another file changes the digest.
    """
    trees = sorted(_written(_undocumented(statement)) for statement in reached(entries))
    digest = hashlib.sha256("\n".join(trees).encode())
    # glob.glob also looks into a folder that is a link, as `ablations/models` is in a checkout; Path.rglob does not.
    sources = (Path(path) for package in _PACKAGES for path in glob(f"{_folder(package)}/**/*.c", recursive=True))
    for path in sorted(sources, key=lambda path: path.name):
        digest.update(b" ".join(_C_COMMENT.sub(b" ", path.read_bytes()).split()))
    return digest.hexdigest()[:16]


def reached(entries: tuple[Entry, ...]) -> list[ast.stmt]:
    """The statements that the entries use directly or through others, each once."""
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
    """The (module, name) pairs of our own packages that a statement of the module `name` may refer to."""
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
    return (f"{where}.{what}", "") if _is_module(where, what) else (where, what)


def _is_module(where: str, what: str) -> bool:
    """Whether `what` in the package `where` is a module; an empty `what` stands for the module itself."""
    return not what or _path(f"{where}.{what}") is not None


@functools.cache
def _path(name: str) -> Path | None:
    """The source of one of our own modules; found by its place, since to ask Python would import what holds it."""
    package, *rest = name.split(".")
    if package not in _PACKAGES:
        return None
    place = _folder(package).joinpath(*rest)
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec and spec.origin, package
    return Path(spec.origin).parent


@functools.cache
def _module(name: str) -> _Module:
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
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


def _imports(tree: ast.AST, name: str, *, top_only: bool = False) -> dict[str, tuple[str, str]]:
    """What our own imports in `tree`, of the module `name`, bind: local name -> (module, name in it or "")."""
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
    """Imports at the top of a module, those under a condition such as TYPE_CHECKING too, but not those in functions."""
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


class _WithoutWords(ast.NodeTransformer):
    """Takes out docstrings and the imports inside functions, which name places and not what is done."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not _is_docstring(one) and not isinstance(one, ast.Import | ast.ImportFrom)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _written(node: object) -> str:
    """A syntax tree as text that every Python writes alike: `ast.dump` of a newer one names more empty fields."""
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, getattr(node, name, None)) for name in node._fields)
    held = (f"{name}={_written(value)}" for name, value in fields if value not in (None, []))
    return f"{type(node).__name__}({','.join(held)})"


def _undocumented(statement: ast.stmt) -> ast.stmt:
    found = _WithoutWords().visit(copy.deepcopy(statement))  # the cached tree stays as it is
    assert isinstance(found, ast.stmt)
    return found
