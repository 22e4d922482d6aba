"""What a study says of its controls, and of itself where it learned nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.core.result import Result
from ablations.core.study import Allowance
from ablations.core.text import MINUS, interval, signed
from ablations.core.trial import Trial
from ablations.planning.declare import declare
from ablations.reporting.answer import answer
from ablations.reporting.sections.sensitivity import placebo_reach, sensitivity
from ablations.reporting.terminal import terminal_lines
from ablations.reporting.to_mend import learned_nothing
from tests import synthetic
from tests.making import build, with_setting

MILD, PLACEBO = "mild_sabotage=twentieth", "placebo=salted"


def made(errors: Callable[[Trial], float], *, seeds: int = 5, command: str | None = None) -> Findings:
    """A study of LRN and pooling whose trials have these errors."""
    study, trials = synthetic.plan("one_out", ["lrn", "pooling"], seeds=seeds)
    study = declare(with_setting(study, guessing=90.0), None, records=0, at="2026-11-23T10:00:00+00:00")
    study = study if command is None else replace(study, command=command)
    return Findings(study=study, results=[synthetic.done(trial, errors(trial)) for trial in trials])


def wobble(trial: Trial) -> float:
    """A little of its own for each trial."""
    return 0.2 * ((int(trial.key, 16) % 11) / 10 - 0.5)


def shifted(label: str, by: float) -> Callable[[Trial], float]:
    """All around 20%, one variant `by` points above it."""
    return lambda trial: 20 + wobble(trial) + by * (trial.variant.label == label)


def test_a_mild_sabotage_that_shows_is_said_to_be_seen_with_its_interval() -> None:
    evidence = made(shifted(MILD, 1.5))
    errors = evidence.by_seed(evidence.metric)
    test = stats.ttest_rel(errors[MILD], errors["reference"])
    bounds = test.confidence_interval(0.95)
    mean = float((errors[MILD] - errors["reference"]).mean())
    assert sensitivity(evidence).startswith(
        "Sensitivity: this study would have seen 5% of the labels shuffled: "
        f"{signed(mean)} {interval(bounds.low, bounds.high)} points, p "
    )
    seen = made(lambda trial: shifted(MILD, 1.5)(trial) + 9 * (trial.variant.label == "sabotage=half"))
    assert "Sensitivity: this study would have seen 5%" in terminal_lines(seen)


@pytest.mark.parametrize("by", [0.0, -3.0])  # as much as nothing; and in the wrong direction
def test_a_mild_sabotage_that_does_not_raise_the_error_is_said_to_be_beyond_the_study(by: float) -> None:
    said = sensitivity(made(shifted(MILD, by)))
    assert said.startswith("Sensitivity: this study cannot tell 5% of the labels shuffled from nothing: ")
    assert said.endswith("Effects of that size are beyond it.")


def test_one_seed_cannot_tell_and_a_study_without_the_control_says_nothing() -> None:
    assert "cannot be told: it needs two finished pairs" in sensitivity(made(shifted(MILD, 1.5), seeds=1))
    evidence = made(shifted(MILD, 1.5))
    kept = tuple(one for one in evidence.study.variants if one.label != MILD)
    study = replace(evidence.study, variants=kept, controls=("placebo", "sabotage"))
    assert sensitivity(Findings(study=study, results=evidence.results)) == ""


def test_the_placebos_interval_stands_beside_the_smallest_effect_of_interest() -> None:
    evidence = made(shifted(PLACEBO, 0.0))
    claims = [claim for claim in evidence.study.claims if claim.metric == "test_top1_error_percent"]
    margins = sorted(claim.smallest_effect for claim in claims)
    (placebo,) = [one for one in evidence.effects if one.component == "placebo"]
    reach = max(-placebo.low, placebo.high)

    def said(*sizes: float) -> str:
        asked = tuple(replace(claims[0], smallest_effect=size) for size in sizes)
        return placebo_reach(Findings(study=replace(evidence.study, claims=asked), results=evidence.results))

    assert f"{interval(placebo.low, placebo.high)} points" in said(1.0)
    assert "The interval is narrower: other random draws alone do nothing of that size." in said(reach * 1.01, 9.0)
    wide = said(reach * 0.99, reach * 1.01, 9.0)
    assert "The interval is wider" in wide and "in 1 of 3 claims" in wide and "no proof of equality" in wide
    assert f"is {margins[0]:g} (" in placebo_reach(evidence)
    assert said() == ""  # nothing is claimed of this error


@pytest.mark.usefixtures("sketches")
def test_a_study_in_which_every_network_guesses_is_told_so_first_with_what_to_try() -> None:
    evidence = made(
        lambda trial: 90 + wobble(trial),
        command="python -m ablations.run --epochs 12 --dataset 'folder:my pets' --name=made_up",
    )
    said = answer(evidence)
    assert said.sentences[0].startswith("Not judged: ") and not said.judged
    (_, longer), (_, tuned) = said.commands
    kept = "python -m ablations.run --dataset 'folder:my pets'"
    assert longer == f"{kept} --epochs 48 --name made_up-longer"
    assert tuned == f"{kept} --epochs 12 --tune 7 --name made_up-tuned"
    assert build(evidence.study, evidence.results, []).answer == said
    printed = terminal_lines(evidence)
    assert printed.startswith("Not judged: ")
    assert f"  {longer}" in printed.splitlines() and f"  {tuned}" in printed.splitlines()


def test_one_network_that_learned_is_enough_not_to_be_told_so() -> None:
    def guess(trial: Trial) -> float:
        return 60.0 if (trial.variant.label, trial.seed) == ("-lrn", 3) else 90.0

    assert not learned_nothing(made(guess))
    assert not learned_nothing(Findings(study=made(guess).study, results=[]))
    lost: list[Result] = [synthetic.diverged(one) for one in made(guess).results]
    assert not learned_nothing(Findings(study=made(guess).study, results=lost))
    # 89.0% of 10,000 images is over three standard errors below 90%.
    assert not learned_nothing(made(lambda _: 89.0)) and learned_nothing(made(lambda _: 89.7))


def test_the_commands_to_try_do_not_contradict_themselves() -> None:
    looks = made(lambda _: 90.0, command="python -m ablations.run --sequential --looks 2,5 --seeds 5")
    (_, longer), (_, tuned) = answer(looks).commands
    assert "--sequential --looks 2,5 --seeds 5 --epochs 48" in longer and "--sequential" not in tuned
    assert "--looks" not in tuned and "2,5" not in tuned
    spent = made(lambda _: 90.0, command="python -m ablations.run --budget 30m")
    allowance = Allowance(asked="30m", grid="one_out", seeds=5, work=12, seconds=1.0, given_up=())
    spent = Findings(study=replace(spent.study, allowance=allowance), results=spent.results)
    for _, line in answer(spent).commands:
        assert "--budget" not in line and "--grid one_out --seeds 5" in line


def test_words_for_the_terminal_have_no_typographic_minus() -> None:
    assert MINUS not in terminal_lines(made(shifted(MILD, -3.0)))
