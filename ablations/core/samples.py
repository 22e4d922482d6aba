"""Examples as the trials of a study get them, which the report shows.  Imports nothing: images are any arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Labelled examples as pictures: a row for each example, and a column for each form that it has."""

    title: str  # of the report's section, such as "What the network sees"
    words: str  # sentences: which examples these are, and what was done to them
    rows: tuple[str, ...]  # the label of each example
    columns: tuple[str, ...]  # what each column shows, such as "as stored"
    images: Sequence[Sequence[Any]]  # images[row][column] is (height, width, 3) uint8, of any size: red, green, blue
