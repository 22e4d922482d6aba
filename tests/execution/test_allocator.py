"""Freed memory stays with the process: counted in page faults, in processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from ablations.execution.allocator import ENVIRONMENT

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")

# 32 MiB is the most that glibc keeps by itself.
FAULTS = """
import resource, sys, threading
{prepare}
def work():
    for repeat in range(6):
        if repeat == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [bytearray(48 * 2**20) for _ in range(3)]
        del blocks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
{run}
"""
IN_A_THREAD = "thread = threading.Thread(target=work); thread.start(); thread.join()"


def faults(prepare: str, run: str, **environment: str) -> int:
    """Pages that the system handed out for the same 144 MiB, five times over: 180,000 of 4 KiB if nothing is kept."""
    code = FAULTS.format(prepare=prepare, run=run)
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@glibc
def test_freed_memory_is_used_again_without_the_system() -> None:
    ours = "from ablations.execution.allocator import keep_freed_memory; keep_freed_memory()"
    assert faults(ours, "work()") < 1_000


@glibc
def test_a_worker_of_tune_keeps_it_too_though_it_trains_in_a_thread() -> None:
    assert faults("", IN_A_THREAD, **ENVIRONMENT) < 1_000
