"""Part 2: measures speed and memory of eager, captured and packed steps, a plain loop, and the device's limits."""

from __future__ import annotations

import gc
import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from ablations.bench import plain
from ablations.bench.gpu import checks
from ablations.bench.gpu.checks import images_for
from ablations.bench.gpu.part import NEEDS_CUDA, OutOfTimeError, Row, Run
from ablations.bench.summary import training_operations
from ablations.core.machine import cores_here
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models.layout import layout
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet import packing
from ablations.subjects.alexnet.data.load import Data, placed
from ablations.subjects.alexnet.setting import PRECISIONS, Budget, config_of
from ablations.subjects.alexnet.training.precision import casting, computing
from ablations.subjects.alexnet.training.step import WARM_UP, Body, Capture, streams_of
from ablations.subjects.alexnet.training.train import start

NETS = {"cifar": 32, "cuda_convnet_18pct": 32, "cuda_convnet_11pct": 24, "paper": 224}
TINY_NETS = {"cifar_small": 32, "cuda_convnet_11pct": 24}
BATCH, ROUNDS, SECONDS = 128, 3, 0.6  # images of a step; rounds; seconds of a contender in a round
TINY_BATCH, TINY_SECONDS = 8, 0.02
BETWEEN_WAITS = 20  # steps between two waits for the device
IMAGES, BYTES = 4_096, 2**28  # most images of random bytes, and most bytes of them
MOST_WORKERS = 16  # most workers of the plain loop's loader
SIDE, COPIED = 8_192, 2**31  # rows and columns of the multiplied matrices; bytes that are copied

Take = Callable[[], int]  # does one step and returns its number of images


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to train."""

    take: Take  # its next step
    precision: str = PRECISIONS[0]
    memory: int | None = None  # bytes of the device that it reserved; None on a processor
    more: Mapping[str, Any] = field(default_factory=dict)  # further numbers, by name


def rows(run: Run) -> Iterator[Row]:
    """Yields the rows of the device's limits and of each network, as long as there is time."""
    limits = yield from _limit_rows(run)
    for net, size in (TINY_NETS if run.tiny else NETS).items():
        if run.left < 0:
            raise OutOfTimeError
        yield from _net_rows(run, net, size, limits)


def _limit_rows(run: Run) -> Generator[Row, None, dict[str, float]]:
    """Measures products of matrices in each precision, and a copy.  Returns operations per second by precision."""
    side, count = (256, 2**20) if run.tiny else (SIDE, COPIED)
    left, right = (torch.randn(side, side, device=run.device) for _ in range(2))
    limits: dict[str, float] = {}
    for precision in PRECISIONS:
        name = f"limit: products of {side} x {side} matrices, {precision}"
        if not run.cuda and precision != PRECISIONS[0]:
            yield Row(name=name, said=NEEDS_CUDA)
            continue
        with computing(precision), casting(precision, run.device):
            limits[precision] = 2 * side**3 * _a_second(run, lambda: _counted(left @ right))
        yield Row(name=name, value=limits[precision] / 1e12, unit="Tflop/s")
    source = torch.randint(0, 256, (count,), dtype=torch.uint8, device=run.device)
    target = torch.empty_like(source)
    rate = 2 * count * _a_second(run, lambda: _counted(target.copy_(source)))
    yield Row(name="limit: a copy, bytes read and written", value=rate / 1e12, unit="TB/s")
    return limits


def _counted(done: object) -> int:
    return 1


def _a_second(run: Run, take: Take, seconds: float | None = None) -> float:
    """Returns what `take` counts per second, after two calls as warm-up."""
    for _ in range(2):
        take()
    run.wait()
    seconds = seconds or (TINY_SECONDS if run.tiny else SECONDS)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += sum(take() for _ in range(1 if run.tiny else BETWEEN_WAITS))
        run.wait()
    return done / (time.perf_counter() - began)


def _net_rows(run: Run, net: str, size: int, limits: Mapping[str, float]) -> Iterator[Row]:
    host = images_for(run, net, size, on_device=False, count=_count(run, size))
    data = placed(host, run.device, memory_bytes=math.inf)
    contenders: dict[str, Contender] = {}
    with checks.norms_as_on_a_gpu(run):
        for name, make in _makers(run, net, size, data, host).items():
            made = make()
            if isinstance(made, str):
                yield Row(name=f"{net} at {size} px, {name}", said=made)
            else:
                contenders[name] = made
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(ROUNDS):
            names = [*contenders][:: 1 if number % 2 == 0 else -1]
            for name in names:
                rates[name].append(_a_second(run, contenders[name].take))
    layers = layout(PRESETS[net].spec, num_classes=data.num_classes, image_size=size, channels=data.channels)
    operations = training_operations(layers)
    for name, one in contenders.items():
        yield _row(f"{net} at {size} px, {name}", one, rates, name, operations, limits)


def _count(run: Run, size: int) -> int:
    """Returns the number of images, in whole batches."""
    return 64 if run.tiny else min(IMAGES, BYTES // (4 * size**2) // BATCH * BATCH)


def _row(
    label: str,
    one: Contender,
    rates: Mapping[str, list[float]],
    name: str,
    operations: int,
    limits: Mapping[str, float],
) -> Row:
    """Returns the row of a contender: images per second, and ratios within rounds to eager, plain loop and floor."""
    more: dict[str, Any] = {}
    floor = f"floor, {one.precision}"
    for other, words in (("eager", "times eager"), ("plain loop", "times the plain loop"), (floor, "of the floor")):
        if other in rates and other != name:
            more[words] = statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True))
    rate = statistics.median(rates[name])
    if one.precision in limits:
        more["of the limit"] = rate * operations / limits[one.precision]
    if one.memory is not None:
        more["MiB"] = one.memory / 2**20
    lowest_to_highest = f"{min(rates[name]):,.0f}..{max(rates[name]):,.0f} in {len(rates[name])} rounds"
    return Row(name=label, value=rate, unit="images/s", more={**more, **one.more}, said=lowest_to_highest)


def _makers(run: Run, net: str, size: int, data: Data, host: Data) -> dict[str, Callable[[], Contender | str]]:
    """Returns for each contender a function that makes it, or says why it cannot run here."""
    makers: dict[str, Callable[[], Contender | str]] = {
        "plain loop": lambda: _plain(run, net, size, host),
        "eager": lambda: _steps(run, net, size, data, PRECISIONS[0], None),
    }
    for precision in PRECISIONS:
        makers[f"captured, {precision}"] = lambda precision=precision: (  # type: ignore[misc]
            _steps(run, net, size, data, precision, run.capture) if _possible(run, precision) else NEEDS_CUDA
        )
        makers[f"floor, {precision}"] = lambda precision=precision: (  # type: ignore[misc]
            _floor(run, net, size, data, precision) if _possible(run, precision) else NEEDS_CUDA
        )
    makers["packed, float32"] = lambda: _packed(run, net, size, data)
    return makers


def _possible(run: Run, precision: str) -> bool:
    """Returns whether `precision` is measured: a processor ignores tf32, and takes ten times as long for bf16."""
    return run.cuda or precision == PRECISIONS[0]


def _trial(run: Run, net: str, size: int, precision: str) -> Trial:
    batch = TINY_BATCH if run.tiny else BATCH
    budget = Budget(
        epochs=10**4, train_examples=_count(run, size), batch_size=batch, image_size=size, precision=precision
    )
    config = config_of(net, budget, PRESETS[net].spec)
    return Trial(variant=Variant(), seed=0, data="random bytes", fingerprint="random", config=config)


def _held(run: Run, before: int) -> int | None:
    """Returns the bytes of the device that were reserved since `before`; None on a processor."""
    return torch.cuda.memory_reserved(run.device) - before if run.cuda else None


def _before(run: Run) -> int:
    """Frees unused memory of the device, and returns the bytes that are still reserved."""
    gc.collect()
    if not run.cuda:
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(run.device)


def _steps(run: Run, net: str, size: int, data: Data, precision: str, capture: Capture | None) -> Contender | str:
    before = _before(run)
    trial = _trial(run, net, size, precision)
    one = packing.Timed(trial, data, run.device, seed=0, capture=capture)
    if capture and not one.step.how.startswith("captured"):
        return f"not run: the step is {one.step.how}"

    def take() -> int:
        one()
        return one.step.size

    return Contender(take=take, precision=precision, memory=_held(run, before))


def _packed(run: Run, net: str, size: int, data: Data) -> Contender:
    """Returns a contender of as many trainings in turns as `--pack auto` chooses."""
    trial = _trial(run, net, size, PRECISIONS[0])
    if run.cuda:
        count, gain = packing.chosen(trial, data, device=run.device, share=1.0)
        more = {"trainings in turns": count, "gain when timed": gain}
    else:
        more = {"trainings in turns": (count := 2)}  # a GPU chooses by its memory and its speed
    before = _before(run)
    pack = [packing.Timed(trial, data, run.device, seed=seed, capture=run.capture) for seed in range(count)]

    def take() -> int:
        for one in pack:
            one()
        return sum(one.step.size for one in pack)

    return Contender(take=take, memory=_held(run, before), more=more)


def _floor(run: Run, net: str, size: int, data: Data, precision: str) -> Contender:
    """Returns a contender that captures forward and backward on one constant batch: no data, update or metrics."""
    before, batch = _before(run), TINY_BATCH if run.tiny else BATCH
    spec, budget = PRESETS[net].spec, Budget(epochs=1, train_examples=1, batch_size=batch, image_size=size)
    with run.own_stream():
        network = start(spec, seed=0, budget=budget, data=data, device=run.device).train()
        images = torch.randn(batch, data.channels, size, size, device=run.device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.randint(0, data.num_classes, (batch,), device=run.device)

        def body() -> None:
            with computing(precision):
                with casting(precision, run.device):
                    logits = network(images)
                network.zero_grad(set_to_none=True)
                F.cross_entropy(logits.float(), labels).backward()

        for _ in range(WARM_UP):
            body()
        replay: Body = run.capture(body, streams_of(network))

    def take() -> int:
        replay()
        return batch

    return Contender(take=take, precision=precision, memory=_held(run, before))


def _plain(run: Run, net: str, size: int, host: Data) -> Contender | str:
    """Returns the loop of the tutorials, with torchvision's transforms in worker processes."""
    if importlib.util.find_spec("torchvision") is None:
        return "torchvision is not installed: not run"
    before, spec = _before(run), PRESETS[net].spec
    workers = 0 if run.tiny else min(MOST_WORKERS, cores_here())
    batch = TINY_BATCH if run.tiny else BATCH
    images = plain.loader(spec, host, size, batch, workers=workers, tensors=False)
    network = plain.network(spec, host, size).to(run.device)
    optimizer = plain.optimizer(network, spec)

    def batches() -> Iterator[Any]:
        while True:
            yield from images

    endless = batches()

    def take() -> int:
        inputs, labels = next(endless)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs.to(run.device)), labels.to(run.device))
        loss.backward()
        optimizer.step()
        loss.item()
        return len(labels)

    take()
    return Contender(take=take, memory=_held(run, before), more={"loader workers": workers})
