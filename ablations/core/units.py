"""Numbers of a metric in words: outcomes in its unit, effects as differences, or as ratios where it is told so."""

from __future__ import annotations

from math import ceil, exp, inf, isfinite, log, log10

from ablations.core.setting import LOGS, NATS, Metric
from ablations.core.text import MISSING, interval, number, signed

LARGEST = log(1e12)  # of a logarithm that is written as a ratio


def is_ratio(metric: Metric) -> bool:
    """Whether effects are logarithms of ratios, which a reader is told as the ratios."""
    return metric.ratio or metric.unit == LOGS


def unit_of(metric: Metric) -> str:
    """Of an effect: `points`, `nats`, `times`."""
    return "times" if is_ratio(metric) else metric.unit


def in_unit(metric: Metric, text: str) -> str:
    """`text`, an effect, with the unit behind it, where it has one."""
    return f"{text} {unit_of(metric)}".rstrip()


def digits(metric: Metric) -> int:
    """After the point, in the metric's unit."""
    if metric.digits is not None:
        return metric.digits
    return 3 if metric.unit == NATS else 2


def times(logarithm: float) -> float:
    """The ratio that has this logarithm; infinite where it is beyond any that means something."""
    return inf if logarithm >= LARGEST else exp(logarithm)


def size(metric: Metric, value: float) -> str:
    """An effect: a signed number of the metric's unit, or a ratio."""
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
    """`[-12.77, +13.70]`, or of logarithms `[1.53, 1.76]`; a dash where a bound is missing."""
    if not is_ratio(metric):
        return interval(low, high, digits=digits(metric))
    if isfinite(low) and high >= LARGEST:
        return f"[{number(times(low), digits(metric))}, no bound]"
    return interval(times(low), times(high), sign=False, digits=digits(metric))


def outcome(metric: Metric, value: float) -> str:
    """What a trial ended at, in the metric's unit, which is not named."""
    return f"{value:,.4g}" if metric.ratio and isfinite(value) else number(value, digits(metric))


def outcomes_between(metric: Metric, low: float, high: float) -> str:
    """An interval of outcomes; a dash where a bound is missing."""
    if not (isfinite(low) and isfinite(high)):
        return MISSING
    return f"[{outcome(metric, low)}, {outcome(metric, high)}]"


def margin(metric: Metric, least: float) -> str:
    """`0.5 points`, `1 point`, `a factor of 2`: a smallest effect of interest, which is a logarithm of a ratio."""
    if is_ratio(metric):
        return f"a factor of {exp(least):.{3 if metric.ratio else 2}g}"
    return f"{least:g} {metric.unit.removesuffix('s') if least == 1 else metric.unit}".rstrip()
