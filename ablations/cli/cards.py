"""The cards that `show` prints: one for each component, grid or claim."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ablations.core.claim import label_of
from ablations.core.load import load
from ablations.core.subject import Card
from ablations.core.text import capped
from ablations.core.units import margin
from ablations.planning.grids import grids_of
from ablations.records.claims import published

NARROWEST, WIDEST = 60, 120  # bounds on the characters of a line, whatever the width of the terminal
LABEL = 12  # characters of a line that the label of a row takes


def of_components(subject: str) -> list[Card]:
    """Returns a card for each component: what the reference does, its levels, and the source."""
    return [
        Card(
            name,
            " (control)" if one.control else "",
            [
                ("reference", one.reference),
                ("levels", ", ".join(one.levels)),
                ("does", one.summary),
                ("source", one.source),
            ],
            control=one.control,
        )
        for name, one in load(subject).components.items()
    ]


def of_grids(subject: str) -> list[Card]:
    """Returns a card for each grid: what it trains."""
    return [Card(name, "", [("trains", grid.summary)]) for name, grid in grids_of(subject).items()]


def of_claims(subject: str) -> list[Card]:
    """Returns a card for each published claim, with what else differed in the published comparison."""
    metrics = load(subject).metrics

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
                ("of interest", f"from {margin(metrics[claim.metric], claim.smallest_effect)} on: {claim.reason}"),
                ("confounds", claim.confounds),
                ("others", claim.others),
                ("source", claim.source),
            ],
        )
        for claim in published(subject)
    ]


def written(card: Card, width: int) -> str:
    """Returns a card as text of at most `width` characters a line, its rows indented below its title."""
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


def _gist(card: Card) -> str:
    """Returns what a list says of a card beside its name: its levels if it has any, and what it is."""
    rows = dict(card.rows)
    if "levels" in rows:
        return f"{capped(rows['levels'].split(', '), 3)}: {rows['does']}"
    return f"{card.beside}: {card.rows[0][1]}".lstrip(": ")


def brief(cards: Sequence[Card], width: int) -> str:
    """Returns a line for each card, cut to `width`, and one for all controls, which are in every study."""
    controls = [card.name for card in cards if card.control]
    listed = [card for card in cards if card.name not in controls]
    column = max(len(card.name) for card in listed) + 2
    lines = [
        f"{card.name:<{column}}{textwrap.shorten(_gist(card), width - column, placeholder=' ...')}" for card in listed
    ]
    return "\n".join([*lines, *[f"In every study, as controls: {', '.join(controls)}."] * bool(controls)])
