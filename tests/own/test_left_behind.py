"""What a trial leaves behind, and what it says while nobody looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from ablations.core.errors import DivergedError
from ablations.subjects.own import child
from ablations.subjects.own.child import events
from tests.conftest import ended
from tests.own.files import FILE, StudyFile

ROOT = Path(__file__).parents[2]
WRITES = """
def train(config, folder):
    import os, signal, time
    (folder / "mine").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""

KILLS = """
def train(config, folder):
    import os, pathlib, signal, time
    once = pathlib.Path(ONCE)
    if not once.exists():
        once.write_text(str(os.getpid()))
        os.kill(int(os.environ["DRIVER"]), signal.SIGKILL)
        time.sleep(600)
    return {"score": 1.0, "loss": 1.0}
"""


def asked(file: StudyFile, folder: Path) -> dict[str, Any]:
    """What the process of a trial is told."""
    kept = {"path": str(folder / "u.npz"), "code": "", "every": None}
    given: dict[str, Any] = {"config": {"slope": 1.0}, "salt": 0, "seed": 0, "threads": 1, "device": "cpu"}
    return {
        "path": str(file.path),
        "runs": "ablations.subjects.own.trial",
        "folder": "",
        "data": None,
        "unfinished": kept,
        **given,
    }


def test_the_folder_of_a_trial_that_is_killed_goes_with_it(
    tmp_path: Path, sketches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    child._own_place()  # for all that this process runs: not in the folder of one test
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    file = StudyFile(tmp_path, "killed_in_its_folder")
    file.write(WRITES)
    assert file.run("--grid", "reference", seeds=1) == 1
    assert [path for path in temporary.iterdir() if path.name.startswith("ablations-trial-")] == []


def test_what_a_killed_study_leaves_in_the_temporary_folder_goes_with_the_next_run(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "kills_its_driver")
    file.write(KILLS.replace("ONCE", repr(str(tmp_path / "once"))))
    with tempfile.TemporaryDirectory() as short:
        temporary = Path(short)
        killed = ran_apart(file, temporary)
        assert killed.returncode == -signal.SIGKILL
        assert {path.name.split("-")[0] for path in temporary.iterdir()} == {"abl", "ablations"}
        assert ended(int((tmp_path / "once").read_text()))  # the trial, which sleeps
        again = ran_apart(file, temporary)
        assert again.returncode == 0, again.stderr
        assert list(temporary.iterdir()) == []


def test_trials_run_where_the_path_of_the_temporary_folder_is_too_long_for_sockets(tmp_path: Path) -> None:
    file, long = StudyFile(tmp_path, "far_away"), tmp_path / ("l" * 100)
    file.write()
    long.mkdir()
    done = ran_apart(file, long)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [result.status for result in file.read().values()] == ["done"]


def ran_apart(file: StudyFile, temporary: Path) -> subprocess.CompletedProcess[str]:
    """A study of one trial by a driver of its own, whose temporary files go to `temporary`."""
    places = ["--results", str(file.study.parent), "--reports", str(file.report.parent), "--name", "mine"]
    words = [str(file.path), "--executor", "serial", "--seeds", "1", "--grid", "reference", "--no-mlflow", *places]
    code = "import os, sys; os.environ['DRIVER'] = str(os.getpid()); from ablations.run import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *words, "--format", "csv"]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


WAITS = """
def train(config):
    import os, pathlib, time
    pathlib.Path(GO).with_name("process").write_text(str(os.getpid()))
    while not pathlib.Path(GO).exists():
        time.sleep(0.05)
    return {"score": 1.0, "loss": 1.0}
"""


@pytest.mark.parametrize("ends", [True, False])
def test_a_trial_has_not_timed_out_while_its_driver_stood_still(
    ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, go = StudyFile(tmp_path, f"waits_{ends}"), tmp_path / "go"
    file.write(WAITS.replace("GO", repr(str(go))))
    saying = events(asked(file, tmp_path), log=tmp_path / "a.txt", timeout=60.0)
    assert next(saying) is None  # it has begun, and is silent
    if ends:
        go.touch()
        while not (tmp_path / "process").exists():
            time.sleep(0.05)
        assert ended(int((tmp_path / "process").read_text()))
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)
    if not ends:  # it stood still too, and has its time again
        assert next(saying) is None
        go.touch()
    *_, last = saying
    assert last and last["done"]["score"] == 1.0


def test_a_trial_that_does_not_end_has_timed_out(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "never_ends")
    file.write(WAITS.replace("GO", repr(str(tmp_path / "go"))))
    with pytest.raises(TimeoutError, match=r"it had not ended after 0\.5 seconds"):
        list(events(asked(file, tmp_path), log=tmp_path / "a.txt", timeout=0.5))


@pytest.mark.parametrize("name", ["", "\x1b[31mred", "one\ntwo", "\ud800", "x" * 201])
def test_a_number_whose_name_nobody_can_show_is_refused(tmp_path: Path, name: str) -> None:
    from ablations.subjects.own.trial import _checked

    with pytest.raises(TypeError, match="a name has 1 to 200 characters"):
        _checked({"score": 1.0, name: 1.0})


def test_a_whole_number_that_no_float_holds_has_diverged(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "huge")
    file.write("def train(config):\n    return {'score': 10**400, 'loss': 1.0}\n", FILE)
    with pytest.raises(DivergedError, match=r"score is 1000+\.\.\.0"):
        list(events(asked(file, tmp_path), log=tmp_path / "a.txt", timeout=60.0))
