"""Who imports what, seen in fresh interpreters: a check in this process would depend on the order of the tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Who may import whom, of ours: room -> rooms.  Commands, directly under `ablations/`, wire rooms together.
MAY = {
    "core": set[str](),
    "records": {"core"},
    "analysis": {"core", "records"},
    "execution": {"core", "records"},
    "planning": {"core", "records", "analysis"},
    "reporting": {"core", "records", "analysis"},
    "tracking": {"core", "records", "analysis"},
    "calibration": {"core", "analysis", "planning"},
    "cli": {"core", "records", "analysis", "planning", "reporting"},
    "models": set[str](),
    "subjects": {"core", "records", "models", "subjects/report"},
    "subjects/report": {"core", "records", "models", "subjects", "analysis", "reporting"},
}
PUBLIC = ("ablations", "ablations.subject")  # what any study file imports
LARGE = {  # library -> the rooms and files that may import it
    "torch": {"models", "subjects", "bench"},
    "torchvision": {"subjects", "bench"},
    "pandas": {"analysis", "calibration", "reporting", "subjects/report", "bench"},
    "scipy": {"analysis", "calibration", "reporting", "subjects/report", "subjects", "bench"},
    "matplotlib": {"reporting", "subjects/report", "bench"},
    "tyro": {"cli", "command", "subjects", "bench"},
}
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


def room_of(module: str) -> str:
    """The room that a module of ours lies in; `command` for those directly under `ablations/`."""
    _, *parts = module.split(".")
    if len(parts) > 2 and parts[0] == "subjects" and "report" in parts[2:]:
        return "subjects/report"
    return parts[0] if parts and (ROOT / "ablations" / parts[0]).is_dir() else "command"


def modules() -> dict[str, Path]:
    """Every module of ours by its name."""
    found = {}
    for top, prefix in (("ablations", ()), ("models", ("ablations",))):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = (*prefix, *path.relative_to(ROOT).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, wherever in the file, for type checking alone too."""
    known, found = modules(), {}
    for name, path in known.items():
        found[name] = set[str]()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = (f"{node.module}.{alias.name}" for alias in node.names)
                found[name] |= {one if one in known else node.module for one in whole} & known.keys()
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & known.keys()
        found[name].discard(name)
    return found


def test_rooms_import_only_the_rooms_that_they_may() -> None:
    wrong = [
        f"{one} -> {other}"
        for one, others in arrows().items()
        for other in others
        if (room := room_of(one)) in MAY and room_of(other) not in {*MAY[room], room} and other not in PUBLIC
    ]
    assert wrong == []
    assert {room_of(name) for name in modules()} == {*MAY, "command", "bench"}


def test_no_two_modules_import_each_other_however_far_around() -> None:
    graph, circles = arrows(), []
    reached = {name: _reached(graph, name) for name in graph}
    for name, others in reached.items():
        circles += [(name, other) for other in others if name < other and name in reached[other]]
    assert circles == []


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_commands_name_no_subject_and_nothing_imports_the_bench() -> None:
    graph = arrows()
    users = {"ablations.registry", "ablations.types"}  # what files of users' own components import
    named = {one for one, others in graph.items() if room_of(one) == "command" and one not in users
             and any(room_of(other).startswith(("subjects", "models")) for other in others)}  # fmt: skip
    assert named == set()
    benched = {one for one, others in graph.items() for other in others if room_of(other) == "bench"}
    assert {room_of(one) for one in benched} <= {"bench"}


ENGINE = """
import importlib, importlib.abc, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")
        ours = top[:2] in (["ablations", "subjects"], ["ablations", "models"])
        if ours or top[0] in ("torch", "torchvision", "ray", "mlflow"):
            raise ImportError(f"{name} is refused")

sys.meta_path.insert(0, Refused())
for name in NAMES:
    importlib.import_module(name)
"""


def test_the_engine_is_imported_without_torch_and_without_any_subject() -> None:
    apart = {"ablations.execution.ray_executor", "ablations.execution.ray_cluster", "ablations.tracking.mlflow_view"}
    users = {"ablations.registry", "ablations.types"}
    names = [
        name
        for name in modules()
        if room_of(name) not in ("subjects", "subjects/report", "models", "bench") and name not in {*apart, *users}
    ]
    assert len(names) > 80
    loaded = loaded_after(ENGINE.replace("NAMES", repr(names)))
    assert not loaded & {"torch", "ray", "mlflow"}


@pytest.mark.parametrize("module", ["ablations.planning.plan", "ablations.show", "ablations.cli.options"])
def test_planning_imports_no_large_library(module: str) -> None:
    large = {"torch", "numpy", "pandas", "ray", "mlflow", "seaborn", "matplotlib", "scipy", "torchvision"}
    assert not loaded_after(f"import {module}") & large


@pytest.mark.parametrize(("library", "rooms"), LARGE.items())
def test_a_large_library_stays_in_its_rooms(library: str, rooms: set[str]) -> None:
    assert {room_of(name) for name, path in modules().items() if library in imports_of(path)} <= rooms


def test_loading_every_component_imports_no_torch() -> None:
    assert "torch" not in loaded_after(
        "from ablations.subjects.alexnet.registry import components; assert components()"
    )


def test_training_needs_torch_and_numpy_only() -> None:
    others = {"ray", "mlflow", "seaborn", "matplotlib", "pandas", "torchvision", "scipy", "statsmodels", "tyro"}
    others |= COMPILER
    warm = "from ablations.core.load import load; load('alexnet').warm()"
    loaded = loaded_after(f"import ablations.execution.worker, ablations.execution.executor; {warm}")
    assert "torch" in loaded
    assert not loaded & others


def test_a_view_that_waits_for_its_opening_imports_no_mlflow() -> None:
    assert "mlflow" not in loaded_after("from ablations.tracking.background import View")


TRAINING = """
from dataclasses import replace
from ablations.bench.contenders import data_of
from ablations.bench.worker import Task
from ablations.subjects.alexnet.training.train import train
from ablations.subjects.alexnet.setting import Budget
from ablations.models.presets import PRESETS
spec = PRESETS["cifar_small"].spec
for spec in (spec, replace(spec, optimizer="adam"), PRESETS["cuda_convnet_18pct"].spec):
    task = Task(contender="one", net="cifar_small", image_size=32, batch_size=4, folder="", images=8, threads=1)
    budget = Budget(epochs=2, train_examples=8, batch_size=4, image_size=32)
    train(spec, seed=0, budget=budget, data=data_of(task))
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
        ("mlflow", "ablations/subjects/script/mlflow_store.py ablations/tracking/mlflow_view.py"),
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


def test_the_ground_plan_has_a_line_for_every_file() -> None:
    text = (ROOT / "ablations" / "README.md").read_text()
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    for path in sorted((ROOT / "ablations").rglob("*.py")):
        folder = path.parent.relative_to(ROOT / "ablations").as_posix()
        if path.stem == "__init__" or folder.endswith(("components", "embedded")):
            continue
        assert f"| `{path.name}` |" in sections["The commands" if folder == "." else folder], path
