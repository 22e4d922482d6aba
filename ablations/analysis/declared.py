"""Whether a study's claims and rule were fixed before its first trial."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.core.claim import RULE_VERSION, digest
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.text import counted, listed


def post_hoc(study: Study, results: Sequence[Result]) -> list[str]:
    """Returns sentences on what makes the verdicts post hoc; none if all was declared before the first trial."""
    return [sentence for _, sentence in _reasons(study, results)]


def briefly_post_hoc(study: Study, results: Sequence[Result]) -> list[str]:
    """Returns the same reasons in a few words each, such as `declared after the first trial: seeds 10 to 20`."""
    return list(dict.fromkeys(words for words, _ in _reasons(study, results)))


def _reasons(study: Study, results: Sequence[Result]) -> list[tuple[str, str]]:
    """Returns what makes the verdicts post hoc: each reason in a few words, and as a sentence."""
    if not study.declared:
        words = "claims declared after the first trial"
        return [(words, "No rule was written down before its trials: today's claims and rule are applied to it.")]
    late = [one for one in study.declared if one.records]
    changed = list(dict.fromkeys(part.partition(":")[0] for one in late for part in one.what.split("; ")))
    after = f"declared after the first trial: {listed(changed)}" if changed else ""
    found = [
        (after, f"Declared when {counted(one.records, 'trial')} had a record already ({one.at}): {one.what}.")
        for one in late
    ]
    known = {one.digest for one in study.declared}
    if digest(study.claims, study.rule, study.seeds) != study.declared[-1].digest:
        words = "study.json was changed by hand"
        found.append((words, f"{words}: its claims, rule or seeds are not those that were declared."))
    strange = sum(one.provenance.get("declared", study.declared[0].digest) not in known for one in results)
    if strange:
        words = f"{counted(strange, 'trial')} ran under a declaration that study.json does not know"
        found.append((words, f"{words}."))
    if study.rule.version != RULE_VERSION:
        planned = f"planned with version {study.rule.version} of the rule"
        found.append((f"{planned}, not {RULE_VERSION}", f"The study was {planned}; this is {RULE_VERSION}."))
    return found
