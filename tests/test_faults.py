"""What dies, fills up or is started twice costs nothing that was computed: through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
