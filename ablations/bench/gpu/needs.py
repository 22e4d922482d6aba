"""Lists the packages that a machine lacks, with the tested versions, so that wheels can be carried there."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = ("torch", "numpy", "pandas", "pillow", "filelock")  # packages that `python -m ablations.bench.gpu` imports
APART = ("ray", "mlflow")  # large packages that --executor serial --no-mlflow does without
GROUPS = {
    "python -m ablations.bench.gpu": HERE,
    "commands and reports, with --executor serial --no-mlflow": (),
    "Ray and MLflow": APART,
}


def canonical(name: str) -> str:
    """Returns the name of a package in the form of https://peps.python.org/pep-0503/, in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    """Returns the canonical name in `ray[tune]>=2.60`, or in a line of `pip list` or `pip freeze`; "" if none."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return canonical(found[1].rstrip("-._")) if found else ""


def installed() -> set[str]:
    """Returns the canonical names of the packages that are installed here."""
    return {canonical(one.metadata["Name"]) for one in importlib.metadata.distributions() if one.metadata["Name"]}


def listed_in(text: str) -> set[str]:
    """Returns the canonical names in the output of `pip list` or `pip freeze`, or between commas."""
    lines = [
        word for line in text.splitlines() if not line.lstrip().startswith(("#", "---")) for word in line.split(",")
    ]
    return {named(line) for line in lines} - {"", "package"}


def needs(there: set[str]) -> dict[str, list[str]]:
    """Returns what a machine with the packages `there` lacks, as `NAME==VERSION` for each of the `GROUPS`.

    The lists include dependencies, as far as they are installed here.
    """
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    direct = [named(one) for one in asked]
    extras = {named(one): re.findall(r"[\w-]+", one.partition("[")[2].partition("]")[0]) for one in asked}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    versions = {named(line): line.strip() for line in lines if "==" in line}
    groups = {
        name: [one for one in direct if one in some] if some else [one for one in direct if one not in {*HERE, *APART}]
        for name, some in GROUPS.items()
    }
    found: dict[str, list[str]] = {}
    told: set[str] = set()
    for group, names in groups.items():
        lacking = sorted(_with_theirs(names, extras) - there - told)
        told |= {*lacking}
        found[group] = [versions.get(name, name) for name in lacking]
    return found


def _with_theirs(names: Iterable[str], extras: Mapping[str, Sequence[str]]) -> set[str]:
    """Returns `names`, with their `extras`, and all of their dependencies that are known here."""
    known = {canonical(one.metadata["Name"]): one.requires or [] for one in importlib.metadata.distributions()}
    found, waiting = set[str](), [*names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [named(one) for one in known.get(name, []) if _wanted(one, extras.get(name, ()))]
    return found


def _wanted(requirement: str, extras: Sequence[str]) -> bool:
    """Returns whether a package with these extras needs `requirement` on a machine like this."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(requirement).marker
    except InvalidRequirement:
        return True
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def lines(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the lines of a requirements file: a comment for each group, and a line for each package."""
    made: list[str] = []
    for group, some in found.items():
        made += [f"# {group}: {'nothing is missing' if not some else f'{len(some)} missing'}", *some]
    return [*made, "# save this, and: pip download --no-deps --only-binary=:all: -d wheels -r THIS_FILE"]
