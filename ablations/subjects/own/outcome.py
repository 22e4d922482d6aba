"""What the process of a trial sent -> the result of the trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from ablations.core.errors import shown
from ablations.core.setting import Metric
from ablations.core.subject import Measured
from ablations.records.examples import write_examples
from ablations.records.outcomes import pack
from ablations.subjects.own.metrics import COUNT, CPU, MEMORY, beside, check_ratios, check_sizes
from ablations.subjects.own.trace import trace_of

EXAMPLES = "examples"  # key of a trial's result: metric -> a number for each evaluated example


def vectors(given: Any) -> dict[str, list[float]]:
    """Returns the `examples` of a trial as plain numbers.  Raises TypeError if they are not vectors of them."""
    if not isinstance(given, Mapping):
        raise TypeError(f"examples is {shown(given)}; it is a mapping of metrics to a number for each example.")
    found = {}
    for name, vector in given.items():
        plain = vector.detach().cpu() if hasattr(vector, "detach") else vector
        array = np.asarray(plain)
        if array.ndim != 1 or not len(array) or array.dtype.kind not in "bifu" or not np.isfinite(array).all():
            raise TypeError(f"examples of {name} is {shown(vector)}; it is a vector of finite numbers.")
        found[str(name)] = [float(one) for one in array]
    return found


def measured(
    last: Mapping[str, Any],
    rows: Sequence[Mapping[str, float]],
    *,
    metrics: Mapping[str, Metric],
    promised: Sequence[str],
    replicate: str,
    place: tuple[Path, str],
) -> Measured:
    """Returns the result of a trial, from the last message of its process and from its rows.

    `promised` are the metrics that it must give, the main one first; `place` is the study's folder and the trial's key.
    What its process used is a part of the result; a number that the trial gave under such a name is kept beside it.
    Raises RuntimeError if a promised metric never came, ValueError if a number that is compared as a ratio is not above
    0, and TypeError if examples are not of the main metric or do not have its value as their mean.
    """
    found = dict(last.get("done", {}))
    for name in promised:
        if metrics[name].best and (values := [row[name] for row in rows if name in row]):
            found[name] = metrics[name].taken(values)
    if missing := [name for name in promised if name not in found]:
        came = ", ".join(found) or "nothing"
        raise RuntimeError(f"the metric {missing[0]} was promised and never came; what came is {came}")
    check_ratios(metrics, found)
    check_sizes(replicate, found)
    used = {name: last[name] for name in (CPU, MEMORY)}
    outcomes = ""
    if examples := last.get(EXAMPLES):
        values = _values(examples, promised[0], found[promised[0]])
        used[COUNT] = len(values)
        outcomes = _outcomes(values, metrics[promised[0]])
        if not outcomes:
            write_examples(*place, values.tolist())
    return Measured(
        metrics={**beside(found, used), **used},
        curve=tuple(beside(row, used) for row in rows) if len(rows) > 1 else (),
        outcomes=outcomes,
        trace=trace_of(rows),
        seconds=last.get("seconds", 0.0),
        notes=tuple(last.get("notes", ())),
        provenance={"went_on_after_epochs": stops} if (stops := last.get("stops")) else {},
    )


def _values(examples: Mapping[str, Sequence[float]], main: str, value: float) -> Any:
    """Returns the number of each example, (N,), in the unit of the main metric: their mean is its value."""
    if others := [name for name in examples if name != main]:
        raise TypeError(f"examples are given of {others[0]}; only those of the main metric, {main}, are of use.")
    vector = np.asarray(examples[main])
    for factor in (1.0, 100.0):
        if isclose(factor * vector.mean(), value, rel_tol=1e-5, abs_tol=1e-6):  # a float32 has seven digits
            return factor * vector
    raise TypeError(
        f"examples of {main} have the mean {vector.mean():.6g}, and {main} is {value:.6g}: it must be that mean, or "
        "100 times it."
    )


def _outcomes(values: Any, metric: Metric) -> str:
    """Returns which examples were right, packed as text, if each is either right or wrong; else an empty text."""
    whole = 100.0 if metric.percent else 1.0
    if not np.isin(values, (0.0, whole)).all():
        return ""
    return pack(values == (0.0 if metric.lower_is_better else whole))
