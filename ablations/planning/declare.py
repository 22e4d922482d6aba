"""Fixes a study's claims and rule before its first trial, and keeps the trace of what was changed later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ablations.core.claim import Claim, Declaration, Rule, changes, compared, digest
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.text import listed


def declare(study: Study, before: Study | None, *, records: int, at: str, anew: Collection[str] = ()) -> Study:
    """`study` with the trace of what was declared when: that of `before`, its plan on disk, and what is new.

    What was declared of a departure stays as it was, whatever a later version of the harness says of it, but for the
    claims named `anew`.  `records` is the number of trials that have one by now, and `at` the time in ISO 8601.
    Raises InputError where the looks of a sequential study would change.
    """
    kept, trace = study, tuple[Declaration, ...]()
    assert study.rule
    if before and before.rule:
        _same_looks(study.name, before.rule, study.rule)
        negligible = {**dict(study.rule.negligible), **dict(before.rule.negligible)}
        rule = replace(before.rule, negligible=tuple(sorted(negligible.items())))
        kept = replace(study, claims=_carried(study, before, anew), rule=rule)
        trace = before.declared
    assert kept.rule
    now = digest(kept.claims, kept.rule, kept.seeds)
    if trace and trace[-1].digest == now:
        return replace(kept, declared=trace)
    what = "claims, rule and seeds"
    if before and before.rule:
        what = changes((before.claims, before.rule, before.seeds), (kept.claims, kept.rule, kept.seeds)) or what
    return replace(kept, declared=(*trace, Declaration(digest=now, at=at, records=records, what=what)))


def _same_looks(name: str, before: Rule, now: Rule) -> None:
    had, asked = (f"looks after {listed(one.looks)} seeds" if one.looks else "no looks" for one in (before, now))
    if had != asked:
        raise InputError(f"study {name!r} was declared with {had}, and this run asks for {asked}: take another --name.")


def _carried(study: Study, before: Study, anew: Collection[str]) -> tuple[Claim, ...]:
    """The claims of `study` as `before` declared them; of departures that it held, no others but those `anew`."""
    old = {claim.name: claim for claim in before.claims}
    known = set(before.components)
    return tuple(
        claim if claim.name in anew else old.get(claim.name, claim)
        for claim in study.claims
        if claim.name in {*old, *anew} or not set(compared(claim)) <= known
    )
