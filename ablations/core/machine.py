"""Finds how many cores, how much memory and how many GPUs this process may use.

In a container or under Slurm that is less than the machine has.  The limits are read from the Linux control groups,
version 2 or 1.  A limit holds for all groups below it, so the least one on the way from this process's group to the top
counts.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path("/")
# The files of a group that hold its limits, in version 2 and in version 1.  Those of the CPU hold quota and period of
# processor time, in microseconds; those of the memory hold bytes.
CPU = ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")
MEMORY = ("memory.max",), ("memory.limit_in_bytes",)
HELD = 0.75  # share of a machine's memory in which the system can keep images; the trials need the rest


def cores_here(root: Path = ROOT) -> int:
    """Returns the number of cores that this process may use: at least one.

    It is the number of cores in its affinity or, if that is less, the number of whole cores in its quota of processor
    time.  Ray's own count respects a quota too, but neither an affinity nor a quota below one core.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(quota // period for quota, period in _limits(root, "cpu", CPU))]))


def memory_here(root: Path = ROOT) -> int:
    """Returns how many bytes of memory this process may use."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for (limit,) in _limits(root, "memory", MEMORY))])


def gpus_here(root: Path = ROOT) -> int:
    """Returns the number of NVIDIA GPUs: those of the driver or, if that is less, those in CUDA_VISIBLE_DEVICES.

    torch is not asked, since importing it takes seconds.
    """
    folder = root / "proc/driver/nvidia/gpus"
    present = len(list(folder.iterdir())) if folder.is_dir() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    # CUDA reads the list up to the first entry that is no device, such as -1.
    named = itertools.takewhile(lambda word: word and not word.startswith("-"), map(str.strip, visible.split(",")))
    return min(present, len(list(named)))


def _limits(root: Path, controller: str, versions: tuple[tuple[str, ...], ...]) -> Iterator[list[int]]:
    """Yields the numbers in the files of each group that limits this process."""
    for folder in _groups(root, controller):
        for files in versions:
            try:
                numbers = [int(word) for file in files for word in (folder / file).read_text().split()]
            # The file is of the other version, or not visible in this container, or its limit is "max".
            except (OSError, ValueError):
                continue
            if min(numbers) > 0:  # a quota of -1 means that there is none
                yield numbers


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yields the folders of this process's group and of the groups above it, in each hierarchy with the controller."""
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
    """Returns how many trials that need `cpus` and `gpus` each fit on a machine with so many of "CPU" and "GPU"."""
    most = [machine.get("CPU", 0) / cpus, *([machine.get("GPU", 0) / gpus] if gpus else [])]
    return int(min(most))
