"""Odd image files and odd folders: each file is read as a viewer would show it, refused by name, or counted aloud."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from ablations.cli.options import options_of, resolved
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.trial import Trial
from ablations.subjects.alexnet.data import prepare as prepare_module
from ablations.subjects.alexnet.data.catalogue import CACHE_SCHEMA, cache_folder, folder_of, note_of
from ablations.subjects.alexnet.data.load import load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.trial import open_data

# Images of 2 x 2 pixels, stored at 2 pixels a side: none of them is scaled.
GREYS = [[10, 60], [110, 160]]
COLOURS = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (30, 60, 90)]]
ORIENTATION = 274


def grey(values: Sequence[Sequence[int]] = GREYS, kind: Any = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(values, dtype=kind))


def colour(pixels: Any = COLOURS, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (2, 2))
    image.putdata([pixel for row in pixels for pixel in row])
    return image


def oriented(orientation: Any) -> dict[str, Any]:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return {"exif": exif.tobytes()}


def saved(image: Image.Image, **options: Any) -> Callable[[Path], object]:
    return lambda path: image.save(path, **options)


def content(written: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(written)


def frames(kind: str, **options: Any) -> Callable[[Path], object]:
    """The first of two frames is of `COLOURS`, the second is white."""
    white = Image.new("RGB", (2, 2), "white")
    return lambda path: colour().save(path, format=kind, save_all=True, append_images=[white], **options)


def png(depth: int, kind: int, rows: Sequence[bytes], *chunks: tuple[bytes, bytes]) -> Callable[[Path], object]:
    """A PNG of 2 x 2 pixels as its specification has it; Pillow writes neither 16-bit colour nor 4-bit grey."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, depth, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    further = b"".join(chunk(*one) for one in chunks)
    return content(b"\x89PNG\r\n\x1a\n" + header + further + pixels + chunk(b"IEND", b""))


def tiff(values: bytes, *, order: str = "<", bits: int = 16, photometric: int = 1, kind: int = 1) -> bytes:
    """A grey TIFF of 2 x 2 pixels as its specification has it; `kind` 1, 2, 3: without a sign, with one, floating."""
    tags = [(256, 3, 2), (257, 3, 2), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, 2), (279, 4, len(values)), (339, 3, kind)]
    entries = b""
    for tag, type_, value in tags:
        entries += struct.pack(f"{order}HHI", tag, type_, 1)
        entries += struct.pack(f"{order}HH", value, 0) if type_ == 3 else struct.pack(f"{order}I", value)
    start = b"II*\0" if order == "<" else b"MM\0*"
    values_padded = values + b"\0" * (len(values) % 2)
    table = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    return start + struct.pack(f"{order}I", 8 + len(values_padded)) + values_padded + table


def shorts(*values: int, order: str = ">") -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def with_xmp(path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    info.add_itxt("XML:com.adobe.xmp", xmp)
    grey().save(path, pnginfo=info)


def palette(path: Path) -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([0, 0, 0, 200, 100, 50, 0, 0, 0, 7, 8, 9])
    image.putdata([0, 1, 2, 3])
    image.save(path, transparency=bytes([255, 255, 0, 255]))  # entries 0 and 2 are alike but for their transparency


def gif(path: Path) -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putdata([0, 1, 0, 1])
    image.save(path, transparency=0)


class Odd(NamedTuple):
    """A file's name, what writes it, its pixels (2 x 2, grey or RGB), and by how much a lossy format may miss them."""

    name: str
    write: Callable[[Path], object]
    pixels: Any
    within: int = 0


SOLID, SHEER, HALF = 255, 0, 128
# A pixel p under half a transparency on white: (p * 128 + 255 * 127) / 255.
HALVES = [[(255, 127, 127), (127, 255, 127)], [(127, 127, 255), (142, 157, 172)]]
ON_WHITE = [[(255, 0, 0), (255, 255, 255)], [(127, 127, 255), (30, 60, 90)]]
ALPHAS = [[(255, 0, 0, SOLID), (0, 255, 0, SHEER)], [(0, 0, 255, HALF), (30, 60, 90, SOLID)]]
# EXIF 2.32, 4.6.4: orientation 6 shows the stored first row as the right column, downwards, and so on.
TURNED = {
    1: [[10, 60], [110, 160]],
    2: [[60, 10], [160, 110]],
    3: [[160, 110], [60, 10]],
    4: [[110, 160], [10, 60]],
    5: [[10, 110], [60, 160]],
    6: [[110, 10], [160, 60]],
    7: [[160, 60], [110, 10]],
    8: [[60, 160], [10, 110]],
}
SIXTEEN, HIGH = [[0, 0x12FF], [0x8000, 0xFFFF]], [[0, 0x12], [0x80, 0xFF]]
PACKED = [value for row in SIXTEEN for value in row]


def longer(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """The same file with the notes of its maker behind its end."""

    def lengthening(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes() + b"a maker's notes")

    return lengthening


READ: dict[str, Odd] = {
    **{f"png turned {n}": Odd("0.png", saved(grey(), **oriented(n)), shown) for n, shown in TURNED.items()},
    **{
        f"tiff turned {n}": Odd("0.tif", saved(grey(), tiffinfo={ORIENTATION: n}), shown)
        for n, shown in TURNED.items()
    },
    "jpeg turned": Odd("0.jpg", saved(grey(), quality=100, **oriented(6)), TURNED[6], 2),
    "webp turned": Odd("0.webp", saved(grey().convert("RGB"), lossless=True, **oriented(8)), TURNED[8]),
    "turned by xmp": Odd("0.png", with_xmp, TURNED[3]),
    "16 bits, turned": Odd("0.png", saved(grey(SIXTEEN, np.uint16), **oriented(2)), [[0x12, 0], [0xFF, 0x80]]),
    "transparent, turned": Odd("0.png", saved(colour(ALPHAS, "RGBA"), **oriented(4)), [ON_WHITE[1], ON_WHITE[0]]),
    "no such orientation": Odd("0.png", saved(grey(), **oriented(9)), GREYS),
    "orientation zero": Odd("0.png", saved(grey(), **oriented(0)), GREYS),
    "exif cut short": Odd("0.png", saved(grey(), exif=b"Exif\0\0II*\0\x08"), GREYS),
    "exif of another kind": Odd("0.jpg", saved(grey(), quality=100, exif=b"Exif\0\0no metadata"), GREYS, 2),
    "16-bit png": Odd("0.png", saved(grey(SIXTEEN, np.uint16)), HIGH),
    "16-bit colour png": Odd(
        "0.png",
        png(16, 2, [shorts(0xFFFF, 0x12FF, 0, 0, 0, 0), shorts(0, 0, 0, 0x8000, 0x80FF, 1)]),
        [[(255, 0x12, 0), (0, 0, 0)], [(0, 0, 0), (0x80, 0x80, 0)]],
    ),
    "16-bit png, one value transparent": Odd(
        "0.png",
        png(16, 0, [shorts(0, 0x12FF), shorts(0x1200, 0xFFFF)], (b"tRNS", shorts(0x12FF))),
        [[0, 255], [18, 255]],
    ),
    "16-bit grey with alpha": Odd(
        "0.png", png(16, 4, [shorts(0x12FF, 0xFFFF, 0, 0), shorts(0, 0xFFFF, 0, 0x80FF)]), [[0x12, 255], [0, 127]]
    ),
    "16-bit tiff": Odd("0.tif", content(tiff(shorts(*PACKED, order="<"))), HIGH),
    "16-bit tiff, the other order": Odd("0.tiff", content(tiff(shorts(*PACKED), order=">")), HIGH),
    "16-bit tiff, white is zero": Odd(
        "0.tif", content(tiff(shorts(*PACKED, order="<"), photometric=0)), [[255, 255 - 0x12], [255 - 0x80, 0]]
    ),
    # 0x000, 0x123 and 0x800, 0xFFF, each row in three bytes
    "12-bit tiff": Odd("0.tif", content(tiff(b"\x00\x01\x23\x80\x0f\xff", bits=12)), HIGH),
    "8-bit tiff, white is zero": Odd(
        "0.tif", content(tiff(bytes([0, 1, 2, 255]), bits=8, photometric=0)), [[255, 254], [253, 0]]
    ),
    "16-bit pgm": Odd("0.pgm", content(b"P5 2 2 65535\n" + shorts(*PACKED)), HIGH),
    "10-bit pgm": Odd("0.pgm", content(b"P5 2 2 1023\n" + shorts(0, 4, 512, 1023)), [[0, 1], [128, 255]]),
    "pgm in words": Odd("0.pgm", content(b"P2\n# a comment\n2 2\n255\n10 60\n110 160\n"), GREYS),
    "ppm": Odd("0.ppm", saved(colour()), COLOURS),
    "16-bit ppm": Odd(
        "0.ppm", content(b"P6 2 2 65535\n" + shorts(*([0xFFFF, 0x12FF, 0] * 4))), [[(255, 18, 0)] * 2] * 2, 1
    ),
    "pbm": Odd("0.pbm", content(b"P1\n2 2\n0 1\n1 0\n"), [[255, 0], [0, 255]]),
    "pnm": Odd("0.pnm", content(b"P5 2 2 255\n" + bytes([10, 60, 110, 160])), GREYS),
    "bmp": Odd("0.bmp", saved(colour()), COLOURS),
    "bmp with a palette": Odd("0.bmp", saved(colour().convert("P", palette=Image.Palette.ADAPTIVE)), COLOURS),
    "dib": Odd("0.dib", saved(colour()), COLOURS),
    "tiff": Odd("0.tif", saved(colour()), COLOURS),
    "tiff, packed": Odd("0.tif", saved(colour(), compression="tiff_lzw"), COLOURS),
    "tiff of printers' colours": Odd(
        "0.tif",
        saved(colour([[(255, 0, 0, 0), (0, 0, 0, 255)], [(0, 0, 0, 0), (0, 0, 0, 128)]], "CMYK")),
        [[(0, 255, 255), (0, 0, 0)], [(255, 255, 255), (127, 127, 127)]],
    ),
    "jpeg of printers' colours": Odd(
        "0.jpg", saved(Image.new("CMYK", (2, 2), (0, 0, 0, 128)), quality=100), [[127, 127], [127, 127]], 2
    ),
    "jfif": Odd("0.jfif", saved(grey(), format="JPEG", quality=100), GREYS, 2),
    "two photographs in one jpeg": Odd("0.jpg", lambda path: grey().save(
        path, format="MPO", quality=100, save_all=True, append_images=[grey([[255, 255], [255, 255]])]), GREYS, 2),
    "1-bit png": Odd("0.png", saved(grey([[0, 255], [255, 0]]).convert("1")), [[0, 255], [255, 0]]),
    "4-bit png": Odd("0.png", png(4, 0, [b"\x0f", b"\x18"]), [[0, 255], [17, 136]]),
    "alpha": Odd("0.png", saved(colour(ALPHAS, "RGBA")), ON_WHITE),
    "alpha in webp": Odd("0.webp", saved(colour(ALPHAS, "RGBA"), lossless=True, exact=True), ON_WHITE),
    "alpha in tiff": Odd("0.tif", saved(colour(ALPHAS, "RGBA")), ON_WHITE),
    "half everywhere": Odd("0.png", saved(colour([[(*p, HALF) for p in row] for row in COLOURS], "RGBA")), HALVES),
    "solid alpha": Odd("0.png", saved(colour([[(*p, SOLID) for p in row] for row in COLOURS], "RGBA")), COLOURS),
    "grey with alpha": Odd(
        "0.png", saved(colour([[(0, SOLID), (0, SHEER)], [(0, HALF), (99, SOLID)]], "LA")), [[0, 255], [127, 99]]
    ),
    "one colour transparent": Odd(
        "0.png", saved(colour(), transparency=(0, 255, 0)), [[(255, 0, 0), (255, 255, 255)], COLOURS[1]]
    ),
    "one grey transparent": Odd("0.png", saved(grey(), transparency=60), [[10, 255], [110, 160]]),
    "palette with transparency": Odd("0.png", palette, [[(0, 0, 0), (200, 100, 50)], [(255, 255, 255), (7, 8, 9)]]),
    "gif with transparency": Odd("0.gif", gif, [[(255, 255, 255), (200, 100, 50)]] * 2),
    "animated gif": Odd("0.gif", frames("GIF"), COLOURS),
    "animated png": Odd("0.apng", frames("PNG"), COLOURS),
    "animated webp": Odd("0.webp", frames("WEBP", lossless=True), COLOURS),
    "tiff of two pages": Odd("0.tif", frames("TIFF"), COLOURS),
    "capitals": Odd("SHOUT.PNG", saved(grey()), GREYS),
    "spaces": Odd(" my cat .png", saved(grey()), GREYS),
    "other scripts": Odd("château 猫 🐈 e\u0301.png", saved(grey()), GREYS),
    "no utf-8": Odd(os.fsdecode(b"caf\xe9.png"), saved(grey()), GREYS),
    "a line's end": Odd("one\ntwo.png", saved(grey()), GREYS),
    "many dots": Odd("a.b.jpg.png", saved(grey()), GREYS),
    "jpeg with more after its end": Odd("0.jpg", longer(saved(grey(), quality=100)), GREYS, 2),
    "a png called jpg": Odd("0.jpg", saved(grey(), format="PNG"), GREYS),
    "a bmp called png": Odd("0.png", saved(grey(), format="BMP"), GREYS),
    "deeper": Odd("2019/may/0.png", saved(grey()), GREYS),
    "in a folder called so": Odd("0.jpg/0.png", saved(grey()), GREYS),
}  # fmt: skip


def around(path: Path) -> Path:
    """A data set of two classes, odd and plain, of which odd has no training image yet; returns its folder."""
    for split in ("train", "test"):
        for name in ("odd", "plain"):
            (path / split / name).mkdir(parents=True)
            if (split, name) != ("train", "odd"):
                colour().save(path / split / name / "plain.png")
    return path / "train" / "odd"


def stored(path: Path, *, quiet: bool = True) -> NDArray[np.uint8]:
    """The training images of the class odd (N, 2, 2, 3)."""
    cache = path.with_name(f"{path.name} cache")
    data = load(prepare(f"folder:{path}", data_root=None, size=2, cache=cache, quiet=quiet))
    images: NDArray[np.uint8] = data.train.images[data.train.labels == 0].numpy()
    return images


@pytest.mark.parametrize("name", READ)
def test_an_odd_file_is_read_as_a_viewer_shows_it(name: str, tmp_path: Path) -> None:
    odd = READ[name]
    file = around(tmp_path / "images") / odd.name
    file.parent.mkdir(parents=True, exist_ok=True)
    odd.write(file)
    expected = np.array(odd.pixels)
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    [found] = stored(tmp_path / "images")
    assert np.abs(found.astype(int) - expected).max() <= odd.within, found.tolist()


def cut(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """The same file without its second half."""

    def cutting(path: Path) -> None:
        write(path)
        os.truncate(path, path.stat().st_size // 2)

    return cutting


def zeroed(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """The same file with zeros in place of its second half, as a full disk leaves it."""

    def zeroing(path: Path) -> None:
        write(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))

    return zeroing


def noise(**options: Any) -> Callable[[Path], object]:
    """An image that is larger than any header."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return saved(Image.fromarray(pixels), **options)


UNREADABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("0.png", content(b""), "it holds no image of a known kind"),
    "a text": ("0.jpg", content(b"hello"), "it holds no image of a known kind"),
    "a page of an error": ("0.jpg", content(b"<!DOCTYPE html><title>404</title>"), "no image of a known kind"),
    "a drawing": ("0.png", content(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), "no image of a known kind"),
    "png cut short": ("0.png", cut(noise()), ""),
    "jpeg cut short": ("0.jpg", cut(noise()), ""),
    "jpeg of which half is zeros": ("0.jpg", zeroed(noise()), "its end is missing"),
    "progressive jpeg of which half is zeros": ("0.jpg", zeroed(noise(progressive=True)), ""),
    "png of which half is zeros": ("0.png", zeroed(noise()), ""),
    "webp cut short": ("0.webp", cut(noise()), ""),
    "gif cut short": ("0.gif", cut(noise()), ""),
    "bmp cut short": ("0.bmp", cut(noise()), ""),
    "tiff cut short": ("0.tif", cut(noise()), ""),
    "packed tiff cut short": ("0.tif", cut(noise(compression="tiff_lzw")), ""),
    "ppm cut short": ("0.ppm", cut(noise()), ""),
    "png of another sum": ("0.png", content(b"\x89PNG\r\n\x1a\n" + b"\0" * 60), ""),
    "whole numbers of 32 bits": ("0.tif", saved(grey(kind=np.int32)), "its pixels are whole numbers that have a sign"),
    "whole numbers with a sign": ("0.tif", content(tiff(shorts(1, 2, 3, 4, order="<"), kind=2)), "that have a sign"),
    "fractions": ("0.tif", saved(grey(kind=np.float32)), "its pixels are floating-point numbers"),
    "a link to nothing": ("0.png", lambda path: path.symlink_to("gone.png"), ""),
    "a pipe": ("0.png", os.mkfifo, ""),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_image_is_named_in_one_sentence(name: str, tmp_path: Path) -> None:
    file, write, reason = UNREADABLE[name]
    folder = around(tmp_path / "images")
    write(folder / file)
    with pytest.raises(InputError) as raised:
        stored(tmp_path / "images")
    sentence = str(raised.value)
    assert str(folder / file) in sentence
    assert reason in sentence
    assert "\n" not in sentence


# Folders.


def folder_of_nine(path: Path) -> Path:
    """A data set whose class odd has nine images, in its folder and deeper, and all that is left out elsewhere."""
    odd = around(path)
    for name in ("a.png", "B.PNG", "c d.png", "deep/a.png", "deep/deeper/a.png", "deep/z.png"):
        (odd / name).parent.mkdir(parents=True, exist_ok=True)
        grey().save(odd / name)
    target = path.parent / "elsewhere"
    target.mkdir()
    grey().save(target / "0.png")
    grey().save(target / "1.png")
    (odd / "linked").symlink_to(target)
    (odd / "link.png").symlink_to(target / "0.png")
    for name in ("x.heic", "y.HEIC", "deep/z.raw", "notes", ".hidden.png", "._a.png", ".DS_Store"):
        (odd / name).write_bytes(b"not read")
    (odd / ".thumbnails").mkdir()
    grey().save(odd / ".thumbnails" / "a.png")
    (path / "train" / "loose.png").write_bytes(b"not read")
    (path / "train" / "labels.csv").write_bytes(b"not read")
    (path / "train" / ".trash").mkdir()
    return odd


def test_nested_and_linked_images_are_used_and_all_that_is_left_out_is_counted_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "images"
    folder_of_nine(path)
    assert len(stored(path, quiet=False)) == 9
    [said] = capsys.readouterr().err.splitlines()
    # By hand: six images and three through links, one of them a file's and two a folder's, and the plain class's one.
    assert said == (
        f"{path}/train: 10 images used, 5 of them in folders within class folders; 10 left out: 2 .heic, "
        "2 beside the class folders, 2 hidden, 2 hidden folders, 1 .raw and 1 more."
    )
    stored(path, quiet=False)
    assert said in capsys.readouterr().err  # each time, and not only when the images are decoded
    stored(path)
    assert capsys.readouterr().err == ""


def test_a_folder_without_anything_odd_is_not_talked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = around(tmp_path / "images")
    grey().save(odd / "0.png")
    (odd / ".DS_Store").touch()
    stored(tmp_path / "images", quiet=False)
    assert capsys.readouterr().err == ""


def test_a_class_without_test_images_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey().save(around(tmp_path / "images") / "0.png")
    (tmp_path / "images" / "test" / "odd" / "plain.png").unlink()
    stored(tmp_path / "images", quiet=False)
    assert capsys.readouterr().err == f"{tmp_path}/images/test: 1 images used, none of odd.\n"


def test_suffixes_that_a_terminal_would_obey_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = around(tmp_path / "images")
    for name in ("0.png", "a.\x1b[31m", "b. and then a whole sentence", "notes", "c.xml"):
        grey().save(odd / name, format="PNG")
    assert len(stored(tmp_path / "images", quiet=False)) == 1
    said = capsys.readouterr().err
    assert said.endswith("used, 4 left out: 2 of other suffixes, 1 .xml and 1 without a suffix.\n")


@pytest.mark.parametrize(("labelled", "unused"), [(True, "val"), (False, "test")])
def test_the_other_of_test_and_val_is_said(
    labelled: bool, unused: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "images"
    grey().save(around(path) / "0.png")
    shutil.copytree(path / "test", path / "val")
    if not labelled:
        shutil.rmtree(path / "test")
        (path / "test").mkdir()
    stored(path, quiet=False)
    used = {"val": "test", "test": "val"}[unused]
    assert capsys.readouterr().err == f"{path}/{unused}: not used, {used}/ is.\n"


def test_a_class_of_other_files_alone_says_which(tmp_path: Path) -> None:
    odd = around(tmp_path / "images")
    for number in range(3):
        (odd / f"{number}.heic").touch()
    with pytest.raises(InputError, match=r"train has no JPEG, .* or PPM image of odd; left out are 3 \.heic\."):
        stored(tmp_path / "images")


def dead_class(path: Path) -> None:
    for split in ("train", "test"):
        (path / split / "third").symlink_to(path / "gone")


def dead_album(path: Path) -> None:
    (path / "train" / "odd" / "album").symlink_to(path / "gone")


def circle(path: Path) -> None:
    (path / "train" / "odd" / "again").symlink_to(path / "train" / "odd")


def knot(path: Path) -> None:
    (path / "train" / "odd" / "0.png").symlink_to("0.png")


@pytest.mark.parametrize(
    ("ties", "sentence"),
    [
        (dead_class, r"The link .*/(train|test)/third leads to .*gone, which is not there; repair or remove it\."),
        (dead_album, r"The link .*/odd/album leads to .*gone, which is not there; repair or remove it\."),
        (circle, r"The folder .*/odd/again.* is a link to a folder that it lies in; remove it\."),
        (knot, r"/odd/0\.png"),
    ],
)
def test_links_that_lead_nowhere_or_in_a_circle_are_named(
    ties: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    around(tmp_path / "images")
    ties(tmp_path / "images")
    with pytest.raises(InputError, match=sentence):
        stored(tmp_path / "images")


def test_a_dead_link_that_is_no_image_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = around(tmp_path / "images")
    grey().save(odd / "0.png")
    (odd / "notes.txt").symlink_to("gone")
    assert len(stored(tmp_path / "images", quiet=False)) == 1
    assert "1 left out: 1 .txt." in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["train/odd", "train/odd/deep", "train", "."])
def test_a_folder_that_may_not_be_read_is_named(name: str, tmp_path: Path) -> None:
    odd = around(tmp_path / "images")
    (odd / "deep").mkdir()
    closed = tmp_path / "images" / name
    closed.chmod(0)
    try:
        with pytest.raises(InputError, match=r"cannot be read: .*Permission denied"):
            stored(tmp_path / "images")
    finally:
        closed.chmod(0o755)


# Where folders are.


def test_a_home_folder_is_replaced_once_and_every_trial_looks_where_the_plan_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plan: Callable[..., tuple[Study, tuple[Trial, ...]]],
    place: Place,
) -> None:
    grey().save(around(tmp_path / "pets") / "0.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ABLATIONS_CACHE", "~/decoded")
    asked = options_of()(
        dataset="folder:~/pets",
        claims=Path("~/c.toml"),
        data_root=Path("~/d"),
        results=Path("~/r"),
        reports=Path("~/p"),
    )
    config, _ = resolved(asked)
    assert config.dataset == f"folder:{tmp_path}/pets"
    places = [config.claims, config.data_root, config.results, config.reports]
    assert places == [tmp_path / name for name in ("c.toml", "d", "r", "p")]
    assert cache_folder() == tmp_path / "decoded"
    _, trials = plan(dataset="folder:~/pets", fingerprint="0", seeds=1)
    elsewhere = replace(place, options={**place.options, "base": str(tmp_path / "another folder")})
    assert open_data(trials[0], elsewhere, CPU).name == f"folder:{tmp_path}/pets"


def test_a_worker_elsewhere_opens_a_relative_folder_from_where_the_study_was_planned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plan: Callable[..., tuple[Study, tuple[Trial, ...]]],
    place: Place,
) -> None:
    for where in ("planned", "worker"):  # the same path names other images there
        grey().save(around(tmp_path / where / "pets") / "0.png")
    monkeypatch.chdir(tmp_path / "worker")
    _, trials = plan(dataset="folder:pets", fingerprint="0", seeds=1)
    planned = replace(place, options={**place.options, "base": str(tmp_path / "planned")})
    assert open_data(trials[0], planned, CPU).name == f"folder:{tmp_path}/planned/pets"


def test_a_relative_folder_is_one_of_where_the_study_was_planned(tmp_path: Path) -> None:
    assert folder_of("folder:pets", tmp_path) == tmp_path / "pets"
    assert folder_of("folder:./~", tmp_path) == tmp_path / "~"


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(InputError, match=r"The path ~nobody-of-that-name/pets begins with a home folder that is not"):
        resolved(options_of()(dataset="folder:~nobody-of-that-name/pets"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain\n words", "plain words"),
        ("caf\u00e9 \u732b".encode(), "caf\u00e9 \u732b"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"caf\xe9 in latin-1", "caf\ufffd in latin-1"),
        (b"\xff\xfeu\0t\0f\0", "\ufffd\ufffdu\ufffdt\ufffdf\ufffd"),
        (b"a \x1b[31mred\x07 bell", "a \ufffd[31mred\ufffd bell"),
        (b"", ""),
    ],
)
def test_a_folder_s_note_is_read_whatever_its_bytes(written: bytes, read: str, tmp_path: Path) -> None:
    (tmp_path / "NOTE.txt").write_bytes(written)
    assert note_of(f"folder:{tmp_path}") == read


# Caches.


def test_a_cache_of_older_rules_is_decoded_again_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "images"
    grey().save(around(path) / "0.png")
    monkeypatch.setattr(prepare_module, "CACHE_SCHEMA", CACHE_SCHEMA - 1)
    prepare(f"folder:{path}", data_root=None, size=2, cache=tmp_path / "images cache", quiet=False)
    assert capsys.readouterr().err == ""
    [old] = [entry for entry in (tmp_path / "images cache").iterdir() if entry.is_dir()]
    monkeypatch.undo()
    assert len(stored(path, quiet=False)) == 1
    said = f"images are decoded by new rules; {old} follows old ones and may be deleted"
    assert said in capsys.readouterr().err
    stored(path, quiet=False)
    assert capsys.readouterr().err == ""
