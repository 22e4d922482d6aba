"""python -m ablations.reseed SCRIPT [ARGS]: runs a Python script that seeds with a constant under the seed of a study.

A constant c that is handed to `random`, numpy or torch as a seed becomes a function of (ABLATIONS_SEED, c), be it by
the script or by a library that it calls, as scikit-learn does with `random_state`: equal seeds give equal draws, and
others give others.  What libraries seed for themselves while they are imported stays as it is, and so does what torch
seeds from its own draws.  At its end it says what was seeded, and a script that seeded nothing has failed.

Standard library only: it runs in the environment of the script.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import os
import random
import runpy
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SEED = "ABLATIONS_SEED"
MOST = 20  # different calls that are told
LARGEST = 2**32  # a seed is below it, as numpy asks
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

seeded: dict[str, int] = {}  # what was called, with which constant -> the seed that it got


def derived(constant: Any, seed: str) -> int:
    """The seed that stands for a constant under the study's seed: 32 bits."""
    digest = hashlib.sha256(f"{seed}/{constant!r}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % LARGEST


def _by_the_script() -> bool:
    """Whether a call that is under way is of the script, and not of a library's import or of torch itself."""
    frame = sys._getframe(2)
    while frame and frame.f_code.co_filename == __file__:
        frame = frame.f_back  # type: ignore[assignment]
    if frame and frame.f_globals.get("__name__", "").partition(".")[0] == "torch":
        return False
    while frame:
        where = frame.f_code.co_filename
        if where.startswith("<frozen importlib"):
            return False
        if not where.startswith(LIBRARIES) and where != __file__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return True


def replaced(name: str, constant: Any) -> Any:
    """What a call gets as its seed: a number that is derived from a constant; anything else stays as it is."""
    if not _by_the_script():
        return constant
    if hasattr(constant, "tolist"):  # of numpy or torch
        constant = constant.tolist()
    if isinstance(constant, list):
        constant = tuple(constant)
    if not isinstance(constant, int | float | str | bytes | bytearray | tuple):
        return constant
    value = derived(constant, os.environ[SEED])
    seeded.setdefault(f"{name}({constant!r})", value)
    return value


def _wrapped(function: Callable[..., Any], name: str, word: str) -> Callable[..., Any]:
    """`function` with its first argument, or that of this name, replaced."""

    def seeding(*arguments: Any, **named: Any) -> Any:
        if arguments:
            arguments = (replaced(name, arguments[0]), *arguments[1:])
        elif word in named:
            named[word] = replaced(name, named[word])
        return function(*arguments, **named)

    seeding.__doc__, seeding.__name__ = function.__doc__, getattr(function, "__name__", name)
    return seeding


def _patch_random() -> None:
    method = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        method(self, replaced("random.seed", a), version)

    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = random._inst.seed


def _kind(whole: type) -> Any:
    """Of a class that stands for a library's: an object of the library's own counts as one of it."""
    return type("Kind", (type(whole),), {"__instancecheck__": lambda cls, instance: isinstance(instance, whole)})


def _patch_numpy(module: ModuleType) -> None:
    found: Any = module
    found.seed = _wrapped(found.seed, "numpy.random.seed", "seed")
    found.default_rng = _wrapped(found.default_rng, "numpy.random.default_rng", "seed")

    class RandomState(found.RandomState, metaclass=_kind(found.RandomState)):  # type: ignore[misc, metaclass]
        def __init__(self, seed: Any = None) -> None:
            super().__init__(replaced("numpy.random.RandomState", seed))

        def seed(self, seed: Any = None) -> None:
            super().seed(replaced("numpy.random.RandomState.seed", seed))

    found.RandomState = RandomState


def _patch_torch(module: ModuleType) -> None:
    found: Any = module
    found.manual_seed = found.random.manual_seed = _wrapped(found.manual_seed, "torch.manual_seed", "seed")
    for name in ("manual_seed", "manual_seed_all"):
        setattr(found.cuda, name, _wrapped(getattr(found.cuda, name), f"torch.cuda.{name}", "seed"))

    class Generator(found.Generator, metaclass=_kind(found.Generator)):  # type: ignore[misc, metaclass]
        def manual_seed(self, seed: int) -> Any:
            return super().manual_seed(replaced("torch.Generator.manual_seed", seed))

    found.Generator = Generator


PATCHES: dict[str, Callable[[ModuleType], None]] = {"numpy.random": _patch_numpy, "torch": _patch_torch}


class _Finder(importlib.abc.MetaPathFinder):
    """Patches a library when the script imports it, and so costs nothing where it does not."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The library's own spec, which patches it once it is there."""
        if name not in PATCHES:
            return None
        patch = PATCHES.pop(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


USAGE = f"{SEED}=SEED python -m ablations.reseed SCRIPT [ARGS ...]"
SUMMARY = (
    "Runs a Python script that seeds with a constant under the seed of a study. What hands a constant to random, numpy "
    "or torch as a seed gets a function of both; a script that seeded nothing has failed."
)
ARGUMENTS = (
    ("SCRIPT", "its path, or -m MODULE"),
    ("ARGS ...", "of the script"),
    (SEED, "the variable that holds the seed of the study, a whole number"),
)
EXAMPLES = ((f"{SEED}=3 python -m ablations.reseed train.py --steps 30", "the third seed of a script without --seed"),)


def main(arguments: Sequence[str]) -> int:
    """Runs the script; the exit code, which is 1 where nothing was seeded."""
    if arguments and arguments[0] in ("-h", "--help"):
        from ablations.cli.help_page import SHOWN, show, written

        show(written(USAGE, SUMMARY, {"arguments": ARGUMENTS, "options": SHOWN}, EXAMPLES))
        return 0
    if not arguments or (arguments[0] == "-m" and len(arguments) < 2) or SEED not in os.environ:
        print(f"usage: {USAGE}, or -m MODULE [ARGS ...]", file=sys.stderr)
        return 2
    sys.meta_path.insert(0, _Finder())
    _patch_random()
    is_module = arguments[0] == "-m"
    script = arguments[1] if is_module else arguments[0]
    sys.argv = [script, *arguments[2 if is_module else 1 :]]
    sys.path[0] = os.getcwd() if is_module else os.path.dirname(os.path.abspath(script))
    if not is_module and not os.path.isfile(script):
        print(f"ablations.reseed: there is no script {script!r}", file=sys.stderr)
        return 2
    code: Any = 0
    try:
        if is_module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    return _told(script) or (0 if code is None else code if isinstance(code, int) else 1)


def _told(script: str) -> int:
    """Says what was seeded; 1 where nothing was."""
    if not seeded:
        print(
            f"ablations.reseed: nothing was seeded: {script} hands no constant to random, numpy or torch, so its seed "
            "cannot be changed from outside",
            file=sys.stderr,
        )
        return 1
    for call, value in list(seeded.items())[:MOST]:
        print(f"ablations.reseed: {call} became {value}", file=sys.stderr)
    if len(seeded) > MOST:
        print(f"ablations.reseed: and {len(seeded) - MOST} more", file=sys.stderr)
    return 0


if __name__ == "__main__":
    from ablations.reseed import main as of_the_module  # the one whose patches keep the list

    sys.exit(of_the_module(sys.argv[1:]))
