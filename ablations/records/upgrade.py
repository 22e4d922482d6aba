"""Converts records of schema 1 to schema 2 when they are read; the files themselves are never rewritten.

Schema 1 knew only AlexNet: a trial had a preset, a budget and a Spec in place of a subject's config.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ablations.core.claim import MAIN, ONE_IN, ONE_OUT
from ablations.core.identity import SCHEMA
from ablations.core.load import FIRST, PLACEBO, SABOTAGE, load

_FACTORIAL = ("full", "fractional")
_QUESTIONS = {  # grid of schema 1 -> the question that it answers, which its studies did not record
    "reference": "the reference alone, without controls: does it train?",
    "one_out": "the reference, and each departure from it alone",
    "smoke": "one_out over two components: does everything work?",
    "figure1": "the paper's figure 1: steps to 25% training error, ReLU against tanh, the rate of each tuned",
    "one_in": "every component departed at once, and each put back alone",
    "pairs": "the reference, each departure alone, and every two together",
    "full": "every combination: 2^k variants, all main effects and interactions",
    "fractional": (
        "a fraction of `full`: main effects free of two-way aliases, and from --resolution 5 on interactions too"
    ),
}


def upgraded_result(record: Any) -> Any:
    """Returns the record of a trial in schema 2; anything that is no record of schema 1 is returned as it is."""
    if not isinstance(record, Mapping) or record.get("schema") != 1:
        return record
    fields = {**record, "schema": SCHEMA, "trial": _trial(record["trial"])}
    fields["readings"] = fields.pop("looks", ())
    kernels = fields.pop("filters", "")
    fields["extras"] = {"filters": kernels} if kernels else {}
    if fields["status"] == "done":
        fields["notes"], fields["error"] = fields.get("error", "").splitlines(), ""
    return fields


def _trial(trial: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the trial of a record in schema 2, with a config in place of preset, budget and Spec."""
    fields = dict(trial)
    preset, budget, spec, data = (fields.pop(name) for name in ("preset", "budget", "spec", "dataset"))
    return {**fields, "data": data, "config": load(FIRST).from_schema_1(preset, budget, spec)}


def upgraded_study(record: Any) -> Any:
    """Returns a plan in schema 2; anything that is no plan of schema 1 is returned as it is."""
    if not isinstance(record, Mapping) or record.get("schema") != 1:
        return record
    fields, grid = {**record, "schema": SCHEMA}, record["grid"]
    fields["setting"] = _setting(record, record["budget"])
    if tuning := record.get("tuning"):
        fields["tuning"] = _tuning(record, tuning)
    if allowance := record.get("allowance"):
        fields["allowance"] = {**allowance, "work": allowance["epochs"]}
        del fields["allowance"]["epochs"]
    for name in _OF_THE_SETTING:
        fields.pop(name, None)
    fields["estimand"] = ONE_IN if grid == "one_in" else MAIN if grid in _FACTORIAL else ONE_OUT
    fields["factorial"] = grid in _FACTORIAL
    fields["question"] = _QUESTIONS.get(grid, "")
    fields["wanted"] = {"figure1": [PLACEBO]}.get(grid, [SABOTAGE, PLACEBO])
    return fields


_OF_THE_SETTING = (  # fields of a plan of schema 1 that are a part of its setting in schema 2
    "preset",
    "dataset",
    "fingerprint",
    "data_note",
    "budget",
    "chance_error_percent",
    "linear_error_percent",
)


def _setting(study: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, Any]:
    return dataclasses.asdict(load(FIRST).setting_from_schema_1(study, budget))


def _tuning(study: Mapping[str, Any], tuning: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"rates" if name == "trials" else name: value for name, value in tuning.items() if name != "budget"}
    arms = [{**arm, "attempts": [_attempt(one) for one in arm["attempts"]]} for arm in tuning["arms"]]
    return {**fields, "arms": arms, "setting": _setting(study, tuning["budget"])}


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a rate that was tried.  In the oldest records it has one training, whose fields are beside the factor."""
    trial = {name: value for name, value in attempt.items() if name != "factor"}
    return {"factor": attempt["factor"], "trials": attempt.get("trials", [trial])}
