"""Names changes as people do: `no dropout`, `tanh instead of ReLU`.

A component can give these names itself, level by level.  Otherwise they are made of its name, the level and what the
reference does.  Records and options use the spelling of `Variant.label` instead: `-dropout`, `activation=tanh`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablations.core.claim import ONE_IN, Claim, compared
from ablations.core.load import MILD, PLACEBO, SABOTAGE, load
from ablations.core.study import Study
from ablations.core.subject import Component
from ablations.core.variant import Departure, Variant

UNTOLD = frozenset({"", "off", "on", "none", "null", "true", "false", "as it is"})  # references not worth naming
LONGEST_SHORT = 48  # characters of a name in a line of a terminal; a variant with a longer one is named by its code
LONGEST = 16  # characters of a reference that is named after "instead of"; a longer one makes names hard to read
# A level that begins with one of these words needs no further word.
MADE = re.compile(r"(no|without|with|only|all|half|double|twice)\b")
NUMBER = re.compile(r"[-+]?\d[\d.x]*(e[-+]?\d+)?%?")  # a level that is a number, such as 0.5, 3x3, 1e-4 or 50%


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The names of the changes of one subject."""

    components: Mapping[str, Component] = field(default_factory=dict)

    def of(self, *departures: Departure) -> str:
        """Returns `no dropout` or, for several departures, `no dropout + no LRN`; `reference` for none."""
        return " + ".join(self._one(*departure) for departure in departures) or "reference"

    def _one(self, name: str, level: str) -> str:
        component = self.components.get(name)
        said = component.labels.get(level, "") if component else ""
        return said or by_rule(name, level, component.reference if component else "")

    def claim(self, claim: Claim) -> str:
        """Returns what a claim is about: `no LRN`, or `no LRN against non-overlapping pooling`."""
        return " against ".join(self.of(departure) for departure in compared(claim))

    def with_code(self, *departures: Departure) -> str:
        """Returns `no dropout (-dropout)`: the name, followed by the spelling of the command line and the records."""
        code = Variant(departures=departures).label
        return f"{self.of(*departures)} ({code})" if departures else code


def labels_of(subject: str) -> Labels:
    """Returns the names of the changes of the subject of that name."""
    return Labels(components=load(subject).components)


def variant_names(study: Study, labels: Labels) -> dict[str, str]:
    """Returns what people call each variant of a study, by the variant's label.

    In a one-in study these are "all changes" and, for a variant without one of them, "all but: no LRN".
    """
    every = max(study.variants, key=lambda one: len(one.departures)).departures
    names = {one.label: labels.of(*one.departures) for one in study.variants}
    if study.estimand == ONE_IN and len(every) > 1:
        for departure in every:
            without = Variant(departures=tuple(other for other in every if other != departure))
            names[without.label] = f"all but: {labels.of(departure)}"
        names[Variant(departures=every).label] = "all changes"
    return names


def short_names(study: Study) -> dict[str, str]:
    """Returns a name for each variant of a study, trained or left out, that fits into a line of a terminal.

    It is what people call the variant, or the variant's label, which is how the code spells it, if that is too long.
    """
    labels = labels_of(study.subject)
    left_out = {one.variant.label: labels.of(*one.variant.departures) for one in study.skipped}
    names = {**left_out, **variant_names(study, labels)}
    return {label: name if len(name) <= LONGEST_SHORT else label for label, name in names.items()}


def by_rule(name: str, level: str, reference: str = "") -> str:
    """Returns the name of a level that has no label of its own.

    >>> by_rule("dropout", "off", "0.5"), by_rule("mixup", "on", "False"), by_rule("width", "64", "128")
    ('no dropout', 'with mixup', 'width 64 instead of 128')
    >>> by_rule("pooling", "average", "max"), by_rule("norm", "no_norm"), by_rule("schedule", "cosine")
    ('average pooling instead of max', 'no norm', 'cosine schedule')
    >>> by_rule("compile", "False", "True")
    'no compile'
    """
    part, what, was = _words(name), _words(level), _words(reference)
    level = {"false": "off", "true": "on"}.get(level.lower(), level)  # as scripts spell it
    if name in (PLACEBO, SABOTAGE, MILD):
        return part
    if level == "off":
        return part.replace("with ", "no ", 1) if part.startswith("with ") else f"no {part}"
    if MADE.match(what):
        return what
    if level == "on":
        return part if MADE.match(part) else f"with {part}"
    named = what if part in what else f"{what} {part}"
    found = f"{part} {level}" if NUMBER.fullmatch(level) else named
    told = was.lower() not in UNTOLD and len(was) <= LONGEST and " " not in was
    return f"{found} instead of {was}" if told else found


def _words(code: str) -> str:
    """Returns a name of code as words, such as `non overlapping` for `non_overlapping`; a number stays as it is."""
    return code if NUMBER.fullmatch(code) else re.sub(r"[_\s]+|\.(?!\d)|(?<=[a-z])-(?=[a-z])", " ", code).strip()
