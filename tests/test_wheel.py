"""The wheel works beside other people's code, half of which has a `models.py` or a folder `models`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RAN = """
import ablations, ablations.models.spec, pathlib, sys
assert pathlib.Path(ablations.__file__).is_relative_to(sys.argv.pop(1)), ablations.__file__
from ablations.run import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_one_top_level_name_and_everything_that_is_read_at_run_time(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"ablations"}
    needed = ("models/response_norm.c", "models/presets/alexnet.py", "reporting/templates/report.html.j2")
    data = ("data/embedded/t10k-images-idx3-ubyte.bz2", "published/krizhevsky2012.toml", "components/lrn.py")
    wanted = {f"ablations/{name}" for name in needed} | {f"ablations/subjects/alexnet/{name}" for name in data}
    assert wanted <= {*names}
    ours = {f"{path.relative_to(ROOT)}" for path in (ROOT / "ablations").rglob("*.py")}
    ours |= {f"ablations/{path.relative_to(ROOT)}" for path in (ROOT / "models").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == ours


@pytest.mark.slow
def test_a_study_runs_from_a_folder_with_a_models_file_of_its_own(wheel: Path, tmp_path: Path) -> None:
    site, mine = tmp_path / "site", tmp_path / "mine"
    zipfile.ZipFile(wheel).extractall(site)
    mine.mkdir()
    (mine / "models.py").write_text("raise RuntimeError('somebody else looked into my models')\n")
    (mine / "utils").mkdir()
    words = ["--grid", "reference", "--seeds", "1", "--epochs", "1", "--train-examples", "100"]
    words += ["--executor", "serial", "--no-mlflow"]
    ran = subprocess.run(
        [sys.executable, "-c", RAN, str(site), *words],
        cwd=mine,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert len([*(mine / "results").glob("*/trials/*.json")]) == 1
    assert len([*(mine / "reports").glob("*/report.html")]) == 1
