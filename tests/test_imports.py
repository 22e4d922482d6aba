"""Who imports what, seen in fresh interpreters: a check in this process would depend on the order of the tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLANNING = [
    "ablations.bench.__main__",
    "ablations.records.claims",
    "ablations.planning.grids",
    "ablations.core.errors",
    "ablations.planning.study",
    "ablations.subjects.alexnet.registry",
    "ablations.show",
    "ablations.core.study",
    "ablations.models.layout",
    "ablations.models.presets",
    "ablations.models.spec",
]
MODELS = sorted(
    ".".join(("ablations", *path.relative_to(ROOT).with_suffix("").parts))
    for path in (ROOT / "models").rglob("*.py")
    if path.stem != "__init__"
)


COMPILER = {"sympy", "torch._dynamo", "torch._inductor"}  # of torch, which `import torch` leaves out


@cache
def loaded_after(code: str) -> frozenset[str]:
    """The top-level names and the modules of ours that a fresh interpreter has loaded after `code`."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    modules = ran.stdout.split()
    return frozenset(modules) | {module.partition(".")[0] for module in modules}


def test_models_import_nothing_of_ablations() -> None:
    # All of them in one interpreter, which has loaded what any of them loads.
    loaded = loaded_after(f"import {', '.join(MODELS)}")
    ours = {name for name in loaded if name.partition(".")[0] == "ablations"}
    assert {*MODELS} <= ours
    assert not [
        name
        for name in ours
        if name not in ("ablations", "ablations.models") and not name.startswith("ablations.models.")
    ]


@pytest.mark.parametrize("module", PLANNING)
def test_planning_imports_no_torch_and_no_other_large_library(module: str) -> None:
    large = {"torch", "numpy", "pandas", "ray", "mlflow", "seaborn", "matplotlib", "scipy", "torchvision"}
    assert not loaded_after(f"import {module}") & large


def test_loading_every_component_imports_no_torch() -> None:
    assert "torch" not in loaded_after(
        "from ablations.subjects.alexnet.registry import components; assert components()"
    )


def test_training_needs_torch_and_numpy_only() -> None:
    others = {"ray", "mlflow", "seaborn", "matplotlib", "pandas", "torchvision", "scipy", "statsmodels", "tyro"}
    others |= COMPILER
    alexnet = "ablations.subjects.alexnet"
    loaded = loaded_after(
        f"import {alexnet}.training.train, {alexnet}.activity, ablations.execution.worker, ablations.execution.executor"
    )
    assert "torch" in loaded
    assert not loaded & others


def test_a_view_that_waits_for_its_opening_imports_no_mlflow() -> None:
    assert "mlflow" not in loaded_after("from ablations.tracking.background import View")


TRAINING = """
from ablations.bench.contenders import data_of
from ablations.bench.worker import Task
from ablations.subjects.alexnet.training.train import train
from ablations.subjects.alexnet.setting import Budget
from ablations.models.presets import PRESETS
for preset in ("cifar_small", "cuda_convnet_18pct"):
    task = Task(contender="one", net=preset, image_size=32, batch_size=4, folder="", images=8, threads=1)
    budget = Budget(epochs=2, train_examples=8, batch_size=4, image_size=32)
    train(PRESETS[preset].spec, seed=0, budget=budget, data=data_of(task))
"""


def test_a_training_imports_no_compiler() -> None:
    loaded = loaded_after(TRAINING)
    assert "torch" in loaded
    assert not loaded & COMPILER


@cache
def imports_of(path: Path) -> set[str]:
    """The top-level names that a file imports, wherever in the file, but for type checking alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("ray", "ablations/execution/ray_executor.py ablations/execution/ray_cluster.py"),
        ("mlflow", "ablations/tracking/mlflow_view.py"),
        ("seaborn", "ablations/reporting/figures/effects.py"),
        ("jax", "ablations/bench/jax_loop.py"),
    ],
)
def test_a_large_library_has_its_owners(library: str, owners: str) -> None:
    files = [path for folder in ("ablations", "models") for path in (ROOT / folder).rglob("*.py")]
    users = {path.relative_to(ROOT).as_posix() for path in files if library in imports_of(path)}
    assert users == {*owners.split()}


def test_nothing_is_unpickled() -> None:
    files = [path for folder in ("ablations", "models") for path in (ROOT / folder).rglob("*.py")]
    picklers = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    assert not {path.name for path in files if imports_of(path) & picklers}
    assert not {path.name for path in files if "torch.load(" in path.read_text()}


def test_no_module_is_much_longer_than_three_hundred_lines() -> None:
    files = [path for folder in ("ablations", "models") for path in (ROOT / folder).rglob("*.py")]
    assert {path.name: count for path in files if (count := len(path.read_text().splitlines())) > 350} == {}
