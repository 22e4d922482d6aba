"""python -m ablations.bench: compares our training with PyTorch, PyTorch Lightning, JAX and the machine's limit.

Only light modules are imported at the top, so that --help answers at once.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ablations.bench import summary
from ablations.bench.rounds import Contender, ContenderError, closing, rounds
from ablations.bench.task import CHECK_BATCH, CLASSES, Task
from ablations.cli.arguments import parsed
from ablations.core.errors import InputError, answered, at_home, unknown
from ablations.core.machine import cores_here
from ablations.core.text import duration
from ablations.execution.allocator import ENVIRONMENT
from ablations.models.layout import layout
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.data.catalogue import cache_folder

SCHEMA = 1  # version of the record
NETS = "cuda_convnet_18pct,cifar,paper@128"
REAL = "folder:data/cifar10-jpeg"
RANDOM_IMAGES = 2_048  # number of images of random bytes, in the place of a data set
MODULES = {"lightning": "pytorch_lightning", "jax": "jax"}  # contender -> the module without which it is left out
IMAGES_A_TRIAL = 5 * 50_000  # training images of a trial, for trials an hour: five epochs of CIFAR-10


@dataclass(frozen=True, kw_only=True)
class Config:
    """Times several ways to train the same networks, one after another, in alternating rounds."""

    nets: Annotated[
        str, tyro.conf.arg(help="Presets, with commas between them; NAME@SIZE gives another image size.")
    ] = NETS
    dataset: str = REAL
    """A data set or folder:PATH, for networks of up to 32 pixels; others, or all if it is missing, get random bytes."""
    rounds: int = 5
    """Quiet rounds to measure; at most three times as many are begun."""
    seconds: float = 10.0
    """Seconds that each contender trains in a round."""
    batch_size: int = 128
    """Images of a step."""
    others_percent: float = 10.0
    """Percent of the machine that other processes may take in a round; if they take more, it is dropped."""
    trials: int = 100
    """Empty trials by which the overhead of a trial is measured; 0 leaves that out."""
    results: Path = Path("results/bench")
    """Folder for NAME.json and NAME.svg."""
    name: str = "latest"
    """Name of the two files."""
    verdict: bool = False
    """Compare the time to a verdict instead, of a plain loop and of our designs; writes verdict-NAME.json."""
    study: Path = Path("results/reference/cifar10-factorial")
    """For --verdict: a factorial study whose records tell how trainings and effects scatter over seeds."""
    half_width: float = 0.25
    """For --verdict: half-width that the 95% interval of each effect must have, in points of the test error."""


EXAMPLES = (
    ("python -m ablations.bench", "three networks, about twenty minutes"),
    ("python -m ablations.bench --nets cifar --rounds 3 --name mine", "one network, with a file of its own"),
    ("python -m ablations.bench.soak", "not speed, but kills at random moments: an hour"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark.  Returns 0 if done, 1 if a row is void or has no quiet round, 2 on bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def answer() -> int:
        config = parsed(Config, arguments, prog="python -m ablations.bench", examples=EXAMPLES)
        try:
            nets = check(config)
            placed = dataclasses.replace(config, results=at_home(config.results))
            if config.verdict:
                return to_a_verdict(placed, command=shlex.join(["python", "-m", "ablations.bench", *arguments]))
            return run(placed, nets, command=shlex.join(["python", "-m", "ablations.bench", *arguments]))
        except ContenderError as error:
            raise InputError(str(error)) from error

    return answered(answer, stopped="stopped; what was finished is in the file")


def check(config: Config) -> dict[str, int]:
    """Returns the networks and their image sizes.  Raises InputError if an option is wrong."""
    for option in ("rounds", "seconds", "batch_size", "half_width"):
        if not getattr(config, option) > 0:
            raise InputError(f"--{option.replace('_', '-')} is {getattr(config, option)}; it must be above 0.")
    if config.trials == 1 or config.trials < 0:
        raise InputError(f"--trials is {config.trials}; it must be 0, or 2 or more.")
    nets: dict[str, int] = {}
    for word in config.nets.split(","):
        name, at, size = word.strip().partition("@")
        if name not in PRESETS:
            raise unknown("preset", name, PRESETS)
        if at and not size.isdigit():
            raise InputError(f"--nets: {word!r} has no image size in pixels after its @.")
        nets[name] = int(size) if at else PRESETS[name].spec.image_size
    return nets


def run(config: Config, nets: Mapping[str, int], *, command: str) -> int:
    """Runs all contenders for each network, prints the results, and saves them after each network."""
    from ablations.records.provenance import provenance

    cores = cores_here()
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "provenance": provenance(command=command, threads=cores, device="cpu"),
        "nets": {},
    }
    optional = {name for name, module in MODULES.items() if importlib.util.find_spec(module)}
    for name in (name for name in MODULES if name not in optional):
        print(f"{summary.WORDS[name]} is not installed (pip install -e '.[bench]'), so it is left out")
    a_net = 8 * (config.rounds + 2) * config.seconds + 120  # 120 s for starting and for the check
    about = len(nets) * a_net + 0.5 * config.trials
    print(f"about {duration(round(about))} if the machine is quiet", flush=True)
    for name, size in nets.items():
        record["nets"][name] = _net(config, name, size, cores, optional)
        print(f"\n{summary.table(name, record['nets'][name])}\n", flush=True)
        _save(config, record)
    if config.trials:
        from ablations.bench.overhead import measure

        record["overhead"] = measure(config.trials, workers=cores)
        print(summary.overhead_lines(record["overhead"]))
        _save(config, record)
    print(f"saved: {config.results / config.name}.json")
    bad = [net for net in record["nets"].values() if not summary.kept(net) or summary.voids(net)]
    return 1 if bad else 0


def to_a_verdict(config: Config, *, command: str) -> int:
    """Measures the time to a verdict, and prints and saves it."""
    from ablations.bench import verdict_run
    from ablations.records.provenance import provenance

    study, cores = verdict_run.evidence_of(at_home(config.study)).study, cores_here()
    preset = str(study.setting.config["preset"])
    folder, data = _data(config, preset, int(study.setting.facts["image_size"]))
    task = Task(
        contender="", net=preset, image_size=0, batch_size=0, folder=folder, images=RANDOM_IMAGES, threads=cores
    )
    record = {"schema": SCHEMA, "provenance": provenance(command=command, threads=cores, device="cpu"), "data": data}
    measured = verdict_run.run(
        at_home(config.study), record, task, half_width=config.half_width, rounds=config.rounds, seconds=config.seconds
    )
    path = config.results / f"verdict-{config.name}.json"
    summary.save(path, measured)
    print(f"saved: {path}")
    return 0


def _net(config: Config, name: str, size: int, cores: int, optional: set[str]) -> dict[str, Any]:
    folder, data = _data(config, name, size)
    print(f"\n{name}: {data}", flush=True)
    base = Task(
        contender="check",
        net=name,
        image_size=size,
        batch_size=CHECK_BATCH,
        folder=folder,
        images=RANDOM_IMAGES,
        threads=cores,
    )
    began = time.perf_counter()
    with closing([]) as started:
        started.append(Contender("check", [base], {}))
        found: dict[str, Any] = started[0].first[0]
    _say(f"the check that all contenders do the same work took {duration(time.perf_counter() - began)}")
    if lacks := found.pop("jax_lacks", ""):
        optional = optional - {"jax"}
        _say(f"JAX is left out: {lacks}")
    task = dataclasses.replace(base, batch_size=config.batch_size)
    with closing([]) as contenders:
        plain, workers = _best_loader(task, config.seconds, contenders)
        contenders[:] = [plain]
        for other in ("lightning", "tensors", "jax", "one", "harness", "floor", "gemm"):
            if other not in MODULES or other in optional:
                contenders.append(_start(other, task, cores, workers))
                _say(f"{other} started in {contenders[-1].start_seconds:.1f} s")
        for contender in contenders:
            contender.run(config.seconds / 2)  # warm-up
        done = rounds(
            contenders, wanted=config.rounds, seconds=config.seconds, most_percent=config.others_percent, say=_say
        )
        facts = {
            contender.name: {
                "processes": len(contender.tasks),
                "threads": contender.tasks[0].threads,
                "loader_workers": contender.tasks[0].loader_workers,
                "start_seconds": contender.start_seconds,
                "peak_memory_mib": contender.peak_memory_mib(),
            }
            for contender in contenders
        }
    meta = json.loads((Path(folder) / "meta.json").read_text()) if folder else {}
    classes, channels = len(meta.get("classes", range(CLASSES))), len(meta.get("mean", range(3)))
    layers = layout(PRESETS[name].spec, num_classes=classes, image_size=size, channels=channels)
    return {
        "image_size": size,
        "batch_size": config.batch_size,
        "data": data,
        "seconds": config.seconds,
        "most_percent": config.others_percent,
        "images_a_trial": IMAGES_A_TRIAL,
        "training_operations_per_image": summary.training_operations(layers),
        "normalises": summary.normalises(PRESETS[name].spec),
        **found,
        "contenders": facts,
        "rounds": [dataclasses.asdict(one) for one in done],
    }


def _data(config: Config, name: str, size: int) -> tuple[str, str]:
    """Returns the prepared folder, or "" for random bytes, and a description of the data."""
    from ablations.subjects.alexnet.data.prepare import prepare

    stored = round(size * PRESETS[name].spec.stored_ratio)
    if size > 32:  # larger copies of CIFAR-10 would only take disk: the content of images does not change the time
        return "", f"{RANDOM_IMAGES:,} images of random bytes, {stored} px: CIFAR-10 has no images of that size"
    if config.dataset == REAL and not Path(REAL.partition(":")[2]).is_dir():
        return "", f"{RANDOM_IMAGES:,} images of random bytes: there is no {REAL.partition(':')[2]}"
    folder = prepare(config.dataset, data_root=None, size=stored, cache=cache_folder())
    return str(folder), config.dataset


def _best_loader(task: Task, seconds: float, contenders: list[Contender]) -> tuple[Contender, int]:
    """Returns plain PyTorch with 0 or 2 loader workers, whichever is faster, and that number of workers."""
    for workers in (0, 2):
        contenders.append(_start("plain", task, task.threads, workers))
    rates = [0.0, 0.0]
    for number in (0, 1, 1, 0):
        rates[number] += contenders[number].run(seconds / 2)
    best = int(rates[1] > rates[0])
    contenders[1 - best].close()
    _say(f"plain PyTorch: 0 loader workers {rates[0] / 2:.0f}, 2 workers {rates[1] / 2:.0f} images a second")
    return contenders[best], 2 * best


def _start(name: str, task: Task, cores: int, workers: int) -> Contender:
    """Starts the contender `name`: one process on all cores, or for "harness", as studies run, one on each core."""
    loads = workers if name in ("plain", "lightning", "tensors") else 0
    one = dataclasses.replace(task, contender=name, threads=1 if name == "harness" else cores, loader_workers=loads)
    if name == "harness":
        return Contender(name, [one] * cores, ENVIRONMENT)
    return Contender(name, [one], {})


def _save(config: Config, record: Mapping[str, Any]) -> None:
    from ablations.bench.figure import bench
    from ablations.reporting.figures.style import svg

    path = config.results / f"{config.name}.json"
    summary.save(path, record)
    rows = summary.bars(record)
    if rows:
        path.with_suffix(".svg").write_text(svg(bench(rows), "bench"), encoding="utf-8")


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
