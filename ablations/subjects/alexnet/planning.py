"""The parts of planning a study of AlexNet that need images or torch: the setting, paces, and where images are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ablations.core.errors import InputError, printable
from ablations.core.machine import memory_here
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.text import counted
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models.layout import layout
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, stored_size
from ablations.records.predictions import MOST_PROBABILITIES
from ablations.subjects.alexnet import packing as packs
from ablations.subjects.alexnet.baseline import limits, linear_error_percent
from ablations.subjects.alexnet.data.catalogue import cache_folder, dataset, note_of
from ablations.subjects.alexnet.data.load import (
    Data,
    chance_error_percent,
    evaluated_labels,
    held_out,
    image_bytes,
    load,
    memory_bytes,
)
from ablations.subjects.alexnet.data.memory import read_window
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.data.read_ahead import block_of
from ablations.subjects.alexnet.metrics import setting_of
from ablations.subjects.alexnet.setting import Budget, budget_of, spec_of
from ablations.subjects.alexnet.timing import Pace, paces_of
from ablations.subjects.alexnet.trial import open_data

if TYPE_CHECKING:
    from ablations.subjects.alexnet.options import Options  # which needs tyro


def setting(options: Options, place: Place, before: Study | None, *, beside: int) -> Setting:
    """Returns the setting of a study, decoding its images if that has not been done yet.

    `before` is the study on disk, and `beside` the number of trials that run on one machine at a time.
    Raises InputError when the data are not available or when the reference cannot be built for them.
    """
    assert options.preset and options.epochs and options.batch_size  # the command line has filled them in
    spec = PRESETS[options.preset].spec
    described = dataset(options.dataset)
    image_size = options.image_size or min(spec.image_size, described.native_size or spec.image_size)
    usual = stored_size(spec, image_size)
    size = options.base_size or usual
    budget = Budget(
        epochs=options.epochs,
        train_examples=options.train_examples or 0,
        batch_size=options.batch_size,
        image_size=image_size,
        evaluate_on=options.evaluate_on,
        # Normalised, so that trials with the same evaluations have the same key however they were asked for.
        evaluate_every=1 if options.stop_at_threshold else min(options.evaluate_every, options.epochs),
        threshold_percent=options.threshold,
        threshold_every=options.threshold_every,
        stop_at_threshold=options.stop_at_threshold,
        precision=options.precision,
        base_size=size if size != usual else 0,  # likewise for the same images
        learning_rate=options.learning_rate if options.learning_rate != spec.learning_rate else None,
    )
    spec = budget.given(spec)
    # Checked twice: now, so that a mistake is found before a million images are decoded, and below for the data's own
    # classes and channels.
    _check(options, budget, spec, classes=described.num_classes or 1, channels=described.channels)
    prepared = prepare(options.dataset, data_root=options.data_root, size=size, cache=cache_folder())
    data = load(prepared)
    _check(options, budget, spec, classes=data.num_classes, channels=data.channels)
    budget = replace(budget, train_examples=_train_examples(options, data))
    window = read_window(options, data, budget, before, gpus=place.gpus, workers=beside)
    budget = replace(budget, read_window=window if window < budget.train_examples else 0)
    note = printable(note_of(options.dataset))
    return replace(
        shared_by(data, options.preset, budget, dataset=options.dataset, every=options.evaluate_every), note=note
    )


def shared_by(data: Data, preset: str, budget: Budget, *, dataset: str, every: int | None = None) -> Setting:
    """What trials of that budget share; `every` is --evaluate-every, which a short trial shortens."""
    labels = evaluated_labels(data, budget.evaluate_on)
    shared = setting_of(
        preset,
        budget,
        dataset=dataset,
        fingerprint=data.fingerprint,
        every=every,
        facts={
            "classes": data.num_classes,
            "channels": data.channels,
            "train_images": len(data.train.labels),
            "test_images": len(data.test.labels),
            "held_out_train_images": _available(data, "validation"),
            "stored_size": data.size,
            "baseline_saw": limits(budget),
        },
    )
    return replace(shared, guessing=chance_error_percent(labels), examples=len(labels))


def _check(options: Options, budget: Budget, spec: Spec, *, classes: int, channels: int) -> None:
    """Raises InputError when the reference cannot be built for these images."""
    try:
        layout(spec, num_classes=classes, image_size=budget.image_size, channels=channels)
        budget.check(spec)
    except ValueError as error:
        advice = _larger(options, budget, spec, classes, channels)
        raise InputError(f"preset {options.preset}: {error}{advice}.") from None


def _larger(options: Options, budget: Budget, spec: Spec, classes: int, channels: int) -> str:
    """The smallest --image-size at which the reference can be built, where that is what its images lack."""
    own = PRESETS[options.preset or ""].spec.image_size
    for size in range(budget.image_size, own + 1):
        try:
            layout(spec, num_classes=classes, image_size=size, channels=channels)
        except ValueError:
            continue
        if size == budget.image_size:
            return ""
        return f"; --image-size {size} is the least that it takes, to which images are enlarged; its own is {own}"
    return ""


def with_baseline(setting: Setting, options: Options, before: Study | None) -> Setting:
    """Returns `setting` with the linear baseline on the images of its trials.

    If the study on disk has one for the same images, that is kept: the study has been judged by it, and on another
    machine rounding may classify an image differently.
    """
    budget = budget_of(setting.config)
    if before and before.setting.baseline is not None and before.setting.fingerprint == setting.fingerprint:
        then = budget_of(before.setting.config)
        seen = ("train_examples", "image_size", "evaluate_on")
        if all(getattr(then, name) == getattr(budget, name) for name in seen):
            return replace(setting, baseline=before.setting.baseline)
    prepared = prepare(
        options.dataset,
        data_root=options.data_root,
        size=setting.facts["stored_size"],
        cache=cache_folder(),
        quiet=True,
    )
    error = linear_error_percent(spec_of(setting.config), budget, load(prepared), prepared)
    return replace(setting, baseline=error)


def _available(data: Data, evaluate_on: str) -> int:
    """Returns the number of images that can be trained on."""
    return len(data.train.labels) - (int(held_out(data.train).sum()) if evaluate_on == "validation" else 0)


def _train_examples(options: Options, data: Data) -> int:
    available = _available(data, options.evaluate_on)
    asked = options.train_examples or available
    if asked > available:
        raise InputError(f"--train-examples {asked} is more than the {available} training images of {options.dataset}.")
    return asked


def _device(gpus: float) -> torch.device | None:
    """Returns the device of trials that hold `gpus` of a GPU; None if they need one and this machine has none.

    Then other machines of the cluster have it.
    """
    if not gpus:
        return torch.device("cpu")
    return torch.device("cuda") if torch.cuda.is_available() else None


def paces(trials: Sequence[Trial], place: Place) -> Mapping[Variant, Pace] | None:
    """Returns the pace of each variant on this machine, with the images where a trial would have them.

    Returns None if trials need a GPU and only other machines of the cluster have one.
    """
    device = _device(place.gpus)
    if device is None:
        return None
    return paces_of(trials, open_data(trials[0], place, device), threads=place.threads, device=device)


def packing(trial: Trial, place: Place) -> tuple[int, float]:
    """Returns how many trainings should take turns on a GPU, and the gain, by timing steps of `trial`."""
    device = torch.device("cuda")
    return packs.chosen(trial, open_data(trial, place, device), device=device, share=place.gpus)


def notes(study: Study, place: Place) -> list[tuple[str, str]]:
    """Returns (word, sentence) pairs: where images are kept, in which order they are read, whether predictions are."""
    device = _device(place.gpus)
    setting, budget = study.setting, budget_of(study.setting.config)
    trial = Trial(variant=Variant(), seed=0, data=setting.data, fingerprint=setting.fingerprint, config=setting.config)
    data = open_data(trial, place, torch.device("cpu"))
    asked = place.options.get("memory_budget")
    found = []
    if budget.read_window:
        found.append(("order", _order(budget)))
    if device and (
        where := _kept(data, device, memory_bytes(asked, device, share=place.gpus), asked=asked is not None)
    ):
        found.append(("memory", where))
    numbers = setting.examples * data.num_classes
    if numbers > MOST_PROBABILITIES:
        most = f"more than the {MOST_PROBABILITIES:,} that are kept: no ensembles"
        found.append(("predicts", f"{numbers:,} probabilities a trial, {most}"))
    return found


def _kept(data: Data, device: torch.device, room: float, *, asked: bool) -> str:
    """Says in a sentence where the images are kept; empty on a CPU whose memory holds them, which needs no mention."""
    size, budget = (f"{number / 2**30:.1f} GiB" for number in (image_bytes(data), room))
    mapped = f"{size} of images at {data.size} px are read from disk through a memory map"
    if device.type != "cpu":
        held = f"{size} of images at {data.size} px are held on the GPU, within the budget of {budget} a trial"
        return held if image_bytes(data) <= room else f"{mapped}: more than the budget of {budget} a trial"
    if image_bytes(data) > (here := memory_here()):
        return (
            f"{mapped}, more than the {here / 2**30:.1f} GiB of this machine: an epoch takes as long as the disk does"
        )
    return f"{mapped}; --memory-budget has no effect without a GPU" if asked else ""


def _order(budget: Budget) -> str:
    """Says how epochs are ordered when they are not fully shuffled."""
    neighbours = block_of(budget.read_window)
    blocks = f"blocks of {counted(neighbours, 'neighbour')}" if neighbours > 1 else "images"
    return (
        f"epochs take {blocks} from everywhere, and shuffle them {budget.read_window:,} images at a time, so that the "
        f"disk reads in long runs; part of the trials' keys, and --read-window 0 is the usual full shuffle"
    )
