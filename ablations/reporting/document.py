"""What a report is made of (sections of words, tables and pictures) and how its numbers are written.

Numbers become text here and nowhere else, so that every rendering shows the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from ablations.core.text import NONE

MISSING = NONE
MINUS = "\N{MINUS SIGN}"
NUMBER = 24  # characters that the longest number or interval takes


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text.  The first cell of a row names it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    collapsed: bool = False
    files: tuple[str, ...] = ()  # for each row the file that its last cell leads to, seen from the study's folder

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column whether it holds numbers, to be aligned to the right; a sentence may open with one."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        start = re.compile(rf"[+{MINUS}\d{MISSING}\[<>]")
        return tuple(
            bool(cells) and all(start.match(cell) and len(cell) <= NUMBER for cell in cells) for cells in columns
        )

    @property
    def wide(self) -> tuple[bool, ...]:
        """For each column whether it holds sentences, which need room."""
        return tuple(any(len(row[index]) > 32 for row in self.rows) for index in range(len(self.head)))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as the text of an SVG element."""

    name: str
    caption: str
    alternative: str  # what it shows, for who cannot see it
    svg: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """One claim: what was said, what was found, and what to think of it."""

    name: str
    title: str
    badge: str
    mood: str  # yes, no, open: what the badge comes to, for its colour
    words: str
    facts: tuple[tuple[str, str], ...]
    picture: Picture | None


Block = str | Table | Picture | Card


@dataclass(frozen=True, kw_only=True)
class Section:
    """One heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """The title as an id."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the renderings show."""

    name: str
    label: str  # what so many seeds are good for
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    folder: Path | None = None  # of the study's records, to which tables lead

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every figure, in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        found = [block.picture if isinstance(block, Card) else block for block in blocks]
        return tuple(block for block in found if isinstance(block, Picture))


def without_empty(table: Table, *optional: str) -> Table:
    """`table` less those of the `optional` columns that hold nothing in any row."""
    columns = [[row[index] for row in table.rows] for index in range(len(table.head))]
    empty = [all(cell in ("", MISSING) for cell in column) for column in columns]
    keep = [index for index, name in enumerate(table.head) if not (name in optional and empty[index])]
    rows = tuple(tuple(row[index] for index in keep) for row in table.rows)
    return replace(table, head=tuple(table.head[index] for index in keep), rows=rows)


def number(value: float, digits: int = 2) -> str:
    """`12.34`, with a real minus sign; a dash where there is none."""
    return f"{_rounded(value, digits):,.{digits}f}".replace("-", MINUS) if isfinite(value) else MISSING


def signed(value: float, digits: int = 2) -> str:
    """`+1.23`, or with a real minus sign; zero keeps its plus."""
    return f"{_rounded(value, digits):+,.{digits}f}".replace("-", MINUS) if isfinite(value) else MISSING


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.00


def interval(low: float, high: float, *, sign: bool = True, digits: int = 2) -> str:
    """`[+0.10, +2.56]`; a dash where a bound is missing."""
    write = signed if sign else number
    return f"[{write(low, digits)}, {write(high, digits)}]" if isfinite(low) and isfinite(high) else MISSING


def probability(value: float) -> str:
    """`0.031`, `<0.001`."""
    return "<0.001" if value < 0.001 else number(value, 3)


def change(ratio: float) -> str:
    """`+12.3%`, `0`."""
    if not isfinite(ratio):
        return MISSING
    return "0" if abs(ratio - 1) < 5e-4 else f"{signed(100 * (ratio - 1), 1)}%"


def told(what: str, parts: list[str]) -> str:
    """`what` is to be seen, and its parts one by one, for who cannot see a figure: the first 30 of them."""
    more = f"; and {len(parts) - 30} more" if len(parts) > 30 else ""
    return f"{what}: {'; '.join(parts[:30])}{more}."


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
