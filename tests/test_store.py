"""Records: whole or not at all, named when corrupt, never mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ablations import store
from ablations.names import InputError
from ablations.store import read_study, write_study
from ablations.types import DONE, ERROR, Result, Study, Trial
from tests import synthetic
from tests.conftest import Planner


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
    store.write_json(path, {"old": True})

    def fail(handle: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk is full"):
        store.write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_has_no_word_for_are_written_as_null(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    store.write_json(path, {"row": [1.5, float("nan"), float("inf")]})
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
    changed = replace(study, budget=replace(study.budget, epochs=9))
    with pytest.raises(ValueError, match="choose another --name"):
        store.write_study(tmp_path, changed)


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
    frame = store.table(study, [result_of(trials[0]), failed])
    assert frame["lrn"].tolist() == ["reference", "off"]
    assert frame["placebo"].tolist() == ["reference", "reference"]
    assert frame["test_top1_error_percent"].isna().tolist() == [False, True]


def test_the_table_of_no_results_still_has_its_columns(plan: Planner) -> None:
    study, _ = plan()
    assert list(store.table(study, []))[:5] == ["key", "variant", "seed", "status", "seconds"]


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
