"""The figure of examples as trials get them: a row of tiles for each example, with labels for rows and columns."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ablations.reporting.figures import style
from ablations.reporting.samples import Sheet

LABELS, HEAD = 1.0, 0.28  # inches to the left of the tiles, and above them
WRAP = 12  # characters of a line of a label


@style.styled
def samples(sheet: Sheet) -> Figure:
    """Draws the tiles with their labels on the left and the names of the columns above."""
    high, wide = sheet.pixels.shape[:2]
    width = style.WIDTH - LABELS
    height = width * high / wide
    figure = Figure(figsize=(style.WIDTH, height + HEAD))
    axes = figure.add_axes((LABELS / style.WIDTH, 0, width / style.WIDTH, height / (height + HEAD)))
    axes.imshow(sheet.pixels, interpolation="none", aspect="auto")
    axes.set_xticks(_middles(wide, len(sheet.columns)), [style.wrapped(word, 14) for word in sheet.columns])
    axes.set_yticks(_middles(high, len(sheet.rows)), [style.wrapped(word, WRAP) for word in sheet.rows])
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def _middles(pixels: int, count: int) -> list[float]:
    return [(place + 0.5) * pixels / count - 0.5 for place in range(count)]


def lighter(svg: str) -> str:
    """Returns `svg` with the same images in a third of the bytes: with a palette in place of four bytes a pixel."""

    def fewer(found: re.Match[str]) -> str:
        with Image.open(io.BytesIO(base64.b64decode(found.group(1)))) as image:
            pixels = np.asarray(image.convert("RGBA"))
        colours, which = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
        if len(colours) > 256:
            return found.group()
        small = Image.fromarray(which.reshape(pixels.shape[:2]).astype(np.uint8))
        small.putpalette(colours[:, :3].tobytes())
        buffer = io.BytesIO()
        small.save(buffer, "png", optimize=True, transparency=colours[:, 3].tobytes())
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", fewer, svg)
