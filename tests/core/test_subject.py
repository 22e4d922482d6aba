"""The contract of a subject, over every one that there is: AlexNet, and thirty lines of numpy."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ablations import run
from ablations.cli.options import subject_among
from ablations.core.load import FIRST, load
from ablations.core.subject import Defaults, Place, Subject
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.planning.factors import Forms, departures_of
from ablations.planning.study import make_study
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


OTHERS = """
from ablations import subject
from tests import toy

class Nameless: ...
class Renamed(toy.Ridge):
    name = "ridge"
class Usurper(toy.Ridge):
    name = "alexnet"

nameless, renamed, usurper, alias = Nameless(), Renamed(), Usurper(), toy.SUBJECT
own = subject.Subject(reference={"a": 1}, components={"a": 2}, metrics={"m": "higher"})
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of somebody else's: with subjects and what is none, and four that cannot be imported."""
    for name, text in {
        "others": OTHERS,
        "raises": "x = 1\n1 / 0\n",
        "lacks": "import not_there_at_all\n",
        "unfinished": "x = (\n",
        "leaves": "raise SystemExit(3)\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("others", None)
    load.cache_clear()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("alexnt", "no subject 'alexnt'; did you mean 'alexnet'"),
        ("../alexnet", "no subject"),
        (":SUBJECT", "no subject"),
        ("tests..toy:SUBJECT", "no subject"),
        ("tests.toy:", "no subject"),
        ("tests.toy:SUBJEC", "has nothing called 'SUBJEC'; did you mean 'SUBJECT'"),
        ("no.such.module:SUBJECT", "no module no can be imported"),
        ("tests.none:SUBJECT", "no module tests.none can be imported"),
        ("os:path", "'os:path' is no subject: it lacks name, metrics, components and"),
        ("math:sqrt", "is no subject: it lacks name"),
        ("tests.toy:Ridge", "is a class: name an object of it, as in SUBJECT = Ridge()"),
        ("others:nameless", "is no subject: it lacks name"),
        ("others:own", "is the subject of a study file: name the path of that file"),
        ("others:renamed", "has the name 'ridge', which does not lead to it"),
        ("others:usurper", "has the name 'alexnet', which does not lead to it"),
        ("raises:SUBJECT", "raises cannot be imported: ZeroDivisionError: division by zero, in line 2 of "),
        ("lacks:SUBJECT", "No module named 'not_there_at_all', in line 1 of "),
        ("unfinished:SUBJECT", "SyntaxError: '(' was never closed (unfinished.py, line 1)"),
        ("leaves:SUBJECT", "leaves cannot be imported: SystemExit: 3"),
        ("", "--subject has an empty value: it is alexnet, MODULE:OBJECT"),
        ("--seeds", "--subject needs a value: it is alexnet, MODULE:OBJECT"),
    ],
)
@pytest.mark.usefixtures("others")
def test_what_is_no_subject_is_refused_in_a_sentence(
    name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--subject", name, "--seeds", "3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said


def test_without_a_word_the_subject_is_the_first() -> None:
    assert subject_among([]) == subject_among(["--dry-run"]) == FIRST


def test_two_subjects_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["tests.toy:SUBJECT", "--subject=alexnet"]) == 2
    assert "one subject, but 'tests.toy:SUBJECT' and 'alexnet' are named" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other"), [(FIRST, "ablations.subjects.alexnet.subject:SUBJECT"), ("tests.toy:SUBJECT", "others:alias")]
)
@pytest.mark.usefixtures("others")
def test_one_subject_under_two_names_has_one_name_in_records_and_the_same_keys(one: str, other: str) -> None:
    shared = (
        making.setting() if one == FIRST else load(one).setting(toy.Options(), Place(folder=Path()), None, beside=1)
    )
    studies = [make_study(replace(making.request("one_out"), subject=name), shared) for name in (one, other)]
    assert studies[0] == studies[1]
    assert {trial.subject for _, trials in studies for trial in trials} == {studies[1][0].subject} == {one}


def test_the_toy_runs_from_the_plan_to_the_report_and_nothing_is_run_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(study(tmp_path, "--executor", "serial")) == 0
    said = capsys.readouterr().out
    assert "Not judged: whether this study would see harm is not known yet" in " ".join(said.split())
    assert "Train more seeds:" in said and "--seeds 6" in said  # one of three sabotaged trainings failed
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
