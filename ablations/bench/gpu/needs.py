"""Which distributions a machine lacks, with the versions that the tests ran with: wheels can be carried there."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = ("torch", "numpy", "pandas", "pillow", "filelock")  # that `python -m ablations.bench.gpu` imports
APART = ("ray", "mlflow")  # large, and left out by --executor serial --no-mlflow
GROUPS = {
    "python -m ablations.bench.gpu": HERE,
    "commands and reports, with --executor serial --no-mlflow": (),
    "Ray and MLflow": APART,
}


def canonical(name: str) -> str:
    """A distribution's name as https://peps.python.org/pep-0503/ compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    """The canonical name in `ray[tune]>=2.60`, or in a line of `pip list` or `pip freeze`."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return canonical(found[1].rstrip("-._")) if found else ""


def installed() -> set[str]:
    """The canonical names of what this interpreter has."""
    return {canonical(one.metadata["Name"]) for one in importlib.metadata.distributions() if one.metadata["Name"]}


def listed_in(text: str) -> set[str]:
    """The canonical names in the output of `pip list` or `pip freeze`, or in names with commas between them."""
    lines = [
        word for line in text.splitlines() if not line.lstrip().startswith(("#", "---")) for word in line.split(",")
    ]
    return {named(line) for line in lines} - {"", "package"}


def needs(there: set[str]) -> dict[str, list[str]]:
    """What a machine with these distributions lacks of each group: `NAME==VERSION`, with all that they need in turn.

    What they need in turn is known of those that are installed here.
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
    """`names` with their `extras`, and everything that they need, as far as this interpreter knows."""
    known = {canonical(one.metadata["Name"]): one.requires or [] for one in importlib.metadata.distributions()}
    found, waiting = set[str](), [*names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [named(one) for one in known.get(name, []) if _wanted(one, extras.get(name, ()))]
    return found


def _wanted(requirement: str, extras: Sequence[str]) -> bool:
    """Whether a distribution with these extras needs it on a machine like this."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(requirement).marker
    except InvalidRequirement:
        return True
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def lines(found: Mapping[str, Sequence[str]]) -> list[str]:
    """A file of requirements: a comment a group, a line a distribution."""
    made: list[str] = []
    for group, some in found.items():
        made += [f"# {group}: {'nothing is missing' if not some else f'{len(some)} missing'}", *some]
    return [*made, "# save this, and: pip download --no-deps --only-binary=:all: -d wheels -r THIS_FILE"]
