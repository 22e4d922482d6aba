"""Claims and effects -> verdicts, by a rule that is fixed in `study.json` before the first trial.

For a claim that the change moves a metric in direction s, with a smallest effect of interest D > 0:

    d        s times the effect, so that d > 0 is as claimed; se its standard error, f its degrees of freedom
    m        the different comparisons that the claims of its family make, tested or not
    [L, U]   d -+ t(1 - alpha / 2m, f) se: intervals that hold all together with probability 1 - alpha (Bonferroni)
    [l, u]   d -+ t(1 - alpha / m, f) se: two one-sided tests at alpha / m (Schuirmann 1987)
    p        of d = 0, two-sided, adjusted by Holm over the m comparisons

    reproduced                              L > D
    reproduced (direction only)             else, d > 0 and p < alpha
    contradicted                            else, U < -D
    contradicted (no effect of interest)    else, -D < l and u < D
    contradicted                            else, d < 0 and p < alpha
    inconclusive                            else

d is of the seeds at which both arms trained, and so is what a verdict says: how often an arm trains is told beside it.
Where a training of either arm failed (`ablations/failures.py`), the comparison is unstable: its mean has no size, p is
the exact one of flipping the signs of the pairs that are left, and the rule is

    reproduced (direction only)             d > 0 and p < alpha, and the arm that does worse does not fail less often
    contradicted                            d < 0 and the same
    inconclusive                            else

Two kinds of statement, on the direction and on the size, each wrong anywhere in the family with probability
alpha at most.  Holm's procedure tells directions only: the intervals that would go with it say no more of a rejected
claim than its direction (Strassburger and Bretz 2008), so sizes are judged on simultaneous intervals.

A sequential study replaces each level by that of the look at which a claim stands, and each p by the repeated one
(`ablations/boundaries.py`), so that neither kind of error grows with the looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

from ablations import failures
from ablations.boundaries import Look
from ablations.claims import claims_of, compared, metric_of
from ablations.declaration import MAIN, Claim, Rule
from ablations.declare import judged_on
from ablations.effects import compare, contrast_of, main_effects
from ablations.evidence import Evidence
from ablations.gates import FAILS, GATE, NO_ARM, NO_PAIR, ONE_SEED, Gate, confounds, obstacle, study_gates, underfits
from ablations.grids import GRIDS
from ablations.needed import seeds_between
from ablations.sequential import stage, until
from ablations.statistics import holm, prediction_interval, seeds_to_detect, seeds_to_exclude, t_interval
from ablations.types import Effect, Study, Variant

REPRODUCED, DIRECTION_ONLY, CONTRADICTED, NO_EFFECT, INCONCLUSIVE, NOT_TESTED = CALLS = (
    "reproduced",
    "reproduced (direction only)",
    "contradicted",
    "contradicted (no effect of interest)",
    "inconclusive",
    "not tested",
)
FAITHFUL, PROXY = "faithful", "proxy"
SIZE_OPEN = (DIRECTION_ONLY, CONTRADICTED)
LEVEL = 0.95  # of the prediction interval


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim.  Bounds and effects are departure minus reference, whatever the claimed direction."""

    claim: Claim
    call: str  # one of CALLS
    reason: str = ""  # of `ablations.gates.REASONS`, where it was not tested
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

    @property
    def size_known(self) -> bool:
        """Whether the effect is known to be larger, or to be smaller, than the smallest of interest."""
        if self.unstable:
            return False
        bound = self.claim.smallest_effect
        return self.low > bound or self.high < -bound or (-bound < self.inner_low and self.inner_high < bound)

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
            return f"{self.call} ({words}) [{self.scope}]"
        flags = {
            "draft": self.draft,
            "underfitting": self.underfits,
            "confounded": bool(self.confounds),
            "unstable": self.unstable,
        }
        return f"{self.call} [{', '.join([self.scope, *(word for word, holds in flags.items() if holds)])}]"


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
        _verdict(evidence, rule, claim, effect, obstacle, p, m, look)
        for claim, effect, obstacle, (p, m), (_, look) in zip(claims, effects, obstacles, adjusted, stands, strict=True)
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
    """Whether a look tells the size of a claim's effect: larger than the smallest of interest, or smaller."""
    rule = rule_of(then.study)
    effect = effect_on(then, claim)
    reason, _ = _obstacle(then, claim, effect, rule, study_gates(then, rule))
    if reason or effect is None:
        return False
    comparisons = len({one.asks for one in claims_in_force(then.study) if one.family == claim.family})
    (low, high), inner = _intervals(effect, rule.alpha, comparisons, look)
    return Verdict(
        claim=claim, call=INCONCLUSIVE, effect=effect, low=low, high=high, inner_low=inner[0], inner_high=inner[1]
    ).size_known


def _intervals(
    effect: Effect, alpha: float, comparisons: int, look: Look | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The simultaneous interval of an effect, and that of the two one-sided tests."""
    levels = [look.level(level) if look else level for level in (alpha / comparisons, 2 * alpha / comparisons)]
    one, two = (t_interval(effect.estimate, effect.error, effect.df, 1 - level) for level in levels)
    return one, two


def rule_of(study: Study) -> Rule:
    """The rule that the study was planned with, or today's for a study older than any."""
    return study.rule or Rule()


def claims_in_force(study: Study) -> tuple[Claim, ...]:
    """The claims that the study was planned with; for a study older than the rule, those of today."""
    grid = GRIDS.get(study.grid, GRIDS["fractional"])
    return study.claims if study.rule else judged_on(grid, claims_of(study.components, study.budget))


def effect_on(evidence: Evidence, claim: Claim) -> Effect | None:
    """The effect that a claim is about; None where the study does not make the comparison."""
    metric = metric_of(claim, evidence.phase)
    departure, *others = compared(claim)
    if claim.estimand == MAIN:
        found = main_effects(evidence.study, evidence.table, metric)
        return next((one for one in found if (one.component, one.level) == departure), None)
    contrast = contrast_of(evidence.study, departure, Variant(departures=tuple(others)))
    planned = {variant.label for variant in evidence.study.variants}
    return compare(evidence.table, contrast, metric) if {contrast.departed, contrast.kept} <= planned else None


def adjust(claims: Sequence[Claim], effects: Sequence[Effect | None]) -> list[tuple[float, int]]:
    """For each claim Holm's p over its family, and the number of different comparisons in it.

    Claims that ask the same question count once; one that cannot be tested counts, as if its p were 1.
    """
    families: dict[str, dict[tuple[object, ...], float]] = {}
    for claim, effect in zip(claims, effects, strict=True):
        families.setdefault(claim.family, {})[claim.asks] = effect.p if effect else nan
    adjusted = {
        (family, asked): (p, len(questions))
        for family, questions in families.items()
        for asked, p in zip(questions, holm(list(questions.values())), strict=True)
    }
    return [adjusted[claim.family, claim.asks] for claim in claims]


def call(claim: Claim, effect: Effect, p_holm: float, comparisons: int, alpha: float, look: Look | None = None) -> str:
    """The rule itself: one of CALLS but NOT_TESTED."""
    d, margin = claim.direction * effect.estimate, claim.smallest_effect
    if effect.unstable:
        told = d and p_holm < alpha and failures.agrees(effect)
        return INCONCLUSIVE if not told else DIRECTION_ONLY if d > 0 else CONTRADICTED
    (low, high), (inner_low, inner_high) = _intervals(replace(effect, estimate=d), alpha, comparisons, look)
    found = p_holm < alpha
    if low > margin:
        return REPRODUCED
    if d > 0 and found:
        return DIRECTION_ONLY
    if high < -margin:
        return CONTRADICTED
    if -margin < inner_low and inner_high < margin:
        return NO_EFFECT
    return CONTRADICTED if d < 0 and found else INCONCLUSIVE


def proxy_reasons(claim: Claim, study: Study) -> tuple[str, ...]:
    """How a study falls short of where a claim was made, in words; empty where it tests the claim itself."""
    asked, budget = claim.conditions, study.budget
    names = (
        (study.dataset, asked.datasets, f"{study.dataset} for {' or '.join(asked.datasets)}"),
        (study.preset, asked.presets, f"preset {study.preset} for {' or '.join(asked.presets)}"),
    )
    sizes = (
        (budget.train_examples, asked.train_examples, "training images"),
        (budget.image_size, asked.image_size, "pixels"),
        (budget.epochs, asked.epochs, "epochs"),
    )
    words = [asked.always_proxy] * bool(asked.always_proxy)
    words += [text for value, allowed, text in names if allowed and value not in allowed]
    words += [f"{value:,} {unit} for {least:,}" for value, least, unit in sizes if value < least]
    return tuple(words)


def seeds_to_settle(claim: Claim, effect: Effect, verdict: str, comparisons: int, alpha: float) -> int | None:
    """Seeds that would settle what a verdict leaves open, four times in five, should the scatter stay as it is.

    Inconclusive: as many as find an effect of the smallest size of interest, and exclude one of that size where there
    is none.  Where only the direction is known: as many as place the effect that was seen above or below that size.
    None where trainings failed: the scatter of those that did not says nothing of how often the others will.
    """
    if effect.unstable:
        return None
    level = alpha / comparisons
    if verdict in (DIRECTION_ONLY, CONTRADICTED):
        distance = abs(effect.estimate) - claim.smallest_effect
        return seeds_to_detect(abs(distance), effect.spread, level if distance > 0 else 2 * level)
    if verdict != INCONCLUSIVE:
        return None
    needed = [test(claim.smallest_effect, effect.spread, level) for test in (seeds_to_detect, seeds_to_exclude)]
    known = [n for n in needed if n is not None]
    return max(known) if len(known) == len(needed) else None


def _obstacle(
    evidence: Evidence, claim: Claim, effect: Effect | None, rule: Rule, gates: Sequence[Gate]
) -> tuple[str, str]:
    """What the comparison itself lacks, unless the whole study fails a gate."""
    if rule.looks and not evidence.study.seeds:
        return NO_PAIR, f"the first look, after {rule.looks[0]} seeds, is not complete"
    own = obstacle(evidence, claim, effect, rule)
    failed = [gate for gate in gates if not gate.passed]
    if own[0] in (NO_ARM, ONE_SEED, FAILS) or not failed:
        return own
    return GATE, "; ".join(f"{gate.name}: {gate.answer}, {gate.found}" for gate in failed)


def _verdict(
    evidence: Evidence,
    rule: Rule,
    claim: Claim,
    effect: Effect | None,
    obstacle: tuple[str, str],
    p_holm: float,
    comparisons: int,
    look: Look | None,
) -> Verdict:
    reason, because = obstacle
    proxy = proxy_reasons(claim, evidence.study)
    common = Verdict(
        claim=claim,
        call=NOT_TESTED,
        reason=reason,
        because=because,
        proxy=proxy,
        comparisons=comparisons,
        look=look,
    )
    if effect is None:
        return common
    (low, high), inner = _intervals(effect, rule.alpha, comparisons, look)
    found = NOT_TESTED if reason else call(claim, effect, p_holm, comparisons, rule.alpha, look)

    def seeds(effect: Effect) -> int | None:
        return seeds_to_settle(claim, effect, found, comparisons, rule.alpha)

    fewest, most = seeds_between(seeds, effect, claim.smallest_effect if found in SIZE_OPEN else None)
    return replace(
        common,
        call=found,
        effect=effect,
        p_holm=p_holm,
        low=low,
        high=high,
        inner_low=inner[0],
        inner_high=inner[1],
        seeds=seeds(effect),
        seeds_low=fewest,
        seeds_high=most,
        draft=not reason and evidence.study.seeds < rule.seeds,
        confounds=confounds(evidence, effect),
        underfits=claim.metric.startswith("test_") and underfits(evidence, rule),
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
