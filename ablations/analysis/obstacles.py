"""What prevents that one comparison is judged: missing pairs, inactive components, a reference that underfits."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan, nan

import numpy as np

from ablations.analysis import traces
from ablations.analysis.evidence import Evidence, broken, broken_off, errors_told, finished, lacks_pairs
from ablations.analysis.failures import arms_words, for_direction
from ablations.analysis.gates import chance_error
from ablations.core.claim import MAIN, SAME, Claim, compared
from ablations.core.effect import Effect
from ablations.core.load import load
from ablations.core.result import LOG_STEPS, REACHED
from ablations.core.text import number, probability, signed

# Codes for why a claim was not tested.
_OF_RECORDS = NO_ARM, NO_PAIR, ONE_SEED, GATE, PAIRS_MISSING = "no arm", "not run", "one seed", "gate", "missing pairs"
_OF_PAIRS = INACTIVE, UNMEASURED, NO_SPREAD, CENSORED = "inactive", "unmeasured", "too few distinct pairs", "censored"
_OF_TRAININGS = UNDERFITS, FAILS, UNTUNED = "underfits", "failed", "untuned"
REASONS = (*_OF_RECORDS, *_OF_PAIRS, *_OF_TRAININGS)


def obstacle(evidence: Evidence, claim: Claim, effect: Effect | None) -> tuple[str, str]:
    """Returns why a comparison cannot be judged, as a code of `REASONS` and a sentence; two empty strings if it can."""
    if effect is None:
        return NO_ARM, "this study does not make the comparison"
    return next(_obstacles(evidence, claim, effect), ("", ""))


def _obstacles(evidence: Evidence, claim: Claim, effect: Effect) -> Iterator[tuple[str, str]]:
    """Yields every reason why a comparison cannot be judged, the most important one first."""
    rule = evidence.study.rule
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
    if traces.inactive(evidence, effect):
        yield INACTIVE, "with it every trial reported what it does without it, to the last digit: it does nothing here"
    if lacks_pairs(evidence, effect):
        planned, failed, missing = broken(evidence, effect)
        unit = "seeds" if effect.kind == MAIN else "pairs"
        more = f", and of {failed} more a training failed" if failed else ""
        yield PAIRS_MISSING, f"{missing} of {planned} {unit} are missing{_errors(evidence, effect)}{more}"
    if not effect.error > 0 and (claim.direction == SAME or not for_direction(effect).p < rule.alpha):
        yield NO_SPREAD, _alike(claim, effect)
    yield from _inactive(evidence, claim)
    if needs_fit(evidence, claim) and (words := _unfitted(evidence)):
        yield UNDERFITS, words
    gap = load(evidence.study.subject).gap
    if claim.metric == gap and not (mean := _mean_of_arms(evidence, effect, gap)) >= rule.overfitting:
        words = f"between training and {evidence.phase} error is {signed(mean)} on average"
        yield UNDERFITS, f"the arms' gap {words}: nothing overfits here"


def _alike(claim: Claim, effect: Effect) -> str:
    """Returns why pairs that all differ by the same do not judge a claim."""
    words = "all pairs differ by the same, so nothing tells how much another one would differ"
    if claim.direction == SAME or not effect.constant or effect.estimate == 0:
        return words
    if effect.overlap != 0:  # also true of nan
        return f"{words}, and flipping their signs tells no direction, as these splits overlap"
    return (
        f"{words}, and {effect.n} are too few to tell a direction by flipping their signs (p {probability(effect.p)})"
    )


def _errors(evidence: Evidence, effect: Effect) -> str:
    """Returns how many trials of either arm ended in an error, with the last line of one; empty if none did."""
    labels = {*effect.departed, *effect.kept}
    ended = [one for one in broken_off(evidence.results) if one.trial.variant.label in labels]
    return f", as {errors_told(ended)}" if ended else ""


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


def needs_fit(evidence: Evidence, claim: Claim) -> bool:
    """Tells whether a claim is about the evaluation error or the gap: they say little if the reference still learns.

    A subject that does not know its error on training data has no such claims.
    """
    subject = load(evidence.study.subject)
    return bool(subject.fitted) and (claim.metric.startswith("test_") or claim.metric == subject.gap)


def _unfitted(evidence: Evidence) -> str:
    """Returns a clause that the reference has not fitted its training images as the rule asks; empty if it has."""
    within = evidence.study.rule.fitted_within
    if within is None:
        return ""
    fitted = load(evidence.study.subject).fitted
    error, bound = evidence.mean(fitted, "reference"), chance_error(evidence) * within
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
    declared = dict(evidence.study.rule.negligible)
    known = load(evidence.study.subject).components.get(component)
    return declared.get(component, known.negligible if known else 0.0)


def mean_activity(evidence: Evidence, component: str) -> float:
    """Returns the mean activity of a component in the trained references; nan if none was recorded."""
    found = [one.activity[component] for one in finished(evidence) if component in one.activity]
    return float(np.mean(found)) if found else nan


def underfits(evidence: Evidence) -> bool:
    """Tells whether the reference has hardly fitted its training images: evaluation and training error are close."""
    return evidence.mean(load(evidence.study.subject).gap, "reference") < evidence.study.rule.overfitting


def _mean_of_arms(evidence: Evidence, effect: Effect, metric: str) -> float:
    """Returns the mean of both arms together, which says little of their difference, the effect to be judged."""
    sides = [[evidence.mean(metric, label) for label in side] for side in (effect.departed, effect.kept)]
    return float(np.mean([np.mean(side) for side in sides]))
