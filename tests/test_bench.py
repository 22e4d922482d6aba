"""The benchmark: that all contenders do the same work, and that its arithmetic and its protocol are right."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from ablations.bench import plain, same_work, summary
from ablations.bench.__main__ import main
from ablations.bench.contenders import data_of
from ablations.bench.overhead import marks
from ablations.bench.rounds import Contender, ContenderError, descendants, others_seconds
from ablations.bench.task import Clock, Task
from ablations.models.layout import layout
from ablations.models.presets import PRESETS
from ablations.models.response_norm import ResponseNorm
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import split_examples
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import start

TASK = Task(contender="one", net="cifar_small", image_size=32, batch_size=8, folder="", images=40, threads=1)


@pytest.mark.parametrize("net", ["cifar_small", "cuda_convnet_18pct", "paper"])
def test_the_plain_network_computes_what_ours_does_with_torchs_own_parts(net: str) -> None:
    size = 67 if net == "paper" else 32
    data = data_of(replace(TASK, net=net, image_size=size))
    spec = replace(PRESETS[net].spec, dropout_rescale="train")  # as torch's own
    budget = Budget(epochs=1, train_examples=8, batch_size=4, image_size=size)
    ours = start(spec, seed=0, budget=budget, data=data, device=CPU).eval()
    theirs = plain.network(spec, data, size).eval()
    theirs.load_state_dict(ours.state_dict())
    images = 50 * torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(images), ours(images), rtol=1e-4, atol=1e-4)
    assert any(isinstance(layer, ResponseNorm) for layer in ours.modules())
    assert not any(isinstance(layer, ResponseNorm) for layer in theirs.modules())
    assert any(isinstance(layer, nn.LocalResponseNorm) for layer in theirs.modules()) == (net != "cuda_convnet_18pct")


@pytest.mark.parametrize("net", ["cifar_small", "cuda_convnet_18pct"])
def test_all_loops_follow_the_same_losses_and_another_rate_does_not(
    data: Data, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # JAX stays out of this process
    found = same_work.differences(PRESETS[net].spec, data, image_size=16, batch_size=8, steps=20)
    assert found.keys() == {"difference", "of_a_wrong_rate"}
    for name, difference in found.items():
        assert isinstance(difference, float) and isinstance(found["of_a_wrong_rate"], float)
        if name != "of_a_wrong_rate":
            assert summary.SEEN * difference <= found["of_a_wrong_rate"], name
            assert difference <= summary.TOLERANCE


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX, 380 MB, comes with the extra `bench`")
def test_jax_does_the_same_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/in_jax.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_losses_that_are_no_numbers_are_apart() -> None:
    assert math.isnan(same_work.apart([1.0, math.nan, 1.0], [1.0, 1.0, 1.0]))
    assert same_work.apart([1.0, 4.2], [0.9, 4.0]) == pytest.approx(0.1)  # relative above 1


@pytest.mark.parametrize("tensors", [False, True])
def test_the_plain_pipeline_reads_the_same_pixels_as_ours(data: Data, tensors: bool) -> None:
    spec = replace(PRESETS["cifar"].spec, random_crop=False, flip=False, pca_jitter=0.0, crop_pad=0)
    budget = Budget(epochs=1, train_examples=90, batch_size=32, image_size=16)
    training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=CPU)
    images = plain.Images(data.train, plain.transform(spec, data, 16, tensors=tensors), tensors=tensors)
    for index in (0, 40):
        pixels, label = images[index]
        torch.testing.assert_close(pixels, training.plain(torch.tensor([index]))[0], rtol=1e-4, atol=1e-4)
        assert label == int(data.train.labels[index])


def test_the_arithmetic_of_training_is_counted_by_hand_for_groups_too() -> None:
    layers = layout(PRESETS["cifar"].spec, num_classes=10, image_size=32)
    maps = (32 * 32, 16 * 16, 8 * 8, 8 * 8, 8 * 8)
    weights = (48 * 3 * 25, 128 * 24 * 25, 192 * 128 * 9, 192 * 96 * 9, 128 * 96 * 9)
    forward = sum(m * w for m, w in zip(maps, weights, strict=True)) + 2048 * 2048 + 2048 * 2048 + 2048 * 10
    assert summary.training_operations(layers) == 2 * (3 * forward - 1024 * weights[0])


def record(difference: float = 1e-7, of_a_wrong_rate: float = 1e-2, jax: float = 1e-7) -> dict[str, object]:
    """Three rounds of one network, of which others disturbed the last."""
    rates = [{"plain": 100.0, "jax": 110.0, "one": 220.0, "harness": 300.0, "floor": 230.0, "gemm": 50.0}]
    rates += [{"plain": 50.0, "jax": 50.0, "one": 100.0, "harness": 160.0, "floor": 110.0, "gemm": 25.0}]
    rates += [dict.fromkeys(rates[0], 1.0)]
    return {
        "image_size": 32,
        "batch_size": 128,
        "data": "random bytes",
        "seconds": 1.0,
        "most_percent": 10.0,
        "images_a_trial": 250_000,
        "training_operations_per_image": 10**8,
        "difference": difference,
        "of_a_wrong_rate": of_a_wrong_rate,
        "jax_difference": jax,
        "contenders": {
            name: {"peak_memory_mib": 700.0, "start_seconds": 9.0, "loader_workers": 0}
            for name in ("plain", "jax", "one", "harness", "floor")
        },
        "rounds": [
            {"done_per_second": row, "others_percent": others} for row, others in zip(rates, (2, 10, 11), strict=True)
        ],
    }


def test_ratios_are_taken_within_quiet_rounds() -> None:
    net = record()
    assert [*summary.ratio(net, "one", "plain")] == [pytest.approx(2.1), 2.0, 2.2]
    assert [*summary.rate(net, "plain")] == [75.0, 50.0, 100.0]
    assert summary.limit_share(net, "harness").low == pytest.approx(300 * 0.1 / 50)
    assert summary.trials_per_hour(100.0, images=250_000) == pytest.approx(1.44)
    text = summary.table("cifar", net)
    assert "2 rounds of 1 s a contender, 1 dropped" in text
    assert "2.10 [2.00..2.20]" in text
    assert "ours, one trial: 2.10 [2.00..2.20] plain PyTorch; 2.00 [2.00..2.00] JAX" in text
    # One panel's bars, in the order of the contenders.
    assert [bar.contender for bar in summary.bars({"nets": {"cifar": net}})] == [
        "plain PyTorch", "JAX", "ours, one trial", "ours, as studies run", "floor: one constant batch",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "of_a_wrong_rate"),
    [(2e-4, 1e-2), (float("nan"), 1e-2), (float("inf"), 1e-2), (2e-7, 9e-7), (1e-7, float("nan"))],
)
def test_rows_of_ours_are_void_when_it_does_other_work_or_nobody_can_tell(
    difference: float, of_a_wrong_rate: float
) -> None:
    net = record(difference, of_a_wrong_rate)
    text = summary.table("cifar", net)
    told = of_a_wrong_rate > 1e-6  # ten times the difference of JAX
    assert "VOID: ours" in text and ("VOID: JAX" in text) == (not told)
    assert text.count("void") == (2 if told else 3) and "2.10" not in text
    assert {bar.ours for bar in summary.bars({"nets": {"cifar": net}})} == {False}


def test_a_void_row_of_jax_leaves_ours_as_it_is() -> None:
    net = record(jax=2e-4)
    text = summary.table("cifar", net)
    assert "VOID: JAX" in text and "VOID: ours" not in text and text.count("void") == 1
    assert "2.10 [2.00..2.20] plain PyTorch\n" in text
    assert "JAX" not in {bar.contender for bar in summary.bars({"nets": {"cifar": net}})}
    assert summary.voids(net) == ["jax"]


@pytest.mark.parametrize("path", sorted(Path("results/bench").glob("[er]*.json")), ids=lambda path: path.stem)
def test_every_record_that_was_kept_can_be_drawn(path: Path) -> None:
    kept = json.loads(path.read_text())
    assert {bar.contender for bar in summary.bars(kept)} >= {"plain PyTorch", "ours, as studies run"}


def test_growth_is_looked_at_after_powers_of_ten_and_the_last_trial() -> None:
    assert marks(2) == [2] and marks(100) == [10, 100] and marks(2000) == [10, 100, 1000, 2000]


def test_without_a_quiet_round_nothing_is_said() -> None:
    net = {**record(), "most_percent": 1.0}
    assert "nothing can be said" in summary.table("cifar", net)
    assert summary.bars({"nets": {"cifar": net}}) == []


def test_a_clock_ends_a_slice_at_the_first_step_after_its_time() -> None:
    answers = io.StringIO()
    tick = Clock(io.StringIO("0\n1000\n\n"), answers)
    tick(5)  # the start-up
    tick(7)
    for _ in range(3):
        tick(1)  # within the thousand seconds
    assert [json.loads(line)["done"] for line in answers.getvalue().splitlines()] == [5, 7]
    tick.seconds = 0
    with pytest.raises(SystemExit):
        tick(1)


def test_a_contender_that_ends_says_why() -> None:
    with pytest.raises(ContenderError, match=r"plain ended: .*nonsense"):
        Contender("plain", [replace(TASK, contender="nonsense")], {})


def test_a_child_of_ours_is_not_counted_among_the_others() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE) as child:
        assert child.pid in descendants(os.getpid())
        assert others_seconds() > 0
        child.communicate(b"\n")
    assert child.pid not in descendants(os.getpid())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--nets", "cifer"], "did you mean 'cifar'"),
        (["--nets", "paper@big"], "no image size"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--trials", "1"], "--trials is 1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_benchmark_leaves_its_record_and_its_picture(
    tmp_path: Path, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})  # one thread: other tests may run beside it
    words = f"""--nets cifar_small@16 --dataset folder:{blobs} --rounds 1 --seconds 0.2 --batch-size 16
        --others-percent 100 --trials 0 --name short --results {tmp_path}"""
    assert main(words.split()) == 0
    net = json.loads((tmp_path / "short.json").read_text())["nets"]["cifar_small"]
    assert net["difference"] < summary.TOLERANCE
    assert {"plain", "tensors", "one", "harness", "floor", "gemm"} <= set(net["rounds"][0]["done_per_second"])
    assert all(done > 0 for done in net["rounds"][0]["done_per_second"].values())
    assert "ours, one trial" in (tmp_path / "short.svg").read_text()
