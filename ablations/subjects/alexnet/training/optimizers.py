"""Optimisers, learning-rate schedules, and which weight gets which rate and decay."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from ablations.core.errors import unknown
from ablations.models.network import Network
from ablations.models.spec import Conv, Spec, described

Groups = list[dict[str, Any]]


def _steps(*ends: float, of: float) -> Callable[[float], float]:
    """Returns a schedule that divides by ten after each of `ends` epochs (or iterations) out of `of`."""
    return lambda done: 0.1 ** sum(done >= end / of for end in ends)


# Each schedule maps the share of the training that is done to a factor of the learning rate.  Shares, rather than
# epochs, keep a schedule's shape when a budget shortens the training.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    # Net #145 divided by ten after epochs 25, 51 and 79 of 91 (the released parameter file).
    "step": _steps(25, 51, 79, of=91),
    "step_30_60": _steps(30, 60, of=90),  # torchvision's reference scripts
    # Caffe divides every 100,000 iterations; its published weights are the snapshots at 360,000 and 310,000.
    "caffe_alexnet": _steps(100, 200, 300, of=360),
    "caffe_caffenet": _steps(100, 200, 300, of=310),
    # The CIFAR-10 networks of cuda-convnet: two divisions shortly before the end.
    "late_140": _steps(120, 130, of=140),
    "late_160": _steps(140, 150, of=160),
    "late_520": _steps(500, 510, of=520),
    # cuda-convnet2's "dexp": four levels, the last of which is 250 times lower than the first.
    "exponential_4": lambda done: 250 ** -(min(math.floor(4 * done), 3) / 3),
    "plateau": lambda done: 1.0,  # `Rate` divides by the validation error instead
}
WARM_UP_FROM = 0.1  # share of the rate at which a warm-up starts; from zero, the first step would change nothing
PATIENCE = 5  # epochs without a new best error before "plateau" divides.  Our choice: the paper gives no number
REDUCTIONS = 3  # how often "plateau" divides at most (section 5)


class Optimizer:
    """The base of all optimisers: parameter groups, each with its own rate and decay, and a state for each weight.

    It is not a `torch.optim.Optimizer`, because the constructor of that imports torch's compiler: some 900 modules and
    1.6 s of processor time in every process that trains (SPEED.md).  SGD, Adam and AdamW call the functions that
    torch's classes call, always in their fused form.
    """

    def __init__(self, groups: Groups, *, lr: float, momentum: float) -> None:
        self.param_groups: Groups = [{"weight_decay": 0.0, "lr": lr, "momentum": momentum, **group} for group in groups]
        self.state: defaultdict[Tensor, Any] = defaultdict(dict)  # what is remembered of each weight, by name

    def zero_grad(self) -> None:
        """Discards the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Updates every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, [weight.grad for weight in weights], group)

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """The same as torch.optim.SGD(fused=True)."""

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
            if buffer is not None:  # it is None without momentum
                self.state[weight]["momentum_buffer"] = buffer


class OriginalSGD(Optimizer):
    """Momentum with the learning rate inside the velocity: v = m v - lr (g + decay w); w = w + v.

    This is the form of section 5 and of the code.  torch's form, v = m v + g; w = w - lr v, gives the same while
    the rate is constant, and differs for about ten steps after the rate drops.
    """

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["velocity"] for weight in weights]
        # The _foreach functions need one kernel launch for all weights of a group, and give the same bits as a loop.
        pulls = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
        torch._foreach_mul_(velocities, group["momentum"])
        if isinstance(group["lr"], Tensor):  # when the step is captured as a CUDA graph; `alpha` takes numbers only
            torch._foreach_mul_(pulls, group["lr"])
            torch._foreach_sub_(velocities, pulls)
        else:
            torch._foreach_add_(velocities, pulls, alpha=-group["lr"])
        torch._foreach_add_(weights, velocities)


class Adam(Optimizer):
    """The same as torch.optim.Adam(fused=True): the decay is added to the gradient.

    Source: Kingma and Ba 2015, arXiv 1412.6980.  The momentum is its first beta.
    """

    decoupled = False  # whether the decay acts on the weights directly

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
                self.state[weight]["exp_avg"] = torch.zeros_like(weight)
                self.state[weight]["exp_avg_sq"] = torch.zeros_like(weight)
        remembered = [self.state[weight] for weight in weights]
        adam(
            weights,
            gradients,
            [state["exp_avg"] for state in remembered],
            [state["exp_avg_sq"] for state in remembered],
            [],
            [state["step"] for state in remembered],
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=group["momentum"],
            beta2=0.999,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


class AdamW(Adam):
    """The same as torch.optim.AdamW(fused=True): the decay acts on the weights directly.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101.
    """

    decoupled = True


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "sgd_original": OriginalSGD, "adam": Adam, "adamw": AdamW}


def optimizer_of(network: Network, spec: Spec) -> Optimizer:
    """Returns the optimiser of `spec` for the parameters of `network`.

    Weight decay applies to weights only, as in the code, unless the spec decays biases.  Parameters with the same
    decay, rate and freezing share a group.  Raises ValueError on an unknown optimiser or schedule.
    """
    if spec.optimizer not in OPTIMIZERS:
        raise unknown("optimizer", spec.optimizer, OPTIMIZERS)
    if spec.schedule not in SCHEDULES:
        raise unknown("schedule", spec.schedule, SCHEDULES)
    parts = described(spec)
    groups: dict[tuple[float, float, float], list[Tensor]] = {}
    for path, weight in network.named_parameters():
        part = parts[path.split(".")[1]]  # a path is such as features.conv1.conv.weight or classifier.fc6.bias
        bias = weight.dim() == 1  # the scale and shift of a batch normalisation count as biases
        decay = 0.0 if bias and not spec.decay_biases else spec.weight_decay * part.decay_factor
        frozen_from = part.frozen_from if isinstance(part, Conv) else 1.0
        groups.setdefault((decay, spec.bias_lr_factor if bias else 1.0, frozen_from), []).append(weight)
    found = [
        {"params": weights, "weight_decay": decay, "lr_factor": factor, "frozen_from": frozen_from}
        for (decay, factor, frozen_from), weights in groups.items()
    ]
    return OPTIMIZERS[spec.optimizer](found, lr=spec.learning_rate, momentum=spec.momentum)


class Rate:
    """The learning rate of weights over the course of one training.

    Under "plateau" it is divided by ten whenever the validation error has stopped improving (section 5).
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.reductions, self.waited, self.best = 0, 0, math.inf

    def at(self, done: float) -> float:
        """Returns the rate when the share `done` of the training is over."""
        risen = min(done / self.spec.warm_up, 1.0) if self.spec.warm_up else 1.0
        warmth = WARM_UP_FROM + (1 - WARM_UP_FROM) * risen
        return self.spec.learning_rate * SCHEDULES[self.spec.schedule](done) * warmth * 0.1**self.reductions

    def observe(self, error: float) -> None:
        """Takes note of an epoch's validation error, in any unit, and divides the rate if "plateau" asks for it."""
        if self.spec.schedule != "plateau":
            return
        self.waited = 0 if error < self.best else self.waited + 1
        self.best = min(self.best, error)
        if self.waited >= PATIENCE and self.reductions < REDUCTIONS:
            self.reductions, self.waited = self.reductions + 1, 0

    def state(self) -> tuple[int, int, float]:
        """Returns what `restore` takes: the divisions so far, the epochs since the best one, and the best error."""
        return self.reductions, self.waited, self.best

    def restore(self, state: Sequence[float]) -> None:
        """Continues from `state`."""
        self.reductions, self.waited, self.best = int(state[0]), int(state[1]), state[2]


def learning_rates(optimizer: Optimizer, rate: float, *, done: float) -> list[float]:
    """Returns the rate of each parameter group when the share `done` of the training is over and weights have `rate`.

    Biases get the spec's multiple of `rate`, and layers that are frozen by then get zero.
    """
    return [0.0 if done >= group["frozen_from"] else rate * group["lr_factor"] for group in optimizer.param_groups]


def set_learning_rates(optimizer: Optimizer, rate: float, *, done: float) -> None:
    """Sets the rate of each parameter group of `optimizer` to what `learning_rates` gives."""
    for group, value in zip(optimizer.param_groups, learning_rates(optimizer, rate, done=done), strict=True):
        group["lr"] = value


def rates_as_tensors(optimizer: Optimizer, device: torch.device) -> None:
    """Turns the rate of each parameter group into a tensor () float32 on `device`.

    A captured update reads the rate from that tensor at every replay; a plain number would be fixed at the capture.
    """
    for group in optimizer.param_groups:
        group["lr"] = torch.full((), group["lr"], device=device)
