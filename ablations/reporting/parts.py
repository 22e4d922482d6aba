"""The parts of a report that a subject may write itself, with a plain form of each for subjects that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ablations.analysis.verdicts import Findings
from ablations.core.load import load
from ablations.core.setting import SPLIT
from ablations.core.text import counted
from ablations.core.units import outcome
from ablations.core.variant import Departure
from ablations.reporting.document import Block, Section
from ablations.reporting.sections.outcomes import errors


def plan(evidence: Findings) -> str:
    """Returns what was run, in sentences."""
    study, setting = evidence.study, evidence.study.setting
    what = f" ({study.question})" if study.question else ""
    unit = load(study.subject).work_unit
    work = f" for {counted(setting.work, unit)}" if setting.work > 1 else ""
    on = f" on {setting.data}" if setting.fingerprint else ""  # empty: only the trial knows its data
    on_data = f", and evaluated on the {setting.on} data" if setting.on else ""
    splits = " Seeds change which examples are trained and tested on." if setting.replicate == SPLIT else ""
    means = " Numbers are means over the data sets." if setting.blocks else ""
    return (
        f"{counted(len(study.variants), 'variant')} of {setting.facts.get('reference', study.subject)}{on}, "
        f"chosen by the grid {study.grid}{what}. Each was run with "
        f"{counted(study.seeds, 'seed')}{work}{on_data}.{means}{splits}"
    )


def scale(evidence: Findings) -> str:
    """Returns what was trained, on what and for how long: the first thing that a reader needs to know.

    A study file says the first in its title: `Which parts of a digit classifier earn their place? 30 steps`.
    """
    study, setting = evidence.study, evidence.study.setting
    work = f"{counted(setting.work, load(study.subject).work_unit)}" if setting.work > 1 else ""
    if title := str(setting.facts.get("title", "")):
        return f"{title}{' ' if title.endswith(('?', '!', '.')) else ', '}{work}" if work else title
    on = f" on {setting.data}" if setting.fingerprint else ""  # a study file may bring data of its own
    return f"{setting.facts.get('reference', study.name)}{on}{f', {work}' if work else ''}"


def trivial(evidence: Findings) -> str:
    """Returns what guessing and trivial learning give, in a sentence; empty if neither is known."""
    setting = evidence.study.setting
    percent = "%" if setting.main_metric.percent else ""
    known = (
        [f"guessing gives {outcome(evidence.main_metric, setting.guessing)}{percent}"]
        if setting.guessing is not None
        else []
    )
    if setting.baseline is not None:
        known.append(f"{setting.baseline_words} {outcome(evidence.main_metric, setting.baseline)}{percent}")
    said = " and ".join(known)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def timing(evidence: Findings) -> str:
    """Returns how the steps to the target were measured, in sentences."""
    target = evidence.study.setting.target
    assert target
    stopped = " A trial ends there." if target.stops else ""
    return (
        f"Every {target.every} steps the {target.metric} is measured. The time to {target.value:g}{target.unit} is the "
        f"step at which it is first reached, on a straight line between two readings.{stopped} A run that ends before "
        "that is censored: it counts as one that takes longer, and is not left out."
    )


def facts(evidence: Findings) -> Mapping[str, str]:
    """Returns the conditions of a study that a comparison with another study lists, name -> value."""
    setting = evidence.study.setting
    known = {"subject": load(evidence.study.subject).name, "work": str(setting.work), "evaluated on": setting.on}
    return {name: value for name, value in known.items() if value}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a report that a subject may write.  Each has a default for subjects that do not."""

    plan: Callable[[Findings], str] = plan
    scale: Callable[[Findings], str] = scale
    trivial: Callable[[Findings], str] = trivial
    timing: Callable[[Findings], str] = timing
    facts: Callable[[Findings], Mapping[str, str]] = facts
    reference: Callable[[Findings], Sequence[Block]] = lambda evidence: ()  # tables that describe the reference
    outcomes: Callable[[Findings], Section] = errors  # the section on what trials ended at
    sections: Sequence[Callable[[Findings], Section | None]] = ()  # further sections, placed after the ensembles
    ratios: Mapping[Departure, float] = field(default_factory=dict)  # published ratios of steps to the target
    controls: str = "A placebo changes only the random draws and must show no effect. A sabotage must show a clear one."
    result: str = "the result"  # what a change makes better or worse, in words
    paired: str = "whatever both draw in the same way"  # what the two trials of a pair share besides the seed, in words
    evaluated: str = "examples"  # what a trial is evaluated on, in the plural
    ensembles: str = ""  # what was published on averaged networks, in a sentence


def on_what(evidence: Findings, text: str) -> str:
    """Returns `text` with "image" replaced by the subject's word for what its trials are evaluated on."""
    return text.replace("image", parts_of(evidence.study.subject).evaluated.removesuffix("s"))


def parts_of(subject: str) -> Parts:
    """Returns the parts of the subject with that name, or the defaults."""
    found = load(subject).report()
    return found if isinstance(found, Parts) else Parts()
