"""Folders of runs that were killed go with the next run, and those of living ones stay."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from ablations.execution.leftovers import OWNER, own_folder, sweep

HOLDS = """
import sys, time
from pathlib import Path
from ablations.execution.leftovers import own_folder
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
