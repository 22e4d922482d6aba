"""Designs that could answer the same claims: how many seeds each needs to decide them, and how long that takes here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite

from ablations.analysis.evidence import Evidence
from ablations.analysis.power import ASSUMED, outlook
from ablations.core.claim import MAIN
from ablations.core.errors import InputError
from ablations.core.study import Budget, Result, Study, Trial, Variant
from ablations.core.text import counted, duration
from ablations.execution.turns import Job, by_training
from ablations.planning import grids
from ablations.subjects.alexnet.timing import Pace, expected_seconds, seconds_of

COMPARED = ("one_out", "fractional", "full")
MOST_FACTORS = 10  # of a full factorial that is looked at: 1,024 variants

Make = Callable[..., tuple[Study, tuple[Trial, ...]]]  # `make_study`, but for its grid, seeds and budget


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

    def seconds(self, paces: Mapping[Variant, Pace], *, seeds: int, epochs: int, workers: int) -> float:
        """Expected seconds of all its trials, so many at a time, started together and ended together."""
        jobs = [tuple(replace(one, budget=replace(one.budget, epochs=epochs)) for one in job) for job in self.jobs]
        expected = expected_seconds([trial for job in jobs for trial in job], paces)
        a_seed = sum(seconds_of(job, expected) for job in jobs)
        return a_seed * seeds / max(1, min(workers, len(jobs) * seeds))


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


def designs(make: Make, budget: Budget, only: Sequence[str] = COMPARED) -> list[Design]:
    """One seed of each of these grids, made of the same components by `make`."""
    return [_design(make, budget, name) for name in only]


def _design(make: Make, budget: Budget, name: str) -> Design:
    try:
        smallest, _ = make(grid="one_out", seeds=1, budget=budget)
        if name == "full" and len(smallest.components) > MOST_FACTORS:
            raise InputError(f"over {2**MOST_FACTORS:,} variants")
        study, trials = make(grid=name, seeds=1, budget=budget)
    except InputError as error:
        return Design(grid=name, why_not=str(error))
    return Design(grid=name, study=study, jobs=by_training(trials))


def need(design: Design, claims: Sequence[str], *, images: int, pilot: Evidence | None) -> Need:
    """The seeds with which `design` decides these claims, evaluated on so many images; `pilot` tells the scatter."""
    if design.study is None:
        return Need(unasked=tuple(claims))
    rows = outlook(design.study, [], images=images, pilot=pilot)
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


def lines(
    study: Study,
    found: Sequence[Design],
    paces: Mapping[Variant, Pace],
    results: Sequence[Result],
    *,
    images: int,
    workers: int,
) -> list[str]:
    """A row a design and the cheapest that decides all claims, for a terminal; empty for a study without claims."""
    claims = [claim.name for claim in study.claims]
    if not claims or not found:
        return []
    pilot = Evidence(study=study, results=results)
    rows: list[str] = []
    costs: list[tuple[float, Design, Need]] = []
    for design in found:
        needed = need(design, claims, images=images, pilot=pilot)
        cost = inf
        if design.study:
            cost = design.seconds(paces, seeds=needed.seeds, epochs=study.budget.epochs, workers=workers)
        if needed.decides:
            costs.append((cost, design, needed))
        rows.append(_row(design, needed, cost))
    head = f"{'design':<12}{'variants':>9}{'seeds that decide':>19}{'trials':>9}{'time here':>14}  judged on"
    return [head, *rows, *_cheapest(costs, needed_pilot=_unknown(found, claims, images, pilot))]


def _row(design: Design, needed: Need, cost: float) -> str:
    if design.study is None:
        return f"{design.grid:<12}{'-':>9}  cannot be had: {design.why_not}"
    variants = len(design.study.variants)
    if needed.hopeless:
        return f"{design.grid:<12}{variants:>9}{'over 10,000':>19}  for {', '.join(needed.hopeless)}"
    kept = f"{needed.seeds:>19}{needed.seeds * variants:>9,}{duration(round(cost)):>14}  {_estimand(design)}"
    lacks = f"; cannot ask {', '.join(needed.unasked)}" if needed.unasked else ""
    return f"{design.grid:<12}{variants:>9}{kept}{lacks}"


def _estimand(design: Design) -> str:
    if grids.find(design.grid).estimand != MAIN:
        return "single changes of the reference"
    clear = design.study is not None and not design.study.aliases
    return f"main effects, averaged over the others{', and interactions' * clear}"


def _unknown(found: Sequence[Design], claims: Sequence[str], images: int, pilot: Evidence) -> tuple[str, ...]:
    asked = [need(design, claims, images=images, pilot=pilot).unknown for design in found if design.study]
    return max(asked, key=len, default=())


def _cheapest(costs: Sequence[tuple[float, Design, Need]], *, needed_pilot: Sequence[str]) -> list[str]:
    """The last lines: the design to take, and what is not known of it."""
    if not costs:
        return ["cheapest: none of these decides every claim; fewer components or claims would."]
    cost, design, needed = min(costs, key=lambda one: one[0])
    assert design.study
    usual = design.study.resolution == grids.RESOLUTIONS[0]
    resolution = "" if usual else f" --resolution {design.study.resolution}"
    said = [
        f"cheapest: {design.grid} with {counted(needed.seeds, 'seed')}, about {duration(round(cost))} here: "
        f"--grid {design.grid}{resolution} --seeds {needed.seeds}"
    ]
    if needed.otherwise < needed.seeds:
        said.append(f"All but {needed.dearest} would be decided by {counted(needed.otherwise, 'seed')}.")
    rule = design.study.rule
    if rule and needed.seeds < rule.seeds:
        said.append(f"Verdicts of fewer than {rule.seeds} seeds are labelled drafts all the same.")
    if needed_pilot:
        said.append(f"Not counted, as only a pilot tells their scatter: {', '.join(needed_pilot)}.")
    return said + list(ASSUMED) * any(one.assumed for *_, one in costs)


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest whole number up to `most` that fits, 0 where not even 1 does; what fits has all smaller ones fit."""
    low, high = 0, most
    while low < high:
        middle = ceil((low + high) / 2)
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
