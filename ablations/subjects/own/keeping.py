"""Keeps files that a trial leaves in its folder, in results/<study>/files/<key>/, by the patterns of --keep-files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from ablations.core.errors import InputError, printable, shown
from ablations.records.files import replaced

FILES = "files"  # the folder, in the study's, that holds one folder a trial


def check_patterns(patterns: Sequence[str]) -> None:
    """Raises InputError if a pattern names no files inside a trial's folder."""
    for one in patterns:
        if not _is_inside(one):
            raise InputError(
                f"--keep-files {shown(one)}: it takes patterns of files in the trial's folder, such as '*.pt'."
            )


def _is_inside(pattern: str) -> bool:
    """Tells whether a text is a pattern, and of paths that do not leave the folder in which they are looked for."""
    path = PurePath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts:
        return False
    try:
        any(Path("/nowhere").glob(pattern))  # raises ValueError for what is no pattern
    except ValueError:
        return False
    return True


def keep(patterns: Sequence[str], left: Path, study: Path, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Copies the files in `left` that match a pattern to the study's folder, in place of those of an earlier try.

    Returns their paths from the study's folder, and sentences on what could not be kept, which ends no trial.  Without
    a pattern nothing is kept and nothing is removed.
    """
    if not patterns:
        return (), ()
    target = study / FILES / key
    found = {one: [path for path in sorted(left.glob(one)) if path.is_file()] for one in patterns}
    notes = [f"no file of the trial's folder matches {printable(one)}" for one, paths in found.items() if not paths]
    paths = list(dict.fromkeys(path for some in found.values() for path in some))
    try:
        if target.exists():
            shutil.rmtree(target)
        for path in paths:
            with path.open("rb") as source, replaced(target / path.relative_to(left)) as file:
                shutil.copyfileobj(source, file)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        return (), (*notes, f"files were not kept: {error.strerror or error}")
    return tuple((target / path.relative_to(left)).relative_to(study).as_posix() for path in paths), tuple(notes)
