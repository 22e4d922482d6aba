"""MLflow is a view of the records: complete, never doubled, and never in the way of a study."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from ablations.analysis.verdicts import Findings
from ablations.core.result import DIVERGED, DONE, ERROR, LOG_STEPS, REACHED, STEPS, TRAINED, Result
from ablations.core.setting import Target
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.planning.claims import claims_of
from ablations.records import store
from ablations.subjects.alexnet.setting import Budget
from ablations.tracking import fields, mlflow_view
from ablations.tracking.address import database_of, default_uri, ui_command
from ablations.tracking.background import View
from ablations.tracking.mlflow_view import Mirror
from tests.conftest import free_port
from tests.making import CLAIMS, setting, with_setting
from tests.tracking.servers import serving

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning:mlflow.store.tracking.sqlalchemy_store"
)

ROOT = Path(mlflow_view.__file__).resolve().parents[2]
BUDGET = Budget(epochs=3, train_examples=512, batch_size=64, image_size=32)
CONTROLS = ("placebo", "sabotage")
ERRORS = "test_top1_error_percent"


def plan(names: tuple[str, ...] = ("lrn", "dropout"), seeds: int = 2, name: str = "quick") -> Study:
    variants = (Variant(), *(Variant(departures=((component, "off"),)) for component in names))
    study = Study(
        name=name,
        grid="one_out",
        setting=setting("paper", BUDGET, dataset="shapes", fingerprint="f00d", classes=0, facts={}),
        components=tuple((component, "off") for component in names),
        variants=variants,
        seeds=seeds,
        controls=CONTROLS,
        command=f"python -m ablations.run --name {name}",
    )
    return dataclasses.replace(study, keys=tuple(trial.key for trial in trials(study)))


def trials(study: Study) -> list[Trial]:
    return [
        Trial(
            variant=variant,
            seed=seed,
            data=study.setting.data,
            fingerprint=study.setting.fingerprint,
            config=study.setting.config,
        )
        for variant in study.variants
        for seed in range(study.seeds)
    ]


def outcome(trial: Trial, status: str = DONE, epochs: int = 3) -> Result:
    """A made-up result whose numbers are exact in binary."""
    shift = trial.seed + 4 * len(trial.variant.label)
    curve = tuple(
        {"epoch": e, "train_loss": shift + 1 / 2**e, "test_error_percent": 64.0 - e} for e in range(1, 1 + epochs)
    )
    last = {name: value for name, value in curve[-1].items() if name != "epoch"}
    return Result(
        trial=trial,
        status=status,
        metrics={**last, "parameters": 4096.0} if status == DONE else {},
        curve=curve,
        outcomes="gA==",
        activity={} if trial.variant.departures else {"lrn": 0.5},
        seconds=4.5,
        provenance={"started": "2026-01-02T03:04:05+00:00", "commit": "a" * 40, "dirty": False, "command": "by hand"},
        error="" if status == DONE else "the training loss was not finite in epoch 4",
    )


def outcomes(study: Study) -> list[Result]:
    return [outcome(trial) for trial in trials(study)]


def write(results: Path, study: Study, records: list[Result]) -> Path:
    folder = results / study.name
    store.write_study(folder, study)
    for result in records:
        store.write_result(folder, result)
    return folder


def runs(uri: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("ablations")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], run_view_type=view))


def of_role(uri: str, role: str) -> list[Run]:
    return [run for run in runs(uri) if run.data.tags[fields.ROLE] == role]


def parent_and_children(uri: str) -> tuple[Run, dict[str, Run]]:
    """The study's run, and those of its trials by their keys."""
    (parent,) = [run for run in runs(uri) if "mlflow.parentRunId" not in run.data.tags]
    found = of_role(uri, "trial")
    children = {run.data.tags[fields.KEY]: run for run in found}
    assert len(children) == len(found)
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in variants(uri).values())
    above = {run.info.run_id: label for label, run in variants(uri).items()}
    assert all(above[run.data.tags["mlflow.parentRunId"]] == run.data.tags[fields.VARIANT] for run in found)
    return parent, children


def variants(uri: str) -> dict[str, Run]:
    """The runs of variants by the variants' labels."""
    found = of_role(uri, "variant")
    by_label = {run.data.tags[fields.VARIANT]: run for run in found}
    assert len(by_label) == len(found)
    return by_label


def content(uri: str) -> dict[str, Any]:
    """Everything that a reader of the view sees, by key, without the ids that MLflow draws."""
    client = MlflowClient(tracking_uri=uri)
    unstable = {"mlflow.parentRunId"}
    return {
        run.data.tags.get(fields.KEY, run.data.tags.get(fields.VARIANT, "study")): {
            "name": run.info.run_name,
            "status": run.info.status,
            "end": run.info.end_time,
            "params": run.data.params,
            "tags": {
                name: value.replace(run.info.run_id, "ID")  # a description links to its run's files
                for name, value in run.data.tags.items()
                if name not in unstable
            },
            "metrics": {
                name: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
        }
        for run in runs(uri)
    }


def mirrored(uri: str, study: Study, records: list[Result], **options: Any) -> Mirror:
    mirror = Mirror(uri, study, **{"folder": database_of(uri).parent / study.name, **options})
    for result in records:
        mirror.trial(result)
    mirror.end(Findings(study=study, results=records))
    return mirror


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, made once: creating them costs more than all the rest."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    results = tmp_path / "results"
    results.mkdir()
    (results / "mlflow.db").write_bytes(empty_database.read_bytes())
    return default_uri(results)


def test_a_study_is_one_run_with_a_run_a_variant_below_it_and_the_trials_below_those(uri: str) -> None:
    study = with_setting(plan(), guessing=90.0, baseline=62.1)
    mirrored(uri, study, outcomes(study))

    parent, children = parent_and_children(uri)
    assert parent.info.run_name == "quick"
    assert parent.data.metrics["guessing"] == 90.0
    assert parent.data.metrics["baseline"] == 62.1
    assert parent.info.status == "FINISHED"
    assert parent.data.params["grid"] == "one_out"
    assert parent.data.metrics["trials_done"] == parent.data.metrics["trials_planned"] == 6
    assert parent.data.metrics["trial_seconds"] == 6 * 4.5
    assert parent.data.tags["mlflow.source.git.commit"] == "a" * 40
    assert set(children) == set(study.keys)
    assert set(variants(uri)) == {"reference", "-lrn", "-dropout"}
    assert {run.info.status for run in variants(uri).values()} == {"FINISHED"}


def test_files_that_a_trial_has_kept_are_artifacts_of_its_run_and_of_no_other(uri: str, tmp_path: Path) -> None:
    study = plan(("lrn",), seeds=1)
    first, second = outcomes(study)
    own = f"files/{first.trial.key}/more/log.txt"  # as a study file keeps it
    first = dataclasses.replace(first, artifacts=("weights/one.pt", "../secret", own))
    folder = write(tmp_path / "results", study, [first, second])
    (folder / "weights").mkdir()
    (folder / "weights" / "one.pt").write_bytes(b"weights")
    (folder / own).parent.mkdir(parents=True)
    (folder / own).write_text("said")
    (tmp_path / "results" / "secret").write_text("not to be shown")
    mirror = Mirror(uri, study, folder=folder)
    for result in (first, second):
        mirror.trial(result)
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([mirror.experiment], "tags.`ablations.role` = 'trial'")
    kept = {run.data.tags[fields.KEY]: run.info.run_id for run in runs}
    assert [one.path for one in client.list_artifacts(kept[first.trial.key])] == ["files", "weights"]
    assert [one.path for one in client.list_artifacts(kept[first.trial.key], "files/more")] == ["files/more/log.txt"]
    assert [one.path for one in client.list_artifacts(kept[first.trial.key], "weights")] == ["weights/one.pt"]
    assert client.list_artifacts(kept[second.trial.key]) == []


def test_what_was_evaluated_by_other_views_than_the_curve_is_what_tables_show(uri: str) -> None:
    study = plan()
    record = outcome(trials(study)[0])
    ten = dataclasses.replace(record, metrics={**record.metrics, "test_error_percent": 60.0})  # the curve ends at 61
    mirrored(uri, study, [ten])

    child = parent_and_children(uri)[1][study.keys[0]]
    assert child.data.metrics["test_error_percent"] == 60.0
    assert content(uri)[study.keys[0]]["metrics"]["test_error_percent"][2][2] == 61.0


def test_a_child_holds_its_levels_its_budget_its_origin_and_its_real_times(uri: str) -> None:
    study = plan()
    mirrored(uri, study, outcomes(study))

    child = parent_and_children(uri)[1][study.keys[3]]
    called = Findings(study=study, results=()).names["-lrn"]  # as people call it
    assert child.info.run_name == f"seed 1, {called}"
    assert variants(uri)["-lrn"].info.run_name == called
    assert child.data.params == {
        "lrn": "off",
        "dropout": "reference",
        "placebo": "reference",
        "sabotage": "reference",
        "variant": called,
        "change": "-lrn",
        "seed": "1",
        "preset": "paper",
        "dataset": "shapes",
        "epochs": "3",
        "train_examples": "512",
        "batch_size": "64",
        "image_size": "32",
        "evaluate_on": "test",
    }
    assert child.data.tags["ablations.status"] == "done"
    assert child.data.tags["ablations.fingerprint"] == "f00d"
    assert child.data.tags["mlflow.source.git.commit"] == "a" * 40
    assert child.data.tags["ablations.command"] == "by hand"
    parent = parent_and_children(uri)[0]
    assert parent.data.tags["ablations.command"] == "python -m ablations.run --name quick"
    assert parent.data.tags["mlflow.source.name"] == "python -m ablations.run"
    assert child.info.start_time == 1767323045000  # date -u -d 2026-01-02T03:04:05 +%s
    assert child.info.end_time == child.info.start_time + 4500


def test_a_metrics_history_is_the_curve_with_the_epoch_as_step(uri: str) -> None:
    study = plan()
    records = outcomes(study)
    mirrored(uri, study, records)

    client = MlflowClient(tracking_uri=uri)
    for result in records:
        run = parent_and_children(uri)[1][result.trial.key]
        for name in ("train_loss", "test_error_percent"):
            history = client.get_metric_history(run.info.run_id, name)
            assert [(m.step, m.value) for m in history] == [(row["epoch"], row[name]) for row in result.curve]
        assert run.data.metrics.items() >= {**result.metrics, "seconds": 4.5}.items()
    assert parent_and_children(uri)[1][study.keys[0]].data.metrics["activity.lrn"] == 0.5


def test_mirroring_twice_changes_nothing(uri: str) -> None:
    study = plan()
    mirrored(uri, study, outcomes(study))
    before = content(uri)
    ids = {run.info.run_id for run in runs(uri)}

    again = mirrored(uri, study, outcomes(study))
    again.trial(outcomes(study)[0])

    assert content(uri) == before
    assert {run.info.run_id for run in runs(uri, ViewType.ALL)} == ids


def test_a_trial_that_failed_and_then_ran_is_one_run_with_the_numbers_of_the_second_attempt(uri: str) -> None:
    study = plan()
    first, *_ = trials(study)
    mirrored(uri, study, [outcome(first, ERROR, epochs=2)])
    failed = parent_and_children(uri)[1][first.key]
    assert failed.info.status == "FAILED"
    assert "not finite" in failed.data.tags["mlflow.note.content"]

    mirrored(uri, study, [dataclasses.replace(outcome(first, epochs=1), seconds=1.0)])

    done = parent_and_children(uri)[1][first.key]
    assert (done.info.status, done.data.tags["ablations.status"]) == ("FINISHED", "done")
    history = MlflowClient(tracking_uri=uri).get_metric_history(done.info.run_id, "train_loss")
    assert [m.step for m in history] == [1]
    assert done.data.metrics["seconds"] == 1.0


def test_a_diverged_trial_is_a_failed_run_that_says_so_and_keeps_its_curve_and_its_nan(uri: str) -> None:
    study = plan()
    first, *_ = trials(study)
    lost = outcome(first, DIVERGED)
    rows = (*lost.curve, {"epoch": 4, "train_loss": math.nan}, {"epoch": 5, "train_loss": math.inf})
    mirrored(uri, study, [dataclasses.replace(lost, curve=rows)])

    parent, children = parent_and_children(uri)
    run = children[first.key]
    assert (run.info.status, run.data.tags["ablations.status"]) == ("FAILED", "diverged")
    history = MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, "train_loss")
    assert [m.value for m in history][:3] == [row["train_loss"] for row in lost.curve]
    assert all(math.isnan(m.value) for m in history[3:])
    assert len(history) == 5
    assert parent.data.metrics["trials_failed"] == 1


def test_a_curve_longer_than_one_call_may_carry_arrives_whole(uri: str) -> None:
    study = plan()
    first, *_ = trials(study)
    mirrored(uri, study, [outcome(first, epochs=1300)])

    run = parent_and_children(uri)[1][first.key]
    history = MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, "train_loss")
    assert [m.step for m in history] == list(range(1, 1301))


def test_mirroring_that_broke_off_inside_a_trial_is_made_good(
    uri: str, empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = plan()
    records = outcomes(study)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "log_batch", _interrupt_at_the_second_call())
        mirrored(uri, study, records)
    mirrored(uri, study, records)

    other = uri.replace("mlflow.db", "other.db")
    (tmp_path / "results" / "other.db").write_bytes(empty_database.read_bytes())
    mirrored(other, study, records)
    whole, healed = content(other), content(uri)
    assert {key: healed[key] for key in study.keys} == {key: whole[key] for key in study.keys}


def _interrupt_at_the_second_call() -> Any:
    original, calls = MlflowClient.log_batch, []

    def log_batch(self: MlflowClient, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *arguments, **options)

    return log_batch


def test_a_plan_that_grew_takes_its_children_along(uri: str) -> None:
    small, large = plan(seeds=1), plan(names=("lrn", "dropout", "pooling"), seeds=2)
    mirrored(uri, small, outcomes(small))
    ids = {key: run.info.run_id for key, run in parent_and_children(uri)[1].items()}

    mirrored(uri, large, outcomes(large))

    parent, children = parent_and_children(uri)
    assert parent.data.params["seeds"] == "2"
    assert set(children) == set(large.keys)
    assert {key: children[key].info.run_id for key in ids} == ids


def test_children_whose_parent_was_deleted_by_hand_are_taken_over(uri: str) -> None:
    study = plan()
    mirrored(uri, study, outcomes(study))
    MlflowClient(tracking_uri=uri).delete_run(parent_and_children(uri)[0].info.run_id)

    mirrored(uri, study, outcomes(study))

    assert set(parent_and_children(uri)[1]) == set(study.keys)


def test_a_variant_that_was_called_otherwise_is_made_anew_with_its_trials(uri: str) -> None:
    study = plan(names=("lrn",), seeds=1)
    mirrored(uri, study, outcomes(study))
    before = content(uri)
    MlflowClient(tracking_uri=uri).update_run(variants(uri)["-lrn"].info.run_id, name="what it was called before")

    mirrored(uri, study, outcomes(study))

    parent_and_children(uri)
    assert content(uri) == before


def test_an_experiment_that_was_deleted_by_hand_comes_back(uri: str) -> None:
    study = plan()
    mirrored(uri, study, outcomes(study))
    before = content(uri)
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(runs(uri)[0].info.experiment_id)

    mirrored(uri, study, outcomes(study))

    assert content(uri) == before


def test_studies_whose_names_hold_quotes_do_not_mix(uri: str) -> None:
    names = ["it's", "a \"b\" 'c'", "100%_\\", "it''s"]
    for name in [*names, *names]:
        study = plan(name=name, seeds=1)
        mirrored(uri, study, outcomes(study))

    found = runs(uri)
    assert len(found) == len(names) * (1 + 3 + 3)
    of_study = {run.info.run_id: run.data.tags[fields.STUDY] for run in found}
    assert sorted(run.info.run_name for run in found if run.data.tags[fields.ROLE] == "study") == sorted(names)
    below = [run for run in found if run.data.tags[fields.ROLE] != "study"]
    assert all(of_study[run.data.tags["mlflow.parentRunId"]] == run.data.tags[fields.STUDY] for run in below)


def test_the_report_lies_beside_the_database_and_nothing_in_the_working_folder(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    study = plan()
    mirror = mirrored(uri, study, outcomes(study))
    evidence = Findings(study=study, results=outcomes(study))
    report = _report(tmp_path)
    files = {"effects.svg": report / "figures" / "effects.svg", "report.html": report / "report.html"}
    for _ in range(2):
        mirror.report(report, evidence, fields.Front("The answer.", files))

    client = MlflowClient(tracking_uri=uri)
    parent, _ = parent_and_children(uri)
    listed = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    assert listed == {"report/report.html", "report/report.md", "report/figures"}
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {"effects.svg", "report", "report.html"}
    assert parent.data.tags["mlflow.note.content"].startswith("The answer.\n\n[effects.svg](#/experiments/1/runs/")
    assert parent.info.artifact_uri.startswith((tmp_path / "results" / "mlflow").as_uri())
    assert list(here.iterdir()) == []


def test_the_studys_run_carries_verdicts_as_tags_and_effects_as_metrics(uri: str) -> None:
    study = plan()
    study = dataclasses.replace(study, claims=claims_of(study.components, study.setting, CLAIMS))
    records = [
        dataclasses.replace(
            one,
            metrics={ERRORS: 20.0 + (3 + one.trial.seed / 2) * len(one.trial.variant.departures) + one.trial.seed},
        )
        for one in outcomes(study)
    ]
    evidence = Findings(study=study, results=records)
    mirrored(uri, study, records)
    parent, _ = parent_and_children(uri)
    tags = {name: value for name, value in parent.data.tags.items() if name.startswith("verdict.")}
    assert tags == {f"verdict.{verdict.claim.name}": verdict.label for verdict in evidence.verdicts}
    assert "verdict.lrn_cifar" in tags
    assert parent.data.metrics["effect.test_top1_error_percent.lrn.off"] == 3.25  # the mean of 3 and 3.5
    interval = "[+0.07, +6.43] points; n 2"  # 3.25 -+ 12.706 (t at 97.5%, one degree of freedom) x 0.25
    assert parent.data.tags["interval.test_top1_error_percent.lrn.off"] == interval
    row = variants(uri)["-lrn"].data
    assert row.metrics["effect.test_top1_error_percent"] == 3.25
    assert row.metrics["test_top1_error_percent"] == 23.75  # the mean of 20 + 3 and 20 + 3.5 + 1
    assert row.metrics["seeds"] == 2.0
    assert row.tags["interval.test_top1_error_percent"] == interval
    about = [verdict for verdict in evidence.verdicts if verdict.claim.component == "lrn"]
    assert row.tags["verdict"] == "; ".join(f"{one.label} ({one.claim.name})" for one in about)
    assert "effect.test_top1_error_percent" not in variants(uri)["reference"].data.metrics


def test_a_saved_view_shows_each_variant_with_its_effect_its_interval_and_its_verdict(uri: str) -> None:
    study = plan()
    study = dataclasses.replace(study, claims=claims_of(study.components, study.setting, CLAIMS))
    records = [
        dataclasses.replace(one, metrics={"test_top1_error_percent": 20.0 + one.trial.seed}) for one in outcomes(study)
    ]
    mirrored(uri, study, records)

    tag = f"mlflow.sharedViewState.ablations-{fields.study_id(study)}"
    kept = views(uri)[tag]
    assert kept["name"] == "quick" and kept["createdAt"] == kept["updatedAt"] == 1767323045000
    state = json.loads(kept["state"])
    columns = [
        "effect.test_top1_error_percent",
        "interval.test_top1_error_percent",
        "verdict",
        "test_top1_error_percent",
    ]
    kinds = ["metrics", "tags", "tags", "metrics", "metrics"]
    assert state["selectedColumns"] == [f"{kind}.`{one}`" for kind, one in zip(kinds, [*columns, "seeds"], strict=True)]
    assert state["orderByKey"] == state["selectedColumns"][0] and state["orderByAsc"] is False
    client = MlflowClient(tracking_uri=uri)
    shown = client.search_runs([runs(uri)[0].info.experiment_id], state["searchFilter"])
    assert {run.info.run_id for run in shown} == {run.info.run_id for run in variants(uri).values()}
    row = variants(uri)["-dropout"].data
    assert {*columns, "seeds"} <= {*row.metrics, *row.tags}

    client.set_experiment_tag(shown[0].info.experiment_id, tag, '{"name": "mine"}')  # whoever changes it keeps theirs
    mirrored(uri, study, records)
    assert views(uri)[tag] == {"name": "mine"}


def views(uri: str) -> dict[str, Any]:
    experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name("ablations")
    assert experiment is not None
    return {
        key: json.loads(value) for key, value in experiment.tags.items() if key.startswith("mlflow.sharedViewState")
    }


def test_an_effect_that_has_changed_is_the_one_that_is_shown(uri: str) -> None:
    study = plan(names=("lrn",))
    records = outcomes(study)
    for error in (5.0, 3.0, 4.0):
        found = [
            dataclasses.replace(
                one, metrics={"test_top1_error_percent": 20.0 + error * len(one.trial.variant.departures)}
            )
            for one in records
        ]
        mirrored(uri, study, found)
        assert variants(uri)["-lrn"].data.metrics[f"effect.{ERRORS}"] == error


def test_a_race_is_shown_by_its_ratio_and_no_studys_log_steps_lie_among_anothers_points(uri: str) -> None:
    target = Target(value=25.0, stops=True)
    study = with_setting(plan(names=("lrn",)), target=target)
    steps = {"reference": [100.0, 200.0], "-lrn": [160.0, 340.0]}
    records = [
        dataclasses.replace(
            one,
            metrics={
                "test_top1_error_percent": 50.0 + one.trial.seed,
                STEPS: steps[one.trial.variant.label][one.trial.seed],
                LOG_STEPS: math.log(steps[one.trial.variant.label][one.trial.seed]),
                REACHED: 1.0,
                TRAINED: 500.0,
            },
        )
        for one in outcomes(study)
    ]
    mirrored(uri, study, records)
    metrics = parent_and_children(uri)[0].data.metrics
    assert metrics["ratio.steps_to_threshold.lrn.off"] == 1.64924  # the root of 1.6 x 1.7
    assert not [name for name in metrics if name.startswith("effect.")]
    row = variants(uri)["-lrn"].data
    assert row.metrics["ratio.steps_to_threshold"] == 1.64924
    # The logarithms scatter by ln(1.7 / 1.6) / 2, times 12.706 of the t with one degree of freedom.
    assert row.tags["interval.steps_to_threshold"] == "[1.12, 2.42] times; n 2"


def test_what_is_known_at_the_end_of_a_trial_stands_at_its_last_step(uri: str) -> None:
    study = plan(names=("lrn",), seeds=1)
    mirrored(uri, study, outcomes(study))
    run = parent_and_children(uri)[1][study.keys[0]]
    client = MlflowClient(tracking_uri=uri)
    for name in ("parameters", "seconds", "activity.lrn"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == [3]


def test_what_the_machine_does_is_shown_where_that_is_asked_for(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(ray.__file__).parent / "thirdparty_files")  # Ray brings a psutil of its own
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")  # seconds
    study = plan(names=("lrn",), seeds=1)
    view = View("", study, results=tmp_path / "results", system_metrics=True)
    for result in outcomes(study):
        view.trial(result)
    name, until = "system/cpu_utilization_percentage", time.monotonic() + 60
    client = MlflowClient(tracking_uri=uri)
    # The database is opened in the background, and a first sample is there a moment later.
    while not (client.get_experiment_by_name("ablations") and any(name in run.data.metrics for run in runs(uri))):
        assert time.monotonic() < until
        time.sleep(0.1)
    view.report(_report(tmp_path), Findings(study=study, results=outcomes(study)))
    parent, _ = parent_and_children(uri)
    assert 0 <= parent.data.metrics[name] <= 100
    assert parent.info.status == "FINISHED"


def _report(folder: Path) -> Path:
    report = folder / "reports" / "quick"
    (report / "figures").mkdir(parents=True, exist_ok=True)
    (report / "report.html").write_text("<p>effects</p>")
    (report / "report.md").write_text("effects")
    (report / "figures" / "effects.svg").write_text("<svg/>")
    return report


def test_a_server_that_is_down_costs_one_line_and_a_few_seconds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = plan()
    began = time.monotonic()
    mirror = View(f"http://user:secret@127.0.0.1:{free_port()}", study, results=Path("results"))
    for result in outcomes(study):
        mirror.trial(result)
    mirror.report(_report(tmp_path), Findings(study=study, results=outcomes(study)))

    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "Connection refused" in err
    assert "the records under results are complete" in err
    assert "`python -m ablations.sync quick --mlflow-uri http://127.0.0.1" in err
    assert "secret" not in err
    assert mirror.page == ""
    assert time.monotonic() - began < 10


def test_a_server_that_accepts_and_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # seconds, in place of the 10 that we set
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        began = time.monotonic()
        mirror = View(f"http://127.0.0.1:{deaf.getsockname()[1]}", plan(), results=tmp_path)
        mirror.open()
    assert mirror.page == ""
    assert time.monotonic() - began < 10
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_view_is_opened_once_with_what_was_finished_before(uri: str, tmp_path: Path) -> None:
    study = plan()
    *before, last = outcomes(study)
    view = View("", study, results=tmp_path / "results", finished=before)
    assert view.page == "" and MlflowClient(tracking_uri=uri).get_experiment_by_name("ablations") is None
    for _ in range(2):
        view.open()
        assert view.page and len(parent_and_children(uri)[1]) == len(before)
    view.trial(last)
    assert view.page and set(parent_and_children(uri)[1]) == set(study.keys)


def test_a_view_that_takes_its_time_keeps_nobody_waiting_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = threading.Event(), threading.Event()
    mirrored: list[Result | Findings] = []

    class Slow:
        experiment = "1"

        def __init__(self, *arguments: object, **options: object) -> None:
            asked.set()
            assert answers.wait(60)

        def trial(self, result: Result) -> None:
            mirrored.append(result)

        def report(self, folder: Path, evidence: Findings, front: fields.Front) -> None:
            mirrored.append(evidence)

    monkeypatch.setattr(mlflow_view, "Mirror", Slow)
    study = plan()
    results = outcomes(study)
    view, evidence = View("", study, results=tmp_path), Findings(study=study, results=results)
    view.open()
    assert asked.wait(60)
    for result in results:
        view.trial(result)
    assert mirrored == []  # and yet we are here
    answers.set()
    view.report(tmp_path, evidence)
    assert mirrored == [*results, evidence]


SLOW = """
import sys, threading
from pathlib import Path
from types import SimpleNamespace
from ablations.tracking import background, mlflow_view

class Slow:
    def __init__(self, *arguments, **options):
        "Connected."
    def trial(self, result):
        print("mirrors", result, flush=True)
        asked.set()
        assert goes_on.wait(600)
        raise OSError("no longer there")

asked, goes_on = threading.Event(), threading.Event()
mlflow_view.Mirror = Slow
with background.View("sqlite:///x", SimpleNamespace(name="s"), results=Path("results"), finished=[1, 2]) as view:
    view.trial(3)
    assert asked.wait(60)
    if sys.argv[1:] == ["stopped"]:
        raise KeyboardInterrupt
    goes_on.set()
    print(repr(view.page))
"""


def test_a_stopped_process_does_not_wait_for_what_is_not_mirrored_yet() -> None:
    command = [sys.executable, "-W", "ignore", "-c", SLOW]
    stopped = subprocess.run([*command, "stopped"], capture_output=True, text=True, timeout=300, check=False)
    assert stopped.stdout == "mirrors 1\n"
    assert stopped.stderr.splitlines()[-1] == "KeyboardInterrupt"
    went_on = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert went_on.stdout == "mirrors 1\n''\n"
    assert "OSError: no longer there" in went_on.stderr


def test_a_view_that_cannot_import_mlflow_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ablations.tracking.mlflow_view", None)
    view = View("", plan(), results=tmp_path)
    view.open()
    assert view.page == ""
    assert "import of ablations.tracking.mlflow_view halted" in capfd.readouterr().err


def test_a_database_that_fails_in_the_middle_stops_the_view_and_not_the_study(
    uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = plan()
    first, *rest = outcomes(study)
    mirror = View("", study, results=tmp_path / "results")
    mirror.trial(first)
    assert mirror.page
    with sqlite3.connect(tmp_path / "results" / "mlflow.db") as database:
        database.execute("DROP TABLE metrics")
    for result in rest:
        mirror.trial(result)
    mirror.report(_report(tmp_path), Findings(study=study, results=outcomes(study)))

    _, err = capfd.readouterr()
    assert len(err.splitlines()) == 1
    assert "no such table: metrics" in err
    assert f"`python -m ablations.sync quick --results {tmp_path / 'results'}`" in err


@pytest.mark.parametrize("address", ["./mlruns", "ftp://example.org/x", "file:///tmp/mlruns"])
def test_an_address_that_mlflow_does_not_take_costs_one_line(
    address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    view = View(address, plan(), results=tmp_path)
    view.open()
    assert view.page == ""
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_the_ui_command_can_be_pasted_into_a_shell() -> None:
    assert ui_command("sqlite:////a b/mlflow.db").endswith(" --backend-store-uri 'sqlite:////a b/mlflow.db'")
    assert ui_command("https://me:secret@mlflow.example.org") == "https://mlflow.example.org"


def test_points_come_in_the_time_of_the_trial() -> None:
    result = outcome(trials(plan())[0])
    begin, end = fields.times(result)
    at = [point.at - begin for point in fields.points(plan(), result) if point.name == "train_loss"]
    assert at == [1500, 3000, 4500]
    assert end - begin == 4500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real tracking server."""
    with serving(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.mark.slow
def test_a_real_server_shows_what_the_database_shows_and_keeps_the_report(
    server: str, uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = plan()
    records = outcomes(study)
    records[1] = outcome(records[1].trial, DIVERGED, epochs=700)
    records[1] = dataclasses.replace(records[1], curve=(*records[1].curve, {"epoch": 701, "train_loss": math.nan}))
    for _ in range(2):
        mirror = View(server, study, results=tmp_path)
        for result in records:
            mirror.trial(result)
        mirror.report(_report(tmp_path), Findings(study=study, results=records))
        assert mirror.page.startswith(f"{server}/#/experiments/")
    assert capfd.readouterr() == ("", "")

    mirrored(uri, study, records)
    # Through JSON because nan is equal to nan there; the parents' ends differ with their beginnings.
    ours, theirs = content(uri), content(server)
    assert json.dumps([ours[key] for key in study.keys]) == json.dumps([theirs[key] for key in study.keys])
    parent, _ = parent_and_children(server)
    assert parent.info.status == "FINISHED"
    client = MlflowClient(tracking_uri=server)
    listed = {item.path for item in client.list_artifacts(parent.info.run_id, "report/figures")}
    assert listed == {"report/figures/effects.svg"}
    copy = client.download_artifacts(parent.info.run_id, "report/report.html", str(tmp_path))
    assert Path(copy).read_text() == "<p>effects</p>"
