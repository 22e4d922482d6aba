"""What was asked for, as plain values: the engine's half of a command line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablations.core.errors import InputError, shown
from ablations.core.subject import Place
from ablations.core.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Request:
    """A study that somebody asks for; every option that was left open is filled in."""

    subject: str  # by which `ablations.core.load.load` finds it
    options: Any  # the subject's own, which only its `setting` and `place` read
    name: str  # of the study, and of its folder
    grid: str
    words: tuple[str, ...] = ()  # of --components; empty: the grid's own choice
    seeds: int
    sequential: bool = False  # whether it is judged in looks
    looks: str | None = None  # seeds after which it looks, as they were typed
    resolution: int = 4  # of a fraction
    claims: Path | None = None  # a file of the user's own
    tune: int = 0  # learning rates to try for each arm
    time: str | None = None  # for the whole study, as it was typed
    left_open: tuple[str, ...] = ()  # options that were not given, of those that a time picks
    results: Path = Path("results")
    retrain: bool = False
    command: str = ""
    cpus_per_trial: int = 1
    gpus_per_trial: float | None = None  # None: one where there is one
    pack: int | None = 1  # trials that take turns; None: by timing some
    in_turn: bool = False  # one trial after another in this process
    cluster: bool = False  # an existing cluster of Ray was named
    machines: tuple[Mapping[str, float], ...] = field(default=())  # of that cluster: what each has of "CPU" and "GPU"

    @property
    def look_seeds(self) -> tuple[int, ...]:
        """The seeds after which a sequential study looks; empty for another.  Raises InputError as `look_seeds`."""
        return look_seeds(self.seeds, self.looks) if self.sequential else ()

    @property
    def folder(self) -> Path:
        """Of the study's records."""
        return self.results / self.name


class UntimedError(InputError):
    """Nobody knows how long a trial takes before `trial` has been run in `place`."""

    def __init__(self, trial: Trial, place: Place) -> None:
        super().__init__(
            "--budget needs to know how long a trial takes, which is not known before one has been run: "
            "give --seeds instead, or leave --dry-run out."
        )
        self.trial, self.place = trial, place


def look_seeds(seeds: int, asked: str | None) -> tuple[int, ...]:
    """The seeds after which a sequential study of so many looks, as asked or the usual ones.

    Raises InputError on what is no rising list that ends at --seeds, and on too few seeds for two looks.
    """
    if seeds < 4:
        raise InputError(f"--sequential needs 4 seeds or more, not {seeds}.")
    if not asked:
        return tuple(dict.fromkeys((max(3, -(-2 * seeds // 5)), -(-7 * seeds // 10), seeds)))
    words = [word for word in asked.replace(",", " ").split() if word]
    looks = tuple(int(word) for word in words if word.isdecimal() and len(word) < 9)
    rising = all(one < two for one, two in itertools.pairwise(looks))
    if len(looks) < max(2, len(words)) or not rising or looks[0] < 2 or looks[-1] != seeds:
        raise InputError(
            f"--looks is {shown(asked)}; it must be two or more rising numbers of seeds, from 2 on, and "
            f"the last is that of --seeds, {seeds}."
        )
    return looks
