"""How people call a change: `no dropout`, `tanh instead of ReLU`.  Every reader takes these words from here.

A component says them itself, level by level, or they follow from its name, the level and what the reference does.
The code's spelling, `-dropout` and `activation=tanh`, is `Variant.label`: records and options keep it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablations.core.claim import Claim, compared
from ablations.core.load import MILD, PLACEBO, SABOTAGE, load
from ablations.core.subject import Component
from ablations.core.variant import Departure, Variant

UNTOLD = frozenset({"", "off", "on", "none", "null", "true", "false", "as it is"})  # no word for what is replaced
LONGEST = 16  # characters of what the reference does, beside which a level is still read at a glance
MADE = re.compile(
    r"(no|without|with|only|all|half|double|twice)\b"
)  # a level that opens so says by itself what it does
NUMBER = re.compile(r"[-+]?\d[\d.x]*(e[-+]?\d+)?%?")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The words for the changes of one subject."""

    components: Mapping[str, Component] = field(default_factory=dict)

    def of(self, *departures: Departure) -> str:
        """`no dropout`, `no dropout + no LRN`; `reference` for none."""
        return " + ".join(self._one(*departure) for departure in departures) or "reference"

    def _one(self, name: str, level: str) -> str:
        component = self.components.get(name)
        said = component.labels.get(level, "") if component else ""
        return said or by_rule(name, level, component.reference if component else "")

    def claim(self, claim: Claim) -> str:
        """`no LRN`, or `no LRN against non-overlapping pooling`: what a claim is about."""
        return " against ".join(self.of(departure) for departure in compared(claim))

    def with_code(self, *departures: Departure) -> str:
        """`no dropout (-dropout)`: the words, and once beside them what the command line and the records call it."""
        code = Variant(departures=departures).label
        return f"{self.of(*departures)} ({code})" if departures else code


def labels_of(subject: str) -> Labels:
    """The words for the changes of the subject of that name."""
    return Labels(components=load(subject).components)


def by_rule(name: str, level: str, reference: str = "") -> str:
    """What a level is called that has no label of its own.

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
    """A name of code as words: `non_overlapping` as `non overlapping`; a number stays as it is."""
    return code if NUMBER.fullmatch(code) else re.sub(r"[_\s]+|\.(?!\d)|(?<=[a-z])-(?=[a-z])", " ", code).strip()
