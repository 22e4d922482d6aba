"""What is declared before the first trial: claims, the rule that judges them, and a record of every later change.

The types are frozen and hold plain values only, so that they can be hashed and written as JSON.  Standard library only.
The names of the fields of `Claim`, `Conditions` and `Rule` are part of the digest that `study.json` holds.  So none may
be renamed, and a new field needs a default that means what was true before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ablations.core.errors import InputError, shown
from ablations.core.fields import made
from ablations.core.identity import sparse
from ablations.core.setting import phased
from ablations.core.variant import Departure, Variant

RAISES, LOWERS, SAME = 1, -1, 0
# The estimands.  "one out": one departure from the full reference.  "one in": one component added where all others are
# off.  "main": the main effect in a factorial, averaged over the settings of the other components.
ONE_OUT, ONE_IN, MAIN = "one out", "one in", "main"
DIRECTIONS = {"raises": RAISES, "lowers": LOWERS, "same": SAME}  # as a claims file writes them
STANDINGS = ("our reading", "authors' estimate")  # what a claim is if its source does not state it outright


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under which conditions a claim was made.

    A study that does not meet them tests a proxy of the claim.  An empty or zero field accepts anything.
    """

    datasets: tuple[str, ...] = ()  # any one of these
    presets: tuple[str, ...] = ()  # any one of these
    train_examples: int = 0  # images per epoch, or more
    image_size: int = 0  # pixels a side, or more
    epochs: int = 0  # or more
    always_proxy: str = ""  # why no study can test the claim itself, for example because another metric stands in
    presets_only: bool = False  # whether studies of other presets leave the claim out, rather than test a proxy of it


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a publication says of one component, as data."""

    name: str
    component: str
    level: str  # of the component; component and level are the departure that the claim is about
    statement: str  # a paraphrase
    source: str  # with the section
    metric: str
    published: str  # the published number and its conditions, or "no number given"
    direction: int  # +1: the departure raises the metric; -1: it lowers it; 0: it leaves it the same
    smallest_effect: float  # the smallest effect of interest, in the metric's unit; smaller ones count as "the same"
    confounds: str = ""  # what else changed in the published comparison
    reason: str = ""  # why the smallest effect of interest is what it is
    published_effect: float | None = None  # departure minus reference, in the metric's unit
    against: str = ""  # a departure, such as "width=half", with which the claim's is compared instead of the reference
    epoch: int | None = None  # after which the metric is read; None: the last
    estimand: str = ONE_OUT  # ONE_OUT, ONE_IN or MAIN
    family: str = ""  # name of the claims whose p-values and intervals are adjusted together
    conditions: Conditions = Conditions()
    others: str = ""  # what others found
    tuned: bool = False  # whether it is about arms that each have a learning rate of their own
    also: str = ""  # what the change has to do as well, such as "raises test_top1_error_percent"
    standing: str = ""  # one of STANDINGS if the source does not state the claim outright

    @property
    def asks(self) -> tuple[object, ...]:
        """What identifies the question of a claim: claims that agree in this ask the same, whatever their margins."""
        return (self.component, self.level, self.against, self.metric, self.epoch, self.estimand)

    @property
    def companion(self) -> Claim | None:
        """The second half of a claim with `also`, as a claim on another metric of the same comparison; else None."""
        if not self.also:
            return None
        direction, _, metric = self.also.partition(" ")
        return replace(self, direction=DIRECTIONS[direction], metric=metric, published_effect=None, also="")

    @property
    def questions(self) -> tuple[tuple[object, ...], ...]:
        """Its question, and that of its companion, if any.  The comparisons of a family are counted by these."""
        return (self.asks, self.companion.asks) if self.companion else (self.asks,)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Claim:
        """Returns the Claim of a record.  Raises TypeError when a field is missing or unknown."""
        return made(cls, record)


# The version of the rule in new studies.  1 knew neither failed trainings nor claims with `also`.
RULE_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The numbers of the rule that turns effects into verdicts; `analysis/rule.py` has the rule itself."""

    version: int = 1  # of the rule's text; the default is that of records that do not say
    alpha: float = 0.05  # chance of a wrong statement of one kind anywhere in a family of claims
    seeds: int = 10  # least number of seeds for a verdict that is more than a draft
    beats_chance_by: float = 0.25  # the reference's error must be lower than the chance error by this share of it
    sabotage_alpha: float = 0.05  # level at which the positive control must be detected
    placebo_alpha: float = 0.01  # level at which the negative control must not be; it refuses one good study in 100
    missing: float = 0.20  # share of missing pairs from which on a comparison is not judged
    confounded: float = 0.05  # relative change of size from which on a comparison is marked as confounded
    overfitting: float = 1.0  # mean gap of the arms, in points, below which claims on overfitting are not judged
    looks: tuple[int, ...] = ()  # numbers of seeds at which a sequential study is judged; empty: once, at its end
    negligible: tuple[tuple[str, float], ...] = ()  # component -> activity below which it counts as inactive
    # Share of the chance error above which a training has failed.  Of a metric without a best value, such as a reward,
    # it has failed if it is not better than guessing by the rest of that share: see `Metric.after`.  0: no such limit.
    failed_above: float = 0.0
    # The best training of a variant is below the chance error by some amount.  A training that is below it by less than
    # this share of that amount has failed, if the best one beats the linear baseline and it does not.  0: no limit.
    failed_below_best: float = 0.0
    # The reference's error must be lower than a linear classifier's by this share of it.  None: not required.
    beats_linear_by: float | None = None
    # For claims on the evaluation error or the gap: the largest error of the reference on its own training images,
    # without augmentation, as a share of the chance error.  None: not required.
    fitted_within: float | None = None
    affordable: int = 0  # most seeds that anyone would train; claims that need more are out of reach.  0: no limit


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declaration of claims, rule and number of seeds, or a change of it."""

    digest: str  # of claims, rule and seeds: see `digest`
    at: str  # time in UTC, ISO 8601
    records: int  # how many trials had a record by then; more than 0 makes a change post hoc
    what: str  # what was declared or changed, in words


def check_names(claims: Iterable[Claim]) -> None:
    """Raises InputError if two claims have one name, as verdicts, looks, tags and files are found by it."""
    seen = set()
    for claim in claims:
        if claim.name in seen:
            raise InputError(f"two claims are called {shown(claim.name)}.")
        seen.add(claim.name)


def digest(claims: tuple[Claim, ...], rule: Rule, seeds: int) -> str:
    """Returns twelve hex digits of the sha256 of what is declared.

    Default values are left out, so that a field that a later version adds leaves older digests as they are.
    """
    declared = {"claims": [sparse(claim) for claim in claims], "rule": sparse(rule), "seeds": seeds}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:12]


def changes(before: tuple[tuple[Claim, ...], Rule, int], after: tuple[tuple[Claim, ...], Rule, int]) -> str:
    """Says what differs between two declarations, such as `claims added: lrn_cifar; seeds 3 to 10`."""
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
    """Returns the departure that a claim is about, and the one that it is compared with, if any."""
    component, _, level = claim.against.partition("=")
    return ((claim.component, claim.level), *([(component, level)] if claim.against else []))


def label_of(claim: Claim) -> str:
    """Returns `-lrn` or `-lrn against pooling=non_overlapping`: the departures of a claim, as variants are named."""
    return " against ".join(Variant(departures=(departure,)).label for departure in compared(claim))


def metric_of(claim: Claim, phase: str) -> str:
    """Returns the claim's metric as a study names it, such as `validation_top1_error_percent` or `train_loss@1`.

    `phase`, "test" or "validation", is what the study evaluates on; `@1` is a number after epoch 1.
    """
    name = phased(claim.metric, phase)
    return f"{name}@{claim.epoch}" if claim.epoch else name
