"""What another program shows of a study: the answer, the forest plot and the report."""

from __future__ import annotations

from pathlib import Path

from ablations.analysis.verdicts import Findings
from ablations.reporting.answer import answer
from ablations.reporting.document import markdown

PLOTS = ("effects.svg", "speed.svg", "effects-main.svg")  # the first of these that the report has is shown


def front(evidence: Findings, folder: Path) -> tuple[str, dict[str, Path]]:
    """Returns the answer as Markdown, and files of the report in `folder` by the names to show them under.

    Files that the report's formats did not write are left out.
    """
    plot = next((path for name in PLOTS if (path := folder / "figures" / name).is_file()), folder / PLOTS[0])
    shown = {"effects.svg": plot, "report.html": folder / "report.html"}
    return _text(evidence), {name: path for name, path in shown.items() if path.is_file()}


def _text(evidence: Findings) -> str:
    said = answer(evidence)
    run = [f"{markdown(why)}: `` {command} ``" for why, command in said.commands]  # a command may hold backticks
    return "\n\n".join(filter(None, (markdown(" ".join(said.sentences)), *run, markdown(said.trust))))
