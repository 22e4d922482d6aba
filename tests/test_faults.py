"""What dies, fills up or is started twice costs nothing that was computed: through the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ablations.core.errors import InputError, answered
from ablations.records import lock
from ablations.records.leftovers import RAY, TUNE, own_folder
from ablations.report import render
from ablations.run import main
from ablations.subjects.alexnet.data.load import Data
from tests.records.test_leftovers import HOLDS

PYTHON = [sys.executable, "-m", "ablations.run"]
TINY = ["--epochs", "1", "--train-examples", "64", "--batch-size", "32", "--image-size", "16", "--seeds", "1"]


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))


@pytest.fixture
def on_blobs(blobs: Path, tmp_path: Path) -> list[str]:
    """A tiny serial study `s` of the blobs, without MLflow, in folders of its own."""
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--name", "s"]
    tables = ["--format", "csv"]  # a page takes longer than the trials
    return [*places, *TINY, "--dataset", f"folder:{blobs}", "--executor", "serial", "--no-mlflow", *tables]


def ran(
    command: list[str], environment: Mapping[str, str] = os.environ, *, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which can write no file larger than so many bytes."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


OWN = """
import os, signal
from dataclasses import replace
from pathlib import Path
from ablations.subjects.alexnet.registry import register
from ablations.subjects.alexnet.component import Activity, Component

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
    assert ran(command, environment).returncode == -signal.SIGKILL
    folder = tmp_path / "results" / "s"
    (path,) = (folder / "trials").iterdir()
    killed = json.loads(path.read_text())
    assert (killed["status"], killed["activity"]) == ("done", {})

    again = ran(command, environment)
    assert again.returncode == 0, again.stderr
    later = json.loads(path.read_text())
    assert later["activity"]["own"] == 0.5 and later["activity"]["lrn"] > 0
    changed = {name for name in later if later[name] != killed[name]}
    assert changed == {"activity", "notes", "checksum"}
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


def test_a_second_driver_is_refused_by_name_and_changes_nothing_and_readers_are_not_until_the_first_is_killed(
    driver: subprocess.Popen[str], on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path / "results")
    command = ["--grid", "one_out", "--components", "lrn", *on_blobs]
    for options in ([], ["--seeds", "3"]):
        assert main([*command, *options]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        *_, line = said.err.splitlines()
        assert line.startswith(f"error: study 's' is being run by process {driver.pid} on {socket.gethostname()} ")
        assert "with `python -m ablations.run --grid one_out" in line and "another --name" in line
        assert contents(tmp_path / "results") == before
    render("s", tmp_path / "results", tmp_path / "other", ("csv",))
    assert main([*command, "--dry-run"]) == 0
    assert driver.poll() is None

    driver.kill()
    driver.wait()
    folder = tmp_path / "results" / "s"
    assert (folder / "driver.json").exists()
    (path, *_) = (folder / "trials").iterdir()
    kept = json.loads(path.read_text())
    assert main(command) == 0
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
    assert main([*on_blobs, "--train-examples", "1000000"]) == 2
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("data")  # which are in the cache by then
@pytest.mark.parametrize(("largest", "file", "records"), [(3_000, "study.json", 0), (40_000, "report.html", 5)])
def test_a_disk_without_room_costs_one_sentence_leaves_nothing_half_written_and_the_study_goes_on(
    largest: int, file: str, records: int, on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--grid", "one_out", "--components", "lrn", *on_blobs[:-2]]
    assert main([*command, "--dry-run"]) == 0  # fits the linear baseline, whose file is kept
    stopped = ran([*PYTHON, *command], largest=largest)
    assert stopped.returncode == 1
    (line,) = [line for line in stopped.stderr.splitlines() if line.startswith("error: ")]
    assert re.match(rf"error: File too large: '\S+{file}'; what was finished is kept, and ", line)
    assert "Traceback" not in stopped.stderr
    left = contents(tmp_path / "results") | contents(tmp_path / "reports")
    trials = [path for path in left if path.parent.name == "trials"]
    assert len(trials) == records
    assert not [path for path in left if path.name.startswith(".") or path.name == file]
    assert ("Not judged: " in stopped.stdout) == bool(records)  # told before the report is written
    capsys.readouterr()
    assert main([*command, "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("% test error in") == 5 - records
    for path in trials:
        assert path.read_bytes() == left[path]


@pytest.mark.usefixtures("sketches")
@pytest.mark.parametrize("errno_of", ["ENOSPC", "ESTALE", "EROFS"])  # as NFS says of a file that another one replaced
def test_a_record_that_cannot_be_written_ends_the_study_and_its_trial_is_run_again(
    errno_of: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--name", "s"]
    command = ["--subject", "tests.toy:SUBJECT", "--executor", "serial", "--seeds", "2", "--no-mlflow", *places]
    replace, written = os.replace, list[Path]()

    def refuses(source: Path, target: Path) -> None:
        if target.parent.name == "trials":
            if len(written) == 3:
                raise OSError(getattr(errno, errno_of), os.strerror(getattr(errno, errno_of)))
            written.append(target)
        replace(source, target)

    with monkeypatch.context() as once:
        once.setattr(os, "replace", refuses)
        assert main([*command, "--format", "csv"]) == 1
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"error: {os.strerror(getattr(errno, errno_of))}: '{tmp_path}") and "is kept" in line
    trials = tmp_path / "results" / "s" / "trials"
    before = contents(trials)
    assert {*before} == {*written} and "report: " not in said.out
    assert main([*command, "--format", "csv"]) == 0
    after = contents(trials)
    assert after.items() > before.items()


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "error: the program is at fault (ZeroDivisionError: division by zero)",
        ),
        (RecursionError("too deep"), 1, "error: the program is at fault (RecursionError: too deep)"),
        (KeyError("lrn"), 1, "error: the program is at fault (KeyError: 'lrn')"),
        (MemoryError(), 1, "error: the program is at fault (MemoryError)"),
        (
            OSError(30, "Read-only file system", "/x/y"),
            1,
            "error: Read-only file system: '/x/y'; what was finished is kept",
        ),
        (OSError("no more"), 1, "error: no more; what was finished is kept"),
        (InputError("No."), 2, "error: No."),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on where it was"),
    ],
)
def test_whatever_a_command_raises_is_one_sentence_and_the_traceback_is_in_a_file(
    raised: BaseException,
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def command() -> int:
        raise raised

    assert answered(command) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(said)
    if code == 1:
        (path,) = tmp_path.iterdir()
        assert line.endswith(f"details are in {path}")
        assert "Traceback" in path.read_text() and path.stat().st_mode & 0o777 == 0o600


def test_where_no_traceback_can_be_written_the_sentence_says_where_it_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert answered(lambda: 1 // 0) == 1
    assert re.search(rf"; it happened in {__file__}, line \d+$", capsys.readouterr().err.strip())


def test_output_that_nobody_reads_any_more_costs_no_second_message(tmp_path: Path) -> None:
    code = "from ablations.core.errors import answered\ndef show():\n    print('x' * 100_000)\n    return 0\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}sys.exit(answered(show))"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Broken pipe; ") and len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("sketches")
def test_a_password_in_an_address_is_written_nowhere(
    blobs: Path, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--name", "s"]
    study = [*TINY, "--dataset", f"folder:{blobs}", "--executor", "serial", "--grid", "reference"]
    secret = "http://me:s3cret/w@rd@127.0.0.1:1/x?token=s3cret"
    assert main([*places, *study, "--mlflow-uri", secret]) == 0
    printed = capsys.readouterr()
    assert "MLflow at http://127.0.0.1:1/x?token=*** cannot be reached" in printed.err
    written = contents(tmp_path)
    assert len(written) > 4
    assert (
        "--mlflow-uri 'http://127.0.0.1:1/x?token=***'"
        in json.loads((tmp_path / "results" / "s" / "study.json").read_text())["command"]
    )
    for part in ("s3cret", "w@rd"):
        assert part not in printed.out + printed.err
        assert [path for path, content in written.items() if part.encode() in content] == []


def mapped_user(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user whom no passwd file knows, in an environment that holds nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        ["unshare", "--user", "--map-user=12345", *command],
        env={**kept, **environment},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs util-linux")
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "error: this user has no home folder, and so none for caches: name one with ABLATIONS_CACHE."),
        (
            {"HOME": "/proc"},
            "error: The cache folder /proc/.cache/ablations cannot be written: No such file or directory; choose "
            "another one with ABLATIONS_CACHE.",
        ),
    ],
)
def test_a_user_without_a_home_folder_is_told_the_remedy(
    environment: dict[str, str], said: str, blobs: Path, on_blobs: list[str], tmp_path: Path
) -> None:
    if mapped_user(["true"]).returncode:
        pytest.skip("needs user namespaces")
    refused = mapped_user([*PYTHON, *on_blobs, "--dry-run"], **environment)
    assert (refused.returncode, refused.stderr.splitlines()) == (2, [said])
    assert mapped_user([*PYTHON, "--help"], **environment).returncode == 0
    own = str(tmp_path / "cache")
    assert mapped_user([*PYTHON, *on_blobs, "--dry-run"], **environment, ABLATIONS_CACHE=own).returncode == 0


WRITES = """
import os, signal, sys
from pathlib import Path
from ablations.records.files import replaced
for path in map(Path, sys.argv[1:]):
    if os.fork() == 0:
        with replaced(path) as file:
            file.write(b"half of it")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
"""


def test_a_run_with_nothing_to_train_removes_what_killed_ones_left_and_nothing_else(
    on_blobs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--grid", "reference", "--seeds", "1", *on_blobs]
    assert main(command) == 0
    study = tmp_path / "results" / "s"
    whole = {path.relative_to(study) for path in study.rglob("*")}
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (study / "files").mkdir()
    users = study / "files" / ".mine.0123abcd"
    users.touch()
    torn = [study / "study.json", study / "predictions" / "x.npz", study / "trials" / "x.json"]
    subprocess.run([sys.executable, "-c", WRITES, *map(str, torn)], check=True)
    for parent, prefix in ((temporary, RAY), (study, TUNE)):
        with subprocess.Popen(
            [sys.executable, "-c", HOLDS.replace("ray-", prefix), str(parent)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            (Path(process.stdout.readline().strip()) / "session").mkdir()
            process.send_signal(signal.SIGKILL)
    assert [len([*path.parent.glob(f".{path.name}.*")]) for path in torn] == [1, 1, 1]
    assert len([*study.glob(f"{TUNE}*")]) == len([*temporary.glob(f"{RAY}*")]) == 1
    with own_folder(temporary, RAY) as alive:
        assert main(command) == 0
        assert [*temporary.iterdir()] == [alive]
    assert {path.relative_to(study) for path in study.rglob("*")} - whole == {Path("files"), Path("files") / users.name}
