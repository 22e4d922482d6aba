"""Names and values as MLflow takes them, whatever a study's claims, components and metrics are called.

A name of a metric, parameter or tag holds letters, digits and any of `_ . - / :` and space, is a path that stays as it
is when it is tidied, and has 250 characters at most (`mlflow.utils.validation`, 3.17); on Windows it holds no colon.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

LONGEST_KEY = 250  # characters, of a run's name too: its column in a database is as wide
LONGEST_VALUE = 5000  # characters; mlflow takes 6000 of a parameter, 8000 of a tag
_REFUSED = re.compile(r"[^\w.\- /]+")  # and, in names, by Windows


class RefusedError(Exception):
    """MLflow took a study but for a part of it."""


def key(name: str) -> str:
    """The nearest thing to `name` that names a metric, a parameter or a tag; `_` where nothing is left of it."""
    parts = unicodedata.normalize("NFC", name).split("/")
    tidy = (" ".join(_REFUSED.sub("_", part).split()).strip(". ") for part in parts)
    return "/".join(part for part in tidy if part)[:LONGEST_KEY].rstrip("/. ") or "_"


def keys(names: Iterable[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """Each of `names` -> the key that it alone has, none of which is `reserved`, in whatever order they come.

    Of those that would get one key, the one that needed no change has it, else the first in the alphabet; the others
    end in `_2`, `_3`, ...  What some databases take for one, as they do not tell capitals apart, counts as one.
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
    """`text` as the value of a parameter or a tag: what no database stores is replaced, and a long end cut off."""
    plain = text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return plain if len(plain) <= LONGEST_VALUE else f"{plain[: LONGEST_VALUE - 3]}..."


def run_name(text: str) -> str:
    """`text` on one line, as the name of a run; `_` where nothing is left of it, as MLflow would draw one by chance."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in value(text)).split())
    return plain if 0 < len(plain) <= LONGEST_KEY else f"{plain[: LONGEST_KEY - 3]}..." if plain else "_"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
