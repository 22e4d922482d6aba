"""What fits into a given time: seeds first, then longer trainings, and every sacrifice in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.cli.announce import time_budget_lines as lines
from ablations.core.errors import InputError
from ablations.core.study import Allowance, Study
from ablations.core.subject import Place
from ablations.core.text import seconds_in
from ablations.core.variant import Variant
from ablations.planning.alternatives import Design, designs, need
from ablations.planning.time_budget import SHARE, Wish, choose, kept, spend
from ablations.subjects.alexnet.timing import Pace
from tests import synthetic
from tests.planning.test_alternatives import SETTING, asked, equal_paces

WORDS = ("lrn", "dropout", "pca_jitter", "activation")
A_SEED = 8 * 391 * 0.001  # seconds of an epoch of the reference, four changes and three controls, a millisecond a step
WISH = Wish(asked="1h", seeds=None, work=None, usual_work=5, unit="epoch", workers=1)
FOUND = designs(asked(*WORDS), SETTING, ["one_out"])
PACES = equal_paces(FOUND)


def in_seconds(seconds: float, wish: Wish = WISH, found: Sequence[Design] = FOUND) -> Allowance:
    """The choice for so many seconds of training."""
    paces: dict[Variant, Pace] = equal_paces(found)
    return choose(found, paces, replace(wish, asked=f"{seconds / SHARE:.6f}s"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1H 30M", 0)]
)
def test_a_time_is_read_as_it_is_said(text: str, seconds: float) -> None:
    if seconds:
        assert seconds_in(text) == seconds
    else:
        with pytest.raises(InputError, match="such as 45s, 30m, 2h or 1h30m"):
            seconds_in(text)


@pytest.mark.parametrize("text", ["", "30", "0m", "ten minutes", "-5m", "5m2h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="such as 45s, 30m, 2h or 1h30m"):
        seconds_in(text)


def test_as_many_seeds_as_fit_are_taken_at_the_usual_epochs() -> None:
    chosen = in_seconds(6.5 * 5 * A_SEED)
    assert (chosen.grid, chosen.seeds, chosen.work) == ("one_out", 6, 5)
    assert chosen.seconds == pytest.approx(6 * 5 * A_SEED)
    assert chosen.given_up[0] == "4 of the 10 seeds that make more than a draft"
    assert "deciding every claim: " in chosen.given_up[1]


def test_what_is_left_when_every_claim_is_decided_goes_to_longer_trainings() -> None:
    enough = max(10, need(FOUND[0], [], pilot=None).seeds)
    chosen = in_seconds(7.5 * enough * A_SEED)
    assert (chosen.seeds, chosen.work) == (enough, 7)
    assert chosen.given_up == ("interactions, which --grid full tells",)
    assert in_seconds(1e7).work == 160  # the longest that a claim on these components was made on


def test_where_three_seeds_do_not_fit_trainings_become_shorter_and_then_two_seeds_will_do() -> None:
    short = in_seconds(3 * 2.9 * A_SEED)
    assert (short.seeds, short.work) == (4, 2)  # 8.7 seeds of an epoch
    assert "3 of the usual 5 epochs" in short.given_up
    least = in_seconds(2.5 * A_SEED)
    assert (least.seeds, least.work) == (2, 1)


def test_a_time_too_small_for_anything_says_what_the_smallest_study_takes() -> None:
    with pytest.raises(InputError, match=r"one_out with 2 seeds of 1 epoch, takes about 7 s here; take --budget 7s"):
        in_seconds(A_SEED)


def test_what_the_user_fixed_stays_and_what_cannot_be_met_is_refused() -> None:
    fixed = in_seconds(4.5 * 3 * A_SEED, replace(WISH, seeds=4))
    assert (fixed.seeds, fixed.work) == (4, 3)
    epochs = in_seconds(4.5 * 3 * A_SEED, replace(WISH, work=3))
    assert (epochs.seeds, epochs.work) == (4, 3)
    with pytest.raises(InputError, match="with 4 seeds of 3 epochs"):
        in_seconds(4 * 2.9 * A_SEED, replace(WISH, seeds=4, work=3))


def test_the_fraction_is_picked_where_it_comes_nearer_to_deciding_and_what_it_answers_is_said() -> None:
    found = designs(asked(*WORDS), SETTING, ["one_out", "fractional"])
    chosen = in_seconds(5 * 5 * A_SEED, found=found)
    assert chosen.grid == "fractional"
    assert any("averaged over the settings of the others" in one for one in chosen.given_up)


def test_a_design_that_cannot_be_had_is_refused_with_its_reason() -> None:
    with pytest.raises(InputError, match="fractional needs 4 components or more"):
        in_seconds(100, found=designs(asked("lrn"), SETTING, ["fractional"]))


def test_where_only_other_machines_have_the_gpu_no_time_can_be_planned_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only other machines have a GPU that one could be timed on"):
        spend(
            replace(asked("lrn"), time="2h", left_open=("seeds",)),
            SETTING,
            None,
            Place(folder=tmp_path, gpus=1.0),
            workers=1,
        )


def stored(chosen: Allowance | None) -> Study:
    study, _ = synthetic.plan("one_out", WORDS)
    return replace(study, allowance=chosen)


def test_the_choice_comes_back_from_the_record_and_stands() -> None:
    chosen = in_seconds(6.5 * 5 * A_SEED)
    again = Study.from_dict(stored(chosen).to_dict())
    assert again.allowance == chosen
    assert kept(again, replace(WISH, asked=chosen.asked), None) == chosen
    assert kept(None, WISH, None) is None


@pytest.mark.parametrize(
    ("wish", "grid", "message"),
    [
        (replace(WISH, asked="2h"), None, "planned for --budget 1h, and this run asks for 2h"),
        (replace(WISH, seeds=7), None, "planned for --seeds 6, and this run asks for 7"),
        (WISH, "full", "planned for --grid one_out, and this run asks for full"),
    ],
)
def test_a_study_planned_for_another_time_is_not_planned_anew(wish: Wish, grid: str | None, message: str) -> None:
    chosen = Allowance(asked="1h", grid="one_out", seeds=6, work=5, seconds=1.0)
    with pytest.raises(InputError, match=message):
        kept(stored(chosen), wish, grid)
    with pytest.raises(InputError, match="planned without --budget"):
        kept(stored(None), WISH, None)


def test_what_was_picked_and_given_up_is_said_line_by_line() -> None:
    said = lines(in_seconds(6.5 * 5 * A_SEED), "epoch")
    assert said[0].startswith("budget    ") and "one_out, 6 seeds, 5 epochs; about 94" in said[0]
    assert all(line.startswith("given up  ") for line in said[1:]) and len(said) == 4
