"""What is written down before the first trial: claims, the rule that judges them, and a trace of every change.

Frozen, plain inside, standard library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ablations.core.identity import sparse
from ablations.core.variant import Departure, Variant

RAISES, LOWERS, SAME = 1, -1, 0
ONE_OUT, ONE_IN, MAIN = "one out", "one in", "main"  # estimands: what an effect is an effect of
DIRECTIONS = {"raises": RAISES, "lowers": LOWERS, "same": SAME}  # in the words of a claims file
STANDINGS = ("our reading", "authors' estimate")  # of a claim whose source does not state it outright


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where a claim was made.  A study with less than this tests a proxy of it.  Empty or 0: anything will do."""

    datasets: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    train_examples: int = 0  # images an epoch
    image_size: int = 0  # pixels a side
    epochs: int = 0
    always_proxy: str = ""  # why no study tests the claim itself: another metric stands in, say
    presets_only: bool = False  # a study of another preset is not asked about it, not even as a proxy


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a publication says of one component, as data."""

    name: str
    component: str
    level: str
    statement: str  # a paraphrase
    source: str  # with the section
    metric: str
    published: str  # the number and its conditions; "no number given" where there is none
    direction: int  # +1: the departure raises the metric; -1: it lowers it; 0: it leaves it the same
    smallest_effect: float  # of interest, in the metric's unit; the same is what differs by less
    confounds: str = ""  # what else changed in the published comparison
    reason: str = ""  # for the smallest effect of interest
    published_effect: float | None = None  # departure minus reference, in the metric's unit
    against: str = ""  # a departure such as "width=half" that takes the reference's place
    epoch: int | None = None  # after which the metric is read; None: the last
    estimand: str = ONE_OUT
    family: str = ""  # of claims that share one error rate
    conditions: Conditions = Conditions()
    others: str = ""  # what others found
    tuned: bool = False  # it is about arms that each have a learning rate of their own
    also: str = ""  # what the change has to do as well: "raises test_top1_error_percent"
    standing: str = ""  # one of STANDINGS where the source does not state it outright

    @property
    def asks(self) -> tuple[object, ...]:
        """What is compared on what: claims that agree in this are one question, whatever their margins."""
        return (self.component, self.level, self.against, self.metric, self.epoch, self.estimand)

    @property
    def companion(self) -> Claim | None:
        """What it says with `also`, as a claim on another metric of the same comparison; None without."""
        if not self.also:
            return None
        direction, _, metric = self.also.partition(" ")
        return replace(self, direction=DIRECTIONS[direction], metric=metric, published_effect=None, also="")

    @property
    def questions(self) -> tuple[tuple[object, ...], ...]:
        """All that it asks, its companion's question included: what a family's comparisons are counted by."""
        return (self.asks, self.companion.asks) if self.companion else (self.asks,)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Claim:
        """The Claim of a record.  Raises TypeError when a field is missing or unknown."""
        conditions: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.get("conditions", {}).items()
        }
        return cls(**{**record, "conditions": Conditions(**conditions)})


RULE_VERSION = 2  # of the rule's wording in new studies; 1 knew neither failed trainings nor claims of two things


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The numbers of the rule that turns effects into verdicts; `analysis/rule.py` has the rule itself."""

    version: int = 1  # of the rule's wording: another one is another rule
    alpha: float = 0.05  # chance of a wrong statement of one kind anywhere in a family of claims
    seeds: int = 10  # for a verdict that is more than a draft
    beats_chance_by: float = 0.25  # share of the chance error that the reference must have shed
    sabotage_alpha: float = 0.05  # at which the positive control must be detected
    placebo_alpha: float = 0.01  # at which the negative control must not: one good study in a hundred is refused
    missing: float = 0.20  # share of pairs from which on a comparison is not judged
    confounded: float = 0.05  # relative change of size from which on a comparison is labelled
    overfitting: float = 1.0  # points of gap that the arms must reach on average before overfitting is judged
    looks: tuple[int, ...] = ()  # seeds at which a sequential study is judged; empty: once, at its end
    negligible: tuple[tuple[str, float], ...] = ()  # component -> activity below which it counts as inactive
    failed_above: float = 0.0  # share of the chance error above which a training failed; 0: its error does not matter
    # Share of what the best training of its variant has shed of the chance error: a training that has shed less failed,
    # where that best one beats the linear baseline and it does not; 0: this does not matter.
    failed_below_best: float = 0.0
    # Share of a linear classifier's error that the reference must have shed.  None: not asked.
    beats_linear_by: float | None = None
    # Share of the chance error that the reference's error on its own training images, without augmentation, may reach
    # where a claim is about the evaluation error or the gap.  None: not asked.
    fitted_within: float | None = None
    affordable: int = 0  # most seeds that anyone would train; claims that need more are out of reach; 0: not asked

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Rule:
        """The Rule of a record.  Raises TypeError when a field is missing or unknown."""
        negligible = tuple((name, value) for name, value in record["negligible"])
        return cls(**{**record, "looks": tuple(record.get("looks", ())), "negligible": negligible})


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """Claims, rule and number of seeds as they stood at one moment, and how many trials had a record by then."""

    digest: str
    at: str  # UTC, ISO 8601
    records: int
    what: str  # was declared or changed, in words


def digest(claims: tuple[Claim, ...], rule: Rule, seeds: int) -> str:
    """Twelve hex digits of the sha256 of what is declared.

    A field that a later version adds leaves older digests as they are, as with a trial's key.
    """
    declared = {"claims": [sparse(claim) for claim in claims], "rule": sparse(rule), "seeds": seeds}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:12]


def changes(before: tuple[tuple[Claim, ...], Rule, int], after: tuple[tuple[Claim, ...], Rule, int]) -> str:
    """What differs between two declarations, in words: `seeds 3 to 10; claims added: lrn_cifar`."""
    (claims, rule, seeds), (new_claims, new_rule, new_seeds) = before, after
    old, new = ({claim.name: claim for claim in some} for some in (claims, new_claims))
    lists = {
        "claims added": new.keys() - old.keys(),
        "claims dropped": old.keys() - new.keys(),
        "claims changed": {name for name in old.keys() & new.keys() if old[name] != new[name]},
    }
    words = [f"{what}: {', '.join(sorted(names))}" for what, names in lists.items() if names]
    words += [f"seeds {seeds} to {new_seeds}"] * (seeds != new_seeds)
    words += ["the rule changed"] * (replace(new_rule, negligible=()) != replace(rule, negligible=()))
    return "; ".join(words)


def compared(claim: Claim) -> tuple[Departure, ...]:
    """The departure that a claim is about, and the one that it is compared with, if any."""
    component, _, level = claim.against.partition("=")
    return ((claim.component, claim.level), *([(component, level)] if claim.against else []))


def label_of(claim: Claim) -> str:
    """`-lrn`, or `-lrn against pooling=non_overlapping`."""
    return " against ".join(Variant(departures=(departure,)).label for departure in compared(claim))


def metric_of(claim: Claim, phase: str) -> str:
    """The claim's metric on what a study evaluates on: `validation_top1_error_percent`, `train_loss@1`."""
    name = claim.metric.replace("test_", f"{phase}_", 1) if claim.metric.startswith("test_") else claim.metric
    return f"{name}@{claim.epoch}" if claim.epoch else name
