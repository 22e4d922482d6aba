"""How weights are moved: optimisers, learning-rate schedules, and which weight gets which rate and decay."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from ablations.core.errors import unknown
from ablations.models.network import Network
from ablations.models.spec import Conv, Spec, described

Groups = list[dict[str, Any]]


def _steps(*ends: float, of: float) -> Callable[[float], float]:
    """Division by ten once `ends` epochs (or iterations) out of `of` are done."""
    return lambda done: 0.1 ** sum(done >= end / of for end in ends)


# Share of the training that is done -> factor of the learning rate.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    # Net #145 divided by ten after epochs 25, 51 and 79 of 91 (the released parameter file).
    "step": _steps(25, 51, 79, of=91),
    "step_30_60": _steps(30, 60, of=90),  # torchvision's reference scripts
    # Caffe's published weights: every 100,000 iterations, the snapshot at 360,000 or 310,000.
    "caffe_alexnet": _steps(100, 200, 300, of=360),
    "caffe_caffenet": _steps(100, 200, 300, of=310),
    # The CIFAR-10 nets of cuda-convnet: two divisions shortly before the end.
    "late_140": _steps(120, 130, of=140),
    "late_160": _steps(140, 150, of=160),
    "late_520": _steps(500, 510, of=520),
    # cuda-convnet2's "dexp": a factor of 250 in all, in four levels.
    "exponential_4": lambda done: 250 ** -(min(math.floor(4 * done), 3) / 3),
    "plateau": lambda done: 1.0,  # times what `Rate` makes of the validation error
}
WARM_UP_FROM = 0.1  # of the rate: from zero, the first step of a training would teach nothing
PATIENCE = 5  # epochs without a new best before "plateau" divides; ours, the paper gives no number
REDUCTIONS = 3  # at most (5)


class Optimizer(Protocol):
    """What a training step needs of an optimiser: ours, and every one of torch's."""

    param_groups: Groups
    state: defaultdict[Tensor, Any]

    def zero_grad(self) -> None:
        """Forgets the gradients."""

    def step(self) -> None:
        """One update of every weight that has a gradient."""


class _Momentum:
    """Plain and original momentum.  Not a `torch.optim.Optimizer`, whose constructor imports torch's compiler.

    That is 888 modules and 1.6 s of processor time in every process that trains by it (`engine.md`).
    """

    def __init__(self, groups: Groups, *, lr: float, momentum: float) -> None:
        self.param_groups: Groups = [{"weight_decay": 0.0, "lr": lr, "momentum": momentum, **group} for group in groups]
        self.state: defaultdict[Tensor, Any] = defaultdict(dict)

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, [weight.grad for weight in weights], group)

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        raise NotImplementedError


class SGD(_Momentum):
    """torch.optim.SGD(fused=True), by the function that torch itself calls."""

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        buffers = [self.state[weight].get("momentum_buffer") for weight in weights]
        sgd(
            weights,
            gradients,
            buffers,
            fused=True,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for weight, buffer in zip(weights, buffers, strict=True):
            if buffer is not None:  # as without momentum
                self.state[weight]["momentum_buffer"] = buffer


class OriginalSGD(_Momentum):
    """Momentum with the learning rate inside the velocity: v = m v - lr (g + decay w); w = w + v.

    Section 5 and the code.  torch's form, v = m v + g; w = w - lr v, is the same while the rate
    stays and differs for some ten steps after it drops.
    """

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["velocity"] for weight in weights]
        # One launch for all weights of a GPU, the same bits as weight by weight.
        pulls = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
        torch._foreach_mul_(velocities, group["momentum"])
        if isinstance(group["lr"], Tensor):
            torch._foreach_mul_(pulls, group["lr"])
            torch._foreach_sub_(velocities, pulls)
        else:
            torch._foreach_add_(velocities, pulls, alpha=-group["lr"])
        torch._foreach_add_(weights, velocities)


# Parameter groups, spec -> optimiser.
OPTIMIZERS: dict[str, Callable[[Groups, Spec], Optimizer]] = {
    "sgd": lambda groups, spec: SGD(groups, lr=spec.learning_rate, momentum=spec.momentum),
    "sgd_original": lambda groups, spec: OriginalSGD(groups, lr=spec.learning_rate, momentum=spec.momentum),
    # Kingma and Ba 2015, arXiv 1412.6980: decay joins the gradient.
    "adam": lambda groups, spec: torch.optim.Adam(
        groups, lr=spec.learning_rate, betas=(spec.momentum, 0.999), fused=True
    ),
    # Loshchilov and Hutter 2019, arXiv 1711.05101: decay acts on the weights by itself.
    "adamw": lambda groups, spec: torch.optim.AdamW(
        groups, lr=spec.learning_rate, betas=(spec.momentum, 0.999), fused=True
    ),
}


def optimizer_of(network: Network, spec: Spec) -> Optimizer:
    """The optimiser of `spec` over `network`: decay on weights only, as in the code, unless the spec decays biases.

    Raises ValueError on an unknown optimiser or schedule.
    """
    if spec.optimizer not in OPTIMIZERS:
        raise unknown("optimizer", spec.optimizer, OPTIMIZERS)
    if spec.schedule not in SCHEDULES:
        raise unknown("schedule", spec.schedule, SCHEDULES)
    parts = described(spec)
    groups: dict[tuple[float, float, float], list[Tensor]] = {}
    for path, weight in network.named_parameters():
        part = parts[path.split(".")[1]]  # features.conv1.conv.weight, classifier.fc6.bias
        bias = weight.dim() == 1  # the affine pair of a batch normalisation counts as biases
        decay = 0.0 if bias and not spec.decay_biases else spec.weight_decay * part.decay_factor
        frozen_from = part.frozen_from if isinstance(part, Conv) else 1.0
        groups.setdefault((decay, spec.bias_lr_factor if bias else 1.0, frozen_from), []).append(weight)
    return OPTIMIZERS[spec.optimizer](
        [
            {"params": weights, "weight_decay": decay, "lr_factor": factor, "frozen_from": frozen_from}
            for (decay, factor, frozen_from), weights in groups.items()
        ],
        spec,
    )


class Rate:
    """The learning rate of weights in the course of one training.

    Under "plateau" it is divided by ten whenever the validation error has stopped improving (5).
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.reductions, self.waited, self.best = 0, 0, math.inf

    def at(self, done: float) -> float:
        """The rate when `done`, a share, of the training is over."""
        risen = min(done / self.spec.warm_up, 1.0) if self.spec.warm_up else 1.0
        warmth = WARM_UP_FROM + (1 - WARM_UP_FROM) * risen
        return self.spec.learning_rate * SCHEDULES[self.spec.schedule](done) * warmth * 0.1**self.reductions

    def observe(self, error: float) -> None:
        """Takes note of an epoch's validation error, in any unit."""
        if self.spec.schedule != "plateau":
            return
        self.waited = 0 if error < self.best else self.waited + 1
        self.best = min(self.best, error)
        if self.waited >= PATIENCE and self.reductions < REDUCTIONS:
            self.reductions, self.waited = self.reductions + 1, 0

    def state(self) -> tuple[int, int, float]:
        """What `restore` takes: the divisions so far, epochs since the best one, and its error."""
        return self.reductions, self.waited, self.best

    def restore(self, state: Sequence[float]) -> None:
        """Goes on from `state`."""
        self.reductions, self.waited, self.best = int(state[0]), int(state[1]), state[2]


def learning_rates(optimizer: Optimizer, rate: float, *, done: float) -> list[float]:
    """The rate of each group of `optimizer`, given that of weights, when `done`, a share, of the training is over.

    Biases get the spec's multiple of it, and a layer that is frozen by then zero.
    """
    return [0.0 if done >= group["frozen_from"] else rate * group["lr_factor"] for group in optimizer.param_groups]


def set_learning_rates(optimizer: Optimizer, rate: float, *, done: float) -> None:
    """Sets the `learning_rates` of `optimizer`."""
    for group, value in zip(optimizer.param_groups, learning_rates(optimizer, rate, done=done), strict=True):
        group["lr"] = value


def rates_as_tensors(optimizer: Optimizer, device: torch.device) -> None:
    """Makes the rate of each group a tensor () float32 on `device`: a captured update reads what lies there."""
    for group in optimizer.param_groups:
        group["lr"] = torch.full((), group["lr"], device=device)
