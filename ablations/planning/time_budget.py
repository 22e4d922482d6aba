"""Chooses the design, the seeds and the epochs that fit into the time of --budget, and says what does not fit.

The time goes to seeds first, until they decide every claim and make more than a draft.  What is left goes to longer
trainings, up to the length for which the claims were made.  If three seeds do not fit, trainings become shorter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from ablations.core.claim import MAIN
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.result import DONE
from ablations.core.setting import Setting
from ablations.core.study import Allowance, Study
from ablations.core.subject import Place
from ablations.core.text import counted, duration, seconds_in
from ablations.core.trial import Trial
from ablations.planning.alternatives import Design, Need, designs, largest, need
from ablations.planning.cost import Paces
from ablations.planning.request import Request, UntimedError
from ablations.records.store import read_result, trial_path

SHARE = 0.9  # share of the time for trials; the rest is for starting up, the report, and a busy machine
FEWEST = 3  # seeds that must fit, or trainings are made shorter
LEAST = 2  # the fewest seeds that give an interval
MOST_SEEDS = 1000  # the most seeds that are chosen
PICKED = ("one_out", "fractional")  # the grids from which one is chosen if none is given

Cost = Callable[[Design, int, int], float]  # seconds of a design with so many seeds and so much work


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user has fixed, and what is left to be chosen."""

    asked: str  # the time, as it was typed
    seeds: int | None  # number of seeds; None: to be chosen
    work: int | None  # length of a trial in units of work; None: to be chosen
    usual_work: int  # the length of a trial if --budget is not given
    unit: str  # the unit of work in the singular, such as "epoch"
    workers: int  # how many trials run side by side


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A design with the seeds and the work that fit into the time."""

    design: Design
    needed: Need
    seeds: int
    work: int


def choose(found: Sequence[Design], paces: Paces, wish: Wish) -> Allowance:
    """Returns what is trained in the time of `wish`; `found` are the designs to choose from.

    Raises InputError if no design is possible, or if none fits: then with the time that the smallest study takes.
    """
    possible = [design for design in found if design.study]
    if not possible:
        raise InputError(found[0].why_not)
    limit = SHARE * seconds_in(wish.asked)
    studies = [design.study for design in possible if design.study]
    claims = list(dict.fromkeys(claim.name for study in studies for claim in study.claims))
    needs = [need(design, claims, pilot=None) for design in possible]

    def seconds(design: Design, seeds: int, work: int) -> float:
        return design.seconds(paces, seeds=seeds, work=work, workers=wish.workers)

    def with_most_seeds(work: int, least: int) -> _Choice | None:
        """Returns the best choice, by `_worth`, of the designs of which `least` seeds or more fit; None if none do."""
        made = []
        for design, needed in zip(possible, needs, strict=True):
            enough = _enough(design, needed, wish)
            fits = largest(lambda n: seconds(design, n, work) <= limit, enough)  # noqa: B023  used at once
            if fits >= least:
                made.append(_Choice(design=design, needed=needed, seeds=fits, work=work))
        return max(made, key=lambda one: _worth(one, wish), default=None)

    fewest = wish.seeds or FEWEST
    usual = wish.work or wish.usual_work
    chosen = with_most_seeds(usual, fewest)
    if not chosen and wish.work is None:
        shorter = largest(lambda work: with_most_seeds(work, fewest) is not None, usual)
        chosen = with_most_seeds(shorter, fewest) if shorter else None
    if not chosen:
        chosen = with_most_seeds(wish.work or 1, wish.seeds or LEAST)
    if not chosen:
        raise InputError(_too_small(possible, seconds, wish))
    work = chosen.work
    if wish.work is None and chosen.seeds >= _enough(chosen.design, chosen.needed, wish):
        longest = max(_longest(chosen.design), usual)
        work = max(work, largest(lambda n: seconds(chosen.design, chosen.seeds, n) <= limit, longest))
    expected = seconds(chosen.design, chosen.seeds, work)
    given_up = tuple(_given_up(chosen, work, usual, wish.unit, bool(claims), seconds))
    return Allowance(
        asked=wish.asked,
        grid=chosen.design.grid,
        seeds=chosen.seeds,
        work=work,
        seconds=expected,
        given_up=given_up,
    )


def _enough(design: Design, needed: Need, wish: Wish) -> int:
    """Returns the number of seeds beyond which nothing is gained: they decide every claim, and are no draft."""
    if wish.seeds:
        return wish.seeds
    return min(MOST_SEEDS, max(_rule_seeds(design), needed.seeds))


def _rule_seeds(design: Design) -> int:
    """Returns the least number of seeds that the study's rule takes for more than a draft."""
    return design.study.rule.seeds if design.study else LEAST


def _worth(choice: _Choice, wish: Wish) -> tuple[float, float, int]:
    """Returns how good a choice is, as a tuple that is compared in order.

    First comes how many claims it can judge, then how near its seeds come to deciding them, then how few its variants
    are.
    """
    assert choice.design.study
    near = choice.seeds / _enough(choice.design, choice.needed, wish)
    return -len(choice.needed.unasked), near, -len(choice.design.study.variants)


def _longest(design: Design) -> int:
    """Returns the largest number of epochs that a claim of the study has among its conditions; 0 without any."""
    return max((claim.conditions.epochs for claim in design.study.claims), default=0) if design.study else 0


def _given_up(choice: _Choice, work: int, usual: int, unit: str, judged: bool, seconds: Cost) -> list[str]:
    """Returns what does not fit into the time, in words; `judged` says whether there are any claims."""
    design, needed, said = choice.design, choice.needed, []
    rule_seeds = _rule_seeds(design)
    if choice.seeds < rule_seeds:
        said.append(f"{rule_seeds - choice.seeds} of the {rule_seeds} seeds that make more than a draft")
    if needed.seeds > choice.seeds and judged:
        took = duration(round(seconds(design, needed.seeds, work)))
        said.append(f"deciding every claim: {needed.dearest} would take about {needed.seeds:,} seeds, {took}")
    if needed.hopeless:
        said.append(f"deciding {', '.join(needed.hopeless)}: over 10,000 seeds")
    if work < usual:
        said.append(f"{usual - work} of the usual {counted(usual, unit)}")
    if needed.unasked:
        said.append(f"claims that this design cannot ask: {', '.join(needed.unasked)}")
    if design.study and design.study.estimand == MAIN:
        said.append("effects in the otherwise complete reference: they are averaged over the settings of the others")
    if design.study and not design.study.factorial and len(design.study.components) > 1:
        said.append("interactions, which --grid full tells")
    return said


def _too_small(possible: Sequence[Design], seconds: Cost, wish: Wish) -> str:
    """Returns the sentence that says how long the smallest study takes."""
    seeds, work = wish.seeds or LEAST, wish.work or 1
    cost, grid = min((seconds(design, seeds, work) / SHARE, design.grid) for design in possible)
    enough = f"{ceil(cost)}s" if cost < 60 else f"{ceil(cost / 60)}m"
    return (
        f"--budget {wish.asked} is too small for anything: the smallest study, {grid} with {counted(seeds, 'seed')} of "
        f"{counted(work, wish.unit)}, takes about {duration(round(cost))} here; take --budget {enough}, "
        "fewer --components, or shorter trials."
    )


def spend(
    request: Request, setting: Setting, before: Study | None, place: Place, *, workers: int
) -> tuple[Request, Allowance, Paces | None]:
    """Returns `request` with the grid and seeds that fit its time, the whole choice, and the paces it was made from.

    If there is a study on disk, `before`, its choice is kept and nothing is timed.  Raises InputError if nothing fits,
    or if the study on disk was planned for something else.
    """
    subject = load(request.subject)
    grid = None if "grid" in request.left_open else request.grid
    assert request.time
    wish = Wish(
        asked=request.time,
        seeds=None if "seeds" in request.left_open else request.seeds,
        work=None if "work" in request.left_open else setting.work,
        usual_work=setting.work,
        unit=subject.work_unit,
        workers=workers,
    )
    paces = None
    chosen = kept(before, wish, grid)
    if chosen is None:
        found = designs(request, setting, (grid,) if grid else PICKED)
        trials = [trial for design in found for trial in design.trials]
        if trials:
            paces = subject.paces(trials, place)
            paces = _by_one_trial(trials, place) if paces is None else paces
        chosen = choose(found, paces or {}, wish)
    return replace(request, grid=chosen.grid, seeds=chosen.seeds), chosen, paces


def _by_one_trial(trials: Sequence[Trial], place: Place) -> Paces:
    """Returns the same seconds for every variant: those of one trial of the reference that was run for this purpose.

    That trial is not part of the study.  Raises UntimedError if it has not been run yet, and InputError if it cannot be
    run on this machine.
    """
    reference = next(trial for trial in trials if not trial.variant.departures)
    if place.gpus and not load(reference.subject).accelerators():
        raise InputError(
            "--budget needs to know how long a trial takes, and only other machines have a GPU that one could be timed "
            "on: give --seeds instead."
        )
    trial = replace(reference, seed=1)  # not seed 0, which may be run twice to see whether it repeats itself
    apart = replace(place, folder=place.folder / "timing")
    result, _ = read_result(trial_path(apart.folder, trial.key))
    if result is None or result.status != DONE:
        raise UntimedError(trial, apart)
    return dict.fromkeys((one.variant for one in trials), result.seconds)


def kept(before: Study | None, wish: Wish, grid: str | None) -> Allowance | None:
    """Returns the choice that the study on disk was planned with; None if there is no study yet.

    Raises InputError if that study was planned for another time, or with values that the command contradicts.
    """
    if before is None:
        return None
    was = before.allowance
    if was is None:
        raise InputError(f"study {before.name!r} was planned without --budget: leave it out, or choose another --name.")
    option = re.sub(r"[ =]\d+$", "", " ".join(load(before.subject).longer(was.work)))  # --epochs, or --set rounds
    asked = {"--budget": wish.asked, "--grid": grid, "--seeds": wish.seeds, option: wish.work}
    had = {"--budget": was.asked, "--grid": was.grid, "--seeds": was.seeds, option: was.work}
    for name, value in asked.items():
        if value is not None and value != had[name]:
            raise InputError(
                f"study {before.name!r} was planned for {name} {had[name]}, and this run asks for {value}: "
                "choose another --name."
            )
    return was
