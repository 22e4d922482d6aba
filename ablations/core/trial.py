"""One training of one variant, and what decides its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ablations.core.identity import sparse
from ablations.core.load import FIRST, is_file, load
from ablations.core.setting import Config
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant of a subject, trained and evaluated with one seed on one data set."""

    variant: Variant
    seed: int
    data: str  # the data set as the user named it, but for `~`
    fingerprint: str  # of the data themselves
    config: Config  # everything else that decides the result, as plain JSON without default values
    subject: str = FIRST  # by which `ablations.core.load.load` finds it

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def training(self) -> Trial:
        """What trials that share a training have in common: this one without what evaluation alone reads."""
        return replace(self, variant=Variant(), config=load(self.subject).training_part(self.config))

    @cached_property
    def key(self) -> str:
        """Twelve hex digits of the sha256 of everything that decides the result.

        A data set is its fingerprint, not its path, so that a moved folder keeps its records.  The subject and a name
        for the config's part are left out for the first subject, whose records are older than both.
        """
        named = "a study file" if is_file(self.subject) else self.subject  # which may move: its code is in the config
        config = self.config if self.subject == FIRST else {"subject": named, "config": self.config}
        choices = {**config, "variant": sparse(self.variant), "seed": self.seed, "fingerprint": self.fingerprint}
        text = json.dumps(choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_dict` gives an equal Trial."""
        return {**dataclasses.asdict(replace(self, config={})), "config": self.config}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Trial:
        """The Trial of a record.  Raises KeyError or TypeError when a field is missing or unknown."""
        return cls(**{**record, "variant": Variant.from_dict(record["variant"])})


Job = tuple[Trial, ...]


class Packing(NamedTuple):
    """How many trainings take turns in one job, what that gives, and what there is to say of it."""

    at_once: int = 1
    gain: float = 1.0  # times the trials an hour of one after another; 1 where it was not measured
    words: str = ""


UNPACKED = Packing()


def by_training(trials: Iterable[Trial]) -> tuple[Job, ...]:
    """The trials that share a training together, in the order of the first of each.

    They differ in nothing but what evaluation reads, so one training, evaluated for each of them, serves them all.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.training.key, []).append(trial)
    return tuple(tuple(group) for group in groups.values())
