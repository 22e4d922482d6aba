"""Designs that could answer the same claims: how many seeds each needs to decide them, and how long that takes here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite

from ablations.analysis.evidence import Evidence
from ablations.analysis.power import outlook
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.trial import Job, Trial, by_training
from ablations.planning.cost import Paces, expected_seconds, seconds_of
from ablations.planning.request import Request
from ablations.planning.study import make_study

COMPARED = ("one_out", "fractional", "full")
MOST_FACTORS = 10  # of a full factorial that is looked at: 1,024 variants


@dataclass(frozen=True, kw_only=True)
class Design:
    """One seed of a design, or why it cannot be had."""

    grid: str
    study: Study | None = None
    jobs: tuple[Job, ...] = ()
    why_not: str = ""

    @property
    def trials(self) -> list[Trial]:
        """Of one seed."""
        return [trial for job in self.jobs for trial in job]

    def seconds(self, paces: Paces, *, seeds: int, work: int, workers: int) -> float:
        """Expected seconds of all its trials, so many at a time, started together and ended together."""
        jobs = [tuple(_with_work(one, work) for one in job) for job in self.jobs]
        expected = expected_seconds([trial for job in jobs for trial in job], paces)
        a_seed = sum(seconds_of(job, expected) for job in jobs)
        return a_seed * seeds / max(1, min(workers, len(jobs) * seeds))


def _with_work(trial: Trial, work: int) -> Trial:
    return replace(trial, config=load(trial.subject).with_work(trial.config, work))


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a design needs to decide the claims: four times in five, should the scatter be what is assumed."""

    seeds: int = 2
    dearest: str = ""  # the claim that asks for so many
    otherwise: int = 2  # seeds without that claim
    assumed: bool = False  # its scatter is worked out from that of another design
    hopeless: tuple[str, ...] = ()  # claims that not even 10,000 seeds decide
    unknown: tuple[str, ...] = ()  # claims whose scatter only a pilot can tell
    unasked: tuple[str, ...] = ()  # claims that this design cannot judge

    @property
    def decides(self) -> bool:
        """Whether it decides every claim whose scatter is known."""
        return not (self.hopeless or self.unasked)


def designs(request: Request, setting: Setting, only: Sequence[str] = COMPARED) -> list[Design]:
    """One seed of each of these grids, made of the components that `request` names."""
    return [_design(replace(request, seeds=1, sequential=False), setting, name) for name in only]


def _design(request: Request, setting: Setting, name: str) -> Design:
    try:
        smallest, _ = make_study(replace(request, grid="one_out"), setting)
        if name == "full" and len(smallest.components) > MOST_FACTORS:
            raise InputError(f"over {2**MOST_FACTORS:,} variants")
        study, trials = make_study(replace(request, grid=name), setting)
    except InputError as error:
        return Design(grid=name, why_not=str(error))
    return Design(grid=name, study=study, jobs=by_training(trials))


def need(design: Design, claims: Sequence[str], *, pilot: Evidence | None) -> Need:
    """The seeds with which `design` decides these claims; `pilot` tells the scatter."""
    if design.study is None:
        return Need(unasked=tuple(claims))
    rows = outlook(design.study, [], pilot=pilot)
    known = [row for row in rows if isfinite(row.spread)]
    asked = {row.claim.name for row in rows}
    ranked = sorted(((row.seeds, row.claim.name) for row in known if row.seeds), reverse=True)
    (most, dearest), *others = ranked or [(2, "")]
    return Need(
        seeds=most,
        dearest=dearest,
        otherwise=others[0][0] if others else most,
        assumed=any(row.assumed for row in rows),
        hopeless=tuple(row.claim.name for row in known if not row.seeds),
        unknown=tuple(row.claim.name for row in rows if not isfinite(row.spread)),
        unasked=tuple(name for name in claims if name not in asked),
    )


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest whole number up to `most` that fits, 0 where 1 does not.

    `fits` must be true of every whole number below one that fits, as the search halves what is left.
    """
    low, high = 0, most
    while low < high:
        middle = ceil((low + high) / 2)
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
