"""Claims and effects -> verdicts, by the rule of `analysis/rule.py`, which is fixed before the first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite, nan

from ablations.analysis import failures, reach
from ablations.analysis.effects import compare, contrast_of, main_effects
from ablations.analysis.evidence import Evidence
from ablations.analysis.gates import (
    FAILS,
    GATE,
    NO_ARM,
    NO_PAIR,
    ONE_SEED,
    UNTUNED,
    Gate,
    confounds,
    needs_fit,
    obstacle,
    study_gates,
    underfits,
)
from ablations.analysis.group_sequential import Look
from ablations.analysis.looks import stage, until
from ablations.analysis.rule import (
    ABOVE,
    BELOW,
    INCONCLUSIVE,
    NOT_TESTED,
    OPEN,
    adjust,
    call,
    companion_state,
    intervals,
    size_of,
    with_companion,
    words_of,
)
from ablations.analysis.seeds_needed import settling_seeds
from ablations.analysis.statistics import prediction_interval
from ablations.analysis.tuning import tuned
from ablations.core.claim import MAIN, Claim, Rule, compared, metric_of
from ablations.core.effect import Effect
from ablations.core.setting import Metric
from ablations.core.study import Study
from ablations.core.variant import Variant

FAITHFUL, PROXY = "faithful", "proxy"
LEVEL = 0.95  # of the prediction interval


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim.  Bounds and effects are departure minus reference, whatever the claimed direction."""

    claim: Claim
    call: str  # one of CALLS
    reason: str = ""  # of `ablations.analysis.gates.REASONS`, where it was not tested
    because: str = ""  # the same in a sentence
    effect: Effect | None = None
    comparisons: int = 1  # in its family: m
    p_holm: float = nan
    low: float = nan  # of the simultaneous interval
    high: float = nan
    inner_low: float = nan  # of the two one-sided tests
    inner_high: float = nan
    look: Look | None = None  # at which it stands, in a sequential study
    seeds: int | None = None  # that would settle what is open; None where nothing is, too many, or that is not known
    seeds_low: int | None = None  # of the interval of that number; None: more than any study trains
    seeds_high: int | None = None
    proxy: tuple[str, ...] = ()  # how the study differs from where the claim was made
    draft: bool = False  # fewer seeds than the rule wants
    confounds: str = ""  # what else differs between the arms
    underfits: bool = False  # the reference does, and the claim is about the evaluation error
    published_inside: str = ""  # our prediction interval: yes, no, or why that cannot be said
    first: str = ""  # the call on what the claim says first, where its companion changed that
    also: Effect | None = None  # of the claim's companion
    also_low: float = nan  # of its simultaneous interval
    also_high: float = nan
    out_of_reach: str = ""  # "about 160 seeds" that would decide it, where that was declared to be too many
    metrics: Mapping[str, Metric] = field(default_factory=dict, repr=False)  # of the study, to read the numbers by

    @property
    def metric(self) -> Metric:
        """What the claim's effect is measured by."""
        return self.metrics.get(self.claim.metric, Metric(words=self.claim.metric))

    @property
    def also_metric(self) -> Metric:
        """What the effect of the claim's companion is measured by."""
        name = self.claim.companion.metric if self.claim.companion else ""
        return self.metrics.get(name, Metric(words=name))

    @property
    def size(self) -> str:
        """What is known of the effect's size beside the smallest of interest: ABOVE, BELOW or OPEN."""
        if self.unstable:
            return OPEN
        return size_of((self.low, self.high), (self.inner_low, self.inner_high), self.claim.smallest_effect)

    @property
    def size_known(self) -> bool:
        """Whether the effect is known to be larger, or to be smaller, than the smallest of interest."""
        return self.size in (ABOVE, BELOW)

    @property
    def companion(self) -> str:
        """SHOWN, REFUTED or OPEN for the claim's companion; empty where it has none."""
        asked = self.claim.companion
        if not asked or (self.also is not None and self.also.unstable):
            return OPEN if asked else ""
        return companion_state(asked.direction, self.also_low, self.also_high)

    @property
    def words(self) -> str:
        """The call, and whether the size of a direction is excluded or open."""
        return words_of(self.call, self.size, out_of_reach=bool(self.out_of_reach))

    @property
    def unstable(self) -> bool:
        """Whether a training of either arm failed, so that no size can be told."""
        return self.effect is not None and self.effect.unstable

    @property
    def scope(self) -> str:
        """`faithful`, or `proxy` where the study differs from where the claim was made."""
        return PROXY if self.proxy else FAITHFUL

    @property
    def label(self) -> str:
        """`reproduced [proxy, draft]`, `not tested (inactive) [proxy]`, `not tested (failed, 5 of 5) [proxy]`."""
        if self.call == NOT_TESTED:
            words = failures.failed_words(self.effect) if self.effect and self.reason == FAILS else self.reason
            return f"{self.call} ({words}) [{', '.join(filter(None, [self.scope, self.claim.standing]))}]"
        flags = {
            "draft": self.draft,
            "underfitting": self.underfits,
            "confounded": bool(self.confounds),
            "unstable": self.unstable,
            self.claim.standing: bool(self.claim.standing),
        }
        return f"{self.words} [{', '.join([self.scope, *(word for word, holds in flags.items() if holds)])}]"


@dataclass(frozen=True, kw_only=True)
class Findings(Evidence):
    """Evidence with what was judged of it, which is computed once."""

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """On every claim of the study."""
        return judge(self)


def judge(evidence: Evidence) -> list[Verdict]:
    """A verdict on every claim of the study, in its order; in a sequential study as of the look at which it stands."""
    rule = rule_of(evidence.study)
    claims = claims_in_force(evidence.study)
    gates = study_gates(evidence, rule)
    stands = _standing(evidence, claims, rule)
    effects = [effect_on(then, claim) for claim, (then, _) in zip(claims, stands, strict=True)]
    obstacles = [
        _obstacle(then, claim, effect, rule, gates)
        for claim, effect, (then, _) in zip(claims, effects, stands, strict=True)
    ]
    tested = [
        None if reason or effect is None else failures.for_direction(effect, look)
        for (reason, _), effect, (_, look) in zip(obstacles, effects, stands, strict=True)
    ]
    adjusted = adjust(claims, tested)
    return [
        _verdict(evidence, rule, claim, effect, obstacle, p, m, stand)
        for claim, effect, obstacle, (p, m), stand in zip(claims, effects, obstacles, adjusted, stands, strict=True)
    ]


def _standing(evidence: Evidence, claims: Sequence[Claim], rule: Rule) -> list[tuple[Evidence, Look | None]]:
    """For each claim the evidence that its verdict stands on, and the look at which it does."""
    if not rule.looks:
        return [(evidence, None)] * len(claims)
    reached = stage(evidence)
    after: dict[int, tuple[Evidence, Look | None]] = {0: (until(evidence, 0), None)}
    for number, seeds in enumerate(rule.looks[: reached.taken], start=1):
        after[number] = until(evidence, seeds), Look(number=number, seeds=rule.looks)
    return [after[reached.stands_at(claim)] for claim in claims]


def settled(then: Evidence, claim: Claim, look: Look) -> bool:
    """Whether a look tells the size of a claim's effect, larger than the smallest of interest or smaller.

    Of a claim with a companion it has to tell which way that goes, too.
    """
    rule = rule_of(then.study)
    effect = effect_on(then, claim)
    reason, _ = _obstacle(then, claim, effect, rule, study_gates(then, rule))
    if reason or effect is None:
        return False
    asked = (one.questions for one in claims_in_force(then.study) if one.family == claim.family)
    comparisons = len({question for questions in asked for question in questions})
    (low, high), inner = intervals(effect, rule.alpha, comparisons, look)
    seen = Verdict(
        claim=claim, call=INCONCLUSIVE, effect=effect, low=low, high=high, inner_low=inner[0], inner_high=inner[1]
    )
    seen = _with_also(then, seen, rule.alpha, comparisons, look)
    return seen.size_known and seen.companion != OPEN


def _with_also(evidence: Evidence, verdict: Verdict, alpha: float, comparisons: int, look: Look | None) -> Verdict:
    """The verdict with what was found of its claim's companion, if it has one."""
    asked = verdict.claim.companion
    also = effect_on(evidence, asked) if asked else None
    if also is None:
        return verdict
    (low, high), _ = intervals(also, alpha, comparisons, look)
    return replace(verdict, also=also, also_low=low, also_high=high)


def rule_of(study: Study) -> Rule:
    """The rule that the study was planned with, or today's for a study older than any."""
    return study.rule or Rule()


def claims_in_force(study: Study) -> tuple[Claim, ...]:
    """The claims that the study was planned with."""
    return study.claims


def effect_on(evidence: Evidence, claim: Claim) -> Effect | None:
    """The effect that a claim is about; None where the study does not make the comparison."""
    found, metric = _effect_on(evidence, claim), evidence.study.setting.metrics.get(claim.metric)
    return replace(found, failing=metric.failing) if found and metric else found


def _effect_on(evidence: Evidence, claim: Claim) -> Effect | None:
    metric = metric_of(claim, evidence.phase)
    departure, *others = compared(claim)
    if claim.estimand == MAIN:
        found = main_effects(evidence.study, evidence.table, metric)
        return next((one for one in found if (one.component, one.level) == departure), None)
    contrast = contrast_of(evidence.study, departure, Variant(departures=tuple(others)))
    planned = {variant.label for variant in evidence.study.variants}
    return compare(evidence.table, contrast, metric) if {contrast.departed, contrast.kept} <= planned else None


def proxy_reasons(claim: Claim, study: Study) -> tuple[str, ...]:
    """How a study falls short of where a claim was made, in words; empty where it tests the claim itself."""
    asked, setting = claim.conditions, study.setting
    preset = setting.facts.get("preset", "")
    names = (
        (setting.data, asked.datasets, f"{setting.data} for {' or '.join(asked.datasets)}"),
        (preset, asked.presets, f"preset {preset} for {' or '.join(asked.presets)}"),
    )
    sizes = (
        (setting.facts.get("train_examples", 0), asked.train_examples, "training images"),
        (setting.facts.get("image_size", 0), asked.image_size, "pixels"),
        (setting.work, asked.epochs, "epochs"),
    )
    words = [asked.always_proxy] * bool(asked.always_proxy)
    words += [text for value, allowed, text in names if allowed and value not in allowed]
    words += [f"{value:,} {unit} for {least:,}" for value, least, unit in sizes if value < least]
    return tuple(words)


def _obstacle(
    evidence: Evidence, claim: Claim, effect: Effect | None, rule: Rule, gates: Sequence[Gate]
) -> tuple[str, str]:
    """What the comparison itself lacks, unless the whole study fails a gate."""
    if rule.looks and not evidence.study.seeds:
        return NO_PAIR, f"the first look, after {rule.looks[0]} seeds, is not complete"
    own = obstacle(evidence, claim, effect, rule)
    if effect is not None and untuned(evidence.study, claim):
        return UNTUNED, "the arms share a learning rate, and the claim is about arms that each have a rate of their own"
    failed = [gate for gate in gates if not gate.passed]
    if own[0] in (NO_ARM, ONE_SEED, FAILS) or not failed:
        return own
    return GATE, "; ".join(f"{gate.name}: {gate.answer}, {gate.found}" for gate in failed)


def untuned(study: Study, claim: Claim) -> bool:
    """Whether a claim is about arms with rates of their own, and one of its arms has none."""
    return claim.tuned and not all(tuned(study, departure) for departure in compared(claim))


def _verdict(
    evidence: Evidence,
    rule: Rule,
    claim: Claim,
    effect: Effect | None,
    obstacle: tuple[str, str],
    p_holm: float,
    comparisons: int,
    stands: tuple[Evidence, Look | None],
) -> Verdict:
    reason, because = obstacle
    then, look = stands
    proxy = proxy_reasons(claim, evidence.study)
    common = Verdict(
        claim=claim,
        call=NOT_TESTED,
        reason=reason,
        because=because,
        proxy=proxy,
        comparisons=comparisons,
        look=look,
        out_of_reach=reach.words_of(evidence.study, claim),
        metrics=evidence.study.setting.metrics,
    )
    if effect is None:
        return common
    (low, high), inner = intervals(effect, rule.alpha, comparisons, look)
    common = _with_also(then, common, rule.alpha, comparisons, look)
    first = NOT_TESTED if reason else call(claim, effect, p_holm, comparisons, rule.alpha, look)
    found = with_companion(first, common.companion)
    companion = common.also if found != first else None  # that the call hangs on
    settling, fewest, most = settling_seeds(claim, effect, companion, found, alpha=rule.alpha / comparisons)
    return replace(
        common,
        call=found,
        first=first if found != first else "",
        effect=effect,
        p_holm=p_holm,
        low=low,
        high=high,
        inner_low=inner[0],
        inner_high=inner[1],
        seeds=settling,
        seeds_low=fewest,
        seeds_high=most,
        draft=not reason and evidence.study.seeds < rule.seeds,
        confounds=confounds(evidence, effect),
        underfits=needs_fit(claim) and underfits(evidence, rule),
        published_inside=_inside(claim, effect, bool(proxy)),
    )


def _inside(claim: Claim, effect: Effect, proxy: bool) -> str:
    """Whether the published effect, one run an arm, could have been one of our pairs."""
    if claim.published_effect is None:
        return "no number published"
    if effect.unstable:
        return "not comparable (unstable)"
    if effect.kind == MAIN:
        return "not comparable (a main effect)"  # which averages pairs, where one was published
    if proxy:
        return "not comparable (proxy)"
    low, high = prediction_interval(effect.estimate, effect.error, effect.df, effect.spread, LEVEL)
    if not isfinite(low):
        return "no interval"
    return "yes" if low <= claim.published_effect <= high else "no"
