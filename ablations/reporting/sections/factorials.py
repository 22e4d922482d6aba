"""The sections of a factorial: both kinds of effect side by side, interactions, and the parts against the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from math import comb

import numpy as np

from ablations.analysis import factorial
from ablations.analysis.effects import mean_interval
from ablations.analysis.evidence import broken
from ablations.analysis.ranking import Ranked
from ablations.analysis.sampling import interval_over_both
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.text import MINUS, counted, few, probability, told
from ablations.core.units import in_unit, is_ratio, unit_of
from ablations.reporting import wording
from ablations.reporting.document import Block, Section, Table, without_empty
from ablations.reporting.parts import on_what
from ablations.reporting.sections.comparisons import BOTH
from ablations.reporting.sections.outcomes import picture

ALIASED = "and with it"  # head of the column of interactions that the design cannot tell apart from the row's


def both_estimands(evidence: Findings) -> Section | None:
    """Returns effects at the reference beside averages over all settings; None if the study has one kind."""
    kinds: dict[str, dict[str, Effect]] = {ONE_OUT: {}, MAIN: {}}
    for effect in evidence.effects:
        if effect.kind in kinds and effect.component not in evidence.study.controls:
            kinds[effect.kind][evidence.called(effect)] = effect
    shared = [name for name in kinds[MAIN] if name in kinds[ONE_OUT]]
    if not shared:
        return None
    rows = tuple(
        (name, *(cell for kind in (ONE_OUT, MAIN) for cell in _cells(evidence, kinds[kind][name]))) for name in shared
    )
    head = (
        "change",
        wording.with_unit("one out", evidence),
        "95% interval",
        wording.with_unit("main", evidence),
        "95% interval",
    )
    words = (
        "Two questions. One out: what does the change do to the otherwise complete reference? Main: what does it do on "
        "average over all the settings of the other components? They agree where nothing interacts."
        + " The paper asked the first."
        * wording.images(evidence)
    )
    table = Table(caption="Leave-one-out and main effects on the same outcome.", head=head, rows=rows)
    return Section(title="One out against on average", blocks=(words, table))


def _cells(evidence: Findings, effect: Effect) -> tuple[str, str]:
    return wording.effect(evidence, effect.estimate), wording.interval(evidence, effect)


def interactions(evidence: Findings) -> Section | None:
    """Returns the section on two-way interactions; None if the design has none."""
    found = factorial.interactions(evidence.study, evidence.outcomes, evidence.metric)
    main = [effect for effect in evidence.effects if effect.kind == MAIN]
    known = [effect for effect in [*main, *found] if np.isfinite(effect.estimate)]
    if not found:
        return None
    aliases = {one.component: factorial.aliases(evidence.study, one) for one in found}
    clear = [one for one in found if one in known and not aliases[one.component]]
    blocks: list[Block] = [
        "a x b is half the difference between the effect of a where b is changed and where b is kept. Where it is "
        "large, the main effects of a and b describe no single setting: read the simple effects."
    ]
    if any(aliases.values()):
        blocks.append(
            "This fraction cannot tell some interactions apart: where a row names others, its effect is their sum, the "
            "one with a minus sign being subtracted."
        )
    together = {one.component: factorial.aliases(evidence.study, one, 3) for one in main}
    if any(together.values()):
        pairs = "; ".join(f"{name} = {few(same, 3)}" for name, same in together.items() if same)
        blocks.append(
            "This fraction tells each main effect only together with three-way interactions, which it takes to be "
            f"small: {pairs.replace('-', MINUS)}."
        )
    if clear and all(one in known for one in main):
        from ablations.reporting.figures.effects import interaction_map

        unit = unit_of(evidence.main_metric)
        caption = (
            "Two-way interactions, coloured, and main effects on the diagonal, "
            f"{f'in {unit} of' if unit else 'on the'} {evidence.main_metric.words}. "
            "Bold: the 95% interval excludes zero."
        )
        figure = interaction_map(main, clear, unit or evidence.main_metric.words, metric=evidence.main_metric)
        blocks.append(
            picture(
                "interactions",
                caption,
                _told(evidence, f"Heat map of effects{f' in {unit}' if unit else ''}, the largest", [*main, *clear]),
                figure,
            )
        )
    if known:
        from ablations.reporting.figures.effects import half_normal

        caption = (
            "Half-normal plot (Daniel 1959): were nothing going on, all effects would lie on a line through zero. "
            "What stands clear above the rest is named."
        )
        ratio = is_ratio(evidence.main_metric)
        words = "size of the effect, logarithm" if ratio else wording.with_unit("size of the effect", evidence)
        figure = half_normal(known, words)
        alternative = _told(evidence, "The sizes of all effects in order, the largest", known)
        blocks.append(picture("half-normal", caption, alternative, figure))
    blocks.append(_interactions_table(evidence, found, aliases))
    return Section(title="Interactions", blocks=tuple(blocks))


def beware(evidence: Findings, rows: Sequence[Ranked]) -> str:
    """Returns a clause on the largest two-way interaction that makes a main effect describe no setting; else nothing.

    It is clearly there, by Holm's p over all interactions, and as large as one of its two main effects and as the
    smallest effect of interest to the claims on that one.  `rows` are the study's ranked effects.
    """
    if evidence.study.estimand != MAIN:
        return ""
    pairs = {
        (f"{one.effect.component} x {two.effect.component}", f"{one.effect.level} x {two.effect.level}"): (one, two)
        for one, two in permutations(rows, 2)
    }
    found = [
        (each, pair)
        for each in evidence.clear_interactions
        for pair in [pairs[each.component, each.level]]
        if abs(each.estimate) >= min(max(abs(one.effect.estimate), np.nan_to_num(one.margin)) for one in pair)
    ]
    if not found:
        return ""
    (each, pair), *others = found
    which = " and ".join(evidence.called(one.effect) for one in pair)
    same = [name.removeprefix("-") for name in factorial.aliases(evidence.study, each)]
    either = f", or {' or '.join(same)} do" if same else ""
    change = in_unit(evidence.main_metric, wording.effect(evidence, each.estimate))
    more = f", as {'does' if len(others) == 1 else 'do'} {counted(len(others), 'other pair')}" if others else ""
    return f"; beware: {which} interact{either} ({change}){more}, so what one does depends on the other"


def _interactions_table(evidence: Findings, found: Sequence[Effect], aliases: Mapping[str, Sequence[str]]) -> Table:
    rows = tuple(
        (
            one.component,
            *_cells(evidence, one),
            wording.bounds(evidence, *interval_over_both(evidence, one)),
            f"{one.n} of {broken(evidence, one)[0]}",
            probability(one.p),
            ", ".join(name.replace("-", MINUS, 1) if name[0] == "-" else name for name in aliases[one.component]),
        )
        for one in found
    )
    both = on_what(evidence, BOTH)
    head = (
        "interaction",
        wording.with_unit("effect", evidence),
        "95% interval",
        both,
        "seeds",
        "p, unadjusted",
        ALIASED,
    )
    whole = len(found) == comb(len(evidence.study.components), 2)
    what = "sums of two-way interactions" if any(aliases.values()) else "two-way interactions"
    caption = f"{'All' if whole else 'The'} {len(found)} {what}{'' if whole else ' that the design tells apart'}."
    table = Table(caption=caption, head=head, rows=rows, collapsed=len(found) > 10)
    return without_empty(table, both, "p, unadjusted", ALIASED)


def _told(evidence: Findings, what: str, effects: list[Effect]) -> str:
    largest = sorted(effects, key=lambda one: -abs(one.estimate))[:5]
    return told(what, [f"{one.component} {wording.effect(evidence, one.estimate)}" for one in largest])


def parts_and_whole(evidence: Findings) -> Section | None:
    """Returns whether the effects of single changes add up to that of all at once; None if that is not known."""
    found = factorial.parts_and_whole(evidence.study, evidence.outcomes, evidence.metric)
    if found.empty:
        return None
    sums = (
        ("the single changes, added", found["parts"]),
        ("all changes at once", found["whole"]),
        ("the difference: all at once less the sum", found["whole"] - found["parts"]),
    )
    rows = []
    for name, values in sums:
        mean, low, high = mean_interval(values, evidence.overlap)
        rows.append((name, wording.effect(evidence, mean), wording.bounds(evidence, low, high), str(len(values))))
    words = (
        "Effects of single changes need not add up. Where all changes at once do less than their sum, the components "
        "stand in for each other; where they do more, they need each other."
    )
    head = ("what", wording.with_unit("effect", evidence), "95% interval", "seeds")
    table = Table(caption="The sum of the parts against all together.", head=head, rows=tuple(rows))
    return Section(title="The parts and the whole", blocks=(words, table))
