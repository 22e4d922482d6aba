"""Averages over seeds against plain loops, their intervals by simulation, and what a report says of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.averages import averages, write_averages
from ablations.analysis.ensembles import MOST, ensembles, subsets
from ablations.analysis.statistics import Array, both_samplings
from ablations.analysis.verdicts import Findings
from ablations.core.labels import labels_of
from ablations.core.result import DONE
from ablations.core.text import number, signed
from ablations.records.predictions import Predictions, packed, predictions_path, read_predictions, write_predictions
from ablations.records.store import read, write_result, write_study
from ablations.report import render
from ablations.reporting.document import Section, Table
from ablations.reporting.sections import ensembles as reporting
from ablations.run import main
from tests import synthetic


def drawn(random: np.random.Generator, seeds: int, images: int, classes: int = 4) -> tuple[list[Array], Array]:
    """Softmax outputs of networks that share what is hard about an image, and differ in skill and in the rest."""
    labels = random.integers(0, classes, images)
    shared = random.normal(0, 1.5, (images, classes))
    shared[np.arange(images), labels] += 1.2
    skill = random.normal(1, 0.15, seeds)
    logits = skill[:, None, None] * shared + random.normal(0, 1.2, (seeds, images, classes))
    odds = np.exp(logits)
    return list((odds / odds.sum(axis=2, keepdims=True)).astype(np.float16)), labels


def test_errors_are_those_of_a_plain_loop_over_images_and_subsets() -> None:
    probabilities, labels = drawn(np.random.default_rng(0), seeds=4, images=150)

    def error(subset: tuple[int, ...]) -> float:
        wrong = 0
        for image, label in enumerate(labels):
            mean = [sum(float(probabilities[seed][image, k]) for seed in subset) / len(subset) for k in range(4)]
            wrong += mean.index(max(mean)) != label
        return 100 * wrong / len(labels)

    single = sum(error((seed,)) for seed in range(4)) / 4
    found = ensembles(probabilities, labels)
    assert [one.size for one in found] == [2, 3, 4]
    for one in found:
        expected = [error(subset) for subset in itertools.combinations(range(4), one.size)]
        assert one.errors == pytest.approx(expected)
        assert one.single == pytest.approx(single)
        assert one.gain == pytest.approx(sum(expected) / len(expected) - single)


def test_of_all_networks_the_interval_is_that_of_the_mean_over_images() -> None:
    probabilities, labels = drawn(np.random.default_rng(1), seeds=3, images=400)
    whole = ensembles(probabilities, labels)[-1]
    single = np.mean([one.argmax(axis=1) != labels for one in probabilities], axis=0)
    average = np.mean([one.astype(float) for one in probabilities], axis=0).argmax(axis=1) != labels
    difference = 100 * (average - single)
    half = 1.96 * difference.std(ddof=1) / 20
    assert not whole.new_seeds
    assert (whole.low, whole.high) == pytest.approx((difference.mean() - half, difference.mean() + half), rel=0.01)


def test_over_networks_the_interval_is_that_of_pseudovalues_by_hand() -> None:
    probabilities, labels = drawn(np.random.default_rng(5), seeds=3, images=300)

    def wrong(*subset: int) -> Array:
        mean = np.mean([probabilities[seed].astype(float) for seed in subset], axis=0)
        return np.where(mean.argmax(axis=1) != labels, 100.0, 0.0)

    gain = (wrong(0, 1) + wrong(0, 2) + wrong(1, 2)) / 3 - (wrong(0) + wrong(1) + wrong(2)) / 3
    left = [wrong(one, two) - (wrong(one) + wrong(two)) / 2 for one, two in ((1, 2), (0, 2), (0, 1))]
    pseudovalues = np.array([3 * gain - 2 * one for one in left])
    # Of the means over images their variance is the jackknife's, (S - 1) / S times the sum of squares.
    means = np.array([one.mean() for one in left])
    jackknife = 2 / 3 * float(((means - means.mean()) ** 2).sum())
    assert pseudovalues.mean(axis=1).var(ddof=1) / 3 == pytest.approx(jackknife)
    error, df = both_samplings(pseudovalues)
    half = error * float(stats.t.ppf(0.975, df))
    found = ensembles(probabilities, labels)[0]
    assert found.new_seeds
    assert (found.low, found.high) == pytest.approx((gain.mean() - half, gain.mean() + half))


def test_equal_networks_gain_nothing() -> None:
    probabilities, labels = drawn(np.random.default_rng(2), seeds=1, images=50)
    for one in ensembles(probabilities * 3, labels):
        assert one.gain == pytest.approx(0)
        assert set(one.errors) == {one.errors[0]}


@pytest.mark.parametrize(("seeds", "size"), [(5, 2), (5, 4), (3, 2)])
def test_intervals_cover_what_other_networks_and_images_would_give(seeds: int, size: int) -> None:
    random = np.random.default_rng(3)
    truth = np.mean([ensembles(*drawn(random, seeds=size, images=3000))[-1].gain for _ in range(60)])
    runs = [ensembles(*drawn(random, seeds=seeds, images=150))[size - 2] for _ in range(250)]
    covered = np.mean([one.low <= truth <= one.high for one in runs])
    assert truth < -1  # there is something to cover
    # A share of 95% of 250 scatters by 1.4; the jackknife may be wide, and must not be narrow.
    assert covered > 0.91
    scatter = np.std([one.gain for one in runs])
    widths = np.median([one.high - one.low for one in runs]) / 2
    assert scatter < widths < 8 * scatter


def test_many_seeds_are_sampled_always_alike() -> None:
    assert subsets(4, 2) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    many = subsets(12, 6)
    assert len(set(many)) == len(many) == MOST and many == subsets(12, 6)
    assert all(len(set(one)) == 6 and max(one) < 12 for one in many)


def section_of(folder: Path) -> Section | None:
    study, results, problems = read(folder)
    return reporting.section(Findings(study=study, results=results, problems=problems, folder=folder))


def tables_of(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def words_of(section: Section | None) -> str:
    assert section is not None
    return " ".join(block for block in section.blocks if isinstance(block, str))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A made-up study of the reference, -lrn and the controls, three seeds, with predictions of 200 images."""
    study, trials = synthetic.plan("one_out", ["lrn"])
    write_study(tmp_path / "made_up", study)
    random = np.random.default_rng(4)
    probabilities, labels = drawn(random, seeds=len(trials), images=200)
    for result, one in zip(synthetic.results(trials), probabilities, strict=True):
        write_result(tmp_path / "made_up", result)
        kept = Predictions(probabilities=one, labels=labels)
        write_predictions(tmp_path / "made_up", result.trial.key, packed(kept))
    return tmp_path / "made_up"


def test_the_report_holds_every_size_of_every_variant_and_says_that_nothing_was_trained(
    folder: Path, tmp_path: Path
) -> None:
    study, _, _ = read(folder)
    section = section_of(folder)
    assert section is not None and "No training was added" in words_of(section)
    whole, smaller = tables_of(section)
    labels = [labels_of(study.subject).of(*variant.departures) for variant in study.variants]
    assert [row[:2] for row in whole.rows] == [(label, "3") for label in labels]
    assert [row[:3] for row in smaller.rows] == [(label, "2", "3") for label in labels]
    assert not study.variants[0].departures and len(study.variants) == 5
    reference = [one for key in study.keys[::5] if (one := read_predictions(folder, key))]
    two, all_three = ensembles([one.probabilities for one in reference], reference[0].labels)
    assert whole.rows[0][2:5] == (number(all_three.single), number(all_three.error), signed(all_three.gain))
    assert smaller.rows[0][3:5] == (number(two.error), signed(two.gain))
    html, markdown, *_ = render(str(folder), tmp_path, tmp_path / "reports")
    for text in (html.read_text(), markdown.read_text()):
        assert f"All 3 networks of the reference, averaged, have {number(all_three.error)}% test error" in text
    assert (tmp_path / "reports" / "made_up" / "figures" / "ensembles.svg").exists()


def test_predictions_that_are_missing_are_said_to_be_and_nothing_fails(folder: Path) -> None:
    study, _, _ = read(folder)
    lost = [predictions_path(folder, key) for key in study.keys]
    lost[0].unlink()
    lost[6].write_bytes(b"no zip")  # one of the reference's three, and one of -lrn's
    section = section_of(folder)
    assert "The predictions of 2 of 15 finished trials are not here." in words_of(section)
    assert section is not None
    whole, smaller = tables_of(section)
    assert [row[1] for row in whole.rows] == ["2", "2", "3", "3", "3"]
    controls = labels_of(study.subject)
    assert [row[0] for row in smaller.rows] == [controls.of(*variant.departures) for variant in study.variants[2:]]
    for path in lost[1:]:
        path.unlink()
    assert "The predictions of 15 of 15 finished trials are not here." in words_of(section_of(folder))


def test_what_averages_came_to_is_shown_without_the_predictions_while_it_is_of_the_same_trials(folder: Path) -> None:
    study, results, _ = read(folder)
    before = section_of(folder)
    write_averages(folder, Findings(study=study, results=results, folder=folder).averages)
    for path in (folder / "predictions").iterdir():
        path.unlink()
    assert before is not None and section_of(folder) == before
    path = folder / "ensembles.json"
    kept = path.read_text()
    path.write_text(kept.replace('"new_seeds": true', '"new_seeds": false', 1))
    assert "The predictions of 15 of 15 finished trials are not here." in words_of(section_of(folder))
    path.write_text(kept)
    (folder / "trials" / f"{study.keys[0]}.json").unlink()  # the reference's first seed
    assert "The predictions of 2 of 14 finished trials are not here." in words_of(section_of(folder))


def test_the_committed_study_shows_what_its_predictions_came_to_and_they_are_not_committed() -> None:
    folder = Path(__file__).parents[2] / "results" / "reference" / "cifar10-factorial"
    study, results, _ = read(folder)
    found = averages([one for one in results if one.status == DONE], folder)
    assert len(found) == len(study.variants) == 19
    by_key = {one.trial.key: one for one in results}
    for one in found.values():
        recorded = [by_key[key].metrics["test_top1_error_percent"] for key in one.keys]
        assert one.errors == pytest.approx(recorded, abs=0.05)  # two classes may be equal in float16
        assert [size.size for size in one.ensembles] == list(range(2, 11))


def test_predictions_of_other_images_are_not_averaged(folder: Path) -> None:
    study, _, _ = read(folder)
    kept = read_predictions(folder, study.keys[0])
    assert kept is not None
    other = replace(kept, labels=(kept.labels + 1) % 4)
    write_predictions(folder, study.keys[10], packed(other))  # the reference's third seed
    assert "The predictions of 1 of 15 finished trials are not here." in words_of(section_of(folder))


def test_one_seed_has_no_ensembles(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=1)
    write_study(tmp_path, study)
    for result in synthetic.results(trials):
        write_result(tmp_path, result)
    assert section_of(tmp_path) is None


@pytest.mark.slow
@pytest.mark.usefixtures("sketches")
def test_a_study_averages_its_own_seeds_and_single_errors_are_those_of_its_records(
    blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    words = ["--grid", "one_out", "--components", "ten_view", "--seeds", "2", "--name", "s", "--executor", "serial"]
    words += ["--dataset", f"folder:{blobs}", "--image-size", "16", "--epochs", "14"]
    # After few steps two classes may be equal in the float16 that is kept, and then the first of them is taken.
    words += ["--batch-size", "16", "--no-mlflow"]
    assert main([*words, "--results", str(tmp_path), "--reports", str(tmp_path / "reports")]) == 0
    section = section_of(tmp_path / "s")
    assert section is not None and "are not here" not in words_of(section)
    table = tables_of(section)[0]
    study, results, _ = read(tmp_path / "s")
    called = labels_of(study.subject)
    for row in table.rows:
        errors = [
            result.metrics["test_top1_error_percent"]
            for result in results
            if called.of(*result.trial.variant.departures) == row[0]
        ]
        assert row[2] == number(sum(errors) / 2)
