"""The values that a report is made of: sections of text, tables, figures and cards.

Every rendering (HTML, Markdown) is made from these values, so that all of them show the same text and numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from ablations.core.text import MINUS, MISSING, NUMBER


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text cells.  The first cell of a row names it."""

    caption: str
    head: tuple[str, ...]  # names of the columns
    rows: tuple[tuple[str, ...], ...]  # as many cells as there are columns
    collapsed: bool = False  # whether a page shows the caption alone until the reader opens it

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column, whether its cells are numbers or intervals, which pages align to the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        start = re.compile(rf"[+{MINUS}\d{MISSING}\[<>]")
        return tuple(
            bool(cells) and all(start.match(cell) and len(cell) <= NUMBER for cell in cells) for cells in columns
        )

    @property
    def wide(self) -> tuple[bool, ...]:
        """For each column, whether it holds long text, to which pages give room."""
        return tuple(any(len(row[index]) > 32 for row in self.rows) for index in range(len(self.head)))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure: an SVG element as text, with its caption."""

    name: str  # of its files, without a suffix; ids in the SVG start with it
    caption: str
    alternative: str  # the text alternative: says what the figure shows to readers who cannot see it
    svg: str
    narrow: str = ""  # a second SVG, for narrow screens; empty: `svg` serves them too
    figure: Any = field(default=None, repr=False, compare=False)  # the matplotlib Figure, for PNG and PDF


@dataclass(frozen=True, kw_only=True)
class Card:
    """The verdict on one claim.  A page shows verdict, number and text, and the facts on demand."""

    name: str  # of the claim
    title: str  # the claim in a sentence
    badge: str  # the verdict
    number: str  # the measured effect with its interval; empty if there is none
    mood: str  # "yes", "no" or "open": sets the card's colour
    words: str  # what was found, in sentences
    facts: tuple[tuple[str, str], ...]  # (term, text), shown on demand
    picture: Picture | None


Block = str | Table | Picture | Card


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: tuple[Block, ...]
    open: bool = False  # whether a page shows the blocks at first, rather than the heading alone

    @property
    def anchor(self) -> str:
        """The title as an id of the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The text that a reader sees first."""

    sentences: tuple[str, ...]
    trust: str = ""  # one line on why to believe them: seeds, controls, how good the reference is
    judged: bool = True  # False: a gate failed, or nothing can be compared, so that no effect may be believed
    commands: tuple[tuple[str, str], ...] = ()  # if nothing was judged, what to run next: (purpose, command)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a rendering shows: the answer, the blocks of the first screen, and the sections."""

    name: str  # of the study
    label: str  # what was trained, and what the number of seeds allows: "...; draft (5 seeds)"
    answer: Answer
    lead: tuple[Block, ...] = ()  # the figure and the table of the first screen
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures, in the order of the page."""
        blocks = [*self.lead, *(block for section in self.sections for block in section.blocks)]
        found = [block.picture if isinstance(block, Card) else block for block in blocks]
        return tuple(block for block in found if isinstance(block, Picture))


def without_empty(table: Table, *optional: str) -> Table:
    """Returns `table` without those of its `optional` columns that are empty in every row."""
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
