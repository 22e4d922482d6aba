"""What must hold before anything is judged: gates of the whole study, and obstacles to judging one comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan, sqrt

import numpy as np

from ablations.analysis import traces
from ablations.analysis.effects import REFERENCE
from ablations.analysis.evidence import Evidence, broken, finished, ratio
from ablations.analysis.failures import arms_words
from ablations.analysis.reach import GAP
from ablations.analysis.tables import sizes
from ablations.core.claim import MAIN, Claim, Rule, compared
from ablations.core.effect import Effect
from ablations.core.load import PLACEBO, SABOTAGE, load
from ablations.core.result import LOG_STEPS, REACHED, Result
from ablations.core.setting import SIZE, SPLIT, TEST_SIZE, TRAIN_SIZE, Metric
from ablations.core.text import change, number, probability, signed
from ablations.core.units import between, in_unit, outcome, size

FITTED = "clean_train_top1_error_percent"

_NO_BASELINE = "; what a linear classifier gives was not computed for this study"

# Codes for why a claim was not tested.
_OF_RECORDS = NO_ARM, NO_PAIR, ONE_SEED, GATE, PAIRS_MISSING = "no arm", "not run", "one seed", "gate", "missing pairs"
_OF_PAIRS = INACTIVE, UNMEASURED, NO_SPREAD, CENSORED = "inactive", "unmeasured", "too few distinct pairs", "censored"
_OF_TRAININGS = UNDERFITS, FAILS, UNTUNED = "underfits", "failed", "untuned"
REASONS = (*_OF_RECORDS, *_OF_PAIRS, *_OF_TRAININGS)

# The names of gates.
LEARNS, SEED, SIZES = "the reference learns", "the seed is used", "splits are of one size"
SEEN, QUIET = "the sabotage is detected", "the placebo is not"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A condition that a study must meet before anything is judged."""

    name: str
    demand: str  # what must hold, in words
    found: str  # what was found, in words
    passed: bool | None  # None: it cannot be told

    @property
    def answer(self) -> str:
        """Whether it passed, in words: `yes`, `no` or `not known`."""
        return "not known" if self.passed is None else "yes" if self.passed else "no"


def study_gates(evidence: Evidence, rule: Rule) -> list[Gate]:
    """Returns the gates of a study: a reference that learns, and the controls that its grid has behaving as they must.

    There are two more where they apply: that different seeds give different trials, and that all splits of the data
    have one size.
    """
    gates = {SABOTAGE: _sabotage, PLACEBO: _placebo}
    wanted = evidence.study.wanted
    used = [_seeds_used(evidence)] if traces.known(evidence) else []
    learnt = [learns(evidence, rule)] if evidence.study.setting.guessable else []
    split = [_same_sizes(evidence)] if evidence.study.setting.replicate == SPLIT else []
    return [*learnt, *used, *split, *(gate(evidence, rule) for name, gate in gates.items() if name in wanted)]


def _seeds_used(evidence: Evidence) -> Gate:
    """Returns the gate that trials with different seeds differ."""
    differ = traces.seeds_differ(evidence)
    found = {None: "fewer than two trials of the reference", True: "they differ", False: "they are equal"}[differ]
    return Gate(
        name=SEED,
        demand="trials of the reference with different seeds differ in what they report",
        found=found,
        passed=differ,
    )


def _same_sizes(evidence: Evidence) -> Gate:
    """Returns the gate that all trials report the same sizes of their split."""
    each = evidence.on_each or {"": evidence}
    known = {name: sizes(one.table) for name, one in each.items()}
    words = {name: [" and ".join(map(_count, pair)) for pair in found] for name, found in known.items()}
    said = [f"{name}: {', '.join(some)}" if name else "; ".join(some) for name, some in words.items() if some]
    found = [pair for some in known.values() for pair in some]
    of_it = " of a data set" if evidence.on_each else ""
    return Gate(
        name=SIZES,
        demand=f"every trial{of_it} reports the same {TRAIN_SIZE} and {TEST_SIZE}, by which all intervals are "
        "corrected",
        found="; ".join(said) or "no finished trial",
        passed=isfinite(evidence.overlap) if found else None,
    )


def _count(size: float) -> str:
    return "nothing" if isnan(size) else f"{size:,.0f}"


def learns(evidence: Evidence, rule: Rule) -> Gate:
    """Returns the gate that the reference beats guessing and a linear classifier, on each of the data sets."""
    if not evidence.on_each:
        return _learns(evidence, rule)
    each = {name: _learns(one, rule) for name, one in evidence.on_each.items()}
    passed = [one.passed for one in each.values()]
    return Gate(
        name=LEARNS,
        demand="on every data set; " + next(f"on {name} {one.demand}" for name, one in each.items()),
        found="; ".join(f"{name} {one.found}" for name, one in each.items()),
        passed=False if False in passed else None if None in passed else True,
    )


def _learns(evidence: Evidence, rule: Rule) -> Gate:
    """Returns the same gate on one data set.  A linear classifier counts if the rule asks for it and it is known."""
    chance, linear = chance_error(evidence), linear_error(evidence)
    metric, setting = evidence.main_metric, evidence.study.setting
    unit, side = "%" if metric.percent else "", "below" if metric.lower_is_better else "above"
    asked = [(metric.after(chance, rule.beats_chance_by), 1 - rule.beats_chance_by, "what guessing gives")]
    if rule.beats_linear_by is not None and isfinite(linear):
        bound = metric.after(linear, rule.beats_linear_by)
        asked.append((bound, 1 - rule.beats_linear_by, f"what {setting.baseline_words} has"))
    words = [f"{side} {outcome(metric, bound)}{unit}, {_beside(metric, share, whose)}" for bound, share, whose in asked]
    unknown = "" if isfinite(linear) or not setting.baseline_words else _NO_BASELINE
    bound = min((bound for bound, *_ in asked), key=metric.error) if isfinite(chance) else nan
    value = evidence.mean(evidence.metric, "reference")
    known = isfinite(bound) and isfinite(value)
    found = f"{outcome(metric, value)}{unit}" if known else "no finished reference, or the chance level is not known"
    failed, ended = evidence.failed_by_variant.get("reference", (0, 0))
    if failed and failed == ended:
        found = f"failed, {failed} of {ended} trainings"
    learned = metric.error(value) < metric.error(bound)
    return Gate(
        name=LEARNS,
        demand=f"its {metric.noun} is {', and '.join(words)}{unknown}",
        found=found,
        passed=learned if known else False if failed and failed == ended else None,
    )


def _beside(metric: Metric, share: float, whose: str) -> str:
    """Writes a bound relative to what `whose` says: `75% of what guessing gives`.

    If higher is better, it is `25% closer to the best than what guessing gives` for percentages, and otherwise
    `25% above what guessing gives`.
    """
    if metric.lower_is_better:
        return f"{share:.0%} of {whose}"
    return f"{1 - share:.0%} closer to the best than {whose}" if metric.percent else f"{1 - share:.0%} above {whose}"


def linear_error(evidence: Evidence) -> float:
    """Returns the setting's baseline, such as a linear classifier's error; nan in studies that were planned without."""
    recorded = evidence.study.setting.baseline
    return nan if recorded is None else recorded


def chance_error(evidence: Evidence) -> float:
    """Returns what guessing gives on the main metric, averaged over data sets; nan if that is not known."""
    recorded = evidence.study.setting.guessing
    return nan if recorded is None else recorded


def guesses(evidence: Evidence, result: Result) -> bool:
    """Tells whether a finished network is no better than guessing, or by less than two standard errors of guessing.

    A metric that is no percentage has no such standard error (nan), and then no network counts as guessing.
    """
    its = (one for one in evidence.on_each.values() if one.study.setting.fingerprint == result.trial.fingerprint)
    evidence = next(its, evidence)
    chance, count = chance_error(evidence), result.metrics.get("evaluated_examples", nan)
    metric = evidence.study.setting.main_metric
    scatter = sqrt(chance * (100 - chance) / count) if metric.percent else nan  # in percent
    return metric.error(result.metrics.get(evidence.metric, nan)) > metric.error(chance) - 2 * scatter


def _sabotage(evidence: Evidence, rule: Rule) -> Gate:
    """Returns the gate that the sabotage does visible harm: worse outcomes, or trainings that fail more often."""
    effect = control_effect(evidence, SABOTAGE)
    worse = evidence.study.setting.main_metric.worse
    passed = worse * effect.estimate > 0 and effect.p < rule.sabotage_alpha if effect and isfinite(effect.p) else None
    found = effect_words(evidence, effect)
    if effect and effect.unstable and effect.failed[0] > effect.failed[1]:  # to fail is to be detected, too
        passed = passed or effect.p_trained < rule.sabotage_alpha or None
        found = f"{found}; {arms_words(effect)}"
    metric = evidence.study.setting.main_metric
    what = load(evidence.study.subject).sabotage
    harm = f"{what} {'raise' if metric.lower_is_better else 'lower'}"
    return Gate(
        name=SEEN,
        demand=f"{harm} the {metric.noun}, p below {rule.sabotage_alpha:g}",
        found=found,
        passed=passed,
    )


def _placebo(evidence: Evidence, rule: Rule) -> Gate:
    """Returns the gate that the placebo does nothing detectable."""
    effect = control_effect(evidence, PLACEBO)
    return Gate(
        name=QUIET,
        demand=f"other random draws change nothing, p not below {rule.placebo_alpha:g}",
        found=effect_words(evidence, effect),
        passed=not effect.p < rule.placebo_alpha if effect and isfinite(effect.p) else None,
    )


def control_effect(evidence: Evidence, name: str) -> Effect | None:
    """Returns the effect of the control of that name on the main outcome; None if the study does not have it."""
    return next((effect for effect in evidence.effects if effect.component == name), None)


def effect_words(evidence: Evidence, effect: Effect | None) -> str:
    """Writes `+11.70 [+10.00, +13.50] points, p <0.001, n = 10`, or why there is no number."""
    if effect is None:
        return "not in this study"
    if not isfinite(effect.p):
        return "needs two finished pairs that differ"
    metric = evidence.main_metric
    within = f" {between(metric, effect.low, effect.high)}" if isfinite(effect.low) else ""
    found = in_unit(metric, f"{size(metric, effect.estimate)}{within}")
    return f"{found}, p {probability(effect.p)}, n = {effect.n}"


def obstacle(evidence: Evidence, claim: Claim, effect: Effect | None, rule: Rule) -> tuple[str, str]:
    """Returns why a comparison cannot be judged, as a code of `REASONS` and a sentence; two empty strings if it can."""
    if effect is None:
        return NO_ARM, "this study does not make the comparison"
    return next(_obstacles(evidence, claim, effect, rule), ("", ""))


def _inactive(evidence: Evidence, claim: Claim) -> Iterator[tuple[str, str]]:
    """Yields a reason for each component of a claim that is inactive in the reference, or not known to be active."""
    for component, _ in compared(claim):
        known = load(evidence.study.subject).components.get(component)
        if known and not known.negligible:
            continue  # the subject does not measure its activity
        activity, bound = mean_activity(evidence, component), threshold(evidence, component)
        if isnan(activity):  # nan is not below any bound, so it needs a check of its own
            yield UNMEASURED, f"the {component}'s activity was measured in no trained reference"
        if activity < bound:
            words = f"activity in the trained reference is {number(activity, 4)}, below {bound:g}"
            yield INACTIVE, f"the {component}'s {words}"


def _obstacles(evidence: Evidence, claim: Claim, effect: Effect, rule: Rule) -> Iterator[tuple[str, str]]:
    """Yields every reason why a comparison cannot be judged, the most important one first."""
    if effect.unstable and not isfinite(effect.error):
        yield FAILS, f"too few pairs are left to compare: {arms_words(effect)}"
    if evidence.study.seeds < 2 or effect.n == 1:
        yield ONE_SEED, "one seed says nothing of the scatter between seeds"
    if not effect.n:
        what = "seed has all trials of the design" if effect.kind == MAIN else "pair of trials has"
        yield NO_PAIR, f"no {what} finished with this metric"
    if claim.metric == LOG_STEPS and (lost := _never_arrived(evidence, effect)):
        yield (
            CENSORED,
            f"{lost} trials ended before they arrived, which the rule cannot weigh: see the ratio of the steps",
        )
    planned, failed, missing = broken(evidence, effect)
    if missing > rule.missing * planned:
        unit = "seeds" if effect.kind == MAIN else "pairs"
        more = f", and of {failed} more a training failed" if failed else ""
        yield PAIRS_MISSING, f"{missing} of {planned} {unit} are missing{more}"
    if traces.identical(evidence, effect):
        yield INACTIVE, "with it every trial reported what it does without it, to the last digit: it does nothing here"
    if not effect.error > 0:
        yield NO_SPREAD, "all pairs differ by the same, so nothing tells how much another one would differ"
    yield from _inactive(evidence, claim)
    if needs_fit(claim) and (words := _unfitted(evidence, rule)):
        yield UNDERFITS, words
    if claim.metric == GAP and not (gap := _mean_gap(evidence, effect)) >= rule.overfitting:
        words = f"between training and {evidence.phase} error is {signed(gap)} on average"
        yield UNDERFITS, f"the arms' gap {words}: nothing overfits here"


def needs_fit(claim: Claim) -> bool:
    """Tells whether a claim is about the evaluation error or the gap: they say little if the reference still learns."""
    return claim.metric.startswith("test_") or claim.metric == GAP


def _unfitted(evidence: Evidence, rule: Rule) -> str:
    """Returns a clause that the reference has not fitted its training images as the rule asks; empty if it has."""
    if rule.fitted_within is None:
        return ""
    error, bound = evidence.mean(FITTED, "reference"), chance_error(evidence) * rule.fitted_within
    if error <= bound:
        return ""
    if isnan(error):
        return "the reference's error on its own training images was not recorded"
    return f"the reference misses {number(error)}% of its own training images, and may miss {number(bound)}%"


def _never_arrived(evidence: Evidence, effect: Effect) -> int:
    """Returns how many trials of either arm ended before they reached the target."""
    labels = {*effect.departed, *effect.kept}
    arms = (one for one in finished(evidence) if one.trial.variant.label in labels)
    return sum(one.metrics.get(REACHED) == 0 for one in arms)


def threshold(evidence: Evidence, component: str) -> float:
    """Returns the activity below which a component counts as inactive: as declared, or else today's value."""
    declared = dict(evidence.study.rule.negligible) if evidence.study.rule else {}
    known = load(evidence.study.subject).components.get(component)
    return declared.get(component, known.negligible if known else 0.0)


def mean_activity(evidence: Evidence, component: str) -> float:
    """Returns the mean activity of a component in the trained references; nan if none was recorded."""
    found = [one.activity[component] for one in finished(evidence) if component in one.activity]
    return float(np.mean(found)) if found else nan


def underfits(evidence: Evidence, rule: Rule) -> bool:
    """Tells whether the reference has hardly fitted its training images: evaluation and training error are close."""
    return evidence.mean(GAP, "reference") < rule.overfitting


def _mean_gap(evidence: Evidence, effect: Effect) -> float:
    """Returns the mean gap of both arms together, which says little of their difference, the effect to be judged."""
    sides = [[evidence.mean(GAP, label) for label in side] for side in (effect.departed, effect.kept)]
    return float(np.mean([np.mean(side) for side in sides]))


def confounds(evidence: Evidence, effect: Effect) -> str:
    """Writes what else differs between the arms, `+18.6% parameters, map sizes conv2 16 to 17`; empty: nothing much."""
    bound = (evidence.study.rule or Rule()).confounded
    sizes = {name: metric.words for name, metric in evidence.study.setting.metrics.items() if metric.kind == SIZE}
    ratios = [(words, ratio(evidence, effect, name)) for name, words in sizes.items()]
    parts = [f"{change(value)} {words}" for words, value in ratios if abs(value - 1) > bound]
    return ", ".join(filter(None, [*parts, _told_by_the_subject(evidence, effect)]))


def _told_by_the_subject(evidence: Evidence, effect: Effect) -> str:
    """Returns what else the departure changes, as the subject says, from configs in records or else derived ones."""
    subject = load(evidence.study.subject)
    recorded = {result.trial.variant.label: result.trial.config for result in evidence.results}
    before, after = recorded.get(REFERENCE.label), recorded.get(effect.departed[0])
    if effect.kind != MAIN and after is not None:
        before = recorded.get(effect.kept[0])
    elif before is not None:
        try:
            setting = replace(evidence.study.setting, config=before)
            after = subject.configure(setting, ((effect.component, effect.level),))
        except ValueError:
            return ""  # this installation does not know the component
    return str(subject.differences(before, after)) if before is not None and after is not None else ""
