"""The data sets that a study file names: every variant is trained on each of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError, nearest, shown
from ablations.core.setting import Block, Setting

MOST = 1_000  # most data sets: a longer list is a mistake
NAME = re.compile(r"\w[\w .+-]{0,99}")  # names of data sets, which stand in tables and on the axes of figures
# What macOS, Windows, network file systems and our own downloads (`.ablations.lock`) leave in a folder of data.
LEFT_BY_SYSTEMS = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.nfs\w+|\.ablations\.lock")

Named = Mapping[str, Path | None]  # data set -> its path; None: the file gives a name alone


def named_in(given: Any, here: Path) -> Named:
    """Returns the data sets that `given` names, in their order, with paths relative to the folder `here`.

    Raises InputError if `given` names no data sets.
    """
    if given is None:
        return {}
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    if not listed and not isinstance(given, Mapping):
        raise InputError(
            f"data is {shown(given)}; it is a list of the names of data sets, or a mapping of names to paths."
        )
    if not 0 < len(given) <= MOST:
        raise InputError(f"data names {len(given):,} data sets; it names one or more, {MOST:,} at most.")
    found: dict[str, Path | None] = {}
    for name in given:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(f"data names {shown(name)}; a name is of letters, digits, spaces and any of _ . + -")
        if name in found:
            raise InputError(f"data names {shown(name)} twice.")
        path = given[name] if isinstance(given, Mapping) else None
        if path is not None and not isinstance(path, str | Path):
            raise InputError(f"the path of the data set {shown(name)} is {shown(path)}; it is text, or None for none.")
        found[name] = here / Path(path).expanduser() if path else None
    return found


def check_asked(named: Named, *, asked: bool, where: str) -> None:
    """Raises InputError if `where` asks for data and the study names none, or if it does not and there are several."""
    if asked and not named:
        raise InputError(f"{where} asks for data, and the study names none: write data = [...] with their names.")
    if len(named) > 1 and not asked:
        raise InputError(
            f"data names {len(named)} data sets, and {where} does not ask for data: it would be trained on the same "
            "for each of them."
        )


def chances_of(metric: Any, name: str, named: Named) -> dict[str, float | None]:
    """Returns what guessing gives on each data set, by the `chance` of the main metric, which is called `name`.

    If the study names no data, the only key is the empty text.  Raises InputError if `chance` names other data sets.
    """
    chance = getattr(metric, "chance", None)
    if not isinstance(chance, Mapping):
        return dict.fromkeys(named or [""], chance)
    for one in chance:
        if one not in named:
            raise InputError(
                f"metric {shown(name)} has the chance level of {shown(one)}{nearest(str(one), named)} "
                f"data names {', '.join(named) or 'none'}."
            )
    if missing := [one for one in named if one not in chance]:
        raise InputError(f"metric {shown(name)} has no chance level for the data set {shown(missing[0])}.")
    return {one: chance[one] for one in named}


def with_data(setting: Setting, named: Named, chances: Mapping[str, float | None]) -> Setting:
    """Returns `setting` with the data sets of a study, whose files are read for their fingerprints.

    Raises InputError if a path cannot be read, or if two data sets are equal.
    """
    if not named:
        return replace(setting, data="its own data", guessing=chances.get(""))
    contents = {name: _digest(name, path) for name, path in named.items()}
    for name, digest in contents.items():
        same = next(one for one in contents if contents[one] == digest)
        if digest and same != name:
            raise InputError(f"the data sets {shown(same)} and {shown(name)} hold the same: leave one of them out.")
    blocks = [
        Block(name=name, fingerprint=_short(f"{name}\n{contents[name]}"), guessing=chances[name]) for name in named
    ]
    known = [one.guessing for one in blocks if one.guessing is not None]
    setting = replace(setting, guessing=sum(known) / len(known) if known else None)
    if len(blocks) == 1:
        return replace(setting, data=blocks[0].name, fingerprint=blocks[0].fingerprint)
    return replace(
        setting,
        data=f"{len(blocks)} data sets ({', '.join(named)})",
        fingerprint=_short("\n".join(one.fingerprint for one in blocks)),
        blocks=tuple(blocks),
    )


def given_to(trial_data: str, fingerprint: str, named: Named) -> dict[str, str] | None:
    """Returns what a trial gets to know of its data set, as plain JSON; None if the study names none."""
    if not named:
        return None
    path = named.get(trial_data)
    return {"name": trial_data, "path": str(path) if path else "", "fingerprint": fingerprint}


def as_argument(given: Mapping[str, str] | None) -> written.Data | None:
    """Returns the value of the argument `data` of a trial function."""
    return written.Data(**given) if given else None


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(name: str, path: Path | None) -> str:
    """Returns the digest of the file or folder at the path of a data set, names included; empty without a path."""
    if path is None:
        return ""
    if not path.exists():
        raise InputError(f"the data set {shown(name)} is not there: {shown(str(path))}.")
    digest = hashlib.sha256()
    try:
        for file in _files(path):
            digest.update(f"\0{file.relative_to(path).as_posix()}\0".encode())
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    except OSError as error:
        raise InputError(f"the data set {shown(name)} cannot be read: {error}.") from None
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """Yields the file, or the files in the folder in their order, but for those that systems leave in folders."""
    if path.is_file():
        yield path
    else:
        yield from (one for one in sorted(path.rglob("*")) if one.is_file() and not LEFT_BY_SYSTEMS.fullmatch(one.name))
