"""What `show` prints, a card a thing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

NARROWEST, WIDEST = 60, 120  # characters a line, in however wide a terminal: longer ones are hard to read
LABEL = 12  # of which the label takes these


class Card(NamedTuple):
    """What is printed of one thing: its name, a word beside it, and rows of a label and a text."""

    name: str
    beside: str
    rows: Sequence[tuple[str, str]]  # one without text is left out


def of_grids() -> list[Card]:
    """Every grid and what it trains."""
    from ablations.planning.grids import GRIDS

    return [Card(name, "", [("trains", grid.summary)]) for name, grid in GRIDS.items()]


def of_claims() -> list[Card]:
    """Every claim, with what else changed in the published comparison."""
    from ablations.core.claim import label_of
    from ablations.planning.claims import CLAIMS
    from ablations.subjects.alexnet.metrics import METRICS

    ways = {1: "rises", -1: "falls", 0: "stays the same"}
    return [
        Card(
            claim.name,
            f": {label_of(claim)}",
            [
                ("says", claim.statement),
                ("published", claim.published),
                ("stated", f"not outright: {claim.standing}" if claim.standing else ""),
                ("expected", f"{claim.metric} {ways[claim.direction]}"),
                ("and also", f"{claim.companion.metric} {ways[claim.companion.direction]}" if claim.companion else ""),
                ("asks for", "a learning rate tuned for each arm" if claim.tuned else ""),
                ("read after", f"epoch {claim.epoch}" if claim.epoch else ""),
                ("of interest", f"from {claim.smallest_effect:g} {METRICS[claim.metric]} on: {claim.reason}"),
                ("confounds", claim.confounds),
                ("others", claim.others),
                ("source", claim.source),
            ],
        )
        for claim in CLAIMS
    ]


def _written(card: Card, width: int) -> str:
    """A block, its rows indented below its title."""
    lines = [card.name + card.beside]
    for label, text in card.rows:
        if text:
            lines += textwrap.wrap(
                text,
                width,
                initial_indent=f"  {label:<{LABEL}}",
                subsequent_indent=" " * (LABEL + 2),
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)
