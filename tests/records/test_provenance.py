"""Provenance says where a result came from, and nothing of who ran it."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import ablations
from ablations.records.provenance import provenance, source

ROOT = Path(ablations.__file__).resolve().parents[1]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def checkout(folder: Path) -> Path:
    """A repository with the two packages and one commit; returns the path of its `ablations`."""
    for name in ("ablations", "models", "results"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder / "ablations"


def test_the_record_is_plain_json_with_the_time_in_utc_and_the_versions_that_ran() -> None:
    record = provenance(command="ablations quick", threads=2, device="cpu")

    assert json.loads(json.dumps(record)) == record
    assert record["command"] == "ablations quick"
    assert (record["threads"], record["device"]) == (2, "cpu")
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["ablations"] == ablations.__version__
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(record["started"])
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=1)
    assert record["started"].endswith("+00:00")
    assert record["hardware"]["cpu"]
    assert 1 <= record["hardware"]["cores"] <= (os.cpu_count() or 1)
    assert record["hardware"]["gpu"] is None


def test_neither_the_host_nor_the_user_is_recorded() -> None:
    words = re.findall(r"[\w.-]+", json.dumps(provenance(command="ablations quick", threads=1, device="cpu")))

    assert socket.gethostname() not in words
    assert getpass.getuser() not in words


def test_asking_for_provenance_imports_no_torch_and_with_torch_there_names_the_cpu_capability() -> None:
    program = (
        "import sys; from ablations.records.provenance import provenance;"
        "before = provenance(command='', threads=1, device='cuda');"
        "assert 'torch' not in sys.modules;"
        "assert before['cpu_capability'] is None and before['hardware']['gpu'] is None;"
        "import torch;"
        "after = provenance(command='', threads=1, device='cpu');"
        "assert after['cpu_capability'] == torch.backends.cpu.get_cpu_capability();"
        "assert after['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_the_commit_is_the_heads_of_the_checkout_that_holds_the_package(tmp_path: Path) -> None:
    package = checkout(tmp_path / "clean")

    assert source(package) == (git(package, "rev-parse", "HEAD"), False, "")


def test_new_results_are_not_dirt_but_a_new_component_is(tmp_path: Path) -> None:
    with_results, with_component, with_edit = (checkout(tmp_path / name) for name in "abc")
    (with_results.parent / "results" / "table.csv").touch()
    (with_component / "mine.py").touch()
    (with_edit.parent / "models" / "__init__.py").write_text("# changed\n")

    assert [source(package)[1] for package in (with_results, with_component, with_edit)] == [False, True, True]


def test_a_package_installed_inside_somebody_elses_checkout_does_not_borrow_its_commit(tmp_path: Path) -> None:
    checkout(tmp_path)
    (tmp_path / ".gitignore").write_text("venv\n")
    installed = tmp_path / "venv" / "ablations"
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()

    commit, dirty, note = source(installed)
    assert (commit, dirty) == ("", None)
    assert ablations.__version__ in note


def test_without_a_checkout_or_a_commit_the_commit_is_empty_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")

    for folder in (tmp_path / "plain", empty):
        commit, dirty, note = source(folder)
        assert (commit, dirty) == ("", None)
        assert "no checkout with a commit" in note


def test_gits_own_line_says_why_a_checkout_gives_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = checkout(tmp_path / "anothers")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # which may call every folder safe
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    commit, dirty, note = source(package)
    assert (commit, dirty) == ("", None)
    assert note.startswith("git found no checkout with a commit (fatal: detected dubious ownership in repository at ")


def test_the_git_folder_of_another_checkout_that_a_hook_hands_down_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, other = checkout(tmp_path / "ours"), checkout(tmp_path / "other")
    git(other, "commit", "--quiet", "--allow-empty", "--message", "second")
    head = git(package, "rev-parse", "HEAD")
    for name, value in {"GIT_DIR": ".git", "GIT_WORK_TREE": ".", "GIT_INDEX_FILE": ".git/index"}.items():
        monkeypatch.setenv(name, str(other.parent / value))
    assert source(package) == (head, False, "")
