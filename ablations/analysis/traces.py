"""What traces, digests of everything that trials reported, tell: which changes do nothing, and whether seeds are used.

A change whose trace equals the reference's in every pair does nothing, whatever it was meant to do.  That needs trials
that come out alike when they are run again, which the repeat of the reference's first seed tells.
"""

from __future__ import annotations

from ablations.analysis.evidence import Evidence
from ablations.core.effect import Effect
from ablations.core.load import REPEAT
from ablations.core.result import DONE


def _traces(evidence: Evidence, label: str) -> dict[int, str]:
    """Seed -> trace of the finished trials of a variant that have one."""
    return {
        one.trial.seed: one.trace
        for one in evidence.results
        if one.status == DONE and one.trace and one.trial.variant.label == label
    }


def known(evidence: Evidence) -> bool:
    """Whether the trials of this study have traces."""
    return any(one.trace for one in evidence.results)


def deterministic(evidence: Evidence) -> bool | None:
    """Whether the reference came out alike when it was run again; None where it was not."""
    found = [one for one in evidence.results if REPEAT in one.extras and one.status == DONE]
    return all(one.extras[REPEAT] == one.trace for one in found) if found else None


def seeds_differ(evidence: Evidence) -> bool | None:
    """Whether trials of the reference with different seeds differ; None with fewer than two of them.

    Of several data sets they differ where they do on each.
    """
    if evidence.on_each:
        each = [seeds_differ(one) for one in evidence.on_each.values()]
        return False if False in each else None if None in each else True
    found = _traces(evidence, "reference")
    return len(set(found.values())) > 1 if len(found) > 1 else None


def identical(evidence: Evidence, effect: Effect) -> bool:
    """Whether a change gave what its counterpart gave, to the last digit of everything reported, in every pair."""
    if evidence.on_each:
        return all(identical(one, effect) for one in evidence.on_each.values())
    if not deterministic(evidence) or len(effect.departed) != 1 or len(effect.kept) != 1:
        return False
    one, other = (_traces(evidence, labels[0]) for labels in (effect.departed, effect.kept))
    pairs = one.keys() & other.keys()
    return bool(pairs) and all(one[seed] == other[seed] for seed in pairs)
