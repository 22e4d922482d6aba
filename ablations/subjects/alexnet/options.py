"""AlexNet's own command-line options: the reference, the images, and how long a trial is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from ablations.core.errors import InputError, at_home, shown, unknown
from ablations.core.limits import Bounds, check_local, check_numbers, is_there
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.data.catalogue import DATASETS, DEFAULT, FOLDER, dataset, folder_of
from ablations.subjects.alexnet.setting import PRECISIONS

# For options whose default is None: --help shows only their type, and their description says what the default is.
_INT, _FLOAT, _STR, _PATH = (
    tyro.conf.arg(metavar=word, help_behavior_hint="") for word in ("INT", "FLOAT", "STR", "PATH")
)
# The values of options that neither the command line nor the grid gives.
USUAL: dict[str, str | int | float] = {
    "preset": "cifar_small",
    # With fewer epochs, or larger batches, the reference hardly beats a linear classifier on the embedded images.
    "epochs": 10,
    "batch_size": 64,
}
NUMBERS: Mapping[str, Bounds] = {
    "epochs": Bounds(1, 100_000),
    "train_examples": Bounds(1, 10**9),
    "batch_size": Bounds(1, 10**6),
    "learning_rate": Bounds(1e-9, 100),
    "image_size": Bounds(8, 2048),
    "base_size": Bounds(1, 4096),
    "threshold_every": Bounds(1, 10**9),
    "evaluate_every": Bounds(1, 10**6),
    "memory_budget": Bounds(0, 10**6, "GiB"),
    "read_window": Bounds(0, 10**12),
}


@dataclass(frozen=True, kw_only=True)
class ReferenceOptions:
    """Options on the reference, and on the error that is timed."""

    group: ClassVar[str] = "study"
    preset: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="STR",
            help_behavior_hint="",
            help=f"The reference: {', '.join(PRESETS)} (default: cifar_small, or the grid's own).",
        ),
    ] = None
    learning_rate: Annotated[float | None, _FLOAT] = None
    """Learning rate of the reference (default: the preset's, or the grid's own); --tune searches around it."""
    threshold: Annotated[float | None, _FLOAT] = None
    """Training error in percent; the steps to reach it are measured (default: none, or the grid's own)."""
    threshold_every: int = 50
    """Steps between two measurements of that error."""
    stop_at_threshold: bool = False
    """End a trial when it reaches the threshold, and evaluate it only then."""


@dataclass(frozen=True, kw_only=True)
class ImagesOptions:
    """Options on the images."""

    group: ClassVar[str] = "data"
    dataset: Annotated[str, tyro.conf.arg(help=f"{', '.join(DATASETS)}, or folder:PATH.")] = DEFAULT
    data_root: Annotated[Path | None, _PATH] = None
    """The folder that holds data sets, or to which they are downloaded."""
    train_examples: Annotated[int | None, _INT] = None
    """Training images per epoch (default: all)."""
    image_size: Annotated[int | None, _INT] = None
    """Pixels a side of the images that the network sees (default: the preset's, or the data set's if smaller)."""
    base_size: Annotated[int | None, _INT] = None
    """Pixels a side of the stored images, from which crops are taken (default: by the preset's ratio, 256 for 224)."""
    evaluate_on: str = "test"
    """test, or validation: a tenth of the training images that is held out. Use validation to make choices."""
    read_window: Annotated[int | None, _INT] = None
    """Images that are shuffled together, so that a disk reads neighbours in one go; 0: all of them; part of a trial's
    key (default: 0, or about 3 GiB of images if they do not fit into memory)."""


@dataclass(frozen=True, kw_only=True)
class LengthOptions:
    """Options on the length of a trial."""

    group: ClassVar[str] = "time"
    epochs: Annotated[int | None, _INT] = None
    """Passes over the training images (default: 10, or the grid's own, or what --budget picks)."""
    batch_size: Annotated[int | None, _INT] = None
    """Images per step (default: 64, or the grid's own)."""
    evaluate_every: int = 1
    """Epochs from one evaluation to the next; the last epoch always ends with one."""


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Options on the use of a GPU."""

    group: ClassVar[str] = "hardware"
    precision: str = PRECISIONS[0]
    """Precision of products in training steps on a GPU: float32, tf32 or bf16; part of a trial's key."""
    memory_budget: Annotated[float | None, _FLOAT] = None
    """GiB of GPU memory for a trial's images; if they need more, they are read from disk (default: half of the trial's
    share)."""


@dataclass(frozen=True, kw_only=True)
class KeptOptions:
    """Options on what trials leave behind."""

    group: ClassVar[str] = "output"
    keep_weights: bool = False
    """Keep the final weights of each trial beside its record, and show them in MLflow; --dry-run says how large."""


@dataclass(frozen=True, kw_only=True)
class Options(KeptOptions, DeviceOptions, LengthOptions, ImagesOptions, ReferenceOptions):
    """AlexNet's own options, in groups; `group` names the one of `--help` under which each is shown."""


def check(options: Options) -> None:
    """Checks the options as far as that is possible before any data are read, and raises InputError on the first error.

    It creates no file or folder.
    """
    check_numbers(options, NUMBERS)
    dataset(options.dataset)
    for kind, value, allowed in (
        ("preset", options.preset or str(USUAL["preset"]), PRESETS),
        ("value of --evaluate-on", options.evaluate_on, ("test", "validation")),
        ("precision", options.precision, PRECISIONS),
    ):
        if value not in allowed:
            raise unknown(kind, value, allowed)
    if options.threshold is not None and not 0 <= options.threshold < 100:
        raise InputError(f"--threshold is {options.threshold:g}; it is a percentage of 0 or more and below 100.")
    if options.stop_at_threshold and options.threshold is None:
        raise InputError("--stop-at-threshold needs a --threshold, such as 25.")
    check_local("--data-root", options.data_root)
    if options.data_root is not None and not is_there(options.data_root, "--data-root", os.path.isdir):
        what = "is no folder" if os.path.lexists(options.data_root) else "does not exist"
        raise InputError(f"--data-root {shown(options.data_root)} {what}: make the folder, or leave the option out.")


def home(options: Options) -> dict[str, Path | str]:
    """Returns the options that are paths, by name, with `~` replaced by the home folder."""
    paths: dict[str, Path | str] = {"data_root": at_home(options.data_root)} if options.data_root else {}
    if options.dataset.startswith(f"{FOLDER}~"):
        paths["dataset"] = f"{FOLDER}{at_home(options.dataset.removeprefix(FOLDER))}"
    return paths


def called(options: Options) -> tuple[str, ...]:
    """Returns the words of the default study name that these options give: the data set and the preset."""
    return folder_of(options.dataset).name, options.preset or str(USUAL["preset"])
