"""The section on claims, with a card for each: what was claimed, what was found for each seed, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import pandas as pd

from ablations.analysis.asked import effect_on
from ablations.analysis.failures import arms_words
from ablations.analysis.rule import BELOW, CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED, REPRODUCED
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.claim import SAME, metric_of
from ablations.core.effect import Effect
from ablations.core.setting import LOGS, POINTS, natural
from ablations.core.text import MISSING, number, probability, told
from ablations.core.units import between, digits, in_unit, is_ratio, outcome, size, unit_of
from ablations.reporting import wording
from ablations.reporting.document import Card, Picture, Section
from ablations.reporting.sections.claimed import (
    WAYS,
    expected,
    margin,
    second_words,
)
from ablations.reporting.sections.outcomes import picture
from ablations.reporting.sections.remedies import changes_it
from ablations.reporting.sections.tuning import conditional
from ablations.reporting.sections.verdicts import (
    ESTIMANDS,
    bounds,
    flags,
    how_often,
    others,
    ours,
    published,
    unstable,
    zero_inside,
)

MOODS = {  # verdict -> mood of its card; others are "open"
    REPRODUCED: "yes",
    DIRECTION_ONLY: "yes",
    CONTRADICTED: "no",
    NO_EFFECT: "no",
}


def section(evidence: Findings) -> Section | None:
    """Returns a card for each claim of the study; None if it has none."""
    if not evidence.verdicts:
        return None
    alpha = evidence.study.rule.alpha
    words = (
        f"The intervals here hold all together with probability {1 - alpha:.0%}; p is Holm's over the claims of a "
        f"family; the rule stands under Methods. In brackets: {flags(evidence)}confounded where the arms differ much "
        "in size, unstable where trainings of an arm failed. In each picture: left, a line a seed from its outcome "
        "without the change to that with it; right, the differences as grey dots, their mean with its interval in "
        "blue, the smallest effect of interest as a band around zero, and the published effect, where there is one, as "
        "a hollow diamond."
    )
    judged = evidence.verdicts
    notes = (*unstable(judged), *zero_inside(judged, alpha))
    cards = (_card(evidence, one) for one in judged)
    return Section(title="Claims", blocks=(words, *notes, *cards, *others(evidence)))


def _card(evidence: Findings, verdict: Verdict) -> Card:
    claim, rates = verdict.claim, conditional(evidence.study.tuning)
    facts = (
        ("claimed in", claim.source),
        ("claimed that", f"{evidence.words.claim(claim)} {expected(claim)}"),
        ("stated there", {"": "", "our reading": "no: it is our reading"}.get(claim.standing, f"as {claim.standing}")),
        ("published", "" if verdict.own and claim.published_effect is None else claim.published),
        ("confounds there", claim.confounds),
        ("what others found", claim.others),
        ("smallest effect of interest", f"{margin(verdict)}: {claim.reason or 'no reason recorded'}"),
        ("p, Holm", _p(verdict)),
        ("method", "" if verdict.effect is None else f"{verdict.effect.method}{rates}"),
        ("how often it trains", "" if verdict.effect is None else how_often(verdict.effect)),
        ("what would change the verdict", changes_it(verdict)),
        ("judged here on", ESTIMANDS.get(claim.estimand, claim.estimand)),
        ("scope", "; ".join(verdict.proxy) or ("" if verdict.own else "as where the claim was made")),
        (
            "published effect within our 95% prediction interval",
            verdict.published_inside if claim.published_effect is not None else "",
        ),
        ("confounds here", verdict.confounds),
    )
    return Card(
        name=claim.name,
        title=claim.statement,
        badge=verdict.label,
        mood=MOODS.get(verdict.call, "open"),
        number=ours(verdict).removesuffix(MISSING),
        words=in_words(evidence, verdict),
        facts=tuple((term, text) for term, text in facts if text and text != MISSING),
        picture=_pairs(evidence, verdict),
    )


def _p(verdict: Verdict) -> str:
    told = verdict.call != NOT_TESTED and verdict.claim.direction != SAME
    return probability(verdict.p_holm) if told else ""


def in_words(evidence: Findings, verdict: Verdict) -> str:
    """Returns what was found on a claim, in sentences for readers without statistics."""
    claim, effect, metric = verdict.claim, verdict.effect, verdict.metric
    if verdict.call == NOT_TESTED or effect is None:
        return f"Not judged: {verdict.because}."
    if verdict.unstable and verdict.call == INCONCLUSIVE:
        return f"Trainings failed, so a mean says little: {arms_words(effect)}."
    way = "higher" if effect.estimate > 0 else "lower"
    by = (
        f"{size(metric, effect.estimate)} times those without it"
        if is_ratio(metric)
        else f"{in_unit(metric, number(abs(effect.estimate), digits(metric)))} {way}"
    )
    where = " where both trained" if verdict.unstable else " on average"
    found = f"With the change ({evidence.words.claim(claim)}) the {metric.words} came out {by}{where}"
    asked, least = WAYS[claim.direction], margin(verdict)
    by_less = f"and an effect of {least} is excluded" if verdict.size == BELOW else f"and may or may not reach {least}"
    same = claim.direction == SAME
    beside = main_outcome(evidence, verdict)
    words = {
        REPRODUCED: f"{found}: too little to matter ({least} would), as was claimed."
        if same
        else f"{found}, as was claimed, and by more than would be too little to matter ({least}).",
        DIRECTION_ONLY: f"{found}, which is the claimed direction, {by_less}.",
        CONTRADICTED: f"{found}, where {asked} was claimed.",
        NO_EFFECT: f"{found}: too little to matter, whichever way ({least} would).",
        INCONCLUSIVE: f"{found}, where {asked} was claimed, and "
        + (f"may or may not reach what would matter ({least})." if same else "that may be chance."),
    }
    return " ".join(filter(None, (words[verdict.first or verdict.call], second_words(verdict), beside)))


def main_outcome(evidence: Findings, verdict: Verdict) -> str:
    """Returns a sentence on the main outcome, if the claim is about another metric; else nothing."""
    claim = verdict.claim
    if metric_of(claim, evidence.phase) == evidence.metric or evidence.study.setting.races:
        return ""
    found = effect_on(evidence, replace(claim, metric=evidence.metric, epoch=None, also=""))
    if found is None or not isfinite(found.estimate):
        return ""
    metric = evidence.main_metric
    bounds = between(metric, found.low, found.high) if isfinite(found.low) else ""
    changed = in_unit(metric, f"{size(metric, found.estimate)} {bounds}".strip())
    return f"The {wording.what(evidence)} changed by {changed}{' in every pair' * found.constant}."


def _pairs(evidence: Findings, verdict: Verdict) -> Picture | None:
    """Returns the figure of a claim's pairs; None if no pair has finished."""
    effect, claim = verdict.effect, verdict.claim
    if effect is None or not isfinite(effect.estimate):
        return None
    found = evidence.by_seed(effect.metric)
    sides = {
        name: found.reindex(columns=list(labels)).mean(axis=1, skipna=False)
        for name, labels in (("kept", effect.kept), ("departed", effect.departed))
    }
    outcomes = pd.DataFrame(sides).dropna(how="all")
    if outcomes.dropna().empty:
        return None
    from ablations.reporting.figures.claims import pairs

    metric = verdict.metric
    ratio, unit = is_ratio(metric), unit_of(metric)
    figure = pairs(
        outcomes,
        (effect.estimate, verdict.low, verdict.high),
        claim.smallest_effect,
        claim.published_effect,
        {POINTS: "percent", LOGS: "steps"}.get(metric.unit, metric.unit or metric.words),
        unit,
        ratios=ratio,
    )
    told_of = outcomes.map(natural) if ratio else outcomes
    each = [
        f"seed {seed} {outcome(metric, row['kept'])} and {outcome(metric, row['departed'])}"
        for seed, row in told_of.iterrows()
    ]
    kind = "ratio" if ratio else "difference"
    mean = f"mean {kind} {size(verdict.metric, effect.estimate)} {bounds(verdict)}"
    shown = f" Published: {published(verdict)}." if claim.published_effect is not None else ""
    alternative = told(f"Without the change and with it, {mean}", each) + shown
    lost = f" {not_drawn(effect)}" if effect.unstable else ""
    return picture(
        f"claim-{_file_name(claim.name, [one.claim.name for one in evidence.verdicts])}",
        f"{evidence.words.claim(claim)}: {ours(verdict)}.{lost}",
        alternative + lost,
        figure,
    )


def not_drawn(effect: Effect) -> str:
    """Returns a sentence on failed trainings, which have no line and no dot in the figure of their comparison."""
    with_it, without = (f"{bad} of {of}" for bad, of in zip(effect.failed, effect.ended, strict=True))
    return f"Not drawn, as they failed: {with_it} trainings with the change and {without} without it."


def _file_name(name: str, names: Sequence[str]) -> str:
    """Returns what a file of the claim `name` is called: `_2`, `_3` and so on tell those apart that are alike in it."""
    alike = [one for one in names if _safe(one).lower() == _safe(name).lower()]
    place = alike.index(name) + 1
    return _safe(name) + (f"_{place}" if place > 1 else "")


def _safe(name: str) -> str:
    """Returns `name` with all but ASCII letters and digits replaced, for file names and ids."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
