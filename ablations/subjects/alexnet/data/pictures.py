"""One image file -> one 8-bit picture, as a viewer would show it.

Whatever the file holds has one meaning here, the same for each file of a folder, so that two images can be compared:

- turned as its EXIF orientation says;
- 16-bit grey by its high byte, as Pillow reads 16-bit colour: 65535 is 255, whatever is the largest value of the image;
- transparent pixels on white;
- the first frame or page;
- CMYK without a colour profile.

What has no known range (32-bit and floating-point grey) is refused.  Plain 8-bit RGB and grey stay bit for bit as
they are stored.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from PIL import ExifTags, Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM")  # what is looked for, whatever the suffix
# EXIF 2.32, 4.6.4 A: where the first row and column are seen -> how stored pixels are turned to be seen so.
TURNS: Mapping[int, Image.Transpose] = MappingProxyType({
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
})  # fmt: skip
BITS, PHOTOMETRIC = 258, 262  # tags of TIFF 6.0, section 8


def picture(path: str, mode: str) -> Image.Image:
    """The image in the file `path` in Pillow's `mode`, RGB or L, upright.

    Raises whatever Pillow raises on a broken file, and ValueError on values of no known range.
    """
    with Image.open(path, formats=FORMATS) as image:
        image.load()  # Pillow turns a TIFF here
        turn = TURNS.get(_orientation(image))
        flat = _flat(image).convert(mode)
    return flat if turn is None else flat.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """Its EXIF (or XMP) orientation; 1, as stored, where there is none or none that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    # What Pillow itself expects of metadata that cameras and editors garbled; the pixels are whole.
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError, ZeroDivisionError):
        return 1


def _flat(image: Image.Image) -> Image.Image:
    """`image` in eight bits a channel and without transparency."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _high_byte(image)
    if image.mode in ("I", "F"):
        kind = "floating-point numbers" if image.mode == "F" else "whole numbers that have a sign or 32 bits"
        raise ValueError(f"its pixels are {kind}, whose range is not known; save it with 8 bits, or 16 without a sign")
    if not image.has_transparency_data:
        return image
    solid = image.convert("RGBA")
    on_white = Image.new("RGB", image.size, "white")
    on_white.paste(solid, mask=solid.getchannel("A"))
    return on_white


def _high_byte(image: Image.Image) -> Image.Image:
    """A 16-bit grey image in eight bits.  Pillow gives PGM's values in a range of 16 bits, whatever its maximum."""
    values = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    bits = tags.get(BITS, (16,))[0]  # 12 are stored as they are
    grey = values >> (bits - 8)
    if tags.get(PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds at 8 bits alone
        grey = 255 - grey
    if "transparency" in image.info:  # the one value that PNG lets be transparent
        grey = np.where(values == image.info["transparency"], 255, grey)
    return Image.fromarray(grey.astype(np.uint8))
