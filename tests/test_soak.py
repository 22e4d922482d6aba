"""The soak: a short form of it runs as a test, and what it looks for is found where it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablations.bench.soak import long, summary, tiny
from ablations.bench.soak.__main__ import main
from ablations.bench.soak.processes import MARK, left_after
from ablations.core.result import ERROR
from ablations.core.subject import Place
from ablations.execution.executor import serial
from ablations.records import store
from tests.conftest import Collect, Planner


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Workers, parts of Ray and nodes that die have tests of their own, and `make soak` kills them in studies.
    counts = {"serial": 1, "ray": 0, "workers": 0, "parts": 0, "nodes": 0, "trials": 5, "seeds": 1}
    words = [word for name, count in counts.items() for word in (f"--{name}", str(count))]
    asked, usual = list[str](), tiny.Place.words

    def long_without_ray(self: tiny.Place, name: str, *, executor: str, **more: Any) -> list[str]:
        asked.append(f"{name} {executor}")
        return usual(self, name, executor="serial", **more)  # a start of Ray costs more than all of the rest

    monkeypatch.setattr(tiny.Place, "words", long_without_ray)
    monkeypatch.setattr(long, "EVERY", 0.2)  # its end is seen too
    assert main([*words, "--results", str(tmp_path), "--no-mlflow"]) == 0, capsys.readouterr().out
    assert asked[-1] == "long ray"
    found = json.loads((tmp_path / "soak.json").read_text())
    struck = {name: [one for run in runs for one in run["struck"]] for name, runs in found["faults"].items()}
    assert {name: [one["code"] for one in ones] for name, ones in struck.items()} == {"driver, serial": [-9]}
    assert found["long"]["trials"] == 5 and found["long"]["growth"][-1]["records"] == 5
    assert found["long"]["lost"] == summary.lost_of(found) == []


@pytest.fixture
def soaked(tmp_path: Path) -> tiny.Place:
    made = tiny.Place(tmp_path, f"test-{os.getpid()}")
    made.temporary.mkdir()
    return made


@pytest.fixture
def study(soaked: tiny.Place, plan: Planner, place: Place) -> Path:
    """A finished study of `soaked`, called s."""
    asked, trials = plan(name="s")
    folder = soaked.study("s")
    serial([(trial,) for trial in trials], replace(place, folder=folder), Collect())
    store.write_study(folder, asked)
    (folder / "unfinished").rmdir()
    return folder


FINE = tiny.Ended(0, "", "")


def test_what_is_lost_changed_doubled_or_left_is_found(
    soaked: tiny.Place, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny, "GRACE", 0.0)
    before, like = tiny.seen(study), tiny.contents(study)
    assert len(before.finished) == len(like) == 5 and not before.torn
    assert tiny.losses(soaked, "s", before, like, FINE) == []

    def lost(again: tiny.Ended = FINE) -> str:
        return " | ".join(tiny.losses(soaked, "s", before, like, again))

    assert "exit code 1: no disk" in lost(tiny.Ended(1, "", "words\nno disk\n"))
    assert "1 trials were run where 0 were left" in lost(tiny.Ended(0, "[1/5] x: 3.0% test error in 1 s", ""))
    first, second, *_ = sorted((study / "trials").iterdir())
    text = first.read_bytes()
    first.write_bytes(text + b" ")  # the same content
    assert lost() == f"finished records changed or went: {first.stem}"
    first.unlink()
    assert lost() == f"finished records changed or went: {first.stem} | 1 trials have no record"
    first.write_bytes(text[:-40])
    assert f"record {first.stem} was torn by the fault" in lost() and "cannot be read" in lost()
    first.write_bytes(text)
    result, _ = store.read_result(second)
    assert result
    store.write_result(study, replace(result, metrics={**result.metrics, "test_loss": 9.0}))
    assert f"records differ from those of an undisturbed run: {second.stem}" in lost()
    store.write_result(study, replace(result, status=ERROR, metrics={}, error="x"))
    assert second.stem not in tiny.seen(study).finished
    for path in ("trials/.half", "trials/x.json.version-1", ".tune-1/x", "unfinished/y", "predictions/z.tmp"):
        (study / path).parent.mkdir(exist_ok=True)
        (study / path).touch()
    (soaked.temporary / "ray-1").mkdir()
    said = lost()
    for name in ("trials/.half", "trials/x.json.version-1", ".tune-1", "unfinished", "predictions/z.tmp", "ray-1"):
        assert f"{name} is " in said, name


def test_a_process_is_found_by_its_mark_until_it_has_ended() -> None:
    mark = f"test-{os.getpid()}-{time.monotonic()}"
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, MARK: mark}
    ) as process:
        try:
            until = time.monotonic() + 60
            while not left_after(mark, 0) and time.monotonic() < until:  # its environment is its own when it has begun
                time.sleep(0.01)
            assert [one.number for one in left_after(mark, 0)] == [process.pid]
            assert not left_after(mark, 0)[0].is_worker
        finally:
            process.kill()
        process.wait()
        assert left_after(mark, 5) == []


def test_costs_are_those_from_the_first_record_to_the_last() -> None:
    def sample(seconds: float, records: int, driver: float) -> long.Sample:
        return long.Sample(seconds, records, 100.0 + records, 200.0, 300.0, 7, driver)

    samples = [sample(0, 0, 5), sample(10, 0, 9), sample(20, 10, 10), sample(40, 60, 11), sample(60, 110, 12)]
    samples += [sample(70, 110, 20)]  # the report
    assert long.costs(samples) == {
        "seconds_a_trial": 0.4,
        "driver_processor_seconds_a_trial": 0.02,
        "trials_a_second_of_a_driver": 50.0,
    }
    rows = long.growth(samples, 110)
    assert [(row["records"], row["driver_mib"]) for row in rows] == [
        (60, 160.0),
        (60, 160.0),
        (60, 160.0),
        (110, 210.0),
        (110, 210.0),
    ]


def test_the_table_says_what_the_runs_did_that_were_struck_and_what_was_lost() -> None:
    def struck(code: int, sentence: str, lost: list[str]) -> dict[str, object]:
        return {"records": 3, "of": 9, "code": code, "sentence": sentence, "tried_again": 1, "lost": lost}

    left = "1 trained reference could not be measured to its end; the same command measures it"
    faults = {
        "worker": [{"struck": [struck(0, "", []), struck(1, left, ["a record"])]}, {"struck": [struck(0, "", [])]}],
        "part of Ray": [{"struck": [struck(1, "error: Ray's process raylet has ended", [])]}],
    }
    worker, part = summary.fault_lines(faults).splitlines()[2:]
    assert worker.endswith(
        "| 3 | 33% to 33%, 3 times some | went on to its end 3 of 3 times, 1 times with activities left to measure, "
        "3 trials tried again in it | a record |"
    )
    assert part.endswith("| 1 | 33% to 33%, 1 times some | ended | nothing |")
    assert summary.lost_of({"faults": faults, "long": {"lost": ["x"]}}) == ["a record", "x"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "-1"], "--trials is -1; it must be 0 or more."),
        (["--seeds", "0"], "--seeds is 0; it must be 1 or more."),
        (["--minutes", "0"], "--minutes is 0; it must be above 0."),
        (["--nodse", "1"], "did you mean '--nodes'?"),
    ],
)
def test_a_soak_that_cannot_be_asked_for_costs_one_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
