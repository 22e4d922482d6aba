"""The section on related studies: those of the same subject and data, and what they found."""

from __future__ import annotations

from ablations.analysis.verdicts import Findings
from ablations.core.variant import Departure
from ablations.reporting.document import Block, Section, Table
from ablations.reporting.related import Related, found_in, related

LONG = 12  # the table is collapsed if it has more rows


def section(evidence: Findings) -> Section | None:
    """Returns the section: each related study with what differs, and a table of the changes that both studies made.

    None if there is no related study.
    """
    others = related(evidence)
    if not others:
        return None
    blocks: list[Block] = ["Other studies here are of the same subject and data:", *map(_named, others)]
    here = found_in(evidence)
    rows = tuple(
        (evidence.words.of(change), one.name, text, there)
        for change, text in here.changes.items()
        for one in others
        if (there := _told(one, change, here.metric))
    )
    if rows:
        head = ("change", "other study", "found here", "found there")
        caption = f"The same change here and there, by the last report of each: effects on the {here.metric}."
        blocks.append(Table(caption=caption, head=head, rows=rows, collapsed=len(rows) > LONG))
        blocks.append(
            "A study replicates this one only if nothing else differs. python -m ablations.report STUDY OTHER tests "
            "how the effects of two studies differ."
        )
    return Section(title="Related studies here", blocks=tuple(blocks))


def _told(one: Related, change: Departure, metric: str) -> str:
    """Returns what the other study found of a change, and its metric if that differs; empty if it found nothing."""
    text = one.found.changes.get(change, "") if one.found else ""
    return f"{text} ({one.found.metric})" if text and one.found and one.found.metric != metric else text


def _named(one: Related) -> str:
    return f"{one.name} ({', '.join(one.differs)})." if one.differs else f"{one.name}."
