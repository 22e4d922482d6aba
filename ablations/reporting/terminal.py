"""The lines that a run ends with."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablations.core.errors import printable

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings
    from ablations.core.effect import Effect


def terminal_lines(evidence: Findings) -> str:
    """What a run says at its end, in plain ASCII: effects, or ratios of steps to a threshold, and verdicts."""
    from ablations.core.text import MINUS
    from ablations.reporting.sections import blocks, sensitivity, time_to_target, verdicts

    race = evidence.study.setting.races
    nothing, *commands = sensitivity.nothing_learned(evidence) or ("",)
    lines = [*_wrapped([nothing]), *commands, ""] if nothing else []  # a command stays in one piece
    lines += [time_to_target.lines(evidence) if race else _effect_lines(evidence)]
    if evidence.on_each and (by_data := blocks.lines(evidence)):
        lines += ["", "By data set, and the 95% interval for data sets like these:", "", *_columns(by_data)]
    if could := sensitivity.sensitivity(evidence):
        lines += ["", *_wrapped([could])]
    if evidence.verdicts:
        judged = [(verdict.claim.name, verdict.label) for verdict in evidence.verdicts]
        said = (verdicts.headline(evidence), *verdicts.caution(evidence))
        lines += ["", *_wrapped(said), "", *_columns(judged)]
    return printable("\n".join(lines).replace(MINUS, "-"))


def _wrapped(paragraphs: Sequence[str]) -> list[str]:
    return [line for text in paragraphs for line in textwrap.wrap(text, 100)]


def _effect_lines(evidence: Findings) -> str:
    from ablations.reporting import wording

    head = ("component", "change", "estimand", "effect", "95% interval", "n")
    if not evidence.effects:
        label = evidence.study.variants[0].label
        count, mean = len(evidence.values(evidence.metric, label)), evidence.mean(evidence.metric, label)
        value = f"{mean:.1f}%" if wording.main(evidence).percent else wording.value(evidence, mean)
        found = f"{value} {wording.what(evidence)}, n = {count}" if count else "not finished"
        return f"reference: {found}; the grid {evidence.study.grid} compares it with nothing."
    unit, direction = wording.long_unit(wording.main(evidence)), wording.above_zero(evidence)
    title = (
        f"Change in {wording.what(evidence)}, {unit}; above {wording.nothing(evidence)} the change made it {direction}."
    )
    lines = [title, "", *_columns([head, *(_effect_line(evidence, one) for one in evidence.effects)])]
    lines += _unstable_lines(evidence.effects)
    return "\n".join(lines)


def _unstable_lines(effects: Sequence[Effect]) -> list[str]:
    """How often each arm of an unstable comparison trains, a line each; nothing where no training failed."""
    from ablations.reporting.sections.verdicts import how_often

    found = [f"unstable  {one.label}, {one.kind}: trained {how_often(one)}" for one in effects if one.unstable]
    return ["", *found] if found else []


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell; the first three to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_align(cell, column, widths) for column, cell in enumerate(row)).rstrip() for row in rows]


def _effect_line(evidence: Findings, effect: Effect) -> tuple[str, ...]:
    from ablations.core.text import MINUS, MISSING
    from ablations.reporting import wording

    numbers = (wording.effect(evidence, effect.estimate), wording.bounds(evidence, effect.low, effect.high))
    plain = [text.replace(MINUS, "-").replace(MISSING, "none") for text in numbers]
    return effect.component, effect.level, effect.kind, *plain, str(effect.n)


def _align(cell: str, column: int, widths: Sequence[int]) -> str:
    return cell.ljust(widths[column]) if column < 3 else cell.rjust(widths[column])
