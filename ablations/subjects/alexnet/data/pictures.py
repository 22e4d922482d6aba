"""Reads one image file as one 8-bit picture, as a viewer would show it.

The same rules hold for every file of a folder, so that its images can be compared:

- the image is rotated or mirrored as its EXIF orientation says;
- of 16-bit grey the high byte is taken, as Pillow does for 16-bit colour: 65535 becomes 255, whatever the largest value
  of the image is;
- transparent pixels are put on white;
- of several frames or pages, the first is taken;
- CMYK is converted without a colour profile.

Formats without a known range of values (32-bit and floating-point grey) are refused.  Plain 8-bit RGB and grey stay
bit for bit as they are stored.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import ExifTags, Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM")  # that are accepted, whatever the suffix is
# EXIF orientation (EXIF 2.32, 4.6.4 A) -> the operation on stored pixels that makes the image upright.
TURNS: Mapping[int, Image.Transpose] = MappingProxyType({
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
})  # fmt: skip
SCAN, END = b"\xff\xda", b"\xff\xd9"  # markers of a JPEG: start of scan, end of image
BITS, PHOTOMETRIC = 258, 262  # tags of TIFF 6.0, section 8


def picture(path: str, mode: str) -> Image.Image:
    """Returns the image in the file `path`, upright and in Pillow's `mode`, RGB or L.

    Raises ValueError on a format without a known range of values and on a JPEG without its end, and whatever Pillow
    raises on a broken file.
    """
    with Image.open(path, formats=FORMATS) as image:
        # Load first: Pillow makes a TIFF upright while it loads it and then drops the orientation.
        image.load()
        _check_end(path, image.format)
        turn = TURNS.get(_orientation(image))
        flat = _flat(image).convert(mode)
    return flat if turn is None else flat.transpose(turn)


def _check_end(path: str, format: str | None) -> None:
    """Raises ValueError where a JPEG has lost its end, which decoders fill with grey without a word.

    A disk that was full leaves zeros there.  The marker of the end cannot stand within a scan's data (ITU-T T.81,
    B.1.1.5), and other data may follow it.
    """
    if format in ("JPEG", "MPO"):
        content = Path(path).read_bytes()
        if END not in content[content.rfind(SCAN) :]:
            raise ValueError("its end is missing: it was cut off, or overwritten")


def _orientation(image: Image.Image) -> int:
    """Returns the EXIF (or XMP) orientation; 1, which means upright, if there is none or it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    # The exceptions that Pillow itself expects on metadata that cameras or editors garbled.  The pixels are fine then.
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError, ZeroDivisionError):
        return 1


def _flat(image: Image.Image) -> Image.Image:
    """Returns `image` with eight bits per channel and without transparency."""
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
    """Returns a 16-bit grey image in eight bits: the high byte.

    Pillow scales the values of a PGM to the full range of 16 bits, whatever maximum the file declares.
    """
    values = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})  # only a TIFF has them
    bits = tags.get(BITS, (16,))[0]  # Pillow does not scale 12-bit values
    grey = values >> (bits - 8)
    if tags.get(PHOTOMETRIC) == 0:  # zero is white, which Pillow takes into account for 8 bits only
        grey = 255 - grey
    if "transparency" in image.info:  # the one value that a grey PNG can declare as transparent
        grey = np.where(values == image.info["transparency"], 255, grey)
    return Image.fromarray(grey.astype(np.uint8))
