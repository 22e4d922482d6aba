"""A trial: one training and evaluation of one variant, identified by everything that decides its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ablations.core.fields import made
from ablations.core.identity import sparse
from ablations.core.load import FIRST, is_file, is_record, load
from ablations.core.setting import Config
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant of a subject, trained and evaluated with one seed on one data set."""

    variant: Variant
    seed: int
    data: str  # the data set, as the user named it but with `~` replaced
    fingerprint: str  # of the content of the data
    config: Config  # everything else that decides the result, as plain JSON without default values
    subject: str = FIRST  # the name by which `ablations.core.load.load` finds it

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def training(self) -> Trial:
        """The trial without what only evaluation reads, which is equal for all trials that share one training."""
        return replace(self, variant=Variant(), config=load(self.subject).training_part(self.config))

    @cached_property
    def key(self) -> str:
        """Twelve hex digits of the sha256 of everything that decides the result.

        Data count by their fingerprint, not by their path, so that a folder that is moved keeps its records.
        The first subject's config is not nested and its name is left out, because its records are older than subjects.
        """
        # A study file may be moved too, so its path is not part of the key; a digest of its code is in the config.
        of_a_file = is_file(self.subject) or is_record(self.subject)
        named = "a study file" if of_a_file else self.subject
        config = self.config if self.subject == FIRST else {"subject": named, "config": self.config}
        choices = {**config, "variant": sparse(self.variant), "seed": self.seed, "fingerprint": self.fingerprint}
        text = json.dumps(choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_dict` makes an equal Trial."""
        return {**dataclasses.asdict(replace(self, config={})), "config": self.config}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Trial:
        """Returns the Trial of a record.  Raises TypeError when a field is missing or unknown."""
        return made(cls, record)


Job = tuple[Trial, ...]  # trials that one worker runs together


class Packing(NamedTuple):
    """How many trainings take turns in one job, and what that gains."""

    at_once: int = 1
    gain: float = 1.0  # trials per hour, relative to one training after another; 1 if it was not measured
    words: str = ""  # what to tell the user about it


UNPACKED = Packing()


def by_training(trials: Iterable[Trial]) -> tuple[Job, ...]:
    """Groups trials that share a training, in the order of the first trial of each group.

    The trials of a group differ only in what evaluation reads, so one training, evaluated for each of them, is enough.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.training.key, []).append(trial)
    return tuple(tuple(group) for group in groups.values())
