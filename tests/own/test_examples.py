"""What a trial says of each evaluated example gives effects an interval over new examples too."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations.analysis.sampling import interval_over_both
from ablations.analysis.statistics import both_samplings, t_interval
from ablations.analysis.verdicts import findings_in
from ablations.records.outcomes import unpack
from ablations.subjects.own.outcome import vectors
from tests.own.files import FILE, StudyFile

# 200 examples, of which a steeper slope gets more right; which are hard is the same in all trials.
RIGHT = """
def train(config, streams):
    import numpy as np
    hard = np.random.default_rng(1).normal(size=200)
    right = config["slope"] + config["noise"] * streams.numpy("noise").normal(size=200) > hard
    return {"score": 100 * right.mean(), "loss": 1.0, "examples": {"score": right}}
"""
GRADED = """
def train(config, streams):
    import numpy as np
    hard = np.random.default_rng(1).normal(size=200)
    score = np.tanh(config["slope"] + config["noise"] * streams.numpy("noise").normal(size=200) - hard)
    return {"score": score.mean(), "loss": 1.0, "examples": {"score": score}}
"""


def intervals(file: StudyFile) -> tuple[tuple[float, float], tuple[float, float]]:
    """That of the effect of the slope over both samplings: as reported, and from what the trials gave, by hand."""
    found = findings_in(file.study)
    (effect,) = [one for one in found.effects if one.component == "slope"]
    given = found.by_example
    pairs = np.array([given["slope=1.0", seed] - given["reference", seed] for seed in range(3)])
    assert pairs.mean() == pytest.approx(effect.estimate)
    low, high = interval_over_both(found, effect)
    assert high - low > effect.high - effect.low
    return (low, high), t_interval(effect.estimate, *both_samplings(pairs), 0.95)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_right_and_wrong_are_kept_in_the_record(tmp_path: Path, better: str) -> None:
    file = StudyFile(tmp_path, f"right_or_wrong_{better}")
    file.write(RIGHT, FILE.replace('"higher"', f'"{better}"').replace(", chance=0.0", ""))
    assert file.run("--components", "slope", seeds=3) == 0
    (reference,) = [one for key, one in file.read().items() if key == ("reference", 0)]
    right = unpack(reference.outcomes, 200)
    share = 100 * right.mean() if better == "higher" else 100 - 100 * right.mean()  # a score to be low counts errors
    assert share == pytest.approx(reference.metrics["score"])
    assert reference.metrics["evaluated_examples"] == 200
    assert not (file.study / "examples").exists()
    reported, by_hand = intervals(file)
    assert reported == pytest.approx(by_hand)
    text = (file.report / "report.md").read_text()
    assert "95% interval, new examples too" in text and "points over 200 examples" in text and "images" not in text


def test_a_metric_may_have_the_digits_of_a_float32(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "float32")
    some = RIGHT.replace("> hard\n", "> hard\n    right = right[:150]\n")
    file.write(some.replace("100 * right.mean()", "np.float32(100 * right.mean())"))
    assert file.run("--components", "slope", seeds=3) == 0
    right = {key: unpack(one.outcomes, 150) for key, one in file.read().items()}
    assert any(one.metrics["score"] != 100 * right[key].mean() for key, one in file.read().items())
    intervals(file)


def test_graded_examples_are_kept_in_full_precision_beside_the_record(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "graded")
    file.write(GRADED, FILE.replace('unit="points", ', ""))
    assert file.run("--components", "slope", seeds=3) == 0
    results = file.read()
    assert {path.stem for path in (file.study / "examples").iterdir()} == {one.trial.key for one in results.values()}
    assert {one.outcomes for one in results.values()} == {""}
    reported, by_hand = intervals(file)
    assert reported == pytest.approx(by_hand)
    assert "new examples too" in (file.report / "report.md").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"score": right[:100]}', "examples of score have the mean 0.* it must be that mean, or 100 times it"),
        ('{"loss": right}', "examples are given of loss; only those of the main metric, score, are of use"),
        ('{"score": [[1.0]]}', "examples of score is .* it is a vector of finite numbers"),
        ("right", "it is a mapping of metrics to a number for each example"),
    ],
)
def test_examples_that_cannot_be_used_are_refused_in_a_sentence(tmp_path: Path, given: str, said: str) -> None:
    file = StudyFile(tmp_path, "refused_" + re.sub("[^a-z]", "", given))
    file.write(RIGHT.replace('{"score": right}', given))
    assert file.run("--grid", "reference", seeds=1) == 1
    (result,) = file.read().values()
    assert result.status == "error" and re.search(said, result.error)


def test_vectors_may_be_of_any_library() -> None:
    found = vectors({"a": torch.tensor([True, False]), "b": np.array([0.5, 1], np.float32), "c": [1, 0]})
    assert found == {"a": [1.0, 0.0], "b": [0.5, 1.0], "c": [1.0, 0.0]}
    for wrong in ([], [float("nan")], ["x"], 3.0):
        with pytest.raises(TypeError, match="vector of finite numbers"):
            vectors({"a": wrong})
