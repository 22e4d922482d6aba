"""Whether departures change anything, and which of them cannot be combined."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ablations.core.errors import InputError, shown
from ablations.core.variant import Departure, Variant
from ablations.models.equivalence import canonical
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, leaves, training_part
from ablations.subjects.alexnet.registry import component, components, derive

SHOWN = 4  # fields that the reason for a conflict names


def departures_of(words: Sequence[str]) -> tuple[Departure, ...]:
    """The (component, level) pairs that `words` ask for.

    `lrn` is the component's first level, `lrn=batch_norm` that level, `lrn=all` every level.
    Raises InputError on an unknown name, and on a control, which every study holds anyway.
    """
    chosen: list[Departure] = []
    for word in words:
        name, equals, level = word.partition("=")
        found = component(name)
        if equals and not level:
            raise InputError(f"{shown(word)} names no level of {name}; leave out the = for {next(iter(found.levels))}.")
        if found.control:
            raise InputError(f"{name} is a control and rides along in every study; leave it out of --components.")
        levels = list(found.levels) if level == "all" else [level or next(iter(found.levels))]
        for one in levels:
            derive(PRESETS["paper"].spec, Variant(departures=((name, one),)))  # an unknown level raises
            if (name, one) not in chosen:
                chosen.append((name, one))
    return tuple(chosen)


def controls(names: Sequence[str] | None = None) -> tuple[Departure, ...]:
    """The first level of every control, a placebo and two sabotages, or of those of these names."""
    return tuple(
        (name, next(iter(found.levels)))
        for name, found in components().items()
        if found.control and (names is None or name in names)
    )


def changes(spec: Spec, variant: Variant) -> bool:
    """Whether `variant` is another training or evaluation than `spec`, not only other words for it."""
    return canonical(derive(spec, variant)) != canonical(spec)


def trains_otherwise(spec: Spec, departure: tuple[str, str]) -> bool:
    """Whether a departure changes what training reads, and not the evaluation alone."""
    departed = derive(spec, Variant(departures=(departure,)))
    return canonical(training_part(departed)) != canonical(training_part(spec))


def conflict(spec: Spec, first: tuple[str, str], second: tuple[str, str]) -> str | None:
    """Why two departures cannot be combined on `spec`, or None: computed from what they rewrite.

    They can when the order does not matter and neither makes the other a no-op.
    """
    if first[0] == second[0]:
        return f"two levels of {first[0]}"
    one, two = (Variant(departures=(departure,)) for departure in (first, second))
    changed = {alone: derive(spec, alone) for alone in (one, two)}
    forms = {alone: canonical(derived) for alone, derived in changed.items()}
    for alone in (one, two):
        if forms[alone] == canonical(spec):
            return f"{alone.label} changes nothing here"
    there, back = canonical(derive(changed[one], two)), canonical(derive(changed[two], one))
    shared = functools.partial(_shared, spec, changed[one], changed[two])
    if there != back:
        why = f"both rewrite {shared()}" if shared() else "depend on their order: one reads what the other rewrites"
        return f"{one.label} and {two.label} {why}"
    for idle, other in ((two, one), (one, two)):
        if there == forms[other]:
            detail = f": both rewrite {shared()}" if shared() else ""
            return f"{idle.label} changes nothing beside {other.label}{detail}"
    return None


def _shared(spec: Spec, one: Spec, two: Spec) -> str:
    """The fields in which both `one` and `two` differ from `spec`; the first few of many."""
    fields = sorted(_touched(spec, one) & _touched(spec, two))
    more = f" and {len(fields) - SHOWN} more" if len(fields) > SHOWN else ""
    return ", ".join(fields[:SHOWN]) + more


def _touched(spec: Spec, changed: Spec) -> set[str]:
    before, after = leaves(spec), leaves(changed)
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
