"""The section on effects: statistics, how often arms train, controls, and single networks."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan

import numpy as np

from ablations.analysis.effects import differences_of
from ablations.analysis.evidence import broken, ratio
from ablations.analysis.failures import share_interval
from ablations.analysis.ranking import Ranked
from ablations.analysis.sampling import interval_over_both, single_models
from ablations.analysis.statistics import benjamini_hochberg, sign_flip_p
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.result import DONE
from ablations.core.setting import SIZE, SPLIT
from ablations.core.text import MINUS, MISSING, change, number, probability
from ablations.core.units import is_ratio
from ablations.reporting import wording
from ablations.reporting.document import Block, Section, Table, without_empty
from ablations.reporting.parts import on_what, parts_of
from ablations.reporting.sections.notes import notes, sampling_error
from ablations.reporting.sections.results import forest_picture

KINDS = {  # kind of an effect -> heading and meaning
    "main": ("Main effects", "each row is averaged over all the settings of the other components"),
    "one in": ("One change among all", "each row makes its change where all the other changes are made too"),
    "one out": ("One change at a time", "each row makes one change to the otherwise complete reference"),
}
BOTH = "95% interval, new images too"
HEAD = ("change", "effect", "95% interval", BOTH, "pairs", "correlation", "p", "q", "p, sign flips")
OPTIONAL = (BOTH, "correlation", "p", "q", "p, sign flips", "notes")  # columns that are left out if they are empty
NOTHING = "No finished pair of trials yet, so nothing can be estimated."


def _head(evidence: Findings) -> tuple[str, ...]:
    """Returns the heads of the columns of effects, with their unit and the subject's word for examples."""
    return tuple(wording.with_unit(word, evidence) if word == "effect" else on_what(evidence, word) for word in HEAD)


def _shown(evidence: Findings, table: Table) -> Table:
    """Returns `table` without optional columns that are empty."""
    optional = (on_what(evidence, word) for word in OPTIONAL)
    return without_empty(table, *optional, *_sizes(evidence).values())


def _sizes(evidence: Findings) -> dict[str, str]:
    """Returns the metrics that are sizes, name -> name in words."""
    return {name: one.words for name, one in evidence.study.setting.metrics.items() if one.kind == SIZE}


def sampling_words(evidence: Findings, error_percent: float) -> str:
    """Returns a sentence on the error that the choice of test images adds.

    It is empty if that is not known, or if each seed has test images of its own.
    """
    known = isfinite(evidence.mean("evaluated_examples", "reference")) and wording.examples(evidence)
    if not known or not evidence.main_metric.percent:
        return ""
    return on_what(
        evidence,
        f"The sampling of the {evidence.phase} images adds a standard error of "
        f"{sampling_error(evidence, error_percent)}; it is common to all variants, and no number of seeds removes it. "
        "The effects' table has intervals that contain it.",
    )


def effect_rows(evidence: Findings, effects: list[Effect]) -> tuple[tuple[str, ...], ...]:
    """Returns the cells of a table of effects, for the columns of `HEAD`, the sizes and the notes."""
    adjusted = benjamini_hochberg([effect.p for effect in effects])
    return tuple(
        (
            evidence.called(effect),
            wording.effect(evidence, effect.estimate),
            wording.interval(evidence, effect),
            wording.bounds(evidence, *interval_over_both(evidence, effect)),
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
    """Returns the exact p of flipping the signs of paired differences.

    It is nan for splits, which are not independent, and if there are no differences but those of rounding.
    """
    if evidence.overlap != 0 or (effect.estimate == 0 and not effect.error > 0):
        return nan
    return sign_flip_p(np.array(differences_of(evidence.differences, effect)))


def _studied(evidence: Findings) -> list[Effect]:
    return [effect for effect in evidence.effects if effect.component not in evidence.study.controls]


def effects(evidence: Findings) -> Section:
    """Returns the section on effects, with one table for each kind of effect."""
    parts = parts_of(evidence.study.subject)
    blocks: list[Block] = [
        f"{_what_an_effect_is(evidence)}, the change made {parts.result} "
        f"{wording.above_zero(evidence)}. Pairs share a seed, hence {parts.paired}; "
        f"the interval is the mean difference ± t(0.975, n {MINUS} 1) · {_error(evidence)}, where a main effect's "
        f"difference of a seed is that between the two halves of its design{_images_too(evidence)}. The correlation "
        "is that of the two arms over seeds. This table explores: p is a two-sided t test's and not adjusted, q is "
        f"Benjamini and Hochberg's over the rows{_flips(evidence)}. Verdicts on claims are under Claims."
    ]
    for kind, (name, meaning) in KINDS.items():
        found = [effect for effect in _studied(evidence) if effect.kind == kind]
        if found:
            blocks += _drawn(evidence, kind, found)
            head = tuple(
                "seeds" if word == "pairs" and kind == MAIN else word
                for word in (*_head(evidence), *_sizes(evidence).values(), "notes")
            )
            table = Table(caption=f"{name}: {meaning}.", head=head, rows=effect_rows(evidence, found))
            blocks.append(_shown(evidence, table))
    if not any(effect.n for effect in evidence.effects):
        blocks.append(NOTHING)
    sampled = sampling_words(evidence, evidence.mean(evidence.metric, "reference"))
    return Section(title="Effects", blocks=(*blocks, *([sampled] if sampled else []), *how_often(evidence)))


def _drawn(evidence: Findings, kind: str, found: Sequence[Effect]) -> list[Block]:
    """Returns the forest of a kind of effect, unless it is the study's own, whose forest is on the first screen."""
    known = [one for one in found if one.n and isfinite(one.estimate)]
    if kind == evidence.study.estimand or not known:
        return []
    worse = evidence.main_metric.worse
    rows = [Ranked(effect=one, p_holm=nan, side=0) for one in sorted(known, key=lambda one: -worse * one.estimate)]
    return [forest_picture(evidence, rows, name=f"effects-{kind.replace(' ', '-')}")]


def _flips(evidence: Findings) -> str:
    """Returns what the last column of p holds, in words; empty if there is no such column."""
    return ", and the last p counts flipped signs" if evidence.overlap == 0 else ""


def _error(evidence: Findings) -> str:
    """Returns the standard error of a mean over seeds as a formula."""
    if evidence.study.setting.replicate != SPLIT:
        return "s / √n"
    return "s · √(1 / n + n_test / n_train), as seeds are splits that overlap (Nadeau and Bengio 2003)"


def _images_too(evidence: Findings) -> str:
    """Returns what the column BOTH holds, in words; empty if there is no such column."""
    if not wording.examples(evidence):
        return ""
    return on_what(
        evidence,
        ", and the one beside it covers the choice of the images as well as that of the seeds (a two-way random "
        "layout)",
    )


def _what_an_effect_is(evidence: Findings) -> str:
    """Returns the opening of the section: effects are differences, or ratios."""
    what = wording.what(evidence)
    if is_ratio(evidence.main_metric):
        return (
            f"Each effect is how many times the {what} is with the change what it is without it: the differences are "
            "those of its natural logarithms, and so the means are geometric. Above 1"
        )
    unit = wording.long_unit(evidence.main_metric)
    return f"Each effect is the {what} with the change minus that without it, in {unit}: above zero"


def how_often(evidence: Findings) -> tuple[Block, ...]:
    """Returns how often the arms of each effect train: a table, or one sentence if no training failed."""
    if not any(effect.unstable for effect in evidence.effects):
        ended = _trainings_of_one(evidence)
        low, _ = share_interval(ended, ended)
        room = f" Of one variant {ended} of {ended} leave room for up to {1 - low:.0%} that fail (exact 95% interval)."
        return (f"No training has failed.{room}",) if ended else ()
    rows = tuple(
        (
            f"{evidence.called(effect)}{'' if effect.kind == ONE_OUT else f' ({effect.kind})'}",
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
    head = ("change", *often, wording.with_unit("effect where both trained", evidence), "p, sign flips", "flag")
    table = Table(caption="How often each arm trains, and how well where both do.", head=head, rows=rows)
    return words, table


def _trainings_of_one(evidence: Findings) -> int:
    """Returns how many trainings a single variant has: those of its rarest variant, of the effect that has the most.

    The arms of a main effect are several variants, so their trainings together are more than any variant has.
    """
    rows = evidence.table
    ended = {} if rows.empty else rows.loc[rows["status"] == DONE, "variant"].value_counts().to_dict()
    fewest = (min(int(ended.get(label, 0)) for label in (*one.departed, *one.kept)) for one in evidence.effects)
    return max(fewest, default=0)


def _measured(evidence: Findings, effect: Effect) -> str:
    """Writes an effect with its interval: `+1.20 [+0.90, +1.50], n = 10`."""
    bounds = wording.interval(evidence, effect)
    return f"{wording.effect(evidence, effect.estimate)} {bounds}, n = {effect.n}"


def _share(trained: int, ended: int) -> tuple[str, str]:
    low, high = share_interval(trained, ended)
    return f"{trained} of {ended}", f"[{low:.0%}, {high:.0%}]" if ended else MISSING


def controls(evidence: Findings) -> tuple[Block, ...]:
    """Returns the table of controls.  Two gates look at placebo and sabotage, none at the mild sabotage."""
    found = [effect for effect in evidence.effects if effect.component in evidence.study.controls]
    if not found:
        return ("This study has no controls. Without a placebo and a sabotage its effects should not be believed.",)
    table = Table(
        caption="Controls, against the reference.",
        head=(*_head(evidence), *_sizes(evidence).values(), "notes"),
        rows=effect_rows(evidence, found),
    )
    return parts_of(evidence.study.subject).controls, _shown(evidence, table)


def single_networks(evidence: Findings) -> Section | None:
    """Returns a section that compares two networks image by image; None if effects have several pairs."""
    rows = []
    for effect in evidence.effects:
        if (found := single_models(evidence, effect)) is not None:
            rows.append((evidence.called(effect), f"{found[0]:,}", f"{found[1]:,}", probability(found[2])))
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
