"""Studies, settings and plans of AlexNet as the tests want them, without data or a command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
import tyro

from ablations.analysis.verdicts import Findings
from ablations.cli.options import options_of, request_of, resolved, subject_among
from ablations.core.load import FIRST, load
from ablations.core.result import Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.subject import Place, Seconds
from ablations.core.subject import Report as Listener
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.execution.worker import run_job
from ablations.models.spec import Spec
from ablations.planning.cost import expected_seconds
from ablations.planning.plan import Plan, make_plan
from ablations.planning.request import Request
from ablations.planning.study import make_study
from ablations.records.claims import published
from ablations.reporting.compose import compose
from ablations.reporting.document import Report
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.metrics import setting_of
from ablations.subjects.alexnet.setting import Budget, budget_of, config_of, spec_of
from ablations.subjects.alexnet.timing import paces_of

BUDGET = Budget(epochs=12, train_examples=50_000, batch_size=128, image_size=32)
CLAIMS = published()  # of AlexNet
COUNTS = {"train_images": 50_000, "test_images": 10_000, "held_out_train_images": 45_000, "stored_size": 32}

Changed = TypeVar("Changed", Study, Trial)


def build(study: Study, results: Sequence[Result], problems: Sequence[str] = ()) -> Report:
    """The report of a study, from values instead of files."""
    return compose(Findings(study=study, results=results, problems=problems))


def setting(
    preset: str = "cifar",
    budget: Budget = BUDGET,
    *,
    dataset: str = "cifar10",
    fingerprint: str = "feedbeef",
    classes: int = 10,
    facts: Mapping[str, Any] = COUNTS,
    **more: Any,
) -> Setting:
    """What the trials of a study share, as `setting_of` makes it; `more` are other fields of it."""
    known = {"classes": classes, **facts}
    return replace(setting_of(preset, budget, dataset=dataset, fingerprint=fingerprint, facts=known), **more)


def request(grid: str, words: Sequence[str] = (), *, name: str = "made_up", seeds: int = 1, **more: Any) -> Request:
    """What somebody asks for of AlexNet."""
    return Request(subject=FIRST, options=None, name=name, grid=grid, words=tuple(words), seeds=seeds, **more)


def study(
    grid: str,
    words: Sequence[str] = (),
    *,
    name: str = "made_up",
    seeds: int = 1,
    command: str = "python -m ablations.run",
    preset: str = "cifar",
    budget: Budget = BUDGET,
    shared: Setting | None = None,
    **more: Any,
) -> tuple[Study, tuple[Trial, ...]]:
    """`make_study` of AlexNet in the setting `shared`, or in that of a preset and a budget."""
    made = shared or setting(preset, budget)
    return make_study(request(grid, words, name=name, seeds=seeds, command=command, **more), made)


def with_setting(study: Study, **changes: Any) -> Study:
    """`study` with other fields of its setting."""
    return replace(study, setting=replace(study.setting, **changes))


def with_budget(one: Changed, **changes: Any) -> Changed:
    """A study or a trial with another budget; of a study the setting says the same."""
    if isinstance(one, Trial):
        return replace(one, config=_with(one.config, **changes))
    config = _with(one.setting.config, **changes)
    made, facts = budget_of(config), one.setting.facts
    fresh = setting_of(
        facts["preset"],
        made,
        dataset=one.setting.data,
        fingerprint=one.setting.fingerprint,
        facts={name: value for name, value in facts.items() if name not in changes},
    )
    kept = {name: getattr(one.setting, name) for name in ("note", "guessing", "baseline", "examples")}
    return replace(one, setting=replace(fresh, **kept))


def _with(config: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    return config_of(config["preset"], replace(budget_of(config), **changes), spec_of(config))


def with_spec(trial: Trial, spec: Spec) -> Trial:
    """`trial` with another Spec."""
    return replace(trial, config=config_of(trial.config["preset"], budget_of(trial.config), spec))


def trial_of(spec: Spec, budget: Budget, *, seed: int = 0, preset: str = "cifar_small", **more: Any) -> Trial:
    """A trial of a Spec for a budget; `more` are other fields of Trial."""
    fields = {"variant": Variant(), "data": "cifar10", "fingerprint": "feedbeef", **more}
    return Trial(seed=seed, config=config_of(preset, budget, spec), **fields)


def config_from(*arguments: str) -> Any:
    """What these words of a command line come to, every open option filled in."""
    return resolved(tyro.cli(options_of(subject_among(arguments)), args=list(arguments)))[0]


def plan_from(*arguments: str, command: str = "", machines: Sequence[Mapping[str, float]] = ()) -> Plan:
    """The plan of a command line; decodes its data."""
    return make_plan(request_of(config_from(*arguments), command=command, machines=machines))


def run_trial(trial: Trial, place: Place, *, report: Listener = lambda trial, row: None) -> Result:
    """What came of `trial`, run by itself."""
    (result,) = run_job((trial,), place, report=report)
    return result


def seconds_a_trial(
    trials: Sequence[Trial],
    data: Data,
    *,
    threads: int = 1,
    device: torch.device = torch.device("cpu"),  # noqa: B008
) -> dict[Variant, Seconds]:
    """Expected seconds of one trial of each variant, by timing a few steps on `data`."""
    return expected_seconds(trials, paces_of(trials, data, threads=threads, device=device))


def events(trial: Trial, place: Place) -> Iterator[Any]:
    """What the subject of `trial` yields for it."""
    yield from load(trial.subject).run((trial,), place, lambda trial, row: None)
