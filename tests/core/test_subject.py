"""The contract of a subject, over every one that there is: AlexNet, and thirty lines of numpy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ablations import run
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.subject import Defaults, Place, Subject
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.planning.factors import Forms, departures_of
from ablations.records import store
from ablations.subjects.alexnet.subject import SUBJECT as ALEXNET
from tests import making, toy

TOY = "tests.toy:SUBJECT"
SIGNED: list[Subject] = [ALEXNET, toy.SUBJECT]  # the type checker refuses one that lacks a member


def study(folder: Path, *words: str) -> list[str]:
    """The words of a command line that runs the toy into `folder`."""
    places = ["--results", str(folder / "results"), "--reports", str(folder / "reports"), "--no-mlflow"]
    return ["--subject", TOY, "--name", "toy", "--seeds", "3", *places, *words]


def outcomes(folder: Path) -> dict[str, dict[str, float]]:
    found, problems = store.read_all(folder / "results" / "toy")
    assert problems == []
    return {key: dict(result.metrics) for key, result in found.items()}


@pytest.mark.parametrize("subject", SIGNED, ids=lambda one: one.name)
def test_a_subject_is_found_by_its_name_and_its_headline_names_components(subject: Subject) -> None:
    assert load(subject.name) is subject
    assert {name for name in dir(Defaults) if not name.startswith("_")} <= {*dir(subject)}
    assert {name for name, _ in departures_of(subject.name, subject.headline)} <= subject.components.keys()


@pytest.mark.parametrize("name", ["nothing", "tests.toy:NOTHING", "no.such.module:SUBJECT", ""])
def test_what_is_no_subject_is_refused_in_a_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="there is no subject"):
        load(name)
    assert run.main(["--subject", name]) == 2
    said = capsys.readouterr().err
    assert (said.count("\n") == 1 and "no subject" in said) or "empty value" in said


def test_the_toy_runs_from_the_plan_to_the_report_and_nothing_is_run_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(study(tmp_path, "--executor", "serial")) == 0
    said = capsys.readouterr().out
    assert "test accuracy, percentage points; above zero the change made it better" in said
    assert "could not be measured" not in said
    first = {path.name: path.read_bytes() for path in (tmp_path / "results" / "toy" / "trials").iterdir()}
    assert len(first) == 15
    report = (tmp_path / "reports" / "toy" / "report.md").read_text()
    assert "above zero, the change made the result better" in report
    assert not {"top-1", "multiply-adds", "softmax", "crops", "network"} & set(report.replace(",", " ").split())

    assert run.main(study(tmp_path, "--executor", "serial")) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (tmp_path / "results" / "toy" / "trials").iterdir()} == first


def test_a_sabotage_that_lowers_what_is_better_high_is_seen_and_a_reference_above_guessing_has_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.main(study(tmp_path, "--executor", "serial", "--rows", "400"))
    report = (tmp_path / "reports" / "toy" / "report.md").read_text()
    gates = [line.split("|") for line in report.splitlines() if line.startswith(("| the reference", "| the sabotage"))]
    assert [cells[-2].strip() for cells in gates] == ["yes", "yes"]
    assert "its accuracy is above 62.50%" in gates[0][2]  # a quarter of guessing's 50% of errors less


@pytest.mark.slow
def test_the_toy_comes_out_alike_on_ray(tmp_path: Path) -> None:
    assert run.main(study(tmp_path / "alone", "--executor", "serial")) == 0
    assert run.main(study(tmp_path / "ray")) == 0
    assert outcomes(tmp_path / "ray") == outcomes(tmp_path / "alone")


def test_a_change_that_nothing_reads_is_refused_by_the_subjects_own_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(study(tmp_path, "--components", "shuffle", "--executor", "serial")) == 2
    assert "shuffle=off changes nothing in the reference" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_the_key_of_a_subject_of_ones_own_names_it_and_alexnets_stays_as_it_was() -> None:
    config = {"penalty": 1.0}
    trial = Trial(variant=Variant(), seed=3, data="made up", fingerprint="0", config=config, subject=TOY)
    text = json.dumps({"config": config, "fingerprint": "0", "seed": 3, "subject": TOY, "variant": {}})
    assert trial.key == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert Trial.from_dict(json.loads(json.dumps(trial.to_dict()))) == trial
    flat = Trial(variant=Variant(), seed=3, data="made up", fingerprint="0", config={"preset": "x"})
    text = json.dumps({"fingerprint": "0", "preset": "x", "seed": 3, "variant": {}})
    assert flat.key == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_conflicts_are_computed_from_what_departures_make_of_a_config() -> None:
    setting = toy.SUBJECT.setting(toy.Options(), Place(folder=Path()), None, beside=1)
    forms = Forms(TOY, setting)
    assert forms.conflict(("penalty", "off"), ("scaling", "off")) == ""
    assert forms.conflict(("penalty", "off"), ("shuffle", "off")) == "-shuffle changes nothing here"
    lrn = Forms("alexnet", making.setting("cifar_small"))
    assert lrn.conflict(("lrn", "off"), ("lrn", "batch_norm")) == "two levels of lrn"


def test_a_subject_without_a_learning_rate_refuses_tune_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(study(tmp_path, "--tune", "3", "--executor", "serial")) == 2
    assert "no learning rate that --tune could search" in capsys.readouterr().err
