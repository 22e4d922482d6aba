"""The files that decide a trial's result: the study file and the local files that its imports or strings name."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ablations.core.errors import InputError, shown

MOST_FILES = 2_000  # the search ends here: a study that reaches more files does so by mistake


def files_of(study: Path, patterns: Sequence[str] = ()) -> list[Path]:
    """Returns the study file, the local modules that it imports, the local files that its strings name, and `patterns`.

    This holds for each file that is found, too.  Imports inside functions count, installed packages do not.  Raises
    InputError on a pattern that matches no file.
    """
    root = study.parent
    found: dict[Path, None] = {}
    waiting = [study]
    for pattern in patterns:
        matched = [path for path in sorted(root.glob(pattern)) if path.is_file()]
        if not matched:
            raise InputError(f"code names {shown(pattern)}, which matches no file beside {study.name}.")
        waiting += matched
    while waiting and len(found) < MOST_FILES:
        path = waiting.pop().resolve()
        if path in found or not path.is_file():
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting += _reached(path, root)
    return sorted(found)


def _reached(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from module((root, path.parent), alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else None
            name = node.module or ""
            for alias in node.names:
                yield from module((base or root, path.parent), ".".join(filter(None, (name, alias.name))))
            yield from module((base or root, path.parent), name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _named(root, node.value)


def module(folders: Sequence[Path], name: str) -> Iterator[Path]:
    """Yields the files of the module `name`, with dots, in each of `folders` that has it."""
    for folder in folders:
        place = folder.joinpath(*name.split("."))
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate


def _named(root: Path, text: str) -> Iterator[Path]:
    """Yields the file that a string names: a short text with a dot in it, and a file of that path in `root`."""
    if not 3 < len(text) < 200 or "." not in text or "\n" in text or "\0" in text:
        return
    try:
        path = root / text
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path
    except (OSError, ValueError):
        return


def digest_of(files: Sequence[Path], study: Path | None = None, *, also: str = "") -> str:
    """Returns sixteen hex digits of the files' contents, and of the text `also`.

    Of Python files the syntax tree without docstrings counts, so that comments and formatting do not; of others the
    bytes.  Of the file `study` the arguments of `Subject(...)` do not count either: what they make of a trial is in its
    configuration, and the rest is about the report.
    """
    digest = hashlib.sha256(also.encode())
    own = study.resolve() if study else None
    for text in sorted(_said(path, declares=path == own) for path in files):
        digest.update(text)
    return digest.hexdigest()[:16]


def named(study: Path, files: Sequence[Path]) -> dict[str, bytes]:
    """Returns the contents of the files by their paths relative to the study file; `up/` stands for a parent folder."""
    root = study.parent.resolve()
    found = {}
    for path in files:
        parts = Path(os.path.relpath(path, root)).parts
        found["/".join("up" if part == os.pardir else part for part in parts)] = path.read_bytes()
    return found


def _said(path: Path, *, declares: bool) -> bytes:
    """Returns the part of a file that counts for its digest; `declares` says that it makes the subject of a study."""
    content = path.read_bytes()
    if path.suffix == ".py":
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError):
            return content
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
            if declares and isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Subject":
                node.args, node.keywords = [], []
        return ast.unparse(tree).encode()
    return content


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
