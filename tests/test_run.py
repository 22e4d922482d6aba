"""The command line, from the words to the report: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ablations.analysis.verdicts import Findings
from ablations.core.study import Allowance
from ablations.planning import cost, time_budget
from ablations.records.measures import UNMEASURED
from ablations.records.store import read, write_study
from ablations.reporting.parts import parts_of
from ablations.run import main
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.subject import SUBJECT
from ablations.subjects.alexnet.version import TRAINING_VERSION
from tests import making
from tests.conftest import hears

PYTHON = [sys.executable, "-m", "ablations.run"]
TINY = ["--epochs", "1", "--train-examples", "64", "--batch-size", "32"]


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """--results and --reports of their own."""
    return ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]


@pytest.fixture
def drawn(blobs: Path, places: list[str]) -> list[str]:
    """A tiny serial study of the blobs, without MLflow."""
    return [*places, *TINY, "--dataset", f"folder:{blobs}", "--image-size", "16", "--executor", "serial", "--no-mlflow"]


@pytest.fixture
def on_blobs(drawn: list[str]) -> list[str]:
    """The same, whose report is tables alone: a page takes longer than the trials."""
    return [*drawn, "--format", "csv"]


def test_help_answers_without_torch_ray_mlflow_or_pandas() -> None:
    code = (
        "import sys; from ablations.run import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'pandas', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--train-examples" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("prepared", "heavy"),
    [
        ("", ("pandas", "scipy", "mlflow", "ray")),
        ("from ablations.execution import ray_executor\n", ("scipy", "mlflow")),  # Ray imports pandas itself
    ],
)
def test_a_study_is_announced_without_what_only_reports_need(
    prepared: str, heavy: tuple[str, ...], drawn: list[str]
) -> None:
    # The data's linear baseline is fitted once, by scipy.
    making.plan_from("--grid", "one_out", *drawn)
    code = (
        f"import sys; from ablations import run\n{prepared}"
        "class Announced(BaseException): pass\n"
        "def stop(*anything): raise Announced\n"
        "run._train = stop\n"
        f"try: run.main({['--grid', 'one_out', *drawn][:-1]!r})\n"
        f"except Announced: print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2].startswith("expected ")
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_study_leaves_its_plan_its_records_a_table_and_two_reports(
    drawn: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "smoke", "--name", "s", *drawn]) == 0
    study, results, problems = read(tmp_path / "results" / "s")
    assert (len(results), problems) == (6, [])
    assert [result.status for result in results] == ["done"] * 6
    assert study.command.startswith("python -m ablations.run --grid smoke")
    assert (tmp_path / "results" / "s" / "table.csv").exists()
    assert "What the network sees" in (tmp_path / "reports" / "s" / "report.html").read_text()
    for name in ("report.html", "report.md"):
        assert "reference" in (tmp_path / "reports" / "s" / name).read_text()
    printed = capsys.readouterr().out
    assert "baseline  test error of guessing 66.7% and of a linear classifier on the raw pixels " in printed
    assert printed.splitlines()[0] == "study     s: 6 variants x 1 seed = 6 trials"
    assert "[6/6]" in printed


def test_a_packed_study_has_the_results_of_one_that_is_not(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--grid", "one_out", "--components", "lrn", "--seeds", "1", *on_blobs]
    assert main(["--name", "packed", "--pack", "4", *asked]) == 0
    assert "pack      4 trials take turns on a core, which finishes no more of them an hour" in capsys.readouterr().out
    assert main(["--name", "plain", *asked]) == 0
    assert "pack " not in capsys.readouterr().out
    (_, packed, _), (_, plain, _) = (read(tmp_path / "results" / name) for name in ("packed", "plain"))
    assert len(packed) == 5
    assert {result.trial.key: result.outcomes for result in packed} == {
        result.trial.key: result.outcomes for result in plain
    }


def test_the_same_command_again_runs_only_what_is_missing(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--grid", "smoke", "--name", "s", *on_blobs]
    assert main(command) == 0
    records = sorted((tmp_path / "results" / "s" / "trials").iterdir())
    times = {path: path.stat().st_mtime_ns for path in records}
    records[0].unlink()
    records[1].write_text("{")
    capsys.readouterr()
    assert main(command) == 0
    printed = capsys.readouterr()
    assert printed.out.count("% test error in") == 2
    assert str(records[1]) in printed.err
    assert [path.stat().st_mtime_ns == times[path] for path in records] == [False, False, True, True, True, True]
    assert records[1].with_suffix(".json.corrupt").read_text() == "{"


def test_more_seeds_run_only_the_new_ones_and_leave_a_trace(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "smoke", "--name", "s", *on_blobs]) == 0
    capsys.readouterr()
    assert main(["--grid", "smoke", "--name", "s", "--seeds", "2", *on_blobs]) == 0
    assert capsys.readouterr().out.count("% test error in") == 6
    study, _, _ = read(tmp_path / "results" / "s")
    assert [(one.records, one.what) for one in study.declared] == [(0, "claims, rule and seeds"), (6, "seeds 1 to 2")]
    assert study.setting.guessing == pytest.approx(200 / 3)  # three classes of twenty images
    assert study.setting.baseline is not None and 0 <= study.setting.baseline < 10  # of a colour each


def test_claims_of_ones_own_are_declared_beside_the_published_ones(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[claim]]\nname = "mine"\ncomponent = "lrn"\nlevel = "off"\nstatement = "Mine."\nmetric = "test_loss"\n'
        'direction = "raises"\nsmallest_effect = 0.1\nreason = "a guess"\n'
    )
    assert main(["--components", "lrn", "--claims", str(path), "--seeds", "1", "--name", "s", *on_blobs]) == 0
    study, _, _ = read(tmp_path / "results" / "s")
    assert [claim.name for claim in study.claims] == ["lrn_imagenet", "lrn_cifar", "mine"]
    assert main(["--components", "dropout", "--claims", str(path), "--name", "t", *on_blobs]) == 2
    assert "is about a change that this study makes: mine." in capsys.readouterr().err


@pytest.mark.usefixtures("sketches")
def test_crops_are_taken_out_of_images_of_the_base_size(drawn: list[str], tmp_path: Path) -> None:
    assert (
        main(["--grid", "reference", "--seeds", "1", "--name", "s", "--base-size", "20", *drawn, "--format", "md"]) == 0
    )
    study, [result], _ = read(tmp_path / "results" / "s")
    budget = budget_of(study.setting.config)
    assert (budget.image_size, budget.base_size) == (16, 20)
    assert budget_of(result.trial.config) == budget
    assert [path.name for path in (tmp_path / "reports" / "s").glob("report.md")] == ["report.md"]
    assert "16 pixels a side out of 20" in (tmp_path / "reports" / "s" / "report.md").read_text()


def test_the_base_size_that_a_preset_has_anyway_changes_no_key(on_blobs: list[str], tmp_path: Path) -> None:
    for name, words in (("usual", []), ("asked", ["--base-size", "16"])):
        assert main(["--grid", "reference", "--seeds", "1", "--name", name, *words, *on_blobs]) == 0
    studies = [read(tmp_path / "results" / name)[0] for name in ("usual", "asked")]
    assert studies[0].keys == studies[1].keys


def test_a_learning_rate_is_that_of_the_reference_and_the_presets_own_changes_no_key(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--components", "lrn", "--name", "s", *on_blobs]
    usual, same, other = (
        making.plan_from(*asked, *words) for words in ([], ["--learning-rate", "0.02"], ["--learning-rate", "0.03"])
    )
    assert usual.study.keys == same.study.keys and not {*usual.study.keys} & {*other.study.keys}
    for plan, rate in ((usual, 0.02), (other, 0.03)):
        assert {spec_of(trial.config).learning_rate for trial in plan.trials} == {rate}
    said = parts_of("alexnet").plan(Findings(study=other.study, results=[]))
    assert "of the preset cifar_small at a learning rate of 0.03 on folder:" in said
    write_study(tmp_path / "results" / "s", usual.study)
    capsys.readouterr()
    assert main([*asked, "--learning-rate", "0.03"]) == 2
    assert "'learning_rate': 0.03" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "epochs", "every"),
    [
        (["--epochs", "3", "--evaluate-every", "2"], 3, 2),
        (["--epochs", "3", "--evaluate-every", "9"], 3, 3),
        (["--epochs", "3", "--evaluate-every", "2", "--threshold", "25", "--stop-at-threshold"], 3, 1),
        (["--budget", "1h", "--evaluate-every", "15"], 40, 15),  # of the epochs that are picked, not of the usual ten
    ],
)
def test_equal_evaluations_have_equal_keys_however_they_were_asked_for(
    words: list[str],
    epochs: int,
    every: int,
    blobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    picked = Allowance(asked="1h", grid="smoke", seeds=1, work=40, seconds=1.0)
    monkeypatch.setattr(time_budget, "spend", lambda request, *rest, **named: (request, picked, None))
    common = ["--grid", "smoke", "--seeds", "1", "--dataset", f"folder:{blobs}", "--image-size", "16"]
    plan = making.plan_from(*words, *common, "--results", str(tmp_path))
    for config in (plan.study.setting.config, *(trial.config for trial in plan.trials)):
        budget = budget_of(config)
        assert (budget.epochs, budget.evaluate_every) == (epochs, every)


def test_a_memory_budget_that_does_nothing_says_so(on_blobs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--grid", "reference", "--memory-budget", "2", *on_blobs]) == 0
    assert "--memory-budget has no effect without a GPU" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [True, False])
def test_a_dry_run_says_how_large_the_weights_are_that_are_to_be_kept(
    asked: bool, on_blobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--grid", "reference", "--seeds", "3", *on_blobs, "--dry-run"]
    assert main([*words, *(["--keep-weights"] if asked else [])]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("weights ")]
    plan = making.plan_from(*words)
    size = 4e-6 * SUBJECT.sizes(plan.study.setting.config, plan.study.setting)["parameters"]
    whole = f"{size:.1f} MB a trial of the reference, {size * len(plan.trials):.1f} MB of all"
    assert said == [f"weights   {whole}; kept of what is trained from now on"] * asked


def test_data_larger_than_the_memory_are_announced(
    on_blobs: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 1)
    assert main(["--dry-run", "--grid", "reference", "--base-size", "20", *on_blobs]) == 0
    printed = capsys.readouterr().out
    assert "cifar_small at 16 px out of 20, " in printed
    assert "of images at 20 px are read from disk through a memory map, more than the" in printed


def test_an_order_for_the_disk_is_announced(on_blobs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--grid", "reference", "--read-window", "32", *on_blobs]) == 0
    assert "epochs take images from everywhere, and shuffle them 32 images at a time" in capsys.readouterr().out


def test_a_dry_run_answers_in_five_lines(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--dry-run", "--seeds", "4", "--components", "dropout,lrn=all", *on_blobs]
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "variants", "trial", "expected", "detects"]
    # Five levels of lrn that change something here, and dropout: seven with the reference, and three controls.
    assert lines[1].startswith("variants  reference, no dropout, no LRN, ")
    assert lines[1].endswith(" and 4 more; 1 more left out")
    assert re.search(r"effects on the test top-1 error above \d+\.\d points, four times in five", lines[4])
    assert not (tmp_path / "results").exists()
    # What is no training counts too: workers that come up, and the report.
    monkeypatch.setattr(cost, "REPORT", 7200.0)
    assert main(asked) == 0
    assert "expected  about 2 h" in capsys.readouterr().out


def test_a_network_too_deep_for_the_images_is_told_which_size_would_do(
    on_blobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place = on_blobs.index("--image-size")
    without = [*on_blobs[:place], *on_blobs[place + 2 :]]
    assert main(["--dry-run", "--preset", "vgg16", "--image-size", "16", *without]) == 2
    said = capsys.readouterr().err
    # Five halvings of 32 pixels leave one.
    assert "image size 16 is too small" in said and "--image-size 32 is the least that it takes" in said


def test_a_dry_run_prints_the_plan_and_trains_nothing(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "pairs", "--components", "width,grouping", "--power", *on_blobs]) == 0
    printed = capsys.readouterr().out
    assert "left out  no grouping of channels + half the width: " in printed
    assert "both rewrite" in printed
    assert "expected  about" in printed
    # The hand count of the reference at 16 pixels: maps 16, 8, 4, 4, 4 and 2x2x32 into fc6.
    weights = 16 * 75 + 32 * 8 * 25 + 48 * 32 * 9 + 48 * 24 * 9 + 32 * 24 * 9 + 128 * 1024 + 1024 * 1024 + 3 * 1024
    biases = 16 + 32 + 48 + 48 + 32 + 1024 + 1024 + 3
    assert f"{weights + biases:,}" in printed
    assert not (tmp_path / "results").exists()


def test_a_dry_run_names_the_cheapest_design_in_options_that_can_be_typed(
    on_blobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "smoke", "--power", *on_blobs]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cheapest: ")]
    options = line.split("here: ")[1].split()
    # Two components at once tell each main effect by two pairs a seed, for two trainings more than one at a time.
    assert options[:3] == ["--grid", "full", "--seeds"] and int(options[3]) > 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--grid", "ful"], "unknown grid 'ful'; did you mean 'full'?"),
        (["--components", "lnr"], "unknown component 'lnr'; did you mean 'lrn'?"),
        (["--components", "activation=tan"], "unknown level of activation 'tan'; did you mean 'tanh'?"),
        (["--preset", "papr"], "unknown preset 'papr'; did you mean 'paper'?"),
        (["--dataset", "cifar11"], "unknown data set 'cifar11'; did you mean 'cifar10'?"),
        (["--executor", "rya"], "unknown executor 'rya'; did you mean 'ray'?"),
        (["--evaluate-on", "tset"], "unknown value of --evaluate-on 'tset'; did you mean 'test'?"),
        (["--seeds", "0"], "--seeds is 0; it must be 1 or more."),
        (["--epochs", "0"], "--epochs is 0; it must be 1 or more."),
        (["--gpus-per-trial", "64"], "--gpus-per-trial 64 is more than the"),
        (["--cpus-per-trial", "4096"], "--cpus-per-trial 4096 is more than the"),
        (["--train-examples", "1000000"], "--train-examples 1000000 is more than the"),
        (["--image-size", "8", "--preset", "paper"], "image size 8 is too small: conv1 reads a 8x8 map"),
        (
            ["--image-size", "40", "--base-size", "31"],
            "crops of 40 pixels do not fit into images of 31 with a border of 2",
        ),
        (["--base-size", "0"], "--base-size is 0; it must be 1 or more."),
        (
            ["--ray-address", "localhost"],
            "--ray-address is 'localhost'; it must be HOST:PORT of a cluster's head, or auto",
        ),
        (["--ray-address", "127.0.0.1:1"], "nothing answers at --ray-address 127.0.0.1:1: Connection refused."),
        (["--ray-address", "host:65536"], "--ray-address is 'host:65536'"),
        (["--ray-address", "ray://127.0.0.1:1"], "--ray-address is 'ray://127.0.0.1:1'"),
        (["--ray-address", "a..b:1"], "nothing answers at --ray-address a..b:1"),
        (["--timeout", "0"], "--timeout is 0; it must be 0.01 minutes or more."),
        (["--timeout", "5", "--executor", "serial"], "--timeout kills workers of Ray, but --executor serial has none;"),
        (["--memory-budget", "-1"], "--memory-budget is -1; it must be 0 GiB or more."),
        (["--dataset", "folder:/nowhere"], "/nowhere"),
        (["--grid", "full", "--components", "lrn=all"], "one level a component, and lrn came with off, paper_formula"),
        (["--grid", "fractional", "--components", "lrn,dropout"], "fractional needs 4 components or more, not 2"),
        (["--resolution", "5"], "--resolution needs --grid fractional, since only a fraction has one."),
        (["--resolution", "5", "--budget", "1h"], "--resolution needs --grid fractional"),
        (["--grid", "fractional", "--resolution", "7"], "--resolution is 7; it is 4, 5 or 6."),
        (["--components", "bias_init"], "bias_init=zero changes nothing in preset cifar_small"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(
    words: list[str], sentence: str, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*places, *TINY, *words]) == 2
    printed = capsys.readouterr()
    (line,) = [line for line in printed.err.splitlines() if not line.startswith("note: ")]  # of TINY, given twice
    assert sentence in line


def test_auto_is_the_ray_that_the_environment_names(
    places: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:1")
    assert main([*places, *TINY, "--ray-address", "auto"]) == 2
    assert "--ray-address is 'ray://127.0.0.1:1'" in capsys.readouterr().err


def test_a_serial_study_asks_no_cluster(on_blobs: list[str]) -> None:
    assert main(["--grid", "smoke", "--dry-run", *on_blobs, "--ray-address", "127.0.0.1:1"]) == 0


def test_a_results_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--results", str(tmp_path / "file" / "results"), "--reports", str(tmp_path)]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err


def test_another_budget_under_the_same_name_is_refused(on_blobs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--grid", "smoke", "--name", "s", *on_blobs]) == 0
    assert main(["--grid", "smoke", "--name", "s", *on_blobs, "--epochs", "2"]) == 2
    assert "choose another --name" in capsys.readouterr().err


Kill = Callable[[int, int], None]
TO_ALL: tuple[Kill, int] = (os.killpg, signal.SIGINT)  # to all of the group, as a terminal does
TO_ONE: tuple[Kill, int] = (os.kill, signal.SIGTERM)  # to the one process that was started
CLOSED: tuple[Kill, int] = (os.kill, signal.SIGHUP)  # its terminal was closed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stops", "words", "trained"),
    [
        # Workers of the toy import no torch, which would take longer than all that is asked here.
        ([("ray", *TO_ALL), ("ray", *TO_ONE)], ["--subject", "tests.toy:SLOWLY", "--seeds", "3"], 15),
        ([("serial", *CLOSED)], [*TINY, "--image-size", "16", "--components", "lrn", "--seeds", "1"], 5),
    ],
    ids=["ray", "serial"],
)
def test_a_stopped_study_ends_cleanly_and_the_same_command_goes_on(
    stops: list[tuple[str, Kill, int]], words: list[str], trained: int, places: list[str], tmp_path: Path
) -> None:
    # One study is stopped in all ways, one after the other: each is the same command that goes on, and another stop.
    command = [*PYTHON, *places, "--name", "s", "--no-mlflow", "--format", "csv", *words, "--executor"]
    trials = tmp_path / "results" / "s" / "trials"
    kept: dict[Path, str] = {}

    def done() -> dict[Path, str]:
        """Each record with when its training began: what it was measured to be may be added to it."""
        records = {path: json.loads(path.read_text()) for path in trials.glob("*.json")}
        assert {record["status"] for record in records.values()} <= {"done"}
        return {path: record["provenance"]["started"] for path, record in records.items()}

    for executor, kill, number in stops:
        errors = stopped([*command, executor], kill, number, trials)
        assert "stopped; the same command goes on where it was" in errors
        assert "Traceback" not in errors
        before, kept = kept, done()
        assert len(before) < len(kept) < trained and kept.items() >= before.items()  # nothing is trained twice
    # A reference that was stopped while its activities were measured is measured now, without another training.
    unmeasured = sum(UNMEASURED in json.loads(path.read_text())["notes"] for path in kept)
    again = subprocess.run([*command, "serial"], capture_output=True, text=True, check=True)
    assert len(re.findall(r"% test (?:error|accuracy) in ", again.stdout)) == trained - len(kept) + unmeasured
    assert f"[{trained}/{trained}]" in again.stdout
    assert len(done()) == trained and done().items() >= kept.items()


def stopped(command: list[str], kill: Kill, number: int, trials: Path) -> str:
    """What the command says of it that it is stopped by the signal `number` once there is one more record."""
    before = len(list(trials.glob("*.json")))
    running = subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=hears(number),  # noqa: PLW1509
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(12_000):
        if running.poll() is not None or len(list(trials.glob("*.json"))) > before:
            break
        time.sleep(0.05)
    kill(running.pid, number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    return errors


@pytest.mark.slow
def test_the_full_grid_runs_64_variants_through_ray_without_a_failure(
    places: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "full", "--seeds", "1", "--name", "full", "--image-size", "16", *places, *TINY]) == 0
    assert "fashion-mnist-small" in capsys.readouterr().out  # the embedded data
    _, results, _ = read(tmp_path / "results" / "full")
    headline = [
        result
        for result in results
        if not {"mild_sabotage", "placebo", "sabotage"} & dict(result.trial.variant.departures).keys()
    ]
    assert len({result.trial.variant for result in headline}) == 64
    assert {result.status for result in results} == {"done"}
    assert (tmp_path / "reports" / "full" / "report.html").stat().st_size < 5e6
    assert (tmp_path / "results" / "mlflow.db").exists()


def test_a_time_budget_is_spent_once_and_the_same_command_goes_on_with_the_same_choice(
    on_blobs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--budget", "45s", "--seeds", "2", "--components", "lrn", *on_blobs]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "budget    45s: one_out, 2 seeds, 1 epoch; about " in printed and "given up  " in printed
    (folder,) = (path for path in (tmp_path / "results").iterdir() if path.name.startswith("budget-45s-"))
    chosen = read(folder)[0].allowance
    assert chosen and chosen.seconds < 45 and chosen.work == read(folder)[0].setting.work
    next((folder / "trials").iterdir()).unlink()
    monkeypatch.setattr("ablations.planning.time_budget.choose", None)  # asked again, it could choose otherwise
    assert main(command) == 0
    assert capsys.readouterr().out.count("% test error in") == 1
    assert read(folder)[0].allowance == chosen


@pytest.mark.usefixtures("sketches")
def test_a_sequential_study_goes_from_look_to_look_and_says_what_each_settled(
    drawn: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = ["--seeds", "4", "--sequential", "--looks", "2,4", "--components", "lrn", "--name", "s"]
    assert main([*looks, *drawn, "--format", "md"]) == 0
    printed = capsys.readouterr().out
    assert "study     s: 5 variants x 4 seeds: now 10 trials by the next look" in printed
    assert (
        "[10/10]" in printed
        and "look 1 of 2, after 2 seeds: nothing is settled by it; 2 claims open; on to 4 s" in printed
    )
    assert "[20/20]" in printed and "look 2 of 2, after 4 seeds: " in printed
    study, results, _ = read(tmp_path / "results" / "s")
    assert study.rule.looks == (2, 4) and len(results) == len(study.keys) == 20
    assert "How the seeds were planned" in (tmp_path / "reports" / "s" / "report.md").read_text()
    assert main([*looks[:2], *looks[5:], *drawn]) == 2
    assert "was declared with looks after 2 and 4 seeds" in capsys.readouterr().err


def test_a_study_of_an_older_training_version_is_not_extended_but_trained_again(
    on_blobs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--grid", "smoke", "--name", "s", *on_blobs]
    with monkeypatch.context() as older:
        older.setattr("ablations.subjects.alexnet.subject.AlexNet.version", TRAINING_VERSION - 1)
        assert main(command) == 0
    capsys.readouterr()
    assert main(command) == 0  # there is nothing to train: the report may be written again
    trials = tmp_path / "results" / "s" / "trials"
    before = {path: path.read_bytes() for path in trials.iterdir()}
    capsys.readouterr()
    assert main([*command, "--seeds", "2"]) == 2
    refused = capsys.readouterr()
    assert "6 trials that version 1" in refused.err and "--retrain" in refused.err and "--name" in refused.err
    assert {path: path.read_bytes() for path in trials.iterdir()} == before

    assert main([*command, "--seeds", "2", "--retrain"]) == 0
    assert capsys.readouterr().out.count("% test error in") == 12
    assert {result.training_version for result in read(tmp_path / "results" / "s")[1]} == {TRAINING_VERSION}
    for path, content in before.items():
        assert path.with_suffix(f".json.version-{TRAINING_VERSION - 1}").read_bytes() == content
    assert main([*command, "--seeds", "3", "--retrain"]) == 0  # what this version trained stays
    assert capsys.readouterr().out.count("% test error in") == 6


@pytest.mark.usefixtures("sketches")
def test_other_sources_of_the_same_training_version_are_said_before_training_and_in_the_report(
    drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--grid", "smoke", "--name", "s", *drawn, "--format", "md"]
    with monkeypatch.context() as other:
        other.setattr("ablations.subjects.alexnet.subject.training_digest", lambda: "0123456789abcdef")
        assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("other code: 6 finished trials") < printed.index("% test error in")
    report = (tmp_path / "reports" / "s" / "report.md").read_text()
    assert "0123456789abcdef" in report
