"""A folder of class folders -> the paths of its images and their labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ablations.names import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Files = dict[str, list["os.DirEntry[str]"]]  # class -> images, both in alphabetical order


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The image files of a train/ and of a test/ or val/ folder, by class; classes are the same in both."""

    train: Files
    test: Files

    def listing(self) -> Iterator[str]:
        """One line a file: its path, bytes and time of change."""
        for files in (self.train, self.test):
            for entry in (entry for entries in files.values() for entry in entries):
                status = entry.stat()
                yield f"{entry.path}\t{status.st_size}\t{status.st_mtime_ns}"


def splits(path: Path) -> tuple[Path, Path]:
    """The training and the test folder of `path`: train/, and test/ or else val/.

    A test/ without class folders does not count, since ImageNet's has no labels.
    Raises InputError when one is missing.
    """
    if not path.is_dir():
        raise InputError(f"The folder {path} does not exist.")
    if not (path / "train").is_dir():
        raise InputError(f"The folder {path} has no train/ in it.")
    candidates = [path / name for name in ("test", "val") if (path / name).is_dir()]
    if not candidates:
        raise InputError(f"The folder {path} has neither test/ nor val/ in it.")
    return path / "train", next((folder for folder in candidates if class_folders(folder)), candidates[0])


def class_folders(folder: Path) -> list[Path]:
    """The subfolders of `folder` in alphabetical order, hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def scan(path: Path) -> Folders:
    """The image files of the folder `path`, none of them opened.

    Raises InputError, in one sentence, when it is not laid out as a data set.
    """
    train, test = splits(path)
    found = Folders(train=_files(train), test=_files(test))
    if differing := sorted(found.train.keys() ^ found.test.keys()):
        raise InputError(f"Only one of {train} and {test} has the class folders {_some(differing)}.")
    if empty := [name for name, entries in found.train.items() if not entries]:
        raise InputError(f"The folder {train} has no JPEG, PNG or WebP image of {_some(empty)}.")
    if not any(found.test.values()):
        raise InputError(f"The folder {test} has no JPEG, PNG or WebP image.")
    return found


def _files(folder: Path) -> Files:
    classes = class_folders(folder)
    if not classes:
        raise InputError(f"The folder {folder} has no class folders in it.")
    return {path.name: _images(path) for path in classes}


def _images(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        images = [entry for entry in entries if entry.name.lower().endswith(SUFFIXES) and entry.is_file()]
    return sorted((entry for entry in images if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
