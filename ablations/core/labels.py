"""Names changes as people do: `no dropout`, `tanh instead of ReLU`.

A component can give these names itself, level by level.  Otherwise they are made of its name, the level and what the
reference does.  Records and options use the spelling of `Variant.label` instead: `-dropout`, `activation=tanh`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablations.core.claim import Claim, compared
from ablations.core.load import MILD, PLACEBO, SABOTAGE, load
from ablations.core.subject import Component
from ablations.core.variant import Departure, Variant

UNTOLD = frozenset({"", "off", "on", "none", "null", "true", "false", "as it is"})  # references not worth naming
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


def by_rule(name: str, level: str, reference: str = "") -> str:
    """Returns the name of a level that has no label of its own.

    >>> by_rule("dropout", "off", "0.5"), by_rule("mixup", "on", "False"), by_rule("width", "64", "128")
    ('no dropout', 'with mixup', 'width 64 instead of 128')
    >>> by_rule("pooling", "average", "max"), by_rule("norm", "no_norm"), by_rule("schedule", "cosine")
    ('average pooling instead of max', 'no norm', 'cosine schedule')
    """
    part, what, was = _words(name), _words(level), _words(reference)
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
