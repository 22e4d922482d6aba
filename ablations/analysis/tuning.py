"""The results of a search over learning rates: which rate an arm gets, and how uncertain that is."""

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
    """Returns the arm whose learning rate `variant` has: `variant` without departures that have no rate of their own.

    Departures that only evaluation reads have none, and sabotages have none: a sabotage must do its harm under the
    reference's recipe, and a rate of its own would make up for a part of that harm.  The placebo has a rate of its own.
    It repeats the reference with other draws, so its effect also shows how much the choice of a rate scatters.
    """
    return Variant(departures=tuple(pair for pair in variant.departures if _has_a_rate(study, pair)))


def _has_a_rate(study: Study, departure: Departure) -> bool:
    """Tells whether an arm with this departure is tuned by itself."""
    return _trains_otherwise(study, departure) and not _sabotages(study, departure)


def _sabotages(study: Study, departure: Departure) -> bool:
    """Tells whether a departure is a sabotage: a control, but not the placebo."""
    return departure[0] in study.controls and departure[0] != PLACEBO


def _trains_otherwise(study: Study, departure: Departure) -> bool:
    """Tells whether a departure changes what training reads, and not only the evaluation."""
    subject = load(study.subject)
    departed = subject.configure(study.setting, (departure,))
    forms = [subject.canonical(subject.training_part(config)) for config in (study.setting.config, departed)]
    return bool(forms[0] != forms[1])


def tuned(study: Study, departure: tuple[str, str]) -> bool:
    """Tells whether the rate was tuned for each arm of the study with this departure, and for the reference.

    The arm of a departure that only evaluation reads is the one with which it shares its training.  False for a
    sabotage, which has the reference's rate, and while the tuning is under way.
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
    """Returns the factor that an arm gets: the parabola's minimum, or the best factor tried if there is no parabola."""
    found = fitted(attempts, clearly)
    return rounded(math.exp(found.at)) if found else best(attempts).factor


def fitted(attempts: Sequence[Attempt], clearly: float = CLEARLY) -> Lowest | None:
    """Returns the minimum of the parabola that chooses the rate; None if there is no parabola.

    It is fitted, over the natural logarithm of the factor, to errors in percent or to natural logarithms of steps.
    Only rates at which every trial has an outcome count; a trial that diverged, or was ended before it reached the
    target, has none.  Rates beyond such a rate, seen from the best one, are left out too.  There is no parabola if the
    best rate has such a trial itself, if there are too few rates, or if `clearly` is 0.
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
    """Returns the result of the chosen rate, as `outcome` gives it; by the parabola if that rate was not tried itself.

    None if a trial at that rate has no result, or if no trial of the arm reached the target, so that errors decided.
    """
    tried = next((one for one in arm.attempts if one.factor == arm.factor), None)
    if tried is not None:
        return outcome(tuning, tried)
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.setting.target is not None
    return natural(found.value, timed) if found and timed == _arrives(arm.attempts) else None


def cost(tuning: Tuning, arm: Tuned) -> float | None:
    """Returns the expected loss of an arm because its best rate is uncertain: points of error, or percent of its steps.

    It is the parabola's curvature times the variance of its minimum's place, by the delta method.  None if there is no
    parabola, or if no trial of the arm reached the target, so that errors decided.
    """
    found, timed = fitted(arm.attempts, tuning.clearly), tuning.setting.target is not None
    if found is None or timed != _arrives(arm.attempts):
        return None
    return 100 * math.expm1(found.cost) if timed else found.cost


def _arrives(attempts: Sequence[Attempt]) -> bool:
    """Tells whether any trial reached the target, so that steps decide, and not errors."""
    return any(one.steps_to_threshold is not None for attempt in attempts for one in attempt.trials)


def _point(attempt: Attempt, timed: bool) -> Point:
    """Returns a rate as a point of the curve: the logarithm of its factor, and the outcomes of its trials."""
    values = [value for value in outcomes(attempt, timed) if value is not None]
    return Point(at=math.log(attempt.factor), outcomes=tuple(values))


def rounded(factor: float) -> float:
    """Returns `factor` with three significant digits, so that rates are easy to read."""
    return float(f"{factor:.3g}")
