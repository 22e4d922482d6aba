"""The sabotage of a study file: a change that must do harm, which shows that the study can see harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError
from ablations.subjects.own.configs import changed, value_of

SABOTAGED = 10  # without a declared sabotage, the budget is divided by this


def harm(subject: written.Subject, reference: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the fields that the sabotage sets, beside a configuration with these `values`; empty if there is none.

    If the file declares no sabotage, it is a tenth of the first budget field, unless the `reference` has less than 2
    there.
    """
    budget = subject.budget
    if subject.sabotage is not None or not budget or value_of(reference, budget[0]) < 2:
        return subject.sabotage or {}
    return {budget[0]: max(1, value_of(values, budget[0]) // SABOTAGED)}


def check_harm(subject: written.Subject, reference: Mapping[str, Any]) -> None:
    """Raises InputError if the declared sabotage names an unknown field, or leaves the reference as it is."""
    if subject.sabotage and changed(reference, subject.sabotage) == reference:
        raise InputError(
            f"the sabotage sets {harm_words(subject)}, which is what the reference has: name a change that must do "
            "harm, or leave the sabotage out."
        )


def harm_words(subject: written.Subject) -> str:
    """Returns the sabotage in words: `steps=1`, or `a tenth of steps, as no sabotage is declared`."""
    if subject.sabotage is None:
        return f"a tenth of {subject.budget[0]}, as no sabotage is declared" if subject.budget else "none"
    return ", ".join(f"{name}={value!r}" for name, value in subject.sabotage.items())
