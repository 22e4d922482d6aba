"""Verdicts depend neither on what a metric is called, nor on its unit, nor on which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.core.trial import Trial
from ablations.tracking.answers import Answers
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"a": 0, "b": 0, "harm": 0},
    components={"a": 1, "b": 1},
    metrics={METRICS},
    claims=[Claim(change="a", hurts=NAME, by=BY), Claim(change="b", same=NAME, by=BY)],
    sabotage={"harm": 1},
)
"""


def drawn(trial: Trial, spread: float = 1.0) -> float:
    """A number that only the seed and the variant decide."""
    values = trial.config["config"]
    return spread * float(np.random.default_rng([trial.seed, *values.values(), trial.config.get("salt", 0)]).normal())


def accuracy(trial: Trial) -> float:
    """Percent right: 80 or so, 5 less with the change `a`, 40 less with the sabotage; `b` does nothing."""
    values = trial.config["config"]
    return 80.0 - 5 * values["a"] - 40 * values["harm"] + drawn(trial)


def found(
    path: Path, name: str, metric: str, by: float, outcome: Callable[[Trial], float], **how: int | str
) -> Findings:
    text = TEXT.replace("METRICS", f'"{name}": {metric}').replace("NAME", f'"{name}"').replace("BY", repr(by))

    def outcomes(trial: Trial) -> Mapping[str, float]:
        return {name: outcome(trial)}

    return made_up.findings(path / "made_up_scales.py", text, outcomes, **{"seeds": 10, **how})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["recall@10", "mAP@0.5", "mAP@.5:.95", "pass@1"])
def test_a_metric_may_have_an_at_sign_in_its_name(tmp_path: Path, name: str) -> None:
    judged = found(tmp_path, name, '"higher"', 2.0, accuracy)
    assert [one.label for one in judged.verdicts] == ["reproduced", "reproduced"]
    one, two = judged.by_seed(name)["a=1"], judged.by_seed(name)["reference"]
    assert judged.effects[0].p == pytest.approx(stats.ttest_rel(one, two).pvalue)


def test_a_ratio_with_an_at_sign_in_its_name_is_a_ratio_in_tracking_too(tmp_path: Path) -> None:
    judged = found(tmp_path, "ppl@512", 'Metric("lower", ratio=True)', 1.02, lambda trial: 100 / accuracy(trial))
    assert judged.verdicts[0].label == "reproduced"
    assert Answers(judged).study_metrics()["ratio.ppl_512.a.1"] == pytest.approx(80 / 75, rel=0.01)


@pytest.mark.parametrize("grid", ["one_out", "full"])
@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-3, 1e9, 1e12])
def test_a_verdict_is_the_same_at_every_scale(tmp_path: Path, scale: float, grid: str) -> None:
    judged = found(tmp_path, "mse", '"lower"', 2 * scale, lambda trial: scale * (100 - accuracy(trial)), grid=grid)
    assert [one.label for one in judged.verdicts] == ["reproduced", "reproduced"]
    plain = found(tmp_path, "mse", '"lower"', 2.0, lambda trial: 100 - accuracy(trial), grid=grid)
    for one, two in zip(judged.effects, plain.effects, strict=True):
        assert (one.p, one.estimate / scale, one.low / scale) == pytest.approx((two.p, two.estimate, two.low))
        assert one.correlation == pytest.approx(two.correlation)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("grid", ["one_out", "full"])
def test_equal_differences_are_no_evidence_at_any_scale_although_they_are_rounded(
    tmp_path: Path, scale: float, grid: str
) -> None:
    def memory(trial: Trial) -> float:
        values = trial.config["config"]
        own = 3.3333 + 0.1 * values["a"] + 0.0001 * values["b"] + 0.01 * trial.seed
        return scale * (own + values["harm"] + 0.001 * drawn(trial) * (values["harm"] + trial.config.get("salt", 0)))

    judged = found(tmp_path, "memory", '"lower"', 0.01 * scale, memory, grid=grid)
    assert [one.label for one in judged.verdicts] == ["not tested (too few distinct pairs)"] * 2
