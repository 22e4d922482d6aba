"""Changes names and values of a study into ones that MLflow accepts.

The name of a metric, parameter or tag may hold letters, digits, spaces and `_ . - / :`, and no colon on Windows.  It
must be a path in normal form, without `..` or `//`, of at most 250 characters (`mlflow.utils.validation`, 3.17).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

LONGEST_KEY = 250  # most characters of a key, and of a run's name, for which the database has as much room
LONGEST_VALUE = 5000  # most characters of a value; mlflow takes 6000 for a parameter and 8000 for a tag
_REFUSED = re.compile(r"[^\w.\- /]+")  # characters that MLflow refuses in names, there or on Windows


class RefusedError(Exception):
    """MLflow refused some of the calls that mirror a study, and accepted the others."""


def key(name: str) -> str:
    """Returns `name`, changed as little as needed to name a metric, a parameter or a tag; `_` if nothing is left."""
    parts = unicodedata.normalize("NFC", name).split("/")
    tidy = (" ".join(_REFUSED.sub("_", part).split()).strip(". ") for part in parts)
    return "/".join(part for part in tidy if part)[:LONGEST_KEY].rstrip("/. ") or "_"


def keys(names: Iterable[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """Returns a key for each of `names`: all differ, and none is `reserved`.  The order of the names has no influence.

    If several names would get one key, the name that needs no change has it, or else the first in the alphabet; the
    keys of the others end in `_2`, `_3`, ...  Keys that differ in capitals alone count as one, as in some databases.
    """
    taken = {_folded(one) for one in reserved}
    found: dict[str, str] = {}
    for name in sorted({*names}, key=lambda one: (key(one) != one, one)):
        plain = candidate = key(name)
        number = 1
        while _folded(candidate) in taken:
            number += 1
            suffix = f"_{number}"
            candidate = plain[: LONGEST_KEY - len(suffix)] + suffix
        taken.add(_folded(candidate))
        found[name] = candidate
    return found


def value(text: str) -> str:
    """Returns `text` as the value of a parameter or a tag, cut if it is long, without characters no database stores."""
    plain = text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return plain if len(plain) <= LONGEST_VALUE else f"{plain[: LONGEST_VALUE - 3]}..."


def run_name(text: str) -> str:
    """Returns `text` on one line as the name of a run; `_` if it is empty, as MLflow would make up a random name."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in value(text)).split())
    return plain if 0 < len(plain) <= LONGEST_KEY else f"{plain[: LONGEST_KEY - 3]}..." if plain else "_"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
