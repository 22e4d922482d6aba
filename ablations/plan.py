"""What the user asked for -> a Study and its Trials, checked before anything runs.

Imports no torch: a plan is made from Specs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ablations import grids
from ablations.claims import claims_of
from ablations.names import InputError
from ablations.registry import component, components, conflict, derive
from ablations.types import Budget, Skipped, Study, Trial, Variant
from models.layout import layout
from models.presets import PRESETS
from models.spec import Spec

Departure = tuple[str, str]


def departures_of(words: Sequence[str]) -> tuple[Departure, ...]:
    """The (component, level) pairs that `words` ask for.

    `lrn` is the component's first level, `lrn=batch_norm` that level, `lrn=all` every level.
    Raises InputError on an unknown name, and on a control, which every study holds anyway.
    """
    chosen: list[Departure] = []
    for word in words:
        name, _, level = word.partition("=")
        found = component(name)
        if found.control:
            raise InputError(f"{name} is a control and rides along in every study; leave it out of --components.")
        levels = list(found.levels) if level == "all" else [level or next(iter(found.levels))]
        for one in levels:
            derive(PRESETS["paper"].spec, Variant(departures=((name, one),)))  # an unknown level raises
            if (name, one) not in chosen:
                chosen.append((name, one))
    return tuple(chosen)


def controls() -> tuple[Departure, ...]:
    """The first level of every control: a placebo and a sabotage."""
    return tuple((name, next(iter(found.levels))) for name, found in components().items() if found.control)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a plan must know of its data."""

    dataset: str  # as the user named it
    fingerprint: str
    num_classes: int
    channels: int
    note: str = ""  # what a reader must know of them


def make_study(
    *,
    name: str,
    grid: str,
    words: Sequence[str],
    preset: str,
    source: Source,
    seeds: int,
    budget: Budget,
    command: str,
) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials, seed by seed, so that an interrupted study holds complete pairs.

    Raises InputError when an asked-for level changes nothing in this preset, when the reference
    cannot be built at this image size, or when a design does not take these components.
    """
    spec = PRESETS[preset].spec
    if problem := _unbuildable(spec, source, budget):
        raise InputError(f"preset {preset}: {problem}.")
    chosen, no_ops = _effective(spec, preset, departures_of(words or grids.find(grid).defaults), words)
    design = grids.find(grid).make(chosen)
    riding = controls() if len(design.variants) > 1 else ()
    singles = [Variant(departures=(departure,)) for departure in riding]
    kept, skipped = _sift(spec, [*design.variants, *singles], source, budget)
    trials = tuple(
        Trial(
            variant=variant,
            seed=seed,
            budget=budget,
            dataset=source.dataset,
            fingerprint=source.fingerprint,
            preset=preset,
            spec=derive(spec, variant),
        )
        for seed in range(seeds)
        for variant in kept
    )
    study = Study(
        name=name,
        grid=grid,
        preset=preset,
        dataset=source.dataset,
        fingerprint=source.fingerprint,
        data_note=source.note,
        components=chosen,
        variants=tuple(kept),
        seeds=seeds,
        budget=budget,
        controls=tuple(control for control, _ in riding),
        keys=tuple(trial.key for trial in trials),
        skipped=(*no_ops, *skipped),
        aliases=design.aliases,
        claims=claims_of(chosen),
        command=command,
    )
    return study, trials


def _effective(
    spec: Spec, preset: str, asked: Sequence[Departure], words: Sequence[str]
) -> tuple[tuple[Departure, ...], list[Skipped]]:
    """The departures that change something, and the others where every level of a component was asked for.

    Raises InputError on one without effect that was asked for by itself.
    """
    of_all = {word.removesuffix("=all") for word in words if word.endswith("=all")}
    chosen: list[Departure] = []
    no_ops: list[Skipped] = []
    for departure in asked:
        alone = Variant(departures=(departure,))
        reason = f"changes nothing in preset {preset}"
        if derive(spec, alone) != spec:
            chosen.append(departure)
        elif departure[0] in of_all:
            no_ops.append(Skipped(variant=alone, reason=reason))
        else:
            raise InputError(f"{'='.join(departure)} {reason}: a toggle without effect.")
    return tuple(chosen), no_ops


def _unbuildable(spec: Spec, source: Source, budget: Budget) -> str:
    """Why `spec` cannot be built for these images, or an empty string."""
    try:
        budget.check(spec)
        layout(spec, num_classes=source.num_classes, image_size=budget.image_size, channels=source.channels)
    except ValueError as error:
        return str(error)
    return ""


def _sift(
    spec: Spec, variants: Iterable[Variant], source: Source, budget: Budget
) -> tuple[list[Variant], list[Skipped]]:
    """The variants that can run and that no earlier one repeats, and the others with the reason."""
    kept: dict[Spec, Variant] = {}
    skipped: list[Skipped] = []
    for variant in variants:
        derived = derive(spec, variant)
        reason = _conflict_in(spec, variant)
        if not reason and derived in kept:
            reason = f"the same network and recipe as {kept[derived].label}"
        reason = reason or _unbuildable(derived, source, budget)
        if reason:
            skipped.append(Skipped(variant=variant, reason=reason))
        else:
            kept[derived] = variant
    return list(kept.values()), skipped


def _conflict_in(spec: Spec, variant: Variant) -> str | None:
    departures = variant.departures
    pairs = ((one, two) for index, one in enumerate(departures) for two in departures[index + 1 :])
    return next((reason for one, two in pairs if (reason := conflict(spec, one, two))), None)
