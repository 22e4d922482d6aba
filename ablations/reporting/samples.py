"""Writes and reads the picture of examples that a report shows: results/<study>/samples.png, made when a study is run.

It is one small PNG with a row of tiles for each example.  The words and labels beside them are kept in the PNG's text
"Description", because a report is often made where there are neither the data nor the subject's libraries.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from ablations.core.samples import Samples
from ablations.records.files import replaced

LARGEST = 45_000  # bytes, which are 60,000 of a page's text: a report is mailed
SIDES = (96, 80, 64, 56, 48, 40, 32, 24)  # pixels of a tile; the first that fits is taken
GAP = 2  # transparent pixels between tiles
DESCRIPTION = "Description"  # one of the names of texts in PNG's own standard (W3C 2003, section 11.3.4.2)
CLEAR = 255  # the index of the transparent colour

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture of examples, as it lies in a study's folder."""

    title: str
    words: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    pixels: Array  # (height, width, 4) uint8, all tiles with the gaps between them: red, green, blue, opacity


def samples_path(folder: Path) -> Path:
    """Returns the path of the picture in the study's folder."""
    return folder / "samples.png"


def write_samples(folder: Path, samples: Samples) -> Path:
    """Writes the picture, with fewer than `LARGEST` bytes; returns its path.

    Raises ValueError if the images do not fit their labels, or are too many.
    """
    words = {name: getattr(samples, name) for name in ("title", "words", "rows", "columns")}
    if [len(row) for row in samples.images] != [len(samples.columns)] * len(samples.rows) or not samples.columns:
        raise ValueError("samples need an image for each of their rows and columns.")
    tiles = [[Image.fromarray(np.ascontiguousarray(image)).convert("RGB") for image in row] for row in samples.images]
    own = max(max(tile.size) for row in tiles for tile in row)
    text = PngImagePlugin.PngInfo()
    text.add_itxt(DESCRIPTION, json.dumps(words))
    for side in sorted({min(own, SIDES[0]), *(side for side in SIDES if side < own)}, reverse=True):
        buffer = io.BytesIO()
        _sheet(tiles, side, own).save(buffer, "png", optimize=True, transparency=CLEAR, pnginfo=text)
        if buffer.tell() < LARGEST:
            with replaced(samples_path(folder)) as file:
                file.write(buffer.getvalue())
            return samples_path(folder)
    raise ValueError(f"{len(samples.rows)} x {len(samples.columns)} samples are more than {LARGEST:,} bytes can show.")


def _sheet(tiles: Sequence[Sequence[Image.Image]], side: int, own: int) -> Image.Image:
    """Returns all tiles as one picture in 255 colours.

    Every tile is scaled by the same factor, which makes the largest one, of `own` pixels a side, `side` pixels large.
    """
    step = side + GAP
    sheet = Image.new("RGB", (len(tiles[0]) * step - GAP, len(tiles) * step - GAP))
    seen = Image.new("L", sheet.size, 255)
    for row, images in enumerate(tiles):
        for column, image in enumerate(images):
            width, height = (max(1, round(length * side / own)) for length in image.size)
            place = (column * step + (side - width) // 2, row * step + (side - height) // 2)
            sheet.paste(image.resize((width, height), Image.Resampling.LANCZOS), place)
            seen.paste(0, (*place, place[0] + width, place[1] + height))
    few = sheet.quantize(CLEAR)
    colours = bytes(few.getpalette() or ())[: 3 * CLEAR]
    few.putpalette(colours.ljust(3 * (CLEAR + 1), b"\0"))
    few.paste(CLEAR, mask=seen)
    return few


def read_samples(folder: Path) -> Sheet | None:
    """Returns the picture of a study; None if none was made.  Raises ValueError if it cannot be read."""
    path = samples_path(folder)
    if not path.is_file():
        return None
    try:
        with Image.open(path, formats=["png"]) as image:
            words = json.loads(image.text[DESCRIPTION])  # type: ignore[attr-defined]
            pixels = np.asarray(image.convert("RGBA"))
        rows, columns = (tuple(map(str, words[name])) for name in ("rows", "columns"))
        if not rows or not columns:
            raise ValueError("it names no examples")
        return Sheet(title=str(words["title"]), words=str(words["words"]), rows=rows, columns=columns, pixels=pixels)
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from None
