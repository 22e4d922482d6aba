"""What waits for a GPU is tried here without one, so that a typing error does not cost the quarter of an hour."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ablations.bench.gpu import checks, needs, studies, tape, trainings
from ablations.bench.gpu.__main__ import PARTS, main
from ablations.bench.gpu.part import Row, Run
from ablations.records import store
from ablations.records.files import read_json
from ablations.subjects.alexnet.metrics import setting_of
from ablations.subjects.alexnet.setting import Budget, budget_of
from ablations.subjects.alexnet.training.step import Body

BARE = """
import sys
absent = "tyro platformdirs pydoe ray mlflow scipy statsmodels sklearn matplotlib seaborn tqdm torchvision jinja2"
sys.modules.update(dict.fromkeys(absent.split()))  # as if they were not installed
from ablations.bench.gpu.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_every_part_runs_on_a_bare_machine_without_a_gpu_and_leaves_records(tmp_path: Path, blobs: Path) -> None:
    archive = tmp_path / "images.tar.xz"
    with tarfile.open(archive, "w:xz") as made:
        for split in ("train", "test"):
            made.add(blobs / split, split)
    words = ["--tiny", "--device", "cpu", "--cifar10", str(archive), "--imagenette", str(blobs)]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", BARE, str(tmp_path / "out"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stdout + ran.stderr
    records: dict[str, Any] = {part.name: read_json(tmp_path / "out" / f"{part.name}.json") for part in PARTS}
    assert {name: record["ended"] for name, record in records.items()} == dict.fromkeys(records, "done")
    rows = [row for record in records.values() for row in record["rows"]]
    assert all(row["held"] for row in rows) and sum(row["allowed"] is not None for row in rows) > 30
    missing = {row["said"] for row in rows if row["value"] is None}
    assert missing == {
        "needs CUDA: not run",
        "torchvision is not installed: not run",
        "no trial is the same: the images differ, or were decoded in another way",
    }
    assert "tf32: a convolution, beside double precision: needs CUDA: not run" in ran.stdout
    # Studies that the report reads as any other.
    for name, trainings_of in (
        ("lrn-11pct", 4),
        ("cifar10-factorial", 3),
        ("vision-hist", 1),
        ("vision-hist-vgg16", 1),
    ):
        study, results, problems = store.read(tmp_path / "out" / name)
        assert [one.status for one in results] == ["done"] * trainings_of and problems == []
        assert study.declared and study.setting.data.startswith("folder:") and "/" not in study.setting.data


def test_parts_without_images_say_so_in_a_line_and_the_exit_code_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--parts", "3,imagenette", "--device", "cpu", "--cifar10", str(tmp_path / "none")]) == 3
    said = capsys.readouterr().out
    assert f"lrn: not run: CIFAR-10 is not here ({tmp_path / 'none'}): --cifar10 takes a folder" in said
    assert "imagenette: not run: Imagenette is not here (it was not given)" in said
    assert json.loads((tmp_path / "lrn.json").read_text())["rows"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parts", "sped"], "did you mean 'speed'"),
        (["--minutes", "0"], "--minutes is 0"),
        (["--needs", "nowhere.txt"], "there is no such file"),
        pytest.param(
            ["--device", "cuda"], "torch sees no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_two(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(
        folder=tmp_path,
        device=torch.device("cpu"),
        tiny=True,
        images={},
        cache=tmp_path,
        command="",
        precision="float32",
        seconds=100.0,
    )


def test_a_replay_that_leaves_a_part_of_the_step_out_does_not_hold(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    right = tape.capture

    def forgetful(body: Body, generators: Any) -> Body:
        whole = right(body, generators)
        count = 0

        def replay() -> None:
            nonlocal count
            count += 1
            if count != 3:  # one replay of several is lost
                whole()

        return replay

    name, case = next(iter(checks.cases().items()))
    only = {name: case}
    monkeypatch.setattr(checks, "cases", lambda: only)
    with checks.norms_as_on_a_gpu(run):
        assert [row.held for row in checks.captured_rows(run)] == [True, True]
        # A tape that is the same for both trainings of one seed, and not for the one that is launched anew.
        monkeypatch.setattr(tape, "capture", forgetful)
        assert [row.held for row in checks.captured_rows(run)] == [False, False]


def test_a_value_holds_within_what_is_allowed_and_nan_never_does() -> None:
    held = {value: Row(name="x", value=value, allowed=1.0).held for value in (0.5, 1.0, 1.5, float("nan"))}
    assert [*held.values()] == [True, True, False, False]
    assert Row(name="x", value=1.5, allowed=1.0).line == "x: 1.5, NOT WITHIN 1"
    assert Row(name="x", said="needs CUDA: not run").held


def test_epochs_fill_the_time_and_are_one_at_least() -> None:
    budget = Budget(epochs=520, train_examples=50_000, batch_size=128, image_size=24)  # 391 steps an epoch
    fits = [studies.epochs_that_fit(seconds, budget, a_step=0.001, most=520) for seconds in (0.1, 39.2, 1e6)]
    assert fits == [1, 100, 520]


def test_on_the_images_of_the_committed_factorial_its_own_trials_are_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = store.read_study(trainings.FACTORIAL)
    facts = {name: committed.setting.facts.get(name, 0) for name in ("classes", "train_images", "test_images")}

    def shared(run: Run, images: studies.Images, preset: str, budget: Budget) -> Any:
        return setting_of(preset, budget, dataset="folder:any", fingerprint=committed.setting.fingerprint, facts=facts)

    monkeypatch.setattr(trainings, "setting_for", shared)
    study, seeds = trainings.factorial_of(replace(run, tiny=False), studies.Images(folder=run.folder))
    assert len(seeds) == committed.seeds and {len(trials) for trials in seeds} == {19}
    assert study.keys == committed.keys
    assert budget_of(seeds[0][0].config).epochs == 60


def test_what_another_machine_lacks_is_told_with_its_version_and_all_that_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "there.txt"
    here = needs.installed()
    absent = {"tyro", "typeguard", "docstring-parser", "platformdirs", "pydoe", "ray", "filelock"}
    listed.write_text("Package Version\n------- -------\n" + "\n".join(f"{name} 1.0" for name in sorted(here - absent)))
    assert main(["--needs", str(listed)]) == 0
    said = capsys.readouterr().out.splitlines()
    wanted = [line for line in said if not line.startswith("#")]
    assert {needs.named(line) for line in wanted} == absent
    assert next(line for line in wanted if line.startswith("tyro==")) in Path("constraints.txt").read_text()
    # Those of the script itself come first.
    assert needs.named(said[1]) == "filelock" and "1 missing" in said[0]


def test_what_the_script_says_that_it_needs_is_what_it_loads() -> None:
    code = "import ablations.bench.gpu.checks, ablations.bench.gpu.speed, ablations.bench.gpu.trainings, sys\n"
    ran = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    direct = {"torch", "numpy", "pandas", "PIL", "filelock", "tyro", "scipy", "statsmodels", "matplotlib", "sklearn",
              "ray", "mlflow", "pydoe", "torchvision", "jinja2", "seaborn"}  # fmt: skip
    assert loaded & direct <= {"torch", "numpy", "pandas", "PIL", "filelock"}
    assert {"torch", "PIL", "filelock"} <= loaded
