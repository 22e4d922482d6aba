"""A folder of class folders -> the names of its images and their classes; none of them is opened."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from ablations.names import InputError, acting, shortened, shown

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, kw_only=True)
class Files:
    """The image files of one split, in order: by subfolder, then by name.

    Held as names, some 80 bytes each; a million `Path`s would take a gigabyte.
    """

    folder: Path
    names: Mapping[str, Sequence[str]]  # subfolder -> names, both in alphabetical order

    def __len__(self) -> int:
        """How many files there are."""
        return sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """How many files each subfolder has."""
        return [len(names) for names in self.names.values()]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.counts))

    def paths(self, start: int, stop: int) -> list[str]:
        """The paths of the files `start` to `stop`, the latter excluded."""
        found: list[str] = []
        subfolders = list(self.names)
        at = bisect_right(self._ends, start)
        while start + len(found) < stop and at < len(subfolders):
            names = self.names[subfolders[at]]
            first = start + len(found) - (self._ends[at] - len(names))
            folder = os.path.join(self.folder, subfolders[at])
            found += [f"{folder}/{name}" for name in names[first : first + stop - start - len(found)]]
            at += 1
        return found

    def lines(self) -> Iterator[str]:
        """One line a file: its path, bytes and time of change.  Raises InputError when one is gone."""
        for subfolder, names in self.names.items():
            folder = self.folder / subfolder
            for name in names:
                path = f"{folder}/{name}"
                try:
                    status = os.stat(path)
                except OSError as error:
                    raise InputError(f"The image {path} cannot be read: {error.strerror}.") from error
                yield f"{path}\t{status.st_size}\t{status.st_mtime_ns}"


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The image files of a train/ and of a test/ or val/ folder; their subfolders are the classes, alike in both."""

    train: Files
    test: Files

    def listing(self) -> Iterator[str]:
        """One line a file of both splits."""
        yield from self.train.lines()
        yield from self.test.lines()


def splits(path: Path) -> tuple[Path, Path]:
    """The training and the test folder of `path`: train/, and test/ or else val/.

    A test/ without class folders does not count, since ImageNet's has no labels.
    Raises InputError when one is missing.
    """
    if not os.path.isdir(path):  # which, unlike Path, says no where the name is too long to be one
        what = "is a file, and no folder with train/ in it" if os.path.exists(path) else "does not exist"
        raise InputError(f"The folder {shortened(str(path))} {what}.")
    if not (path / "train").is_dir():
        raise InputError(f"The folder {path} has no train/ in it.")
    candidates = [path / name for name in ("test", "val") if (path / name).is_dir()]
    if not candidates:
        raise InputError(f"The folder {path} has neither test/ nor val/ in it.")
    return path / "train", next((folder for folder in candidates if class_folders(folder)), candidates[-1])


def class_folders(folder: Path) -> list[Path]:
    """The subfolders of `folder` in alphabetical order, hidden ones left out."""
    with os.scandir(folder) as entries:  # 50,000 loose files are not looked at one by one
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return [folder / name for name in names]


def scan(path: Path) -> Folders:
    """The image files of the folder `path`, none of them opened.

    Raises InputError, in one sentence, when it is not laid out as a data set.
    """
    train, test = splits(path)
    found = Folders(train=by_class(train), test=by_class(test))
    if differing := sorted(found.train.names.keys() ^ found.test.names.keys()):
        raise InputError(f"Only one of {train} and {test} has the class folders {some(differing)}.")
    if empty := [name for name, files in found.train.names.items() if not files]:
        raise InputError(f"The folder {train} has no JPEG, PNG or WebP image of {some(empty)}.")
    if acted := next((name for name in found.train.names if acting(name)), ""):
        raise InputError(f"The folder {train} has a class called {shown(acted)}: rename it, without {acting(acted)!r}.")
    if len(found.train.names) == 1:
        only = next(iter(found.train.names))
        raise InputError(f"The folder {train} has one class alone, {only}: there is nothing to tell it from.")
    if not len(found.test):
        raise InputError(f"The folder {test} has no JPEG, PNG or WebP image.")
    return found


def by_class(folder: Path) -> Files:
    """The images in the class folders of `folder`.  Raises InputError when it has none."""
    if classes := class_folders(folder):
        return Files(folder=folder, names={path.name: image_names(path) for path in classes})
    archives = sorted(path.name for path in folder.glob("*.tar"))
    hint = f": unpack {some(archives)}, each into a folder of its own" if archives else ""
    raise InputError(f"The folder {folder} has no class folders in it{hint}.")


def image_names(folder: Path) -> list[str]:
    """The names of the images that lie in `folder` itself, in alphabetical order, hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
        )


def some(names: Sequence[str]) -> str:
    """The first five of `names`, and how many more there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
