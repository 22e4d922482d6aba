"""Dropout in the hidden fully connected layers (the paper, 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register


def rate(value: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite that sets the probability of zeroing in every layer that has dropout."""
    return lambda spec: _edit.hidden(spec, lambda layer: replace(layer, dropout=value) if layer.dropout else layer)


def place(word: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that masks what fc6 and fc7 write ("after") or what they read ("before")."""
    return lambda spec: replace(spec, dropout_place=word)


def rescale(word: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that makes up for the missing features by the keep rate, in "train" or in "test"."""
    return lambda spec: replace(spec, dropout_rescale=word)


register(
    Component(
        name="dropout",
        reference="0.5; after fc6 and fc7 in the paper, before them in torchvision",
        levels={
            "off": rate(0.0),
            "rate_0.1": rate(0.1),
            "rate_0.2": rate(0.2),
            "rate_0.3": rate(0.3),
            "before": place("before"),
            "after": place("after"),
            "rescale_train": rescale("train"),
            "rescale_test": rescale("test"),
        },
        labels={
            "off": "no dropout",
            "rate_0.1": "dropout 0.1",
            "rate_0.2": "dropout 0.2",
            "rate_0.3": "dropout 0.3",
            "before": "dropout before fc6 and fc7",
            "after": "dropout after fc6 and fc7",
            "rescale_train": "dropout rescaled in training",
            "rescale_test": "dropout rescaled in testing",
        },
        summary="zeroes half of the hidden features at random in training; rescale_test, the paper's, leaves the "
        "others as they are and halves all in test, rescale_train doubles them in training, as torch does",
        source="Krizhevsky et al. 2012, section 4.2; Hinton et al. 2012, arXiv 1207.0580; "
        "rates: Mishkin et al. 2017, arXiv 1606.02228",
        activity=Activity(
            measure=lambda probe: probe.dropout_change(),
            unit="relative change of the logits between a masked and an unmasked pass",
        ),
    )
)
