"""What trials print is kept, their beginning and their end where it is much, and what is missing is said."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest

from ablations.subjects.own import log
from ablations.subjects.own.child import events
from ablations.subjects.own.log import MARK, Log
from tests.own.files import StudyFile

LINES = [b"line %06d\n" % number for number in range(20_000)]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs keep 10,000 bytes of each end."""
    monkeypatch.setattr(log, "KEPT", 10_000)


def kept(path: Path, *pieces: bytes) -> bytes:
    """What is in the file when these were printed."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    keeps = Log(path, ours)
    with theirs:
        for piece in pieces:
            os.write(theirs.fileno(), piece)
    keeps.close()
    return path.read_bytes()


def parts(content: bytes) -> tuple[bytes, int, bytes]:
    """The beginning, how many bytes are missing, and the end."""
    begins, number, ends = MARK.split(content)
    return begins, int(number), ends


def test_little_is_kept_whole_and_a_second_try_is_appended(tmp_path: Path, short: None) -> None:
    path = tmp_path / "logs" / "a.txt"
    assert kept(path, *LINES[:1000]) == b"".join(LINES[:1000])
    assert kept(path, b"again\n") == b"".join(LINES[:1000]) + b"again\n"


def test_of_much_the_beginning_and_the_end_are_kept_and_the_log_says_how_much_is_missing(
    tmp_path: Path, short: None
) -> None:
    path, whole = tmp_path / "a.txt", b"".join(LINES)
    begins, missing, ends = parts(kept(path, *LINES))
    assert whole.startswith(begins) and whole.endswith(ends)
    assert len(begins) + missing + len(ends) == len(whole)
    assert len(begins) > 9_900 and 9_900 < len(ends) < 30_000
    assert begins.endswith(b"\n") and ends.startswith(b"line")
    # Another try of the same trial goes on: its beginning stays, and the number grows.
    again, missing_by_then, ends = parts(kept(path, *LINES))
    assert again == begins and len(begins) + missing_by_then + len(ends) == 2 * len(whole)
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_line_without_an_end_is_cut_too(tmp_path: Path, short: None) -> None:
    begins, missing, ends = parts(kept(tmp_path / "a.txt", *[b"x" * 1000] * 500))
    assert len(begins) == 10_000 and len(begins) + missing + len(ends) == 500_000


def test_a_disk_without_room_costs_what_is_printed_meanwhile_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    keeps = Log(tmp_path / "a.txt", ours)
    file, keeps.file = keeps.file, open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    keeps._add(b"lost\n")
    keeps.file.close()
    keeps.file = file
    keeps._add(b"kept\n")
    theirs.close()
    keeps.close()
    assert (tmp_path / "a.txt").read_bytes() == b"[... 5 bytes were printed here and are left out ...]\nkept\n"


def test_a_trial_that_prints_much_leaves_a_short_log_and_its_last_words(tmp_path: Path, short: None) -> None:
    file = StudyFile(tmp_path, "talking")
    file.write("def train(config):\n    print('first')\n    print('x' * 99 + '\\n', end='' * 5)\n"
               "    for n in range(5000):\n        print(n, 'y' * 80)\n    raise ValueError('no')\n")  # fmt: skip
    assert file.run("--grid", "reference", seeds=1) == 1
    ((_, result),) = file.read().items()
    assert "\n4999 y" in result.error and "ValueError: no" in result.error
    begins, missing, ends = parts((file.study / "logs" / f"{result.trial.key}.txt").read_bytes())
    assert begins.startswith(b"first\n") and missing > 300_000 and ends.endswith(b"4999 " + b"y" * 80 + b"\n")


def test_what_outlives_its_trial_and_prints_for_ever_holds_nobody_up(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "outlived")
    file.write("""
def train(config):
    import subprocess, sys
    other = subprocess.Popen(["sh", "-c", "echo me $$; exec yes"], start_new_session=True)
    yield {"score": 1.0, "loss": 1.0}
""")
    task = {"path": str(file.path), "runs": "ablations.subjects.own.trial", "config": {"slope": 1.0}, "salt": 0,
            "data": None, "seed": 0, "threads": 1, "device": "cpu",
            "folder": "", "unfinished": {"path": str(tmp_path / "u.npz"), "code": "", "every": None}}  # fmt: skip
    path = tmp_path / "a.txt"
    *_, done = events(task, log=path, timeout=60)
    assert done and done["done"]["score"] == 1.0
    found = re.search(rb"me (\d+)\n", path.read_bytes())
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
