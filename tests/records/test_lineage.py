"""Records know the code that decided them: a digest of every definition that some functions reach."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablations.records import lineage
from ablations.records.lineage import digest_of

ENTRIES = (("ablations.train", "training"), ("ablations.train", "evaluate_as"))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], str]]:
    """Writes files under a folder that stands for `ablations`, and gives their digest."""
    monkeypatch.setattr(lineage, "_folder", lambda package: tmp_path / package)
    caches = (lineage._path, lineage._module, digest_of)

    def digest(files: dict[str, str]) -> str:
        for cache in caches:
            cache.cache_clear()
        shutil.rmtree(tmp_path / "ablations", ignore_errors=True)
        for name, text in files.items():
            path = tmp_path / "ablations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return digest_of(ENTRIES)

    yield digest
    for cache in caches:
        cache.cache_clear()


TRAIN = '''"""Trains."""
from ablations.steps import step as one

def training():
    """Twice."""
    return one() + one()

def evaluate_as():
    return RATE

RATE = 0.1
'''
STEPS = """from ablations.models import nets

def step():
    return nets.build()

def unused():
    return 1
"""
NETS = "def build():\n    return 7\n"
TRAIN_PY = "train.py"
FILES = {
    TRAIN_PY: TRAIN,
    "steps.py": STEPS,
    "models/nets.py": NETS,
    "models/__init__.py": "",
}


def test_words_formatting_moves_and_what_training_does_not_reach_leave_the_digest(
    tree: Callable[[dict[str, str]], str],
) -> None:
    before = tree(FILES)
    commented = TRAIN.replace('"""Twice."""', '"""Two."""  # as it was').replace("one() + one()", "(one()\n  + one())")
    assert tree({**FILES, TRAIN_PY: commented}) == before
    assert tree({**FILES, "steps.py": STEPS.replace("return 1", "return 2")}) == before
    assert tree({**FILES, "report.py": "def report():\n    pass\n"}) == before
    moved = {
        TRAIN_PY: TRAIN.replace("ablations.steps", "ablations.moved"),
        "moved.py": STEPS,
        "models/nets.py": NETS,
        "models/__init__.py": "",
    }
    assert tree(moved) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"models/nets.py": NETS.replace("7", "8")},
        {TRAIN_PY: TRAIN.replace("0.1", "0.2")},
        {TRAIN_PY: TRAIN.replace("one() + one()", "one()")},
        {"steps.py": STEPS.replace("nets.build()", "-nets.build()")},
        {"models/norm.c": "int f(void) { return 1; }"},
        {"models/nets.py": NETS + "build.rate = 3\n"},
    ],
)
def test_what_training_reaches_changes_the_digest(
    tree: Callable[[dict[str, str]], str], changed: dict[str, str]
) -> None:
    assert tree({**FILES, **changed}) != tree(FILES)


def test_comments_in_c_leave_the_digest(tree: Callable[[dict[str, str]], str]) -> None:
    plain = tree({**FILES, "models/norm.c": "int f(void) { return 1; }"})
    assert tree({**FILES, "models/norm.c": "/* one */ int f(void)\n{ return 1; } // done"}) == plain
