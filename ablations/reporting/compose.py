"""Everything that a study's records say -> one Report value: which sections, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings
    from ablations.core.result import Result
    from ablations.core.study import Study
    from ablations.reporting.document import Report, Section


def build(study: Study, results: Sequence[Result], problems: Sequence[str], *, folder: Path | None = None) -> Report:
    """The report of a study; `problems` are sentences on records that cannot be read.

    `folder` is the study's, in which trials may have kept their predictions.
    """
    from ablations.analysis.verdicts import Findings

    return compose(Findings(study=study, results=results, problems=problems, folder=folder))


def compose(evidence: Findings) -> Report:
    """The whole report as plain text, tables and SVG."""
    from ablations.reporting.document import Report
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
        sensitivity,
        time_to_target,
        tuning,
        verdicts,
    )

    study = evidence.study
    compares = len(study.variants) > 1
    race = study.setting.races  # the errors of trials that end at one error compare nothing
    judged = (verdicts.headline(evidence), *verdicts.caution(evidence)) if compares else ()
    headline = time_to_target.headline if race else comparisons.headline
    sections: list[Callable[[Findings], Section | None]] = []
    if compares:
        sections += [verdicts.verdicts, verdicts.gates, background.components]
    sections += [time_to_target.section, tuning.section]
    sections += [comparisons.effects, blocks.section, doses.section] if compares and not race else []
    sections += [cards.section] if compares else []
    if compares and not race:
        sections += [comparisons.single_networks, comparisons.controls]
        sections += [factorials.both_estimands, factorials.interactions, factorials.parts_and_whole]
    sections += [] if race else [outcomes.curves]
    sections += [
        outcomes.errors,
        ensembles.section,
        *parts_of(study.subject).sections,
        background.activity,
        outcomes.cost,
        background.failures,
    ]
    sections += [verdicts.methods, looks.section] if compares else []
    sections += [background.origin, background.trials]
    made = [make(evidence) for make in sections]
    return Report(
        name=study.name,
        label=background.label(evidence),
        summary=(
            *sensitivity.nothing_learned(evidence),
            *judged,
            *background.sources(evidence),
            *background.summary(evidence),
            headline(evidence),
            *outcomes.best_of_rows(evidence),
        ),
        sections=tuple(section for section in made if section),
        folder=evidence.folder,
    )
