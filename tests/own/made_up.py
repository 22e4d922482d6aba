"""Findings of a study file whose trials are made up: as its records would give them, without running any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ablations.analysis.verdicts import Findings
from ablations.core.load import load
from ablations.core.result import DONE, Result
from ablations.core.subject import Place
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.planning.request import Request
from ablations.planning.study import make_study

HEAD = """
from dataclasses import dataclass
from ablations.subject import Claim, Component, Every, Metric, Subject
"""
TRIAL = """

@subject.trial
def train(config, seed):
    raise AssertionError("made up")
"""
ON_DATA = TRIAL.replace("seed)", "seed, data)")  # of a file that names data sets


def findings(
    path: Path,
    text: str,
    outcomes: Callable[[Trial], Mapping[str, float] | tuple[Mapping[str, float], ...]],
    *,
    seeds: int = 5,
    grid: str = "one_out",
    words: tuple[str, ...] = (),
) -> Findings:
    """What a study of the file `text` would find whose trials come to `outcomes`: metrics, or a row an epoch."""
    path.write_text(f'"""Made up."""\n{HEAD}{text}{ON_DATA if "data=" in text else TRIAL}')
    load.cache_clear()
    subject = load(str(path))
    setting = subject.setting(subject.options(), Place(folder=path.parent), None, beside=1)
    request = Request(subject=str(path), options=None, name="made_up", grid=grid, words=words, seeds=seeds)
    study, trials = make_study(request, setting)
    return Findings(study=study, results=[_result(trial, outcomes(trial)) for trial in trials])


def failure(path: Path, text: str, returned: str) -> str:
    """What is said of a trial of the file `text` that returns this."""
    trial = TRIAL.replace('raise AssertionError("made up")', f"return {returned}")
    path.write_text(f"{HEAD}{text}{trial}")
    load.cache_clear()
    subject, place = load(str(path)), Place(folder=path.parent)
    setting = subject.setting(subject.options(), place, None, beside=1)
    one = Trial(variant=Variant(), seed=1, data="", fingerprint="", config=setting.config, subject=str(path))
    (failed,) = [event for event in subject.run((one,), place, lambda trial, row: None) if event]
    return str(failed.error)


def _result(trial: Trial, came: Mapping[str, float] | tuple[Mapping[str, float], ...]) -> Result:
    curve = came if isinstance(came, tuple) else ()
    return Result(trial=trial, status=DONE, metrics=came[-1] if isinstance(came, tuple) else came, curve=curve)
