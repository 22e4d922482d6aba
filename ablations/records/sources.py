"""The sources that decided a study's trials, kept beside its records: results/<study>/code/<digest>.tar.gz.

The same files always give the same archive, because entries are sorted and hold neither times nor owners.  A file
larger than `LARGEST` is replaced by its checksum.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from ablations.records.files import replaced

LARGEST = 2**20  # most bytes of a file that is kept: a larger one holds data rather than source code
CHECKSUM = ".sha256"  # ending of an entry that holds the checksum of a larger file


def sources_path(folder: Path, digest: str) -> Path:
    """Returns where the sources with this digest lie in the study's folder."""
    return folder / "code" / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', digest)}.tar.gz"


def write_sources(folder: Path, digest: str, files: Mapping[str, bytes]) -> Path:
    """Writes the archive of `files`, name -> content, unless it is there already, and returns its path."""
    path = sources_path(folder, digest)
    if path.exists():
        return path
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(shortened(files).items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with replaced(path) as file:
        file.write(buffer.getvalue())
    return path


def shortened(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns `files` with the checksums of those that are too large in place of their content."""
    return {
        name if len(content) <= LARGEST else f"{name}{CHECKSUM}": content
        if len(content) <= LARGEST
        else hashlib.sha256(content).hexdigest().encode()
        for name, content in files.items()
    }


def read_sources(folder: Path, digest: str) -> dict[str, bytes] | None:
    """Returns name -> content of the files that were kept; None if there is no archive, or none that can be read."""
    found = {}
    try:
        with tarfile.open(sources_path(folder, digest), "r:gz") as archive:
            for entry in archive:
                if entry.isfile() and (file := archive.extractfile(entry)):
                    found[entry.name] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error):
        return None
    return found
