"""Writes the figures for slides: the answer as one figure of 16:9, and every figure of the report as PNG and PDF."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ablations.analysis.ranking import ranked, studied
from ablations.analysis.verdicts import Findings
from ablations.core.errors import printable
from ablations.core.setting import SPLIT
from ablations.records.files import replaced, write_text
from ablations.reporting import wording
from ablations.reporting.answer import answer
from ablations.reporting.document import Report
from ablations.reporting.sections.results import forest_figure, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12  # rows that can still be read at the back of a room
WIDTH, HEIGHT, AROUND = 13.33, 7.5, 2.0  # inches; AROUND is the height of title, axis and method together


def write(evidence: Findings, folder: Path) -> list[Path]:
    """Writes slide.png, slide.svg and slide.pdf, and returns their paths.

    If nothing can be compared yet, it removes those of an earlier report and returns no path.
    """
    from ablations.reporting.figures.style import pdf, png, svg

    paths = {ending: folder / f"slide.{ending}" for ending in ("png", "svg", "pdf")}
    figure = drawn(evidence)
    if figure is None:
        for path in paths.values():
            path.unlink(missing_ok=True)
        return []
    _write(png, figure, paths["png"])
    _write(pdf, figure, paths["pdf"])
    write_text(paths["svg"], printable(svg(figure, "slide")))
    return list(paths.values())


def drawn(evidence: Findings) -> Figure | None:
    """Returns the figure, or None if nothing can be compared yet.

    If nothing was judged, the warning is its title, and its marks are grey.
    """
    from ablations.reporting.figures.forest import Shape

    known = [one for one in ranked(evidence) if one.effect.n and isfinite(one.effect.estimate)]
    if not known:
        return None
    largest = sorted(known, key=lambda one: -abs(one.effect.estimate))[:MOST]
    rows = [one for one in known if one in largest]
    said, study = answer(evidence), evidence.study
    asked = str(study.setting.facts.get("title") or f"What each change does to the {wording.what(evidence)}")
    if not said.judged:
        rows = [replace(one, side=0) for one in rows]  # grey: none of them is a finding
    title = asked if said.judged else said.sentences[0]
    shape = Shape(width=WIDTH, row=(HEIGHT - AROUND) / len(rows), font=17, wrap=28)
    figure = forest_figure(evidence, [row_of(evidence, one) for one in rows], shape, title)
    figure.set_size_inches(WIDTH, HEIGHT)
    left_out = f"; the {MOST} largest of {len(known)} effects" if len(known) > MOST else ""
    figure.supxlabel(f"{method(evidence)}{left_out}", fontsize=14, x=0.99, ha="right")
    return figure


def method(evidence: Findings) -> str:
    """Returns one line on what the numbers are over, and how their intervals are made."""
    split = evidence.study.setting.replicate == SPLIT
    how = "95% t intervals corrected for the overlap of splits (Nadeau and Bengio 2003)" if split else "95% t intervals"
    seeds = wording.over(evidence, [one.n for one in studied(evidence) if one.n])
    return f"{seeds}, paired differences, {how}"


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Writes every figure of the report as PNG (192 dots an inch) and PDF into figures/.  Returns their paths."""
    from ablations.reporting.figures.style import pdf, png

    paths = []
    for picture in report.pictures:
        for ending, draw in (("png", png), ("pdf", pdf)):
            path = folder / "figures" / f"{picture.name}.{ending}"
            _write(draw, picture.figure, path)
            paths.append(path)
    return paths


def _write(draw: Callable[[Figure, IO[bytes]], None], figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    draw(figure, buffer)
    with replaced(path) as file:
        file.write(buffer.getvalue())
