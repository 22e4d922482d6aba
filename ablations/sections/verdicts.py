"""The sections that judge: the headline, the verdicts, gates, and the rule as a formula."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite

from ablations.calls import REFUTED
from ablations.claims import CLAIMS, METRICS, label_of
from ablations.declaration import MAIN, ONE_IN, ONE_OUT, SAME, Claim
from ablations.evidence import Evidence
from ablations.gates import (
    CENSORED,
    GATE,
    INACTIVE,
    NO_ARM,
    NO_PAIR,
    NO_SPREAD,
    ONE_SEED,
    PAIRS_MISSING,
    UNDERFITS,
    UNTUNED,
    study_gates,
)
from ablations.sections.claimed import (
    NAMES,
    WAYS,
    also_measured,
    between,
    by_comparison,
    is_ratio,
    margin,
    other_kinds,
    size,
)
from ablations.sections.document import MINUS, MISSING, Block, Section, Table, listed, probability
from ablations.verdicts import (
    CONTRADICTED,
    DIRECTION_ONLY,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_TESTED,
    REPRODUCED,
    Verdict,
    post_hoc,
    rule_of,
)
from ablations.words import counted

ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
DIRECTIONS = (DIRECTION_ONLY, CONTRADICTED)
ESTIMANDS = {
    ONE_OUT: "one change to the otherwise complete reference",
    ONE_IN: "one change where all the others are made too",
    MAIN: "one change, averaged over all the settings of the others",
}
REMEDIES = {
    NO_ARM: "A study that makes this change.",
    NO_PAIR: "Finished trials.",
    ONE_SEED: "More seeds: --seeds 10.",
    GATE: "A study that passes its gates.",
    PAIRS_MISSING: "Its missing trials.",
    INACTIVE: "A preset or data on which the component does something.",
    NO_SPREAD: "Outcomes that differ: more evaluation images, or a change that takes effect.",
    CENSORED: "A longer budget, in which every trial arrives.",
    UNDERFITS: "A study that overfits: more epochs.",
    UNTUNED: "A study that tunes the learning rate of each arm: --tune 7.",
}


def headline(evidence: Evidence) -> str:
    """A few sentences: how many comparisons came to which verdict, and at what scale."""
    verdicts = evidence.verdicts
    if not verdicts:
        return "No published claim is about what this study changes, so there is nothing to judge."
    words = [by_comparison(verdicts)]
    words += [f"The study fails a gate: {why}." for why in {one.because for one in verdicts if one.reason == GATE}]
    judged = [verdict for verdict in verdicts if verdict.call != NOT_TESTED]
    if proxies := sum(bool(verdict.proxy) for verdict in judged):
        all_of_them = "All are judged" if proxies == len(judged) else f"{proxies} of {len(judged)} are judged"
        words.append(
            f"{all_of_them} by proxy, as this study is smaller than, or differs from, where the claims were made. "
            "A proxy does not refute the paper; it can fail to show at its own scale what was claimed."
        )
    if any(verdict.draft for verdict in judged):
        words.append(f"Fewer than {rule_of(evidence.study).seeds} seeds make a draft.")
    return " ".join(words)


def caution(evidence: Evidence) -> tuple[str, ...]:
    """Why the verdicts were not fixed before the first trial, if they were not."""
    reasons = post_hoc(evidence.study, evidence.results) if evidence.verdicts else []
    return (" ".join(["Post hoc, not fixed before the first trial:", *reasons]),) if reasons else ()


def verdicts(evidence: Evidence) -> Section:
    """Claim by claim: the paper's number, ours, the call, and what would change it."""
    blocks: list[Block] = []
    if evidence.verdicts:
        blocks += [
            "Effects are the metric with the change minus that without it. The intervals hold all together with "
            f"probability {1 - rule_of(evidence.study).alpha:.0%}; p is Holm's, over the claims of a family. The rule "
            "stands under Methods. In brackets: proxy where this study differs from where the claim was made, draft "
            "where it has too few seeds, underfitting where the reference has hardly fitted its training images, "
            "confounded where the arms differ much in size.",
            *zero_inside(evidence.verdicts, rule_of(evidence.study).alpha),
            _table(evidence),
        ]
    others = _others(evidence)
    return Section(title="Verdicts", blocks=(*blocks, *others))


def zero_inside(judged: Sequence[Verdict], alpha: float) -> list[str]:
    """A sentence on verdicts of a direction whose interval holds zero, at which a reader would stumble."""
    if not any(one.call in DIRECTIONS and not one.first and one.low <= 0 <= one.high for one in judged):
        return []
    return [
        f"An interval below may hold zero where p is under {alpha:g}, and both are right: p asks for the direction "
        "alone, and Holm's steps ask less of each comparison than intervals that tell all the sizes at once. The "
        "direction is then shown, and how large the effect is stays open."
    ]


def _table(evidence: Evidence) -> Table:
    rows = tuple(
        (
            f"{verdict.claim.statement} ({label_of(verdict.claim)})",
            verdict.label,
            ours(verdict),
            published(verdict.claim),
            probability(verdict.p_holm) if verdict.call != NOT_TESTED and verdict.claim.direction != SAME else MISSING,
            changes_it(verdict),
        )
        for verdict in evidence.verdicts
    )
    head = ("claim (change)", "verdict", "measured here", "published", "p, Holm", "what would change it")
    return Table(caption="Verdicts, one claim a row.", head=head, rows=rows)


def published(claim: Claim) -> str:
    """`+1.40 points`, `6 times`; what was published in words where no effect can be had from it."""
    if claim.published_effect is None:
        return claim.published.partition(";")[0]
    if is_ratio(claim):
        return f"{exp(claim.published_effect):.2g} times"
    return f"{size(claim, claim.published_effect)} {METRICS[claim.metric]}"


def ours(verdict: Verdict) -> str:
    """`+0.46 [-12.77, +13.70] points, n = 3`, `1.64 [1.53, 1.76] times, n = 10`; a dash where nothing was measured."""
    effect, claim = verdict.effect, verdict.claim
    if effect is None or not isfinite(effect.estimate):
        return MISSING
    between = f" {bounds(verdict)}" if isfinite(verdict.low) else ""
    unit = "times" if is_ratio(claim) else METRICS[claim.metric]
    also = f"; {NAMES[claim.companion.metric]} {also_measured(verdict)}" if claim.companion and verdict.also else ""
    return f"{size(claim, effect.estimate)}{between} {unit}, n = {effect.n}{also}"


def bounds(verdict: Verdict) -> str:
    """`[-12.77, +13.70]`, `[1.53, 1.76]`: what holds together with the bounds of the family's other claims."""
    return between(verdict.claim, verdict.low, verdict.high)


def changes_it(verdict: Verdict) -> str:
    """What would bring about another verdict, in a sentence."""
    claim, least = verdict.claim, margin(verdict.claim)
    seeds = f"About {verdict.seeds:,} seeds" if verdict.seeds else "Over 10,000 seeds"
    if verdict.call == NOT_TESTED:
        return f"{REMEDIES.get(verdict.reason, '')} Here {verdict.because}."
    if verdict.first or verdict.call == INCONCLUSIVE:
        return _second(verdict, seeds) if verdict.first else f"{seeds} {_would_decide(verdict)}"
    if verdict.call == NO_EFFECT or (claim.direction == SAME and verdict.call == REPRODUCED):
        return f"An effect beyond {least} either way, which these seeds exclude."
    if verdict.call == DIRECTION_ONLY and verdict.size_known:
        return f"Nothing by more seeds: its direction holds, and a size of {least} is excluded."
    if not verdict.size_known:
        return f"{seeds} would tell whether its size reaches {least}."
    nearest = min(verdict.low, verdict.high, key=abs)
    none = "1" if is_ratio(claim) else "zero"
    return f"An interval that comes nearer to {none} than {least}; it now ends at {size(claim, nearest)}."


def _would_decide(verdict: Verdict) -> str:
    """What more seeds would do for an open claim."""
    least = margin(verdict.claim)
    both = f"would find an effect of {least}, or exclude it."
    found = f"would tell whether it stays below {least}." if verdict.claim.direction == SAME else both
    if verdict.out_of_reach:
        found += f" That is out of reach, as was declared before the first trial: {verdict.out_of_reach} by the prior."
    return found


def _second(verdict: Verdict, seeds: str) -> str:
    """What would change a verdict that hangs on the second thing that its claim says."""
    asked = verdict.claim.companion
    assert asked
    way = WAYS[asked.direction]
    if verdict.companion == REFUTED:
        return f"A {NAMES[asked.metric]} that comes out {way} with the change."
    return f"{seeds} would tell whether the {NAMES[asked.metric]} is {way} too, were it to differ by as much as it did."


def _others(evidence: Evidence) -> tuple[Table, ...]:
    """Published claims that this study says nothing of: kept, so that a reader sees what was not asked."""
    judged = {verdict.claim.name for verdict in evidence.verdicts}
    rows = tuple(
        (f"{claim.statement} ({label_of(claim)})", claim.published, f"{NOT_TESTED} ({NO_ARM})")
        for claim in CLAIMS
        if claim.name not in judged
    )
    caption = f"{counted(len(rows), 'published claim')} that this study does not touch, or does not measure."
    head = ("claim (change)", "published", "verdict")
    return (Table(caption=caption, head=head, rows=rows, collapsed=True),) if rows else ()


def gates(evidence: Evidence) -> Section:
    """What has to hold of the study before anything is judged, and whether it did."""
    found = study_gates(evidence, rule_of(evidence.study))
    rows = tuple((gate.name, gate.demand, gate.found, gate.answer) for gate in found)
    caption = "Where one does not hold, the study has no verdicts."
    table = Table(caption=caption, head=("gate", "it must hold that", "found", "holds"), rows=rows)
    return Section(title="Gates", blocks=(table,))


def methods(evidence: Evidence) -> Section:
    """The rule as a formula, and what it was applied to."""
    rule, alpha = rule_of(evidence.study), rule_of(evidence.study).alpha
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
        ("p", "of d = 0, two-sided t, adjusted by Holm over the m comparisons"),
    )
    ladder = (
        (NOT_TESTED, "a gate fails, or the comparison lacks an arm, a second seed, spread, activity, or pairs: "
         f"over {rule.missing:.0%} of them missing; of overfitting, also where the arms' gap is below "
         f"{rule.overfitting:g} point on average"),
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
        f"in a family with probability {alpha:g} at most. The intervals are over seeds, for these evaluation images; "
        "the effects' table has those that cover other images too. The seeds that would decide an open claim are those "
        "at which an effect of δ would be found, and one of zero excluded, four times in five. How often the rule errs "
        "on made-up studies is in reports/README.md; python -m ablations.calibrate counts it again.",
        Table(caption="What the symbols mean.", head=("symbol", "meaning"), rows=symbols),
        Table(caption="The rule: the first line that holds decides.", head=("verdict", "holds when"), rows=ladder),
    ]
    if trace:
        head = ("when", "digest", "records by then", "declared or changed")
        blocks.append(Table(caption="Claims, rule and seeds as they were declared.", head=head, rows=trace))
    return Section(title="Methods", blocks=tuple(blocks))


def _families(families: dict[str, int]) -> str:
    return listed([f"{count} for {name or 'unnamed'}" for name, count in families.items()]) if families else "none"
