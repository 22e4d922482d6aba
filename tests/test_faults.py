"""What dies, fills up or is started twice costs nothing that was computed: through the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablations import lock
from ablations.names import InputError

PYTHON = [sys.executable, "-m", "ablations.run"]
TINY = ["--epochs", "1", "--train-examples", "64", "--batch-size", "32", "--image-size", "16", "--seeds", "1"]


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))


@pytest.fixture
def on_blobs(blobs: Path, tmp_path: Path) -> list[str]:
    """A tiny serial study `s` of the blobs, without MLflow, in folders of its own."""
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--name", "s"]
    return [*places, *TINY, "--dataset", f"folder:{blobs}", "--executor", "serial", "--no-mlflow"]


def ran(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


OWN = """
import os, signal
from dataclasses import replace
from pathlib import Path
from ablations.registry import register
from ablations.types import Activity, Component

def measure(probe):
    once = Path(os.environ["ONCE"])
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5

register(Component(
    name="own", reference="usual", levels={"hot": lambda spec: replace(spec, momentum=0.5)}, summary="", source="",
    activity=Activity(measure=measure, unit=""),
))
"""


def test_a_driver_that_is_killed_while_it_measures_measures_without_training_when_it_is_started_again(
    on_blobs: list[str], tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.py").write_text(OWN)
    environment = {"ABLATIONS_COMPONENTS": str(tmp_path / "own"), "ONCE": str(tmp_path / "once")}
    command = [*PYTHON, "--grid", "one_out", "--components", "own,lrn", *on_blobs]
    assert ran(command, **environment).returncode == -signal.SIGKILL
    folder = tmp_path / "results" / "s"
    (path,) = (folder / "trials").iterdir()
    killed = json.loads(path.read_text())
    assert (killed["status"], killed["activity"]) == ("done", {})

    again = ran(command, **environment)
    assert again.returncode == 0, again.stderr
    later = json.loads(path.read_text())
    assert later["activity"]["own"] == 0.5 and later["activity"]["lrn"] > 0
    changed = {name for name in later if later[name] != killed[name]}
    assert changed == {"activity", "error", "checksum"}
    assert not (folder / "unfinished").exists()


@pytest.fixture
def driver(on_blobs: list[str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A study `s` that is being run by a process that was stopped when it had written a record: it holds the study."""
    running = subprocess.Popen(
        [*PYTHON, "--grid", "one_out", "--components", "lrn", *on_blobs], stdout=subprocess.DEVNULL, text=True
    )
    wait_for(lambda: running.poll() is not None or any((tmp_path / "results" / "s" / "trials").glob("*.json")))
    running.send_signal(signal.SIGSTOP)
    yield running
    running.kill()
    running.wait()


def wait_for(there: Callable[[], bool]) -> None:
    for _ in range(600):
        if there():
            return
        time.sleep(0.1)
    pytest.fail("it never came")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_driver_is_refused_by_name_and_changes_nothing_and_readers_are_not(
    driver: subprocess.Popen[str], on_blobs: list[str], tmp_path: Path
) -> None:
    before = contents(tmp_path / "results")
    command = [*PYTHON, "--grid", "one_out", "--components", "lrn", *on_blobs]
    for options in ([], ["--seeds", "3"]):
        second = ran([*command, *options])
        assert (second.returncode, second.stdout) == (2, "")
        (line,) = second.stderr.splitlines()
        assert line.startswith(f"error: study 's' is being run by process {driver.pid} on {socket.gethostname()} ")
        assert "with `python -m ablations.run --grid one_out" in line and "another --name" in line
        assert contents(tmp_path / "results") == before
    report = [sys.executable, "-m", "ablations.report", "s", "--results", str(tmp_path / "results")]
    assert ran([*report, "--reports", str(tmp_path / "other"), "--format", "csv"]).returncode == 0
    assert ran([*command, "--dry-run"]).returncode == 0
    assert driver.poll() is None


def test_the_lock_of_a_driver_that_was_killed_does_not_stay(
    driver: subprocess.Popen[str], on_blobs: list[str], tmp_path: Path
) -> None:
    driver.kill()
    driver.wait()
    folder = tmp_path / "results" / "s"
    assert (folder / "driver.json").exists()
    (path, *_) = (folder / "trials").iterdir()
    kept = json.loads(path.read_text())
    assert ran([*PYTHON, "--grid", "one_out", "--components", "lrn", *on_blobs]).returncode == 0
    assert len(list((folder / "trials").iterdir())) == 5
    assert json.loads(path.read_text())["provenance"] == kept["provenance"]  # not trained again
    assert not (folder / "driver.json").exists()


@pytest.mark.parametrize(
    ("holder", "age", "held"),
    [
        ({"host": "elsewhere", "process": 1, "began": "1"}, 0, True),
        ({"host": "elsewhere", "process": 1, "began": "1"}, lock.DEAD + 1, False),
        ({"host": socket.gethostname(), "process": os.getppid(), "began": lock._began(os.getppid())}, 9999, True),
        ({"host": socket.gethostname(), "process": os.getppid(), "began": "1"}, 0, False),  # the number was used again
        ({"host": socket.gethostname(), "process": 2**22 + 1, "began": "1"}, 0, False),
        ({"host": socket.gethostname(), "process": "x"}, 0, False),
        ([], 0, False),
    ],
)
def test_where_locks_are_not_seen_the_holder_counts_while_it_shows_signs_of_life(
    holder: object, age: float, held: bool, tmp_path: Path
) -> None:
    told = tmp_path / "driver.json"
    told.write_text(json.dumps(holder))
    os.utime(told, (time.time() - age, time.time() - age))
    if held:
        with pytest.raises(InputError, match=f"if that process is no more, remove {told}"), lock.alone(tmp_path, "x"):
            pass
        assert json.loads(told.read_text()) == holder
    else:
        with lock.alone(tmp_path, "x"):
            assert json.loads(told.read_text())["process"] == os.getpid()
        assert not told.exists()


def test_a_command_that_cannot_be_run_leaves_no_folder_of_a_study(on_blobs: list[str], tmp_path: Path) -> None:
    refused = ran([*PYTHON, *on_blobs, "--train-examples", "1000000"])
    assert refused.returncode == 2
    assert list((tmp_path / "results").iterdir()) == []
