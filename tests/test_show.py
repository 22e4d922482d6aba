"""`python -m ablations.show`: what there is to choose from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.claims import CLAIMS
from ablations.registry import components
from ablations.show import TOPICS, WIDTH, difference, main
from models.presets import PRESETS

ROOT = Path(__file__).parent.parent
PAPER = PRESETS["paper"].spec


def shown(topic: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([topic]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_every_component_level_and_source_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("components", capsys).split())
    for name, component in components().items():
        assert name in text and component.summary in text and component.source in text
        assert all(level in text for level in component.levels)


def test_a_level_that_changes_nothing_is_said_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    assert "one in paper" in shown("components", capsys)


def test_the_paper_is_shown_with_its_published_size(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("presets", capsys)
    assert "60,965,224 with 1,000 classes" in text
    assert "724,406,816 multiply-accumulates an image of 224x224 pixels" in text


def test_a_preset_lists_its_departures_from_the_paper_with_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("presets", capsys)
    assert "blocks.0.kernel 5 (11)" in text
    assert "hidden.*.features 512 (4096)" in text  # what all layers share is one line


def test_every_claim_is_shown_with_its_confounds(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("claims", capsys).split())
    assert all(claim.statement in text and claim.confounds in text for claim in CLAIMS)


def test_every_grid_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from ablations.grids import GRIDS

    text = " ".join(shown("grids", capsys).split())
    assert all(name in text and grid.summary in text for name, grid in GRIDS.items())


def test_every_data_set_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from ablations.data.catalogue import DATASETS

    text = " ".join(shown("datasets", capsys).split())
    assert all(name in text and dataset.summary in text for name, dataset in DATASETS.items())


@pytest.mark.parametrize("topic", TOPICS)
def test_lines_fit_a_terminal(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, shown(topic, capsys).splitlines())) <= WIDTH


def test_an_unknown_topic_is_one_sentence_with_the_nearest_and_exit_code_2() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ablations.show", "component"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2 and ran.stdout == ""
    assert ran.stderr.startswith("error: unknown topic 'component'; did you mean 'components'?")
    assert len(ran.stderr.splitlines()) == 1


def test_no_topic_prints_the_usage_and_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "{components,grids,presets,datasets,claims}" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "{components,grids,presets,datasets,claims}" in capsys.readouterr().out


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_shown_at_once_since_it_loads_nothing_heavy(topic: str) -> None:
    heavy = {"torch", "numpy", "pandas", "scipy", "ray", "mlflow", "matplotlib"}
    code = f"import sys; from ablations.show import main; main([{topic!r}]); print({heavy!r} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "set()"


def test_a_difference_is_a_line_a_field_with_both_values() -> None:
    assert difference(PAPER, PAPER) == []
    assert difference(replace(PAPER, momentum=0.5, flip=False), PAPER) == ["flip False (True)", "momentum 0.5 (0.9)"]
    bare = replace(PAPER, blocks=(replace(PAPER.blocks[0], norm=None), *PAPER.blocks[1:]))
    assert difference(bare, PAPER) == ["blocks.0.norm None (lrn(size=5,alpha=0.0001,k=2))"]


def test_a_difference_lists_the_blocks_where_their_numbers_differ() -> None:
    deeper = replace(PAPER, blocks=(*PAPER.blocks[:2], *PAPER.blocks[2:3] * 4, PAPER.blocks[4]))
    lines = difference(deeper, PAPER)
    assert lines[0] == "blocks 7 of them (5):"
    assert lines[3] == "blocks.2-5 channels=384 kernel=3 pad=1 weight_std=0.01"
    assert len(lines) == 5
