"""The kit for slides: the answer as one figure of sixteen to nine, and every figure of the report as PNG and PDF."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ablations.analysis.ranking import ranked
from ablations.analysis.verdicts import Findings
from ablations.core.errors import printable
from ablations.core.setting import SPLIT
from ablations.core.text import counted
from ablations.records.files import replaced, write_text
from ablations.reporting import wording
from ablations.reporting.answer import answer
from ablations.reporting.document import Report
from ablations.reporting.sections.results import forest_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12  # rows that can be read from the last bench
WIDTH, HEIGHT, AROUND = 13.33, 7.5, 2.0  # inches, the last for title, axis and method


def write(evidence: Findings, folder: Path) -> list[Path]:
    """slide.png, slide.svg and slide.pdf; none where nothing can be compared yet."""
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
    """The figure, which says first where nothing was judged; None where nothing can be compared yet."""
    from ablations.reporting.figures.forest import Shape

    known = [one for one in ranked(evidence) if one.effect.n and isfinite(one.effect.estimate)]
    if not known:
        return None
    largest = sorted(known, key=lambda one: -abs(one.effect.estimate))[:MOST]
    rows = [one for one in known if one in largest]
    said, study = answer(evidence), evidence.study
    asked = str(study.setting.facts.get("title") or f"What each change does to the {wording.what(evidence)}")
    if not said.judged:
        rows = [replace(one, side=0) for one in rows]  # in grey: none of it is a finding
    title = asked if said.judged else said.sentences[0]
    shape = Shape(width=WIDTH, row=(HEIGHT - AROUND) / len(rows), font=17, wrap=28)
    figure = forest_figure(evidence, rows, shape, title)
    figure.set_size_inches(WIDTH, HEIGHT)
    left_out = f"; the {MOST} largest of {len(known)} effects" if len(known) > MOST else ""
    figure.supxlabel(f"{method(evidence)}{left_out}", fontsize=14, x=0.99, ha="right")
    return figure


def method(evidence: Findings) -> str:
    """What the numbers are over and what their intervals are, in a line."""
    split = evidence.study.setting.replicate == SPLIT
    how = "95% t intervals corrected for the overlap of splits (Nadeau and Bengio 2003)" if split else "95% t intervals"
    return f"{counted(evidence.study.seeds, 'split' if split else 'seed')}, paired differences, {how}"


def write_figures(report: Report, folder: Path) -> list[Path]:
    """figures/NAME.png, of twice the usual resolution, and figures/NAME.pdf of every figure of the report."""
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
