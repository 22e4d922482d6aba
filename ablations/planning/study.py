"""From a request to a Study and its Trials, which are checked before anything runs.

Nothing here is about a particular subject: what departures make of a config is asked of the subject's own hooks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from ablations.core.claim import ONE_IN, RULE_VERSION, Rule
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


# The numbers that the rule of a new study declares.
#
# A training whose error is above this share of the chance error has failed.  With ten balanced classes, the error of
# guessing at 10,000 images has a standard error of 0.3 points, and a network that has learnt to tell one class from the
# others has already reduced the chance error by 11%.
FAILED_ABOVE = 0.95
# A training also has failed if it is worse than a linear classifier, others of its variant are better than that, and it
# is less than this share as far below the chance error as the best of them.  Trainings of one variant that work lie
# within a few points of each other.  To be worse than a linear classifier is no failure by itself, because after a
# short training every network is.
FAILED_BELOW_BEST = 0.5
# The reference's error must be lower than a linear classifier's by this share of it: a network that is no better has
# not used its convolutions, so nothing can be said of them.  A tenth is 6 points at 62%, which is several standard
# errors of a study, and 2 points at 20%.  A fixed number of points would ask too much of a study whose linear
# classifier is that good.
BEATS_LINEAR_BY = 0.1
# The reference's error on its own training images may be this share of the chance error: 40.5% for ten balanced
# classes.  A network that misses more is still learning: its test error then says how fast it learns, and its gap says
# nothing of overfitting.
FITTED_WITHIN = 0.45


def make_study(request: Request, setting: Setting) -> tuple[Study, tuple[Trial, ...]]:
    """Returns the study and its trials, in the order of their seeds, so that an interrupted study has complete pairs.

    The study has those claims, published or the user's own, that are about its departures, and the rule that will judge
    them.  A departure that changes nothing in this setting is left out, with the reason, if the grid chose it or if
    `=all` did.

    Raises InputError if a level that was asked for by its name changes nothing, if the reference cannot be run, if the
    grid does not take these components, if there are too many trials, or if the claims cannot be read.
    """
    subject = load(request.subject).name  # keys contain the subject's own name, by whatever name it was found
    asked = grids.find(request.grid, subject)
    forms = Forms(subject, setting)
    check_reference(subject, setting)
    chosen, no_ops = _effective(forms, request.words, asked)
    resolution = request.resolution if asked.resolved else grids.RESOLUTIONS[0]
    design = _designed(asked, chosen, no_ops, resolution)
    riding = controls(subject, asked.controls) if len(design.variants) > 1 else ()
    singles = [Variant(departures=(departure,)) for departure in riding]
    kept, skipped = _sift(forms, [*design.variants, *singles])
    _check_whole(asked, chosen, skipped)
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


def _check_whole(asked: grids.Grid, chosen: tuple[Departure, ...], skipped: Sequence[Skipped]) -> None:
    """Raises InputError if a grid that compares with all changes at once cannot make them all at once."""
    why = next((one.reason for one in skipped if set(one.variant.departures) == set(chosen)), "")
    if asked.estimand == ONE_IN and len(chosen) > 1 and why:
        raise InputError(
            f"--grid {asked.name} trains all changes at once, and these cannot be combined: {why}; name fewer "
            "--components, or take --grid one_out."
        )


def _trials(request: Request, subject: str, setting: Setting, kept: Mapping[Variant, Config]) -> tuple[Trial, ...]:
    """Returns every seed of every variant on every data set.  Raises InputError if there are more than MOST_TRIALS."""
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
    """Returns the controls that must have behaved before anything is judged: those of the grid that the subject has."""
    known = load(subject).components
    return tuple(one for one in (SABOTAGE, PLACEBO) if one in known and (grid.controls is None or one in grid.controls))


def _rule(subject: str, chosen: Sequence[Departure], looks: tuple[int, ...]) -> Rule:
    """Returns the rule by which a new study is judged."""
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
    """Raises InputError if the reference cannot be run in this setting."""
    try:
        load(subject).check(setting, setting.config)
    except ValueError as error:
        raise InputError(f"{setting.facts.get('reference', 'the reference')}: {error}.") from None


def _effective(forms: Forms, words: Sequence[str], grid: grids.Grid) -> tuple[tuple[Departure, ...], list[Skipped]]:
    """Returns the departures that change something in this setting, and those that do not, with the reason.

    Raises InputError if a departure that changes nothing was asked for by its name, and if no departure is left.
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
    """Returns a clause on which levels of the component `name` change something here."""
    levels = [level for level in forms.subject.components[name].levels if forms.changes((name, level))]
    return f"{name}={' or '.join(levels)} does" if levels else f"no level of {name} does"


def _designed(
    grid: grids.Grid, chosen: Sequence[Departure], no_ops: Sequence[Skipped], resolution: int
) -> grids.Design:
    """Returns the grid's design.  If the grid does not take these components, the error also names the no-ops."""
    try:
        return grid.make(chosen, resolution) if grid.resolved else grid.make(chosen)
    except InputError as error:
        if not no_ops:
            raise
        raise InputError(f"{error} Already left out, as without effect in this preset: {_list(no_ops)}.") from None


def _list(skipped: Sequence[Skipped]) -> str:
    return ", ".join("=".join(*one.variant.departures) for one in skipped)


def _sift(forms: Forms, variants: Iterable[Variant]) -> tuple[dict[Variant, Config], list[Skipped]]:
    """Returns the variants to train, with their configs, and those that are left out, with the reason.

    A variant is left out if two of its departures conflict, if it repeats an earlier variant, or if it cannot run.
    """
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
    """Returns why a variant cannot be run in this setting, or an empty string."""
    try:
        forms.subject.check(forms.setting, forms.config(*variant.departures))
    except ValueError as error:
        return str(error)
    return ""
