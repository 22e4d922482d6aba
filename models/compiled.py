"""compiled(source) -> a C file of ours as a loaded library, compiled on first use for this very machine.

A wheel cannot hold it, since it is compiled for the processor at hand; each machine of a cluster
compiles its own, in about a second, into the user's cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

COMPILERS = ("gcc", "cc", "clang")
# Never -ffast-math or -Ofast: loading such a library flushes denormals to zero in the whole process.
# OpenMP's functions are those that torch has loaded: one pool of threads, of the size that torch was told.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")
TIMEOUT = 120  # seconds; it takes one or two


class NotCompiledError(Exception):
    """There is no compiled form here; the message is a clause that says why."""


def compiled(source: Path) -> ctypes.CDLL:
    """The library of the C file `source`.

    Its file's name holds a hash of the source, the flags, the compiler and the processor; it appears
    whole or not at all, so that several processes may do this at once.
    Raises NotCompiledError when there is no compiler, or it fails, or ABLATIONS_COMPILE is 0.
    """
    if os.environ.get("ABLATIONS_COMPILE") == "0":
        raise NotCompiledError("ABLATIONS_COMPILE is 0")
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC", ""), *COMPILERS))), None)
    if compiler is None:
        raise NotCompiledError(f"there is no C compiler ({', '.join(COMPILERS)})")
    try:
        identity = f"{_output(compiler, '--version')}\n{FLAGS}\n{_processor()}\n{source.read_text()}"
        name = f"{source.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
        return _loaded(name, source, compiler)
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        raise NotCompiledError(f"compiling it failed: {(said.strip() or str(error)).splitlines()[0]}") from error


def _loaded(name: str, source: Path, compiler: str) -> ctypes.CDLL:
    """The library, compiled again where the cache holds a damaged one."""
    try:
        return ctypes.CDLL(str(_file(name, source, compiler)))
    except OSError:
        return ctypes.CDLL(str(_file(name, source, compiler, again=True)))


def _file(name: str, source: Path, compiler: str, *, again: bool = False) -> Path:
    """The library's file in the user's cache, or in a temporary folder where that cannot be written."""
    cache = _cache()
    if cache and (cache / name).is_file() and not again:
        return cache / name
    try:
        if cache is None:
            raise FileNotFoundError
        library = cache / name
        cache.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{name}.", dir=cache)
    except OSError:
        library = Path(folder := tempfile.mkdtemp(prefix="ablations-")) / name
    try:
        made = Path(folder) / "made.so"
        _output(compiler, *FLAGS, str(source), "-o", str(made), "-lm")
        made.replace(library)
    finally:
        if library.parent == cache:
            shutil.rmtree(folder, ignore_errors=True)
    return library


def _cache() -> Path | None:
    """The folder for compiled files; None for a user who has no home folder."""
    if own := os.environ.get("ABLATIONS_CACHE"):
        return Path(own) / "kernels"
    try:
        found = Path(platformdirs.user_cache_dir("ablations"))
    except RuntimeError:
        return None
    return found / "kernels" if found.is_absolute() else None  # older versions leave "~" as it is


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout


def _processor() -> str:
    """What -march=native looks at: the model of the processor and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    words = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(words)))
