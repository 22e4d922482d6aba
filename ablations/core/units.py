"""Writes numbers of a metric as text: outcomes in its unit, effects as differences or, for some metrics, as ratios."""

from __future__ import annotations

from math import ceil, exp, floor, inf, isfinite, log, log10

from ablations.core.effect import Effect
from ablations.core.setting import LOGS, NATS, Metric, natural
from ablations.core.text import MISSING, interval, number, signed

SMALLEST = 1e-300  # of a number that is more than the rounding of a zero
LARGEST = log(1e12)  # the largest logarithm that is written as a ratio; beyond it a ratio means nothing


def is_ratio(metric: Metric) -> bool:
    """Tells whether effects on the metric are logarithms of ratios, which are shown as the ratios."""
    return metric.ratio or metric.unit == LOGS


def unit_of(metric: Metric) -> str:
    """Returns the unit of an effect, such as `points`, `nats` or `times`."""
    return "times" if is_ratio(metric) else metric.unit


def in_unit(metric: Metric, text: str) -> str:
    """Returns `text`, an effect, followed by its unit if it has one: `2 points`, `1 point`."""
    unit = unit_of(metric)
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}".rstrip()


def digits(metric: Metric) -> int:
    """Returns how many digits after the point the metric is written with."""
    if metric.digits is not None:
        return metric.digits
    return 3 if metric.unit == NATS else 2


def times(logarithm: float) -> float:
    """Returns the ratio with this logarithm; infinite if it is too large to mean anything."""
    return inf if logarithm >= LARGEST else exp(logarithm)


def finer(metric: Metric, least: float) -> int:
    """Returns the digits after the point that show two figures of a smallest effect of interest; at least the usual.

    >>> finer(Metric(words="error", unit="points"), 0.5), finer(Metric(words="error", unit="points"), 0.001)
    (2, 4)
    >>> finer(Metric(words="time", ratio=True), log(1.5)), finer(Metric(words="time", ratio=True), log(1.002))
    (2, 4)
    """
    usual = digits(metric)
    return near_one(natural(least), usual) if is_ratio(metric) else max(usual, _figures(least))


def near_one(ratio: float, fewest: int) -> int:
    """Returns the digits after the point that show two figures of a ratio's distance from 1, and at least `fewest`."""
    return max(fewest, _figures(abs(ratio - 1)))


def _figures(value: float) -> int:
    """Returns the digits after the point that show two figures of a number above zero; 0 for nothing but rounding."""
    return 1 - floor(log10(value)) if SMALLEST < value < inf else 0


def factor(ratio: float, figures: int) -> str:
    """Writes a ratio with so many figures, or more where rounding changes its distance from 1 by over a tenth.

    >>> factor(2.0, 3), factor(1.5, 3), factor(1.002, 3), factor(0.998, 2), factor(1500, 3)
    ('2', '1.5', '1.002', '0.998', '1,500')
    """
    usual = f"{ratio:.{figures}g}"
    if 100 <= ratio < inf:
        return f"{float(usual):,.0f}" if ratio < 1e12 else usual
    if not abs(float(usual) - ratio) > abs(ratio - 1) / 10:
        return usual
    fine = f"{ratio:.{near_one(ratio, 0)}f}"
    return fine.rstrip("0").rstrip(".") if "." in fine else fine


def size(metric: Metric, value: float) -> str:
    """Writes an effect as a signed number in the metric's unit, or as a ratio."""
    return number(times(value), digits(metric)) if is_ratio(metric) else signed(value, digits(metric))


def briefly(metric: Metric, value: float, half: float) -> str:
    """The size of an effect without its sign, or a ratio, with the digits that an interval of that half width leaves.

    >>> points = Metric(words="error", unit="points")
    >>> briefly(points, -14.03, 2.6), briefly(points, 3.51, 0.35), briefly(points, 0.0412, 0.004)
    ('14', '3.5', '0.041')
    """
    fine = max(0, ceil(-log10(half / 2))) if isfinite(half) and half > 0 else digits(metric)
    return number(times(value), max(2, fine)) if is_ratio(metric) else number(abs(value), fine)


def between(metric: Metric, low: float, high: float) -> str:
    """Writes an interval of effects: `[-12.77, +13.70]` or, as ratios, `[1.53, 1.76]`; a dash if a bound is missing."""
    if not is_ratio(metric):
        return interval(low, high, digits=digits(metric))
    if isfinite(low) and high >= LARGEST:
        return f"[{number(times(low), digits(metric))}, no bound]"
    return interval(times(low), times(high), sign=False, digits=digits(metric))


def interval_of(metric: Metric, effect: Effect) -> str:
    """Writes the interval of an effect, or that it has none because all pairs are equal."""
    return "all pairs equal" if effect.constant else between(metric, effect.low, effect.high)


def outcome(metric: Metric, value: float) -> str:
    """Writes the outcome of a trial as a number in the metric's unit, without the unit."""
    if metric.ratio and isfinite(value):
        return f"{value:,.{max(4, digits(metric) + 1)}g}"
    return number(value, digits(metric))


def outcomes_between(metric: Metric, low: float, high: float) -> str:
    """Writes an interval of outcomes: `[19.8, 20.4]`, or `[0.01, no bound]`; a dash if a bound is missing."""
    if isfinite(low) and high == inf:
        return f"[{outcome(metric, low)}, no bound]"
    if not (isfinite(low) and isfinite(high)):
        return MISSING
    return f"[{outcome(metric, low)}, {outcome(metric, high)}]"


def margin(metric: Metric, least: float) -> str:
    """Writes a smallest effect of interest as `0.5 points`, `1 point` or, if it is a logarithm, `a factor of 2`."""
    if is_ratio(metric):
        return f"a factor of {factor(natural(least), 3 if metric.ratio else 2)}"
    return f"{least:g} {metric.unit.removesuffix('s') if least == 1 else metric.unit}".rstrip()
