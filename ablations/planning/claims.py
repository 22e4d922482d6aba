"""Which claims a study can judge: the published ones, and those of a file of the user's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ablations.core.claim import ONE_OUT, Claim, check_names, compared
from ablations.core.errors import InputError, shown
from ablations.core.load import FIRST
from ablations.core.result import LOG_STEPS
from ablations.core.setting import Setting
from ablations.core.variant import Departure
from ablations.planning.grids import Grid
from ablations.records.claims import published, read_claims


def with_own(path: Path | None, subject: str = FIRST) -> tuple[Claim, ...]:
    """Returns the published claims, and those in the user's own file at `path`, if there is one.

    Raises InputError if a claim of the file has the name of a published one, if the file cannot be read, or if two
    published claims have one name.  The claims of every study are taken from these.
    """
    own = read_claims(path, subject) if path else ()
    try:
        check_names(published(subject))
    except InputError as error:
        raise InputError(f"the subject {shown(subject)} cannot be studied: {error}") from None
    taken = {claim.name for claim in published(subject)}
    for claim in own:
        if claim.name in taken:
            raise InputError(f"claims file {shown(path)}: the name {claim.name!r} is taken by a published claim.")
    return (*published(subject), *own)


def check_epochs(claims: Iterable[Claim], epochs: int | None, subject: str = FIRST) -> None:
    """Raises InputError if a claim of the user's own is about an epoch after the last of `epochs`.

    Nothing is checked if `epochs` is None: not known yet.  A published claim on a later epoch is no error; the study
    leaves it out.
    """
    known = {claim.name for claim in published(subject)}
    for claim in claims:
        if epochs and claim.epoch and claim.epoch > epochs and claim.name not in known:
            raise InputError(
                f"claim {shown(claim.name)} is read after epoch {claim.epoch}, and the study ends after {epochs}: "
                "raise --epochs, or lower the claim's epoch."
            )


def own_among(judged: Sequence[Claim], path: Path | None, subject: str = FIRST) -> set[str]:
    """Returns the names of the user's claims that a study judges, and prints those that it does not.

    Raises InputError if there are claims of the user's own and the study judges none of them.
    """
    own = [claim.name for claim in (read_claims(path, subject) if path else ())]
    names = {claim.name for claim in judged} & set(own)
    left = ", ".join(name for name in own if name not in names)
    if own and not names:
        raise InputError(f"no claim in {str(path)!r} is about a change that this study makes: {left}.")
    if left:
        print(f"not judged, as this study does not make the change, or measure it then: {left}", file=sys.stderr)
    return names


def claims_of(departures: Iterable[Departure], setting: Setting, claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Returns those of `claims`, in their order, that a study of these departures in this setting can judge.

    A claim needs the departures that it compares.  One on the steps to a target needs a target; if trials end at the
    target, no other metric can be judged, because trials then end after different work.  One on an evaluated metric
    after an early epoch needs an evaluation there.  Claims on certain presets only are left out of studies of others.
    """
    wanted, preset = set(departures), setting.facts.get("preset", "")

    def meant(claim: Claim) -> bool:
        return not claim.conditions.presets_only or preset in claim.conditions.presets

    def measured(claim: Claim) -> bool:
        if claim.companion and not measured(claim.companion):
            return False
        if claim.metric == LOG_STEPS:
            return setting.target is not None
        if claim.epoch and claim.epoch > setting.work:
            return False
        if claim.epoch and claim.metric.startswith("test_"):
            return setting.evaluates(claim.epoch)
        return not setting.races

    return tuple(claim for claim in claims if set(compared(claim)) <= wanted and meant(claim) and measured(claim))


def judged_on(grid: Grid, claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Returns `claims` with the estimand of the grid.

    Claims that compare two departures need variants with each of them alone, and are left out of grids without those.
    """
    return tuple(
        replace(claim, estimand=ONE_OUT if claim.against else grid.estimand)
        for claim in claims
        if grid.singles or not claim.against
    )
