"""Several data sets as blocks: pairs within a data set and seed, means over data sets, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.core.trial import Trial
from tests.own import made_up

NAMES = ("ants", "bees", "crows", "deer", "elk")
TEXT = f"""
subject = Subject(
    reference={{"scale": True, "width": 4}},
    components={{"scale": False, "width": [2, 8]}},
    metrics={{"score": Metric("higher", unit="points", chance=dict.fromkeys({NAMES!r}, 5.0))}},
    claims=[Claim(change="scale", hurts="score", by=0.1)],
    data={list(NAMES)!r},
)
"""
# Of the score without scaling: a row a data set, a column a seed.
CHANGE = np.array([[-1.6, -0.4, -1.0], [0.5, 0.1, 0.4], [-3.0, -2.0, -2.2], [-0.2, -0.1, 0.3], [-9.0, -11.0, -4.0]])
LEVEL = [90.0, 50.0, 70.0, 30.0, 60.0]  # of the reference's score


def outcome(trial: Trial) -> dict[str, float]:
    values, block = trial.config["config"], NAMES.index(trial.data)
    salted = [0.3, -0.2, 0.5][trial.seed] * bool(trial.config.get("salt")) * (1 + block)
    change = 0.0 if values["scale"] else CHANGE[block, trial.seed]
    return {"score": LEVEL[block] + trial.seed + change + salted + values["width"] - 4}


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    return made_up.findings(tmp_path / "made_up_blocks.py", TEXT, outcome, seeds=3)


def test_every_variant_has_a_trial_on_each_data_set_under_each_seed(found: Findings) -> None:
    counts = Counter((one.trial.variant.label, one.trial.data, one.trial.seed) for one in found.results)
    labels = {"reference", "-scale", "placebo=salted"}
    assert {label for label, *_ in counts} >= labels
    assert set(counts.values()) == {1} and len(counts) == len(found.labels) * len(NAMES) * 3
    assert len({one.trial.key for one in found.results}) == len(found.results) == len(found.study.keys)


def test_an_effect_is_the_mean_over_data_sets_of_pairs_within_a_data_set_and_seed(found: Findings) -> None:
    (effect,) = [one for one in found.effects if one.component == "scale"]
    by_seed = CHANGE.mean(axis=0)  # a seed's pairs, averaged over data sets
    plain = stats.ttest_1samp(by_seed, 0)
    interval = plain.confidence_interval(0.95)
    assert effect.estimate == pytest.approx(CHANGE.mean())
    assert (effect.low, effect.high, effect.p) == pytest.approx((*interval, plain.pvalue))
    assert (effect.n, effect.df) == (3, 2)
    (verdict,) = found.verdicts
    assert verdict.p_holm == pytest.approx(plain.pvalue)
