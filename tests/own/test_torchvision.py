"""The study files that ablate networks of torchvision, on small pictures that are made up."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.nn.functional import pad, relu

from ablations.core.load import load
from ablations.records import checkpoint
from ablations.subjects.own.streams import Streams
from ablations.subjects.own.trial import imported, rows

FOLDER = Path(__file__).parents[2] / "ablations" / "subjects" / "examples" / "torchvision"
FILES = ("resnet18", "mobilenet_v2", "vit")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four pictures a class to train on and two to test on, 40 pixels a side."""
    root, draws = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, each in (("train", 4), ("val", 2)):
        for one in range(10):
            (root / part / f"class{one}").mkdir(parents=True)
            for number in range(each):
                pixels = draws.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / f"class{one}" / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def named(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has the variable name the folder, and leaves torch as it was."""
    monkeypatch.setenv("CIFAR10", str(made_up))
    monkeypatch.delenv("IMAGENETTE", raising=False)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def study(name: str) -> ModuleType:
    return imported(str(FOLDER / f"{name}.py"))


def built(name: str, seed: int = 0, **changes: Any) -> Any:
    """A network in evaluation, as the file `name` builds it for a configuration with these changes."""
    file = study(name)
    size = () if name == "resnet18" else (32,)
    return file.built(replace(file.Config(), **changes), Streams(seed), *size).eval()


def cifar10(root: Path) -> Any:
    return SimpleNamespace(name="cifar10", path=str(root))


@pytest.mark.parametrize(("name", "change"), [("resnet18", "shortcut"), ("mobilenet_v2", "shortcut"), ("vit", "norm")])
def test_what_a_change_leaves_in_place_starts_alike_under_one_seed(name: str, change: str) -> None:
    whole = built(name).state_dict()
    changes: dict[str, Any] = {change: "none" if change == "norm" else False}
    changed = built(name, **changes).state_dict()
    assert all(torch.equal(tensor, whole[place]) for place, tensor in changed.items())
    assert not all(torch.equal(tensor, whole[place]) for place, tensor in built(name, seed=1).state_dict().items())


@torch.no_grad()
def test_without_shortcuts_a_block_of_resnet_is_its_two_convolutions() -> None:
    x = torch.randn(2, 64, 8, 8)
    for place in ("layer1", "layer2"):  # with the input itself as a shortcut, and with a projection of it
        block, whole = getattr(built("resnet18", shortcut=False), place)[0], getattr(built("resnet18"), place)[0]
        by_hand = relu(block.bn2(block.conv2(relu(block.bn1(block.conv1(x))))))
        assert torch.equal(block(x), by_hand)
        assert not torch.allclose(whole(x), by_hand)


@torch.no_grad()
def test_without_shortcuts_a_block_of_mobilenet_is_its_convolutions() -> None:
    x = torch.randn(2, 16, 8, 8)
    place = 3  # the second of the first two blocks of equal width
    block, whole = built("mobilenet_v2", shortcut=False).features[place], built("mobilenet_v2").features[place]
    assert torch.equal(block(x), block.conv(x))
    assert torch.allclose(whole(x), x + block.conv(x))


@torch.no_grad()
@pytest.mark.parametrize("position", [True, False])
def test_without_positions_the_order_of_patches_is_lost(position: bool) -> None:
    network = built("vit", position=position)
    torch.nn.init.normal_(network.heads.head.weight)  # zeros at first: every picture would have the same logits
    x = torch.randn(1, 3, 32, 32)
    swapped = torch.cat([x[:, :, 8:], x[:, :, :8]], dim=2)  # the first row of patches comes last
    assert torch.allclose(network(x), network(swapped), atol=1e-4) is not position


def test_the_expansion_of_mobilenet_is_that_of_its_blocks() -> None:
    inside = built("mobilenet_v2", expansion=2).features[3].conv[1][0]
    assert (inside.in_channels, inside.groups) == (32, 32)  # twice its 16


def test_norms_are_what_they_are_called() -> None:
    kinds = {"batch": torch.nn.BatchNorm2d, "group": torch.nn.GroupNorm}
    for name in ("resnet18", "mobilenet_v2"):
        for norm in ("batch", "group", "none"):
            found = {type(one) for one in built(name, norm=norm).modules()} & {*kinds.values()}
            assert found == ({kinds[norm]} if norm in kinds else set())


def test_augmented_pictures_are_crops_of_padded_ones_half_of_them_mirrored() -> None:
    x = torch.rand(64, 3, 16, 16)
    found = study("vit").trained.__globals__["moved"](x, torch.Generator().manual_seed(0))
    padded, seen = pad(x, [2] * 4), []
    for one, of in zip(found, padded, strict=True):
        crops = {
            (row, column, mirrored): crop.flip(2) if mirrored else crop
            for row in range(5)
            for column in range(5)
            for mirrored in (True, False)
            for crop in [of[:, row : row + 16, column : column + 16]]
        }
        seen += [place for place, crop in crops.items() if torch.equal(one, crop)]
    assert len(seen) == 64
    assert {row for row, _, _ in seen} == {column for _, column, _ in seen} == set(range(5))
    assert 20 < sum(mirrored for _, _, mirrored in seen) < 44


def test_pictures_are_as_many_of_each_class_and_of_the_right_size(made_up: Path) -> None:
    pictures = study("vit").trained.__globals__["pictures"]
    x, y = pictures(cifar10(made_up), "train", 30)
    assert x.shape == (30, 3, 32, 32) and x.min() >= 0 and 200 < x.max() <= 255
    assert y.tolist() == [one for one in range(10) for _ in range(3)]
    assert pictures(SimpleNamespace(name="imagenette", path=str(made_up)), "test", 20)[0].shape == (20, 3, 64, 64)
    for count in (50, 15, 0):
        with pytest.raises(ValueError, match=f"^{count} pictures of cifar10, train: .* of which there are 10 with 4"):
            pictures(cifar10(made_up), "train", count)


def test_the_files_of_cifar10_are_read_as_torchvision_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *given: True)  # made up: other digests
    inside = tmp_path / "cifar-10-batches-py"
    inside.mkdir()
    draws = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = draws.integers(0, 256, (10, 3072), dtype=np.uint8)
        (inside / name).write_bytes(pickle.dumps({"data": pixels, "labels": list(range(10))}))
    (inside / "batches.meta").write_bytes(pickle.dumps({"label_names": [*"abcdefghij"]}))
    x, y = study("vit").trained.__globals__["pictures"](cifar10(tmp_path), "test", 10)
    assert y.tolist() == list(range(10))
    assert torch.equal(x, torch.from_numpy(pixels.reshape(10, 3, 32, 32)).float())


def test_a_killed_trial_goes_on_bit_for_bit(made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "WRITING_SHARE", 1e9)
    config = {**vars(study("mobilenet_v2").Config()), "train_images": 20, "test_images": 20, "batch": 10}

    def task(kept: str) -> dict[str, Any]:
        unfinished = {"path": str(tmp_path / kept), "code": "1", "every": 0.0}
        data = {"name": "cifar10", "path": str(made_up), "fingerprint": ""}
        given = {"path": str(FOLDER / "mobilenet_v2.py"), "config": config, "seed": 0, "salt": 0, "data": data}
        return {**given, "threads": 1, "device": "cpu", "folder": str(tmp_path), "unfinished": unfinished}

    whole = list(rows(task("whole.npz")))
    assert [row["epoch"] for row in whole] == [1, 2, 3]
    assert whole[-1]["early_accuracy"] == whole[1]["accuracy"]
    killed = rows(task("killed.npz"))
    assert [next(killed), next(killed)] == whole[:2]  # the first epoch is kept, the second is not yet
    killed.close()
    torch.manual_seed(99)
    assert list(rows(task("killed.npz"))) == whole


@pytest.mark.parametrize("name", FILES)
def test_every_published_claim_is_tested_by_proxy(name: str) -> None:
    claims = load(str(FOLDER / f"{name}.py")).own_claims
    assert claims and all(one.conditions.always_proxy for one in claims)


def test_without_a_folder_a_file_says_which_variables_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = study("vit").folders
    assert list(folders()) == ["cifar10"]
    monkeypatch.delenv("CIFAR10")
    with pytest.raises(ValueError, match=r"^set the variable CIFAR10 or IMAGENETTE, or both"):
        folders()


@pytest.mark.slow
def test_a_file_is_sound() -> None:
    words = [str(FOLDER / "vit.py"), "--set", "train_images=40", "test_images=20", "batch=10"]
    # By a process of its own: trials have the environment that was there before the first of them.
    command = [sys.executable, "-m", "ablations.check", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
