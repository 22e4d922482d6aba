"""Metrics of a study file of which a trial gives the best of its rows, and what the report says of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from ablations.calibration.best import simulate
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.setting import Metric
from ablations.core.subject import Place
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.reporting import compose
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"width": 4}, components={"width": 2},
    metrics={"score": Metric("higher", take="best"), "loss": Metric("lower", take="best"), "last": "higher"},
)
"""
ROWS = [(1.0, 5.0, 1.0), (3.0, 2.0, 2.0), (2.0, 4.0, 0.5)]  # score, loss, last


def test_a_trial_gives_the_best_row_of_each_metric_that_asks_for_it_and_else_the_last(tmp_path: Path) -> None:
    path = tmp_path / "made_up_best.py"
    body = f"    for score, loss, last in {ROWS}:\n        yield dict(score=score, loss=loss, last=last)"
    trial = made_up.TRIAL.replace('    raise AssertionError("made up")', body)
    path.write_text(f"{made_up.HEAD}{TEXT}{trial}")
    load.cache_clear()
    subject, place = load(str(path)), Place(folder=tmp_path)
    setting = subject.setting(subject.options(), place, None, beside=1)
    one = Trial(variant=Variant(), seed=1, data="", fingerprint="", config=setting.config, subject=str(path))
    (measured,) = [event for event in subject.run((one,), place, lambda trial, row: None) if event]
    found: Any = measured.metrics
    assert (found["score"], found["loss"], found["last"]) == (3.0, 2.0, 0.5)


@pytest.mark.parametrize(("take", "warned"), [("best", True), ("last", False)])
def test_a_report_warns_of_the_best_of_so_many_rows(tmp_path: Path, take: str, warned: bool) -> None:
    text = TEXT.replace('take="best"', f'take="{take}"')
    rows = tuple({"epoch": epoch, "score": float(epoch), "loss": 1.0, "last": 1.0} for epoch in (1, 2, 3))
    found = made_up.findings(tmp_path / f"made_up_{take}.py", text, lambda trial: rows, seeds=2)
    report = compose.compose(found)
    assert ("best of 3 rows of a trial, so optimistic" in report.answer.trust) == warned
    said = " ".join(str(block) for section in report.sections for block in section.blocks)
    assert ("the best of 3 rows is chosen by this very number, so it is optimistic" in said) == warned


def test_another_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made_up_word.py"
    path.write_text(f"{made_up.HEAD}{TEXT.replace('best', 'mean', 1)}{made_up.TRIAL}")
    load.cache_clear()
    with pytest.raises(InputError, match="it is 'last' or 'best'"):
        load(str(path))


def test_the_best_row_favours_noisy_changes_and_the_last_one_does_not() -> None:
    last, best = (
        simulate(f"{take} row, a change twice as noisy", studies=40, seeds=8, claims=2) for take in ("last", "best")
    )
    assert stats.binom.sf(last.wrong_direction - 1, 40, 0.05) > 0.001
    assert stats.binom.sf(best.wrong_direction - 1, 40, 0.05) < 1e-4
    assert Metric(words="score", lower_is_better=False, best=True).taken([1.0, 3.0, 2.0]) == 3.0
