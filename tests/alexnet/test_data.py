import bz2
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ablations.models.spec import Conv, Spec
from ablations.subjects.alexnet.data import decode as decode_module
from ablations.subjects.alexnet.data import prepare as prepare_module
from ablations.subjects.alexnet.data import sources
from ablations.subjects.alexnet.data.augment import Draws, crop, draw, to_input, views
from ablations.subjects.alexnet.data.catalogue import DATASETS, DEFAULT, dataset
from ablations.subjects.alexnet.data.decode import fit
from ablations.subjects.alexnet.data.decode_progress import Progress
from ablations.subjects.alexnet.data.embedded.rebuild import rebuilt
from ablations.subjects.alexnet.data.idx import FILES, read_idx, write_idx
from ablations.subjects.alexnet.data.load import Data, Split, held_out, load, stratified
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.training.streams import streams

Pixels = NDArray[np.uint8]
SUFFIXES = ("png", "jpg", "webp", "PNG", "jpeg")


def write_folder(
    path: Path, *, size: int = 8, per_class: int = 5, test: str = "test", classes: tuple[str, ...] = ("cat", "dog")
) -> Path:
    """Class folders of random images: training images in five file formats, test images as PNG."""
    random = np.random.default_rng(0)
    for split in ("train", test):
        for name in classes:
            folder = path / split / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
                suffix = SUFFIXES[number % len(SUFFIXES)] if split == "train" else "png"
                Image.fromarray(pixels).save(folder / f"{number}.{suffix}", quality=90)
    return path


def prepared(path: Path, cache: Path, *, size: int = 8) -> Path:
    return prepare(f"folder:{path}", data_root=None, size=size, cache=cache, quiet=True)


def spec_of(**changes: Any) -> Spec:
    return Spec(blocks=(Conv(channels=4, kernel=3),), hidden=(), image_size=8, learning_rate=0.01, **changes)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return load(prepared(write_folder(tmp_path / "images"), tmp_path / "cache"))


# The catalogue.


def test_the_catalogue_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'torchvision', 'numpy', 'PIL', 'tqdm'}"
    code = f"import sys, ablations.subjects.alexnet.data.catalogue; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loading_and_augmenting_need_torch_and_numpy_but_no_other_package() -> None:
    others = "{'torchvision', 'PIL', 'tqdm', 'filelock', 'platformdirs', 'pandas'}"
    # A None in sys.modules makes the import fail; torch itself may use filelock, and then not need it.
    code = (
        f"import sys, torch; sys.modules.update(dict.fromkeys({others}))\n"
        "import ablations.subjects.alexnet.data.load, ablations.subjects.alexnet.data.augment"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_dataset_is_listed_under_its_own_name() -> None:
    assert all(name == entry.name == dataset(name).name for name, entry in DATASETS.items())
    assert DEFAULT in DATASETS
    assert not DATASETS[DEFAULT].needs_network


def test_an_unknown_dataset_gets_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'cifar'; did you mean 'cifar10'\?.*folder:PATH"):
        dataset("cifar")
    with pytest.raises(ValueError, match="unknown data set 'folder:'"):
        dataset("folder:")


def test_a_folder_is_a_dataset_under_the_name_it_was_given() -> None:
    assert dataset("folder:~/birds").name == "folder:~/birds"
    assert dataset("folder:~/birds").num_classes is None


# Preparing.


def test_the_embedded_data_hold_ten_balanced_classes(tmp_path: Path) -> None:
    data = load(prepare(DEFAULT, data_root=None, size=28, cache=tmp_path, quiet=True))
    assert data.train.images.shape == (6000, 28, 28, 1)
    assert data.test.images.shape == (1000, 28, 28, 1)
    assert torch.bincount(data.train.labels).tolist() == [600] * 10
    assert torch.bincount(data.test.labels).tolist() == [100] * 10
    assert data.num_classes == 10
    assert data.classes[9] == "Ankle boot"


@pytest.mark.skipif(not sources.DEBIAN.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_the_embedded_files_are_rebuilt_byte_for_byte() -> None:
    embedded = resources.files("ablations.subjects.alexnet.data.embedded")
    for name, content in rebuilt().items():
        assert (embedded / name).read_bytes() == content


@pytest.mark.parametrize("chunk", [1, 3, 256])
def test_png_images_are_stored_as_they_are_in_the_order_of_their_names(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_module, "CHUNK_IMAGES", chunk)
    path = write_folder(tmp_path / "images", test="val", per_class=9)
    data = load(prepared(path, tmp_path / "cache"))
    files = [path / "val" / name / f"{number}.png" for name in ("cat", "dog") for number in range(9)]
    expected = np.stack([np.asarray(Image.open(file)) for file in files])
    assert np.array_equal(data.test.images.numpy(), expected)
    assert data.test.labels.tolist() == [0] * 9 + [1] * 9
    assert data.classes == ("cat", "dog")


def test_jpeg_and_webp_images_are_read_too(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images")
    data = load(prepared(path, tmp_path / "cache"))
    names = sorted(file.name for file in (path / "train" / "cat").iterdir())
    assert {Path(name).suffix for name in names} == {".png", ".jpg", ".webp", ".PNG", ".jpeg"}
    for image, name in zip(data.train.images, names, strict=False):
        assert np.array_equal(image.numpy(), np.asarray(Image.open(path / "train" / "cat" / name).convert("RGB")))


def test_greyscale_images_become_three_equal_channels(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images")
    for file in path.rglob("*.*"):
        Image.open(file).convert("L").save(file)
    images = load(prepared(path, tmp_path / "cache")).test.images
    assert torch.equal(images[..., 0], images[..., 2])


def test_a_larger_image_is_scaled_by_its_shorter_side_and_cut_at_the_centre() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    # torch's antialiased bilinear filter, whose own width is scaled likewise: 31 * 10 / 20 rounds to 16.
    expected = F.interpolate(image, size=(10, 16), mode="bilinear", antialias=True)[0, :, :, 3:13]
    found = torch.from_numpy(np.array(fit(Image.fromarray(pixels), 10))).permute(2, 0, 1)
    assert (found - expected).abs().max() <= 1  # Pillow works in integers


def test_a_strip_is_scaled_without_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 200, 3), dtype=np.uint8)
    whole = np.asarray(fit(Image.fromarray(pixels), 8)).astype(int)
    monkeypatch.setattr(decode_module, "LARGEST", 1000)  # 8 x 320 pixels are more
    assert np.abs(np.asarray(fit(Image.fromarray(pixels), 8)) - whole).max() <= 1


def test_images_of_another_size_are_stored_at_the_size_asked_for(tmp_path: Path) -> None:
    data = load(prepared(write_folder(tmp_path / "images", size=20), tmp_path / "cache", size=12))
    assert data.size == 12
    assert data.train.images.shape == (10, 12, 12, 3)


def test_an_idx_folder_is_read_from_the_data_root_compressed_or_not(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    for name in FILES:
        array = random.integers(0, 256, (6, 28, 28)) if "images" in name else np.arange(6)
        (tmp_path / f"{name}.bz2").write_bytes(bz2.compress(write_idx(array.astype(np.uint8))))
    (tmp_path / FILES[0]).write_bytes(bz2.decompress((tmp_path / f"{FILES[0]}.bz2").read_bytes()))
    data = load(prepare("fashion-mnist", data_root=tmp_path, size=28, cache=tmp_path / "cache", quiet=True))
    assert np.array_equal(data.train.images.numpy()[..., 0], read_idx(tmp_path / FILES[0]))
    assert data.train.labels.tolist() == list(range(6))


def test_statistics_agree_with_numpy_on_the_whole_training_set(tmp_path: Path) -> None:
    folder = prepared(write_folder(tmp_path / "images"), tmp_path / "cache")
    data, pixels = load(folder), np.load(folder / "train_images.npy").astype(np.float64)
    flat = pixels.reshape(-1, 3)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False, bias=True))
    assert np.allclose(data.mean, flat.mean(axis=0))
    assert data.std == pytest.approx(np.sqrt(((flat - flat.mean(axis=0)) ** 2).mean()))
    assert np.allclose(data.mean_image, pixels.mean(axis=0))
    assert np.allclose(data.component_deviations, np.sqrt(values[::-1]))
    # Columns, up to their sign.
    assert np.allclose(np.abs(data.components.numpy().T @ vectors[:, ::-1]), np.eye(3), atol=1e-5)


def test_the_fingerprint_is_the_hash_of_images_and_labels(tmp_path: Path) -> None:
    folder = prepared(write_folder(tmp_path / "images"), tmp_path / "cache")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    content = b"".join(np.load(folder / f"{name}.npy").tobytes() for name in names)
    assert load(folder).fingerprint == hashlib.sha256(content).hexdigest()[:16]


def test_the_fingerprint_is_of_the_data_and_not_of_their_path(tmp_path: Path) -> None:
    one, other = (prepared(write_folder(tmp_path / name), tmp_path / "cache") for name in ("one", "other"))
    assert one != other
    assert load(one).fingerprint == load(other).fingerprint


def test_a_second_call_decodes_nothing_and_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "images")
    first = prepared(path, tmp_path / "cache")
    monkeypatch.setattr(prepare_module, "decoded", None)
    monkeypatch.setattr(prepare_module, "FileLock", None)  # so a cache may be read-only
    assert prepared(path, tmp_path / "cache") == first


def test_a_changed_folder_is_decoded_again(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images")
    first = prepared(path, tmp_path / "cache")
    image = path / "train" / "cat" / "0.png"
    image.write_bytes((path / "train" / "dog" / "0.png").read_bytes())
    second = prepared(path, tmp_path / "cache")
    assert second != first
    assert load(second).fingerprint != load(first).fingerprint


def _prepare_and_count(path: Path, cache: Path, log: Path, barrier: Any) -> None:
    decode = decode_module.decoded

    def counted(*args: Any, **keywords: Any) -> Any:
        with log.open("a") as file:
            file.write("decoded\n")
        return decode(*args, **keywords)

    vars(prepare_module)["decoded"] = counted
    barrier.wait()
    prepared(path, cache)


def test_two_processes_that_prepare_at_once_decode_once(tmp_path: Path) -> None:
    path, log = write_folder(tmp_path / "images", per_class=20), tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    arguments = (path, tmp_path / "cache", log, barrier)
    processes = [context.Process(target=_prepare_and_count, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text().splitlines() == ["decoded"] * 2  # the training and the test split


def remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def empty(*folders: Path) -> None:
    for file in (file for folder in folders for file in folder.iterdir()):
        file.unlink()


def to_file(path: Path) -> None:
    remove(path)
    path.touch()


def paint_red(path: Path) -> None:
    for file in [*path.rglob("*.jpg"), *path.rglob("*.jpeg"), *path.rglob("*.webp")]:
        file.unlink()
    for file in path.rglob("*.*"):
        Image.new("RGB", (8, 8), "red").save(file)


def archive_classes(path: Path) -> None:
    for folder in list((path / "train").iterdir()):
        shutil.rmtree(folder)
        folder.with_suffix(".tar").touch()


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (remove, r"The folder .*images does not exist\."),
    "no train": (lambda path: remove(path / "train"), r"The folder .*images has no train/ in it\."),
    "no test": (lambda path: remove(path / "test"), r"has neither test/ nor val/ in it\."),
    "no classes": (
        lambda path: remove(path / "train" / "cat", path / "train" / "dog"),
        r"The folder .*train has no class folders in it\.",
    ),
    "other classes": (
        lambda path: (path / "test" / "dog").rename(path / "test" / "wolf"),
        r"Only one of .*train and .*test has the class folders dog and wolf\.",
    ),
    "empty class": (lambda path: empty(path / "train" / "dog"), r"train has no JPEG, .* or PPM image of dog\."),
    "empty test": (
        lambda path: empty(path / "test" / "cat", path / "test" / "dog"),
        r"The folder .*test has no JPEG, .* or PPM image of cat and dog\.",
    ),
    "one class": (
        lambda path: remove(path / "train" / "cat", path / "test" / "cat"),
        r"train has only one class, dog: there is nothing to distinguish it from\.",
    ),
    "a file": (to_file, r"The folder .*images is a file, and no folder with train/ in it\."),
    "still in archives": (
        archive_classes,
        r"train has no class folders in it: unpack cat\.tar and dog\.tar, each into a folder of its own\.",
    ),
    "no image": (
        lambda path: (path / "train" / "dog" / "0.png").write_text("hello"),
        r"The image .*train/dog/0\.png cannot be read: .*\.",
    ),
    "cut short": (
        lambda path: os.truncate(path / "train" / "dog" / "1.jpg", 300),
        r"The image .*train/dog/1\.jpg cannot be read: .*\.",
    ),
    "one colour": (paint_red, r"All training pixels of 'folder:.*' are of one colour"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_bad_folder_gets_a_sentence(name: str, tmp_path: Path) -> None:
    breaks, sentence = BREAKAGES[name]
    path = write_folder(tmp_path / "images")
    breaks(path)
    with pytest.raises(ValueError, match=sentence) as raised:
        prepared(path, tmp_path / "cache")
    assert "\n" not in str(raised.value)


def test_a_test_folder_without_class_folders_gives_way_to_val(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images", test="val")
    (path / "test").mkdir()
    assert len(load(prepared(path, tmp_path / "cache")).test.labels) == 10


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path, occupied = write_folder(tmp_path / "images"), tmp_path / "file"
    occupied.touch()
    remedy = r"choose another one with ABLATIONS_CACHE\."
    with pytest.raises(
        ValueError, match=rf"The cache folder .*file/cache cannot be written: Not a directory; {remedy}"
    ):
        prepared(path, occupied / "cache")


def test_a_size_below_one_pixel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Images of 0 pixels a side"):
        prepare(DEFAULT, data_root=None, size=0, cache=tmp_path)


def test_imagenet_says_what_it_needs(tmp_path: Path) -> None:
    for root in (None, tmp_path):
        with pytest.raises(ValueError, match=r"'imagenet' cannot be downloaded: give --data-root .*img_train\.tar"):
            prepare("imagenet", data_root=root, size=8, cache=tmp_path / "cache")


def test_half_an_archive_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "imagenette2-160", test="val")
    with pytest.raises(ValueError, match=r"holds 10 training and 10 test images where imagenette has 9469 and 3925"):
        prepare("imagenette", data_root=tmp_path, size=8, cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist", "imagenette"])
def test_a_failed_download_names_the_ways_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, download: bool = False, **keywords: Any) -> None:
        if not download:
            raise RuntimeError("Dataset not found.")
        raise OSError("no route\nto host")  # as urllib.error.URLError is

    names = ("CIFAR10", "CIFAR100", "FashionMNIST", "Imagenette")
    fake = types.SimpleNamespace(**dict.fromkeys(names, offline))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", fake)
    monkeypatch.setattr(sources, "DEBIAN", tmp_path / "none")
    sentence = rf"'{name}' could not be obtained .*no route to host.*--data-root .*folder:PATH .*fashion-mnist-small"
    with pytest.raises(ValueError, match=sentence):
        prepare(name, data_root=tmp_path / "root", size=8, cache=tmp_path / "cache")


def test_cifar_is_read_through_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

    def cifar(root: Path, *, train: bool, download: bool) -> types.SimpleNamespace:
        count = 4 if train else 1
        return types.SimpleNamespace(data=pixels[:count], targets=[1, 0, 1, 1][:count], classes=["a", "b"])

    monkeypatch.setitem(sys.modules, "torchvision.datasets", types.SimpleNamespace(CIFAR10=cifar))
    data = load(prepare("cifar10", data_root=tmp_path, size=32, cache=tmp_path / "cache", quiet=True))
    assert np.array_equal(data.train.images.numpy(), pixels)
    assert data.train.labels.tolist() == [1, 0, 1, 1]
    assert data.classes == ("a", "b")


def test_progress_away_from_a_terminal_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablations.subjects.alexnet.data.decode_progress.SECONDS_BETWEEN_LINES", 0)
    with Progress(4000, "birds", quiet=False) as progress:
        progress.add(1000)
    assert capsys.readouterr().err == "birds: 1,000 of 4,000 images, about 0 s left\n"
    with Progress(4000, "birds", quiet=True) as progress:
        progress.add(1000)
    assert capsys.readouterr().err == ""


# Loading.


def test_loaded_images_may_be_written_to_without_a_warning_and_without_reaching_the_file(tmp_path: Path) -> None:
    folder = prepared(write_folder(tmp_path / "images"), tmp_path / "cache")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(folder)
    before = int(data.train.images[0, 0, 0, 0])
    data.train.images[0, 0, 0, 0] = before ^ 255
    assert int(load(folder).train.images[0, 0, 0, 0]) == before


def test_a_folder_without_or_with_other_prepared_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no prepared data set"):
        load(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({"schema": 0}))
    with pytest.raises(ValueError, match="prepared under schema 0"):
        load(tmp_path)


def random_split(count: int) -> Split:
    images = torch.randint(0, 256, (count, 4, 4, 3), generator=torch.Generator().manual_seed(4))
    return split_of(images.to(torch.uint8))


def split_of(images: Tensor) -> Split:
    hashes = torch.from_numpy(decode_module.hashes_of(images.numpy()).astype(np.int64))
    return Split(images=images, labels=torch.zeros(len(images), dtype=torch.int64), hashes=hashes)


def test_a_tenth_of_the_images_is_held_out_whatever_their_order() -> None:
    split = random_split(5000)
    held = held_out(split)
    # Four standard deviations of a binomial count.
    assert abs(int(held.sum()) - 500) < 4 * (5000 * 0.1 * 0.9) ** 0.5
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(5))
    assert torch.equal(held_out(split_of(split.images[order])), held[order])
    assert not held_out(split, share=0).any()
    assert held_out(split, share=1).all()


def test_exact_duplicates_fall_on_one_side() -> None:
    images = random_split(200).images.repeat(2, 1, 1, 1)
    held = held_out(split_of(images))
    assert held.any()
    assert torch.equal(held[:200], held[200:])


def test_a_stratified_subset_takes_the_first_images_of_each_class_in_equal_shares() -> None:
    labels = torch.tensor([2, 0, 1, 0, 1, 2, 0, 1, 2])
    assert stratified(labels, 3).tolist() == [0, 1, 2]
    assert stratified(labels, 4).tolist() == [0, 1, 2, 3]  # the remainder goes to class 0
    assert stratified(labels, 9).tolist() == list(range(9))


def test_a_stratified_subset_keeps_unequal_classes_in_proportion() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [3] * 10)  # class 2 has none
    assert torch.bincount(labels[stratified(labels, 10)]).tolist() == [6, 3, 0, 1]
    for count in range(1, 101):
        chosen = stratified(labels, count)
        assert len(set(chosen.tolist())) == count
        assert torch.equal(chosen, chosen.sort().values)


@pytest.mark.parametrize("count", [0, 10])
def test_a_subset_that_cannot_be_taken_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} examples cannot be taken out of 9"):
        stratified(torch.zeros(9, dtype=torch.int64), count)


# Augmenting.


def drawn(seed: int = 0, *, epoch: int = 3, slack: int = 8, count: int = 4000) -> Draws:
    return draw(count, slack=slack, channels=3, stream=streams(seed), epoch=epoch)


def test_draws_are_uniform_over_every_position_and_normal_in_colour() -> None:
    draws = drawn()
    for positions in (draws.top, draws.left):
        counts = torch.bincount(positions, minlength=9)
        assert len(counts) == 9
        assert ((counts - 4000 / 9).abs() < 5 * (4000 / 9) ** 0.5).all()
    assert abs(draws.flip.double().mean().item() - 0.5) < 5 * 0.5 / 4000**0.5
    assert abs(draws.alphas.mean().item()) < 5 / 12000**0.5
    assert draws.alphas.std().item() == pytest.approx(1, abs=0.05)
    assert draws.alphas.dtype == torch.float32
    assert not torch.equal(draws.top, draws.left)


def test_draws_depend_on_the_seed_and_the_epoch_alone() -> None:
    torch.manual_seed(1)
    first = drawn()
    torch.manual_seed(2)
    again, other_seed, other_epoch = drawn(), drawn(1), drawn(epoch=4)
    for field in ("top", "left", "flip", "alphas"):
        assert torch.equal(getattr(first, field), getattr(again, field))
        assert not torch.equal(getattr(first, field), getattr(other_seed, field))
        assert not torch.equal(getattr(first, field), getattr(other_epoch, field))


def test_taking_the_slack_away_moves_no_other_draw() -> None:
    with_slack, without = drawn(), drawn(slack=0)
    assert not without.top.any()
    assert not without.left.any()
    assert torch.equal(with_slack.flip, without.flip)
    assert torch.equal(with_slack.alphas, without.alphas)


def test_every_field_has_a_stream_of_its_own() -> None:
    roles = []

    def recorded(role: str) -> torch.Generator:
        roles.append(role)
        return streams(0)(role)

    draw(5, slack=0, channels=1, stream=recorded, epoch=3)
    further = ["vertical_flip/3", "rotation/3", "rescaling/3", "translation/3", "pixel_noise/3"]
    assert roles == ["crop/3", "flip/3", "colour/3", *further]


def test_a_crop_larger_than_the_image_and_its_border_is_refused() -> None:
    with pytest.raises(ValueError, match="The crop is 2 pixels larger"):
        drawn(slack=-2)


@pytest.mark.parametrize(("size", "pad", "channels"), [(8, 0, 3), (8, 4, 3), (5, 0, 3), (5, 7, 3), (10, 2, 1)])
def test_a_crop_is_a_slice_of_torch_s_reflected_image(size: int, pad: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(6)
    images = torch.randint(0, 256, (7, 8, 8, channels), generator=generator).to(torch.uint8)
    index = torch.tensor([3, 0, 6, 3, 5])
    top, left = (torch.randint(0, 8 + 2 * pad - size + 1, (5,), generator=generator) for _ in range(2))
    flip = torch.tensor([True, False, True, False, True])
    found = crop(images, index, top, left, flip, size=size, pad=pad)
    padded = F.pad(images.permute(0, 3, 1, 2).float(), [pad] * 4, mode="reflect").permute(0, 2, 3, 1)
    for number in range(5):
        row, column = int(top[number]), int(left[number])
        expected = padded[index[number], row : row + size, column : column + size]
        expected = torch.flip(expected, [1]) if flip[number] else expected
        assert torch.equal(found[number].float(), expected)
    assert found.dtype == torch.uint8


@pytest.mark.parametrize(("stored", "seen", "offset"), [(256, 224, 16), (32, 32, 0), (9, 6, 1)])
def test_the_centre_crop_has_equal_margins(stored: int, seen: int, offset: int) -> None:
    assert views("centre", stored - seen) == ((offset, offset, False),)


def inputs(data: Data, size: int, alphas: Tensor | None = None, **changes: Any) -> Tensor:
    return to_input(data.test.images[:, :size, :size], data, spec_of(**changes), alphas)


def test_inputs_lose_the_mean_colour_and_are_divided_by_the_deviation(data: Data) -> None:
    pixels = data.test.images.permute(0, 3, 1, 2).double()
    expected = pixels - data.mean.double()[:, None, None]
    assert torch.allclose(inputs(data, 8, unit_scale=False).double(), expected, atol=1e-4)
    assert torch.allclose(inputs(data, 8).double(), expected / data.std, atol=1e-5)
    assert data.test.images.dtype == torch.uint8


def test_inputs_are_in_channels_last_layout(data: Data) -> None:
    found = inputs(data, 8)
    assert found.shape == (10, 3, 8, 8)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_mean_image_is_cut_at_its_centre(data: Data) -> None:
    expected = data.test.images[:, :6, :6].float() - data.mean_image[1:7, 1:7]
    assert torch.equal(inputs(data, 6, mean_image=True, unit_scale=False), expected.permute(0, 3, 1, 2))


def test_a_mean_image_smaller_than_the_crop_is_reflected(data: Data) -> None:
    pixels = torch.zeros(1, 10, 10, 3, dtype=torch.uint8)
    found = to_input(pixels, data, spec_of(mean_image=True, unit_scale=False), None)
    expected = F.pad(data.mean_image.permute(2, 0, 1)[None], [1] * 4, mode="reflect")
    assert torch.equal(-found, expected)


@pytest.mark.parametrize("unit", ["std", "variance"])
def test_colour_noise_moves_an_image_along_the_principal_components(unit: str, data: Data) -> None:
    alphas = torch.randn(10, 3, generator=torch.Generator().manual_seed(7))
    kept = {"unit_scale": False, "pca_unit": unit}
    noise = inputs(data, 8, alphas, pca_jitter=0.1, **kept) - inputs(data, 8, None, **kept)
    deviations = data.component_deviations.double()
    # 4.1: [p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T, worked out for one image at a time.
    scale = deviations if unit == "std" else deviations * deviations / 255
    for image, alpha in zip(noise, alphas, strict=True):
        expected = sum(data.components[:, k].double() * alpha[k].double() * 0.1 * scale[k] for k in range(3))
        assert torch.allclose(image.double(), torch.as_tensor(expected)[:, None, None].expand(3, 8, 8), atol=1e-3)


def test_no_noise_without_jitter(data: Data) -> None:
    alphas = torch.ones(10, 3)
    assert torch.equal(inputs(data, 8, alphas, pca_jitter=0.0), inputs(data, 8))


def test_an_unknown_pca_unit_is_refused(data: Data) -> None:
    with pytest.raises(ValueError, match=r"unknown PCA unit 'varience'; did you mean 'variance'\?"):
        inputs(data, 8, torch.ones(10, 3), pca_unit="varience")


def test_greyscale_data_have_one_principal_component(tmp_path: Path) -> None:
    data = load(prepare(DEFAULT, data_root=None, size=28, cache=tmp_path, quiet=True))
    assert data.components.tolist() == [[1.0]]
    assert data.component_deviations.item() == pytest.approx(data.std)
    where = torch.arange(4)
    pixels = crop(data.train.images, where, where, where, where > 1, size=28, pad=2)
    found = to_input(pixels, data, spec_of(), torch.ones(4, 1))
    assert found.shape == (4, 1, 28, 28)


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs /proc")
def test_the_images_are_mapped_and_not_read(tmp_path: Path) -> None:
    folder = prepared(write_folder(tmp_path / "images"), tmp_path / "cache")
    data = load(folder)
    assert str(folder / "train_images.npy") in Path("/proc/self/maps").read_text()
    assert data.train.images.is_contiguous()
