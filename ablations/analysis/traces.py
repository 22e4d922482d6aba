"""Which changes do nothing, and whether seeds are used, as traces show: digests of everything that a trial reported.

If the trace of a change equals the reference's in every pair, the change does nothing.  That is only told if trials
repeat themselves exactly, which a second run of the reference's first seed shows.
"""

from __future__ import annotations

from ablations.analysis.evidence import Evidence
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.load import REPEAT
from ablations.core.result import DONE
from ablations.core.variant import Variant


def _by_variant(evidence: Evidence) -> dict[str, dict[int, str]]:
    """Returns label -> seed -> trace, for the finished trials that have one."""
    found: dict[str, dict[int, str]] = {}
    for one in evidence.results:
        if one.status == DONE and one.trace:
            found.setdefault(one.trial.variant.label, {})[one.trial.seed] = one.trace
    return found


def _traces(evidence: Evidence, label: str) -> dict[int, str]:
    """Returns seed -> trace for the finished trials of a variant that have one."""
    return _by_variant(evidence).get(label, {})


def known(evidence: Evidence) -> bool:
    """Tells whether any trial of this study has a trace."""
    return any(one.trace for one in evidence.results)


def deterministic(evidence: Evidence) -> bool | None:
    """Tells whether the reference gave the same trace when it was run again; None if it was not run again."""
    found = [one for one in evidence.results if REPEAT in one.extras and one.status == DONE]
    return all(one.extras[REPEAT] == one.trace for one in found) if found else None


def seeds_differ(evidence: Evidence) -> bool | None:
    """Tells whether trials of the reference with different seeds differ; None if there are fewer than two of them.

    If there are several data sets, they must differ on each.
    """
    if evidence.on_each:
        each = [seeds_differ(one) for one in evidence.on_each.values()]
        return False if False in each else None if None in each else True
    found = _traces(evidence, "reference")
    return len(set(found.values())) > 1 if len(found) > 1 else None


def identical(evidence: Evidence, effect: Effect) -> bool:
    """Tells whether both arms of an effect have the same trace in every pair; False if trials do not repeat exactly.

    The pairs of a main effect are those of variants that differ in its component alone.  A fraction has none of them.
    """
    if evidence.on_each:
        return all(identical(one, effect) for one in evidence.on_each.values())
    pairs, found = _partners(evidence, effect), _by_variant(evidence)
    return bool(pairs and deterministic(evidence)) and all(
        _same(found.get(one, {}), found.get(other, {})) for one, other in pairs
    )


def inactive(evidence: Evidence, effect: Effect) -> bool:
    """Tells whether both arms are identical in every pair, and equal in the effect's metric too.

    A time may differ between them, which is no part of a trial's trace.
    """
    return identical(evidence, effect) and not _moved(evidence, effect)


def _moved(evidence: Evidence, effect: Effect) -> bool:
    """Tells whether the two trials of some pair differ in the effect's metric."""
    outcomes, pairs = evidence.by_seed(effect.metric), _partners(evidence, effect)
    known = [(one, other) for one, other in pairs if {one, other} <= {*outcomes.columns}]
    return any((outcomes[one] - outcomes[other]).dropna().any() for one, other in known)


def _partners(evidence: Evidence, effect: Effect) -> list[tuple[str, str]]:
    """Returns each variant of an effect's departed arm, by label, and the one that lacks nothing but its departure."""
    if effect.kind != MAIN:
        return [(effect.departed[0], effect.kept[0])] if len(effect.departed) == len(effect.kept) == 1 else []
    known = {one.label: one.departures for one in evidence.study.variants}
    own = (effect.component, effect.level)
    without = (Variant(departures=tuple(one for one in known[label] if one != own)) for label in effect.departed)
    return [(label, other.label) for label, other in zip(effect.departed, without, strict=True)]


def _same(one: dict[int, str], other: dict[int, str]) -> bool:
    """Tells whether two variants, each given as seed -> trace, share a seed, and have equal traces under all shared."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[seed] == other[seed] for seed in shared)


def drawn_apart(evidence: Evidence, effect: Effect) -> bool:
    """Tells whether the two trials of every pair of an effect have traces that differ; False if some have none."""
    if evidence.on_each:
        return all(drawn_apart(one, effect) for one in evidence.on_each.values())
    if len(effect.departed) != 1 or len(effect.kept) != 1:
        return False
    one, other = (_traces(evidence, labels[0]) for labels in (effect.departed, effect.kept))
    pairs = one.keys() & other.keys()
    return len(pairs) >= effect.n and all(one[seed] != other[seed] for seed in pairs)
