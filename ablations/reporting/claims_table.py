"""All published claims: a row for each, of the study that tested it best, and a row for each study that tested it."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.analysis.rule import NOT_TESTED
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.claim import Claim
from ablations.core.labels import labels_of
from ablations.core.text import MISSING, counted, listed
from ablations.records.claims import published as published_claims
from ablations.reporting.document import Answer, Report, Section, Table
from ablations.reporting.sections.verdicts import ours, published

HEAD = ("claim (change)", "published", "measured here", "verdict", "study")


def compose(subject: str, studies: Sequence[Findings]) -> Report:
    """Returns the report on all published claims of `subject`.

    It names the studies of other subjects, which it leaves out, and says which of them was read without its study file.
    """
    about = [one for one in studies if one.study.subject == subject]
    claims = published_claims(subject)
    tested = {study.study.name: _tested(study) for study in about}
    known = sum(any(claim.name in found for found in tested.values()) for claim in claims)
    judging, idle = [name for name in tested if tested[name]], [name for name in tested if not tested[name]]
    others = [one.study.name for one in studies if one.study.subject != subject]
    who = f"{len(judging)} {'study' if len(judging) == 1 else 'studies'}"
    summary = [
        f"{who} judged {known} of {counted(len(claims), 'published claim')}; "
        f"the others were not tested. Each verdict is that of the study's own report, which has the reasons."
    ]
    if idle:
        summary.append(f"None of these claims was tested in {listed(idle)}.")
    if others:
        summary.append(f"Left out, because their claims are on something else: {listed(others)}.")
    summary += [f"{one.study.name}: {one.instead}" for one in studies if one.instead]
    best = (
        "Published claims, each by the study that tested it best: one whose reference fits, then one with more pairs."
    )
    every = "What each study that tested a claim found."
    return Report(
        name="All published claims",
        label="several studies",
        answer=Answer(sentences=tuple(summary)),
        lead=(Table(caption=best, head=HEAD, rows=best_rows(subject, about)),),
        sections=(
            Section(title="Every study", blocks=(Table(caption=every, head=HEAD, rows=every_row(subject, about)),)),
        ),
    )


def best_rows(subject: str, studies: Sequence[Findings]) -> tuple[tuple[str, ...], ...]:
    """Returns the cells of one row a claim: that of the study which tested it best, or one that says why none did.

    A study whose reference fits its training images is better than one that underfits, then more pairs are better.
    """
    claims = published_claims(subject)
    return tuple(_row(subject, claim, min(_judged(claim, studies), key=_rank, default=None)) for claim in claims)


def every_row(subject: str, studies: Sequence[Findings]) -> tuple[tuple[str, ...], ...]:
    """Returns the cells of one row for each claim and each study that tested it, in the order of the claims."""
    found = [(claim, _judged(claim, studies)) for claim in published_claims(subject)]
    return tuple(_row(subject, claim, one) for claim, judged in found for one in judged if one[1].call != NOT_TESTED)


def _tested(study: Findings) -> set[str]:
    """Returns the names of the claims that a study tested."""
    return {one.claim.name for one in study.verdicts if one.call != NOT_TESTED}


def _judged(claim: Claim, studies: Sequence[Findings]) -> list[tuple[str, Verdict]]:
    """Returns the name of each study that has a verdict on the claim, with the verdict."""
    return [(study.study.name, one) for study in studies for one in study.verdicts if one.claim.name == claim.name]


def _rank(judged: tuple[str, Verdict]) -> tuple[bool, bool, int]:
    """Returns the smaller, the better a study tested the claim."""
    _, one = judged
    return one.call == NOT_TESTED, one.underfits, -one.effect.n if one.effect else 0


def _row(subject: str, claim: Claim, judged: tuple[str, Verdict] | None) -> tuple[str, ...]:
    name = f"{claim.statement} ({labels_of(subject).claim(claim)})"
    if judged is None:
        return name, claim.published.partition(";")[0], MISSING, f"{NOT_TESTED} (in no study)", MISSING
    study, one = judged
    return name, published(one), ours(one), one.label, study
