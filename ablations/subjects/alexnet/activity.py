"""Measures how active a component is in a trained reference; `component.Activity` names the measurement of each.

A component whose activity is near zero changes nothing by construction, so an effect of it says nothing.

Shapes: B images of a measurement, K classes.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.models.layers import Dropout
from ablations.models.layout import layout, parameters
from ablations.models.network import Network, build
from ablations.models.response_norm import ResponseNorm
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.evaluate import log_probabilities
from ablations.subjects.alexnet.training.examples import shuffle_labels, split_examples
from ablations.subjects.alexnet.training.optimizers import Rate, optimizer_of, set_learning_rates
from ablations.subjects.alexnet.training.train import start

Rewrite = Callable[[Spec], Spec]

BATCH = 256  # images that an activity is measured on
STEPS, STEP_BATCH = 8, 32  # steps of a measured path, and images in each: few, since each step has a backward pass too


class Probe:
    """A trained reference, and measurements of what a rewrite of its Spec would change in it.

    All measurements use the same images: at most BATCH of the training and of the evaluation images, in class
    proportions.
    """

    def __init__(
        self, network: Network, spec: Spec, *, seed: int, budget: Budget, data: Data, device: torch.device
    ) -> None:
        self.network, self.spec, self.seed = network, spec, seed
        self.budget, self.data, self.device = budget, data, device
        training, evaluation = split_examples(spec, seed=seed, budget=budget, data=data, device=device)
        self.labels = training.labels.cpu()
        count = min(BATCH, evaluation.count, training.count)
        self.training, self.evaluation = training.part(count), evaluation.part(count)
        self.index = torch.arange(count)

    def logit_change(self, rewrite: Rewrite) -> float:
        """Returns the relative change of the logits when the trained weights are used in the rewritten network.

        If they do not fit, because the rewrite changes the shape of a weight, the change is that of the untrained
        network's logits.
        """
        changed = build(
            rewrite(self.spec),
            num_classes=self.data.num_classes,
            image_size=self.budget.image_size,
            channels=self.data.channels,
        )
        trained, fitting = self.network.state_dict(), changed.state_dict()
        if {name: weight.shape for name, weight in trained.items()} != {n: w.shape for n, w in fitting.items()}:
            return self.initial_logit_change(rewrite)
        changed.load_state_dict(trained)
        return _relative(self._logits(self.network), self._logits(changed.to(self.device)))

    def initial_logit_change(self, rewrite: Rewrite) -> float:
        """Returns the relative change of the untrained network's logits."""
        return _relative(self._own_initial_logits, self._initial_logits(rewrite(self.spec)))

    @functools.cached_property
    def _own_initial_logits(self) -> Tensor:
        return self._initial_logits(self.spec)

    def denominator_spread(self) -> float:
        """Returns the standard deviation of the response normalisation's denominator over its mean.

        The largest over the layers counts.  The result is zero if there is no such layer.
        """
        spreads: list[float] = []

        def record(layer: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            assert isinstance(layer, ResponseNorm)
            denominator = layer.denominator(inputs[0])
            spreads.append(float(denominator.std() / denominator.mean()))

        layers = [layer for layer in self.network.modules() if isinstance(layer, ResponseNorm)]
        handles = [layer.register_forward_hook(record) for layer in layers]
        self._logits(self.network)
        for handle in handles:
            handle.remove()
        return max(spreads, default=0.0)

    @torch.no_grad()
    def dropout_change(self) -> float:
        """Returns the relative change of the logits between a forward pass with dropout masks and one without."""
        plain = self._logits(self.network)
        # Put only the dropout layers into training mode: a batch normalisation would change the logits there too.
        for layer in self.network.modules():
            layer.train(isinstance(layer, Dropout))
        masked: Tensor = self.network(self.evaluation.plain(self.index))
        self.network.eval()
        return _relative(plain, masked)

    def pixel_change(self, rewrite: Rewrite) -> float:
        """Returns the root mean square change of the augmented training pixels, in their standard deviations."""
        before = self.training.augmented(self.index, self.training.draws(self.seed, 1))
        other = replace(self.training, spec=rewrite(self.spec))
        after = other.augmented(self.index, other.draws(self.seed, 1))
        scale = 1.0 if self.spec.unit_scale else self.data.std
        return float((after - before).square().mean().sqrt()) / scale

    @torch.inference_mode()
    def prediction_change(self, rewrite: Rewrite) -> float:
        """Returns the relative change of the trained network's probabilities when its evaluation is rewritten."""
        self.network.eval()
        before, after = (
            log_probabilities(self.network, replace(self.evaluation, spec=spec), self.index).exp()
            for spec in (self.spec, rewrite(self.spec))
        )
        return _relative(before, after)

    def parameter_change(self, rewrite: Rewrite) -> float:
        """Returns the relative change of the number of parameters."""
        before, after = (
            parameters(
                layout(
                    spec,
                    num_classes=self.data.num_classes,
                    image_size=self.budget.image_size,
                    channels=self.data.channels,
                )
            )
            for spec in (self.spec, rewrite(self.spec))
        )
        return abs(after - before) / before

    def decay_share(self) -> float:
        """Returns the norm of the weight decay over the norm of the loss gradient, on one batch of training images."""
        self.network.eval()
        inputs = self.training.augmented(self.index, self.training.draws(self.seed, 1))
        labels = self.training.labels[self.index.to(self.device)]
        weights = [weight for weight in self.network.parameters() if weight.dim() > 1]
        gradients = torch.autograd.grad(F.cross_entropy(self.network(inputs), labels), weights)
        norms = [torch.stack([part.detach().norm() for part in parts]).norm() for parts in (weights, gradients)]
        return self.spec.weight_decay * float(norms[0] / norms[1])

    def path_change(self, rewrite: Rewrite) -> float:
        """Returns the relative change of what eight steps along the whole schedule do to the trained weights.

        The steps are spread evenly over the schedule, so that schedules that differ only late differ here too.  All use
        one batch of training images.
        """
        changed = rewrite(self.spec)
        return _relative(self._own_path, self._path(changed)) if changed != self.spec else 0.0

    @functools.cached_property
    def _own_path(self) -> Tensor:
        return self._path(self.spec)

    def _path(self, spec: Spec) -> Tensor:
        """Returns the weights after the steps less those before, as one vector."""
        network = copy.deepcopy(self.network).eval()
        few = self.training.part(STEP_BATCH)
        inputs = few.augmented(self.index[: few.count], few.draws(self.seed, 1))
        labels = few.labels
        optimizer, rate = optimizer_of(network, spec), Rate(spec)
        for step in range(STEPS):
            set_learning_rates(optimizer, rate.at(step / STEPS), done=step / STEPS)
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), labels).backward()
            optimizer.step()
        moved = zip(network.parameters(), self.network.parameters(), strict=True)
        return torch.cat([(new.detach() - old.detach()).flatten() for new, old in moved])

    def label_change(self, rewrite: Rewrite) -> float:
        """Returns the share of the training labels that the rewrite changes."""
        shuffled = shuffle_labels(self.labels, rewrite(self.spec), self.seed)
        return float((shuffled != self.labels).float().mean())

    @torch.inference_mode()
    def _logits(self, network: Network) -> Tensor:
        network.eval()
        logits: Tensor = network(self.evaluation.plain(self.index))
        return logits

    @torch.inference_mode()
    def _initial_logits(self, spec: Spec) -> Tensor:
        network = start(spec, seed=self.seed, budget=self.budget, data=self.data, device=self.device)
        for layer in network.modules():
            # In evaluation mode, a batch normalisation that has seen no batch yet would do nothing.
            layer.train(isinstance(layer, nn.BatchNorm2d))
        logits: Tensor = network(self.evaluation.plain(self.index))
        return logits


def _relative(before: Tensor, after: Tensor) -> float:
    """Returns |after - before| / |before| in the Euclidean norm over all elements, such as (B, K) logits."""
    return float((after - before).norm() / before.norm())
