"""Records -> MLflow, as a view: one parent run a study, one child run a trial.  The only file that imports mlflow.

Runs are found by the tags `ablations.study_id` and `ablations.key` and written through explicit run ids,
so mirroring a record twice changes nothing.  `python -m ablations.sync` makes the view from the
records at any time; nothing is ever read from it.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Read by mlflow when it is imported or when it calls: no telemetry, no chatter on the user's
# terminal, and a server that hangs is given up within seconds rather than the default 4 minutes.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from ablations.analysis.verdicts import Findings
from ablations.core.result import DONE, Result
from ablations.core.study import Study
from ablations.tracking import fields
from ablations.tracking.address import database_of, is_server

EXPERIMENT = "ablations"
PARENT = "mlflow.parentRunId"
_METRICS, _PARAMS = 800, 100  # a batch; mlflow takes 1000 and 100, and 1000 of both together


class Mirror:
    """A study's runs in MLflow.  Every method may raise what mlflow raises; `mirror.View` does not.

    `artifacts` is the folder for reports, by default `mlflow` beside a database; a server keeps
    its own.  `started` is the study's beginning in ISO 8601, by default now.
    """

    def __init__(self, uri: str, study: Study, *, artifacts: Path | None = None, started: str = "") -> None:
        self._study = study
        self._client = MlflowClient(tracking_uri=uri)
        self.experiment = _experiment(self._client, uri, artifacts)
        runs = self._runs()
        self._parent = self._adopt([run for run in runs if run.data.tags[fields.ROLE] == "study"], started)
        self._known = self._take_over([run for run in runs if run.data.tags[fields.ROLE] == "trial"])

    def trial(self, result: Result) -> None:
        """Mirrors a record; does nothing when it is there already.  An older record of the trial is replaced."""
        key, digest = result.trial.key, fields.digest(result)
        run_id, known = self._known.get(key, ("", ""))
        if known == digest:
            return
        if run_id:  # a new run rather than an update, so that no metric of another attempt is left in it
            self._client.delete_run(run_id)
        begin, end = fields.times(result)
        tags = {PARENT: self._parent, **fields.trial_tags(self._study, result)}
        run = self._client.create_run(self.experiment, begin, tags, fields.trial_name(self._study, result)).info.run_id
        for metrics, params in _batches(fields.points(result), fields.trial_params(self._study, result)):
            self._client.log_batch(run, metrics=metrics, params=params)
        self._client.log_inputs(run, [_data(self._study)])
        self._client.set_terminated(run, "FINISHED" if result.status == DONE else "FAILED", end)
        self._known[key] = (run, digest)

    def report(self, folder: Path, evidence: Findings) -> None:
        """Mirrors what is in `folder` (html, markdown, figures) under `report`, effects and verdicts; ends the run."""
        if folder.is_dir():
            self._client.log_artifacts(self._parent, str(folder), "report")
        self.end(evidence)

    def end(self, evidence: Findings) -> None:
        """Ends the parent run with effects, verdicts and a summary of the children that the plan holds."""
        planned = set(evidence.study.keys)
        runs = [run for run in self._runs() if run.data.tags.get(fields.KEY) in planned]
        done = sum(run.data.tags[fields.STATUS] == DONE for run in runs)
        begin = self._client.get_run(self._parent).info.start_time
        end = max([begin, *(run.info.end_time or begin for run in runs)])
        summary = {
            "trials_planned": len(planned),
            "trials_done": done,
            "trials_failed": len(runs) - done,
            "trial_seconds": sum(run.data.metrics.get("seconds", 0.0) for run in runs),
            **fields.baseline_metrics(self._study),
            **fields.effect_metrics(evidence.effects),
        }
        commits = sorted({run.data.tags.get(fields.COMMIT, "") for run in runs} - {""})
        tags = {**fields.study_tags(self._study), **fields.verdict_tags(evidence.verdicts)}
        tags[fields.COMMIT] = " ".join(commits)
        metrics = [Metric(name, value, end, 0) for name, value in summary.items()]  # written twice is one point
        self._client.log_batch(self._parent, metrics, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(self._parent, "FINISHED", end)

    def _adopt(self, runs: list[Run], started: str) -> str:
        """The study's own run, found or created: a new one when the plan has grown, as parameters cannot change."""
        params = fields.study_params(self._study)
        fitting = [run.info.run_id for run in runs if run.data.params == params]
        parent = fitting[0] if fitting else self._create_parent(params, started)
        for run in runs:
            if run.info.run_id != parent:
                self._client.delete_run(run.info.run_id)
        self._client.update_run(parent, status="RUNNING")
        return parent

    def _create_parent(self, params: dict[str, str], started: str) -> str:
        tags, begin = fields.study_tags(self._study), fields.milliseconds(started)
        run = self._client.create_run(self.experiment, begin, tags, self._study.name)
        self._client.log_batch(run.info.run_id, params=[Param(name, value) for name, value in params.items()])
        self._client.log_inputs(run.info.run_id, [_data(self._study)])
        return str(run.info.run_id)

    def _take_over(self, runs: list[Run]) -> dict[str, tuple[str, str]]:
        """Key -> run id and the record's digest, which is "" where mirroring broke off."""
        known: dict[str, tuple[str, str]] = {}
        for run in runs:
            run_id, key = run.info.run_id, run.data.tags[fields.KEY]
            if key in known:  # two drivers mirrored one study at once
                self._client.delete_run(run_id)
                continue
            if run.data.tags[PARENT] != self._parent:
                self._client.set_tag(run_id, PARENT, self._parent)
            known[key] = (run_id, "" if run.info.status == "RUNNING" else run.data.tags[fields.RECORD])
        return known

    def _runs(self) -> list[Run]:
        """The study's run and its trials', latest first."""
        # By a hash of the name, because the filter's language has no way to escape a quote.
        condition = f"tags.`{fields.STUDY_ID}` = '{fields.study_id(self._study)}'"
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs


def _experiment(client: MlflowClient, uri: str, artifacts: Path | None) -> str:
    """The id of the experiment, created or brought back from the trash where it must be."""
    if found := client.get_experiment_by_name(EXPERIMENT):
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    place = None
    if not is_server(uri):  # left to itself mlflow would use ./mlruns of whatever folder we are in
        beside = database_of(uri).parent / "mlflow"
        place = (artifacts or beside).resolve().as_uri()
    # The kind opens the pages for training rather than those for language models.
    return str(client.create_experiment(EXPERIMENT, place, {"mlflow.experimentKind": "custom_model_development"}))


def _data(study: Study) -> DatasetInput:
    """The study's data as mlflow knows data sets; a source of the kind "local" is one whose `uri` its pages print."""
    data = fields.data(study)
    dataset = Dataset(
        data.name, data.digest, "local", json.dumps({"uri": data.source}), profile=json.dumps(data.counts)
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _batches(points: Iterable[fields.Point], params: dict[str, str]) -> Iterator[tuple[list[Metric], list[Param]]]:
    """What one call may carry: nearly always a trial's everything."""
    metrics = [_metric(point) for point in points]
    pairs = [Param(name, value) for name, value in params.items()]
    while metrics or pairs:
        yield metrics[:_METRICS], pairs[:_PARAMS]
        metrics, pairs = metrics[_METRICS:], pairs[_PARAMS:]


def _metric(point: fields.Point) -> Metric:
    # mlflow would turn an infinity into 1.8e308, which flattens every chart that it is in.
    value = math.nan if math.isinf(point.value) else float(point.value)
    return Metric(point.name, value, point.at, point.step)


# A database's first lines, and the pages of traceback before an error that our own line reports.
if "MLFLOW_LOGGING_LEVEL" not in os.environ:
    for _name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(_name).setLevel(logging.CRITICAL)
