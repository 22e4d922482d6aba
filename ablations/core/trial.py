"""One training of one variant, and what decides its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ablations.core.variant import Variant
from ablations.models.spec import Spec, sparse, spec_from_dict, training_part
from ablations.subjects.alexnet.setting import Budget


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant, trained and evaluated with one seed, for one budget and on one data set."""

    variant: Variant
    seed: int
    budget: Budget
    dataset: str  # name or folder:PATH, as the user gave it but for `~`
    fingerprint: str  # of the data themselves
    preset: str
    spec: Spec  # derived: the preset under the variant's rewrites

    @property
    def training(self) -> Trial:
        """What trials that share a training have in common: this one without what evaluation alone reads."""
        return replace(self, variant=Variant(), spec=training_part(self.spec))

    @cached_property
    def key(self) -> str:
        """Twelve hex digits of the sha256 of everything that decides the result.

        A data set is its fingerprint, not its path, so that a moved folder keeps its records.
        """
        choices = sparse(self)
        del choices["dataset"]
        text = json.dumps(choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_dict` gives an equal Trial."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Trial:
        """The Trial of a record.  Raises KeyError or TypeError when a field is missing or unknown."""
        return cls(
            **{
                **record,
                "variant": Variant.from_dict(record["variant"]),
                "budget": Budget(**record["budget"]),
                "spec": spec_from_dict(record["spec"]),
            }
        )


class Packing(NamedTuple):
    """How many trainings take turns in one job, what that gives, and what there is to say of it."""

    at_once: int = 1
    gain: float = 1.0  # times the trials an hour of one after another; 1 where it was not measured
    words: str = ""


def by_training(trials: Iterable[Trial]) -> tuple[Job, ...]:
    """The trials that share a training together, in the order of the first of each.

    They differ in nothing but what evaluation reads, so one training, evaluated for each of them, serves them all.
    """
    groups: dict[Trial, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.training, []).append(trial)
    return tuple(tuple(group) for group in groups.values())


Job = tuple[Trial, ...]


UNPACKED = Packing()
