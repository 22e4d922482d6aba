"""What a user asked for, as plain values: the options of the command line that the engine reads."""

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
    """The study that a user asks for; options that were not given have their default values."""

    subject: str  # the name by which `ablations.core.load.load` finds it
    options: Any  # the subject's own options, which only the subject reads
    name: str  # of the study, and of its folder
    grid: str
    words: tuple[str, ...] = ()  # of --components; empty: the grid's own choice
    seeds: int  # number of seeds
    sequential: bool = False  # whether it is judged in looks
    looks: str | None = None  # numbers of seeds after which it looks, as they were typed; None: the usual ones
    resolution: int = 4  # of a fractional factorial
    claims: Path | None = None  # a claims file of the user's own
    tune: int = 0  # number of learning rates to try for each arm; 0: rates are not tuned
    time: str | None = None  # of --budget, for the whole study, as it was typed
    left_open: tuple[str, ...] = ()  # those of "grid", "seeds" and "work" that were not given, for --budget to choose
    results: Path = Path("results")  # the folder of all studies
    retrain: bool = False  # whether trials of another version of the training code are trained again
    command: str = ""  # the command line, for the records
    cpus_per_trial: int = 1
    gpus_per_trial: float | None = None  # None: the subject's usual share, if there is a GPU
    pack: int | None = 1  # trials of a job that take turns; None: found by timing some
    in_turn: bool = False  # whether trials run one after another in this process
    cluster: bool = False  # whether an existing cluster of Ray was named
    machines: tuple[Mapping[str, float], ...] = field(default=())  # of that cluster: how many "CPU" and "GPU" each has

    @property
    def look_seeds(self) -> tuple[int, ...]:
        """The numbers of seeds after which a sequential study looks; empty for another study.

        Raises InputError as the function `look_seeds` does.
        """
        return look_seeds(self.seeds, self.looks) if self.sequential else ()

    @property
    def folder(self) -> Path:
        """The folder of the study's records."""
        return self.results / self.name


class UntimedError(InputError):
    """It is not known how long a trial takes; running `trial` in `place` would tell."""

    def __init__(self, trial: Trial, place: Place) -> None:
        super().__init__(
            "--budget needs to know how long a trial takes, which is not known before one has been run: "
            "give --seeds instead, or leave --dry-run out."
        )
        self.trial, self.place = trial, place


def look_seeds(seeds: int, asked: str | None) -> tuple[int, ...]:
    """Returns the numbers of seeds after which a sequential study with `seeds` seeds looks.

    They are those of `asked`, as --looks was typed, or else about 40%, 70% and 100% of the seeds.  Raises InputError if
    `asked` is no rising list of at least two numbers that ends at `seeds`, or if there are too few seeds for two looks.
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
