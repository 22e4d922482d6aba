"""python -m ablations.calibrate [KIND] [OPTIONS]: how often the verdicts are wrong, on made-up studies of known truth.

Kinds: rule (the usual one) and those that --help lists, each a module of `ablations/calibration/`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ablations.cli.arguments import parsed
from ablations.core.errors import answered, unknown

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a Markdown table of the verdicts that were wrong; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return answered(lambda: _calibrate(words), stopped="stopped")


def _calibrate(words: list[str]) -> int:
    if words[:1] in (["--help"], ["-h"]):
        print(f"{__doc__}\n" + "\n".join(f"{kind:9} {what}" for kind, what in KINDS.items()))
        return 0
    kind = "rule" if not words or words[0].startswith("-") else words.pop(0)
    if kind not in KINDS:
        raise unknown("kind of made-up study", kind, KINDS)
    module = importlib.import_module(f"ablations.calibration.{kind}")
    parsed(module.main, words, prog=f"python -m ablations.calibrate {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
