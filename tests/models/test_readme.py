"""What models/README.md says, against the presets and the layout."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from ablations.models.init import INITS
from ablations.models.layout import layout, macs, parameters
from ablations.models.presets import PRESETS
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec, described
from ablations.subjects.alexnet.describe import difference

README = (Path(__file__).parents[2] / "models" / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())  # whatever lines it stands on
PAPER = PRESETS["paper"].spec
MILLION = 1_000_000


def table(heading: str) -> list[dict[str, str]]:
    """The rows of the first table below `heading`, by their column."""
    lines = README.split(f"## {heading}")[1].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    width = len(rows[0])
    first = next((index for index, row in enumerate(rows) if len(row) != width), len(rows))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:first]]


def test_the_layers_of_2012_are_those_of_the_paper_with_their_shapes_and_numbers() -> None:
    layers = layout(PAPER, num_classes=1000, image_size=224)
    rows = table("The network of 2012, layer by layer")
    assert [row["layer"] for row in rows] == [layer.name for layer in layers]
    for row, layer, block in zip(rows, layers, PAPER.blocks, strict=False):
        assert row["reads"] == f"{layer.inputs}x{layer.input_size}x{layer.input_size}"
        assert row["kernel, stride, pad"] == f"{block.kernel}, {block.stride}, {block.pad}"
        assert row["groups"] == str(block.groups)
        assert row["writes"] == f"{layer.outputs}x{layer.map_size}x{layer.map_size}"
        pool = (
            f", max {block.pool.size}/{block.pool.stride} to {layer.pooled_size}x{layer.pooled_size}"
            if block.pool
            else ""
        )
        assert row["then"] == "ReLU" + ", LRN" * bool(block.norm) + pool
    for row, layer in zip(rows, layers, strict=True):
        assert (row["weights"], row["biases"]) == (f"{layer.weights:,}", f"{layer.biases:,}")
        assert row["multiply-adds"] == f"{layer.macs / MILLION:.1f} M"
    for row, layer in list(zip(rows, layers, strict=True))[5:]:
        assert (row["reads"], row["writes"]) == (f"{layer.inputs:,}", f"{layer.outputs:,}")


def test_the_shares_of_the_network_of_2012_add_up() -> None:
    layers = layout(PAPER, num_classes=1000, image_size=224)
    dense = 100 * parameters(layers[5:]) / parameters(layers)
    convolutions = 100 * macs(layers[:5]) / macs(layers)
    assert f"{parameters(layers):,} parameters, {macs(layers) / MILLION:.1f} million multiply-adds an image" in README
    assert f"{dense:.0f}% of the parameters are fully connected; {convolutions:.0f}% of the\narithmetic" in README
    assert f"55 x 55 x 96 is {55 * 55 * 96:,}" in README


def test_every_difference_between_the_paper_and_its_code_is_in_the_table_by_its_field() -> None:
    listed = set(re.findall(r"`(?:\w+\.)?(\w+)`", " ".join(row["field"] for row in table("How the code differed"))))
    lines = [line for part in difference(PRESETS["original_code"].spec, PAPER).values() for line in part]
    found = {line.split()[0] for line in lines}
    # The padding of conv1 is how `paper` comes to 55 pixels, which the text on 224 or 227 explains.
    names = {path.rpartition(".")[2] for path in found} - {"pad"}
    assert names <= listed
    # What the table names besides is alike in both: see the text below it.
    assert listed - names == {"decay_biases", "pca_unit", "schedule"}


def spelled(spec: Spec) -> dict[str, str]:
    """The cells of a copy's row that can be told from its Spec."""
    return {
        "input": f"{spec.image_size}, {'unit' if spec.unit_scale else 'raw'}",
        "channels": "/".join(str(block.channels) for block in spec.blocks),
        "groups": str(max(block.groups for block in spec.blocks)),
        "dropout": spec.dropout_place,
    }


@pytest.mark.parametrize("row", table("How the copies differ from both"), ids=lambda row: row["preset"].strip("`"))
def test_a_row_of_the_copies_is_what_its_preset_has(row: dict[str, str]) -> None:
    preset = PRESETS[row["preset"].strip("`")]
    cells = {**row, "dropout": row["dropout"].split()[0]}
    if cells["channels"] == "same":
        cells["channels"] = spelled(PAPER)["channels"]
    elif words := re.findall(r"as `(\w+)`", cells["channels"]):
        cells["channels"] = spelled(PRESETS[words[0]].spec)["channels"]
    expected = spelled(preset.spec)
    assert {name: cells[name] for name in expected} == expected
    assert cells["parameters"].split()[0] == f"{preset.parameters:,}"
    first = preset.spec.blocks[0]
    if first.norm and (words := re.findall(r"\bk (\d)", cells["normalisation"])):
        assert words == [f"{first.norm.k:g}"]
        before = first.order.index("norm") < first.order.index("activation")
        assert before == ("before ReLU" in cells["normalisation"])
    elif not first.norm:
        assert cells["normalisation"] == "none"
    rate = f"{preset.spec.learning_rate:g}".replace("0.", ".")
    if re.search(r"SGD|Adam", cells["recipe"]):
        assert rate in cells["recipe"] or f"{preset.spec.learning_rate:.0e}".replace("e-0", "e-") in cells["recipe"]


def test_what_is_said_of_the_keras_write_up_is_what_its_preset_has() -> None:
    spec = PRESETS["keras_zero_based"].spec
    layers = layout(spec, num_classes=1000, image_size=224)
    maps, pooled = ([getattr(layer, name) for layer in layers] for name in ("map_size", "pooled_size"))
    assert f"its maps are {maps[0]}, {maps[1]} and {maps[2]}" in WORDS
    assert f"2/2 leave {pooled[0]}, {pooled[1]} and {pooled[4]}" in WORDS
    linear = [f"conv{number}" for number, block in enumerate(spec.blocks, start=1) if block.activation == "none"]
    assert f"{' and '.join(linear)} have no activation" in WORDS
    assert spec.blocks[0].pad_before == 3 and "reads three zeros above and to the left of its 224 pixels" in WORDS
    (row,) = (row for row in table("How the copies differ from both") if row["preset"] == "`keras_zero_based`")
    assert row["initial weights, biases"] == ".01, fc8 Glorot; 0" and row["recipe"].startswith("not given")
    assert (spec.optimizer, spec.schedule, spec.weight_decay) == ("adam", "constant", 0.0)
    assert "gives no optimiser. Adam at .001, without decay and at a constant rate, is our choice" in WORDS


def test_what_is_said_of_the_second_net_of_vision_hist_is_what_its_preset_has() -> None:
    spec = PRESETS["vision_hist_vgg16"].spec
    rows = {row["preset"].strip("`"): row for row in table("How the copies differ from both")}
    row, first = rows["vision_hist_vgg16"], PRESETS["vision_hist"].spec
    assert row["recipe"] == "as `vision_hist`" and row["initial weights, biases"] == "Glorot times 2^.5, fc .01; 0"
    assert spec.weight_init == "glorot_relu" and {layer.weight_std for layer in spec.hidden} == {0.01}
    assert "AdamW at 1e-4 with decay .1 on weights and biases" in WORDS and spec.decay_biases and first.decay_biases
    assert f"configuration D for {PRESETS['vision_hist_vgg16'].classes} classes" in WORDS
    for one in (spec, first):
        assert round(one.image_size * one.stored_ratio) == 256 and not one.random_crop and not one.flip


def test_the_schemes_of_initial_weights_are_all_there_with_the_presets_that_use_them() -> None:
    rows = table("Initial weights")
    assert {row["scheme"].strip("`") for row in rows} == set(INITS)
    for row in rows:
        using = {
            name
            for name, preset in PRESETS.items()
            if preset.spec.weight_init == row["scheme"].strip("`")
            and any(part.weight_std is None for part in described(preset.spec).values())
        }
        assert set(re.findall(r"`(\w+)`", row["in"])) == using


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_of_others_is_named_with_its_parameters(name: str) -> None:
    assert f"`{name}`" in README
    if not name.startswith("cifar"):  # our own, which the root's README presents
        assert f"{PRESETS[name].parameters:,}" in README


def test_every_field_that_is_named_exists() -> None:
    kinds = (Conv, Dense, Norm, Pool, Spec)
    fields = {f"{kind.__name__}.{field.name}" for kind in kinds for field in dataclasses.fields(kind)}
    named = set(re.findall(r"`((?:Conv|Dense|Norm|Pool|Spec)\.\w+)`", README))
    assert len(named) > 10 and named <= fields
