"""A study as `study.json` holds it.  The types are frozen and hold plain values only.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ablations.core.claim import ONE_OUT, Claim, Declaration, Rule
from ablations.core.fields import check_types, made
from ablations.core.identity import SCHEMA, current
from ablations.core.load import FIRST, PLACEBO, SABOTAGE
from ablations.core.setting import Setting
from ablations.core.tuning import Tuning
from ablations.core.variant import Skipped, Variant


@dataclass(frozen=True, kw_only=True)
class Study:
    """The plan of a study: which variants are trained, with how many seeds, how long, and what is claimed of them."""

    name: str
    grid: str
    subject: str = FIRST  # the name by which `ablations.core.load.load` finds it
    setting: Setting  # what its trials share
    components: tuple[tuple[str, str], ...]  # the (component, level) pairs under study
    variants: tuple[Variant, ...]
    seeds: int  # number of seeds; they are 0, 1, ..
    controls: tuple[str, ...] = ()  # controls that are trained beside the grid, each as a single departure
    wanted: tuple[str, ...] = (SABOTAGE, PLACEBO)  # controls that must have behaved before anything is judged
    question: str = ""  # the question that its grid answers, in words
    estimand: str = ONE_OUT  # what its effects are: ONE_OUT, ONE_IN or MAIN
    factorial: bool = False  # whether main effects and interactions can be estimated
    keys: tuple[str, ...] = ()  # of the trials, seed by seed, in the order of `variants`
    skipped: tuple[Skipped, ...] = ()  # combinations that the grid left out
    aliases: tuple[str, ...] = ()  # of a fractional factorial, such as "activation = dropout*lrn"
    claims: tuple[Claim, ...] = ()
    rule: Rule = field(default_factory=Rule)
    declared: tuple[Declaration, ...] = ()  # the first is made before any trial; each later one is a change
    command: str = ""  # the command that runs the study again
    tuning: Tuning | None = None  # None: learning rates were not searched
    allowance: Allowance | None = None  # None: the user chose grid, seeds and work
    resolution: int = 4  # of a fractional factorial; without meaning for other designs
    # Claim -> seeds that would decide it, if they are more than anyone would train; None: over 10,000.
    out_of_reach: tuple[tuple[str, int | None], ...] = ()

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which a sequential study is judged; empty for another."""
        return self.rule.looks

    @property
    def trials_a_seed(self) -> int:
        """Trials that one seed has in the whole plan: every variant on every data set."""
        return len(self.variants) * len(self.setting.each)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, with the schema's version."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Study:
        """Returns the Study of `study.json`.

        Raises ValueError on another schema, and TypeError on a wrong field.
        """
        study = made(cls, current(record))
        check_types(study)
        return study


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What was chosen, before the first trial, to fit a study into the time of --budget."""

    asked: str  # the time, as it was typed
    grid: str
    seeds: int
    work: int  # length of a trial in units such as epochs
    seconds: float  # expected seconds of all trials together
    given_up: tuple[str, ...] = ()  # what does not fit into the time, in words
