"""What a trial of a study file takes of a machine's GPUs: asked for, or known from what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations.core.load import load
from ablations.planning.request import Request
from ablations.planning.resources import resources

FILE = """
from ablations.subject import Resources, Subject

subject = Subject(reference={"a": 1}, components={"a": 2}, metrics={"x": "higher"}{more})

@subject.trial
def train({arguments}):
    raise AssertionError("not run")
"""
SCRIPT = """
command = "python train.py {changes}"
style = "argparse"
seed = { env = "SEED" }
reference.a = 1
components.a = 2
metrics.x.better = "higher"
"""


def taken(path: Path, text: str, *, asked: float | None = None) -> tuple[float, int]:
    """GPUs a trial, and trials side by side, on a machine of four cores and two GPUs."""
    path.write_text(text)
    load.cache_clear()
    load(str(path))
    request = Request(subject=str(path), options=None, name="s", grid="one_out", seeds=1, gpus_per_trial=asked)
    return resources(request)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablations.planning.resources.cores_here", lambda: 4)
    monkeypatch.setattr("ablations.subjects.own.subject.gpus_here", lambda: 2)


@pytest.mark.parametrize(
    ("arguments", "more", "asked", "expected"),
    [
        ("config, seed", "", None, (0.0, 4)),  # nothing says that it computes on one
        ("config, device", "", None, (1.0, 2)),
        ("config, device", ", resources=Resources(gpus=0.5)", None, (0.5, 4)),
        ("config, device", ", resources=Resources(gpus=0)", None, (0.0, 4)),
        ("config", ", resources=Resources(gpus=1)", None, (1.0, 2)),
        ("config, device", "", 0.0, (0.0, 4)),  # the command line's word is the last
        ("config", "", 1.0, (1.0, 2)),
    ],
)
def test_a_trial_that_asks_for_a_device_takes_a_gpu_unless_the_file_or_the_command_says_otherwise(
    arguments: str, more: str, asked: float | None, expected: tuple[float, int], gpus: None, tmp_path: Path
) -> None:
    text = FILE.replace("{more}", more).replace("{arguments}", arguments)
    assert taken(tmp_path / "study.py", text, asked=asked) == expected


@pytest.mark.parametrize(("more", "expected"), [("", (1.0, 2)), ("gpus = 0\n", (0.0, 4)), ("gpus = 0.25\n", (0.25, 4))])
def test_a_script_takes_a_gpu_where_there_is_one_unless_its_file_says_otherwise(
    more: str, expected: tuple[float, int], gpus: None, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("")
    assert taken(tmp_path / "study.toml", more + SCRIPT) == expected


def test_a_machine_without_a_gpu_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablations.subjects.own.subject.gpus_here", lambda: 0)
    text = FILE.replace("{more}", ", resources=Resources(gpus=0.5)").replace("{arguments}", "config, device")
    assert taken(tmp_path / "study.py", text)[0] == 0
