"""What a search of learning rates amounts to: which rate an arm gets, and what that leaves open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ablations.analysis.parabola import CLEARLY, Lowest, Point, lowest
from ablations.core.load import PLACEBO, load
from ablations.core.study import Study
from ablations.core.tuning import Attempt, Tuned, Tuning, best, natural, outcome, outcomes
from ablations.core.variant import Departure, Variant


def arm_of(study: Study, variant: Variant) -> Variant:
    """`variant` without the departures that have no rate of their own: the arm whose rate it has.

    Those are what evaluation alone reads, and a sabotage: its damage must show under the reference's own recipe, and a
    rate of its own would hide as much of the damage as a rate can.  A placebo has a rate of its own, found with its
    own draws: it is the reference over again, so an effect of it shows the error of the tuning too.
    """
    return Variant(departures=tuple(pair for pair in variant.departures if _has_a_rate(study, pair)))


def _has_a_rate(study: Study, departure: Departure) -> bool:
    """Whether an arm with this departure is tuned by itself."""
    return _trains_otherwise(study, departure) and not _sabotages(study, departure)


def _sabotages(study: Study, departure: Departure) -> bool:
    return departure[0] in study.controls and departure[0] != PLACEBO


def _trains_otherwise(study: Study, departure: Departure) -> bool:
    """Whether a departure changes what training reads, and not the evaluation alone."""
    subject = load(study.subject)
    departed = subject.configure(study.setting, (departure,))
    forms = [subject.canonical(subject.training_part(config)) for config in (study.setting.config, departed)]
    return bool(forms[0] != forms[1])


def tuned(study: Study, departure: tuple[str, str]) -> bool:
    """Whether the rate was tuned for each arm of the study with this departure, and for the reference.

    What evaluation alone reads has the arm that it shares its training with.  False for a sabotage, which has the
    reference's rate, and while the tuning is under way.
    """
    if study.tuning is None:
        return False
    if _sabotages(study, departure):
        return False
    own = {arm.variant for arm in study.tuning.arms if arm.attempts}
    departed = [arm_of(study, variant) for variant in study.variants if departure in variant.departures]
    reference = [arm_of(study, variant) for variant in study.variants if not variant.departures]
    return bool(departed) and {*departed, *reference} <= own


def chosen(attempts: Sequence[Attempt], clearly: float = CLEARLY) -> float:
    """The factor that an arm gets: where the parabola is lowest, or the best of those tried where there is none."""
    found = fitted(attempts, clearly)
    return rounded(math.exp(found.at)) if found else best(attempts).factor


def fitted(attempts: Sequence[Attempt], clearly: float = CLEARLY) -> Lowest | None:
    """The parabola that chooses the rate: over the factor's natural logarithm, of the errors in percent or of the
    natural logarithms of the steps.

    It goes through rates at which every trial came to an outcome: one that diverged, or that was ended before it
    arrived, has none.  A rate with such a trial is a wall, and what lies behind it is left out.  None where the best
    rate has such a trial itself, where the rates are too few, and where `clearly` is 0.
    """
    if not clearly:
        return None
    timed = _arrives(attempts)
    ranked = sorted(attempts, key=lambda one: one.factor)
    for whole, side_by_side in itertools.groupby(ranked, key=lambda one: None not in outcomes(one, timed)):
        near = list(side_by_side)
        if whole and best(attempts) in near:
            return lowest([_point(one, timed) for one in near], clearly)
    return None


def came_to(tuning: Tuning, arm: Tuned) -> float | None:
    """What the chosen rate came to, as `outcome`; by the parabola where it was not tried itself.

    None where a trial has no outcome there, and where the arm never arrived at a threshold, so that errors chose.
    """
    tried = next((one for one in arm.attempts if one.factor == arm.factor), None)
    if tried is not None:
        return outcome(tuning, tried)
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.setting.target is not None
    return natural(found.value, timed) if found and timed == _arrives(arm.attempts) else None


def cost(tuning: Tuning, arm: Tuned) -> float | None:
    """What not knowing the best rate better is expected to cost an arm: points of error, or percent of its steps.

    The parabola's curvature times the variance of its lowest place, by the delta method.  None without a parabola, and
    where the arm never arrived at a threshold, so that its errors chose.
    """
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.setting.target is not None
    if found is None or timed != _arrives(arm.attempts):
        return None
    return 100 * math.expm1(found.cost) if timed else found.cost


def _arrives(attempts: Sequence[Attempt]) -> bool:
    """Whether any trial arrived at a threshold, so that steps choose, and not errors."""
    return any(one.steps_to_threshold is not None for attempt in attempts for one in attempt.trials)


def _point(attempt: Attempt, timed: bool) -> Point:
    values = [value for value in outcomes(attempt, timed) if value is not None]
    return Point(at=math.log(attempt.factor), outcomes=tuple(values))


def rounded(factor: float) -> float:
    """Three digits, so that a rate can be read."""
    return float(f"{factor:.3g}")
