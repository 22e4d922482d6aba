"""The sections on gates and methods, and verdicts in words."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ablations.analysis import traces
from ablations.analysis.failures import arms_words, share_interval
from ablations.analysis.gates import beside, chance_error
from ablations.analysis.obstacles import NO_ARM
from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED, REPRODUCED
from ablations.analysis.tables import sizes
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_IN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.load import FIRST, SABOTAGE
from ablations.core.setting import SPLIT, natural
from ablations.core.text import MINUS, MISSING, counted, listed, probability
from ablations.core.units import between, factor, in_unit, is_ratio, size
from ablations.records.claims import published as published_claims
from ablations.reporting import wording
from ablations.reporting.document import Block, Section, Table, without_empty
from ablations.reporting.parts import on_what
from ablations.reporting.sections.claimed import also_measured, besides, other_kinds
from ablations.reporting.sections.comparisons import controls
from ablations.reporting.sections.sensitivity import placebo_reach, sensitivity
from ablations.reporting.sections.tuning import conditional

ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
DIRECTIONS = (DIRECTION_ONLY, CONTRADICTED)
ESTIMANDS = {  # kind of an effect -> what it compares
    ONE_OUT: "one change to the otherwise complete reference",
    ONE_IN: "one change where all the others are made too",
    MAIN: "one change, averaged over all the settings of the others",
}


def flags(evidence: Findings) -> str:
    """Returns what the words in brackets beside a verdict mean, those that this study can have."""
    proxy = "proxy where this study differs from where the claim was made, "
    underfits = "underfitting where the reference has hardly fitted its training images, "
    own = all(one.own for one in evidence.verdicts)
    fits = underfits if wording.images(evidence) else ""
    return f"{'' if own else proxy}draft where it has too few seeds, {fits}"


def zero_inside(judged: Sequence[Verdict], alpha: float) -> list[str]:
    """Returns a sentence on verdicts of a direction whose interval holds zero, which looks like a contradiction."""
    if not any(
        one.call in DIRECTIONS and not one.first and one.low <= 0 <= one.high and not one.unstable for one in judged
    ):
        return []
    return [
        f"An interval below may hold zero where p is under {alpha:g}, and both are right: p asks for the direction "
        "alone, and Holm's steps ask less of each comparison than intervals that tell all the sizes at once. The "
        "direction is then shown, and how large the effect is stays open."
    ]


def unstable(judged: Sequence[Verdict]) -> list[str]:
    """Returns what "unstable" means, if a verdict has that word; else nothing."""
    if not any(one.unstable for one in judged):
        return []
    return [
        "Where a training failed two things are told: how often each arm trains, and how well where both do. Such a "
        "comparison has no verdict on a size and no number of seeds. It has one on a direction only where the pairs "
        "that trained show it (by the exact p of flipping their signs) and the arm that does worse fails as often as "
        "the other or oftener."
    ]


def published(verdict: Verdict) -> str:
    """Writes a published effect: `+1.40 points`, `6 times`, or what was published in words."""
    claim, metric = verdict.claim, verdict.metric
    if claim.published_effect is None:
        return MISSING if verdict.own else claim.published.partition(";")[0]
    if is_ratio(metric):
        return f"{factor(natural(claim.published_effect), 2)} times"
    return in_unit(metric, size(metric, claim.published_effect))


def ours(verdict: Verdict) -> str:
    """Writes the measured effect: `+0.46 [-12.77, +13.70] points, n = 3`; a dash if nothing was measured."""
    effect, claim = verdict.effect, verdict.claim
    if effect is None or not isfinite(effect.estimate):
        return MISSING
    between = f" {bounds(verdict)}" if isfinite(verdict.low) else ""
    metric = verdict.metric
    also = f"; {verdict.also_metric.words} {also_measured(verdict)}" if claim.companion and verdict.also else ""
    where = f" where both trained; {arms_words(effect)}" if effect.unstable else ""
    same = " in every pair" * effect.constant
    return f"{in_unit(metric, f'{size(metric, effect.estimate)}{between}')}{same}, n = {effect.n}{where}{also}"


def how_often(effect: Effect) -> str:
    """Writes how often both arms trained: `8 of 10 with the change [44%, 97%], 10 of 10 without it [69%, 100%]`."""
    parts = []
    for word, trained, ended in zip(("with the change", "without it"), effect.trained, effect.ended, strict=True):
        low, high = share_interval(trained, ended)
        parts.append(f"{trained} of {ended} {word}" + (f" [{low:.0%}, {high:.0%}]" if ended else ""))
    tested = f"; p {probability(effect.p_trained)} for a difference in that" if effect.unstable else ""
    return ", ".join(parts) + tested


def bounds(verdict: Verdict) -> str:
    """Writes the simultaneous interval of a verdict, `[-12.77, +13.70]`: all of its family hold with 95% together."""
    return between(verdict.metric, verdict.low, verdict.high)


def others(evidence: Findings) -> tuple[Table, ...]:
    """Returns a table of the claims that this study does not test, so that a reader sees what was not asked."""
    judged = {verdict.claim.name for verdict in evidence.verdicts}
    own = evidence.study.subject != FIRST
    rows = tuple(
        (
            f"{claim.statement} ({evidence.words.claim(claim)})",
            MISSING if own and claim.published_effect is None else claim.published,
            f"{NOT_TESTED} ({NO_ARM})",
        )
        for claim in published_claims(evidence.study.subject)
        if claim.name not in judged
    )
    what = "more claim" if own else "published claim"
    caption = f"{counted(len(rows), what)} that this study does not touch, or does not measure."
    head = ("claim (change)", "published", "verdict")
    table = Table(caption=caption, head=head, rows=rows, collapsed=True)
    return (without_empty(table, *(["published"] if own else [])),) if rows else ()


def gates(evidence: Findings) -> Section:
    """Returns the section on gates: what must hold before anything is judged, and whether it does."""
    rows = tuple((gate.name, gate.demand, gate.found, gate.answer) for gate in evidence.gates)
    caption = "Where one does not hold, nothing is judged."
    table = Table(caption=caption, head=("gate", "it must hold that", "found", "holds"), rows=rows)
    words = filter(None, (*_of_traces(evidence), sensitivity(evidence), placebo_reach(evidence)))
    held = all(gate.passed for gate in evidence.gates)
    return Section(title="Gates", blocks=(table, *words, *controls(evidence)), open=not held)


def _of_traces(evidence: Findings) -> list[str]:
    """Returns sentences on the determinism of a subject that is a user's file, as far as its trials show it."""
    if not traces.known(evidence):
        return []
    alike = traces.deterministic(evidence)
    said = {
        True: "The reference's first seed was run twice and came out alike, to the last digit of all that it reports: "
        "a change whose trials equal the reference's does nothing.",
        False: "The reference's first seed was run twice and came out differently, so its trials depend on more than "
        "their seeds, and a change that does nothing cannot be told by its numbers.",
        None: "Whether equal seeds give equal numbers was not seen.",
    }[alike]
    blind = (
        []
        if SABOTAGE in evidence.study.controls
        else ["No sabotage is declared, so nothing shows that this study would have seen harm."]
    )
    return [said, *blind]


def methods(evidence: Findings) -> Section:
    """Returns the section with the rule as a formula, and what it was applied to."""
    rule, alpha = evidence.study.rule, evidence.study.rule.alpha
    families = {verdict.claim.family: verdict.comparisons for verdict in evidence.verdicts}
    symbols = (
        ("s", f"+1 where the change is claimed to raise the metric, {MINUS}1 where to lower it"),
        (
            "d, se, f",
            f"s times the effect, its standard error and its degrees of freedom; n {MINUS} 1 over n paired seeds",
        ),
        ("δ", "the claim's smallest effect of interest"),
        (ALPHA, f"{alpha:g}"),
        ("m", f"different comparisons that the claims of a family make, tested or not: {_families(families)}"),
        ("[L, U]", f"d ± t(1 {MINUS} {ALPHA} / 2m, f) · se: simultaneous intervals (Bonferroni)"),
        ("[l, u]", f"d ± t(1 {MINUS} {ALPHA} / m, f) · se: two one-sided tests at {ALPHA} / m (Schuirmann 1987)"),
        ("p", "of d = 0, two-sided t, adjusted by Holm over the m comparisons; of flipped signs where it is unstable"),
        ("a training failed", _what_failed(evidence)),
        ("unstable", "a training of either arm failed"),
    )
    bad = "high error, and as a gap of none" if wording.images(evidence) else "bad outcome"
    ladder = (
        (NOT_TESTED, "a gate fails, or the comparison lacks an arm, a second seed, spread, activity, or pairs: "
         f"over {rule.missing:.0%} of them missing, or fewer than two left where trainings failed{besides(evidence)}"
         f"{_fit(evidence)}"),
        (f"{DIRECTION_ONLY} [unstable]", f"unstable, d > 0, p < {ALPHA}, and the arm that does worse does not fail "
         f"less often (a failure counts as a {bad})"),
        (f"{CONTRADICTED} [unstable]", f"unstable, d < 0, p < {ALPHA}, and the same"),
        (f"{INCONCLUSIVE} [unstable]", "otherwise unstable"),
        (REPRODUCED, "L > δ"),
        (DIRECTION_ONLY, f"otherwise d > 0 and p < {ALPHA}; its size is excluded where {MINUS}δ < l and u < δ, or "
         "else open"),
        (CONTRADICTED, f"otherwise U < {MINUS}δ"),
        (NO_EFFECT, f"otherwise {MINUS}δ < l and u < δ"),
        (f"{CONTRADICTED}, its size open", f"otherwise d < 0 and p < {ALPHA}"),
        (INCONCLUSIVE, "otherwise"),
        *other_kinds([verdict.claim for verdict in evidence.verdicts]),
    )  # fmt: skip
    declared = evidence.study.declared
    trace = tuple((one.at, one.digest, str(one.records), one.what) for one in declared)
    blocks: list[Block] = [
        "Two kinds of statement are made of each claim, on its direction and on its size; each kind is wrong anywhere "
        f"in a family with probability {alpha:g} at most. Both are of trainings that do not fail: of how often they do "
        "the statement is the exact interval beside it, and no failure among ten trainings still leaves room for up to "
        f"31%. The intervals are over seeds, for these evaluation {_data(evidence)}. "
        "The seeds that would decide an open claim are those "
        "at which an effect of δ would be found, and one of zero excluded, four times in five; they are given with the "
        "95% interval that so few seeds leave of their scatter (chi-square), or not at all. How often the rule errs "
        "on made-up studies is in reports/README.md; python -m ablations.calibrate counts it again.",
        *_splits(evidence),
        Table(caption="What the symbols mean.", head=("symbol", "meaning"), rows=symbols),
        Table(caption="The rule: the first line that holds decides.", head=("verdict", "holds when"), rows=ladder),
    ]
    if trace:
        head = ("when", "digest", "records by then", "declared or changed")
        blocks.append(Table(caption="Claims, rule and seeds as they were declared.", head=head, rows=trace))
    return Section(title="Methods", blocks=tuple(blocks))


def _splits(evidence: Findings) -> tuple[str, ...]:
    """Returns how intervals are corrected if seeds are splits of one set of examples; else nothing."""
    if evidence.study.setting.replicate != SPLIT:
        return ()
    known = [f"{train:,.0f} are trained on and {test:,.0f} tested on" for train, test in sizes(evidence.table)]
    share = f" ({listed(known)}: n_test / n_train = {evidence.overlap:.3g})" if isfinite(evidence.overlap) else ""
    return (
        f"Seeds change which examples are trained and tested on{share}. The training sets of such splits overlap, so "
        "that their outcomes are not independent and the plain t would be far too sure. Every interval, p value, "
        "verdict, gate and number of seeds here has the variance of a mean over n splits times (1 + n n_test / "
        "n_train), that is s² (1 / n + n_test / n_train): the corrected resampled t of Nadeau and Bengio (Machine "
        "Learning 52, 2003). It is an approximation, which keeps its level roughly and not exactly. No number of "
        "splits lowers the error below s √(n_test / n_train). Exact tests that take seeds as independent (flipped "
        "signs, equally often) are left out, and the exact intervals of how often trainings fail take them so.",
    )


def _data(evidence: Findings) -> str:
    """Returns what intervals are conditional on."""
    rates = conditional(evidence.study.tuning)
    if wording.examples(evidence):
        return on_what(evidence, f"images{rates}; the effects' table has those that cover other images too")
    return f"data{rates}"


def _fit(evidence: Findings) -> str:
    """Returns what the rule requires of the reference before it judges the evaluation error or the gap."""
    rule = evidence.study.rule
    if not wording.images(evidence):
        return ""
    overfits = f"of overfitting, also where the arms' gap is below {rule.overfitting:g} point on average"
    if rule.fitted_within is None:
        return f"; {overfits}"
    return (
        "; of the evaluation error and the gap, also where the reference misses more of its own training images than "
        f"{rule.fitted_within:.0%} of what guessing misses; {overfits}"
    )


def _what_failed(evidence: Findings) -> str:
    """Returns what counts as a failed training by the rule, as far as this study can tell."""
    rule, setting = evidence.study.rule, evidence.study.setting
    of_chance = bool(rule.failed_above) and setting.guessable
    huge = "a number that it reported was no finite number, or its outcome was too large to be squared"
    words = ["a loss or a weight was no finite number" if wording.images(evidence) else huge]
    metric, chance = setting.main_metric, chance_error(evidence)
    bound = beside(metric, chance, 1 - rule.failed_above, "what guessing gives")
    words += [f"its {metric.noun} is {'above' if metric.lower_is_better else 'not'} {bound}"] * of_chance
    linear = wording.images(evidence) or setting.baseline is not None
    words += [
        f"its error is above a linear classifier's and it has shed less than {rule.failed_below_best:.0%} of what the "
        "best training of its variant has shed of the error of guessing, and that one beats the linear classifier"
    ] * (bool(rule.failed_below_best) and linear)
    return "; or ".join(words)


def _families(families: dict[str, int]) -> str:
    return listed([f"{count} for {name or 'unnamed'}" for name, count in families.items()]) if families else "none"
