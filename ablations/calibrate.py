"""python -m ablations.calibrate [KIND] [OPTIONS]: how often the verdicts are wrong, on made-up studies of known truth.

Each kind of study is a module of `ablations/calibration/`; --help lists them.  Without a kind, it is `rule`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from itertools import pairwise

from ablations.cli.arguments import parsed
from ablations.cli.help_page import SHOWN, asks_for_help, page, show, written
from ablations.core.errors import InputError, answered, shown, unknown

PROG = "python -m ablations.calibrate"
KINDS = {
    "rule": "effects of known size, one by one and in factorials",
    "failures": "changes that make a share of trainings collapse",
    "kinds": "claims of sameness, and claims of two things",
    "doses": "trends over doses, straight and bent",
    "best": "trials that give the best of their rows, with changes that are noisier",
    "splits": "seeds that are overlapping splits of one data set",
    "blocks": "several data sets, these and others like them",
    "ratios": "metrics above zero that are compared as ratios",
    "tuning": "studies whose learning rates are tuned first",
}

BOUNDS = {
    "--studies": (1, 1_000_000),
    "--seeds": (2, 10_000),
    "--claims": (1, 1_000),
}  # the least and the most that each option takes


EXAMPLES = (
    (PROG, "the usual kind, 2,000 studies of each truth: minutes"),
    (f"{PROG} failures --studies 50", "another kind, and few of them"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a Markdown table of the verdicts that were wrong.  Returns the exit code: 0 done, 2 bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return answered(lambda: _calibrate(words), stopped="stopped")


def _check(words: Sequence[str]) -> None:
    """Raises InputError on a number outside `BOUNDS`: too small for a study, or too large to wait for."""
    split = [part for word in words for part in word.split("=", 1)]
    for option, value in pairwise(split):
        least, most = BOUNDS.get(option, (0, 0))
        digits = value.removeprefix("-")
        if most and digits.isdecimal() and (len(digits) > 9 or not least <= int(value) <= most):
            raise InputError(f"{option} is {shown(value)}; it must be {least:,} to {most:,}.")


def _calibrate(words: list[str]) -> int:
    if words[:1] in (["--help"], ["-h"]):
        show(_page())
        return 0
    kind = "rule" if not words or words[0].startswith("-") else words.pop(0)
    if kind not in KINDS:
        raise unknown("kind of made-up study", kind, KINDS)
    module = importlib.import_module(f"ablations.calibration.{kind}")
    if asks_for_help(words):
        show(page(module.main, f"{PROG} {kind}", examples=[(f"{PROG} {kind} --studies 50", "a quick look")]))
        return 0
    _check(words)
    parsed(module.main, words, prog=f"{PROG} {kind}")
    return 0


def _page() -> str:
    """Returns the help page of the command, which lists all kinds."""
    summary = "How often the verdicts are wrong, on made-up studies of known truth: a table in Markdown."
    options = [
        ("[OPTIONS]", "those of the kind: python -m ablations.calibrate KIND --help"),
        *SHOWN,
    ]
    groups = {"kinds": list(KINDS.items()), "options": options}
    return written(f"{PROG} [KIND] [OPTIONS]", summary, groups, EXAMPLES)


if __name__ == "__main__":
    sys.exit(main())
