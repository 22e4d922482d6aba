"""What the user asked for -> a Study and its Trials, checked before anything runs.

Knows no subject: what departures make of a config is asked of `ablations.core.subject`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from ablations.core.claim import RULE_VERSION, Rule
from ablations.core.errors import InputError
from ablations.core.limits import MOST_TRIALS
from ablations.core.load import PLACEBO, SABOTAGE, load
from ablations.core.setting import Config, Setting
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Skipped, Variant
from ablations.planning import grids
from ablations.planning.claims import claims_of, judged_on, with_own
from ablations.planning.factors import Forms, controls, departures_of
from ablations.planning.request import Request

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


def make_study(request: Request, setting: Setting) -> tuple[Study, tuple[Trial, ...]]:
    """The study and its trials, seed by seed, so that an interrupted study holds complete pairs.

    It holds those of the published claims, and of the user's own, that are about its departures, and the rule that will
    judge them, once or after each of the looks that were asked for.

    What the grid chose by itself, or `=all` brought along, is left out with the reason where it changes
    nothing here.  Raises InputError when a level that was asked for by itself changes nothing,
    when the reference cannot be run, when a design does not take these components, and when the claims cannot be read.
    """
    subject = load(request.subject).name  # whatever name it was found by: what it says of itself is in every key
    asked = grids.find(request.grid, subject)
    forms = Forms(subject, setting)
    check_reference(subject, setting)
    chosen, no_ops = _effective(forms, request.words, asked)
    resolution = request.resolution if asked.resolved else grids.RESOLUTIONS[0]
    design = _designed(asked, chosen, no_ops, resolution)
    riding = controls(subject, asked.controls) if len(design.variants) > 1 else ()
    singles = [Variant(departures=(departure,)) for departure in riding]
    kept, skipped = _sift(forms, [*design.variants, *singles])
    trials = _trials(request, subject, setting, kept)
    among = with_own(request.claims, subject)
    study = Study(
        name=request.name,
        grid=request.grid,
        subject=subject,
        setting=setting,
        components=chosen,
        variants=tuple(kept),
        seeds=request.seeds,
        controls=tuple(control for control, _ in riding),
        wanted=_wanted(subject, asked),
        question=asked.summary,
        estimand=asked.estimand,
        factorial=asked.factorial,
        keys=tuple(trial.key for trial in trials),
        skipped=(*no_ops, *skipped),
        aliases=design.aliases,
        claims=judged_on(asked, claims_of(chosen, setting, among)),
        rule=_rule(subject, chosen, request.look_seeds),
        command=request.command,
        resolution=resolution,
    )
    return study, trials


def _trials(request: Request, subject: str, setting: Setting, kept: Mapping[Variant, Config]) -> tuple[Trial, ...]:
    """Every seed of every variant on every data set.  Raises InputError on too many for any study."""
    count = request.seeds * len(kept) * len(setting.each)
    if count > MOST_TRIALS:
        on = f" on {len(setting.blocks):,} data sets" if setting.blocks else ""
        raise InputError(
            f"{request.seeds:,} seeds of {len(kept):,} variants{on} are {count:,} trials, and a study has "
            f"{MOST_TRIALS:,} at most: lower --seeds, or name fewer --components."
        )
    return tuple(
        Trial(
            variant=variant,
            seed=seed,
            data=one.data,
            fingerprint=one.fingerprint,
            config=config,
            subject=subject,
        )
        for seed in range(request.seeds)
        for one in setting.each
        for variant, config in kept.items()
    )


def _wanted(subject: str, grid: grids.Grid) -> tuple[str, ...]:
    """The controls that must have behaved: those of the grid that the subject has."""
    known = load(subject).components
    return tuple(one for one in (SABOTAGE, PLACEBO) if one in known and (grid.controls is None or one in grid.controls))


def _rule(subject: str, chosen: Sequence[Departure], looks: tuple[int, ...]) -> Rule:
    """What studies that are planned from now on are judged by."""
    known = load(subject).components
    return Rule(
        version=RULE_VERSION,
        affordable=AFFORDABLE,
        looks=looks,
        negligible=tuple(sorted({name: known[name].negligible for name, _ in chosen}.items())),
        failed_above=FAILED_ABOVE,
        failed_below_best=FAILED_BELOW_BEST,
        beats_linear_by=BEATS_LINEAR_BY,
        fitted_within=FITTED_WITHIN,
    )


def check_reference(subject: str, setting: Setting) -> None:
    """Raises InputError when the reference cannot be run in this setting."""
    try:
        load(subject).check(setting, setting.config)
    except ValueError as error:
        raise InputError(f"{setting.facts.get('reference', 'the reference')}: {error}.") from None


def _effective(forms: Forms, words: Sequence[str], grid: grids.Grid) -> tuple[tuple[Departure, ...], list[Skipped]]:
    """The departures that change something, and the others that nobody asked for by themselves.

    Raises InputError on one without effect that was, and when nothing is left.
    """
    named = {one for word in words if not word.endswith("=all") for one in departures_of(forms.subject.name, [word])}
    chosen: list[Departure] = []
    no_ops: list[Skipped] = []
    where = forms.setting.facts.get("reference", "the reference")
    for departure in departures_of(forms.subject.name, words or grid.defaults):
        reason = f"changes nothing in {where}"
        if forms.changes(departure):
            chosen.append(departure)
        elif departure not in named:
            no_ops.append(Skipped(variant=Variant(departures=(departure,)), reason=reason))
        else:
            raise InputError(f"{'='.join(departure)} {reason}, and {_instead(forms, departure[0])}.")
    if no_ops and not chosen:
        raise InputError(
            f"nothing is left to study in {where}, where {_list(no_ops)} change nothing; "
            "choose other components with --components."
        )
    return tuple(chosen), no_ops


def _instead(forms: Forms, name: str) -> str:
    """What the component `name` can do here."""
    levels = [level for level in forms.subject.components[name].levels if forms.changes((name, level))]
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


def _sift(forms: Forms, variants: Iterable[Variant]) -> tuple[dict[Variant, Config], list[Skipped]]:
    """The variants that can run and that no earlier one repeats with their configs, and the others with the reason."""
    kept: dict[Variant, Config] = {}
    seen: dict[object, Variant] = {}
    skipped: list[Skipped] = []
    for variant in variants:
        conflicts = (forms.conflict(one, two) for one, two in itertools.combinations(variant.departures, 2))
        reason = next(filter(None, conflicts), "")
        same = seen.get(forms.form(*variant.departures))
        if not reason and same is not None:
            reason = f"the same network and recipe as {same.label}"
        reason = reason or _unbuildable(forms, variant)
        if reason:
            skipped.append(Skipped(variant=variant, reason=reason))
        else:
            kept[variant] = forms.config(*variant.departures)
            seen[forms.form(*variant.departures)] = variant
    return kept, skipped


def _unbuildable(forms: Forms, variant: Variant) -> str:
    """Why a variant cannot be run in this setting, or an empty string."""
    try:
        forms.subject.check(forms.setting, forms.config(*variant.departures))
    except ValueError as error:
        return str(error)
    return ""
