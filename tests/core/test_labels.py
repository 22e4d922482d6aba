"""What people call a change."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.core import labels
from ablations.core.claim import Claim
from ablations.core.errors import InputError
from ablations.core.labels import LONGEST_SHORT, Labels, by_rule, labels_of, short_names
from ablations.core.load import FIRST, load
from ablations.core.subject import Component
from ablations.core.variant import Skipped, Variant
from ablations.subjects.own.subject import opened
from tests.conftest import Planner

STUDY = """
from ablations.subject import Component, Subject

subject = Subject(
    reference={"width": 128, "dropout": 0.5},
    components={"width": [64, 32], "dropout": Component(0.0, labels=LABELS)},
    metrics={"error": "lower"},
)


@subject.trial
def train(config, seed):
    return {"error": 1.0}
"""


def test_every_level_of_alexnet_has_a_label_of_its_own_without_the_spelling_of_code() -> None:
    words = [labels_of(FIRST).of((name, level)) for name, one in load(FIRST).components.items() for level in one.levels]
    assert len(set(words)) == len(words) > 60
    assert not [one for one in words if "_" in one or "=" in one or one.startswith("-")]


def test_the_labels_that_the_issue_names_are_those_that_readers_get() -> None:
    of = labels_of(FIRST).of
    assert of(("dropout", "off")) == "no dropout"
    assert of(("activation", "tanh")) == "tanh instead of ReLU"
    assert of(("pooling", "non_overlapping")) == "non-overlapping pooling"
    assert of(("dropout", "off"), ("lrn", "off")) == "no dropout + no LRN"
    assert of() == "reference"
    assert labels_of(FIRST).with_code(("lrn", "off")) == "no LRN (-lrn)"


def test_a_line_of_a_terminal_has_the_words_of_people_or_if_they_are_long_the_spelling_of_code(plan: Planner) -> None:
    study, _ = plan()
    one, two = (("dropout", "off"), ("lrn", "off")), (("activation", "tanh"), ("lrn", "batch_norm"))
    without = tuple(Variant(departures=departures) for departures in (one, two))
    skipped = tuple(Skipped(variant=variant, reason="both rewrite the norm") for variant in without)
    names = short_names(replace(study, skipped=skipped))
    assert names["reference"] == "reference" and names["-lrn"] == "no LRN"
    assert names["-dropout -lrn"] == "no dropout + no LRN"
    assert len(labels_of(FIRST).of(*two)) > LONGEST_SHORT
    assert names["activation=tanh lrn=batch_norm"] == "activation=tanh lrn=batch_norm"


def test_a_one_in_study_names_what_a_variant_lacks_of_all_changes(plan: Planner) -> None:
    study, _ = plan(grid="one_in", words=["lrn", "dropout", "activation"])
    names = short_names(study)
    assert names["activation=tanh -dropout -lrn"] == "all changes"
    assert names["activation=tanh -dropout"] == "all but: no LRN"


@pytest.mark.parametrize(
    ("name", "level", "reference", "words"),
    [
        ("weight_decay", "off", "0.0005", "no weight decay"),
        ("mixup", "on", "False", "with mixup"),
        ("no_mixup", "on", "", "no mixup"),
        ("optimizer.lr", "0.1", "0.01", "optimizer lr 0.1 instead of 0.01"),
        ("kernel", "3x3", "[5, 5]", "kernel 3x3"),
        ("pooling", "mean", "max", "mean pooling instead of max"),
        ("norm", "without_norm", "as it is", "without norm"),
        ("schedule", "cosine", "as it is", "cosine schedule"),
        ("sabotage", "on", "as it is", "sabotage"),
        ("placebo", "salted", "its own draws", "placebo"),
    ],
)
def test_a_level_without_a_label_gets_one_by_rule(name: str, level: str, reference: str, words: str) -> None:
    assert by_rule(name, level, reference) == words


def test_the_examples_of_the_rule_hold() -> None:
    assert doctest.testmod(labels).failed == 0


def test_a_claim_is_called_by_what_it_compares() -> None:
    claim = Claim(
        name="lrn", component="lrn", level="off", statement="", source="", metric="test_loss", published="",
        direction=1, smallest_effect=0.1, against="pooling=average",
    )  # fmt: skip
    found = Labels(components={"lrn": Component(reference="", levels=("off",), summary="", labels={"off": "no LRN"})})
    assert found.claim(claim) == "no LRN against average pooling"


def test_a_study_file_may_label_its_levels_and_the_others_follow_by_rule(tmp_path: Path) -> None:
    path = tmp_path / "study.py"
    path.write_text(STUDY.replace("LABELS", "{'off': 'nothing dropped'}"), encoding="utf-8")
    of = Labels(components=opened(str(path)).components).of
    assert of(("dropout", "off")) == "nothing dropped"
    assert of(("width", "64")) == "width 64 instead of 128"


def test_a_label_of_no_level_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "study.py"
    path.write_text(STUDY.replace("LABELS", "{'of': 'nothing dropped'}"), encoding="utf-8")
    with pytest.raises(InputError, match=r"labels of component .dropout.*off"):
        opened(str(path))
