"""A script that seeds with a constant gives the same numbers under the same seed, and others under another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = {
    "random": "import random\nrandom.seed(5)\nprint(random.random(), random.Random(3).random())",
    "numpy": """import numpy as np
np.random.seed(5)
print(np.random.rand(), np.random.default_rng(seed=2).normal(), np.random.RandomState(2).rand())
assert isinstance(np.random.mtrand._rand, np.random.RandomState)""",
    "torch": """import torch
torch.manual_seed(1337)
print(torch.rand(1).item(), torch.rand(1, generator=torch.Generator().manual_seed(3)).item())
assert isinstance(torch.default_generator, torch.Generator)""",
}


def ran(folder: Path, code: str, seed: int, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(code)
    environment = {**os.environ, "ABLATIONS_SEED": str(seed), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ablations.reseed", *(words or ("script.py",))]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("library", ["random", "numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_constant_becomes_a_function_of_the_seed(tmp_path: Path, library: str) -> None:
    first, again, other = (ran(tmp_path, LIBRARY[library], seed) for seed in (0, 0, 1))
    assert first.returncode == again.returncode == other.returncode == 0, first.stderr
    assert first.stdout == again.stdout
    assert not {*first.stdout.split()} & {*other.stdout.split()}
    assert f"{library}." in first.stderr and "became" in first.stderr


def test_a_script_that_seeds_nothing_has_failed(tmp_path: Path) -> None:
    said = ran(tmp_path, "import random\nrandom.seed()\nrandom.seed(None)\nprint(random.random())", 0)
    assert said.returncode == 1 and "no seed was replaced: script.py passes no constant to random" in said.stderr


def test_what_a_library_seeds_for_itself_is_not_the_scripts(tmp_path: Path) -> None:
    said = ran(tmp_path, "import scipy.stats\nimport sklearn.cluster", 0)  # both draw with constants of their own
    assert said.returncode == 1 and "no seed was replaced" in said.stderr


def test_a_constant_that_goes_through_a_library_counts(tmp_path: Path) -> None:
    code = "from sklearn.utils import check_random_state\nprint(check_random_state(0).rand())"
    first, other = (ran(tmp_path, code, seed) for seed in (0, 1))
    assert first.returncode == 0 and first.stdout != other.stdout


def test_a_module_its_arguments_and_its_exit_code_are_the_scripts_own(tmp_path: Path) -> None:
    code = "import random, sys\nrandom.seed(1)\nprint(sys.argv[1:], __name__)\nsys.exit(4)"
    said = ran(tmp_path, code, 0, "-m", "script", "--x", "1")
    assert (said.returncode, said.stdout) == (4, "['--x', '1'] __main__\n")
    assert ran(tmp_path, "random", 0, "none.py").returncode == 2
