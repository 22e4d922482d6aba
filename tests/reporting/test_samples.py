"""The picture of what trials get: made once, small enough to be mailed, shown with its labels, and never missed."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ablations.analysis.verdicts import Findings
from ablations.core.samples import Samples
from ablations.records.files import read_json
from ablations.reporting.compose import compose
from ablations.reporting.document import Picture
from ablations.reporting.pages import write
from ablations.reporting.samples import LARGEST, read_samples, samples_path, write_samples
from ablations.reporting.sections.samples import section
from tests import synthetic
from tests.pages import Page

ROOT = Path(__file__).parents[2]
TITLE = "What the network sees"


def made(side: int = 12, rows: int = 2, **changes: Any) -> Samples:
    """Noise, in two columns."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (rows, 2, side, side, 3), dtype=np.uint8)
    names = tuple(f"class {row}" for row in range(rows))
    fields = {"title": TITLE, "words": "Noise.", "rows": names, "columns": ("as stored", "epoch 1"), "images": images}
    return Samples(**{**fields, **changes})


def findings(folder: Path | None) -> Findings:
    study, trials = synthetic.plan("one_out", ["lrn"])
    return Findings(study=study, results=synthetic.results(trials), folder=folder)


def embedded(svg: str) -> list[bytes]:
    return [base64.b64decode(one) for one in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", svg)]


def test_the_picture_holds_the_images_in_rows_and_columns_and_nothing_between(tmp_path: Path) -> None:
    flat = np.zeros((2, 2, 8, 8, 3), np.uint8) + np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]])[
        :, :, None, None
    ].astype(np.uint8)
    write_samples(tmp_path, made(images=flat, words="Four colours."))
    sheet = read_samples(tmp_path)
    assert sheet and (sheet.title, sheet.words, sheet.rows) == (TITLE, "Four colours.", ("class 0", "class 1"))
    assert sheet.pixels.shape == (18, 18, 4)  # two tiles of eight pixels and a gap of two
    for row in range(2):
        for column in range(2):
            tile = sheet.pixels[10 * row : 10 * row + 8, 10 * column : 10 * column + 8]
            assert (tile == [*flat[row, column, 0, 0], 255]).all()
    assert (sheet.pixels[8:10, :, 3] == 0).all() and (sheet.pixels[:, 8:10, 3] == 0).all()


def test_photographs_are_reduced_until_they_can_be_mailed_and_a_crop_stays_smaller_than_its_image(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(1)
    images = [[random.integers(0, 256, (side, side, 3), np.uint8) for side in (256, 128)] for _ in range(5)]
    write_samples(tmp_path, made(rows=5, images=images))
    assert samples_path(tmp_path).stat().st_size < LARGEST
    sheet = read_samples(tmp_path)
    assert sheet
    side = (sheet.pixels.shape[0] - 4 * 2) // 5
    seen = sheet.pixels[:side, :, 3] > 0
    assert 32 <= side < 96 and seen[0, :side].all()
    assert seen[side // 2].sum() == side + round(side / 2) and not seen[0, side:].any()


def test_images_that_do_not_fit_their_labels_or_are_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an image for each of their rows and columns"):
        write_samples(tmp_path, made(rows=2, columns=("as stored",)))
    with pytest.raises(ValueError, match="300 x 2 samples are more than 45,000 bytes can show"):
        write_samples(tmp_path, made(side=24, rows=300))
    assert not samples_path(tmp_path).exists()


def test_a_report_shows_the_picture_with_its_labels_and_loads_nothing(tmp_path: Path) -> None:
    write_samples(tmp_path, made(rows=5, side=64, words="What <b>is</b> shown."))
    report = compose(findings(tmp_path))
    html, _ = write(report, tmp_path / "report")
    page = Page(html.read_text())
    page.check()
    assert page.loads == [] and TITLE in [one.title for one in report.sections]
    assert "What &lt;b&gt;is&lt;/b&gt; shown." in html.read_text()
    (drawn,) = [one for one in report.pictures if one.name == "samples"]
    assert all(word in drawn.svg for word in ("class 0", "class 4", "as stored", "epoch 1"))
    (picture,) = embedded(drawn.svg)
    assert len(base64.b64encode(picture)) < 60_000
    kept = read_samples(tmp_path)
    assert kept
    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert any(np.array_equal(one, kept.pixels) for one in (pixels, pixels[::-1]))  # an SVG may turn it over itself


def test_labels_are_text_whatever_they_hold(tmp_path: Path) -> None:
    write_samples(tmp_path, replace(made(), rows=("<script>x</script>", "$a_b$")))
    found = section(findings(tmp_path))
    assert found and isinstance(found.blocks[0], Picture)
    assert "<script" not in found.blocks[0].svg and "$a_b$" in found.blocks[0].svg


def test_a_study_without_a_picture_says_nothing_of_one_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert section(findings(None)) is None and section(findings(tmp_path)) is None
    for content in (b"no picture", samples_of(tmp_path)[:200], plain_png()):
        samples_path(tmp_path).write_bytes(content)
        found = section(findings(tmp_path))
        assert found and len(found.blocks) == 1
        assert str(found.blocks[0]).startswith("The picture of examples is missing: samples.png cannot be read")


def samples_of(folder: Path) -> bytes:
    return write_samples(folder, made()).read_bytes()


def plain_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "png")
    return buffer.getvalue()


def test_no_committed_study_or_report_holds_images_whose_licence_does_not_allow_it() -> None:
    kept = {path.parent.name for path in (ROOT / "results" / "reference").glob("*/samples.png")}
    kept |= {path.parents[1].name for path in (ROOT / "reports" / "reference").glob("*/figures/samples.svg")}
    data = {name: read_json(ROOT / "results" / "reference" / name / "study.json")["setting"]["data"] for name in kept}
    assert {name: which for name, which in data.items() if not which.startswith("fashion-mnist")} == {}
