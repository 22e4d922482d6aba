"""What a study says before it starts: what will run, on which data and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ablations.data.load import Data
from ablations.estimate import seconds_a_trial
from ablations.types import Study, Trial, Variant
from ablations.words import counted, duration
from models.layout import layout, macs, parameters

REASONS = 4  # that are spelled out for what a grid left out


def announce(
    study: Study,
    trials: Sequence[Trial],
    missing: Sequence[Trial],
    data: Data,
    *,
    workers: int,
    threads: int,
    gpus: float,
    full: bool,
) -> float:
    """Prints the study in a few lines, and returns the seconds that its missing trials should take.

    With `full`, every variant and everything left out is printed too.
    """
    budget = study.budget
    sizes = [counted(len(study.variants), "variant"), counted(study.seeds, "seed")]
    print(f"study     {study.name}: {' x '.join(sizes)} = {counted(len(trials), 'trial')}")
    print(
        f"data      {study.dataset}: {len(data.train.labels):,} training and {len(data.test.labels):,} test images, "
        f"{len(data.classes)} classes{f'; {study.data_note}' if study.data_note else ''}"
    )
    print(
        f"trial     {study.preset} at {budget.image_size} px, {budget.epochs} epochs of "
        f"{budget.train_examples:,} images in batches of {budget.batch_size}"
    )
    if not full:
        _print_skipped(study)
    print("more      --dataset cifar10 or folder:PATH, --preset, --epochs, --seeds, --components", flush=True)
    if not missing and not full:
        print("expected  nothing to train: every trial has its record", flush=True)
        return 0.0
    seconds = seconds_a_trial(trials, data, threads=threads, device=torch.device("cuda" if gpus else "cpu"))
    if full:
        _print_variants(study, trials, data, seconds)
    at_a_time = max(1, min(workers, len(missing)))
    total = sum(seconds[trial.variant] for trial in missing) / at_a_time
    have = f", {len(trials) - len(missing)} of {len(trials)} trials have their records" if missing != trials else ""
    where = f"{at_a_time} at a time on {'GPUs' if gpus else 'processor cores'}"
    print(f"expected  about {duration(round(total))}, {where}, from timing a few steps{have}", flush=True)
    return total


def _print_skipped(study: Study) -> None:
    """A line a reason, few enough to be read; all of them are in the report."""
    reasons: dict[str, list[str]] = {}
    for skipped in study.skipped:
        reasons.setdefault(skipped.reason, []).append(skipped.variant.label)
    for reason, labels in list(reasons.items())[:REASONS]:
        print(f"left out  {', '.join(labels)}: {reason}")
    if len(reasons) > REASONS:
        print(f"left out  for {len(reasons) - REASONS} more reasons, which --dry-run lists")


def _print_variants(study: Study, trials: Sequence[Trial], data: Data, seconds: Mapping[Variant, float]) -> None:
    width = max(len(variant.label) for variant in study.variants)
    print(f"\n{'variant':<{width}}{'parameters':>14}{'MACs':>16}{'a trial':>10}")
    for trial in trials[: len(study.variants)]:
        layers = layout(
            trial.spec, num_classes=data.num_classes, image_size=study.budget.image_size, channels=data.channels
        )
        row = f"{parameters(layers):>14,}{macs(layers):>16,}{seconds[trial.variant]:>8.1f} s"
        print(f"{trial.variant.label:<{width}}{row}")
    for skipped in study.skipped:
        print(f"skipped {skipped.variant.label}: {skipped.reason}")
    for alias in study.aliases:
        print(f"alias   {alias}")
    print()
