"""What holds of every spec, grid, record, name and claims file, not only of those that somebody thought of."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import math
import string
import tempfile
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.strategies import SearchStrategy

from ablations.analysis import tables
from ablations.cli.arguments import parsed
from ablations.cli.options import check, default_name, options_of, resolved
from ablations.core import errors
from ablations.core.claim import Claim, label_of
from ablations.core.errors import InputError
from ablations.core.identity import sparse
from ablations.core.load import FIRST
from ablations.core.result import STATUSES, Result
from ablations.core.setting import KINDS, Metric, Setting, Target
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models.equivalence import canonical
from ablations.models.presets import PRESETS
from ablations.models.spec import Conv, Spec, leaves, spec_from_dict
from ablations.planning.factors import departures_of
from ablations.planning.grids import grids_of
from ablations.records import claims, files, store
from ablations.subjects.alexnet.metrics import METRICS
from ablations.subjects.alexnet.registry import components
from ablations.subjects.alexnet.setting import Budget, config_of
from tests.making import CLAIMS

quick = hypothesis.settings(
    derandomize=True,  # the same examples every time
    deadline=None,  # no test here is about time
    max_examples=60,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # a record takes minutes to be made smaller
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
numbers = some.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)  # -0.0 equals 0.0
words = some.text(string.ascii_lowercase, min_size=1, max_size=8)

# --- Specs.


def values(cls: type, **fixed: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Any value of a dataclass, each field by its type."""
    hints = typing.get_type_hints(cls)
    fields = {
        one.name: fixed[one.name] if one.name in fixed else of(hints[one.name]) for one in dataclasses.fields(cls)
    }
    return some.builds(cls, **fields)


def of(hint: Any) -> SearchStrategy[Any]:
    """Any value of a type that a field of a Spec has."""
    plain = {int: some.integers(0, 9), float: numbers, bool: some.booleans(), str: words}
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is tuple:
        return some.lists(of(typing.get_args(hint)[0]), min_size=1, max_size=2).map(tuple)
    if options := typing.get_args(hint):
        return some.one_of([some.none() if one is type(None) else of(one) for one in options])
    return values(hint)


specs = values(Spec, blocks=some.lists(values(Conv), min_size=1, max_size=2).map(tuple))
presets = some.sampled_from([preset.spec for preset in PRESETS.values()])


@quick
@given(specs)
def test_any_spec_comes_back_from_json_as_it_was(spec: Spec) -> None:
    assert spec_from_dict(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec


@quick
@given(specs, specs)
def test_two_specs_are_one_only_where_their_short_forms_are(one: Spec, two: Spec) -> None:
    assert (json.dumps(sparse(one)) == json.dumps(sparse(two))) == (one == two)
    assert json.dumps(sparse(one)) == json.dumps(sparse(spec_from_dict(dataclasses.asdict(one))))


@quick
@given(presets, some.data())
def test_any_change_of_a_leaf_changes_the_short_form(spec: Spec, data: some.DataObject) -> None:
    path = data.draw(some.sampled_from(sorted(path for path, value in leaves(spec).items() if type(value) is float)))
    record = dataclasses.asdict(spec)
    *parents, last = path.split(".")
    inside: Any = record
    for step in parents:
        inside = inside[int(step)] if step.isdigit() else inside[step]
    inside[last] = data.draw(numbers.filter(lambda value: value != inside[last]))
    assert sparse(spec_from_dict(record)) != sparse(spec)


@quick
@given(some.one_of(presets, specs))
def test_the_canonical_form_of_a_canonical_form_is_itself(spec: Spec) -> None:
    assert canonical(canonical(spec)) == canonical(spec)


# --- Grids.

EVERY = [
    (name, level) for name, component in components().items() if not component.control for level in component.levels
]
departures = some.lists(some.sampled_from(EVERY), max_size=6, unique=True).map(tuple)


@pytest.mark.parametrize("grid", grids_of().values(), ids=list(grids_of()))
@quick
@given(departures)
def test_a_grid_has_the_reference_and_no_variant_twice_or_says_why_it_cannot(
    grid: Any, departures: tuple[tuple[str, str], ...]
) -> None:
    with contextlib.suppress(InputError):
        variants = grid.make(departures).variants
        assert variants.count(Variant()) == 1
        assert len(set(variants)) == len(variants)
        asked = set(departures)
        for variant in variants:
            assert set(variant.departures) <= asked
            assert len({name for name, _ in variant.departures}) == len(variant.departures)


@quick
@given(some.text(max_size=20))
def test_any_words_name_components_or_get_a_sentence(text: str) -> None:
    with contextlib.suppress(InputError):
        assert {*departures_of(FIRST, text.split())} <= {*EVERY}


# --- Records.

metrics = some.dictionaries(words, numbers, min_size=1, max_size=3)
variants = some.lists(some.tuples(words, words), max_size=3, unique_by=lambda one: one[0]).map(
    lambda chosen: Variant(departures=tuple(chosen))
)
budgets = some.builds(
    Budget,
    epochs=some.integers(1, 9),
    train_examples=some.integers(1, 999),
    batch_size=some.integers(1, 99),
    image_size=some.integers(8, 64),
    max_steps=some.none() | some.integers(1, 99),
    threshold_percent=some.none() | some.floats(0, 99),
)
configs = some.builds(config_of, preset=words, budget=budgets, spec=some.one_of(presets, specs))
trials = some.builds(
    Trial,
    variant=variants,
    seed=some.integers(0, 99),
    data=some.text(max_size=9),
    fingerprint=words,
    config=configs,
)
settings = some.builds(
    Setting,
    config=configs,
    data=some.text(max_size=9),
    fingerprint=words,
    main=words,
    metrics=some.dictionaries(words, values(Metric, kind=some.sampled_from(KINDS)), max_size=2),
    work=some.integers(1, 9),
    every=some.integers(1, 9),
    target=some.none() | values(Target),
    guessing=some.none() | numbers,
    baseline=some.none() | numbers,
    examples=some.integers(0, 99),
    note=some.text(max_size=9),
    facts=some.dictionaries(words, some.one_of(words, some.integers(0, 99)), max_size=2),
)
results = some.builds(
    Result,
    trial=trials,
    status=some.sampled_from(STATUSES),
    metrics=metrics,
    curve=some.lists(metrics, max_size=2).map(tuple),
    readings=some.lists(some.tuples(some.integers(0, 99), numbers), max_size=2).map(tuple),
    outcomes=some.binary(max_size=4).map(lambda packed: base64.b64encode(packed).decode()),
    activity=metrics,
    extras=some.dictionaries(words, some.text(max_size=9), max_size=2),
    seconds=numbers,
    provenance=some.dictionaries(words, some.text(max_size=9), max_size=2),
    notes=some.lists(some.text(max_size=20), max_size=2).map(tuple),
    error=some.text(max_size=20),
    training_digest=words,
)


@quick
@given(results)
def test_any_result_comes_back_from_the_disk_as_it_was(result: Result) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found, problem = store.read_result(store.write_result(Path(folder), result))
    assert (found, problem) == (result, "")


def leaves_of(record: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all plain values in a JSON record."""
    if isinstance(record, Mapping):
        return [leaf for name, value in record.items() for leaf in leaves_of(value, (*path, name))]
    if isinstance(record, list | tuple):
        return [leaf for index, value in enumerate(record) for leaf in leaves_of(value, (*path, index))]
    return [path]


@quick
@given(results, some.data())
def test_a_record_with_any_field_changed_is_not_read(result: Result, data: some.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = store.write_result(Path(folder), result)
        record = json.loads(path.read_text())
        *parents, last = data.draw(some.sampled_from(leaves_of(record)))
        inside: Any = record
        for step in parents:
            inside = inside[step]
        plain = some.one_of(some.none(), some.booleans(), some.integers(-9, 9), some.text(max_size=3))
        changed = data.draw(plain.filter(lambda value: json.dumps(value) != json.dumps(inside[last])))
        inside[last] = changed
        path.write_text(json.dumps(record))
        found, problem = store.read_result(path)
    assert found is None and str(path) in problem


@quick
@given(trials, some.integers(0, 99), words)
def test_a_key_follows_from_what_decides_the_result_and_from_nothing_else(trial: Trial, seed: int, other: str) -> None:
    assert Trial.from_dict(json.loads(json.dumps(trial.to_dict()))).key == trial.key
    assert dataclasses.replace(trial, data=other).key == trial.key
    assert (dataclasses.replace(trial, subject=other).key == trial.key) == (other == FIRST)
    assert (dataclasses.replace(trial, seed=seed).key == trial.key) == (seed == trial.seed)


@quick
@given(
    some.builds(
        Study,
        name=some.text(max_size=9),
        grid=words,
        setting=settings,
        components=some.lists(some.tuples(words, words), max_size=2).map(tuple),
        variants=some.lists(variants, max_size=3).map(tuple),
        seeds=some.integers(1, 99),
        wanted=some.lists(words, max_size=2).map(tuple),
        question=some.text(max_size=9),
        factorial=some.booleans(),
        keys=some.lists(words, max_size=3).map(tuple),
        command=some.text(max_size=20),
        out_of_reach=some.lists(some.tuples(words, some.none() | some.integers(1, 9)), max_size=2).map(tuple),
        claims=some.lists(some.sampled_from(CLAIMS), max_size=2, unique=True).map(tuple),
    )
)
def test_any_study_comes_back_from_json_as_it_was(study: Study) -> None:
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study


# --- Names.

# Most texts are refused for a letter or two: words of the letters that matter reach further.
likely = some.text("ab-._ /\\~$%?*:'\"<>|\x1b\n\u202eé\N{GRINNING FACE}0", max_size=12)


@quick
@given(some.one_of(likely, some.text(max_size=300)))
def test_any_name_is_refused_in_a_sentence_or_makes_one_folder_among_the_results(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results, reports = Path(folder, "results"), Path(folder, "reports")
        try:
            check(resolved(options_of()(name=name, results=results, reports=reports))[0])
        except InputError as error:
            assert str(error).startswith("--name is ") and str(error).isprintable() and not list(Path(folder).iterdir())
            return
        files.write_json(results / name / "study.json", {})
        assert [path.name for path in Path(folder).iterdir()] == ["results"]
        assert [path.name for path in results.iterdir()] == [name]
        assert store.find(name, results) == results / name
        assert store.names(results) == [name]


@quick
@given(some.one_of(likely, some.text(max_size=300)))
def test_the_usual_name_of_a_study_of_any_folder_is_a_name(folder: str) -> None:
    try:
        name = default_name(resolved(options_of()(dataset=f"folder:/data/{folder}"))[0])
    except ValueError:  # a path with a NUL in it is none
        assert "\0" in folder
        return
    assert errors.study_name(name) == name


@quick
@given(some.lists(some.one_of(likely, words.map(lambda word: f"--{word}")), max_size=3))
def test_any_words_are_options_or_get_a_sentence(typed: list[str]) -> None:
    try:
        parsed(options_of(), typed, prog="run")
    except InputError as error:
        assert errors.printable(str(error)) == str(error) and str(error).count("\n") == 0


@quick
@given(some.text())
def test_what_is_printed_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    printed = errors.printable(text)
    assert printed == errors.printable(printed)
    assert all(char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in printed)
    printed.encode()


# --- Tables.


@quick
@given(
    some.lists(
        some.one_of(some.text(max_size=9), likely.map(lambda text: f"={text}"), numbers, some.none()), max_size=4
    )
)
def test_no_cell_of_a_table_is_a_formula(cells: list[str | float | None]) -> None:
    import csv
    import io

    import pandas as pd

    frame = pd.DataFrame({"=head()": pd.Series(cells, dtype=object)})
    (head,), *rows = csv.reader(io.StringIO(tables.as_csv(frame)))
    assert head == "'=head()" and len(rows) == len(cells)
    for row, cell in zip(rows, cells, strict=True):
        shown = row[0] if row else ""
        if isinstance(cell, str):
            assert not shown.startswith(("=", "+", "@", "\t", "\r"))
            assert not (shown.startswith("-") and set("(|!'\"") & set(shown))
        elif cell is not None:
            assert float(shown) == cell


# --- Claims.

RIGHT = {
    "name": "mine",
    "component": "lrn",
    "level": "off",
    "statement": "Mine.",
    "metric": "test_loss",
    "direction": "raises",
    "smallest_effect": 0.1,
    "reason": "a guess",
}
atoms = some.one_of(
    some.text(max_size=9),
    some.integers(),
    some.integers(-3, 3),
    some.just(10**400),
    some.floats(),
    some.booleans(),
    some.dates(),
    some.datetimes(),
    some.times(),
    some.sampled_from(
        ["lrn", "off", "raises", "lowers test_loss", "lrn=off", "dropout=off", "test_loss", "our reading"]
    ),
)


def holding(inner: some.SearchStrategy[object]) -> some.SearchStrategy[object]:
    return some.one_of(some.lists(inner, max_size=2), some.dictionaries(words, inner, max_size=2))


anything = some.recursive(atoms, holding, max_leaves=4)
keys = some.sampled_from([one.name for one in dataclasses.fields(Claim)]) | some.text(max_size=5)


def judged(record: Mapping[str, Any]) -> None:
    """Raises unless `record` is answered with claims that can be judged, or with a sentence."""
    try:
        found = claims.claims_in(record, family="mine")
    except InputError as error:
        assert str(error).isprintable() and len(str(error)) < 2000
        return
    for claim in found:
        assert math.isfinite(claim.smallest_effect) and claim.smallest_effect > 0
        assert Claim.from_dict(json.loads(json.dumps(dataclasses.asdict(claim), allow_nan=False))) == claim
        assert claim.metric in METRICS and label_of(claim)


@quick
@given(some.dictionaries(keys, anything, min_size=1, max_size=2))
def test_any_value_in_any_field_of_a_claim_is_a_claim_or_a_sentence(changes: dict[str, Any]) -> None:
    judged({"claim": [{**RIGHT, **changes}]})


@quick
@given(anything, anything, some.dictionaries(some.sampled_from(sorted(claims._CONDITIONS)), anything, max_size=2))
def test_any_value_around_a_claim_is_a_claim_or_a_sentence(source: Any, conditions: Any, table: dict[str, Any]) -> None:
    judged({"source": source, "claim": [RIGHT]})
    judged({"conditions": conditions, "claim": [RIGHT]})
    judged({"conditions": {"here": table}, "claim": [{**RIGHT, "conditions": "here"}]})
    judged({"claim": conditions})


def test_a_claim_that_is_right_is_one() -> None:
    (claim,) = claims.claims_in({"claim": [RIGHT]}, family="mine")
    assert (claim.name, claim.smallest_effect, claim.direction) == ("mine", 0.1, 1)
