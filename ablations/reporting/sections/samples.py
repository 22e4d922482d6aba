"""The section on what trials get: examples, from the picture that was made when the study was run."""

from __future__ import annotations

from dataclasses import replace

from ablations.analysis.verdicts import Findings
from ablations.core.text import told
from ablations.reporting.document import Section
from ablations.reporting.samples import read_samples
from ablations.reporting.sections.outcomes import picture


def section(evidence: Findings) -> Section | None:
    """Returns the picture with its labels; None if the study has none."""
    try:
        sheet = read_samples(evidence.folder) if evidence.folder else None
    except ValueError as error:
        return Section(title="Examples", blocks=(f"The picture of examples is missing: {error}.",))
    if sheet is None:
        return None
    from ablations.reporting.figures.samples import lighter, samples

    shown = told(f"Examples, each {' and '.join(sheet.columns)}", [*sheet.rows])
    drawn = picture("samples", sheet.words, shown, samples(sheet))
    return Section(title=sheet.title, blocks=(replace(drawn, svg=lighter(drawn.svg)),))
