"""ablations.models.spec: the frozen description."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any

import pytest

from ablations.models.presets import PRESETS, preset
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec, leaves, spec_from_dict

every_preset = pytest.mark.parametrize("spec", [preset.spec for preset in PRESETS.values()], ids=list(PRESETS))


def parts(spec: Spec) -> list[Any]:
    """The spec and every record inside it."""
    nested = [
        part for block in spec.blocks for part in (block, block.norm, block.extra_norm, block.pool) if part is not None
    ]
    return [spec, *nested, *spec.hidden]


@every_preset
def test_a_spec_survives_a_round_trip_through_json(spec: Spec) -> None:
    assert spec_from_dict(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec


@every_preset
def test_every_leaf_is_a_plain_value_at_its_own_path(spec: Spec) -> None:
    found = leaves(spec)
    assert all(
        value is None or isinstance(value, (bool, int, float, str)) or all(isinstance(word, str) for word in value)
        for value in found.values()
    )
    for path, value in found.items():
        here: Any = spec
        for step in path.split("."):
            here = here[int(step)] if step.isdigit() else getattr(here, step)
        assert here == value


def test_leaves_of_the_paper_hold_its_numbers_and_a_missing_norm_is_one_leaf() -> None:
    found = leaves(PRESETS["paper"].spec)
    assert (found["blocks.0.kernel"], found["blocks.0.norm.k"], found["hidden.1.features"]) == (11, 2.0, 4096)
    assert found["blocks.2.norm"] is None
    assert not any(path.startswith("blocks.2.norm.") for path in found)


@every_preset
def test_a_value_has_exactly_the_annotated_type_so_that_equal_specs_have_equal_keys(spec: Spec) -> None:
    # 1 == 1.0, but they are written differently, and a trial's key is made of what is written.
    for part in parts(spec):
        hints = typing.get_type_hints(type(part))
        for field in dataclasses.fields(part):
            hint, value = hints[field.name], getattr(part, field.name)
            allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            origins = [typing.get_origin(one) or one for one in allowed]
            assert type(value) in origins, f"{type(part).__name__}.{field.name} is {value!r}, not {hint}"


@pytest.mark.parametrize(
    "record", [Norm(), Pool(), Conv(channels=8, kernel=3), Dense(features=8), PRESETS["paper"].spec]
)
def test_a_value_cannot_be_changed_and_can_be_a_key(record: Any) -> None:
    name = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, None)
    assert {record: 1}[dataclasses.replace(record)] == 1


def test_an_unknown_or_missing_field_of_a_record_raises() -> None:
    record = dataclasses.asdict(PRESETS["cifar"].spec)
    with pytest.raises(TypeError, match="colour"):
        spec_from_dict({**record, "colour": 1})
    del record["learning_rate"]
    with pytest.raises(TypeError, match="learning_rate"):
        spec_from_dict(record)


def test_a_second_preset_of_one_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'paper' is registered twice"):
        preset("paper", summary="", source="", parameters=0)(lambda: PRESETS["paper"].spec)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is_and_where_its_numbers_come_from(name: str) -> None:
    assert PRESETS[name].name == name
    assert PRESETS[name].summary and PRESETS[name].source
