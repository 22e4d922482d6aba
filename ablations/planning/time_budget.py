"""A time to spend -> the design, the seeds and the epochs that fit into it, and what that gives up.

Seeds come first, until they decide every claim and make more than a draft; what is left goes to longer trainings, up
to those that the claims were made on.  Where three seeds do not fit, trainings become shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from ablations.cli.options import Config, words_of
from ablations.core.claim import MAIN
from ablations.core.errors import InputError
from ablations.core.study import Allowance, Study
from ablations.core.text import counted, duration, seconds_in
from ablations.core.variant import Variant
from ablations.planning import grids
from ablations.planning.alternatives import Design, Make, Need, designs, largest, need
from ablations.planning.cost import Pace
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.timing import paces_here

SHARE = 0.9  # of the time that trials may take; the rest is for starting up, the report, and a busy machine
FEWEST = 3  # seeds before trainings are made shorter
LEAST = 2  # seeds that have an interval at all
MOST_SEEDS = 1000
PICKED = ("one_out", "fractional")  # grids of which one is picked where none is given

Paces = Mapping[Variant, Pace]
Cost = Callable[[Design, int, int], float]  # seconds of a design with so many seeds and epochs


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user has fixed and what is usual where nothing is."""

    asked: str  # the time, as typed
    seeds: int | None  # None: to be chosen
    epochs: int | None
    usual_epochs: int
    images: int  # that are evaluated
    workers: int


@dataclass(frozen=True, kw_only=True)
class _Choice:
    design: Design
    needed: Need
    seeds: int
    epochs: int


def choose(found: Sequence[Design], paces: Paces, wish: Wish) -> Allowance:
    """What is trained in the time asked for.  Raises InputError with the smallest study's time where nothing fits."""
    possible = [design for design in found if design.study]
    if not possible:
        raise InputError(found[0].why_not)
    limit = SHARE * seconds_in(wish.asked)
    studies = [design.study for design in possible if design.study]
    claims = list(dict.fromkeys(claim.name for study in studies for claim in study.claims))
    needs = [need(design, claims, images=wish.images, pilot=None) for design in possible]

    def seconds(design: Design, seeds: int, epochs: int) -> float:
        return design.seconds(paces, seeds=seeds, epochs=epochs, workers=wish.workers)

    def with_most_seeds(epochs: int, least: int) -> _Choice | None:
        """Of the designs that fit so many seeds the one that asks most and comes nearest to deciding it."""
        made = []
        for design, needed in zip(possible, needs, strict=True):
            enough = _enough(design, needed, wish)
            fits = largest(lambda n: seconds(design, n, epochs) <= limit, enough)  # noqa: B023  used at once
            if fits >= least:
                made.append(_Choice(design=design, needed=needed, seeds=fits, epochs=epochs))
        return max(made, key=lambda one: _worth(one, wish), default=None)

    fewest = wish.seeds or FEWEST
    usual = wish.epochs or wish.usual_epochs
    chosen = with_most_seeds(usual, fewest)
    if not chosen and wish.epochs is None:
        shorter = largest(lambda epochs: with_most_seeds(epochs, fewest) is not None, usual)
        chosen = with_most_seeds(shorter, fewest) if shorter else None
    if not chosen:
        chosen = with_most_seeds(wish.epochs or 1, wish.seeds or LEAST)
    if not chosen:
        raise InputError(_too_small(possible, seconds, wish))
    epochs = chosen.epochs
    if wish.epochs is None and chosen.seeds >= _enough(chosen.design, chosen.needed, wish):
        longest = max(_longest(chosen.design), usual)
        epochs = max(epochs, largest(lambda n: seconds(chosen.design, chosen.seeds, n) <= limit, longest))
    expected = seconds(chosen.design, chosen.seeds, epochs)
    given_up = tuple(_given_up(chosen, epochs, usual, bool(claims), seconds))
    return Allowance(
        asked=wish.asked,
        grid=chosen.design.grid,
        seeds=chosen.seeds,
        epochs=epochs,
        seconds=expected,
        given_up=given_up,
    )


def _enough(design: Design, needed: Need, wish: Wish) -> int:
    """Seeds beyond which nothing is gained: they decide every claim, and are no draft."""
    if wish.seeds:
        return wish.seeds
    return min(MOST_SEEDS, max(_rule_seeds(design), needed.seeds))


def _rule_seeds(design: Design) -> int:
    return design.study.rule.seeds if design.study and design.study.rule else LEAST


def _worth(choice: _Choice, wish: Wish) -> tuple[float, float, int]:
    """Claims that are asked, how near the seeds come to deciding them, and at equal worth the fewer variants."""
    assert choice.design.study
    near = choice.seeds / _enough(choice.design, choice.needed, wish)
    return -len(choice.needed.unasked), near, -len(choice.design.study.variants)


def _longest(design: Design) -> int:
    """Epochs that the claims were made on, at most."""
    return max((claim.conditions.epochs for claim in design.study.claims), default=0) if design.study else 0


def _given_up(choice: _Choice, epochs: int, usual: int, judged: bool, seconds: Cost) -> list[str]:
    design, needed, said = choice.design, choice.needed, []
    rule_seeds = _rule_seeds(design)
    if choice.seeds < rule_seeds:
        said.append(f"{rule_seeds - choice.seeds} of the {rule_seeds} seeds that make more than a draft")
    if needed.seeds > choice.seeds and judged:
        took = duration(round(seconds(design, needed.seeds, epochs)))
        said.append(f"deciding every claim: {needed.dearest} would take about {needed.seeds:,} seeds, {took}")
    if needed.hopeless:
        said.append(f"deciding {', '.join(needed.hopeless)}: over 10,000 seeds")
    if epochs < usual:
        said.append(f"{usual - epochs} of the usual {counted(usual, 'epoch')}")
    if needed.unasked:
        said.append(f"claims that this design cannot ask: {', '.join(needed.unasked)}")
    if grids.find(design.grid).estimand == MAIN:
        said.append("effects in the otherwise complete reference: they are averaged over the settings of the others")
    if not grids.find(design.grid).factorial and design.study and len(design.study.components) > 1:
        said.append("interactions, which --grid full tells")
    return said


def _too_small(possible: Sequence[Design], seconds: Cost, wish: Wish) -> str:
    seeds, epochs = wish.seeds or LEAST, wish.epochs or 1
    cost, grid = min((seconds(design, seeds, epochs) / SHARE, design.grid) for design in possible)
    enough = f"{ceil(cost)}s" if cost < 60 else f"{ceil(cost / 60)}m"
    return (
        f"--budget {wish.asked} is too small for anything: the smallest study, {grid} with {counted(seeds, 'seed')} of "
        f"{counted(epochs, 'epoch')}, takes about {duration(round(cost))} here; take --budget {enough}, "
        "fewer --components or fewer --train-examples."
    )


def spend(
    config: Config, make: Make, budget: Budget, data: Data, before: Study | None, *, gpus: float, workers: int
) -> tuple[Config, Allowance, Paces | None]:
    """`config` with the grid, seeds and epochs that fit its time, that choice, and the paces that it was made from.

    `before` is the study on disk, whose choice stands, so that nothing is timed.  Raises InputError where nothing
    fits, and where the study on disk was planned otherwise.
    """
    grid = None if "grid" in config.left_open else config.grid
    assert config.budget and config.epochs
    wish = Wish(
        asked=config.budget,
        seeds=None if "seeds" in config.left_open else config.seeds,
        epochs=None if "epochs" in config.left_open else config.epochs,
        usual_epochs=config.epochs,
        images=len(data.test.labels) if budget.evaluate_on == "test" else len(data.train.labels) // 10,
        workers=workers,
    )
    paces = None
    chosen = kept(before, wish, grid)
    if chosen is None:
        found = designs(partial(make, words=words_of(config)), budget, (grid,) if grid else PICKED)
        trials = [trial for design in found for trial in design.trials]
        if trials:
            paces = paces_here(
                trials, data, threads=config.cpus_per_trial, gpus=gpus, memory_budget=config.memory_budget
            )
        chosen = choose(found, paces or {}, wish)
    return replace(config, grid=chosen.grid, seeds=chosen.seeds, epochs=chosen.epochs), chosen, paces


def kept(before: Study | None, wish: Wish, grid: str | None) -> Allowance | None:
    """The choice that the study on disk was planned with; None where there is no study yet.

    Raises InputError when that study was planned for another time, or for what contradicts the command.
    """
    if before is None:
        return None
    was = before.allowance
    if was is None:
        raise InputError(f"study {before.name!r} was planned without --budget: leave it out, or choose another --name.")
    asked = {"--budget": wish.asked, "--grid": grid, "--seeds": wish.seeds, "--epochs": wish.epochs}
    had = {"--budget": was.asked, "--grid": was.grid, "--seeds": was.seeds, "--epochs": was.epochs}
    for option, value in asked.items():
        if value is not None and value != had[option]:
            raise InputError(
                f"study {before.name!r} was planned for {option} {had[option]}, and this run asks for {value}: "
                "choose another --name."
            )
    return was
