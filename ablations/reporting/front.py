"""What a reader of a study meets first in another program: the answer, the forest plot and the report."""

from __future__ import annotations

from pathlib import Path

from ablations.analysis.verdicts import Findings
from ablations.reporting.answer import answer
from ablations.reporting.document import markdown

PLOTS = ("effects.svg", "speed.svg", "effects-main.svg")  # whichever of the report's figures there is first


def front(evidence: Findings, folder: Path) -> tuple[str, dict[str, Path]]:
    """The answer in Markdown, and files of the report in `folder` by the names to show them by.

    Where the report was not written as HTML or Markdown there are none.
    """
    plot = next((path for name in PLOTS if (path := folder / "figures" / name).is_file()), folder / PLOTS[0])
    shown = {"effects.svg": plot, "report.html": folder / "report.html"}
    return _text(evidence), {name: path for name, path in shown.items() if path.is_file()}


def _text(evidence: Findings) -> str:
    said = answer(evidence)
    run = [f"{markdown(why)}: `` {command} ``" for why, command in said.commands]  # a command may hold backticks
    return "\n\n".join(filter(None, (markdown(" ".join(said.sentences)), *run, markdown(said.trust))))
