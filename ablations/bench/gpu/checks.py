"""Part 1: checks that captured and packed steps, and each precision, compute on a GPU what they should."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.bench import plain
from ablations.bench.contenders import data_of
from ablations.bench.gpu import tape
from ablations.bench.gpu.part import NEEDS_CUDA, Row, Run
from ablations.bench.task import Task
from ablations.core.variant import Variant
from ablations.execution.turns import in_turns
from ablations.models.presets import PRESETS
from ablations.models.response_norm import LocalResponseNorm, ResponseNorm, SameMapNorm
from ablations.models.spec import Norm, Spec
from ablations.subjects.alexnet.data.load import Data, placed
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import PRECISIONS, Budget
from ablations.subjects.alexnet.training.examples import split_examples
from ablations.subjects.alexnet.training.optimizers import Rate
from ablations.subjects.alexnet.training.precision import casting, computing
from ablations.subjects.alexnet.training.step import Body, Capture, Step
from ablations.subjects.alexnet.training.train import Trained, start, training

# Largest differences with which a check holds.
REPEATED = 3.0  # factor on the difference of two trainings of one seed, which is added to the next two
WEIGHTS = 1e-5  # of weights after ten steps
LOSS = 1e-4  # relative, of a loss: rates are float32 in a captured step, and double in an eager one
NORM = 1e-5  # relative, of the output of a normalisation, from double precision
ROUNDED = {"float32": 1e-5, "tf32": 5e-3, "bf16": 3e-2}  # relative, of a product, from double precision
BF16_LOSS = 0.1  # relative, of the loss after ten steps in tf32 or bf16 from that in float32

IMAGES = 600  # number of images of random bytes
PRODUCT = "product of matrices"
SIDE = 512  # rows and columns of the multiplied matrices
SEED = 3

Weights = Mapping[str, Tensor]


def rows(run: Run) -> Iterator[Row]:
    """Yields the rows of all checks."""
    with norms_as_on_a_gpu(run):
        yield from captured_rows(run)
        yield from packed_rows(run)
        yield from norm_rows(run)
        yield from product_rows(run)
        yield from precision_rows(run)


def norms_as_on_a_gpu(run: Run) -> contextlib.AbstractContextManager[None]:
    """Makes response normalisation use torch's operations on a processor too, where a tape replaces a CUDA graph."""
    return contextlib.nullcontext() if run.cuda else tape.as_on_a_gpu()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training whose step is captured."""

    spec: Spec
    size: int  # pixels of a side of an image
    net: str = "cifar_small"  # preset that decides how images are stored
    on_device: bool = True  # whether images lie in the device's memory


def cases() -> dict[str, Case]:
    """Returns the cases, by name: optimisers, distortions, local layers, normalisations, and inputs from the host."""
    small, local = PRESETS["cifar_small"].spec, PRESETS["cuda_convnet_11pct"].spec
    distorted = replace(small, rotation=10.0, translation=0.1, vertical_flip=True, bias_lr_factor=2.0, mean_image=True)
    return {
        "cifar_small, every distortion": Case(spec=distorted, size=32),
        "cuda_convnet_11pct": Case(spec=local, size=24, net="cuda_convnet_11pct"),
        "cuda_convnet_18pct": Case(spec=PRESETS["cuda_convnet_18pct"].spec, size=32, net="cuda_convnet_18pct"),
        "adamw": Case(spec=replace(small, optimizer="adamw", learning_rate=0.003), size=32),
        "batch_norm": Case(spec=derive(small, Variant(departures=(("batch_norm", "without_lrn"),))), size=32),
        "noise that ends half way": Case(spec=replace(small, pca_until=0.5), size=32),
        "pixel noise, from the inputs on": Case(spec=replace(small, pixel_noise=0.2), size=32),
        "images elsewhere, from the inputs on": Case(spec=small, size=32, on_device=False),
    }


def budget_for(run: Run, size: int, *, precision: str = PRECISIONS[0], epochs: int = 2) -> Budget:
    """Returns a budget with epochs of six steps, the last of them smaller, so that steps of two sizes are replayed."""
    batch = 8 if run.tiny else 64
    return Budget(
        epochs=epochs, train_examples=5 * batch + batch // 2, batch_size=batch, image_size=size, precision=precision
    )


def images_for(run: Run, net: str, size: int, *, on_device: bool = True, count: int = IMAGES) -> Data:
    """Returns images of random bytes, in the memory of the device or, without `on_device`, of the host."""
    task = Task(contender="", net=net, image_size=size, batch_size=1, folder="", images=count, threads=1)
    data = data_of(task)
    return placed(data, run.device, memory_bytes=math.inf) if on_device else data


def at_once(body: Body, generators: Sequence[torch.Generator]) -> Body:
    """Takes the place of a capture: the same step, with its rates on the device, is launched again each time."""
    return body


def trained(run: Run, case: Case, capture: Capture | None, budget: Budget) -> tuple[Weights, float, str]:
    """Trains by `Step`.  Returns the weights, the mean loss of the last epoch, and how most steps ran."""
    data = images_for(run, case.net, case.size, on_device=case.on_device)
    with run.own_stream():
        examples, _ = split_examples(case.spec, seed=SEED, budget=budget, data=data, device=run.device)
        network = start(case.spec, seed=SEED, budget=budget, data=data, device=run.device)
        step, rate = Step(network, case.spec, examples, budget, capture=capture), Rate(case.spec)
        for epoch in range(1, budget.epochs + 1):
            noisy = (epoch - 1) / budget.epochs < case.spec.pca_until
            seen = examples if noisy else replace(examples, spec=replace(case.spec, pca_jitter=0.0))
            step.begin(seen, SEED, epoch, rate)
            for _ in range(budget.steps_per_epoch):
                step()
        loss, _ = step.means()
    run.wait()
    return {name: value.detach().float().cpu() for name, value in network.state_dict().items()}, loss, step.how


def apart(one: Weights, other: Weights) -> float:
    """Returns the largest difference of two weights; nan if any is nan."""
    gaps = torch.stack([(one[name] - other[name]).abs().max() for name in one])
    return math.nan if gaps.isnan().any() else float(gaps.max())


def captured_rows(run: Run) -> Iterator[Row]:
    """Compares a replayed step with the same step launched again, and with an eager one."""
    how = "a CUDA graph" if run.cuda else "a tape of its operations, as this is no GPU"
    for name, case in cases().items():
        budget = budget_for(run, case.size)
        replayed, loss, mode = trained(run, case, run.capture, budget)
        if not mode.startswith("captured"):
            yield Row(name=f"captured: {name}", value=math.nan, allowed=0.0, said=mode)
            continue
        again, *_ = trained(run, case, run.capture, budget)
        launched, *_ = trained(run, case, at_once, budget)
        _, eager, _ = trained(run, case, None, budget)
        repeat = apart(replayed, again)
        yield Row(
            name=f"captured: {name}, weights beside those of the same step launched again",
            value=apart(replayed, launched),
            allowed=WEIGHTS + REPEATED * repeat,
            more={"two trainings of one seed": repeat},
            said=f"{mode}, by {how}",
        )
        yield Row(
            name=f"captured: {name}, loss beside an eager step's",
            value=abs(loss - eager) / max(1.0, abs(eager)),
            allowed=LOSS + REPEATED * repeat,
        )


def packed_rows(run: Run) -> Iterator[Row]:
    """Compares trainings that take turns with the same trainings alone, as studies run them."""
    small = PRESETS["cifar_small"].spec
    mixed = [
        (small, 0),
        (small, 1),
        (derive(small, Variant(departures=(("lrn", "off"),))), 0),
        (PRESETS["cuda_convnet_18pct"].spec, 0),
    ]
    data, budget = images_for(run, "cifar_small", 32), budget_for(run, 32)

    def turns(spec: Spec, seed: int) -> Iterator[Trained | None]:
        yield (yield from training(spec, seed=seed, budget=budget, data=data, device=run.device))

    alone = [next(in_turns([turns(*one)], at_once=1)) for one in mixed]
    again = [next(in_turns([turns(*one)], at_once=1)) for one in mixed[:1]]
    together = list(in_turns([turns(*one) for one in mixed], at_once=len(mixed)))
    run.wait()

    def weights(some: Trained) -> Weights:
        return {name: value.detach().float().cpu() for name, value in some.network.state_dict().items()}

    repeat = apart(weights(alone[0]), weights(again[0]))
    # Both lists have one order: trainings with equal numbers of steps end in the order in which they began.
    gaps = [apart(weights(one), weights(other)) for one, other in zip(alone, together, strict=True)]
    yield Row(
        name=f"packed: {len(mixed)} trainings that take turns, weights beside those of the same ones alone",
        value=max(gaps),
        allowed=WEIGHTS + REPEATED * repeat,
        more={"two trainings of one seed": repeat, "bit for bit": sum(gap == 0 for gap in gaps)},
    )
    steps = sorted({one.step for one in (*alone, *together)})
    yield Row(
        name="packed: trainings whose step was not captured",
        value=float(sum(not one.step.startswith("captured") for one in (*alone, *together))) if run.cuda else None,
        allowed=0.0,
        said=", ".join(steps) if run.cuda else NEEDS_CUDA,
    )


def norm_rows(run: Run) -> Iterator[Row]:
    """Compares response normalisation, forward and backward, with torch's own layers in double precision."""
    maps = (4, 16, 8, 8) if run.tiny else (64, 96, 27, 27)
    generator = torch.Generator().manual_seed(0)
    x, pull = (torch.randn(maps, generator=generator) * scale for scale in (70.0, 1.0))  # grey levels
    layers: dict[str, tuple[ResponseNorm, torch.nn.Module]] = {}
    for size in (5, 9):
        norm = Norm(size=size, alpha=1e-3)
        layers[f"across {size} maps"] = (
            LocalResponseNorm(norm),
            torch.nn.LocalResponseNorm(size, 1e-3 if norm.alpha_over_size else 1e-3 * size, norm.beta, norm.k),
        )
    within = Norm(kind="same_map", size=3, alpha=5e-5, k=1.0)
    layers["within maps"] = SameMapNorm(within), plain._WithinMaps(within)
    for name, (ours, theirs) in layers.items():
        expected = _both_ways(theirs, x.double(), pull.double(), PRECISIONS[0])
        for precision in PRECISIONS:
            found = _both_ways(ours, x.to(run.device), pull.to(run.device), precision)
            yield Row(
                name=f"normalisation {name}, {precision} around it, beside double precision",
                value=max(_error(one, other) for one, other in zip(found, expected, strict=True)),
                allowed=NORM,
            )


def _both_ways(layer: torch.nn.Module, x: Tensor, pull: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Returns the output of a layer and the gradient of its input; as in a step, the backward pass is not cast."""
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    with computing(precision):
        with casting(precision, x.device):
            y = layer(x)
        (gradient,) = torch.autograd.grad(y, x, pull.to(y.dtype))
    return y.detach(), gradient


def _error(found: Tensor, expected: Tensor) -> float:
    """Returns the norm of the difference, divided by the norm of what is expected."""
    expected = expected.double()
    return float((found.double().cpu() - expected).norm() / expected.norm())


def product_rows(run: Run) -> Iterator[Row]:
    """Compares products and convolutions in each precision with double precision, and checks that it is that one."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(SIDE, SIDE, generator=generator) for _ in range(2))
    maps = torch.randn(8, 32, 16, 16, generator=generator)
    kernels = torch.randn(32, 32, 3, 3, generator=generator)
    expected = left.double() @ right.double(), F.conv2d(maps.double(), kernels.double(), padding=1)
    for precision in PRECISIONS:
        with computing(precision), casting(precision, run.device):
            found = (
                left.to(run.device) @ right.to(run.device),
                F.conv2d(maps.to(run.device), kernels.to(run.device), padding=1),
            )
        for what, one, other in zip((PRODUCT, "convolution"), found, expected, strict=True):
            if precision == "tf32" and not run.cuda:
                yield Row(name=f"{precision}: a {what}, beside double precision", said=NEEDS_CUDA)
                continue
            error = _error(one, other)
            fine = precision != PRECISIONS[0] and error < ROUNDED[PRECISIONS[0]]
            yield Row(
                name=f"{precision}: a {what}, beside double precision",
                # A library may compute in float32 where tf32 is allowed, but for products of matrices it should not.
                value=math.nan if fine and what == PRODUCT else error,
                allowed=ROUNDED[precision],
                said=f"it was computed in float32: its error is {error:.2g}" if fine else "",
            )


def precision_rows(run: Run) -> Iterator[Row]:
    """Compares the loss of a captured training in tf32 and bf16 with that in float32."""
    case = cases()["cuda_convnet_18pct"]
    exact = trained(run, case, run.capture, budget_for(run, case.size))[1]
    for precision in PRECISIONS[1:]:
        name = f"{precision}: loss of a captured training, beside float32's"
        if precision == "tf32" and not run.cuda:
            yield Row(name=name, said=NEEDS_CUDA)
            continue
        found = trained(run, case, run.capture, budget_for(run, case.size, precision=precision))[1]
        yield Row(name=name, value=abs(found - exact) / max(1.0, abs(exact)), allowed=BF16_LOSS)
