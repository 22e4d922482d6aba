"""Takes the optimiser steps of a training: eagerly, or captured once as a CUDA graph and then replayed.

A step of a small network is so little work that a GPU mostly waits for kernel launches; a replay is one launch.
SPEED.md gives the reasons for each choice here.

Shapes: N examples, B batch, T steps per epoch, G parameter groups, C channels, s side of what the network sees.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.models.network import Network
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.augment import Draws
from ablations.subjects.alexnet.data.read_ahead import ReadAhead
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import Examples, epoch_order, read_ahead
from ablations.subjects.alexnet.training.optimizers import Rate, learning_rates, optimizer_of, rates_as_tensors
from ablations.subjects.alexnet.training.precision import casting, computing

Body = Callable[[], None]
# Takes a function and the generators that it draws from, and returns its replay.  Raises RuntimeError where the
# function cannot be captured.
Capture = Callable[[Body, Sequence[torch.Generator]], Body]

# Eager steps before the capture.  Libraries and optimisers allocate memory on first use, which a capture may not do.
# They are real steps of the training, so nothing has to be undone.
WARM_UP = 3
EAGER, CAPTURED = "eager", "captured"


def cuda_graph(body: Body, generators: Sequence[torch.Generator]) -> Body:
    """Captures `body` on the current stream and returns its replay, which is a single launch.

    Raises RuntimeError where it cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)  # so that each replay draws new numbers
    # "thread_local", because other threads of this process, such as those of Ray, may allocate during the capture.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        body()
    return graph.replay


class Step:
    """Takes one optimiser step per call, an epoch at a time.

    Everything that a step reads or writes is in buffers that stay where they are: the epoch's order and random choices,
    the rates of its steps, its sums, and counters that say which batch is next.  So every step does the same work and
    asks nothing of the host, which is what a CUDA graph needs.
    After `WARM_UP` eager steps, `capture` turns the step into a replay, which is used for every whole batch from then
    on.  Without `capture`, or where it fails, all steps are eager.  If images are not on the network's device, or noise
    is drawn on the CPU, the inputs are copied to the device before the replay, which then starts from them.
    """

    def __init__(
        self, network: Network, spec: Spec, training: Examples, budget: Budget, *, capture: Capture | None = None
    ) -> None:
        self.network, self.training, self.budget, self.capture = network, training, budget, capture
        self.optimizer = optimizer_of(network, spec)
        if capture:
            rates_as_tensors(self.optimizer, training.labels.device)
        here, device, steps = training.rows.device, training.labels.device, budget.steps_per_epoch
        self.size = min(budget.batch_size, training.count)
        self.offsets = torch.arange(self.size, device=here)
        self.order = torch.empty(training.count, dtype=torch.int64, device=here)
        self.ahead: ReadAhead | None = None
        self.draws: Draws | None = None
        # Two counters say the same in different units, since they live on different devices when the images do.
        self.seen = torch.zeros((), dtype=torch.int64, device=here)  # images of the epoch that were taken
        self.number = torch.zeros(1, dtype=torch.int64, device=device)  # number of the epoch's next step
        self.rates = torch.zeros(steps, len(self.optimizer.param_groups), device=device)  # (T, G)
        self.total = torch.zeros(2, device=device)  # sums over the epoch: loss, and wrong answers
        self.looked_at = torch.zeros(2, pin_memory=device.type == "cuda")  # `total` on the host, as `diverged` left it
        self.batch: tuple[Tensor, Tensor] | None = None  # inputs of a captured step, where they are copied to it
        self.replay: Body | None = None
        self.warm = 0  # eager steps so far
        self.how = EAGER  # how most steps ran, for the provenance

    def begin(self, training: Examples, seed: int, epoch: int, rate: Rate) -> None:
        """Starts epoch number `epoch`, which has its own order and draws.

        `training` holds the same examples in every epoch, but its spec may have lost the colour noise.
        """
        if training.spec != self.training.spec:  # the colour noise has ended, so the step has to be captured again
            self.training, self.replay = training, None
        draws = training.draws(seed, epoch)
        if self.draws is None:
            self.draws = draws.to(self.order.device)
        else:
            self.draws.copy_(draws)
        order = epoch_order(training, seed, epoch)
        self.order.copy_(order)
        self.ahead = read_ahead(training, order)
        steps, epochs = self.budget.steps_per_epoch, self.budget.epochs
        shares = [(epoch - 1 + step / steps) / epochs for step in range(steps)]
        self.base_rates = [rate.at(done) for done in shares]
        self.plan = [
            learning_rates(self.optimizer, base, done=done) for base, done in zip(self.base_rates, shares, strict=True)
        ]
        self.rates.copy_(torch.tensor(self.plan))
        self.taken = 0
        for counter in (*self._counters.values(), self.looked_at):
            counter.zero_()

    @property
    def last_rate(self) -> float:
        """The learning rate of weights in the last step."""
        return self.base_rates[self.taken - 1]

    @property
    def images(self) -> int:
        """How many images of the epoch have been taken."""
        return min(self.taken * self.size, self.training.count)

    def __call__(self) -> None:
        """Takes one step on the next batch; the last batch of an epoch may be smaller."""
        size = min(self.size, self.training.count - self.images)
        self.network.train()  # since an evaluation leaves it in evaluation mode
        # A graph replays fixed shapes, so that a smaller last batch is always eager.
        if not self.capture or size < self.size or self.warm < WARM_UP:
            self._learn(*self._load(size))
            self.warm += 1
        else:
            if not self.training.on_device:
                self._bring()
            if not self.replay:
                self._capture(self.capture)
            (self.replay or self._whole_batch)()
        self.taken += 1

    def diverged(self) -> bool:
        """Tells whether the epoch's loss is no longer finite.

        On a GPU the answer is about the time of the previous call, since waiting for the current loss would leave the
        GPU idle.
        """
        before = float(self.looked_at[0])
        self.looked_at.copy_(self.total, non_blocking=True)
        return not math.isfinite(before if self.total.is_cuda else float(self.looked_at[0]))

    def means(self) -> tuple[float, float]:
        """Returns the mean loss of the epoch's images so far and the share that was wrong.  Waits for the device."""
        loss, wrong = (self.total / self.images).tolist()
        return loss, wrong

    def state(self) -> dict[str, Tensor]:
        """Returns all that steps change, by name: weights, the optimiser's state, the layers' streams and the sums."""
        streams = {f"draws/{number}": stream.get_state() for number, (_, stream) in enumerate(_drawing(self.network))}
        return (
            {f"network/{name}": value for name, value in self.network.state_dict().items()}
            | streams
            | self._counters
            | {
                f"optimizer/{number}/{name}": value
                for number, weight in enumerate(self._weights())
                for name, value in self.optimizer.state[weight].items()
            }
        )

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from `state`, in the middle of its epoch.  Call it after `begin` and before the first step."""
        for name, counter in self._counters.items():
            counter.copy_(state[name])
        self.taken = int(self.number)
        own = {path.removeprefix("network/"): value for path, value in state.items() if path.startswith("network/")}
        self.network.load_state_dict(own)
        for number, (_, stream) in enumerate(_drawing(self.network)):
            stream.set_state(state[f"draws/{number}"])
        weights = self._weights()
        for path, value in state.items():
            if path.startswith("optimizer/"):
                _, place, name = path.split("/")
                weight = weights[int(place)]
                # State of a weight's shape is copied into the weight's memory layout, which a file does not record.
                alike = value.shape == weight.shape
                kept = torch.empty_like(weight).copy_(value) if alike else value.to(weight.device)
                self.optimizer.state[weight][name] = kept

    @property
    def _counters(self) -> dict[str, Tensor]:
        """The counters and sums of the epoch, by the name that they have in `state`."""
        return {"epoch/seen": self.seen, "epoch/number": self.number, "epoch/total": self.total}

    def _weights(self) -> list[Tensor]:
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def _load(self, size: int) -> tuple[Tensor, Tensor]:
        """Returns the inputs (B, C, s, s) and labels (B,) of the next `size` examples in the epoch's order."""
        assert self.draws
        if self.ahead:
            self.ahead.at(self.images)
        index = self.order[self.seen + self.offsets[:size]]
        self.seen.add_(size)
        return self.training.augmented(index, self.draws), self.training.labels[index.to(self.training.labels.device)]

    def _learn(self, inputs: Tensor, labels: Tensor) -> None:
        """Trains on one batch: forward pass, backward pass, update and sums."""
        # In a capture the rates must come from a tensor on the device; an eager step without one takes plain numbers.
        row = self.rates.index_select(0, self.number)[0] if self.capture else None
        for group, parameters in enumerate(self.optimizer.param_groups):
            if row is None:
                parameters["lr"] = self.plan[self.taken][group]
            else:
                parameters["lr"].copy_(row[group])
        self.number.add_(1)
        with computing(self.budget.precision):
            with casting(self.budget.precision, labels.device):
                logits = self.network(inputs)
            logits = logits.float()
            loss = F.cross_entropy(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
        self.optimizer.step()
        wrong = (logits.detach().argmax(1) != labels).sum()
        self.total.add_(torch.stack([loss.detach() * len(labels), wrong]))

    def _bring(self) -> None:
        """Copies the next whole batch to where a captured step reads it."""
        inputs, labels = self._load(self.size)
        if self.batch is None:
            self.batch = torch.empty_like(inputs), torch.empty_like(labels)
        self.batch[0].copy_(inputs)
        self.batch[1].copy_(labels)

    def _whole_batch(self) -> None:
        """Takes a step on a whole batch.  This is what is captured."""
        self._learn(*(self.batch or self._load(self.size)))

    def _capture(self, capture: Capture) -> None:
        """Captures the step; where that fails, logs a warning and leaves all further steps eager."""
        drawing = _drawing(self.network)
        states = [generator.get_state() for _, generator in drawing]
        try:
            self.replay = capture(self._whole_batch, [generator for _, generator in drawing])
            self.how = f"{CAPTURED}, from the network's inputs on" if self.batch else CAPTURED
        except RuntimeError as error:
            reason = str(error.__context__ or error).strip().splitlines()[0]
            self.how = f"{EAGER}: it could not be captured ({reason})"
            logging.getLogger(__name__).warning("The training step is %s.", self.how)
            self.capture = None
            for (layer, generator), state in zip(drawing, states, strict=True):
                # The old generator stays registered with the failed capture and cannot be used any more.
                fresh = torch.Generator(generator.device)
                fresh.set_state(state)
                layer.generator = fresh  # type: ignore[assignment]


def streams_of(network: Network) -> list[torch.Generator]:
    """Returns the streams that layers draw from, such as those of dropout, in the order of the layers."""
    return [stream for _, stream in _drawing(network)]


def _drawing(network: Network) -> list[tuple[nn.Module, torch.Generator]]:
    """Returns the layers that draw from a stream of their own, each with its stream."""
    found = ((layer, getattr(layer, "generator", None)) for layer in network.modules())
    return [(layer, generator) for layer, generator in found if isinstance(generator, torch.Generator)]
