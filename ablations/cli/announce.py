"""What a study says before it starts: what will run, on which data and for how long.

What only some studies say imports scipy, which takes a second in which the others could train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from ablations.core.machine import memory_here
from ablations.core.result import Result
from ablations.core.study import Allowance, Study
from ablations.core.text import counted, duration, listed
from ablations.core.trial import UNPACKED, Job, Packing, Trial, by_training
from ablations.core.tuning import Tuning, at_edge
from ablations.core.variant import Variant
from ablations.models.layout import layout, macs, parameters
from ablations.planning.cost import Pace, Seconds, expected_seconds, seconds_of
from ablations.planning.tuning import Search, arms, came_to
from ablations.records.predictions import MOST_PROBABILITIES
from ablations.subjects.alexnet.baseline import limits
from ablations.subjects.alexnet.data.load import Data, evaluated_labels, image_bytes, memory_bytes
from ablations.subjects.alexnet.data.read_ahead import block_of
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.timing import paces_here

if TYPE_CHECKING:
    from ablations.analysis.looks import Stage
    from ablations.planning.alternatives import Design, Make

REASONS = 4  # that are spelled out for what a grid left out


class Expected(NamedTuple):
    """Seconds that the missing trials should take: those of the tuning, and the study's own."""

    tuning: float
    study: float


def announce(
    study: Study,
    trials: Sequence[Trial],
    data: Data,
    *,
    gpus: float,
    memory_budget: float | None,
    full: bool,
    by_grid: str = "",
    search: Search | None = None,
    packing: Packing = UNPACKED,
) -> None:
    """Prints the study in a few lines; what it leaves out comes with the variants where they are listed in `full`.

    `by_grid` are the options that the grid chose, and `search` is how far the tuning of the learning rates is.
    """
    _print_study(study, trials, data)
    device = torch.device("cuda" if gpus else "cpu")
    room = memory_bytes(memory_budget, device, share=gpus)
    if place := _place(data, device, room, asked=memory_budget is not None):
        print(f"memory    {place}")
    if large := _too_many_predictions(study, data):
        print(large)
    if packing.words:
        print(f"pack      {packing.words}")
    if not full:
        _print_skipped(study)
    _print_chosen(study, by_grid)
    if search:
        print(_tuning(study, trials, search))
    print("more      --dataset cifar10 or folder:PATH, --preset, --epochs, --seeds, --components", flush=True)


def expect(
    study: Study,
    trials: Sequence[Trial],
    missing: Sequence[Job],
    data: Data,
    *,
    workers: int,
    threads: int,
    gpus: float,
    memory_budget: float | None,
    full: bool,
    finished: Sequence[Result] = (),
    search: Search | None = None,
    packing: Packing = UNPACKED,
    make: Make | None = None,
    paces: Mapping[Variant, Pace] | None = None,
) -> Expected:
    """Times what is to be trained, prints how long it will take, and returns that.

    `missing` are jobs, each one training; `paces` are those of the variants where they were timed already.  With
    `full`, every variant, everything left out, and what the seeds can tell of each claim, as far as `finished` trials
    show, is printed too, with the design of those that `make` makes that decides all claims soonest.
    """
    tuning = search.left if search else 0
    if not missing and not tuning and not full:
        print("expected  nothing to train: every trial has its record", flush=True)
        return Expected(0.0, 0.0)
    tuned = arms(study, trials) if tuning else []
    others = _designs(make, study.budget) if full and make and study.claims and not tuning else []
    other_trials = [trial for design in others for trial in design.trials]
    timed = [*trials, *tuned, *other_trials]
    if paces is None or not {trial.variant for trial in timed} <= paces.keys():
        paces = paces_here(timed, data, threads=threads, gpus=gpus, memory_budget=memory_budget)
    seconds = expected_seconds([*trials, *tuned], paces)
    if full:
        _print_variants(study, trials, data, seconds)
        images = len(evaluated_labels(data, study.budget.evaluate_on))
        from ablations.cli import forecast

        print(*forecast.power_lines(study, finished, images=images), "", sep="\n")
        if told := forecast.alternative_lines(study, others, paces, finished, images=images, workers=workers):
            print(*told, "", sep="\n")
    at_a_time = max(1, min(workers, len(missing)))
    # Of a search it is not known in advance how many trials of which arm are still to come: their mean will do.
    a_tuning_trial = sum(seconds[trial.variant].whole for trial in tuned) / max(len(tuned), 1)
    expected = Expected(
        tuning=tuning * a_tuning_trial / _side_by_side(search, len(tuned), workers) / packing.gain,
        study=sum(seconds_of(job, seconds) for job in missing) / at_a_time / packing.gain,
    )
    lacking = sum(map(len, missing))
    have = f", {len(trials) - lacking} of {len(trials)} trials have their records" if lacking < len(trials) else ""
    have += f", {counted(len(missing), 'training')} for the others" if have and _shared(trials) else ""
    side_by_side = max(1, min(workers * packing.at_once, len(missing)))
    where = f"{side_by_side} at a time on {'GPUs' if gpus else 'processor cores'}"
    at_most = "at most " if study.budget.stop_at_threshold else ""
    parts = f" ({duration(round(expected.tuning))} of it for tuning)" if tuning else ""
    print(
        f"expected  {at_most or 'about '}{duration(round(sum(expected)))}{parts}, {where}, "
        f"from timing a few steps{have}",
        flush=True,
    )
    return expected


def _print_study(study: Study, trials: Sequence[Trial], data: Data) -> None:
    """What is trained on what and for how long."""
    budget = study.budget
    sizes = [counted(len(study.variants), "variant"), counted(study.seeds, "seed")]
    equals, by_look = (": now", " by the next look") if study.looks else (" =", "")
    print(
        f"study     {study.name}: {' x '.join(sizes)}{equals} {counted(len(trials), 'trial')}{by_look}{_shared(trials)}"
    )
    print(
        f"data      {study.dataset}: {len(data.train.labels):,} training and {len(data.test.labels):,} test images, "
        f"{len(data.classes)} classes{f'; {study.data_note}' if study.data_note else ''}"
    )
    if trivial := _trivial(study):
        print(f"baseline  {trivial}")
    at_most = "at most " if budget.stop_at_threshold else ""
    print(
        f"trial     {study.preset} at {budget.image_size} px{_out_of(budget, data)}, {at_most}{budget.epochs} epochs "
        f"of {budget.train_examples:,} images in batches of {budget.batch_size}{_threshold(budget)}"
    )
    if budget.read_window:
        print(f"order     {_order(budget)}")


def _trivial(study: Study) -> str:
    """The errors that need no network."""
    named = {
        "guessing": study.chance_error_percent,
        "a linear classifier on the raw pixels": study.linear_error_percent,
    }
    known = [f"{what} {error:.1f}%" for what, error in named.items() if error is not None]
    less = f" ({limits(study.budget)})" if limits(study.budget) and study.linear_error_percent is not None else ""
    return f"{study.budget.evaluate_on} error of {' and of '.join(known)}{less}" if known else ""


def _shared(trials: Sequence[Trial]) -> str:
    """How many trainings there are, where they are fewer than trials."""
    trainings = len(by_training(trials))
    return f", {counted(trainings, 'training')}" if trainings < len(trials) else ""


def _print_chosen(study: Study, by_grid: str) -> None:
    """What was chosen for the user, and when the study is judged before its end."""
    if study.looks:
        print(looks_line(study))
    if study.out_of_reach:
        print(f"reach     {_out_of_reach(study)}")
    if study.allowance:
        print(*time_budget_lines(study.allowance), sep="\n")
    if by_grid:
        print(f"grid      {study.grid} chose {by_grid}")


def _out_of_reach(study: Study) -> str:
    """The claims that no affordable number of seeds decides, with the number, and what becomes of them."""
    assert study.rule
    words = [f"{name} ({f'about {n:,}' if n else 'over 10,000'})" for name, n in study.out_of_reach]
    most = max(study.rule.affordable, study.seeds)
    return (
        f"{', '.join(words)}: so many seeds would decide it, over the {most:,} that are held affordable; "
        "judged all the same, as a large effect shows in few"
    )


def _designs(make: Make, budget: Budget) -> list[Design]:
    from ablations.planning.alternatives import designs

    return designs(make, budget)


def _too_many_predictions(study: Study, data: Data) -> str:
    """What is said where no trial can keep what it predicts, as ensembles are made of it."""
    evaluated = len(data.test.labels) if study.budget.evaluate_on == "test" else len(data.train.labels) // 10
    numbers = evaluated * data.num_classes
    return (
        f"predicts  {numbers:,} probabilities a trial, more than the {MOST_PROBABILITIES:,} that are kept: no ensembles"
        if numbers > MOST_PROBABILITIES
        else ""
    )


def _threshold(budget: Budget) -> str:
    if budget.threshold_percent is None:
        return ""
    return (
        f"; {'to' if budget.stop_at_threshold else 'with the steps to'} {budget.threshold_percent:g}% training error, "
        f"looked at every {budget.threshold_every} steps"
    )


def _side_by_side(search: Search | None, arms_tuned: int, workers: int) -> int:
    """How many tuning trials run at a time: in a round each arm tries two rates."""
    return max(1, min(workers, 2 * search.tuning.seeds * arms_tuned)) if search else 1


def _tuning(study: Study, trials: Sequence[Trial], search: Search) -> str:
    done = f"{search.left:,} of them to go" if search.left else "all have their records"
    tuning = search.tuning
    return (
        f"tuning    {counted(tuning.rates, 'learning rate')} for each of {counted(len(arms(study, trials)), 'arm')}, "
        f"with {counted(tuning.seeds, 'trial')} at each, on validation images that they do not train on: "
        f"{counted(search.total, 'trial')}, {done}"
    )


def _print_skipped(study: Study) -> None:
    """A line a reason, few enough to be read; all of them are in the report."""
    reasons: dict[str, list[str]] = {}
    for skipped in study.skipped:
        reasons.setdefault(skipped.reason, []).append(skipped.variant.label)
    for reason, labels in list(reasons.items())[:REASONS]:
        print(f"left out  {', '.join(labels)}: {reason}")
    if len(reasons) > REASONS:
        print(f"left out  for {len(reasons) - REASONS} more reasons, which --dry-run lists")


def _out_of(budget: Budget, data: Data) -> str:
    return f" out of {data.size}" if data.size != budget.image_size else ""


def _place(data: Data, device: torch.device, room: float, *, asked: bool) -> str:
    """Where the images are kept, in a sentence, or nothing where there is nothing to say."""
    size, budget = (f"{number / 2**30:.1f} GiB" for number in (image_bytes(data), room))
    mapped = f"{size} of images at {data.size} px are read from disk through a memory map"
    if device.type != "cpu":
        held = f"{size} of images at {data.size} px are held on the GPU, within the budget of {budget} a trial"
        return held if image_bytes(data) <= room else f"{mapped}: more than the budget of {budget} a trial"
    if image_bytes(data) > (here := memory_here()):
        return (
            f"{mapped}, more than the {here / 2**30:.1f} GiB of this machine: an epoch takes as long as the disk does"
        )
    return f"{mapped}; --memory-budget has no effect without a GPU" if asked else ""


def _order(budget: Budget) -> str:
    """How epochs are read where it is not in any order."""
    neighbours = block_of(budget.read_window)
    blocks = f"blocks of {counted(neighbours, 'neighbour')}" if neighbours > 1 else "images"
    return (
        f"epochs take {blocks} from everywhere, and shuffle them {budget.read_window:,} images at a time, so that the "
        f"disk reads in long runs; part of the trials' keys, and --read-window 0 is the usual full shuffle"
    )


def _print_variants(study: Study, trials: Sequence[Trial], data: Data, seconds: Mapping[Variant, Seconds]) -> None:
    width = max(len(variant.label) for variant in study.variants)
    print(f"\n{'variant':<{width}}{'parameters':>14}{'MACs':>16}{'a trial':>10}")
    for trial in trials[: len(study.variants)]:
        layers = layout(
            trial.spec, num_classes=data.num_classes, image_size=study.budget.image_size, channels=data.channels
        )
        row = f"{parameters(layers):>14,}{macs(layers):>16,}{seconds[trial.variant].whole:>8.1f} s"
        print(f"{trial.variant.label:<{width}}{row}")
    for skipped in study.skipped:
        print(f"skipped {skipped.variant.label}: {skipped.reason}")
    for alias in study.aliases:
        print(f"alias   {alias}")
    print()


def time_budget_lines(allowance: Allowance) -> list[str]:
    """What was picked and what was given up, for a terminal."""
    picked = f"{allowance.grid}, {counted(allowance.seeds, 'seed')}, {counted(allowance.epochs, 'epoch')}"
    said = [f"budget    {allowance.asked}: {picked}; about {duration(round(allowance.seconds))} of training"]
    return said + [f"given up  {one}" for one in allowance.given_up]


def look_lines(study: Study, reached: Stage) -> list[str]:
    """What the latest complete look has settled, and what goes on; empty before the first."""
    from ablations.analysis.verdicts import untuned

    looks = study.looks
    if not reached.taken:
        return []
    now = [name for name, look in reached.settled.items() if look == reached.taken]
    open_ = [one.name for one in study.claims if one.name not in reached.settled and not untuned(study, one)]
    what = f"settled: {', '.join(now)}" if now else "nothing is settled by it"
    left = "no claim is open" if not open_ else f"{counted(len(open_), 'claim')} open"
    rest = "" if reached.done else f"; on to {looks[reached.taken]} seeds"
    return [f"look {reached.taken} of {len(looks)}, after {looks[reached.taken - 1]} seeds: {what}; {left}{rest}"]


def looks_line(study: Study) -> str:
    """What a sequential study says of its looks before it starts; empty for another."""
    looks = study.looks
    if not looks:
        return ""
    most = len(study.variants) * study.seeds
    return (
        f"looks     after {listed(looks)} seeds: what a look settles gets no more seeds, so {most:,} trials at most; "
        "O'Brien-Fleming-type levels (Lan and DeMets) keep the error rate"
    )


def tuning_lines(tuning: Tuning) -> list[str]:
    """A line an arm: the rate that was chosen, and whether a better one may lie beyond."""
    lines = []
    for arm in tuning.arms:
        value = came_to(tuning, arm)
        threshold = tuning.budget.threshold_percent
        words = (
            "no rate at which all trials came to an outcome"
            if value is None
            else f"about {value:,.0f} steps to {threshold:g}% training error"
            if threshold is not None
            else f"about {value:.1f}% error"
        )
        edge = "; it lies at the edge of what was tried, so a better one may lie beyond" if at_edge(arm) else ""
        lines.append(f"tuned     {arm.variant.label}: {arm.factor:g} times its own rate ({words}){edge}")
    return lines
