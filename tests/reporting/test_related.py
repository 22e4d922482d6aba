"""Studies of one subject and one data set name each other, by what each has left beside its records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablations.analysis.verdicts import Findings
from ablations.core.tuning import Tuning
from ablations.records import store
from ablations.records.files import write_json
from ablations.reporting.document import Table
from ablations.reporting.related import found_in, read_found, related, write_found
from ablations.reporting.sections.related import section
from tests import synthetic
from tests.making import with_budget, with_setting


def study(results: Path, name: str, *words: str, seeds: int = 5, noise: float = 0.3, **changes: Any) -> Findings:
    """A study that lies under `results`, with no record on disk: nobody may read those of another study."""
    plan, trials = synthetic.plan("one_out", words, seeds=seeds, name=name)
    plan = replace(plan, **changes)
    store.write_study(results / name, plan)
    return Findings(study=plan, results=synthetic.results(trials, noise=noise), folder=results / name)


def table(evidence: Findings) -> Table:
    found = section(evidence)
    assert found
    (one,) = [block for block in found.blocks if isinstance(block, Table)]
    return one


def words(evidence: Findings) -> str:
    found = section(evidence)
    return " ".join(block for block in found.blocks if isinstance(block, str)) if found else ""


def test_a_related_study_is_named_with_what_differs_and_what_it_found_of_the_same_change(tmp_path: Path) -> None:
    one, two = study(tmp_path, "long", "lrn", "dropout"), study(tmp_path, "short", "lrn", seeds=3, noise=2.0)
    shorter = with_budget(two.study, epochs=6)
    write_json(tmp_path / "short" / "study.json", shorter.to_dict())
    write_found(two)
    assert "same subject and data: short (seeds 3 instead of 5, epochs 6 instead of 12)." in words(one)
    (row,) = table(one).rows
    lrn = ("lrn", "off")
    assert row == ("no LRN", "short", found_in(one).changes[lrn], found_in(two).changes[lrn])
    (effect,) = [some for some in two.effects if some.component == "lrn"]
    assert row[3].startswith(f"{effect.estimate:+.2f} [".replace("-", "\N{MINUS SIGN}")) and "n = 3; " in row[3]
    assert "top-1 error" in table(one).caption and "top-1 error" not in row[3]
    (verdict, *_) = [some for some in one.verdicts if some.claim.component == "lrn"]
    assert verdict.label in row[2]
    assert "long (seeds 5 instead of 3, epochs 12 instead of 6, 1 change that this one has not)" in words(two)


def test_only_the_name_is_said_of_a_study_that_has_left_nothing_and_no_word_of_those_of_other_data(
    tmp_path: Path,
) -> None:
    one = study(tmp_path, "one", "lrn")
    assert section(one) is None and section(replace(one, folder=None)) is None
    other = study(tmp_path, "elsewhere", "lrn")
    there = with_setting(other.study, data="cifar100", fingerprint="other")
    write_json(tmp_path / "elsewhere" / "study.json", there.to_dict())
    write_found(other)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "study.json").write_text("{")
    assert section(one) is None
    study(tmp_path, "silent", "lrn")
    found = section(one)
    assert found and found.blocks == ("Other studies here are of the same subject and data:", "silent.")
    for content in ("{", '{"metric": "error", "changes": [{}]}', '{"metric": "error"}'):
        (tmp_path / "silent" / "findings.json").write_text(content)
        assert section(one) == found and read_found(tmp_path / "silent") is None


def test_data_of_one_fingerprint_or_one_name_are_the_same_data_and_a_tuned_study_is_called_so(tmp_path: Path) -> None:
    one = study(tmp_path, "one", "lrn")
    two = study(tmp_path, "two", "lrn")
    write_json(tmp_path / "two" / "study.json", with_setting(two.study, data="folder:/elsewhere").to_dict())
    assert [some.differs for some in related(one)] == [("data set folder:/elsewhere instead of cifar10",)]
    write_json(tmp_path / "two" / "study.json", with_setting(two.study, fingerprint="other").to_dict())
    assert [some.differs for some in related(one)] == [("other data under the same name",)]
    tuning = Tuning(rates=7, seed=100, seeds=3, setting=two.study.setting)
    write_json(tmp_path / "two" / "study.json", replace(two.study, tuning=tuning).to_dict())
    assert [some.differs for some in related(one)] == [("tuned (7 rates an arm, 3 trials at each)",)]


def test_what_is_left_is_the_same_whenever_it_is_written_and_a_full_disk_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = study(tmp_path, "one", "lrn", "dropout")
    write_found(one)
    first = (tmp_path / "one" / "findings.json").read_bytes()
    write_found(replace(one))
    assert (tmp_path / "one" / "findings.json").read_bytes() == first
    assert {row["component"] for row in json.loads(first)["changes"]} == {"lrn", "dropout"}  # and no control

    def full(*anything: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ablations.reporting.related.write_json", full)
    write_found(one)
    assert "findings.json was not kept: No space left on device" in caplog.text


def test_of_a_study_whose_gates_do_not_hold_no_effect_is_said_to_hurt(tmp_path: Path) -> None:
    one = study(tmp_path, "one", "activation")
    assert "hurts" in found_in(one).changes[("activation", "tanh")]
    blind = [
        replace(some, metrics={**some.metrics, one.metric: 21.0 + 0.1 * some.trial.seed})
        if ("sabotage", "half") in some.trial.variant.departures
        else some
        for some in one.results
    ]
    assert {text.split("; ")[1] for text in found_in(replace(one, results=blind)).changes.values()} == {"not judged"}
