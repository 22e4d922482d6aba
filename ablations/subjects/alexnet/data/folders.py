"""Lists the images in a folder of class folders, with their classes, without opening any of them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from ablations.core.errors import InputError, acting, shortened, shown
from ablations.core.text import few

# The suffixes of files that count as images.  Which format a file has is decided by its content.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
KINDS = "JPEG, PNG, WebP, BMP, GIF, TIFF or PPM"


@dataclass(frozen=True, kw_only=True)
class Files:
    """The image files of one split, ordered by subfolder and then by name.

    They are kept as names of some 80 bytes each, because a million `Path`s would take a gigabyte.
    """

    folder: Path
    names: Mapping[str, Sequence[str]]  # subfolder -> names, both in alphabetical order; a name may be `deeper/0.png`
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason, such as ".heic" -> number of files not used

    def __len__(self) -> int:
        """The number of files."""
        return sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """The number of files in each subfolder."""
        return [len(names) for names in self.names.values()]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.counts))

    def paths(self, start: int, stop: int) -> list[str]:
        """Returns the paths of the files with the numbers from `start` up to, but not including, `stop`."""
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
        """Yields one line per file: its path, size and time of change.  Raises InputError when one is gone."""
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
    """The image files of a train/ folder and of a test/ or val/ folder.

    Their subfolders are the classes, and are the same in both.
    """

    train: Files
    test: Files

    def listing(self) -> Iterator[str]:
        """Yields one line per file of both splits."""
        yield from self.train.lines()
        yield from self.test.lines()

    def remarks(self) -> list[str]:
        """Returns sentences on the splits in which some files are not used or lie deeper than in a class folder.

        A folder that is not used because another split was chosen gets a sentence too.
        """
        used = self.test.folder
        others = [folder for name in ("test", "val") if (folder := used.parent / name).is_dir() and folder != used]
        return [
            *(words for files in (self.train, self.test) if (words := remark(files))),
            *(f"{folder}: not used, {used.name}/ is." for folder in others),
        ]


def remark(files: Files) -> str:
    """Says how many images of `files` are used and what about them may surprise; empty if nothing does.

    That is images that lie deeper than in their class folder, classes without images, and files that are left out.
    """
    deeper = sum("/" in name for names in files.names.values() for name in names)
    words = [f"{deeper:,} of them in folders within class folders"] if deeper else []
    words += [f"none of {few(empty, 5)}"] if (empty := _empty(files)) else []
    if files.left_out:
        words += [f"{sum(files.left_out.values()):,} left out: {_counted(files.left_out)}"]
    return f"{files.folder}: {len(files):,} images used, {'; '.join(words)}." if words else ""


def _counted(left_out: Mapping[str, int]) -> str:
    """Writes `30 .heic, 2 hidden`, the most frequent reason first."""
    commonest = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return few([f"{count:,} {why}" for why, count in commonest], 5)


def splits(path: Path) -> tuple[Path, Path]:
    """Returns the training and the test folder of `path`: train/, and test/ or else val/.

    A test/ without class folders does not count, since ImageNet's test images have no labels.
    Raises InputError when one is missing.
    """
    if not os.path.isdir(path):  # unlike Path.is_dir, this is False rather than an error for a name that is too long
        what = "is a file, and no folder with train/ in it" if os.path.exists(path) else "does not exist"
        raise InputError(f"The folder {shortened(str(path))} {what}.")
    if not (path / "train").is_dir():
        raise InputError(f"The folder {path} has no train/ in it.")
    candidates = [path / name for name in ("test", "val") if (path / name).is_dir()]
    if not candidates:
        raise InputError(f"The folder {path} has neither test/ nor val/ in it.")
    return path / "train", next((folder for folder in candidates if class_folders(folder)), candidates[-1])


def class_folders(folder: Path) -> list[Path]:
    """Returns the visible subfolders of `folder` in alphabetical order.  Raises InputError on a dead link."""
    names = []
    with os.scandir(folder) as entries:  # scandir knows what is a folder without asking the disk about 50,000 files
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                names.append(entry.name)
            elif entry.is_symlink() and not entry.is_file():
                raise _dead(entry)
    return [folder / name for name in sorted(names)]


def scan(path: Path) -> Folders:
    """Returns the image files of the folder `path`, without opening them.

    Raises InputError, in one sentence, when it is not laid out as a data set.
    """
    train, test = splits(path)
    found = Folders(train=by_class(train), test=by_class(test))
    if differing := sorted(found.train.names.keys() ^ found.test.names.keys()):
        raise InputError(f"Only one of {train} and {test} has the class folders {few(differing, 5)}.")
    if acted := next((name for name in found.train.names if acting(name)), ""):
        raise InputError(f"The folder {train} has a class called {shown(acted)}: rename it, without {acting(acted)!r}.")
    if len(found.train.names) < 2:
        [only] = found.train.names
        raise InputError(f"The folder {train} has only one class, {only}: there is nothing to distinguish it from.")
    for files in (found.train, found.test):
        empty = _empty(files)
        if empty and (files is found.train or not len(files)):
            left_out = f"; left out are {_counted(files.left_out)}" if files.left_out else ""
            raise InputError(f"The folder {files.folder} has no {KINDS} image of {few(empty, 5)}{left_out}.")
    return found


def _empty(files: Files) -> list[str]:
    """Returns the classes without images."""
    return [name for name, inside in files.names.items() if not inside]


def by_class(folder: Path) -> Files:
    """Returns the images in the class folders of `folder`, at any depth.

    Raises InputError when it has no class folders.
    """
    if classes := class_folders(folder):
        left_out = _beside(folder)
        return Files(folder=folder, names={path.name: _within(path, left_out) for path in classes}, left_out=left_out)
    archives = sorted(path.name for path in folder.glob("*.tar"))
    hint = f": unpack {few(archives, 5)}, each into a folder of its own" if archives else ""
    raise InputError(f"The folder {folder} has no class folders in it{hint}.")


def image_names(folder: Path) -> list[str]:
    """Returns the names of the visible images in `folder` itself, in alphabetical order."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.is_dir() and _is_image(entry))


def _beside(folder: Path) -> Counter[str]:
    """Counts what in `folder`, beside its class folders, is not used: files, hidden images and hidden folders."""
    left_out: Counter[str] = Counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                left_out.update(_hidden(entry))
            elif not entry.is_dir():
                left_out["beside the class folders"] += 1
    return left_out


def _within(folder: Path, left_out: Counter[str]) -> list[str]:
    """Returns the images of one class as paths relative to its `folder`, in alphabetical order.

    Other files are counted in `left_out`.  Raises InputError on a circle of links.
    """
    names: list[str] = []
    # Each folder waits with the identities (device, inode) of the folders above it: links to folders are followed, and
    # one that leads to a folder above it would never end.
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        inside, above = waiting.pop()
        place = folder / inside
        status = place.stat()
        if (here := (status.st_dev, status.st_ino)) in above:
            raise InputError(f"The folder {place} is a link to a folder that it lies in; remove it.")
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    left_out.update(_hidden(entry))
                elif entry.is_dir():
                    waiting.append((f"{inside}{entry.name}/", above | {here}))
                elif _is_image(entry):
                    names.append(f"{inside}{entry.name}")
                else:
                    left_out[_kind(entry.name)] += 1
    return sorted(names)


def _kind(name: str) -> str:
    """Returns the suffix of a file that is left out, or a word for it if it has none or cannot be printed."""
    suffix = os.path.splitext(name)[1].lower()
    if not suffix:
        return "without a suffix"
    return suffix if len(suffix) <= 10 and suffix.isprintable() else "of other suffixes"


def _has_suffix(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _hidden(entry: os.DirEntry[str]) -> list[str]:
    """Returns the reason under which a hidden entry is counted, if it may hold images."""
    if entry.is_dir():
        return ["hidden folders"]
    return ["hidden"] if _has_suffix(entry.name) else []


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Tells by its suffix whether an entry that is not a folder is an image; hidden ones never are.

    Raises InputError on a dead link with the suffix of an image or without any, and on an entry with such a suffix that
    is no regular file.
    """
    suffixed = _has_suffix(entry.name)
    if entry.name.startswith(".") or not (suffixed or entry.is_symlink()):
        return False
    if entry.is_file():
        return suffixed
    if entry.is_symlink() and (suffixed or "." not in entry.name):  # a name without a suffix may have been a folder's
        raise _dead(entry)
    if suffixed:
        raise InputError(f"The image {entry.path} is no regular file; remove it.")
    return False


def _dead(entry: os.DirEntry[str]) -> InputError:
    return InputError(
        f"The link {entry.path} leads to {os.readlink(entry.path)}, which is not there; repair or remove it."
    )
