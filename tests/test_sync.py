"""python -m ablations.sync: the MLflow view of any studies, from their records alone."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ablations import report, sync
from ablations.analysis.verdicts import findings_in
from ablations.core.study import Study
from ablations.records import store
from ablations.records.upgrade import upgraded_study
from ablations.reporting.front import front
from ablations.sync import main
from ablations.tracking import fields
from ablations.tracking.address import default_uri, page, ui_command
from ablations.tracking.background import View
from tests import making
from tests.conftest import free_port
from tests.tracking import test_mlflow_view as view
from tests.tracking.test_mlflow_view import outcome, outcomes, parent_and_children, plan, runs, trials, write

pytestmark = view.pytestmark
empty_database, uri = view.empty_database, view.uri  # fixtures
ROOT = Path(__file__).parent.parent
CLAIMS = making.study("one_out", ["lrn"], seeds=1)[0].claims


def synced(folder: Path, *words: str) -> int:
    """The exit code of the command on `folder`, where each study has the report that nothing is drawn for."""
    for path in (folder / "results").glob("*/study.json"):
        (folder / "reports" / path.parent.name).mkdir(parents=True, exist_ok=True)
    return main([*words, "--results", str(folder / "results"), "--reports", str(folder / "reports")])


def test_a_database_filled_anew_from_the_records_shows_the_same(
    uri: str, empty_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = plan()
    records = outcomes(study)
    records[1] = outcome(records[1].trial, "diverged")
    study = dataclasses.replace(study, claims=CLAIMS)
    later = "2100-01-02T03:04:05+00:00"  # trials end after the run that keeps the view has begun
    records = [dataclasses.replace(one, provenance={**one.provenance, "started": later}) for one in records]
    folder = write(tmp_path / "results", study, records)
    report_folder, evidence = view._report(tmp_path), findings_in(folder)
    live = View("", study, results=tmp_path / "results", finished=records[:2])  # as a run keeps it
    for record in records[2:]:
        live.trial(record)
    live.report(report_folder, evidence, fields.Front(*front(evidence, report_folder)))

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "new.db").write_bytes(empty_database.read_bytes())
    other = f"sqlite:///{tmp_path}/elsewhere/new.db"
    assert synced(tmp_path, "quick", "--mlflow-uri", other) == 0
    first, second = view.content(uri), view.content(other)
    assert first == second
    assert first["study"]["tags"]["mlflow.note.content"].startswith(front(evidence, report_folder)[0])
    assert view.views(uri) == view.views(other)
    assert parent_and_children(other)[0].info.artifact_uri.startswith((tmp_path / "elsewhere" / "mlflow").as_uri())
    assert files(uri) == files(other) >= {"effects.svg", "report", "report.html"}
    assert capsys.readouterr().out.splitlines() == [
        f"mlflow ui --workers 1 --backend-store-uri {other}",
        "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
        f"&viewStateShareKey=ablations-{fields.study_id(study)}",
    ]


def files(uri: str) -> set[str]:
    parent, _ = parent_and_children(uri)
    return {item.path for item in MlflowClient(tracking_uri=uri).list_artifacts(parent.info.run_id)}


def test_several_studies_are_mirrored_and_without_a_name_all_of_them(uri: str, tmp_path: Path) -> None:
    studies = [plan(name=name, seeds=1) for name in ("a", "b", "c")]
    for study in studies:
        write(tmp_path / "results", study, outcomes(study))

    def shown() -> set[str]:
        return {run.info.run_name for run in runs(uri) if run.data.tags[fields.ROLE] == "study"}

    assert synced(tmp_path, "a", "b") == 0
    assert shown() == {"a", "b"}
    assert synced(tmp_path) == 0
    assert shown() == {"a", "b", "c"}
    assert len(runs(uri)) == 3 * (1 + 3 + 3)


def test_a_study_without_a_report_gets_one_and_it_becomes_an_artifact(uri: str, tmp_path: Path) -> None:
    study = plan(names=("lrn",))
    write(tmp_path / "results", study, outcomes(study))
    assert main(["quick", "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]) == 0
    parent, _ = parent_and_children(uri)
    listed = {item.path for item in MlflowClient(tracking_uri=uri).list_artifacts(parent.info.run_id, "report")}
    assert listed >= {"report/report.html", "report/report.md", "report/figures"}


def test_a_corrupt_record_is_named_and_the_others_are_mirrored(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = plan()
    folder = write(tmp_path / "results", study, outcomes(study))
    store.trial_path(folder, study.keys[0]).write_text("{")

    assert synced(tmp_path, "quick") == 0
    assert study.keys[0] in capsys.readouterr().err
    assert set(parent_and_children(uri)[1]) == set(study.keys[1:])


def test_damaged_studies_cost_a_sentence_each_and_the_good_ones_are_mirrored(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damages = {
        "a-torn": lambda text: text[:200],
        "b-bytes": lambda text: "\x00" + text,
        "d-list": lambda text: "[]",
        "e-no-variants": lambda text: json.dumps({**json.loads(text), "variants": []}),
        "f-metric": lambda text: text.replace('"metric": "', '"metric": "moon'),
        "h-folder": None,
    }
    for name in (*damages, "c-good", "g-good"):
        study = dataclasses.replace(plan(name=name, seeds=1), claims=CLAIMS)
        write(tmp_path / "results", study, outcomes(study))
    for name, damage in damages.items():
        path = tmp_path / "results" / name / "study.json"
        text = path.read_text()
        path.unlink()
        if damage:
            path.write_text(damage(text))
        else:
            path.mkdir()
    assert synced(tmp_path) == 2
    out, err = capsys.readouterr()
    assert {run.info.run_name for run in runs(uri) if run.data.tags[fields.ROLE] == "study"} == {"c-good", "g-good"}
    said = err.splitlines()
    assert len(said) == len(damages) and all(line.startswith("error: ") for line in said)
    for name in damages:
        (line,) = [line for line in said if f"/{name}/study.json cannot be read: " in line]
        assert len(line) < 400
    assert out.splitlines()[0] == ui_command(default_uri(tmp_path / "results"))  # and where the good ones are shown
    assert synced(tmp_path, "c-good") == 0


def test_a_report_of_a_damaged_study_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = dataclasses.replace(plan(), claims=CLAIMS)
    path = write(tmp_path / "results", study, outcomes(study)) / "study.json"
    text = path.read_text()
    for damaged in (
        text[:200],
        "[]",
        "[" * 100_000,
        json.dumps({**json.loads(text), "variants": []}),
        text.replace('"metric": "', '"metric": "moon'),
        text.replace('"also": ""', '"also": "moons test_loss"'),
    ):
        assert damaged != text
        path.write_text(damaged)
        places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
        assert report.main(["quick", *places]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and f"{path} cannot be read: " in err
    assert not (tmp_path / "reports").exists()


def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert synced(tmp_path, *words) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    assert said("quick") == f"error: unknown study 'quick': there is no study in '{tmp_path / 'results'}'.\n"
    assert said() == f"error: there is no study in '{tmp_path / 'results'}'.\n"
    study = plan()
    write(tmp_path / "results", study, outcomes(study))
    assert said("quick", "quikc") == "error: unknown study 'quikc'; did you mean 'quick'? Allowed: quick.\n"
    assert not (tmp_path / "results" / "mlflow.db").exists()
    refused = said("quick", "--mlflow-uri", f"http://me:secret@127.0.0.1:{free_port()}")
    assert "Connection refused" in refused
    assert "secret" not in refused


def test_help_and_a_misspelled_name_are_answered_without_mlflow_or_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom ablations.sync import main\n"
        f"assert main(['x', '--results', {str(tmp_path)!r}]) == 2\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'mlflow', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_command_makes_a_database_without_a_word_of_mlflows_own(tmp_path: Path) -> None:
    study = plan()
    write(tmp_path / "results", study, outcomes(study))
    (tmp_path / "reports" / "quick").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-m", "ablations.sync", "quick", "--results", str(tmp_path / "results")],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    uri = default_uri(tmp_path / "results")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [ui_command(uri), page(uri, "1", f"ablations-{fields.study_id(study)}")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reports", "results"]
    assert set(parent_and_children(uri)[1]) == set(study.keys)


def test_a_long_sync_off_a_terminal_says_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter(range(0, 1000, 4))  # seconds: a trial takes four
    monkeypatch.setattr("ablations.sync.time.monotonic", lambda: next(moments))
    records = outcomes(plan())
    assert list(sync._told(records, "quick")) == records
    assert capsys.readouterr().err == "quick: 2 of 6 trials, 24 s left\nquick: 5 of 6 trials, 4.8 s left\n"


@pytest.mark.parametrize(
    ("typed", "name", "source"),
    [
        ("folder:data/cifar10-jpeg", "cifar10-jpeg, 512 images", "folder:data/cifar10-jpeg"),
        ("folder:/home/me/data/cifar10-jpeg", "cifar10-jpeg, 512 images", "folder:cifar10-jpeg"),
        ("fashion-mnist-small", "fashion-mnist-small, 512 images", "fashion-mnist-small"),
    ],
)
def test_every_run_has_its_data_set_and_no_path_of_this_machine(uri: str, typed: str, name: str, source: str) -> None:
    study = _on(typed)
    for _ in range(2):
        view.mirrored(uri, study, outcomes(study))
    found = runs(uri)
    assert len(found) == 1 + 3 + 6
    for run in found:
        assert run.inputs is not None
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == (name, "f00d")
        assert (used.dataset.source_type, used.dataset.source) == ("local", f'{{"uri": "{source}"}}')
        assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
        assert "/home/me" not in str([run.data.params, run.data.tags])


def test_a_named_data_sets_profile_holds_its_counts_and_a_folders_what_is_trained_on() -> None:
    planned = making.setting("paper", view.BUDGET)
    record = json.loads((ROOT / "results" / "reference" / "cifar10-six" / "study.json").read_text())
    older = Study.from_dict(upgraded_study({**record, "dataset": "cifar10"}))  # its record holds no such count
    for study, examples in ((dataclasses.replace(plan(), setting=planned), 512), (older, 5_000)):
        assert fields.data(study).counts == {
            "train_examples": examples,
            "classes": 10,
            "train_images": 50_000,  # Krizhevsky 2009
            "test_images": 10_000,
        }
    assert fields.data(_on("folder:x")).counts == {"train_examples": 512}


def _on(dataset: str) -> Study:
    study = making.with_setting(plan(), data=dataset)
    return dataclasses.replace(study, keys=tuple(trial.key for trial in trials(study)))
