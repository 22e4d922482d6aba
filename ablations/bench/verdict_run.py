"""Runs `python -m ablations.bench --verdict`: times both loops, reads the scatter of a study, and prints the times."""

from __future__ import annotations

import dataclasses
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ablations.analysis.evidence import Evidence
from ablations.bench import verdict
from ablations.bench.rounds import Contender, closing, others_seconds
from ablations.bench.summary import spread, void
from ablations.bench.task import CHECK_BATCH, Task
from ablations.bench.verdict import Costs, Time
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.text import duration
from ablations.core.trial import Trial
from ablations.execution.allocator import ENVIRONMENT
from ablations.planning.alternatives import COMPARED, Design, designs
from ablations.planning.cost import expected_seconds, seconds_of
from ablations.planning.request import Request
from ablations.records import store
from ablations.subjects.alexnet.data.load import load
from ablations.subjects.alexnet.setting import budget_of
from ablations.subjects.alexnet.timing import paces_of

STUDY = Path("results/reference/cifar10-factorial")
WORDS = {
    "a": "plain PyTorch, unpaired, one left out at a time",
    "b": "ours, one left out at a time, in pairs",
    "c": "ours, the planner's cheapest design",
    "d": "ours, the same in looks (expected)",
}


def evidence_of(folder: Path) -> Evidence:
    """Returns a study and its records.  Raises InputError if there is none, or if its subject is not AlexNet."""
    study, results, problems = store.read(folder)
    if study.subject != "alexnet":
        raise InputError(
            f"study {study.name!r} is of {study.subject}, but the plain loop trains only networks like AlexNet."
        )
    return Evidence(study=study, results=results, problems=problems, folder=folder)


def costs_of(study: Study, data_folder: str) -> dict[str, Costs]:
    """Returns what a seed of each of the planner's designs costs, by timing steps of each variant on this machine."""
    request = Request(
        subject=study.subject,
        options=None,
        name=study.name,
        grid="one_out",
        words=tuple("=".join(one) for one in study.components),
        seeds=1,
        resolution=study.resolution,
    )
    possible = [one for one in designs(request, study.setting, COMPARED) if one.study]
    trials = [trial for one in possible for trial in one.trials]
    paces = paces_of(trials, load(Path(data_folder)), threads=1, device=torch.device("cpu"))
    expected = expected_seconds(trials, paces)

    def worth(jobs: Sequence[tuple[Trial, ...]]) -> float:
        reference = next(variant for variant in expected if not variant.departures)
        return sum(seconds_of(job, expected) for job in jobs) / expected[reference].whole

    def costs(design: Design, jobs: Sequence[tuple[Trial, ...]]) -> Costs:
        assert design.study
        factorial = len([one for one in design.study.variants if set(one.departures) <= set(study.components)])
        return Costs(trainings=len(jobs), worth=worth(jobs), runs=2 if design.grid == "one_out" else factorial)

    found = {one.grid: costs(one, one.jobs) for one in possible}
    alone = next(one for one in possible if one.grid == "one_out")
    kept = [job for job in alone.jobs if set(job[0].variant.departures) <= set(study.components)]
    return {"plain": costs(alone, kept), **found}  # a plain loop has no controls


def rounds_of(
    task: Task, cores: int, *, wanted: int, seconds: float, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Returns images per second and processor seconds per image of the plain loop and of ours, for each round.

    Both run in one process of one thread on each core, as our studies do, which is faster than a plain loop on all
    cores.  Processor time is measured, since other processes on the machine lengthen it least.
    """
    with closing([]) as contenders:
        for name, loop in (("plain", "plain"), ("ours", "harness")):
            one = dataclasses.replace(task, contender=loop, threads=1)
            contenders.append(Contender(name, [one] * cores, ENVIRONMENT if loop == "harness" else {}))
            say(f"{name} started in {contenders[-1].start_seconds:.1f} s")
        for contender in contenders:
            contender.run(seconds / 2)  # warm-up
        done: list[dict[str, Any]] = []
        while len(done) < wanted:
            order = contenders if len(done) % 2 == 0 else contenders[::-1]
            before, row = others_seconds(), dict[str, Any]()
            for contender in order:
                began = contender.processor_seconds()
                answers = contender.slice(seconds)
                images = sum(answer["done"] for answer in answers)
                rate = sum(answer["done"] / answer["seconds"] for answer in answers)
                spent = contender.processor_seconds() - began
                row[contender.name] = {"images_per_second": rate, "processor_seconds_per_image": spent / images}
            share = (others_seconds() - before) / (len(contenders) * seconds) / (os.cpu_count() or 1)
            done.append({**row, "others_percent": max(0.0, 100 * share)})
            gain = row["plain"]["processor_seconds_per_image"] / row["ours"]["processor_seconds_per_image"]
            say(f"round {len(done)} of {wanted}: ours {gain:.2f} times the plain loop, others took {100 * share:.0f}%")
        return done


def same_work(task: Task) -> dict[str, Any]:
    """Returns how far our losses are from the plain loop's.  Raises InputError if the loops do not do the same work."""
    one = dataclasses.replace(task, contender="plain_check", threads=1, batch_size=CHECK_BATCH)
    with closing([]) as started:
        started.append(Contender("check", [one], {}))
        found: dict[str, Any] = started[0].first[0]
    if void(found, "one"):
        raise InputError(f"ours and the plain loop do not do the same work: their losses are {found} apart.")
    return found


def amounts(
    evidence: Evidence,
    costs: Mapping[str, Costs],
    rounds: Sequence[Mapping[str, Any]],
    *,
    half_width: float,
    cores: int,
) -> dict[str, Any]:
    """Returns everything that is computed from the measurements, as plain values."""
    outcomes, signs = verdict.measured(evidence)
    found = verdict.scatter(outcomes, signs)
    budget = budget_of(evidence.study.setting.config)
    images = budget.epochs * budget.train_examples

    def a_training(name: str, row: Mapping[str, Any]) -> float:
        """Returns the seconds of a training, with one training on each core."""
        return float(images * row[name]["processor_seconds_per_image"] / cores)

    pairs = [(a_training("plain", row), a_training("ours", row)) for row in rounds]
    plain, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    effects = (outcomes @ signs).mean(axis=0) * 2 / found.variants

    def made(width: float, **more: Any) -> dict[str, Time]:
        return verdict.times(found, costs, half_width=width, plain_seconds=plain, our_seconds=ours, **more)

    def gains(some: Mapping[str, Time]) -> dict[str, float]:
        return {letter: some["a"].seconds / one.seconds for letter, one in some.items()}

    main = made(half_width)
    cheapest = main["c"].design
    main["d"] = verdict.sequential(
        found, [*effects], costs[cheapest], half_width=half_width, our_seconds=ours, design=cheapest
    )
    variants = {
        "at twice the width": gains(made(2 * half_width)),
        "at half the width": gains(made(half_width / 2)),
        "by the change whose effect scatters most": gains(made(half_width, which=np.max)),
        "the plain loop granted the same images in all trainings": gains(made(half_width, shared=True)),
    }
    return {
        "half_width": half_width,
        "seeds_measured": len(outcomes),
        "effects": dict(zip(("=".join(one) for one in evidence.study.components), effects.tolist(), strict=True)),
        "spreads": _spreads(found),
        "scatter_alike_p": verdict.alike(outcomes, signs),
        "seconds_a_training": {"plain": plain, "ours": ours},
        "speed": [one / two for one, two in pairs],
        "ways": {letter: dataclasses.asdict(one) for letter, one in main.items()},
        "gains": gains(main),
        "sure": verdict.resampled(outcomes, signs, costs, pairs, half_width=half_width),
        "otherwise": variants,
    }


def _spreads(found: verdict.Scatter) -> dict[str, Any]:
    """Returns standard deviations, in points."""
    return {
        "of a variant over seeds": found.within**0.5,
        "the same without what a seed's trainings share": found.left**0.5,
        "of a training by itself": found.own**0.5,
        "of an effect between seeds": found.effect() ** 0.5,
        "of an unpaired difference": (2 * found.within) ** 0.5,
        "of a paired difference": found.pair() ** 0.5,
        "of a main effect, by change": (found.main**0.5).tolist(),
    }


def told(record: Mapping[str, Any]) -> str:
    """Returns the table, and lines on what of it is measured."""
    found, ways = record["amounts"], record["amounts"]["ways"]
    speed = spread(found["speed"])
    lines = [
        f"time to a verdict: each of {len(found['effects'])} effects to within {found['half_width']:g} points (95%), "
        f"{record['trial']}, on {record['provenance']['hardware']['cores']} cores",
        f"{'':3}{'way':<50}{'design':<12}{'seeds':>7}{'trainings':>11}{'time':>12}   times (a)",
    ]
    for letter, way in ways.items():
        sure = found["sure"].get(letter)
        gain = f"{found['gains'][letter]:.1f}" + (f" [{sure[0]:.1f}..{sure[1]:.1f}]" if sure else "")
        lines.append(
            f"{letter:<3}{WORDS[letter]:<50}{way['design']:<12}{way['seeds']:>7.3g}{way['trainings']:>11.0f}"
            f"{duration(round(way['seconds'])):>12}   {gain}"
        )
    lines += [
        f"measured: processor seconds an image, plain over ours {speed.median:.2f} [{speed.low:.2f}..{speed.high:.2f}] "
        f"in {len(found['speed'])} rounds; scatter of {found['seeds_measured']} seeds of {record['study']}",
        "computed: seeds from that scatter, times from both; [..] by a bootstrap over seeds and rounds",
        *(f"(c) {words}: {gains['c']:.1f} times (a)" for words, gains in found["otherwise"].items()),
    ]
    return "\n".join(lines)


def run(
    folder: Path, record: dict[str, Any], base: Task, *, half_width: float, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measures everything, prints it, and returns `record` with the measurements and what is computed from them."""
    evidence = evidence_of(folder)
    verdict.scatter(*verdict.measured(evidence))  # raises InputError before minutes are spent on measuring
    budget, cores = budget_of(evidence.study.setting.config), base.threads
    task = dataclasses.replace(base, batch_size=budget.batch_size, image_size=budget.image_size)
    record |= {
        "study": str(folder),
        "trial": f"{task.net}, {budget.train_examples:,} images, {budget.epochs} epochs",
        "same_work": same_work(task),
        "rounds": rounds_of(
            task, cores, wanted=rounds, seconds=seconds, say=lambda line: print(f"  {line}", flush=True)
        ),
    }
    costs = costs_of(evidence.study, task.folder)
    record["costs"] = {name: dataclasses.asdict(one) for name, one in costs.items()}
    record["amounts"] = amounts(evidence, costs, record["rounds"], half_width=half_width, cores=cores)
    print(told(record))
    return record
