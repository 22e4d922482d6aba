"""How figures grow: a study's plan, records and report with its seeds, and training with the image size."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.bench import summary
from ablations.bench.rounds import Contender, closing, rounds
from ablations.bench.worker import Task
from ablations.models.layout import layout
from ablations.models.presets import PRESETS

if TYPE_CHECKING:
    import numpy as np

    from ablations.core.result import Result
    from ablations.core.trial import Trial

SEEDS = (5, 20, 80)
SIZES = (64, 96, 128, 224)  # pixels
NET = "paper"
CLASSES, TEST_IMAGES = 10, 10_000
ROUNDS, SECONDS = 3, 3.0


def of_seeds(counts: Sequence[int] = SEEDS) -> list[dict[str, float]]:
    """Seconds that a `one_out` study of `cifar` takes to be planned, read and reported, for each number of seeds.

    Its records are made up, with an outcome for each test image; nothing is trained.  Once each, after a study of two
    seeds that is not counted: it imports.
    """
    _of_seeds(2)
    return [_of_seeds(seeds) for seeds in counts]


def _of_seeds(seeds: int) -> dict[str, float]:
    import numpy as np

    from ablations.analysis.evidence import Evidence
    from ablations.planning.study import Source, make_study
    from ablations.records.store import read, write_result, write_study
    from ablations.reporting.pages import write_as
    from ablations.subjects.alexnet.setting import Budget

    source = Source(dataset="cifar10", fingerprint="made up", num_classes=CLASSES, channels=3)
    budget = Budget(epochs=5, train_examples=50_000, batch_size=128, image_size=32)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "study"
        marks = [time.perf_counter()]
        study, trials = make_study(
            name="study",
            grid="one_out",
            words=(),
            preset="cifar",
            source=source,
            seeds=seeds,
            budget=budget,
            command="",
        )
        marks.append(time.perf_counter())
        write_study(folder, study)
        for trial in trials:
            write_result(folder, _made_up(trial, random))
        marks.append(time.perf_counter())
        _, results, problems = read(folder)
        marks.append(time.perf_counter())
        write_as(("html", "md"), Evidence(study=study, results=results, problems=problems), folder / "report")
        marks.append(time.perf_counter())
    plan, write, read_seconds, report = (after - before for before, after in itertools.pairwise(marks))
    return {
        "seeds": seeds,
        "trials": len(trials),
        "plan_seconds": plan,
        "write_seconds": write,
        "read_seconds": read_seconds,
        "report_seconds": report,
    }


def _made_up(trial: Trial, random: np.random.Generator) -> Result:
    """A finished result about 20% error."""
    from ablations.core.result import DONE, Result
    from ablations.records.outcomes import pack

    right = random.random(TEST_IMAGES) < random.normal(0.8, 0.01)
    error = 100 * float(1 - right.mean())
    layers = layout(trial.spec, num_classes=CLASSES, image_size=trial.budget.image_size)
    row = {
        "test_top1_error_percent": error,
        "test_top5_error_percent": error / 12,
        "test_loss": error / 30,
        "train_loss": error / 28,
        "train_top1_error_percent": error + 6,
        "learning_rate": trial.spec.learning_rate,
        "images_per_second": 3_000.0,
        "seconds_per_epoch": 16.7,
    }
    last = {
        "clean_train_top1_error_percent": error - 2,
        "gap_percent": 2.0,
        "evaluated_examples": float(TEST_IMAGES),
        "parameters": float(sum(layer.parameters for layer in layers)),
        "macs": float(sum(layer.macs for layer in layers)),
    }
    curve = tuple({"epoch": epoch, **row} for epoch in range(1, trial.budget.epochs + 1))
    return Result(trial=trial, status=DONE, metrics={**row, **last}, curve=curve, outcomes=pack(right), seconds=90.0)


def of_sizes(
    sizes: Sequence[int] = SIZES,
    *,
    net: str = NET,
    batch_size: int,
    threads: int,
    wanted: int = ROUNDS,
    seconds: float = SECONDS,
    most_percent: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Images a second of ours, one process, at each image size, in rounds that alternate with the arithmetic limit."""
    task = Task(contender="one", net=net, image_size=0, batch_size=batch_size, folder="", images=512, threads=threads)
    task = dataclasses.replace(task, steps=1)  # four of 224 pixels are 18 seconds
    with closing([]) as contenders:
        for size in sizes:
            contenders.append(Contender(str(size), [dataclasses.replace(task, image_size=size)], {}))
        contenders.append(Contender("gemm", [dataclasses.replace(task, contender="gemm")], {}))
        done = rounds(contenders, wanted=wanted, seconds=seconds, most_percent=most_percent, say=say)
    spec = PRESETS[net].spec
    operations = {
        size: summary.training_operations(layout(spec, num_classes=CLASSES, image_size=size)) for size in sizes
    }
    return {
        "net": net,
        "batch_size": batch_size,
        "seconds": seconds,
        "most_percent": most_percent,
        "training_operations_per_image": {str(size): count for size, count in operations.items()},
        "rounds": [dataclasses.asdict(one) for one in done],
    }


def seed_lines(rows: Sequence[Mapping[str, float]]) -> str:
    """The table of `of_seeds`."""
    head = ("seeds", "trials", "plan s", "records s", "read s", "report s")
    names = ("plan_seconds", "write_seconds", "read_seconds", "report_seconds")
    lines = ["with seeds (one_out of cifar, made-up records, once each):", _row(head)]
    lines += [_row((f"{row['seeds']}", f"{row['trials']}", *(f"{row[one]:.2f}" for one in names))) for row in rows]
    return "\n".join(lines)


def size_lines(found: Mapping[str, Any]) -> str:
    """The table of `of_sizes`."""
    count, dropped = len(summary.kept(found)), len(found["rounds"]) - len(summary.kept(found))
    about = f"batches of {found['batch_size']}, {count} rounds, {dropped} dropped; medians"
    lines = [f"with image size ({found['net']}, ours, one process, {about}):"]
    if not count:
        return "\n".join([*lines, "no quiet round: nothing can be said"])
    lines.append(_row(("pixels", "images/s", "limit")))
    for size, operations in found["training_operations_per_image"].items():
        share = summary.limit_share({**found, "training_operations_per_image": operations}, size).median
        lines.append(_row((size, f"{summary.rate(found, size).median:,.1f}", f"{100 * share:.0f}%")))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>11}" for cell in cells)
