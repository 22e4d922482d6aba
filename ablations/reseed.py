"""python -m ablations.reseed SCRIPT [ARGS]: runs a Python script with constant seeds under the seed of a study.

Each constant c that `random`, numpy or torch gets as a seed is replaced by a function of (ABLATIONS_SEED, c), whether
it comes from the script or from a library that the script calls, such as scikit-learn with `random_state`.  So equal
study seeds give equal draws, and other study seeds give other draws.  Seeds that libraries set while they are imported
stay as they are, and so do those that torch derives from its own draws.  At the end it prints which seeds were
replaced; if none was, the run has failed.

Standard library only, since it runs in the environment of the script.
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
MOST = 20  # most calls that are printed at the end
LARGEST = 2**32  # seeds are below it, as numpy requires
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

seeded: dict[str, int] = {}  # a call with its constant, as text -> the seed that took its place


def derived(constant: Any, seed: str) -> int:
    """Returns the seed, of 32 bits, that takes the place of a constant under the study's seed."""
    digest = hashlib.sha256(f"{seed}/{constant!r}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % LARGEST


def _by_the_script() -> bool:
    """Returns whether the current call comes from the script, and not from a library's import or from torch."""
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
    """Returns the seed that a call gets: derived from `constant` if that is a constant, otherwise unchanged."""
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
    """Returns `function` with its seed replaced: its first argument, or the one that is called `word`."""

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
    """Returns a metaclass for a class that replaces `whole`, so that instances of `whole` count as its instances."""
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
    """Patches a library when the script imports it, so that libraries that it does not use are not imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns the spec of the library, with a loader that patches it after its import."""
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
    "Runs a Python script with constant seeds under the seed of a study. Each constant that random, numpy or torch "
    "gets as a seed is replaced by a function of both; a script without such a seed has failed."
)
ARGUMENTS = (
    ("SCRIPT", "its path, or -m MODULE"),
    ("ARGS ...", "the arguments of the script"),
    (SEED, "the variable that holds the seed of the study, a whole number"),
)
EXAMPLES = ((f"{SEED}=3 python -m ablations.reseed train.py --steps 30", "the third seed of a script without --seed"),)


def main(arguments: Sequence[str]) -> int:
    """Runs the script.  Returns its exit code; 1 if no seed was replaced, 2 if there is no such script."""
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
    """Prints which seeds were replaced.  Returns 1 if none was, otherwise 0."""
    if not seeded:
        print(
            f"ablations.reseed: no seed was replaced: {script} passes no constant to random, numpy or torch as a seed, "
            "so its draws cannot be changed from outside",
            file=sys.stderr,
        )
        return 1
    for call, value in list(seeded.items())[:MOST]:
        print(f"ablations.reseed: {call} became {value}", file=sys.stderr)
    if len(seeded) > MOST:
        print(f"ablations.reseed: and {len(seeded) - MOST} more", file=sys.stderr)
    return 0


if __name__ == "__main__":
    # The patches use the module of this name; __main__ is a second copy of it.
    from ablations.reseed import main as of_the_module

    sys.exit(of_the_module(sys.argv[1:]))
