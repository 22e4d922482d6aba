"""`python -m ablations.show`: what there is to choose from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ablations.cli.cards import WIDEST
from ablations.models.presets import PRESETS
from ablations.show import main, topics
from ablations.subjects.alexnet.registry import components
from tests.making import CLAIMS

ROOT = Path(__file__).parents[2]


def shown(topic: str, capsys: pytest.CaptureFixture[str], *names: str) -> str:
    assert main([topic, *names]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_every_component_level_and_source_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("components", capsys, *components()).split())
    for name, component in components().items():
        assert name in text and component.summary in text and component.source in text
        assert all(level in text for level in component.levels)


def test_a_level_that_changes_nothing_is_said_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("components", capsys, "bias_init", "lrn").split())
    assert "one in paper, original_code" in text  # bias_init
    assert "every level in cifar_quick, torchvision, gist" in text  # lrn


def test_the_presets_open_with_a_table_of_their_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {line.split()[0]: line.split() for line in shown("presets", capsys).splitlines()[:-1]}
    assert rows.keys() == {"preset", *PRESETS}
    assert rows["paper"] == ["paper", "224", "1,000", "60,965,224", "724.4", "M", "sgd_original"]


def test_a_preset_is_shown_with_its_published_size_its_layers_and_its_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = " ".join(shown("presets", capsys, *PRESETS).split())
    assert "size 60,965,224 parameters, 724,406,816 multiply-accumulates an image" in text
    assert "layers 96 11x11/4 lrn max3/2; 256 5x5 g2 lrn max3/2; 384 3x3; 384 3x3 g2;" in text
    assert all(preset.source in text and preset.summary in text for preset in PRESETS.values())


def test_a_preset_lists_its_departures_from_the_paper_with_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("presets", capsys, *PRESETS).split())
    assert "kernel 5 (11) in conv1" in text and "features 2048 (4096) in fc6-7" in text


def test_names_choose_cards_and_a_wrong_one_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "vgg_a", "gist"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("preset ") and "\ngist\n" in text and "\nvgg_a\n" in text and "\npaper\n" not in text
    assert main(["components", "lrn"]) == 0
    assert capsys.readouterr().out.startswith("lrn\n  does ")
    assert main(["components", "lnr"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown component 'lnr'; did you mean 'lrn'?")


def test_every_claim_is_shown_with_its_confounds(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown("claims", capsys, *(claim.name for claim in CLAIMS)).split())
    assert all(claim.statement in text and claim.confounds in text for claim in CLAIMS)


def test_every_grid_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from ablations.planning.grids import grids_of

    text = " ".join(shown("grids", capsys, *grids_of()).split())
    assert all(name in text and grid.summary in text for name, grid in grids_of().items())


def test_every_data_set_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from ablations.subjects.alexnet.data.catalogue import DATASETS

    text = " ".join(shown("datasets", capsys, *DATASETS).split())
    assert all(name in text and dataset.summary in text for name, dataset in DATASETS.items())


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("topic", topics())
def test_lines_fit_a_terminal_and_are_never_too_long_to_read(
    topic: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, shown(topic, capsys).splitlines())) <= min(columns, WIDEST)


def test_an_unknown_topic_is_one_sentence_with_the_nearest_and_exit_code_2() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ablations.show", "component"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2 and ran.stdout == ""
    assert ran.stderr.startswith("error: unknown topic 'component'; did you mean 'components'?")
    assert len(ran.stderr.splitlines()) == 1


def test_a_command_without_a_topic_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: which topic? It is one of components, grids, presets, datasets, claims:")


@pytest.mark.parametrize("topic", topics())
def test_a_topic_fits_a_screen_and_each_thing_has_a_line(
    topic: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, cards = topics()[topic]([])
    lines = shown(topic, capsys).splitlines()
    assert len(lines) <= 26 and lines[-1].endswith(f"python -m ablations.show {topic} {cards[0].name}")
    controls = [card.name for card in cards if "control" in card.beside]
    assert all(any(line.split()[0] == card.name for line in lines) for card in cards if card.name not in controls)
    assert all(name in lines[-2] for name in controls)


@pytest.mark.parametrize("topic", topics())
def test_a_topic_is_shown_at_once_since_it_loads_nothing_heavy(topic: str) -> None:
    heavy = {"torch", "numpy", "pandas", "scipy", "ray", "mlflow", "matplotlib"}
    code = f"import sys; from ablations.show import main; main([{topic!r}]); print({heavy!r} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "set()"
