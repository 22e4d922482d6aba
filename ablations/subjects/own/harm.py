"""The sabotage of a study file: what must do harm, so that a study shows that it would have seen some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations import subject as written
from ablations.subjects.own.configs import value_of

SABOTAGED = 10  # a sabotage that the file does not declare has the reference's budget divided by this


def harm(subject: written.Subject, reference: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the sabotage beside a configuration of these values; empty where there is none.

    A file that declares none has a tenth of its first budget field, where the file's `reference` has two or more.
    """
    budget = subject.budget
    if subject.sabotage is not None or not budget or value_of(reference, budget[0]) < 2:
        return subject.sabotage or {}
    return {budget[0]: max(1, value_of(values, budget[0]) // SABOTAGED)}


def harm_words(subject: written.Subject) -> str:
    """`steps=1`, or `a tenth of steps, as no sabotage is declared`."""
    if subject.sabotage is None:
        return f"a tenth of {subject.budget[0]}, as no sabotage is declared" if subject.budget else "none"
    return ", ".join(f"{name}={value!r}" for name, value in subject.sabotage.items())
