"""What a reader of a study meets first in another program: a few sentences, the forest plot and the report."""

from __future__ import annotations

from pathlib import Path

from ablations.analysis.verdicts import Findings
from ablations.reporting.pages import _markdown as markdown
from ablations.reporting.sections import comparisons, sensitivity, time_to_target, verdicts


def front(evidence: Findings, folder: Path) -> tuple[str, dict[str, Path]]:
    """Sentences in Markdown, and files of the report in `folder` by the names to show them by.

    Where the report was not written as HTML or Markdown there are none.
    """
    plots = [*sorted(folder.glob("figures/effects-*.svg")), folder / "figures" / "speed.svg"]
    if evidence.study.setting.races:
        plots = plots[-1:]
    shown = {"effects.svg": next(filter(Path.is_file, plots), None), "report.html": folder / "report.html"}
    return opening(evidence), {name: path for name, path in shown.items() if path and path.is_file()}


def opening(evidence: Findings) -> str:
    """What opens the report."""
    said = list(sensitivity.nothing_learned(evidence))
    if len(evidence.study.variants) > 1:
        said += [verdicts.headline(evidence), *verdicts.caution(evidence)]
    said.append((time_to_target if evidence.study.setting.races else comparisons).headline(evidence))
    return "\n\n".join(markdown(one) for one in said if one)
