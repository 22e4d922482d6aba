"""Composes the report of a study: the answer, the first screen, and the sections in their order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings
    from ablations.reporting.document import Report, Section


def compose(evidence: Findings) -> Report:
    """Returns the whole report, of text, tables and SVG.  Draws the figures, which takes seconds."""
    from ablations.reporting.answer import answer
    from ablations.reporting.document import Report
    from ablations.reporting.sections import background, results, time_to_target

    said, race = answer(evidence), evidence.study.setting.races  # trials of a race end at one error: steps compare
    lead = time_to_target.lead if race else results.lead
    made = [make(evidence) for make in _sections(evidence, judged=said.judged)]
    return Report(
        name=evidence.study.name,
        label=background.label(evidence),
        answer=said,
        lead=lead(evidence) if said.judged and len(evidence.study.variants) > 1 else (),
        sections=tuple(section for section in made if section),
    )


def _sections(evidence: Findings, *, judged: bool) -> list[Callable[[Findings], Section | None]]:
    """Returns the functions that make the sections, in order.

    If nothing was judged, the gates come first, and that section is open.
    """
    from ablations.reporting.parts import parts_of
    from ablations.reporting.sections import (
        background,
        blocks,
        cards,
        comparisons,
        doses,
        ensembles,
        factorials,
        looks,
        outcomes,
        related,
        results,
        samples,
        time_to_target,
        tuning,
        verdicts,
    )

    compares, race = len(evidence.study.variants) > 1, evidence.study.setting.races
    effects = (
        [comparisons.effects, blocks.section, results.other_metrics, doses.section] if compares and not race else []
    )
    pairs: list[Callable[[Findings], Section | None]] = [comparisons.single_networks, factorials.both_estimands]
    pairs += [factorials.interactions, factorials.parts_and_whole]
    gates: list[Callable[[Findings], Section | None]] = [verdicts.gates] if compares else []
    claims: list[Callable[[Findings], Section | None]] = [cards.section] if compares else []
    return [
        *(claims + gates if judged else gates + claims),
        partial(time_to_target.section, judged=judged),
        tuning.section,
        *effects,
        *(pairs if compares and not race else []),
        *([] if race else [outcomes.curves]),
        parts_of(evidence.study.subject).outcomes,
        ensembles.section,
        *parts_of(evidence.study.subject).sections,
        background.activity,
        outcomes.cost,
        background.failures,
        background.setup,
        samples.section,
        *([verdicts.methods, looks.section] if compares else []),
        related.section,
        background.origin,
        background.trials,
    ]
