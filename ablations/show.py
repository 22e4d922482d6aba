"""python -m ablations.show TOPIC [NAME ...]: lists what there is to choose from.  Imports no torch, to be quick."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence

from ablations.cli.cards import NARROWEST, WIDEST, brief, of_claims, of_components, of_grids, written
from ablations.cli.help_page import SHOWN, asks_for_help
from ablations.cli.help_page import show as show_page
from ablations.cli.help_page import written as help_written
from ablations.core.errors import InputError, answered, printable, unknown
from ablations.core.load import FIRST, load
from ablations.core.subject import Card

Topic = Callable[[Sequence[str]], tuple[Sequence[str], Sequence[Card]]]
PROG = "python -m ablations.show"
SUMMARY = "Lists what there is to choose from: a line for each item of a topic, or everything about the named items."
WORDS = {
    "components": "what can be changed, and its levels",
    "grids": "ways to choose variants",
    "presets": "references, with their sizes",
    "datasets": "images that have a name",
    "claims": "what publications say, and how it would be tested",
}
EXAMPLES = (
    (f"{PROG} components", "all of them, on a screen"),
    (f"{PROG} components dropout", "one of them, with its levels and its source"),
    (f"{PROG} presets vgg16 paper", "two of them, beside each other"),
)


def topics(subject: str = FIRST) -> dict[str, Topic]:
    """Returns the topics of a subject: those of every subject, and its own."""
    return {
        "components": lambda names: ([], of_components(subject)),
        "grids": lambda names: ([], of_grids(subject)),
        **load(subject).topics(),
        "claims": lambda names: ([], of_claims(subject)),
    }


def show(topic: str, names: Sequence[str] = ()) -> str:
    """Returns a line for each item of `topic`, or the cards of the items `names`, as wide as the terminal at most.

    Raises InputError on an unknown topic or name, and names the nearest.
    """
    known = topics()
    if topic not in known:
        raise unknown("topic", topic, known)
    first, found = known[topic](names)
    cards = {card.name: card for card in found}
    for name in names:
        if name not in cards:
            raise unknown(topic.removesuffix("s"), name, cards)
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    texts = [text if "\n" in text else textwrap.fill(text, width) for text in first]
    if names:
        return "\n\n".join([*texts, *(written(card, width) for name, card in cards.items() if name in names)])
    more = f"More of one: {PROG} {topic} {next(iter(cards))}"
    return "\n".join([*(texts or [brief(found, width)]), more])


def main(arguments: list[str]) -> int:
    """Prints a topic.  Returns the exit code: 0, or 2 if the topic or a name is unknown."""
    if asks_for_help(arguments):
        groups = {
            "topics": [(topic, WORDS.get(topic, "")) for topic in topics()],
            "options": SHOWN,
        }
        show_page(help_written(f"{PROG} TOPIC [NAME ...]", SUMMARY, groups, EXAMPLES))
        return 0

    def answer() -> int:
        if not arguments:
            raise InputError(f"which topic? It is one of {', '.join(topics())}: {PROG} components.")
        show_page(f"{printable(show(arguments[0], arguments[1:]))}\n")
        return 0

    return answered(answer, stopped="stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
