"""One table of all published claims, with a row for each study that judged one."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.analysis.rule import NOT_TESTED
from ablations.analysis.verdicts import Findings
from ablations.core.claim import Claim
from ablations.core.labels import labels_of
from ablations.core.text import MISSING, counted, listed
from ablations.records.claims import published as published_claims
from ablations.reporting.document import Answer, Report, Table
from ablations.reporting.sections.verdicts import ours, published

HEAD = ("claim (change)", "published", "measured here", "verdict", "study")


def compose(subject: str, studies: Sequence[Findings]) -> Report:
    """Returns the report on all published claims of `subject`.

    It names the studies of other subjects, which it leaves out, and says which of them was read without its study file.
    """
    about = [one for one in studies if one.study.subject == subject]
    claims = published_claims(subject)
    tested = {one.claim.name for study in about for one in study.verdicts if one.call != NOT_TESTED}
    known = sum(claim.name in tested for claim in claims)
    others = [one.study.name for one in studies if one.study.subject != subject]
    who = f"{len(about)} {'study' if len(about) == 1 else 'studies'}"
    summary = [
        f"{who} judged {known} of {counted(len(claims), 'published claim')}; "
        f"the others were not tested. Each verdict is that of the study's own report, which has the reasons."
    ]
    if others:
        summary.append(f"Left out, because their claims are on something else: {listed(others)}.")
    summary += [f"{one.study.name}: {one.instead}" for one in studies if one.instead]
    caption = "Published claims, and what each study that tested one found."
    table = Table(caption=caption, head=HEAD, rows=rows(subject, about))
    answer = Answer(sentences=tuple(summary))
    return Report(name="All published claims", label="several studies", answer=answer, lead=(table,), sections=())


def rows(subject: str, studies: Sequence[Findings]) -> tuple[tuple[str, ...], ...]:
    """Returns the cells: for each claim one row a study that tested it, or one row that says why none did."""
    return tuple(row for claim in published_claims(subject) for row in _rows(subject, claim, studies))


def _rows(subject: str, claim: Claim, studies: Sequence[Findings]) -> list[tuple[str, ...]]:
    name = f"{claim.statement} ({labels_of(subject).claim(claim)})"
    judged = [(study, one) for study in studies for one in study.verdicts if one.claim.name == claim.name]
    if not judged:
        return [(name, claim.published.partition(";")[0], MISSING, f"{NOT_TESTED} (in no study)", MISSING)]
    shown = [(study, one) for study, one in judged if one.call != NOT_TESTED] or judged[:1]
    return [(name, published(one), ours(one), one.label, study.study.name) for study, one in shown]
