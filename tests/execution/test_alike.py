"""A study whose script is broken does not run all of its trials to say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ablations.bench.overhead import _jobs
from ablations.core.errors import StoppedError
from ablations.core.result import DONE, ERROR, Result
from ablations.execution.alike import Alike
from tests.conftest import Collect
from tests.own.files import StudyFile

NEEDS = """
def train(config, streams):
    from pathlib import Path

    Path(__file__).with_name("numbers").read_text()
    return {"score": 50 + 5 * config["slope"] + streams.numpy("noise").normal(), "loss": 1.0}
"""


def failed(number: int, error: str, status: str = ERROR) -> Result:
    (trial,) = _jobs(number + 1)[number]
    return Result(trial=trial, status=status, error=error)


def told(*results: Result, total: int = 9, worked: bool = False) -> int:
    """How many results a study has heard of when it stops, or has ended."""
    alike = Alike(watch := Collect(), total=total, worked=worked)
    try:
        for one in results:
            alike.result(one)
    except StoppedError:
        assert len(watch.results) == 3
    return len(watch.results)


def test_three_first_failures_that_are_alike_stop_a_study_and_nothing_else_does() -> None:
    same = [failed(seed, f"Traceback\n  line {seed}\nKeyError: 'x' at 0x7f{seed}") for seed in range(5)]
    assert told(*same) == 3
    assert told(replace(same[0], status=DONE), *same[1:]) == 5
    assert told(*same[:2], failed(2, "ValueError: else"), *same[3:]) == 5
    assert told(*same[:2], replace(same[2], status="timeout"), *same[3:]) == 5
    assert told(*same, worked=True) == 5  # before: some of the study has come to an outcome
    assert told(*same[:3], total=3) == 3  # nothing is left that could be spared


def test_a_study_that_is_broken_stops_is_told_why_and_goes_on_when_it_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path / "study", "broken_study")
    file.write(NEEDS)
    for _ in range(2):  # the same command again is no worse
        assert file.run(seeds=4) == 1
        (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error: ")]
        assert "the first 3 trials failed in the same way (error: FileNotFoundError: [Errno 2] No such file" in line
        assert "so the 17 trials that follow were not run" in line and "give the same command again" in line
        assert len(list((file.study / "trials").glob("*.json"))) == 3
    assert not (file.report / "report.html").exists()
    (file.folder / "numbers").touch()
    assert file.run(seeds=1) == 0
    assert {one.status for one in file.read().values()} == {DONE}
