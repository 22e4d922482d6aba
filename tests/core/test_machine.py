"""What a process may use of a machine, by the files in which Linux says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from ablations.cli.options import request_of
from ablations.core import machine as module
from ablations.core.errors import InputError
from ablations.core.machine import cores_here, memory_here
from ablations.planning.resources import resources
from ablations.records import provenance as provenance_module
from tests.making import config_from

GIB = 2**30
PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores and 64 GiB."""
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)


def machine(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


CONTAINER = {"proc/self/cgroup": "0::/"}
OLD = {"proc/self/cgroup": "5:memory:/docker/4f2a\n4:cpu,cpuacct:/docker/4f2a\n0::/system.slice"}


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("files", "cores", "gib"),
    [
        ({}, 8, 64),  # no Linux
        (CONTAINER, 8, 64),  # the topmost group of a machine has no limits
        ({**CONTAINER, "sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/memory.max": "max"}, 8, 64),
        # docker run --cpus 2 --memory 4g
        ({**CONTAINER, "sys/fs/cgroup/cpu.max": "200000 100000", "sys/fs/cgroup/memory.max": str(4 * GIB)}, 2, 4),
        ({**CONTAINER, "sys/fs/cgroup/cpu.max": "350000 100000"}, 3, 64),
        ({**CONTAINER, "sys/fs/cgroup/cpu.max": "50000 100000"}, 1, 64),
        ({**CONTAINER, "sys/fs/cgroup/cpu.max": "6400000 100000", "sys/fs/cgroup/memory.max": str(2**50)}, 8, 64),
        # A step of a job, which has the limits of the job.
        (
            {
                "proc/self/cgroup": "0::/slurm/job_7/step_0",
                "sys/fs/cgroup/slurm/job_7/cpu.max": "400000 100000",
                "sys/fs/cgroup/slurm/job_7/memory.max": str(16 * GIB),
                "sys/fs/cgroup/slurm/job_7/step_0/cpu.max": "max 100000",
                "sys/fs/cgroup/slurm/job_7/step_0/memory.max": str(24 * GIB),
                "sys/fs/cgroup/slurm/job_8/memory.max": str(GIB),  # another's
            },
            4,
            16,
        ),
        # Version 1 in a container, which sees its own group as the topmost one under the host's path.
        (
            {
                **OLD,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str(8 * GIB),
            },
            2,
            8,
        ),
        # Version 1 without limits.
        (
            {
                **OLD,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            8,
            64,
        ),
        (
            {
                **OLD,
                "sys/fs/cgroup/cpu/docker/4f2a/cpu.cfs_quota_us": "150000",
                "sys/fs/cgroup/cpu/docker/4f2a/cpu.cfs_period_us": "50000",
                "sys/fs/cgroup/memory/docker/memory.limit_in_bytes": str(GIB),
            },
            3,
            1,
        ),
    ],
)
def test_the_least_limit_on_the_way_up_counts(files: Mapping[str, str], cores: int, gib: int, tmp_path: Path) -> None:
    root = machine(tmp_path, files)
    assert cores_here(root) == cores
    assert memory_here(root) == gib * GIB


def test_fewer_cores_than_the_quota_are_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path, {**CONTAINER, "sys/fs/cgroup/cpu.max": "400000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})  # taskset
    assert cores_here(root) == 1


def test_this_machine_has_some_of_both() -> None:
    assert 1 <= cores_here() <= (os.cpu_count() or 1)
    assert 0 < memory_here() <= PHYSICAL


def held(*arguments: str, machines: Sequence[Mapping[str, float]] = ()) -> tuple[float, int]:
    """GPUs a trial and how many trials run side by side, of a command line."""
    return resources(request_of(config_from(*arguments), command="", machines=machines))


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 4), ("", 0), ("0,2", 2), ("1,-1,2", 1), ("-1", 0), ("GPU-5f1e", 1), ("0,1,2,3,4,5", 4)],
)
def test_gpus_are_those_of_the_driver_that_cuda_may_see(
    visible: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.gpus_here(tmp_path) == 0  # no driver
    for number in range(4):
        (tmp_path / f"proc/driver/nvidia/gpus/0000:{number}").mkdir(parents=True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert module.gpus_here(tmp_path) == count


def test_workers_and_records_count_the_same_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_limits", lambda root, controller, versions: [[300_000, 100_000]])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    assert held("--gpus-per-trial", "0") == (0, 3)
    with pytest.raises(InputError, match="--cpus-per-trial 4 is more than the 3 of this machine"):
        held("--gpus-per-trial", "0", "--cpus-per-trial", "4")
    assert provenance_module._machine.__wrapped__()["cores"] == 3


def test_a_cluster_holds_what_each_of_its_machines_does(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = [{"CPU": 3.0}, {"CPU": 1.0}, {"CPU": 16.0, "GPU": 2.0}]
    assert held("--gpus-per-trial", "0", "--cpus-per-trial", "2", machines=machines) == (0, 1 + 0 + 8)
    with pytest.raises(InputError, match="--cpus-per-trial 17 is more than the 16 of any machine of the cluster"):
        held("--gpus-per-trial", "0", "--cpus-per-trial", "17", machines=machines)
    with pytest.raises(InputError, match=r"--gpus-per-trial 3 is more than the 2 GPUs of any machine of the cluster"):
        held("--gpus-per-trial", "3", machines=machines)
    with pytest.raises(InputError, match=r"is 1, and no machine of the cluster has a GPU: leave it out\."):
        held("--gpus-per-trial", "1", machines=machines[:2])
    with pytest.raises(InputError, match="the 0 of any machine of the cluster; --autoscaling waits for machines"):
        held(machines=[{"memory": 1.0}])
    for here in (0, 1):  # the driver's own are not counted, whether it has any
        monkeypatch.setattr(torch.cuda, "device_count", lambda here=here: here)
        assert held(machines=machines) == (1, 2)
        assert held(machines=machines[:2]) == (0, 4)
        assert held("--subject", "tests.toy:SUBJECT", machines=machines) == (0, 20)  # plain numpy takes none unasked
        assert held("--subject", "tests.toy:SUBJECT", "--gpus-per-trial", "0.5", machines=machines) == (0.5, 4)
    with pytest.raises(InputError, match="has both what --cpus-per-trial 1 asks for and --gpus-per-trial 1"):
        held(machines=[{"CPU": 1.0}, {"GPU": 1.0}])
    assert held("--gpus-per-trial", "0.25", "--cpus-per-trial", "4", machines=machines) == (0.25, 4)
