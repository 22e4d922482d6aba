"""Names that users give reach MLflow, whatever they hold, and none in the place of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE

from ablations.analysis.verdicts import Findings
from ablations.core.study import Study
from ablations.core.variant import Variant
from ablations.tracking import fields, mlflow_view, names
from ablations.tracking.background import View
from ablations.tracking.names import LONGEST_KEY, LONGEST_VALUE, RefusedError
from tests.making import CLAIMS, with_setting
from tests.tracking import test_mlflow_view as view
from tests.tracking.test_mlflow_view import of_role, outcomes, parent_and_children, plan, trials, variants

pytestmark = view.pytestmark
empty_database, uri = view.empty_database, view.uri  # fixtures
CLAIM = "no LRN (CIFAR-10): +2 %"
AWKWARD = [
    CLAIM,
    "",
    " ",
    ".",
    "..",
    "/",
    "//",
    "a//b",
    "a/b",
    "a/b/",
    "/a/b",
    "./a/b",
    "a/../b",
    "a.",
    ".a",
    " a",
    "a ",
]
AWKWARD += ["a\n", "a\nb", "A", "a", "\u00e9", "e\u0301", "\ud800", "\0", "x" * 300, "x" * 251, "x" * 249 + "/y"]
AWKWARD += ["mlflow.runName", "\u4e2d\u6587", "a:b", "a b", "a_b"]
ANY = st.text(alphabet=st.characters(), max_size=300) | st.sampled_from(AWKWARD)


def test_what_mlflow_takes_as_it_is_stays_as_it_is() -> None:
    for name in (
        "test_error",
        "val/accuracy",
        "verdict.lrn_cifar",
        "no LRN",
        "-lrn",
        "x" * LONGEST_KEY,
        "\u4e2d\u6587",
    ):
        assert names.key(name) == name
    assert names.key(CLAIM) == "no LRN _CIFAR-10_ _2 _"


@given(st.lists(ANY, max_size=30), st.lists(ANY.map(names.key), max_size=5), st.randoms())
@example(AWKWARD, ["a", "a_2"], None)
def test_each_name_has_a_key_of_its_own_in_whatever_order_they_come(
    given_names: list[str], reserved: list[str], random: Any
) -> None:
    found = names.keys(given_names, reserved)
    assert set(found) == set(given_names)
    folded = [key.casefold() for key in found.values()]
    assert len({*folded}) == len(folded)  # some databases do not tell capitals apart
    assert not {*folded} & {key.casefold() for key in reserved}
    other = sorted(given_names, reverse=True)
    if random is not None:
        random.shuffle(other)
    assert names.keys(other, reserved) == found


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY, min_size=1, max_size=40), st.lists(ANY, min_size=1, max_size=40))
@example(AWKWARD, AWKWARD)
@example(["a"], ["y" * 9000, "\U0001f600" * 9000])
def test_a_database_keeps_what_it_is_given_under_any_name(uri: str, given_names: list[str], values: list[str]) -> None:
    client, keys = MlflowClient(tracking_uri=uri), list(names.keys(given_names).values())
    told = [names.value(value) for value in values]
    pairs = {key: told[number % len(told)] for number, key in enumerate(keys)}
    called = names.run_name(values[0])
    run = client.create_run("0", tags={}, run_name=called).info.run_id
    tags = {names.key(f"verdict.{number}.{key}"): value for number, (key, value) in enumerate(pairs.items())}
    metrics = [Metric(key, float(number), 1, 0) for number, key in enumerate(keys)]
    client.log_batch(run, metrics, [Param(*pair) for pair in pairs.items()], [RunTag(*tag) for tag in tags.items()])
    kept = client.get_run(run)
    assert kept.data.metrics == {key: float(number) for number, key in enumerate(keys)}
    assert kept.data.params == pairs
    assert kept.data.tags.items() >= tags.items()
    assert kept.info.run_name == called and 0 < len(called) <= LONGEST_KEY
    assert all(len(value) <= LONGEST_VALUE for value in told)


def awkward() -> Study:
    """A study whose components, levels, metrics and claims are called as no key can be, and as keys of ours are."""
    study = plan(seeds=1)
    departures = [("change", "a%"), ("Preset", "a("), ("", ""), ("dataset", "b" * 300), ("x", "y\n")]
    metric = dataclasses.replace(study.setting.metrics["test_loss"], words="loss")
    claims = [
        dataclasses.replace(
            CLAIMS[0], name=name, component="change", level="a%", metric="loss (%)", epoch=None, also=""
        )
        for name in (CLAIM, "no LRN _CIFAR-10_ _2 _", "", "/")
    ]
    study = dataclasses.replace(
        study,
        variants=(Variant(), *(Variant(departures=(one,)) for one in departures)),
        components=tuple(departures),
        claims=tuple(claims),
    )
    study = with_setting(study, main="loss (%)", metrics={"seconds": metric, "loss (%)": metric, "loss [%]": metric})
    return dataclasses.replace(study, keys=tuple(trial.key for trial in trials(study)))


def results_of(study: Study) -> list[Any]:
    metrics = {"seconds": 7.0, "loss (%)": 1.0, "loss [%]": 2.0}
    return [
        dataclasses.replace(one, metrics=metrics, curve=({"epoch": 1e30, **metrics},), seconds=4.5)
        for one in outcomes(study)
    ]


def test_a_study_with_any_names_is_mirrored_whole_and_ended(uri: str) -> None:
    study = awkward()
    records = results_of(study)
    view.mirrored(uri, study, records)

    parent, children = parent_and_children(uri)
    assert parent.info.status == "FINISHED"
    verdicts = {name: text for name, text in parent.data.tags.items() if name.startswith("verdict")}
    assert set(verdicts) == {
        "verdict",
        "verdict_2",
        "verdict.no LRN _CIFAR-10_ _2 _",
        "verdict.no LRN _CIFAR-10_ _2 __2",
    }
    assert all(verdicts.values())
    data = children[study.keys[1]].data
    assert (data.params["change"], data.params["change_2"]) == ("change=a%", "a%")
    assert (data.params["preset"], data.params["Preset_2"]) == ("paper", "reference")
    assert (data.params["_"], data.params["dataset"], data.params["dataset_2"]) == ("reference", "shapes", "reference")
    assert (data.metrics["seconds"], data.metrics["seconds_2"]) == (7.0, 4.5)  # the trial's own metric, and its time
    assert {data.metrics[name] for name in data.metrics if name.startswith("loss")} == {1.0, 2.0}
    assert len(variants(uri)) == 6


CALLS = ("log_batch", "log_inputs", "log_artifacts", "set_experiment_tag")


@pytest.mark.parametrize("call", CALLS)
def test_what_one_call_refuses_costs_that_call_alone(
    call: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = plan(names=("lrn",), seeds=1)
    records = outcomes(study)
    with monkeypatch.context() as patch:
        refusing(patch, call, at=2 if call in ("log_batch", "log_inputs") else 1)
        mirror = mlflow_view.Mirror(uri, study, folder=tmp_path / study.name)
        for record in records:
            mirror.trial(record)
        with pytest.raises(RefusedError) as refused:
            mirror.report(view._report(tmp_path), Findings(study=study, results=records))
    assert "no such thing" in str(refused.value.__cause__)
    found = view.runs(uri)
    assert len(found) == 1 + 2 + 2
    assert {run.info.status for run in found} <= {"FINISHED", "FAILED"}
    assert parent_and_children(uri)[0].info.status == "FAILED"
    assert parent_and_children(uri)[0].data.metrics["trials_done"] == 2.0
    view.mirrored(uri, study, records)  # and what is missing is made good
    assert {run.info.status for run in view.runs(uri)} == {"FINISHED"}
    assert all(run.data.metrics["train_loss"] for run in of_role(uri, "trial"))


def refusing(patch: pytest.MonkeyPatch, call: str, *, at: int, code: int = INVALID_PARAMETER_VALUE) -> None:
    original, calls = getattr(MlflowClient, call), []

    def method(self: MlflowClient, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            raise MlflowException("no such thing", code)
        return original(self, *arguments, **options)

    patch.setattr(MlflowClient, call, method)


def test_a_server_that_fails_in_the_middle_leaves_no_run_that_looks_as_if_it_went_on(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    study = plan(names=("lrn",), seeds=1)
    refusing(monkeypatch, "log_batch", at=3, code=INTERNAL_ERROR)
    shown = View("", study, results=tmp_path / "results")
    for record in outcomes(study):
        shown.trial(record)
    shown.report(view._report(tmp_path), Findings(study=study, results=outcomes(study)))
    assert capfd.readouterr().err.count("\n") == 1
    assert parent_and_children(uri)[0].info.status == "FAILED"
    assert "RUNNING" not in {run.info.status for run in of_role(uri, "trial")}


def test_a_refused_part_is_told_in_one_line_and_the_page_is_shown_all_the_same(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    study = plan(names=("lrn",), seeds=1)
    refusing(monkeypatch, "log_artifacts", at=1)
    shown = View("", study, results=tmp_path / "results")
    for record in outcomes(study):
        shown.trial(record)
    shown.report(view._report(tmp_path), Findings(study=study, results=outcomes(study)))
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "has refused a part of the study" in err and "no such thing" in err
    assert shown.page.endswith(f"viewStateShareKey=ablations-{fields.study_id(study)}")
