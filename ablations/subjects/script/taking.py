"""Chooses the number of a metric from the rows of a script.

A metric that diverged is never given its last finite number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ablations.core.errors import nearest
from ablations.subject import BEST, HIGHER, Diverged
from ablations.subjects.own.child import TrialError
from ablations.subjects.script.reading import Row, is_number, number

MEAN = re.compile(r"mean of last ([1-9]\d{0,5})")


def taken(rows: Sequence[Row], name: str, column: str, *, take: str, better: str) -> float:
    """Returns the value of a metric, from its column and the row that counts.

    Raises TrialError if the column never came or holds no number, and `Diverged` if it is not finite in the end.
    """
    values = [*_values(rows, column)]
    if not values:
        names = list(dict.fromkeys(other for row in rows for other in row))
        came = ", ".join(names)[:500] or "nothing"
        where = f"the metric {name}" if name == column else f"the metric {name}, {column!r},"
        if column in names:
            raise TrialError(f"{where} was promised and was never read as a number: it was null or empty each time")
        raise TrialError(f"{where} was promised and was never read{nearest(column, names)} what was read is {came}")
    for value in values:
        if not isinstance(value, int | float):
            raise TrialError(f"{column} is {str(value)[:100]!r}, which is no number")
    if take == BEST:
        finite = [value for value in values if math.isfinite(value)] or values
        found = max(finite) if better == HIGHER else min(finite)
    elif mean := MEAN.fullmatch(take):
        last = values[-int(mean[1]) :]
        found = sum(last) / len(last)
    else:
        found = values[-1]
    for value in (values[-1], found):  # also for take = "best": a training that diverged may have had a good row before
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}")
    return float(found)


def _values(rows: Sequence[Row], column: str) -> Iterator[Any]:
    """Yields the values of a column.

    `NaN` as text counts as a number, and so does an empty cell right after the last number of a column without gaps.
    """
    there = [place for place, row in enumerate(rows) if row.get(column) is not None]
    for place in there:
        value = rows[place][column]
        read = number(value) if isinstance(value, str) else value
        yield read if isinstance(read, float) and not math.isfinite(read) else value
    full = len(there) > 1 and there[-1] - there[0] == len(there) - 1
    if full and there[-1] + 1 < len(rows):
        row, before = rows[there[-1] + 1], rows[there[-1]]
        filled, filled_before = ({name for name, value in one.items() if value is not None} for one in (row, before))
        if column in row and filled < filled_before:  # pandas writes nan as an empty cell
            yield math.nan


def diverged_beside(rows: Sequence[Row], columns: Collection[str]) -> Iterator[str]:
    """Yields a sentence for each number that is no metric, was finite once, and is not in the end."""
    last: dict[str, Any] = {}
    finite: set[str] = set()
    for row in rows:
        last |= row
        finite |= {name for name, value in row.items() if is_number(value)}
    for name in sorted(finite - {*columns}):
        if isinstance(last[name], float) and not math.isfinite(last[name]):
            yield f"{name}, which is no metric of this study, is {last[name]} in the end"
