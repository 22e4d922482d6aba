"""The time to a verdict: that its spreads, seeds and looks are those of made-up studies whose truth is known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.group_sequential import Look
from ablations.analysis.rule import intervals, size_of
from ablations.bench import verdict, verdict_run
from ablations.bench.__main__ import main
from ablations.bench.verdict import Costs, Scatter
from ablations.core.effect import Effect

COSTS = {
    "plain": Costs(trainings=7, worth=7.0, runs=2),
    "one_out": Costs(trainings=9, worth=9.0, runs=2),
    "fractional": Costs(trainings=18, worth=18.0, runs=16),
}


def signs(changes: int = 4) -> verdict.Array:
    """A full factorial of so many changes."""
    grid = np.array(np.meshgrid(*[[-1.0, 1.0]] * changes)).reshape(changes, -1)
    return grid.T


def outcomes(seeds: int, *, seed: float, effect: float, own: float) -> verdict.Array:
    """Of a factorial whose variances are these, an effect of 2 for the first change."""
    random, coded = np.random.default_rng(1), signs()
    shared = random.normal(0, seed**0.5, (seeds, 1))
    slopes = random.normal([2.0, 0, 0, 0], effect**0.5, (seeds, 4))
    return 40 + shared + slopes @ coded.T / 2 + random.normal(0, own**0.5, (seeds, len(coded)))


def test_the_variances_of_a_made_up_factorial_are_found_again() -> None:
    found = verdict.scatter(outcomes(4_000, seed=0.5, effect=0.2, own=0.3), signs())
    assert found.own == pytest.approx(0.3, rel=0.02)
    assert found.effect() == pytest.approx(0.2, rel=0.05)
    assert found.within == pytest.approx(0.5 + 4 * 0.2 / 4 + 0.3, rel=0.05)
    assert found.left == pytest.approx(4 * 0.2 / 4 + 0.3, rel=0.08)  # four of the fifteen contrasts hold the effects
    # What a paired difference and a contrast of all 16 scatter by, had they been drawn.
    assert found.pair() == pytest.approx(2 * 0.3 + 0.2, rel=0.05)
    assert found.contrast(16) == pytest.approx(0.2 + 0.3 / 4, rel=0.05)


@pytest.mark.parametrize(("variance", "arms"), [(0.2, 1), (1.2, 2), (1e-9, 1)])
def test_one_seed_less_would_leave_the_interval_too_wide(variance: float, arms: int) -> None:
    def half_width(n: int) -> float:
        return float(stats.t.ppf(0.975, arms * (n - 1)) * (variance / n) ** 0.5)

    n = verdict.seeds_for(variance, 0.25, arms=arms)
    assert half_width(n) <= 0.25
    assert n == 2 or half_width(n - 1) > 0.25


def test_a_gain_is_the_ratio_of_variances_times_trainings_times_seconds() -> None:
    found = Scatter(within=1.0, left=0.7, own=0.5, main=np.full(6, 0.3), variants=16)
    made = verdict.times(found, COSTS, half_width=0.02, plain_seconds=30.0, our_seconds=10.0)
    effect = 0.3 - 0.5 / 4
    expected = (2 * 1.0 * 7 * 30) / ((effect + 0.5 / 4) * 18 * 10 * verdict.OVERHEAD)
    assert made["a"].seconds / made["c"].seconds == pytest.approx(expected, rel=1e-3)  # many seeds: t is normal
    assert made["c"].design == "fractional"
    assert made["a"].seconds / made["b"].seconds == pytest.approx(
        (2 * 7 * 30) / ((1.0 + effect) * 9 * 10 * verdict.OVERHEAD), rel=1e-3
    )
    granted = verdict.times(found, COSTS, half_width=0.02, plain_seconds=30.0, our_seconds=10.0, shared=True)
    assert granted["a"].seconds / made["a"].seconds == pytest.approx(0.7, rel=1e-3)


def test_looks_settle_effects_as_the_rule_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "STUDIES", 40)
    effects, looks = (0.0, 0.4, 1.5), (4, 7, 10)
    given = verdict.seeds_given(effects, 0.1, 0.25, looks, np.random.default_rng(2))
    draws = np.random.default_rng(2).normal(effects, 0.1**0.5, (10, 40, 3))
    for study, change in np.ndindex(40, 3):
        settled = [n for number, n in enumerate(looks, start=1) if told(draws[:n, study, change], number, looks)]
        assert given[study, change] == (settled or [10])[0]
    assert given[:, 2].mean() < given[:, 1].mean()  # what is near the smallest effect of interest takes longest


def told(values: verdict.Array, number: int, looks: tuple[int, ...]) -> bool:
    effect = Effect(
        component="c", level="off", metric="m", kind="main effect", estimate=float(values.mean()), low=0.0, high=0.0,
        p=1.0, n=len(values), correlation=0.0, method="", error=float(stats.sem(values)), df=len(values) - 1.0,
    )  # fmt: skip
    return size_of(*intervals(effect, 0.05, 1, Look(number=number, seeds=looks)), 0.5) != "open"


def test_the_last_look_is_as_narrow_as_was_asked() -> None:
    looks = verdict.looks_for(0.1, 0.25)
    level = Look(number=len(looks), seeds=looks).level(0.05)
    assert stats.t.isf(level / 2, looks[-1] - 1) * (0.1 / looks[-1]) ** 0.5 <= 0.25
    assert looks[-1] >= verdict.seeds_for(0.1, 0.25)


def test_pairs_stop_one_by_one_and_a_factorial_with_its_last() -> None:
    found = Scatter(within=1.0, left=0.7, own=0.3, main=np.full(6, 0.1), variants=16)
    effects = [3.0] * 5 + [0.5]  # five that any look tells, and one that none does
    alone, whole = (
        verdict.sequential(found, effects, COSTS[name], half_width=0.25, our_seconds=1.0, design=name)
        for name in ("one_out", "fractional")
    )
    first, last = (verdict.looks_for(found.pair(), 0.25)[place] for place in (0, -1))
    assert alone.trainings == pytest.approx(5 * first + (9 - 6 + 1) * last, rel=0.05)
    assert whole.trainings == pytest.approx(18 * verdict.looks_for(found.contrast(16), 0.25)[-1], rel=0.05)


def test_the_committed_factorial_gives_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "SAMPLES", 40)
    evidence = verdict_run.evidence_of(verdict_run.STUDY)
    row = {name: {"processor_seconds_per_image": cost} for name, cost in (("plain", 3.0), ("ours", 1.0))}
    found = verdict_run.amounts(evidence, COSTS, [row] * 3, half_width=0.25, cores=2)
    assert found["seeds_measured"] >= 6 and found["speed"] == [3.0] * 3
    assert list(found["ways"]) == ["a", "b", "c", "d"] and len(found["effects"]) == 6
    low, high = found["sure"]["c"]
    assert low < found["gains"]["c"] < high
    text = verdict_run.told({"amounts": found, "trial": "t", "study": "s", "provenance": {"hardware": {"cores": 2}}})
    assert f"{found['gains']['c']:.1f} [{low:.1f}..{high:.1f}]" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--half-width", "0"], "--half-width is 0"),
        (["--study", "nowhere"], "study.json is missing"),
        (["--study", "results/reference/cora-gcn"], "is of"),
        (["--study", "results/reference/cifar10-six"], "is no balanced factorial"),
    ],
)
def test_a_study_that_tells_no_scatter_is_refused_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--verdict", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_measurement_leaves_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})  # one thread: other tests may run beside it
    monkeypatch.setattr(verdict, "SAMPLES", 40)
    words = f"--verdict --dataset fashion-mnist-small --rounds 1 --seconds 0.2 --name short --results {tmp_path}"
    assert main(words.split()) == 0
    found = json.loads((tmp_path / "verdict-short.json").read_text())
    assert found["same_work"]["difference"] < 1e-4 and len(found["rounds"]) == 1
    assert found["costs"]["plain"]["trainings"] == 7 and found["costs"]["fractional"]["runs"] == 16
    assert found["costs"]["plain"]["worth"] > 0
    assert found["amounts"]["ways"]["c"]["seconds"] > 0
