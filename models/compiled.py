"""Compiles one of our C files on first use, for the processor of this machine, and loads it.

A wheel cannot ship the binary, because it is compiled with -march=native.  Each machine of a cluster
compiles its own copy into the user's cache, which takes about a second.
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
# Never add -ffast-math or -Ofast: merely loading a library that was compiled so makes the whole process flush
# denormal numbers to zero, torch's own arithmetic included.
# -fopenmp resolves to the OpenMP runtime that torch has already loaded, so kernel and torch share one thread pool.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")
TIMEOUT = 120  # seconds; compiling usually takes one or two


class NotCompiledError(Exception):
    """The C file cannot be compiled on this machine; the message is a clause that says why."""


def compiled(source: Path) -> ctypes.CDLL:
    """Returns the C file `source` as a loaded library, compiling it if the cache does not hold it yet.

    The name of the library's file contains a hash of the source, the flags, the compiler and the processor, so a
    change of any of them compiles anew.  The file is moved into place only when it is complete, so several processes
    may compile at once.
    Raises NotCompiledError when there is no compiler, when compiling or loading fails, or when ABLATIONS_COMPILE is 0.
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
    """Returns the loaded library; compiles it again when the cached file is damaged and cannot be loaded."""
    try:
        return ctypes.CDLL(str(_file(name, source, compiler)))
    except OSError:
        return ctypes.CDLL(str(_file(name, source, compiler, again=True)))


def _file(name: str, source: Path, compiler: str, *, again: bool = False) -> Path:
    """Returns the library's file in the user's cache, or in a temporary folder when the cache cannot be written.

    With `again`, the cached file is replaced even if it is there.
    """
    cache = _cache()
    if cache and (cache / name).is_file() and not again:
        return cache / name
    try:
        if cache is None:
            raise FileNotFoundError
        library = cache / name
        cache.mkdir(parents=True, exist_ok=True)
        # The compiler writes into a folder beside the final place, because a rename is atomic only within one
        # file system: no other process ever loads half a library.
        folder = tempfile.mkdtemp(prefix=f".{name}.", dir=cache)
    except OSError:
        library = Path(folder := tempfile.mkdtemp(prefix="ablations-")) / name
    try:
        made = Path(folder) / "made.so"
        _output(compiler, *FLAGS, str(source), "-o", str(made), "-lm")
        made.replace(library)
    finally:
        if library.parent == cache:  # otherwise the library lies in that folder itself
            shutil.rmtree(folder, ignore_errors=True)
    return library


def _cache() -> Path | None:
    """Returns the folder for compiled files, or None when the user has no home folder."""
    if own := os.environ.get("ABLATIONS_CACHE"):
        return Path(own) / "kernels"
    try:
        found = Path(platformdirs.user_cache_dir("ablations"))
    except RuntimeError:
        return None
    return found / "kernels" if found.is_absolute() else None  # older versions of platformdirs do not expand "~"


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout


def _processor() -> str:
    """Describes the processor as far as -march=native depends on it: its model and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    words = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(words)))
