"""The sources that decided a study's trials, kept beside its records: results/<study>/code/<digest>.tar.gz.

The same files give the same bytes: names in order, no times, no owners.  Of a file above `LARGEST` only a checksum is
kept.
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

LARGEST = 2**20  # bytes of a file: data that a string names are no source
CHECKSUM = ".sha256"


def sources_path(folder: Path, digest: str) -> Path:
    """Where the sources with this digest lie in the study's folder."""
    return folder / "code" / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', digest)}.tar.gz"


def write_sources(folder: Path, digest: str, files: Mapping[str, bytes]) -> Path:
    """The archive of `files`, name -> content; one that is there already stays."""
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
    """`files` with a checksum in the place of what is too large to be kept."""
    return {
        name if len(content) <= LARGEST else f"{name}{CHECKSUM}": content
        if len(content) <= LARGEST
        else hashlib.sha256(content).hexdigest().encode()
        for name, content in files.items()
    }


def read_sources(folder: Path, digest: str) -> dict[str, bytes] | None:
    """Name -> content of what was kept; None where there is nothing, or nothing that can be read."""
    found = {}
    try:
        with tarfile.open(sources_path(folder, digest), "r:gz") as archive:
            for entry in archive:
                if entry.isfile() and (file := archive.extractfile(entry)):
                    found[entry.name] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error):
        return None
    return found
