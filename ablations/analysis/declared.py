"""Whether a study's claims and rule were fixed before its first trial."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.core.claim import RULE_VERSION, digest
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.text import counted


def post_hoc(study: Study, results: Sequence[Result]) -> list[str]:
    """Returns sentences on what makes the verdicts post hoc; none if all was declared before the first trial."""
    if not study.rule or not study.declared:
        return ["No rule was written down before its trials: today's claims and rule are applied to it."]
    found = [
        f"Declared when {counted(one.records, 'trial')} had a record already ({one.at}): {one.what}."
        for one in study.declared
        if one.records
    ]
    known = {one.digest for one in study.declared}
    if digest(study.claims, study.rule, study.seeds) != study.declared[-1].digest:
        found.append("study.json was changed by hand: its claims, rule or seeds are not those that were declared.")
    strange = sum(one.provenance.get("declared", study.declared[0].digest) not in known for one in results)
    if strange:
        found.append(f"{counted(strange, 'trial')} ran under a declaration that study.json does not know.")
    if study.rule.version != RULE_VERSION:
        found.append(f"The study was planned with version {study.rule.version} of the rule; this is {RULE_VERSION}.")
    return found
