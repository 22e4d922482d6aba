"""`python -m ablations.show TOPIC [NAME ...]`: what there is to choose from.  Answers at once: imports no torch."""

from __future__ import annotations

import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence

from ablations.cli.cards import NARROWEST, WIDEST, Card, _written, of_claims, of_grids
from ablations.core.errors import answered, printable, unknown
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.cards import _LEGEND, _table, of_components, of_datasets, of_presets

TOPICS: dict[str, Callable[[], list[Card]]] = {
    "components": of_components,
    "grids": of_grids,
    "presets": of_presets,
    "datasets": of_datasets,
    "claims": of_claims,
}


def show(topic: str, names: Sequence[str] = ()) -> str:
    """The cards of `topic`, or of `names` alone, as wide as the terminal but no wider than can be read.

    Raises InputError on an unknown topic or name, with the nearest.
    """
    if topic not in TOPICS:
        raise unknown("topic", topic, TOPICS)
    cards = {card.name: card for card in TOPICS[topic]()}
    for name in names:
        if name not in cards:
            raise unknown(topic.removesuffix("s"), name, cards)
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    blocks = [_written(card, width) for name, card in cards.items() if name in names or not names]
    if topic == "presets" and len(names) != 1:
        blocks.insert(0, _table([preset for name, preset in PRESETS.items() if name in names or not names]))
        blocks.insert(1, "\n".join(textwrap.wrap(_LEGEND, width)))
    return "\n\n".join(blocks)


def main(arguments: list[str]) -> int:
    """Prints the topic and returns the exit code: 0, or 2 for a topic or a name that there is not."""
    usage = "usage: python -m ablations.show {" + ",".join(TOPICS) + "} [NAME ...]"
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
