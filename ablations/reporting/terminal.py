"""The lines that a run ends with."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablations.core.errors import printable
from ablations.core.text import counted

NOTES = 3  # most notes of trials that the end of a run prints

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings
    from ablations.core.effect import Effect


def terminal_lines(evidence: Findings) -> str:
    """Returns what a run prints at its end, in plain ASCII: the answer, then a line an effect, a verdict and a note."""
    from ablations.core.text import MINUS
    from ablations.reporting.answer import answer
    from ablations.reporting.sections import blocks, sensitivity

    said = answer(evidence)
    lines = _wrapped([" ".join(said.sentences)])
    for why, command in said.commands:  # a command stays in one piece
        lines += ["", f"{why}:", f"  {command}"]
    lines += ["", *_wrapped([said.trust])]
    if said.judged and not evidence.study.setting.races:
        lines += _effect_lines(evidence)
        if by_data := blocks.lines(evidence):
            lines += ["", "By data set, and the 95% interval for data sets like these:", "", *_columns(by_data)]
        lines += ["", *_wrapped([could])] if (could := sensitivity.sensitivity(evidence)) else []
    if said.judged and evidence.verdicts:
        lines += ["", *_columns([(verdict.claim.name, verdict.label) for verdict in evidence.verdicts])]
    lines += ["", *noted] if (noted := _note_lines(evidence)) else []
    return printable("\n".join(lines).replace(MINUS, "-"))


def _note_lines(evidence: Findings) -> list[str]:
    """Returns a line for each note of trials, the most frequent first: `note: 40 of 40 trials: no file ...`."""
    from ablations.core.result import by_note

    found, of = by_note(evidence.results), counted(len(evidence.results), "trial")
    lines = [f"note: {len(trials):,} of {of}: {' '.join(note.split())}" for note, trials in found.items()]
    more = [f"note: {counted(len(lines) - NOTES, 'more note')} in the report"] if len(lines) > NOTES else []
    return [*lines[:NOTES], *more]


def _wrapped(paragraphs: Sequence[str]) -> list[str]:
    return [line for text in paragraphs for line in textwrap.wrap(text, 100)]


def _effect_lines(evidence: Findings) -> list[str]:
    from ablations.reporting import wording

    if not evidence.effects:
        return []
    head = ("change", "in the code", "estimand", "effect", "95% interval", "n")
    unit, direction = wording.long_unit(evidence.main_metric), wording.above_zero(evidence)
    title = (
        f"Change in {wording.what(evidence)}, {unit}; above {wording.nothing(evidence)} the change made it {direction}."
    )
    rows = [_effect_line(evidence, one) for one in evidence.effects]
    return ["", title, "", *_columns([head, *rows]), *_unstable_lines(evidence)]


def _unstable_lines(evidence: Findings) -> list[str]:
    """Returns one line for each comparison with failed trainings, on how often its arms train; often none."""
    from ablations.reporting.sections.verdicts import how_often

    found = [
        f"unstable  {evidence.called(one)}, {one.kind}: trained {how_often(one)}"
        for one in evidence.effects
        if one.unstable
    ]
    return ["", *found] if found else []


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Returns rows as lines with columns of equal width: the first three aligned to the left, the rest to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_align(cell, column, widths) for column, cell in enumerate(row)).rstrip() for row in rows]


def _effect_line(evidence: Findings, effect: Effect) -> tuple[str, ...]:
    from ablations.core.text import MINUS, MISSING
    from ablations.reporting import wording

    numbers = (wording.effect(evidence, effect.estimate), wording.interval(evidence, effect))
    plain = [text.replace(MINUS, "-").replace(MISSING, "none") for text in numbers]
    return evidence.called(effect), effect.label, effect.kind, *plain, str(effect.n)


def _align(cell: str, column: int, widths: Sequence[int]) -> str:
    return cell.ljust(widths[column]) if column < 3 else cell.rjust(widths[column])
