"""`python -m ablations.show TOPIC [NAME ...]`: what there is to choose from.  Answers at once: imports no torch."""

from __future__ import annotations

import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence

from ablations.cli.cards import NARROWEST, WIDEST, of_claims, of_components, of_grids, written
from ablations.core.errors import answered, printable, unknown
from ablations.core.load import FIRST, load
from ablations.core.subject import Card

Topic = Callable[[Sequence[str]], tuple[Sequence[str], Sequence[Card]]]


def topics(subject: str = FIRST) -> dict[str, Topic]:
    """What there is to show: of any subject, and of this one alone."""
    return {
        "components": lambda names: ([], of_components(subject)),
        "grids": lambda names: ([], of_grids(subject)),
        **load(subject).topics(),
        "claims": lambda names: ([], of_claims(subject)),
    }


def show(topic: str, names: Sequence[str] = ()) -> str:
    """The cards of `topic`, or of `names` alone, as wide as the terminal but no wider than can be read.

    Raises InputError on an unknown topic or name, with the nearest.
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
    return "\n\n".join([*texts, *(written(card, width) for name, card in cards.items() if name in names or not names)])


def main(arguments: list[str]) -> int:
    """Prints the topic and returns the exit code: 0, or 2 for a topic or a name that there is not."""
    usage = "usage: python -m ablations.show {" + ",".join(topics()) + "} [NAME ...]"
    if arguments in (["-h"], ["--help"]):
        print(usage)
        return 0
    if not arguments:
        print(usage, file=sys.stderr)
        return 2

    def answer() -> int:
        print(printable(show(arguments[0], arguments[1:])))
        return 0

    return answered(answer, stopped="stopped")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    sys.exit(main(sys.argv[1:]))
