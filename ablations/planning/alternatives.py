"""Designs that could answer the same claims: how many seeds each needs to decide them, and how long that takes here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

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
MOST_FACTORS = 10  # most components of a full factorial that is compared: 1,024 variants


@dataclass(frozen=True, kw_only=True)
class Design:
    """One seed of a design, or why the design is not possible."""

    grid: str
    study: Study | None = None  # its plan with one seed; None if the design is not possible
    jobs: tuple[Job, ...] = ()  # the trials of that seed, one job per training
    why_not: str = ""  # why the design is not possible; empty if it is

    @property
    def trials(self) -> list[Trial]:
        """The trials of one seed."""
        return [trial for job in self.jobs for trial in job]

    def seconds(self, paces: Paces, *, seeds: int, work: int, workers: int) -> float:
        """Returns the expected wall time of `seeds` seeds with `work` units of work, with `workers` jobs side by side.

        The jobs are taken to share the workers evenly, so that all workers finish at the same time.
        """
        jobs = [tuple(_with_work(one, work) for one in job) for job in self.jobs]
        expected = expected_seconds([trial for job in jobs for trial in job], paces)
        a_seed = sum(seconds_of(job, expected) for job in jobs)
        return a_seed * seeds / max(1, min(workers, len(jobs) * seeds))


def _with_work(trial: Trial, work: int) -> Trial:
    """Returns `trial` with `work` units of work."""
    return replace(trial, config=load(trial.subject).with_work(trial.config, work))


@dataclass(frozen=True, kw_only=True)
class Need:
    """The seeds that a design needs to decide the claims with power 0.8, if the scatter is what is assumed."""

    seeds: int = 2  # seeds that decide every claim whose scatter is known
    dearest: str = ""  # name of the claim that needs the most seeds
    otherwise: int = 2  # seeds that decide all claims but that one
    assumed: bool = False  # whether a scatter is derived from that of another design
    hopeless: tuple[str, ...] = ()  # names of claims that not even 10,000 seeds decide
    unknown: tuple[str, ...] = ()  # names of claims whose scatter only a pilot can tell
    unasked: tuple[str, ...] = ()  # names of claims that this design cannot judge

    @property
    def decides(self) -> bool:
        """Whether it decides every claim whose scatter is known."""
        return not (self.hopeless or self.unasked)


def designs(request: Request, setting: Setting, only: Sequence[str] = COMPARED) -> list[Design]:
    """Returns one seed of each of these grids, made of the components that `request` names."""
    return [_design(replace(request, seeds=1, sequential=False), setting, name) for name in only]


def _design(request: Request, setting: Setting, name: str) -> Design:
    try:
        if name == "full":
            smallest, _ = make_study(replace(request, grid="one_out"), setting)
            if len(smallest.components) > MOST_FACTORS:
                raise InputError(f"over {2**MOST_FACTORS:,} variants")
        study, trials = make_study(replace(request, grid=name), setting)
    except InputError as error:
        return Design(grid=name, why_not=str(error))
    return Design(grid=name, study=study, jobs=by_training(trials))


def need(design: Design, claims: Sequence[str], *, pilot: Evidence | None) -> Need:
    """Returns the seeds with which `design` decides these claims.

    The scatter is that of `pilot`, a study with records; None: it is assumed, by `ablations.analysis.reach`.
    """
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
    """Returns the largest whole number up to `most` for which `fits` is true; 0 if it is not even true of 1.

    If `fits` is true of a number, it must be true of all smaller ones.
    """
    return bisect_left(range(1, most + 1), True, key=lambda number: not fits(number))
