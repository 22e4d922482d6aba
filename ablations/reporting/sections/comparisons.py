"""The sections that compare: effects, controls and interactions, with the sentences that sum them up."""

from __future__ import annotations

from math import isfinite, nan

import numpy as np

from ablations.analysis.asked import rule_of
from ablations.analysis.effects import differences_of
from ablations.analysis.evidence import broken, ratio
from ablations.analysis.failures import share_interval
from ablations.analysis.gates import chance_error, learns, linear_error
from ablations.analysis.sampling import interval_over_both, single_models
from ablations.analysis.statistics import benjamini_hochberg, sign_flip_p
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.setting import SIZE, SPLIT
from ablations.core.text import MINUS, MISSING, change, counted, interval, number, probability, signed, told
from ablations.core.units import is_ratio, outcomes_between, unit_of
from ablations.reporting import wording
from ablations.reporting.document import Block, Section, Table, listed, without_empty
from ablations.reporting.parts import on_what, parts_of
from ablations.reporting.sections.notes import mean_and_interval, notes, sampling_error
from ablations.reporting.sections.outcomes import picture

KINDS = {
    "main": ("Main effects", "each row is averaged over all the settings of the other components"),
    "one in": ("One change among all", "each row makes its change where all the other changes are made too"),
    "one out": ("One change at a time", "each row makes one change to the otherwise complete reference"),
}
BOTH = "95% interval, new images too"
HEAD = ("change", "effect", "95% interval", BOTH, "pairs", "correlation", "p", "q", "p, sign flips")
OPTIONAL = (BOTH, "correlation", "p", "q", "p, sign flips", "notes")  # columns that are left out where they are empty
SMALL_GAP = 1.0  # points between training and test error, below which the reference counts as underfitting
NOTHING = "No finished pair of trials yet, so nothing can be estimated."


def _head(evidence: Findings) -> tuple[str, ...]:
    """`HEAD`, its effects in their unit."""
    return tuple(wording.in_unit(word, evidence) if word == "effect" else on_what(evidence, word) for word in HEAD)


def _shown(evidence: Findings, table: Table) -> Table:
    """`table` without the columns that hold nothing."""
    optional = (on_what(evidence, word) for word in OPTIONAL)
    return without_empty(table, *optional, *_sizes(evidence).values())


def _sizes(evidence: Findings) -> dict[str, str]:
    """Of the metrics that are sizes: name -> words."""
    return {name: one.words for name, one in evidence.study.setting.metrics.items() if one.kind == SIZE}


def headline(evidence: Findings) -> str:
    """One sentence on the reference, and one on where the intervals lie."""
    n, mean, low, high = mean_and_interval(evidence, evidence.metric, "reference")
    failed = failing(evidence)
    if not n and "reference" in evidence.failed_by_variant:
        return f"No training of the reference has trained, so there is nothing to compare with. {failed}"
    if not n:
        return "No trial of the reference has finished, so there is nothing to compare with."
    sampling = sampling_words(evidence, mean)
    within = outcomes_between(wording.main(evidence), low, high)
    spread = f" (95% interval over {counted(n, 'seed')} {within})" if n > 1 else " (one seed)"
    error = f"The reference has a {wording.what(evidence)} of {wording.value(evidence, mean)}{spread}."
    cautions = (guessing(evidence), failed, underfitting(evidence))
    return " ".join(filter(None, (error, *cautions, sampling, _tally(evidence))))


def failing(evidence: Findings) -> str:
    """How many trainings of which variants failed, or an empty string."""
    found = evidence.failed_by_variant
    if not found:
        return ""
    arms = listed([f"{bad} of {of} of {evidence.names[label]}" for label, (bad, of) in found.items()])
    return (
        f"Trainings failed: {arms}. They are in no mean, and comparisons with them are unstable: how often each arm "
        "trains is told beside how well it does where both train."
    )


def guessing(evidence: Findings) -> str:
    """A caution where the reference has hardly learned, as the first gate has it, or an empty string."""
    gate = learns(evidence, rule_of(evidence.study))
    if gate.passed is not False:
        return ""
    if evidence.on_each:
        where = [name for name, one in evidence.on_each.items() if learns(one, rule_of(one.study)).passed is False]
        return f"On {listed(where)} it is hardly better than guessing, and effects there say nothing of its parts."
    baseline = evidence.study.setting.baseline_words.removesuffix(" on the raw pixels")
    linear = linear_error(evidence)
    beyond = f" and {baseline} {wording.value(evidence, linear)}" if isfinite(linear) else ""
    return (
        f"Guessing gives {wording.value(evidence, chance_error(evidence))}{beyond}: it has learned little or nothing "
        "that needs such a network, and effects here say nothing of its parts."
    )


def underfitting(evidence: Findings) -> str:
    """A caution where the reference has hardly fitted its training images, or an empty string."""
    gap = evidence.mean("gap_percent", "reference")
    if not gap < SMALL_GAP:
        return ""
    return (
        f"Its training error is as high, within {SMALL_GAP:g} point (gap {signed(gap)}): it underfits at this budget, "
        "so an effect says more of how fast a variant learns than of where it ends."
    )


def sampling_words(evidence: Findings, error_percent: float) -> str:
    """What the choice of test images alone does to an error; empty where it is not known, or each seed has others."""
    known = isfinite(evidence.mean("evaluated_examples", "reference")) and wording.examples(evidence)
    if not known or not wording.main(evidence).percent:
        return ""
    return on_what(
        evidence,
        f"The sampling of the {evidence.phase} images adds a standard error of "
        f"{sampling_error(evidence, error_percent)}; it is common to all variants, and no number of seeds removes it. "
        "The effects' table has intervals that contain it.",
    )


def effect_rows(evidence: Findings, effects: list[Effect]) -> tuple[tuple[str, ...], ...]:
    """The cells of `HEAD` and of what follows it."""
    adjusted = benjamini_hochberg([effect.p for effect in effects])
    return tuple(
        (
            effect.label,
            wording.effect(evidence, effect.estimate),
            wording.bounds(evidence, effect.low, effect.high),
            interval(*interval_over_both(evidence, effect)),
            f"{effect.n} of {broken(evidence, effect)[0]}",
            number(effect.correlation),
            probability(effect.p),
            probability(q),
            probability(_flipped(evidence, effect)),
            *(change(ratio(evidence, effect, name)) for name in _sizes(evidence)),
            notes(evidence, effect),
        )
        for effect, q in zip(effects, adjusted, strict=True)
    )


def _flipped(evidence: Findings, effect: Effect) -> float:
    """The exact p of flipping the signs of the single differences; nan of splits, which are not independent."""
    if evidence.overlap != 0:
        return nan
    return sign_flip_p(np.array(differences_of(evidence.differences, effect)))


def _tally(evidence: Findings) -> str:
    """How many intervals lie above, below and around zero."""
    kinds = [kind for kind in ("main", "one in", "one out") if any(one.kind == kind for one in _studied(evidence))]
    known = [one for one in _studied(evidence) if one.kind == kinds[0] and np.isfinite(one.low)] if kinds else []
    unstable = sum(one.unstable for one in known)
    known = [one for one in known if not one.unstable]
    if not known:
        return (
            "No effect has an interval that counts, as trainings failed."
            if unstable
            else ("No effect has an interval yet.")
        )
    left = f" Not counted among them: {counted(unstable, 'unstable comparison')}." if unstable else ""
    noun, none = wording.main(evidence).noun, wording.nothing(evidence)
    above, below = sum(one.low > 0 for one in known), sum(one.high < 0 for one in known)
    return (
        f"Of {counted(len(known), 'change')} with a 95% interval ({kinds[0]}), {above} raised the {noun} with an "
        f"interval clear of {none}, {below} lowered it so, and {len(known) - above - below} left {none} inside.{left}"
    )


def _studied(evidence: Findings) -> list[Effect]:
    return [effect for effect in evidence.effects if effect.component not in evidence.study.controls]


def effects(evidence: Findings) -> Section:
    """Estimates, intervals and the forest plot, one table an estimand."""
    parts = parts_of(evidence.study.subject)
    blocks: list[Block] = [
        f"{_what_an_effect_is(evidence)}, the change made {parts.result} "
        f"{wording.above_zero(evidence)}. Pairs share a seed, hence {parts.paired}; "
        f"the interval is the mean difference ± t(0.975, n {MINUS} 1) · {_error(evidence)}, where a main effect's "
        f"difference of a seed is that between the two halves of its design{_images_too(evidence)}. The correlation "
        "is that of the two arms over seeds. This table explores: p is a two-sided t test's and not adjusted, q is "
        f"Benjamini and Hochberg's over the rows{_flips(evidence)}. Claims are judged under Verdicts."
    ]
    for kind, (name, meaning) in KINDS.items():
        found = [effect for effect in _studied(evidence) if effect.kind == kind]
        if found:
            blocks += _forest(evidence, kind)
            head = tuple(
                "seeds" if word == "pairs" and kind == MAIN else word
                for word in (*_head(evidence), *_sizes(evidence).values(), "notes")
            )
            table = Table(caption=f"{name}: {meaning}.", head=head, rows=effect_rows(evidence, found))
            blocks.append(_shown(evidence, table))
    if not any(effect.n for effect in evidence.effects):
        blocks.append(NOTHING)
    return Section(title="Effects", blocks=(*blocks, *how_often(evidence)))


def _flips(evidence: Findings) -> str:
    """What the last column of p holds, where there is one."""
    return ", and the last p counts flipped signs" if evidence.overlap == 0 else ""


def _error(evidence: Findings) -> str:
    """The standard error of a mean over seeds as a formula."""
    if evidence.study.setting.replicate != SPLIT:
        return "s / √n"
    return "s · √(1 / n + n_test / n_train), as seeds are splits that overlap (Nadeau and Bengio 2003)"


def _images_too(evidence: Findings) -> str:
    """What the column BOTH holds, where there can be one."""
    if not wording.examples(evidence):
        return ""
    return on_what(
        evidence,
        ", and the one beside it covers the choice of the images as well as that of the seeds (a two-way random "
        "layout)",
    )


def _what_an_effect_is(evidence: Findings) -> str:
    """The opening of the section on effects: a difference, or a ratio."""
    what = wording.what(evidence)
    if is_ratio(wording.main(evidence)):
        return (
            f"Each effect is how many times the {what} is with the change what it is without it: the differences are "
            "those of its natural logarithms, and so the means are geometric. Above 1"
        )
    unit = wording.long_unit(wording.main(evidence))
    return f"Each effect is the {what} with the change minus that without it, in {unit}: above zero"


def how_often(evidence: Findings) -> tuple[Block, ...]:
    """The other line of each effect: how often its arms train; one sentence where no training has failed."""
    ended = max((min(effect.ended) for effect in evidence.effects), default=0)
    if not any(effect.unstable for effect in evidence.effects):
        low, _ = share_interval(ended, ended)
        room = f" Of one variant {ended} of {ended} leave room for up to {1 - low:.0%} that fail (exact 95% interval)."
        return (f"No training has failed.{room}",) if ended else ()
    rows = tuple(
        (
            f"{effect.label}{'' if effect.kind == ONE_OUT else f' ({effect.kind})'}",
            *(cell for arm in zip(effect.trained, effect.ended, strict=True) for cell in _share(*arm)),
            probability(effect.p_trained),
            _measured(evidence, effect) if effect.n else MISSING,
            probability(effect.p_flip),
            "unstable" if effect.unstable else "",
        )
        for effect in evidence.effects
    )
    words = (
        "Where a training failed, a mean over all trainings says little: a change that makes one training in ten "
        "collapse looks like none in a third of all studies of ten seeds. So two things are told of each effect: how "
        "often either arm trains, with exact intervals (Clopper and Pearson) and the exact p of both training equally "
        "often (McNemar's over the seeds, or of flipping their signs), and how well they do where both train. An "
        "unstable comparison has no verdict on a size."
    )
    often = ("trained with it", "95%", "trained without it", "95%", "p, equally often")
    head = ("change", *often, wording.in_unit("effect where both trained", evidence), "p, sign flips", "flag")
    table = Table(caption="How often each arm trains, and how well where both do.", head=head, rows=rows)
    return words, table


def _measured(evidence: Findings, effect: Effect) -> str:
    """`+1.20 [+0.90, +1.50], n = 10`."""
    bounds = wording.bounds(evidence, effect.low, effect.high)
    return f"{wording.effect(evidence, effect.estimate)} {bounds}, n = {effect.n}"


def _share(trained: int, ended: int) -> tuple[str, str]:
    low, high = share_interval(trained, ended)
    return f"{trained} of {ended}", f"[{low:.0%}, {high:.0%}]" if ended else MISSING


def _forest(evidence: Findings, kind: str) -> list[Block]:
    from ablations.reporting.figures.effects import effect_forest

    controls = frozenset(evidence.study.controls)
    found = [one for one in evidence.effects if one.n and (one.kind == kind or one.component in controls)]
    found = [one for one in found if np.isfinite(one.estimate)]
    if not any(one.kind == kind for one in found):
        return []
    made = wording.above_zero(evidence)
    none = wording.nothing(evidence)
    axis = (
        f"change in {wording.in_unit(wording.what(evidence), evidence)}\n(right of {none}: the change makes it {made})"
    )
    figure = effect_forest(found, evidence.differences, controls, axis, metric=wording.main(evidence))
    name = f"effects-{kind.replace(' ', '-')}"
    bars = (
        "bars: 95% t intervals"
        if any(np.isfinite(one.low) for one in found)
        else "no intervals, as no pair is repeated"
    )
    caption = (
        f"{KINDS[kind][0]}. Large marks: estimates; {bars}; grey dots above them: single seeds. Green squares are "
        "controls; a triangle at the edge points to what lies beyond the axis."
        + (" Where trainings failed, the row says how many; they are in no mark of it." if _any_failed(found) else "")
    )
    numbers = [(wording.effect(evidence, one.estimate), wording.bounds(evidence, one.low, one.high)) for one in found]
    rows = [f"{one.label} {' '.join(cells)}".rstrip(f" {MISSING}") for one, cells in zip(found, numbers, strict=True)]
    unit = unit_of(wording.main(evidence))
    what = f"effects in {unit}" if unit else "effects"
    alternative = told(f"Forest plot of {what}, with their 95% intervals", rows)
    return [picture(name, caption, alternative, figure)]


def _any_failed(effects: list[Effect]) -> bool:
    return any(effect.unstable for effect in effects)


def controls(evidence: Findings) -> Section:
    """The placebo and the sabotage, which two of the gates look at, and the mild sabotage, which no gate does."""
    found = [effect for effect in evidence.effects if effect.component in evidence.study.controls]
    if not found:
        words = "This study has no controls. Without a placebo and a sabotage its effects should not be believed."
        return Section(title="Controls", blocks=(words,))
    words = parts_of(evidence.study.subject).controls
    table = Table(
        caption="Controls, against the reference.",
        head=(*_head(evidence), *_sizes(evidence).values(), "notes"),
        rows=effect_rows(evidence, found),
    )
    return Section(title="Controls", blocks=(words, _shown(evidence, table)))


def single_networks(evidence: Findings) -> Section | None:
    """Two networks of one seed compared image by image; None where effects have more than one pair."""
    rows = []
    for effect in evidence.effects:
        if (found := single_models(evidence, effect)) is not None:
            rows.append((effect.label, f"{found[0]:,}", f"{found[1]:,}", probability(found[2])))
    if not rows:
        return None
    words = on_what(
        evidence,
        "With one seed, each row compares two trained networks on the same images (McNemar's exact test). It says "
        "whether these two differ, not whether the change matters: two seeds of one variant may differ as much. The "
        "placebo's row shows how much.",
    )
    head = ("change", "only the changed one right", "only the other right", "p, McNemar")
    caption = f"{parts_of(evidence.study.subject).evaluated.capitalize()} that one of two networks got right."
    table = Table(caption=caption, head=head, rows=tuple(rows))
    return Section(title="Single networks", blocks=(words, table))
