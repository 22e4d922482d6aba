"""What the user asked for -> a Study and its Trials, checked before anything runs.

Imports no torch: a plan is made from Specs alone.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ablations.cli.limits import MOST_TRIALS
from ablations.core.claim import RULE_VERSION, Claim, Rule
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Skipped, Variant
from ablations.models.equivalence import canonical
from ablations.models.layout import layout
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.planning import grids
from ablations.planning.claims import CLAIMS, claims_of
from ablations.planning.declare import judged_on
from ablations.planning.factors import changes, conflict, controls, departures_of
from ablations.subjects.alexnet.registry import component, derive
from ablations.subjects.alexnet.setting import Budget

AFFORDABLE = 100  # seeds beyond which nobody would train a study: claims that need more are declared out of reach


# What counts as a training that failed, in studies that are planned from now on.  Guessing at 10,000 images scatters by
# .3 points; a network that has learnt to tell one class from the nine others has shed 11% of the chance error.
FAILED_ABOVE = 0.95
# A change may honestly end above a linear classifier, as every network does on a short budget, so that alone is no
# failure.  A training is left behind where others of its very variant beat that classifier, and it has come less than
# half as far as the best of them: trainings of one variant that work lie within a few points of each other.
FAILED_BELOW_BEST = 0.5
# What new studies declare.  A reference that is no better than a linear classifier has not used its convolutions, so
# nothing can be said of them.  A tenth is 6 points at 62%, several standard errors of a study, and is 2 points where
# a linear classifier is as good as 20%: points alone would ask too much there.
BEATS_LINEAR_BY = 0.1
# Of ten balanced classes 40.5%: a network that misses more of its own training images is still learning, so its test
# error says how fast it learns, and its gap nothing of overfitting.
FITTED_WITHIN = 0.45


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a plan must know of its data."""

    dataset: str  # as the user named it
    fingerprint: str
    num_classes: int
    channels: int
    note: str = ""  # what a reader must know of them
    chance_error_percent: float | None = None  # of always naming the commonest class of the evaluation images


def reference(preset: str, source: Source, budget: Budget) -> Spec:
    """What the variants of a study depart from.  Raises InputError when it cannot be built for these images."""
    spec = budget.sized(PRESETS[preset].spec)
    if problem := _unbuildable(spec, source, budget):
        raise InputError(f"preset {preset}: {problem}.")
    return spec


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
    claims: Sequence[Claim] = CLAIMS,
    looks: tuple[int, ...] = (),
    resolution: int = grids.RESOLUTIONS[0],
) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials, seed by seed, so that an interrupted study holds complete pairs.

    It holds those of `claims` that are about its departures, and the rule that will judge them, once or after each
    of so many seeds as `looks` says.  A fraction has that `resolution`.

    What the grid chose by itself, or `=all` brought along, is left out with the reason where it changes
    nothing in this preset.  Raises InputError when a level that was asked for by itself changes nothing,
    when the reference cannot be built at this image size, or when a design does not take these components.
    """
    spec = reference(preset, source, budget)
    chosen, no_ops = _effective(spec, preset, words, grids.find(grid))
    resolution = resolution if grids.find(grid).resolved else grids.RESOLUTIONS[0]
    design = _designed(grids.find(grid), chosen, no_ops, resolution)
    riding = controls(grids.find(grid).controls) if len(design.variants) > 1 else ()
    singles = [Variant(departures=(departure,)) for departure in riding]
    kept, skipped = _sift(spec, [*design.variants, *singles], source, budget)
    if seeds * len(kept) > MOST_TRIALS:
        raise InputError(
            f"{seeds:,} seeds of {len(kept):,} variants are {seeds * len(kept):,} trials, and a study has "
            f"{MOST_TRIALS:,} at most: lower --seeds, or name fewer --components."
        )
    trials = tuple(
        Trial(
            variant=variant,
            seed=seed,
            budget=budget,
            dataset=source.dataset,
            fingerprint=source.fingerprint,
            preset=preset,
            spec=derived,
        )
        for seed in range(seeds)
        for variant, derived in kept.items()
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
        claims=judged_on(grids.find(grid), claims_of(chosen, budget, claims, preset=preset)),
        rule=Rule(
            version=RULE_VERSION,
            affordable=AFFORDABLE,
            looks=looks,
            negligible=tuple(sorted({name: component(name).activity.negligible for name, _ in chosen}.items())),
            failed_above=FAILED_ABOVE,
            failed_below_best=FAILED_BELOW_BEST,
            beats_linear_by=BEATS_LINEAR_BY,
            fitted_within=FITTED_WITHIN,
        ),
        chance_error_percent=source.chance_error_percent,
        command=command,
        resolution=resolution,
    )
    return study, trials


def _effective(
    spec: Spec, preset: str, words: Sequence[str], grid: grids.Grid
) -> tuple[tuple[Departure, ...], list[Skipped]]:
    """The departures that change something, and the others that nobody asked for by themselves.

    Raises InputError on one without effect that was, and when nothing is left.
    """
    named = {departure for word in words if not word.endswith("=all") for departure in departures_of([word])}
    chosen: list[Departure] = []
    no_ops: list[Skipped] = []
    for departure in departures_of(words or grid.defaults):
        alone = Variant(departures=(departure,))
        reason = f"changes nothing in preset {preset}"
        if changes(spec, alone):
            chosen.append(departure)
        elif departure not in named:
            no_ops.append(Skipped(variant=alone, reason=reason))
        else:
            raise InputError(f"{'='.join(departure)} {reason}, and {_instead(spec, departure[0])}.")
    if no_ops and not chosen:
        raise InputError(
            f"nothing is left to study in preset {preset}, where {_list(no_ops)} change nothing; "
            "choose other components with --components."
        )
    return tuple(chosen), no_ops


def _instead(spec: Spec, name: str) -> str:
    """What the component `name` can do here."""
    levels = [level for level in component(name).levels if changes(spec, Variant(departures=((name, level),)))]
    return f"{name}={' or '.join(levels)} does" if levels else f"no level of {name} does"


def _designed(
    grid: grids.Grid, chosen: Sequence[Departure], no_ops: Sequence[Skipped], resolution: int
) -> grids.Design:
    try:
        return grid.make(chosen, resolution) if grid.resolved else grid.make(chosen)
    except InputError as error:
        if not no_ops:
            raise
        raise InputError(f"{error} Already left out, as without effect in this preset: {_list(no_ops)}.") from None


def _list(skipped: Sequence[Skipped]) -> str:
    return ", ".join("=".join(*one.variant.departures) for one in skipped)


def _unbuildable(spec: Spec, source: Source, budget: Budget) -> str:
    """Why `spec` cannot be built for these images, or an empty string."""
    try:
        layout(spec, num_classes=source.num_classes, image_size=budget.image_size, channels=source.channels)
        budget.check(spec)
    except ValueError as error:
        return str(error)
    return ""


def _sift(
    spec: Spec, variants: Iterable[Variant], source: Source, budget: Budget
) -> tuple[dict[Variant, Spec], list[Skipped]]:
    """The variants that can run and that no earlier one repeats with their Specs, and the others with the reason."""
    pairwise = functools.cache(functools.partial(conflict, spec))
    kept: dict[Variant, Spec] = {}
    seen: dict[Spec, Variant] = {}
    skipped: list[Skipped] = []
    for variant in variants:
        derived = derive(spec, variant)
        conflicts = (pairwise(one, two) for one, two in itertools.combinations(variant.departures, 2))
        reason = next(filter(None, conflicts), None)
        same = seen.get(canonical(derived))
        if not reason and same is not None:
            reason = f"the same network and recipe as {same.label}"
        reason = reason or _unbuildable(derived, source, budget)
        if reason:
            skipped.append(Skipped(variant=variant, reason=reason))
        else:
            kept[variant] = derived
            seen[canonical(derived)] = variant
    return kept, skipped
