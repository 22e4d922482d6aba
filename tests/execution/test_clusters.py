"""The cluster files: Ray itself reads them, and the Slurm script runs a study on two real nodes of Ray."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ablations.execution
from ablations.core.result import DONE
from ablations.records.store import read
from tests.conftest import free_port

FOLDER = Path(ablations.execution.__file__).parent / "clusters"
ROOT = Path(__file__).parents[2]


def loaded(name: str) -> dict[str, object]:
    found = yaml.safe_load((FOLDER / name).read_text())
    assert isinstance(found, dict)
    return found


def test_ray_up_takes_every_field_of_the_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(loaded("aws.yaml"))
    validate_config(prepared)  # Ray's own schema, which refuses a field that it does not know
    with pytest.raises(Exception, match="moon"):
        validate_config({**prepared, "moon": 1})
    assert prepared["max_workers"] == prepared["available_node_types"]["gpu"]["min_workers"]
    starts = prepared["head_start_ray_commands"] + prepared["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)


def test_kuberay_gives_ray_the_machines_that_the_file_says() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    cluster = loaded("kuberay.yaml")
    read_by_ray = _derive_autoscaling_config_from_ray_cr(cluster)
    kinds = read_by_ray["available_node_types"]
    assert kinds["gpu"]["resources"]["GPU"] == 8 and kinds["gpu"]["resources"]["CPU"] == 64
    assert kinds["gpu"]["min_workers"] == kinds["gpu"]["max_workers"] == read_by_ray["max_workers"]
    spec = cluster["spec"]
    assert isinstance(spec, dict)
    # The fields of a RayCluster that its API reference (ray.io/v1) has, as far as they are used.
    assert spec.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert spec["authOptions"] == {"mode": "token"}
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned and spec["rayVersion"] == pinned[1]


STUBS = {
    "scontrol": "#!/bin/sh\necho 127.0.0.1\nsleep 0.2\necho second\n",  # ends by SIGPIPE where nobody reads on
    # Takes its own options away, and runs the command here: both nodes are this machine.
    "srun": '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
}


@pytest.mark.slow
def test_the_slurm_script_runs_a_study_on_all_its_nodes_and_leaves_none(tmp_path: Path) -> None:
    for name, text in STUBS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "two",
        "SLURM_CPUS_PER_TASK": "1",
        "SHARED": str(tmp_path),
        "VENV": str(Path(sys.executable).parents[1]),
        "RAY_PORT": str(free_port()),
        "ABLATIONS_TEST": str(tmp_path),
    }
    words = ["--name", "far", "--subject", "tests.toy:SUBJECT", "--seeds", "1", "--no-mlflow", "--format", "csv"]
    done = subprocess.run(
        ["bash", str(FOLDER / "slurm.sh"), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 at a time on processor cores" in done.stdout
    study, results, problems = read(tmp_path / "results" / "far")
    assert not problems and len(results) == len(study.keys) and {one.status for one in results} == {DONE}
    mark = f"ABLATIONS_TEST={tmp_path}".encode()
    assert not [entry for entry in Path("/proc").glob("[0-9]*/environ") if _holds(entry, mark)]


def _holds(path: Path, mark: bytes) -> bool:
    try:
        return mark in path.read_bytes().split(b"\0")
    except OSError:
        return False
