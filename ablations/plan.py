"""What the user asked for -> a Study and its Trials, checked before anything runs.

Imports no torch: a plan is made from Specs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def make_study(
    *,
    name: str,
    grid: str,
    words: Sequence[str],
    preset: str,
    dataset: str,
    fingerprint: str,
    data_note: str = "",
    num_classes: int,
    channels: int,
    seeds: int,
    budget: Budget,
    command: str,
) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials, seed by seed, so that an interrupted study holds complete pairs.

    Raises InputError when an asked-for level changes nothing in this preset, when the reference
    cannot be built at this image size, or when a design does not take these components.
    """
    spec = PRESETS[preset].spec
    chosen = departures_of(words or grids.find(grid).defaults)
    no_ops = [departure for departure in chosen if derive(spec, Variant(departures=(departure,))) == spec]
    asked_for_all = {word.partition("=")[0] for word in words if word.endswith("=all")}
    for component_name, level in no_ops:
        if component_name not in asked_for_all:
            raise InputError(f"{component_name}={level} changes nothing in preset {preset}: a toggle without effect.")
    chosen = tuple(departure for departure in chosen if departure not in no_ops)
    _check_size(spec, preset, num_classes, channels, budget)

    design = grids.find(grid).make(chosen)
    riding = controls() if len(design.variants) > 1 else ()
    singles = [Variant(departures=(departure,)) for departure in riding]
    kept, skipped = _sift(spec, [*design.variants, *singles], num_classes, channels, budget)
    skipped = [
        *(
            Skipped(variant=Variant(departures=(no_op,)), reason=f"changes nothing in preset {preset}")
            for no_op in no_ops
        ),
        *skipped,
    ]
    trials = tuple(
        Trial(
            variant=variant,
            seed=seed,
            budget=budget,
            dataset=dataset,
            fingerprint=fingerprint,
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
        dataset=dataset,
        fingerprint=fingerprint,
        data_note=data_note,
        components=chosen,
        variants=tuple(kept),
        seeds=seeds,
        budget=budget,
        controls=tuple(control for control, _ in riding),
        keys=tuple(trial.key for trial in trials),
        skipped=tuple(skipped),
        aliases=design.aliases,
        claims=claims_of(chosen),
        command=command,
    )
    return study, trials


def _check_size(spec: Spec, preset: str, num_classes: int, channels: int, budget: Budget) -> None:
    try:
        budget.check(spec)
        layout(spec, num_classes=num_classes, image_size=budget.image_size, channels=channels)
    except ValueError as error:
        raise InputError(f"preset {preset}: {error}.") from None


def _sift(
    spec: Spec, variants: Iterable[Variant], num_classes: int, channels: int, budget: Budget
) -> tuple[list[Variant], list[Skipped]]:
    """The variants that can run and that no earlier one repeats, and the others with the reason."""
    kept: dict[Spec, Variant] = {}
    skipped: list[Skipped] = []
    for variant in variants:
        reason = _conflict_in(spec, variant)
        derived = derive(spec, variant)
        if not reason and derived in kept:
            reason = f"the same network and recipe as {kept[derived].label}"
        if not reason:
            try:
                budget.check(derived)
                layout(derived, num_classes=num_classes, image_size=budget.image_size, channels=channels)
            except ValueError as error:
                reason = str(error)
        if reason:
            skipped.append(Skipped(variant=variant, reason=reason))
        else:
            kept[derived] = variant
    return list(kept.values()), skipped


def _conflict_in(spec: Spec, variant: Variant) -> str | None:
    departures = variant.departures
    pairs = ((one, two) for index, one in enumerate(departures) for two in departures[index + 1 :])
    return next((reason for one, two in pairs if (reason := conflict(spec, one, two))), None)
