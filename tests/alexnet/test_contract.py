"""What every registered preset and every registered component keeps, by being registered."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ablations.core.load import FIRST
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models import equivalence
from ablations.models.layout import layout, parameters
from ablations.models.network import build
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, stored_size, training_part
from ablations.planning.factors import Forms
from ablations.subjects.alexnet import registry
from ablations.subjects.alexnet import subject as subject_module
from ablations.subjects.alexnet.data.load import Data, load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.registry import components
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import train
from tests.making import setting, trial_of

EVERY_LEVEL = [(name, level) for name, component in components().items() for level in component.levels]
SMALL = ("cifar_small", "paper")  # what the longer checks see in the quick tests; all others are marked slow
MILLION = 1_000_000
Weights = dict[str, torch.Tensor]

every_preset = pytest.mark.parametrize("preset", PRESETS)


def slow_if(slow: dict[str, bool]) -> pytest.MarkDecorator:
    """Every preset, those that are true in `slow` marked so."""
    marked = [pytest.param(name, marks=pytest.mark.slow if slow[name] else ()) for name in PRESETS]
    return pytest.mark.parametrize("preset", marked)


def under(spec: Spec, departure: tuple[str, str]) -> Spec:
    return registry.derive(spec, alone(departure))


def alone(departure: tuple[str, str]) -> Variant:
    return Variant(departures=(departure,))


def images(blobs: Path, cache: Path, spec: Spec, size: int, tested: int) -> Data:
    """The `blobs` at the size that `spec` stores, with the first test images only."""
    folder = prepare(f"folder:{blobs}", data_root=None, size=stored_size(spec, size), cache=cache, quiet=True)
    data = load(folder)
    few = replace(data.test, images=data.test.images[:tested], labels=data.test.labels[:tested])
    return replace(data, test=few)


def budget(spec: Spec, *, steps: int, batch: int, size: int) -> Budget:
    """One epoch of `steps` batches."""
    evaluate_on = "validation" if spec.schedule == "plateau" else "test"
    return Budget(epochs=1, train_examples=steps * batch, batch_size=batch, image_size=size, evaluate_on=evaluate_on)


@every_preset
def test_a_preset_builds_at_its_native_size_and_has_the_parameters_that_it_states(preset: str) -> None:
    stated, spec = PRESETS[preset], PRESETS[preset].spec
    size = spec.image_size
    with torch.device("meta"):
        network = build(spec, num_classes=stated.classes, image_size=size).eval()
        assert network(torch.empty(2, 3, size, size)).shape == (2, stated.classes)
    assert sum(weight.numel() for weight in network.parameters()) == stated.parameters
    assert parameters(layout(spec, num_classes=stated.classes, image_size=size)) == stated.parameters


@slow_if({name: preset.parameters > 5 * MILLION for name, preset in PRESETS.items()})
def test_a_preset_trains_a_step_at_its_native_size_with_finite_numbers(preset: str, blobs: Path, cache: Path) -> None:
    # A hidden layer that is as wide as that of VGG costs more than all else, and adds nothing that could go wrong.
    narrow = tuple(replace(layer, features=min(layer.features, 256)) for layer in PRESETS[preset].spec.hidden)
    spec = replace(PRESETS[preset].spec, hidden=narrow)
    if PRESETS[preset].parameters > 100 * MILLION and preset != "vgg19":
        # The deepest of the VGGs keeps its maps; of the others a quarter of them is a sixteenth of the work.
        spec = replace(spec, blocks=tuple(replace(block, channels=block.channels // 4) for block in spec.blocks))
    data = images(blobs, cache, spec, spec.image_size, tested=1)
    row = train(spec, seed=0, budget=budget(spec, steps=1, batch=1, size=spec.image_size), data=data).curve[-1]
    assert all(math.isfinite(value) for value in row.values())


@every_preset
def test_a_trial_of_any_level_keeps_its_value_and_its_key_through_json(preset: str) -> None:
    keys = set()
    for departure in EVERY_LEVEL:
        spec = PRESETS[preset].spec
        few = budget(spec, steps=1, batch=8, size=32)
        trial = trial_of(under(spec, departure), few, preset=preset, variant=alone(departure))
        back = Trial.from_dict(json.loads(json.dumps(trial.to_dict())))
        assert back == trial and back.key == trial.key
        keys.add(trial.key)
    assert len(keys) == len(EVERY_LEVEL)


@pytest.fixture(name="canonical")
def remembered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Spec], Spec]:
    """`canonical`, which like `derive` is pure: both compute once what all pairs of levels ask for."""
    canonical = functools.cache(equivalence.canonical)
    monkeypatch.setattr(subject_module, "canonical", canonical)
    derive = functools.cache(registry.derive)
    for module in (registry, subject_module):
        monkeypatch.setattr(module, "derive", derive)
    return canonical


@slow_if({name: name not in SMALL for name in PRESETS})
def test_any_two_components_commute_or_are_computed_as_a_conflict(
    preset: str, canonical: Callable[[Spec], Spec]
) -> None:
    spec = PRESETS[preset].spec
    made = Forms(FIRST, setting(preset))
    derived = {departure: under(spec, departure) for departure in EVERY_LEVEL if made.changes(departure)}
    forms = {departure: canonical(one) for departure, one in derived.items()}
    for one, two in itertools.combinations(derived, 2):
        if one[0] == two[0]:
            continue  # two levels of one component are never combined
        there, back = canonical(under(derived[one], two)), canonical(under(derived[two], one))
        free = there == back and there not in (forms[one], forms[two])
        reason = made.conflict(one, two)
        if (reason == "") != free:
            raise AssertionError((one, two, reason))  # pytest's own assert takes as long as the test
        if reason and not (one[0] in reason and two[0] in reason and not reason.endswith(" ")):
            raise AssertionError(reason)


def trains_otherwise(spec: Spec, departure: tuple[str, str]) -> bool:
    """Whether a departure changes what training reads, and not the evaluation alone."""
    before, after = (equivalence.canonical(training_part(one)) for one in (spec, under(spec, departure)))
    return after != before


def shrunk(spec: Spec) -> Spec:
    """`spec` with a sixteenth of its channels and features, for what does not depend on them."""
    blocks = tuple(replace(block, channels=2 * max(1, block.channels // 32)) for block in spec.blocks)
    hidden = tuple(replace(layer, features=max(8, layer.features // 128)) for layer in spec.hidden)
    return replace(spec, blocks=blocks, hidden=hidden)


# The first preset whose training a level changes, small ones first; none for what evaluation alone reads.
BY_SIZE = sorted(PRESETS, key=lambda name: PRESETS[name].parameters)
CHANGED = {
    departure: [name for name in BY_SIZE if trains_otherwise(PRESETS[name].spec, departure)][:1]
    for departure in EVERY_LEVEL
}


@pytest.fixture(scope="module")
def trained(blobs: Path, cache: Path) -> Callable[[Spec, str], Weights]:
    """Spec, validation or not -> the weights after ten steps on the shrunk network, trained once.

    On 80 images: of a twentieth of 40 labels, which are two, a permutation may leave each where it is.
    """

    @functools.cache
    def weights(spec: Spec, evaluate_on: str) -> Weights:
        size = min(spec.image_size, 80)  # the least that leaves the largest strides a pixel
        few = replace(budget(spec, steps=10, batch=8, size=size), evaluate_on=evaluate_on)
        return train(spec, seed=0, budget=few, data=images(blobs, cache, spec, size, tested=4)).network.state_dict()

    return weights


@pytest.mark.parametrize("departure", [one for one, changed in CHANGED.items() if changed], ids="=".join)
def test_a_level_that_a_plan_accepts_changes_what_a_training_comes_to(
    departure: tuple[str, str], trained: Callable[[Spec, str], Weights]
) -> None:
    # A rewrite of a field that nothing reads would be a finding of nothing.
    reference = shrunk(PRESETS[CHANGED[departure][0]].spec)
    spec = under(reference, departure)
    evaluate_on = "validation" if spec.schedule == "plateau" else "test"
    before, after = trained(reference, evaluate_on), trained(spec, evaluate_on)
    assert all(weight.isfinite().all() for weight in after.values())
    same = before.keys() == after.keys() and all(
        before[name].shape == after[name].shape and torch.equal(before[name], after[name]) for name in before
    )
    assert not same
