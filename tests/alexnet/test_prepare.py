"""Decoding that is stopped and goes on, data larger than memory, and ImageNet as its archives leave it."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from ablations.models.spec import Conv, Spec
from ablations.subjects.alexnet.data import decode, imagenet, resume, sources
from ablations.subjects.alexnet.data.catalogue import CACHE_SCHEMA, DATASETS
from ablations.subjects.alexnet.data.folders import Files
from ablations.subjects.alexnet.data.load import Data, held_out, load, placed
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import batches, split_examples
from ablations.subjects.alexnet.training.streams import CPU
from tests.alexnet.test_data import prepared, write_folder
from tests.conftest import hears

ARRAYS = [f"{split}_{what}.npy" for split in ("train", "test") for what in ("images", "labels", "hashes")]
ARRAYS += ["mean_image.npy"]
SPEC = Spec(blocks=(Conv(channels=4, kernel=3),), hidden=(), image_size=8, learning_rate=0.01)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a prepared folder; where the images came from is in none of them."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    meta = json.loads(found["meta.json"])
    return {**found, "meta.json": json.dumps({**meta, "dataset": ""}).encode()}


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded, one image a chunk, on the disk as soon as they are written."""
    names: list[str] = []
    read = decode._read

    def counted(path: str, mode: str) -> Image.Image:
        names.append(Path(path).relative_to(Path(path).parents[2]).as_posix())
        return read(path, mode)

    monkeypatch.setattr(decode, "_read", counted)
    monkeypatch.setattr(decode, "CHUNK_IMAGES", 1)
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_MARKS", 0)
    return names


# Decodes a folder in the way of `prepared`, but never gets over one of its images.
STUCK = """
import sys, time
from pathlib import Path
from ablations.subjects.alexnet.data import decode, resume
from ablations.subjects.alexnet.data.prepare import prepare
folder, cache, stuck = sys.argv[1:]
read = decode._read
decode._read = lambda path, mode: time.sleep(600) if path.endswith(stuck) else read(path, mode)
decode.CHUNK_IMAGES, resume.SECONDS_BETWEEN_MARKS = 1, 0
prepare(f"folder:{folder}", data_root=None, size=8, cache=Path(cache), quiet=True)
"""


def marks(cache: Path) -> Iterator[int]:
    """The number of images that are noted as done, again and again, for up to a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        yield from (json.loads(path.read_text())["images"] for path in cache.glob(".*.partial/progress.json"))
        time.sleep(0.02)


@pytest.mark.parametrize(("stuck", "kept"), [("train/dog/2.webp", 7), ("test/cat/3.png", 13)])
def test_a_decode_that_was_killed_goes_on_and_gives_the_same_bytes(
    stuck: str, kept: int, tmp_path: Path, read_files: list[str]
) -> None:
    path, cache = write_folder(tmp_path / "images"), tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(path), str(cache), stuck])
    assert kept in marks(cache)
    process.kill()
    process.wait()
    [left] = cache.glob(".*.partial")
    # What a machine that lost its power may leave behind the mark.
    with max(left.glob("*_images.npy"), key=lambda file: file.stat().st_mtime_ns).open("ab") as file:
        file.write(b"\0" * 777)
    resumed = prepared(path, cache)
    assert len(read_files) == 20 - kept
    assert read_files[0].endswith(stuck)
    assert [entry for entry in cache.iterdir() if entry.is_dir()] == [resumed]
    unbroken = prepared(path, tmp_path / "other cache")
    assert contents(resumed) == contents(unbroken)


@pytest.mark.parametrize("mended", [True, False])
def test_mending_or_removing_an_image_costs_nothing_of_what_was_decoded_before_it(
    mended: bool, tmp_path: Path, read_files: list[str]
) -> None:
    path, cache = write_folder(tmp_path / "images"), tmp_path / "cache"
    broken = path / "train" / "dog" / "3.PNG"
    good = broken.read_bytes()
    broken.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match=r"The image .*dog/3\.PNG cannot be read"):
        prepared(path, cache)
    assert [entry.name for entry in cache.iterdir() if entry.is_dir() and not entry.name.startswith(".")] == []
    if mended:
        broken.write_bytes(good)
    else:
        broken.unlink()
    read_files.clear()
    resumed = prepared(path, cache)
    assert read_files[0] == ("train/dog/3.PNG" if mended else "train/dog/4.jpeg")
    assert len(read_files) == (12 if mended else 11)
    assert contents(resumed) == contents(prepared(path, tmp_path / "other cache"))


@pytest.mark.parametrize(
    "damage", ["no file", "a shorter file", "a mark cut short", "another mark", "a mark below zero"]
)
def test_what_was_decoded_before_a_stop_and_is_damaged_is_decoded_again(
    damage: str, tmp_path: Path, read_files: list[str]
) -> None:
    path, cache = write_folder(tmp_path / "images"), tmp_path / "cache"
    broken = path / "test" / "dog" / "0.png"
    good = broken.read_bytes()
    broken.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"dog/0\.png cannot be read"):
        prepared(path, cache)
    broken.write_bytes(good)
    [left] = cache.glob(".*.partial")
    mark = left / "progress.json"
    if damage == "no file":
        (left / "train_images.npy").unlink()
    elif damage == "a shorter file":
        os.truncate(left / "test_images.npy", 128 + 4 * 8 * 8 * 3)  # of the five images that the mark promises
    else:
        written = {"a mark cut short": '{"images": 1', "another mark": "[1]", "a mark below zero": "-1"}[damage]
        mark.write_text(written if written != "-1" else json.dumps({**json.loads(mark.read_text()), "images": -1}))
    read_files.clear()
    resumed = prepared(path, cache)
    assert len(read_files) == 20
    assert contents(resumed) == contents(prepared(path, tmp_path / "other cache"))


def test_an_image_that_changed_before_the_mark_is_decoded_again(tmp_path: Path, read_files: list[str]) -> None:
    path, cache = write_folder(tmp_path / "images"), tmp_path / "cache"
    broken = path / "test" / "dog" / "0.png"
    good = broken.read_bytes()
    broken.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"dog/0\.png cannot be read"):
        prepared(path, cache)
    broken.write_bytes(good)
    (path / "train" / "cat" / "0.png").write_bytes(good)
    read_files.clear()
    resumed = prepared(path, cache)
    assert len(read_files) == 20
    assert contents(resumed) == contents(prepared(path, tmp_path / "other cache"))


# The command line, on images that take 50 ms each.
SLOW = """
import sys, time
from ablations.subjects.alexnet.data import decode, resume
from ablations.run import main
read = decode._read
decode._read = lambda path, mode: time.sleep(0.05) or read(path, mode)
decode.CHUNK_IMAGES, resume.SECONDS_BETWEEN_MARKS = 1, 0
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_while_decoding_stops_at_once_and_the_next_call_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_folder(tmp_path / "images", per_class=60, size=32)
    options = ["--dataset", f"folder:{path}", "--dry-run", "--grid", "reference"]
    options += ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    command = [sys.executable, "-c", SLOW, *options]
    environment = {**os.environ, "ABLATIONS_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        command,
        env=environment,
        preexec_fn=hears(signal.SIGINT),  # noqa: PLW1509
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any(count > 20 for count in marks(tmp_path / "cache"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped; the same command goes on where it was"
    kept = next(marks(tmp_path / "cache"))
    assert 20 < kept < 240
    prepare(f"folder:{path}", data_root=None, size=32, cache=tmp_path / "cache")
    assert f"{kept} of 240 images were decoded before; going on" in capsys.readouterr().err


def test_a_cache_without_room_is_named_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_files: list[str]
) -> None:
    usage = type("Usage", (), {"free": 20 * 8 * 8 * 3 - 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"take 0\.0 GiB more in the cache folder .*ABLATIONS_CACHE\."):
        prepared(write_folder(tmp_path / "images"), tmp_path / "cache")
    assert read_files == []


# Prints the peak memory, in kB, of decoding a folder to a disk that at first lets the decoders run ahead.
# Not that of `resource`, which a process has from its parent.
PEAK = """
import sys, time
from pathlib import Path
from ablations.subjects.alexnet.data import resume
from ablations.subjects.alexnet.data.prepare import prepare
move = resume.Mark.move
resume.Mark.move = lambda mark, *rest: time.sleep(0 if mark.images else 4) or move(mark, *rest)
prepare(f"folder:{sys.argv[1]}", data_root=None, size=128, cache=Path(sys.argv[2]), quiet=True)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
def test_the_memory_of_decoding_does_not_grow_with_the_images(tmp_path: Path) -> None:
    peaks = []
    for count in (300, 1400):
        path = tmp_path / str(count)
        for folder in (path / split / name for split in ("train", "test") for name in "ab"):
            folder.mkdir(parents=True)
            Image.effect_noise((40, 30), 50).convert("RGB").save(folder / "0.jpg")
            for number in range(1, count // 2):
                (folder / f"{number}.jpg").hardlink_to(folder / "0.jpg")
        command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / "cache")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    # 2,200 more images are 103 MiB of pixels.
    assert peaks[1] - peaks[0] < 20 * 1024


# Data larger than memory.


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A prepared folder of black images, twice the machine's memory; its file has holes and takes no room."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    folder, shape = tmp_path / "huge", (256, 256, 3)
    folder.mkdir()
    for split, count in (("train", 2 * memory // int(np.prod(shape))), ("test", 4)):
        with (folder / f"{split}_images.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + count * int(np.prod(shape)))
        np.save(folder / f"{split}_labels.npy", np.arange(count) % 2)
        np.save(folder / f"{split}_hashes.npy", np.linspace(0, 2**32 - 1, count).astype(np.uint32))
    np.save(folder / "mean_image.npy", np.zeros(shape, dtype=np.float32))
    meta = {
        "schema": CACHE_SCHEMA,
        "dataset": "huge",
        "classes": ["a", "b"],
        "fingerprint": "0" * 16,
        "mean": [0.0] * 3,
        "std": 1.0,
        "components": np.eye(3).tolist(),
        "component_deviations": [1.0] * 3,
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def peak() -> int:
    """The largest memory that this process has had, in bytes."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def test_data_of_twice_the_memory_are_trained_on_in_a_few_megabytes(huge: Path) -> None:
    torch.zeros(1).exp()  # whatever torch sets up the first time
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = peak()
    data = load(huge)
    count = len(data.train.labels)
    held = held_out(data.train)
    assert abs(int(held.sum()) - count / 10) < 2
    budget = Budget(
        epochs=1, train_examples=count - int(held.sum()), batch_size=16, image_size=224, evaluate_on="validation"
    )
    training, evaluation = split_examples(SPEC, seed=0, budget=budget, data=data, device=CPU)
    images, labels = next(batches(training, 0, 1, 16))
    assert (images.shape, labels.shape) == ((16, 3, 224, 224), (16,))
    assert evaluation.plain(torch.tensor([evaluation.count - 1])).shape == (1, 3, 224, 224)
    grown = peak() - before
    # Per image: labels, hashes, rows and the draws of one epoch, some 150 bytes; and a batch.
    assert grown < count * 300 + 200 * 2**20
    assert grown < data.train.images.numel() / 50


def test_images_go_to_a_device_within_the_budget_and_stay_mapped_above_it(data: Data) -> None:
    size = data.train.images.numel() + data.test.images.numel()
    elsewhere = torch.device("meta")
    assert placed(data, elsewhere, memory_bytes=size).train.images.device == elsewhere
    assert placed(data, elsewhere, memory_bytes=size - 1) is data
    assert placed(data, CPU, memory_bytes=size) is data


def test_mapped_images_are_cut_on_the_host_for_a_network_elsewhere(data: Data, budget: Budget) -> None:
    elsewhere = torch.device("meta")
    training, _ = split_examples(SPEC, seed=0, budget=budget, data=data, device=elsewhere)
    images, labels = next(batches(training, 0, 1, 32))
    assert training.images.device == CPU
    assert (images.device, labels.device) == (elsewhere, elsewhere)
    assert images.shape == (32, 3, 16, 16)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_is_the_same_whether_images_are_mapped_or_on_the_gpu(data: Data, budget: Budget) -> None:
    gpu = torch.device("cuda")
    spec = replace(SPEC, crop_pad=2, pca_jitter=0.1)
    found = []
    for where in (data, placed(data, gpu, memory_bytes=2**30)):
        training, _ = split_examples(spec, seed=0, budget=budget, data=where, device=gpu)
        found.append(next(batches(training, 0, 1, 32)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


# Folders.


def test_files_are_held_as_names_and_give_any_run_of_their_paths(tmp_path: Path) -> None:
    names = {"a": ["0", "1", "2"], "b": [], "c": ["0"], "d": ["5", "6"]}
    files = Files(folder=tmp_path, names=names)
    expected = [f"{tmp_path}/{folder}/{name}" for folder, inside in names.items() for name in inside]
    assert len(files) == 6
    for start in range(7):
        for stop in range(start, 7):
            assert files.paths(start, stop) == expected[start:stop]


WNIDS = ("n02", "n00", "n01")  # in the order of the devkit's numbers, which is not the alphabet's
TRUTH = (3, 1, 2, 1)  # of the validation images, in the order of their names


def write_imagenet(root: Path, *, devkit: str) -> None:
    """A small ImageNet with loose validation images, and what says of which class they are."""
    write_folder(root, test="val", classes=tuple(sorted(WNIDS)))
    loose = sorted((root / "val").rglob("*.png"))
    for number, path in enumerate(loose):
        new = root / "val" / f"ILSVRC2012_val_{number + 1:08}.png"
        path.rename(new) if number < len(TRUTH) else path.unlink()
    for name in WNIDS:
        (root / "val" / name).rmdir()
    if devkit == "solution":
        rows = [f"ILSVRC2012_val_{n:08},{WNIDS[truth - 1]} 1 2 3 4" for n, truth in enumerate(TRUTH, start=1)]
        (root / imagenet.SOLUTION).write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]))
        return
    folder = root / imagenet.DEVKIT
    (folder / "data").mkdir(parents=True)
    (folder / imagenet.TRUTH).write_text("".join(f"{number}\n" for number in TRUTH))
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")
    numbered = [(number, wnid, "words", "gloss", 0) for number, wnid in enumerate(WNIDS, start=1)]
    synsets = np.array([*numbered, (4, "n99", "an ancestor", "gloss", 3)], dtype=[(field, object) for field in fields])
    savemat(folder / imagenet.META, {"synsets": synsets.reshape(-1, 1)})
    if devkit == "archive":
        with tarfile.open(root / f"{imagenet.DEVKIT}.tar.gz", "w:gz") as archive:
            archive.add(folder, arcname=imagenet.DEVKIT)
        for path in (folder / imagenet.TRUTH, folder / imagenet.META):
            path.unlink()
        (folder / "data").rmdir()
        folder.rmdir()


@pytest.fixture
def small_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue's entry with the numbers of `write_imagenet`."""
    monkeypatch.setitem(DATASETS, "imagenet", replace(DATASETS["imagenet"], train_images=15, test_images=4))


@pytest.mark.usefixtures("small_imagenet")
@pytest.mark.parametrize("devkit", ["folder", "archive", "solution"])
def test_loose_validation_images_of_imagenet_get_their_classes_from_the_devkit(devkit: str, tmp_path: Path) -> None:
    write_imagenet(tmp_path / "root", devkit=devkit)
    data = load(prepare("imagenet", data_root=tmp_path / "root", size=8, cache=tmp_path / "cache", quiet=True))
    assert data.classes == ("n00", "n01", "n02")
    assert [data.classes[label] for label in data.test.labels] == [WNIDS[number - 1] for number in TRUTH]
    assert torch.bincount(data.train.labels).tolist() == [5, 5, 5]


@pytest.mark.usefixtures("small_imagenet")
def test_what_is_missing_for_loose_validation_images_is_named(tmp_path: Path) -> None:
    root = tmp_path / "root"

    def refusal() -> str:
        with pytest.raises(ValueError) as raised:
            prepare("imagenet", data_root=root, size=8, cache=tmp_path / "cache", quiet=True)
        return str(raised.value)

    write_imagenet(root, devkit="folder")
    (root / imagenet.DEVKIT / imagenet.TRUTH).write_text("1\n2\n")
    assert "holds 4 images, and the devkit's ground truth is of 2." in refusal()
    (root / imagenet.DEVKIT).rename(root / "elsewhere")
    assert "lie in no class folders: put ILSVRC2012_devkit_t12.tar.gz, or Kaggle's LOC_val_solution.csv" in refusal()
    with tarfile.open(root / f"{imagenet.DEVKIT}.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("something else"), io.BytesIO())
    assert "is not ImageNet's devkit" in refusal()
    (root / imagenet.SOLUTION).write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,n02 1 2 3 4\n")
    assert "does not say of which class ILSVRC2012_val_00000002.png is." in refusal()


def test_the_devkit_is_read_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import imagenet as torchvision_s

    write_imagenet(tmp_path, devkit="archive")
    monkeypatch.setattr(torchvision_s, "_verify_archive", lambda root, file, md5: None)  # it is not the real one
    torchvision_s.parse_devkit_archive(tmp_path)
    _, expected = torchvision_s.load_meta_file(tmp_path)
    assert imagenet.validation_classes(tmp_path, [f"{number}.png" for number in range(4)]) == expected


@pytest.mark.usefixtures("small_imagenet")
def test_imagenet_with_class_folders_needs_no_devkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "imagenet", replace(DATASETS["imagenet"], test_images=15))
    write_folder(tmp_path / "root", test="val", classes=WNIDS)
    monkeypatch.setattr(sources, "validation_classes", None)
    data = load(prepare("imagenet", data_root=tmp_path / "root", size=8, cache=tmp_path / "cache", quiet=True))
    assert len(data.test.labels) == 15


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replaced_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def replaced_by_a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


def replaced_by_a_dead_link(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(ARRAYS, (cut, Path.unlink, lambda path: path.write_bytes(b""))),
        ("test_images.npy", lambda path: path.write_bytes(b"x" * path.stat().st_size)),
        ("train_labels.npy", lambda path: np.save(path, np.load(path) + 1)),
        ("train_hashes.npy", lambda path: np.save(path, np.load(path).astype(np.float32))),
        ("mean_image.npy", replaced_by_a_pipe),
        ("meta.json", lambda path: path.write_text("{")),
        ("meta.json", lambda path: path.write_text("[1]")),
        ("meta.json", lambda path: path.write_text(path.read_text().replace('"std"', '"stt"'))),
        ("meta.json", Path.unlink),
        ("", emptied),
        ("", replaced_by_a_file),
        ("", replaced_by_a_dead_link),
    ],
)
def test_a_damaged_cache_is_decoded_again_with_a_sentence(
    name: str, damage: Callable[[Path], object], blobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def found() -> Path:
        return prepare(f"folder:{blobs}", data_root=None, size=16, cache=tmp_path, quiet=True)

    folder = found()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    inode = folder.stat().st_ino
    assert found().stat().st_ino == inode  # nothing is decoded again where nothing is damaged
    damage(folder / name)
    capsys.readouterr()
    assert found() == folder
    assert capsys.readouterr().err == f"The decoded images in {folder} are damaged; they are decoded again.\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert load(folder).num_classes == 3
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == [folder.name]
