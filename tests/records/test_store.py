"""Records: whole or not at all, named when corrupt, never mixed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablations.analysis import tables
from ablations.core.errors import InputError
from ablations.core.result import DONE, ERROR, Result
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.records import files, store
from ablations.records.store import read_study, write_study
from tests import synthetic
from tests.conftest import Planner
from tests.making import with_budget


def result_of(trial: Trial) -> Result:
    return Result(
        trial=trial, status=DONE, metrics={"test_top1_error_percent": 12.5}, curve=({"epoch": 1},), seconds=1.0
    )


def test_a_record_reads_back_as_the_result_that_was_written(plan: Planner, tmp_path: Path) -> None:
    study, trials = plan(seeds=2)
    store.write_study(tmp_path, study)
    results = [result_of(trial) for trial in trials]
    for result in results:
        store.write_result(tmp_path, result)
    assert store.read(tmp_path) == (study, results, [])


def test_a_half_written_record_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    files.write_json(path, {"old": True})

    def fail(handle: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk is full"):
        files.write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_has_no_word_for_are_written_as_null(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    files.write_json(path, {"row": [1.5, float("nan"), float("inf")]})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {"row": [1.5, None, None]}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 0}', '{"schema": 1, "key": "x"}', "cut"])
def test_a_corrupt_record_is_named_and_kept_beside_the_new_one(damage: str, plan: Planner, tmp_path: Path) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    text = path.read_text()[:100] if damage == "cut" else damage
    path.write_text(text)
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert str(path) in problem
    store.write_result(tmp_path, result_of(trials[0]))
    assert store.read(tmp_path)[1:] == ([result_of(trials[0])], [])
    assert path.with_suffix(".json.corrupt").read_text() == text


def test_a_record_under_anothers_name_is_not_taken_for_it(plan: Planner, tmp_path: Path) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    path.rename(store.trial_path(tmp_path, trials[1].key))
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert trials[0].key in problem


def test_a_study_may_grow_but_not_change_its_budget(plan: Planner, tmp_path: Path) -> None:
    study, _ = plan(seeds=1)
    store.write_study(tmp_path, study)
    store.write_study(tmp_path, plan(seeds=5)[0])
    with pytest.raises(
        ValueError, match=r"budget .*'epochs': 2.*, and this run .*'epochs': 9.*: choose another --name"
    ):
        store.write_study(tmp_path, with_budget(study, epochs=9))


def test_a_study_keeps_the_resolution_of_its_fraction(tmp_path: Path) -> None:
    words = ("activation", "lrn", "pooling", "dropout", "crop_flip", "width")
    four, five = (synthetic.plan("fractional", words, resolution=one)[0] for one in (4, 5))
    assert (len(four.variants) - 3, len(five.variants) - 3) == (16, 32)  # less the controls
    write_study(tmp_path, five)
    assert read_study(tmp_path).resolution == 5
    with pytest.raises(InputError, match="resolution 5, and this run 4: choose another --name"):
        write_study(tmp_path, four)
    assert synthetic.plan("one_out", words, resolution=5)[0].resolution == 4  # which only a fraction reads
    older = {name: value for name, value in four.to_dict().items() if name != "resolution"}
    assert Study.from_dict(older) == four


def test_records_of_seeds_that_the_plan_no_longer_has_are_left_alone(plan: Planner, tmp_path: Path) -> None:
    _, trials = plan(seeds=2)
    for trial in trials:
        store.write_result(tmp_path, result_of(trial))
    study, fewer = plan(seeds=1)
    store.write_study(tmp_path, study)
    assert [result.trial for result in store.read(tmp_path)[1]] == list(fewer)
    assert len(list((tmp_path / "trials").iterdir())) == len(trials)


def test_the_table_has_a_row_a_result_and_a_column_a_component(plan: Planner) -> None:
    study, trials = plan()
    failed = Result(trial=trials[1], status=ERROR, error="no")
    frame = tables.table(study, [result_of(trials[0]), failed])
    assert frame["lrn"].tolist() == ["reference", "off"]
    assert frame["placebo"].tolist() == ["reference", "reference"]
    assert frame["test_top1_error_percent"].isna().tolist() == [False, True]


def test_the_table_of_no_results_still_has_its_columns(plan: Planner) -> None:
    study, _ = plan()
    assert list(tables.table(study, []))[:5] == ["key", "variant", "seed", "status", "seconds"]


def altered(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("digest", ["", "0123456789abcdef"])
def test_a_number_that_was_edited_by_hand_is_named_and_not_used(digest: str, plan: Planner, tmp_path: Path) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, replace(result_of(trials[0]), training_digest=digest))
    altered(path, metrics={"test_top1_error_percent": 5.0})
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert str(path) in problem and "checksum" in problem


def test_a_record_without_its_checksum_is_read_only_where_it_is_older_than_checksums(
    plan: Planner, tmp_path: Path
) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    for digest, read in (("", 1), ("0123456789abcdef", 0)):
        path = store.write_result(tmp_path, replace(result_of(trials[0]), training_digest=digest))
        record = json.loads(path.read_text())
        del record["checksum"]
        path.write_text(json.dumps(record))
        assert len(store.read(tmp_path)[1]) == read


@pytest.mark.parametrize(
    ("metrics", "named"),
    [("{}", "no metrics"), ('{"loss": NaN}', "NaN"), ('{"loss": null}', "loss is None"), ('{"loss": "1"}', "'1'")],
)
def test_a_finished_trial_without_finite_metrics_is_named_and_not_used(
    metrics: str, named: str, plan: Planner, tmp_path: Path
) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    record = json.loads(path.read_text())
    del record["checksum"]  # as older records are
    path.write_text(json.dumps({**record, "metrics": "here"}).replace('"here"', metrics))
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert named in problem


def test_trials_of_two_versions_of_the_training_code_are_never_read_together(plan: Planner, tmp_path: Path) -> None:
    study, trials = plan(seeds=2)
    store.write_study(tmp_path, study)
    for trial in trials:
        store.write_result(tmp_path, replace(result_of(trial), training_version=2 if trial.seed else 1))
    _, results, (problem,) = store.read(tmp_path)
    assert [result.trial.seed for result in results] == [1] * (len(trials) // 2)
    assert f"{len(trials) // 2} records of an older version" in problem


def test_a_record_of_another_version_is_kept_beside_the_one_that_takes_its_place(plan: Planner, tmp_path: Path) -> None:
    _, trials = plan()
    path = store.write_result(tmp_path, result_of(trials[0]))
    before = path.read_text()
    store.write_result(tmp_path, replace(result_of(trials[0]), training_version=2))
    assert path.with_suffix(".json.version-1").read_text() == before


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def config(record: dict[str, Any], part: str) -> dict[str, Any]:
    """A part of what AlexNet says of a trial; the engine knows of it that the key has to fit."""
    found: dict[str, Any] = record["trial"]["config"][part]
    return found


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a metric in words": (lambda record: record["metrics"].update(test_loss="low"), "metrics.test_loss is 'low', not"),
    "a metric that is a list": (
        lambda record: record["metrics"].update(test_loss=[1]),
        "metrics.test_loss is [1], not",
    ),
    "metrics that are a list": (lambda record: record.update(metrics=[1.0]), "metrics is [1.0], not a table"),
    "a metric of true": (lambda record: record["metrics"].update(test_loss=True), "test_loss is True, not float"),
    "a curve that is a table": (lambda record: record.update(curve={"epoch": 1}), "curve is {'epoch': 1}, not a list"),
    "a curve of words": (lambda record: record.update(curve=[{"epoch": "first"}]), "curve[0].epoch is 'first', not"),
    "seconds in words": (lambda record: record.update(seconds="long"), "seconds is 'long', not float"),
    "an endless number": (lambda record: record.update(seconds=10**400), "int too large to convert to float"),
    "no status": (lambda record: record.update(status=None), "status is None, not str"),
    "a status in a list": (lambda record: record.update(status=["done"]), "status is ['done'], not str"),
    "activity in words": (lambda record: record.update(activity={"lrn": "much"}), "activity.lrn is 'much', not float"),
    "no activity": (lambda record: record.update(activity={"lrn": None}), "activity.lrn is None, not float"),
    "outcomes that are no base64": (lambda record: record.update(outcomes="?"), "base64"),
    "extras that are a number": (lambda record: record["extras"].update(filters=3), "extras.filters is 3, not str"),
    "readings of three": (
        lambda record: record.update(readings=[[1, 2, 3]]),
        "readings[0] is (1, 2, 3), not a list of 2",
    ),
    "readings in words": (lambda record: record.update(readings=[["a", 2]]), "readings[0][0] is 'a', not int"),
    "a trial that is a list": (lambda record: record.update(trial=[]), "trial is [], not Trial"),
    "a seed in words": (lambda record: record["trial"].update(seed="one"), "trial.seed is 'one', not int"),
    "a config that is a list": (lambda record: record["trial"].update(config=[]), "trial.config is [], not a table"),
    "a budget in words": (lambda record: config(record, "budget").update(epochs="two"), "does not fit the trial"),
    "a spec without blocks": (lambda record: config(record, "spec").update(blocks=[]), "does not fit the trial"),
    "a rate in words": (lambda record: config(record, "spec").update(learning_rate="x"), "does not fit the trial"),
    "a subject in a list": (lambda record: record["trial"].update(subject=["x"]), "trial.subject is ['x'], not str"),
    "notes that are numbers": (lambda record: record.update(notes=[1]), "notes[0] is 1, not str"),
    "a version in words": (lambda record: record.update(training_version="2"), "training_version is '2', not int"),
    "an unknown field": (lambda record: record.update(colour=1), "colour"),
    "another schema": (lambda record: record.update(schema=[1]), "schema [1] is not 2"),
}


def damaged_text(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    record = json.loads(text)
    record.pop("checksum", None)  # as in records that are older than checksums, which nothing else protects
    record.pop("training_digest", None)
    change(record)
    return json.dumps(record)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_record_with_a_field_of_another_type_is_named_with_the_field_and_not_used(
    name: str, plan: Planner, tmp_path: Path
) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    change, said = DAMAGE[name]
    assert Result.from_dict(json.loads(damaged_text(path.read_text(), lambda record: None)))
    path.write_text(damaged_text(path.read_text(), change))
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert problem.startswith(f"record {path} cannot be read (") and said in problem


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def lost(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nested beyond depth": (lambda path: path.write_text(nested(100_000)), "it is nested too deeply"),
    "nested beyond depth within": (
        lambda path: path.write_text(f'{{"schema": {nested(100_000)}}}'),
        "nested too deeply",
    ),
    "a pipe": (pipe, "it is no file but a folder, a pipe or a device"),
    "a folder": (folder, "it is no file but a folder, a pipe or a device"),
    "a device": (device, "it is no file but a folder, a pipe or a device"),
    "not UTF-8": (lambda path: path.write_bytes(b'{"schema": "\xff\xfe"}'), "can't decode byte 0xff"),
    "UTF-16": (lambda path: path.write_text("{}", encoding="utf-16"), "can't decode byte 0xff"),
    "half a character": (lambda path: path.write_text('{"schema": "\\ud800"}'), "surrogates not allowed"),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), "Expecting value"),
    "a number of 5,000 digits": (lambda path: path.write_text("9" * 5000), "integer string conversion"),
    "a word": (lambda path: path.write_text('"done"'), ""),
    "a list": (lambda path: path.write_text("[1, 2]"), ""),
    "nothing": (lambda path: path.write_text(""), "Expecting value"),
    "a half": (lambda path: path.write_text(path.read_text()[: path.stat().st_size // 2]), "line"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_record_is_named_and_not_waited_for_and_its_trial_can_be_run_again(
    name: str, plan: Planner, tmp_path: Path
) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    damage, said = FILES[name]
    damage(path)
    _, results, (problem,) = store.read(tmp_path)
    assert results == []
    assert str(path) in problem and said in problem
    for _ in range(2):  # twice: what was there before is out of the way each time
        store.write_result(tmp_path, result_of(trials[0]))
        assert store.read(tmp_path)[1:] == ([result_of(trials[0])], [])
        path.unlink()
        path.mkdir()
    path.rmdir()


def test_a_dead_link_in_the_place_of_a_record_counts_as_none(plan: Planner, tmp_path: Path) -> None:
    study, trials = plan()
    store.write_study(tmp_path, study)
    path = store.write_result(tmp_path, result_of(trials[0]))
    lost(path)
    assert store.read(tmp_path)[1:] == ([], [])
    store.write_result(tmp_path, result_of(trials[0]))
    assert store.read(tmp_path)[1:] == ([result_of(trials[0])], [])


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_study_is_refused_in_one_sentence(name: str, plan: Planner, tmp_path: Path) -> None:
    study, _ = plan()
    store.write_study(tmp_path / "s", study)
    path = tmp_path / "s" / "study.json"
    damage, said = FILES[name]
    damage(path)
    for read in (lambda: store.read(store.find("s", tmp_path)), lambda: store.write_study(tmp_path / "s", study)):
        with pytest.raises(InputError) as refused:
            read()
        assert str(refused.value).startswith(f"{path} cannot be read: ") and said in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seeds": "ten"}, "seeds is 'ten', not int"),
        ({"seeds": 1.5}, "seeds is 1.5, not int"),
        ({"name": 5}, "name is 5, not str"),
        ({"components": [["lrn"]]}, "components[0] is ('lrn',), not a list of 2"),
        ({"components": [["lrn", 1]]}, "components[0][1] is 1, not str"),
        ({"components": "lrn"}, "components is 'lrn', not a list"),
        ({"variants": [{"departures": 3}]}, "'int' object is not iterable"),
        ({"variants": 3}, "variants is 3, not a list"),
        ({"setting": []}, "setting is [], not Setting"),
        ({"claims": [{"name": "x"}]}, "missing"),
        ({"claims": {"a": 1}}, "claims is {'a': 1}, not a list"),
        ({"rule": {"negligible": [], "alpha": "small"}}, "rule.alpha is 'small', not float"),
        ({"declared": [{"digest": "x"}]}, "missing"),
        ({"keys": [1, 2]}, "keys[0] is 1, not str"),
        ({"setting": {"guessing": "90"}}, "setting.guessing is '90', not float | None"),
        ({"setting": {"config": []}}, "setting.config is [], not a table"),
        ({"setting": {"metrics": {"test_loss": {"words": 3}}}}, "setting.metrics.test_loss.words is 3, not str"),
        ({"setting": {"target": {"value": "low"}}}, "setting.target.value is 'low', not float"),
        ({"setting": {"work": None}}, "setting.work is None, not int"),
        ({"setting": {"colour": 1}}, "unexpected keyword argument 'colour'"),
        ({"wanted": [1]}, "wanted[0] is 1, not str"),
        ({"out_of_reach": [["a", "b"]]}, "out_of_reach[0][1] is 'b', not int | None"),
        ({"tuning": {"arms": 3}}, "missing 3 required keyword-only arguments: 'rates', 'seed', and 'setting'"),
        ({"command": ["python"]}, "command is ['python'], not str"),
    ],
)
def test_a_study_with_a_field_of_another_type_is_refused_with_the_field(
    fields: dict[str, object], said: str, plan: Planner, tmp_path: Path
) -> None:
    store.write_study(tmp_path, plan()[0])
    if isinstance(setting := fields.get("setting"), dict):
        fields = {"setting": {**json.loads((tmp_path / "study.json").read_text())["setting"], **setting}}
    altered(tmp_path / "study.json", **fields)
    with pytest.raises(InputError) as refused:
        store.read_study(tmp_path)
    assert said in str(refused.value)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_are_readable_to_whom_the_umask_says(umask: int, mode: int, plan: Planner, tmp_path: Path) -> None:
    study, trials = plan()
    before = os.umask(umask)
    try:
        paths = [store.write_result(tmp_path, result_of(trials[0])), tables.write_table(tmp_path, study, [])]
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in paths] == [mode, mode]


def test_text_that_no_utf8_can_hold_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    # As os.fsdecode gives for a file name in another encoding.
    files.write_json(tmp_path / "x.json", {"error": "no file b\udcff", "notes": ["\udc80", "é"]})
    assert files.read_json(tmp_path / "x.json") == {"error": "no file b\\udcff", "notes": ["\\udc80", "é"]}
