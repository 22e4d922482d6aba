"""The figure of a slide: what each change does to the main metric, in large type, as PNG and SVG."""

from __future__ import annotations

import io
from pathlib import Path

from ablations.analysis.verdicts import Findings
from ablations.core.errors import printable
from ablations.core.text import counted
from ablations.core.units import is_ratio
from ablations.records.files import replaced, write_text
from ablations.reporting import wording
from ablations.reporting.paper import compared

MOST = 12  # rows that can be read from the last bench


def write(evidence: Findings, folder: Path) -> list[Path]:
    """slide.png and slide.svg; none where nothing can be compared yet."""
    from ablations.reporting.figures.slide import slide
    from ablations.reporting.figures.style import png, svg

    paths = [folder / "slide.png", folder / "slide.svg"]
    found = sorted((one for one in compared(evidence) if one.n), key=lambda one: -abs(one.estimate))
    if not found:
        for path in paths:
            path.unlink(missing_ok=True)
        return []
    metric, study = wording.main(evidence), evidence.study
    left_out = f"; the {MOST} largest of {len(found)} effects" if len(found) > MOST else ""
    figure = slide(
        found[:MOST],
        title=str(study.setting.facts.get("title") or f"What each change does to the {wording.what(evidence)}"),
        axis=f"change in {wording.what(evidence)}, {wording.long_unit(metric)}",
        names=[evidence.called(one) for one in found[:MOST]],
        written=[wording.effect(evidence, one.estimate) for one in found[:MOST]],
        lower_is_better=metric.lower_is_better,
        ratios=is_ratio(metric),
        method=f"{counted(study.seeds, 'seed')}, paired differences, 95% t intervals{left_out}",
    )
    buffer = io.BytesIO()
    png(figure, buffer)
    with replaced(paths[0]) as file:
        file.write(buffer.getvalue())
    write_text(paths[1], printable(svg(figure, "slide")))
    return paths
