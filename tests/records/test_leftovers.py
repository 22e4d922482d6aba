"""Folders of runs that were killed go with the next run, and those of living ones stay."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ablations.records.leftovers import OWNER, own_folder, sweep

HOLDS = """
import sys, time
from pathlib import Path
from ablations.records.leftovers import own_folder
with own_folder(Path(sys.argv[1]), "ray-") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_the_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    foreign = tmp_path / "ray-of-somebody-else"
    foreign.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        (left / "session").mkdir()
        assert left.stat().st_mode & 0o777 == 0o700
        assert json.loads((left / OWNER).read_text())["process"] == process.pid
        assert sweep(tmp_path, "ray-") == []  # it lives
        process.send_signal(signal.SIGKILL)
    assert left.exists()
    with own_folder(tmp_path, "ray-") as ours:
        assert {path.name for path in tmp_path.iterdir()} == {ours.name, foreign.name}
        assert sweep(tmp_path, "ray-") == []  # ours
    assert list(tmp_path.iterdir()) == [foreign]


def test_a_folder_that_dying_processes_still_write_into_goes_with_a_later_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        (left / "session").mkdir()
        process.send_signal(signal.SIGKILL)
    remove = shutil.rmtree

    def writes(path: Path, *, ignore_errors: bool = False) -> None:
        if path.name == "session":
            (path / "a.log").touch()  # as a raylet does when its driver has died: the folder is not empty again
        else:
            remove(path, ignore_errors=ignore_errors)

    with monkeypatch.context() as while_it_writes:
        while_it_writes.setattr(shutil, "rmtree", writes)
        sweep(tmp_path, "ray-")
        assert (left / "session").exists()
    # What is left is known to be a dead process's, and the end of the next run sweeps as its beginning does.
    with own_folder(tmp_path, "tune-"):
        assert left.exists()
    with own_folder(tmp_path, "ray-"):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []
