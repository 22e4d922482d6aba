"""Fixes a study's claims and rule before its first trial, and records what was changed later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ablations.core.claim import Claim, Declaration, Rule, changes, check_names, compared, digest
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.text import listed


def declare(study: Study, before: Study | None, *, records: int, at: str, anew: Collection[str] = ()) -> Study:
    """Returns `study` with its declarations: those of `before`, its plan on disk, and one more if anything changed.

    Claims and rule of departures that `before` held stay as they were declared, even if a newer version of this package
    would declare others; only the claims named in `anew` are replaced.  `records` is the number of trials that have a
    record by now, and `at` is the time in ISO 8601.  Raises InputError if the looks of a sequential study would change,
    or if two claims have one name.
    """
    kept, trace = study, tuple[Declaration, ...]()
    if before and before.declared:
        _same_looks(study.name, before.rule, study.rule)
        negligible = {**dict(study.rule.negligible), **dict(before.rule.negligible)}
        rule = replace(before.rule, negligible=tuple(sorted(negligible.items())))
        kept = replace(study, claims=_carried(study, before, anew), rule=rule)
        trace = before.declared
    check_names(kept.claims)
    now = digest(kept.claims, kept.rule, kept.seeds)
    if trace and trace[-1].digest == now:
        return replace(kept, declared=trace)
    what = "claims, rule and seeds"
    if trace and before:
        what = changes((before.claims, before.rule, before.seeds), (kept.claims, kept.rule, kept.seeds)) or what
    return replace(kept, declared=(*trace, Declaration(digest=now, at=at, records=records, what=what)))


def _same_looks(name: str, before: Rule, now: Rule) -> None:
    """Raises InputError if two rules of the study `name` have different looks."""
    had, asked = (f"looks after {listed(one.looks)} seeds" if one.looks else "no looks" for one in (before, now))
    if had != asked:
        raise InputError(f"study {name!r} was declared with {had}, and this run asks for {asked}: take another --name.")


def _carried(study: Study, before: Study, anew: Collection[str]) -> tuple[Claim, ...]:
    """Returns the claims of `study` as `before` declared them, and those that are new.

    A claim is new if it is named in `anew` or about a departure that `before` did not hold.  Other claims that `before`
    lacks are left out: a newer version of this package may not add claims to departures that were already declared.

    A claim is known by all that it says before it is known by its name: the name of one in a study file depends on the
    claims that stand before it there.  Names that two claims of `before` shared, as an earlier version let them, are
    not known.
    """
    names = [claim.name for claim in before.claims]
    old = {claim.name: claim for claim in before.claims if names.count(claim.name) == 1}
    said = {replace(claim, name=""): old.get(claim.name) for claim in before.claims}
    as_said = {
        claim.name: said[replace(claim, name="")] or claim
        for claim in study.claims
        if claim.name not in anew and replace(claim, name="") in said
    }
    for claim in as_said.values():
        old.pop(claim.name, None)
    known = set(before.components)
    return tuple(
        as_said.get(claim.name) or (claim if claim.name in anew else old.get(claim.name, claim))
        for claim in study.claims
        if claim.name in {*as_said, *old, *anew} or not set(compared(claim)) <= known
    )
