"""What a report is made of (sections of words, tables and pictures) and how its numbers are written.

Numbers become text here and nowhere else, so that every rendering shows the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from ablations.core.text import MINUS, MISSING, NUMBER


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text.  The first cell of a row names it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    collapsed: bool = False

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
    narrow: str = ""  # the same for a telephone, where one drawing does not serve both
    figure: Any = field(default=None, repr=False, compare=False)  # as matplotlib has it, for other formats


@dataclass(frozen=True, kw_only=True)
class Card:
    """One claim: the verdict and the number first, then what to think of it; what was said where opens on demand."""

    name: str
    title: str
    badge: str
    number: str  # that was measured
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
    open: bool = False  # whether a page shows it before it is asked for

    @property
    def anchor(self) -> str:
        """The title as an id."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The block that a reader sees first."""

    sentences: tuple[str, ...]
    trust: str = ""  # one line: seeds, controls, how good the reference is
    judged: bool = True  # False: a gate does not hold, or nothing can be compared, and no effect may be believed
    commands: tuple[tuple[str, str], ...] = ()  # what to run next, where nothing was judged: (what for, command)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the renderings show: the answer and what stands with it on the first screen, then the rest."""

    name: str
    label: str  # what so many seeds are good for
    answer: Answer
    lead: tuple[Block, ...] = ()
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every figure, in order."""
        blocks = [*self.lead, *(block for section in self.sections for block in section.blocks)]
        found = [block.picture if isinstance(block, Card) else block for block in blocks]
        return tuple(block for block in found if isinstance(block, Picture))


def without_empty(table: Table, *optional: str) -> Table:
    """`table` less those of the `optional` columns that hold nothing in any row."""
    columns = [[row[index] for row in table.rows] for index in range(len(table.head))]
    empty = [all(cell in ("", MISSING) for cell in column) for column in columns]
    keep = [index for index, name in enumerate(table.head) if not (name in optional and empty[index])]
    rows = tuple(tuple(row[index] for index in keep) for row in table.rows)
    return replace(table, head=tuple(table.head[index] for index in keep), rows=rows)


def markdown(text: str) -> str:
    """Returns `text` on one line, with everything escaped that Markdown would read as markup."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*<>|\[\]~$])", r"\\\1", line)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
