"""Where a result came from: commit, command, machine and versions.  Standard library only."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from ablations import __version__
from ablations.core.machine import cores_here, memory_here

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = {  # where git looks instead of in the folder that it is asked about: `git rev-parse --local-env-vars`
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}
# Packages whose versions are recorded, because another version may give other numbers.
_PACKAGES = ("torch", "numpy", "pandas", "scipy", "statsmodels", "ray", "mlflow")


def provenance(*, command: str, threads: int, device: str) -> dict[str, Any]:
    """Returns plain JSON values that say how a result came about; `started` is now, in UTC, to the second.

    `commit` is "" if the package is in no git checkout, and `commit_note` then says why.  `dirty` says whether files
    under `ablations/` and `models/` are changed or new.  The names of the machine and the user are not recorded.  torch
    is asked for the GPU's name only if it has been imported already.
    """
    commit, dirty, note = source(_PACKAGE)
    return {
        "commit": commit,
        "commit_note": note,
        "dirty": dirty,
        "command": command,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "hardware": {**_machine(), "gpu": _gpu(device)},
        "versions": dict(_versions()),
        "threads": threads,
        "device": device,
        "cpu_capability": _cpu_capability(),
    }


@functools.cache
def source(package: Path) -> tuple[str, bool | None, str]:
    """Returns the commit of `package`, whether files differ from it (None: not known), and why any of that is missing.

    It is looked up once per process, since later changes to the files do not change the code that was imported.
    """
    tracked, _ = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    head, why = _git(package, "rev-parse", "HEAD")
    if not tracked or not head:  # an installed package may lie in another project's checkout, which does not track it
        return "", None, f"{why or 'the package is no part of a git checkout'}; version {__version__}"
    changed, why = _git(package.parent, "status", "--porcelain", "--", package.name, "models")
    return head, None if why else bool(changed), why


@functools.cache
def code(*settings: object) -> str:
    """Returns sixteen hex digits over torch's version and `settings`, which must hold all else that decides a training.

    A checkpoint is continued only by a process with the same digest.
    """
    decides = (importlib.metadata.version("torch"), *settings)
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


def _git(folder: Path, *arguments: str) -> tuple[str, str]:
    """Returns what git printed in `folder` and "", or "" and why it printed nothing."""
    # Inside a hook, GIT_DIR names another checkout.  Many workers may ask at once, so git must take no lock.
    inherited = {name: value for name, value in os.environ.items() if name not in _PLACES}
    environment = {**inherited, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a path need not be text
            timeout=20,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"git did not answer ({type(error).__name__})"
    if done.returncode:
        said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "")
        return "", f"git found no checkout with a commit ({said or f'exit code {done.returncode}'})"
    return done.stdout.strip(), ""


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version()), ("ablations", __version__)]
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


@functools.cache
def _machine() -> dict[str, Any]:
    return {"cpu": _cpu_model(), "cores": cores_here(), "memory_gib": _memory_gib()}


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(memory_here() / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpu(device: str) -> str | None:
    """Returns the name of the GPU behind `device`; None on other devices, where asking would claim GPU memory."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(device))


def _cpu_capability() -> str | None:
    torch = sys.modules.get("torch")
    return None if torch is None else str(torch.backends.cpu.get_cpu_capability())
