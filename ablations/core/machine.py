"""Cores, memory and GPUs that this process may use, which in a container or under Slurm are less than the machine has.

By control groups of version 2 or 1, whose limits hold for all that is below them: the least on the way up counts.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path("/")
# Quota and period of processor time, in microseconds, and bytes; by version 2 and by version 1.
CPU = ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")
MEMORY = ("memory.max",), ("memory.limit_in_bytes",)
HELD = 0.75  # share of a machine's memory that the system can keep images in, beside the trials


def cores_here(root: Path = ROOT) -> int:
    """How many cores: those that it may run on or, where that is less, whole ones in its share of time; at least one.

    Ray by itself counts a quota too, but neither an affinity nor the half of a core that makes one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(quota // period for quota, period in _limits(root, "cpu", CPU))]))


def memory_here(root: Path = ROOT) -> int:
    """How many bytes of memory."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for (limit,) in _limits(root, "memory", MEMORY))])


def gpus_here(root: Path = ROOT) -> int:
    """How many NVIDIA GPUs: those of the driver or, where that is less, of CUDA_VISIBLE_DEVICES; torch is not asked."""
    folder = root / "proc/driver/nvidia/gpus"
    present = len(list(folder.iterdir())) if folder.is_dir() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    # CUDA reads the list up to the first that is none, such as -1.
    named = itertools.takewhile(lambda word: word and not word.startswith("-"), map(str.strip, visible.split(",")))
    return min(present, len(list(named)))


def _limits(root: Path, controller: str, versions: tuple[tuple[str, ...], ...]) -> Iterator[list[int]]:
    """The numbers of the files of each group that limits this process."""
    for folder in _groups(root, controller):
        for files in versions:
            try:
                numbers = [int(word) for file in files for word in (folder / file).read_text().split()]
            except (OSError, ValueError):  # another version's, of a folder that a container does not see, or "max"
                continue
            if min(numbers) > 0:  # a quota of -1 is none
                yield numbers


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folder of this process's group, and those around it, in each hierarchy that may hold the controller."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers or controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / (controller if controllers else "")
            group = top / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


def slots(machine: Mapping[str, float], cpus: float, gpus: float) -> int:
    """How many trials with so much each a machine holds, given what it has of "CPU" and "GPU"."""
    most = [machine.get("CPU", 0) / cpus, *([machine.get("GPU", 0) / gpus] if gpus else [])]
    return int(min(most))
