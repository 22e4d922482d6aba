"""Finds related studies, and keeps what each study found in results/<study>/findings.json.

That file is written with every report, so that the report of a related study can name effects and verdicts without
reading records.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ablations.analysis.ranking import ranked
from ablations.analysis.verdicts import Findings
from ablations.core.errors import InputError
from ablations.core.identity import SCHEMA
from ablations.core.study import Study
from ablations.core.text import MISSING, counted
from ablations.core.variant import Departure
from ablations.records import store
from ablations.records.files import DAMAGED, read_json, write_json
from ablations.reporting import wording
from ablations.reporting.answer import not_judged
from ablations.reporting.sections.results import written
from ablations.reporting.sections.verdicts import ours
from ablations.reporting.side_by_side import conditions

# As `conditions` names them.
PRINT, ENDS, RATES, UNTUNED = "data fingerprint", "ended at a threshold", "learning rates", "the preset's"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a study found of each change, in words."""

    metric: str  # that effects are on, with its unit
    changes: Mapping[Departure, str]  # the effect with its interval and n, how it reads, and the verdicts


@dataclass(frozen=True, kw_only=True)
class Related:
    """Another study of the same subject and data, under the same folder of results."""

    name: str
    differs: tuple[str, ...]  # what differs from this study, in words
    found: Found | None  # by its last report; None: nothing can be read


def found_in(evidence: Findings) -> Found:
    """Returns the effects that a study found; for a race, where final errors compare nothing, what its claims found."""
    verdicts: dict[Departure, list[str]] = {}
    measured: dict[Departure, list[str]] = {}
    for one in evidence.verdicts:
        change = (one.claim.component, one.claim.level)
        verdicts.setdefault(change, []).append(one.label)
        measured.setdefault(change, []).append(ours(one))
    metric = wording.with_unit(wording.what(evidence), evidence)
    void = ["not judged"] if not_judged(evidence) else []
    if evidence.study.setting.races:
        metric = ", ".join(dict.fromkeys(one.metric.words for one in evidence.verdicts))
        told = {change: (text[0], verdicts[change]) for change, text in measured.items() if text[0] != MISSING}
    else:
        told = {
            change: (f"{written(evidence, effect)}, n = {effect.n}", [wording.reads_as(one), *verdicts.get(change, ())])
            for one in ranked(evidence)
            if isfinite((effect := one.effect).estimate)
            for change in [(effect.component, effect.level)]
        }
    changes = {change: "; ".join([text, *(void or dict.fromkeys(words))]) for change, (text, words) in told.items()}
    return Found(metric=metric, changes=changes)


def write_found(evidence: Findings) -> None:
    """Writes findings.json to the study's folder.  If that fails, a warning is logged, and the report goes on."""
    assert evidence.folder
    found = found_in(evidence)
    rows = [{"component": name, "level": level, "found": text} for (name, level), text in found.changes.items()]
    try:
        write_json(evidence.folder / "findings.json", {"schema": SCHEMA, "metric": found.metric, "changes": rows})
    except OSError as error:
        logging.getLogger(__name__).warning("findings.json was not kept: %s.", error.strerror or error)


def read_found(folder: Path) -> Found | None:
    """Returns what `write_found` wrote for a study; None if there is no such file, or none that can be read."""
    try:
        record = read_json(folder / "findings.json")
        changes = {(str(row["component"]), str(row["level"])): str(row["found"]) for row in record["changes"]}
        return Found(metric=str(record["metric"]), changes=changes)
    except DAMAGED:
        return None


def related(evidence: Findings) -> list[Related]:
    """Returns the other studies in the same folder of results that share the subject and the data, by name."""
    if not evidence.folder:
        return []
    home = evidence.folder.resolve()
    studies: dict[str, Study] = {}
    for name in store.names(home.parent):
        with contextlib.suppress(InputError):  # a study that cannot be read is left out
            studies[name] = store.read_study(home.parent / name)
    this = studies.pop(home.name, None)
    return [
        Related(name=name, differs=_differs(this, other), found=read_found(home.parent / name))
        for name, other in studies.items()
        if this and _share(this, other)
    ]


def _share(one: Study, other: Study) -> bool:
    """Tells whether both have the same subject, and data of the same name or fingerprint.

    Images of another size have another fingerprint, so the name counts too.
    """
    named, seen = ((study.setting.data, study.setting.fingerprint) for study in (one, other))
    return one.subject == other.subject and (named[0] == seen[0] or (named[1] == seen[1] != ""))


def _differs(this: Study, other: Study) -> tuple[str, ...]:
    """Returns what differs, in words: `epochs 16 instead of 60`, `tuned`; () if the settings cannot be read."""
    try:
        unlike, _ = conditions(*(Findings(study=study, results=()) for study in (this, other)))
    except (*DAMAGED, InputError):
        return ()
    rates, prints, ends = (unlike.pop(name, None) for name in (RATES, PRINT, ENDS))
    words = [f"{name} {theirs} instead of {mine}" for name, (mine, theirs) in unlike.items()]
    if ends:
        words.append("ended at a threshold" if ends[1] == "yes" else "not ended at a threshold")
    if rates:
        words.append("not tuned" if rates[1] == UNTUNED else f"tuned ({rates[1]})")
    if prints and "image size" not in unlike:
        words.append("other data under the same name")
    more = [pair for pair in other.components if pair not in this.components]
    return (*words, *([f"{counted(len(more), 'change')} that this one has not"] if more else []))
