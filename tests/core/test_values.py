"""ablations.core.study: keys, labels and records."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from ablations.core.claim import Claim, Conditions, Declaration, Rule
from ablations.core.effect import Effect
from ablations.core.identity import SCHEMA
from ablations.core.result import DIVERGED, DONE, STATUSES, Result
from ablations.core.setting import SPLIT, Block, Metric, Setting, Target
from ablations.core.study import Allowance, Study
from ablations.core.subject import Component as Changeable
from ablations.core.subject import Measured, Place, Recipe
from ablations.core.trial import Trial
from ablations.core.tuning import Attempt, Tuned, Tuning, TuningTrial
from ablations.core.variant import Skipped, Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Norm, Pool, leaves, spec_from_dict
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.setting import Budget, budget_of, config_of, spec_of
from tests.making import CLAIMS

BUDGET = Budget(epochs=2, train_examples=100, batch_size=10, image_size=32)
TRIAL = Trial(
    variant=Variant(departures=(("lrn", "off"),)),
    seed=3,
    data="embedded",
    fingerprint="abc",
    config=config_of("cifar", BUDGET, PRESETS["cifar"].spec),
)
RESULT = Result(
    trial=TRIAL,
    status=DONE,
    metrics={"test_top1_error_percent": 12.5},
    curve=({"epoch": 1, "train_loss": 2.25}, {"epoch": 2, "train_loss": 1.5}),
    readings=((50, 61.5), (100, 24.0)),
    outcomes="/w==",
    activity={"lrn": 0.25},
    extras={"filters": "/w=="},
    seconds=1.5,
    provenance={"versions": {"torch": "2.9"}, "argv": ["a", "b"]},
    notes=("its predictions were not kept", "the training step was eager"),
)
SETTING = Setting(  # every field that has a default holds something else
    config=TRIAL.config,
    data="embedded",
    fingerprint="abc",
    main="validation_top1_error_percent",
    metrics={"test_top1_error_percent": Metric(words="accuracy", unit="points", kind="size", lower_is_better=False)},
    phase="validation",
    work=2,
    every=3,
    target=Target(value=25.0, metric="loss", unit="nats", every=50, stops=True),
    guessing=90.0,
    guessable=False,
    baseline=62.0,
    baseline_words="a linear classifier",
    examples=10_000,
    note="small images",
    replicate=SPLIT,
    blocks=(Block(name="ants", fingerprint="12ab", guessing=50.0), Block(name="bees", fingerprint="34cd")),
    facts={"preset": "cifar", "classes": 10},
)


def study() -> Study:
    """A study in which every field that has a default holds something else."""
    values: dict[str, Any] = {
        "name": "night",
        "grid": "pairs",
        "setting": SETTING,
        "components": (("lrn", "off"), ("pooling", "average")),
        "variants": (Variant(), TRIAL.variant),
        "seeds": 3,
        "skipped": (Skipped(variant=TRIAL.variant, reason="why"),),
        "aliases": ("a = b*c",),
        "claims": (CLAIMS[-1], CLAIMS[2]),
        "rule": Rule(alpha=0.1, negligible=(("lrn", 0.5),)),
        "declared": (Declaration(digest="abc", at="2026-11-23T10:00:00+00:00", records=2, what="seeds 3 to 10"),),
        "command": "python -m ablations.run",
        "out_of_reach": (("lrn_imagenet", 161), ("lrn_cifar", None)),
        "tuning": Tuning(
            rates=2,
            seed=1_000_000,
            seeds=2,
            clearly=3.0,
            slower=2.0,
            setting=replace(SETTING, work=5),
            arms=(
                Tuned(
                    variant=TRIAL.variant,
                    attempts=(
                        Attempt(
                            factor=1.0,
                            trials=(
                                TuningTrial(
                                    key="a", status=DONE, steps_to_threshold=12.5, steps=13, error_percent=24.0
                                ),
                                TuningTrial(key="b", status=DIVERGED),
                            ),
                        ),
                    ),
                    factor=1.0,
                ),
            ),
        ),
        "allowance": Allowance(
            asked="30m", grid="one_out", seeds=5, work=3, seconds=1700.0, given_up=("ten seeds", "five epochs")
        ),
    }
    # A field that came later: something of its type.
    later: dict[Any, Any] = {
        tuple[str, ...]: ("word", "another"),
        tuple[tuple[str, int | None], ...]: (("lrn_cifar", 20), ("lrn_imagenet", None)),
        float | None: 1.5,
        bool: True,
        int: 6,
        str: "word",
    }
    for name, kind in get_type_hints(Study).items():
        if name not in values:
            values[name] = later[kind]
    return Study(**values)


def is_its_default(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether `value` is what the field holds unless it is given."""
    factory = field.default_factory
    return bool(value == (field.default if factory is dataclasses.MISSING else factory()))


def through_json(record: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(record))
    return loaded


# What stands where the first preset has nothing; any other None is a number.
RECORDS = {
    "norm": dataclasses.asdict(Norm()),
    "extra_norm": dataclasses.asdict(Norm()),
    "pool": dataclasses.asdict(Pool()),
}


def other(value: Any) -> Any:
    """A value of the same kind that is not equal to `value`."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, (list, tuple)):
        return value[::-1] if len(value) > 1 and value[0] != value[-1] else [*value, ["pooling", "average"]]
    assert value is None
    return 0.5


def put(record: dict[str, Any], path: str, change: Any) -> None:
    """Changes the value at `path`, such as `spec.blocks.0.kernel`, in place."""
    *parents, last = path.split(".")
    here: Any = record
    for step in parents:
        here = here[int(step)] if step.isdigit() else here[step]
    here[last] = RECORDS[last] if last in RECORDS and here[last] is None else change(here[last])


def paths_of_a_trial() -> Iterator[str]:
    for field in dataclasses.fields(Trial):
        if field.name == "config":
            yield "config.preset"
            yield from (f"config.spec.{path}" for path in leaves(spec_of(TRIAL.config)))
            yield from (f"config.budget.{one.name}" for one in dataclasses.fields(Budget))
        elif field.name == "variant":
            yield "variant.departures"
        else:
            yield field.name


def whole(trial: Trial) -> dict[str, Any]:
    """The record of a trial with the default values of its config, too."""
    spec, budget = spec_of(trial.config), budget_of(trial.config)
    config = {**trial.config, "spec": dataclasses.asdict(spec), "budget": dataclasses.asdict(budget)}
    return through_json({**trial.to_dict(), "config": config})


def from_whole(record: dict[str, Any]) -> Trial:
    """The trial of such a record, with a config as AlexNet makes it."""
    config = record["config"]
    made = config_of(config["preset"], Budget(**config["budget"]), spec_from_dict(config["spec"]))
    return Trial.from_dict({**record, "config": through_json(dict(made))})


@pytest.mark.parametrize("path", list(paths_of_a_trial()))
def test_every_field_of_a_trial_changes_its_key_except_where_the_data_lie(path: str) -> None:
    record = copy.deepcopy(whole(TRIAL))
    assert from_whole(record) == TRIAL
    put(record, path, other)
    changed = from_whole(record)
    assert changed != TRIAL
    assert (changed.key == TRIAL.key) == (path == "data")


def test_the_key_of_a_trial_of_another_subject_holds_its_name_and_whatever_its_config_says() -> None:
    trial = replace(TRIAL, subject="mine:SUBJECT", config={"rate": 0.1, "layers": [{"width": 3}]})
    others = [
        replace(trial, subject="mine:OTHER"),
        replace(trial, config={**trial.config, "rate": 0.2}),
        replace(trial, config={**trial.config, "layers": [{"width": 4}]}),
        replace(trial, config={**trial.config, "new": None}),
        # Names that a trial's key has itself.
        replace(trial, config={**trial.config, "seed": 3}),
        replace(trial, config={**trial.config, "fingerprint": "abc"}),
    ]
    assert len({one.key for one in (trial, *others)}) == 1 + len(others)


def test_a_key_is_twelve_hex_digits_and_the_same_in_every_process() -> None:
    assert len(TRIAL.key) == 12 and int(TRIAL.key, 16) >= 0
    code = "import json, sys; from ablations.core.trial import Trial; print(Trial.from_dict(json.load(sys.stdin)).key)"
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(TRIAL.to_dict()),
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == TRIAL.key


def test_a_study_survives_json_and_carries_the_schema() -> None:
    record = through_json(study().to_dict())
    assert record["schema"] == SCHEMA
    assert Study.from_dict(record) == study()


@pytest.mark.parametrize("value", [study(), SETTING, SETTING.target], ids=["study", "setting", "target"])
def test_the_study_that_survives_json_holds_no_default_that_a_reader_could_fill_in(value: Any) -> None:
    assert not [field.name for field in dataclasses.fields(value) if is_its_default(field, getattr(value, field.name))]


@pytest.mark.parametrize("status", STATUSES)
def test_a_result_survives_json_whatever_its_status(status: str) -> None:
    result = replace(RESULT, status=status, error="" if status == DONE else "it broke")
    record = through_json(result.to_dict())
    assert record["schema"] == SCHEMA and record["key"] == TRIAL.key
    assert Result.from_dict(record) == result


def test_a_diverged_curve_keeps_its_nan() -> None:
    result = replace(RESULT, status=DIVERGED, curve=({"train_loss": float("nan")},))
    back = Result.from_dict(through_json(result.to_dict()))
    assert back.curve[0]["train_loss"] != back.curve[0]["train_loss"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"schema": 99}, ValueError, "schema 99 is not"),
        ({"schema": None}, ValueError, "schema None is not"),
        ({"key": "0" * 12}, ValueError, "the key '000000000000' does not fit"),
        ({"status": "finished"}, ValueError, "unknown status 'finished'"),
        ({"colour": 1}, TypeError, "colour"),
    ],
)
def test_a_record_that_is_not_ours_is_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Result.from_dict({**through_json(RESULT.to_dict()), **changes})


def test_a_record_whose_choices_were_edited_no_longer_fits_its_key() -> None:
    record = through_json(RESULT.to_dict())
    record["trial"]["seed"] = 4
    with pytest.raises(ValueError, match="does not fit the trial"):
        Result.from_dict(record)


@pytest.mark.parametrize("missing", ["trial", "status", "key"])
def test_a_record_with_a_missing_field_is_refused(missing: str) -> None:
    record = through_json(RESULT.to_dict())
    del record[missing]
    with pytest.raises((KeyError, TypeError)):
        Result.from_dict(record)


def test_a_study_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 0 is not"):
        Study.from_dict({**through_json(study().to_dict()), "schema": 0})


def test_a_variant_is_its_departures_whatever_their_order() -> None:
    one = Variant(departures=(("lrn", "off"), ("dropout", "off")))
    two = Variant(departures=(("dropout", "off"), ("lrn", "off")))
    assert one == two and hash(one) == hash(two) and one.label == two.label


@pytest.mark.parametrize(
    ("departures", "label"),
    [
        ((), "reference"),
        ((("lrn", "off"),), "-lrn"),
        ((("lrn", "off"), ("dropout", "off")), "-dropout -lrn"),
        ((("activation", "tanh"), ("lrn", "off")), "activation=tanh -lrn"),
    ],
)
def test_a_variant_has_a_readable_label(departures: tuple[tuple[str, str], ...], label: str) -> None:
    assert Variant(departures=departures).label == label


VALUES = [
    Activity,
    Budget,
    Changeable,
    Claim,
    Component,
    Conditions,
    Declaration,
    Effect,
    Measured,
    Metric,
    Place,
    Recipe,
    Result,
    Rule,
    Setting,
    Skipped,
    Study,
    Target,
    Trial,
    Variant,
]


@pytest.mark.parametrize("kind", VALUES)
def test_every_value_is_frozen_and_keyword_only(kind: type) -> None:
    settings = kind.__dataclass_params__  # type: ignore[attr-defined]
    assert settings.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
