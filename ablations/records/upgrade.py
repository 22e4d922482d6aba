"""Schema 1 read as schema 2: pure functions of what a JSON file holds.  Older files are never rewritten.

Schema 1 knew AlexNet alone: a trial had a preset, a budget and a Spec where it has a subject's config now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ablations.core.claim import MAIN, ONE_IN, ONE_OUT
from ablations.core.identity import SCHEMA
from ablations.core.load import FIRST, PLACEBO, SABOTAGE, load

_FACTORIAL = ("full", "fractional")
_QUESTIONS = {  # of the grids of schema 1, which studies did not record
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
    """The record of a trial as schema 2 has it; whatever is no table of schema 1 is left as it is."""
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
    fields = dict(trial)
    preset, budget, spec, data = (fields.pop(name) for name in ("preset", "budget", "spec", "dataset"))
    return {**fields, "data": data, "config": load(FIRST).from_schema_1(preset, budget, spec)}


def upgraded_study(record: Any) -> Any:
    """What `study.json` holds as schema 2 has it; whatever is no table of schema 1 is left as it is."""
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


_OF_THE_SETTING = (
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
    """A rate that was tried; in older ones it had one training, whose fields stood beside the factor."""
    trial = {name: value for name, value in attempt.items() if name != "factor"}
    return {"factor": attempt["factor"], "trials": attempt.get("trials", [trial])}
