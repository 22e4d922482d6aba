"""Mirrors records to MLflow: a run for each study, below it one for each variant, below those one for each trial.

This is the only file that imports mlflow.  Runs are found by the tags `ablations.study_id`, `ablations.variant` and
`ablations.key` and written through explicit run ids, so mirroring a record twice changes nothing.
`python -m ablations.sync` makes the view from the records at any time; nothing is ever read from it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

# Variables that mlflow reads: no telemetry, no messages on the terminal, and a server that hangs is given up after some
# seconds rather than after 4 minutes, the default.
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
from mlflow.exceptions import MlflowException

from ablations.analysis.verdicts import Findings
from ablations.core.result import DONE, Result
from ablations.core.study import Study
from ablations.core.variant import Variant
from ablations.records.store import kept_files
from ablations.tracking import fields, names, saved_view
from ablations.tracking.address import database_of, is_server, place
from ablations.tracking.answers import Answers
from ablations.tracking.names import RefusedError

EXPERIMENT = "ablations"
DESCRIPTION = (
    "Ablation studies. The description of a study's run holds its findings. Below it is a run for each variant, and "
    "below those a run for each trial. *Views* has a table of each study's variants."
)
PARENT = "mlflow.parentRunId"
REPORT = "report"  # the folder of a study's artifacts that holds its whole report
FINISHED, FAILED, RUNNING = "FINISHED", "FAILED", "RUNNING"
_METRICS, _OTHERS = 800, 100  # metrics, and parameters or tags, of a call; mlflow takes 1000, 100, and 1000 in all
_SERVER_FAULT = 500  # lowest HTTP status that means that the server failed, and not that the call was refused


class Mirror:
    """The runs of a study in MLflow.  Every method may raise what mlflow raises; `background.View` catches that.

    If a server refuses a call, the others are made all the same, each run is ended, and `end` raises RefusedError.
    `folder` is the study's, where trials may have kept files.  Reports go to the folder `mlflow` beside an SQLite
    database, or beside the study for other databases; a server has a folder of its own.  `started` is the time at which
    the study began, in ISO 8601; the present if it is empty.
    """

    def __init__(self, uri: str, study: Study, *, folder: Path, started: str = "") -> None:
        self._study, self._uri, self._folder = study, uri, folder
        self._client = MlflowClient(tracking_uri=uri)
        self._refused: list[MlflowException] = []
        self._monitor: Any = None  # mlflow's monitor of the machine, if it was asked for
        self._names = Findings(study=study, results=()).names  # label of a variant -> what people call it
        self.experiment = _experiment(self._client, uri, folder)
        runs = self._runs()
        self._parent = self._adopt(_of(runs, fields.OF_STUDY), started)
        self._variants = self._take_over_variants(_of(runs, fields.OF_VARIANT))
        self._known = self._take_over_trials(_of(runs, fields.OF_TRIAL))

    def trial(self, result: Result) -> None:
        """Mirrors the record of a trial, unless it is mirrored already.  An older record of the trial is replaced."""
        key, digest = result.trial.key, fields.digest(result)
        run_id, known = self._known.get(key, ("", ""))
        if known == digest:
            return
        if run_id:  # it gets a new run, so that no metric of an earlier try is left
            self._client.delete_run(run_id)
        (begin, end), called = fields.times(result), self._called(result.trial.variant)
        tags = {PARENT: self._variant(result.trial.variant, begin), **fields.trial_tags(self._study, result)}
        run = self._create(fields.trial_name(self._study, result, called), tags, begin)
        status = FAILED
        try:
            for path in kept_files(self._folder, result):
                within = path.relative_to(self._folder.resolve()).parent.parts
                with self._may_refuse():
                    self._client.log_artifact(run, str(path), "/".join(one for one in within if one != key))
            with self._may_refuse():
                points = [_metric(point) for point in fields.points(self._study, result)]
                self._log(run, points, fields.trial_params(self._study, result, called), {fields.RECORD: digest})
                status = FINISHED if result.status == DONE else FAILED
        finally:  # a run without the tag `RECORD`, which is written last, is made again the next time
            self._client.set_terminated(run, status, end)
        self._known[key] = (run, digest)

    def report(self, folder: Path, evidence: Findings, front: fields.Front = fields.NOTHING) -> None:
        """Mirrors the report in `folder`, effects and verdicts, puts `front` into the description, and ends the runs.

        Raises RefusedError if MLflow refused any call.
        """
        with self._may_refuse():
            if folder.is_dir():
                self._client.log_artifacts(self._parent, str(folder), REPORT)
        with self._may_refuse(), tempfile.TemporaryDirectory() as copies:
            for name, path in front.files.items():
                copyfile(path, Path(copies) / name)
            self._client.log_artifacts(self._parent, copies)
        places = {name: place(self.experiment, f"/runs/{self._parent}/artifacts/{name}") for name in front.files}
        places["all changes in a table"] = place(self.experiment, view=self.view)
        links = " · ".join(f"[{words}]({where})" for words, where in places.items())
        self.end(evidence, f"{front.text}\n\n{links}" if front.text else "")

    def end(self, evidence: Findings, text: str = "") -> None:
        """Writes effects, verdicts and counts of trials, and ends the runs of the study and of its variants.

        `text` becomes the description of the study's run.  Raises RefusedError if MLflow refused any call.
        """
        if self._monitor:
            self._monitor.finish()
        answers, spans = Answers(evidence), [fields.times(result) for result in evidence.results]
        begin = self._client.get_run(self._parent).info.start_time
        end = max([begin, *(last for _, last in spans)])
        tags = {**answers.study_tags(), **fields.study_tags(self._study), **fields.commits(evidence.results)}
        tags |= {fields.NOTE: names.value(text)} if text else {}
        counts = fields.summary_metrics(self._study, evidence.results)
        try:
            for variant in self._study.variants:
                if run := self._variants.get(variant.label):
                    found = answers.variant_metrics(variant.label), answers.variant_tags(variant.label)
                    self._end(run, *found, end, before=len(self._refused))
            with self._may_refuse():
                self._save_view(answers, min((first for first, _ in spans), default=begin))
        finally:
            self._end(self._parent, {**answers.study_metrics(), **counts}, tags, end, before=0)
        if self._refused:
            raise RefusedError(f"it refused {len(self._refused)} of the calls") from self._refused[0]

    def monitor(self) -> None:
        """Logs the load of this machine every ten seconds until the study ends."""
        from mlflow.system_metrics import system_metrics_monitor

        untyped: Any = system_metrics_monitor
        self._monitor = untyped.SystemMetricsMonitor(self._parent, resume_logging=True, tracking_uri=self._uri)
        self._monitor.start()

    def close(self) -> None:
        """Marks the study's run as failed, for a study that did not come to its end."""
        self._client.set_terminated(self._parent, FAILED)

    @property
    def view(self) -> str:
        """The id of the saved view of the study's variants."""
        return saved_view.view_id(fields.study_id(self._study))

    def _end(self, run: str, metrics: Mapping[str, float], tags: Mapping[str, str], end: int, *, before: int) -> None:
        """Logs metrics and tags of a run and ends it, as failed if more calls are refused by now than `before`."""
        try:
            with self._may_refuse():
                shown, now = self._client.get_run(run).data.metrics, fields.milliseconds("")
                # MLflow shows the latest value of a metric, or the larger of two at one time: so a change is dated now.
                points = [
                    Metric(name, value, now if name in shown else end, 0)
                    for name, value in metrics.items()
                    if shown.get(name) != value
                ]
                self._log(run, points, {}, tags)
        finally:
            self._client.set_terminated(run, FAILED if len(self._refused) > before else FINISHED, end)

    def _save_view(self, answers: Answers, at: int) -> None:
        """Saves a view of the study's variants, unless there is one, which a user may have changed."""
        tag = saved_view.PREFIX + self.view
        if tag in self._client.get_experiment(self.experiment).tags:
            return
        condition = f"{self._condition()} and tags.`{fields.ROLE}` = '{fields.OF_VARIANT}'"
        rising = not self._study.setting.main_metric.lower_is_better
        value = saved_view.state(self._study.name, condition, answers.columns(), at=at, rising=rising)
        self._client.set_experiment_tag(self.experiment, tag, value)

    @contextmanager
    def _may_refuse(self) -> Iterator[None]:
        """Notes a call that the server refuses, and goes on; raises if the server itself failed."""
        try:
            yield
        except MlflowException as error:
            status: Any = error.get_http_status_code  # untyped
            if status() >= _SERVER_FAULT:
                raise
            self._refused.append(error)

    def _log(self, run: str, metrics: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Logs everything in as few calls as mlflow allows, mostly one.

        The first items go into the last call, so that a tag that comes first proves that all others were written.
        """
        all_params, all_tags = [Param(*one) for one in params.items()], [RunTag(*one) for one in tags.items()]
        others = math.ceil(max(len(params), len(tags)) / _OTHERS)
        for call in reversed(range(max(1, math.ceil(len(metrics) / _METRICS), others))):
            points = metrics[call * _METRICS : (call + 1) * _METRICS]
            some = slice(call * _OTHERS, (call + 1) * _OTHERS)
            self._client.log_batch(run, points, all_params[some], all_tags[some])

    def _adopt(self, runs: list[Run], started: str) -> str:
        """Returns the id of the study's run.

        It is created if there is none, and also if the plan has grown, as parameters of a run cannot change.
        """
        params = fields.study_params(self._study)
        fitting = [run.info.run_id for run in runs if run.data.params == params]
        parent = fitting[0] if fitting else self._create_parent(params, started)
        for run in runs:
            if run.info.run_id != parent:
                self._client.delete_run(run.info.run_id)
        self._client.update_run(parent, status=RUNNING)
        return parent

    def _create_parent(self, params: dict[str, str], started: str) -> str:
        run = self._create(
            names.run_name(self._study.name), fields.study_tags(self._study), fields.milliseconds(started)
        )
        self._log(run, [], params, {})
        return run

    def _variant(self, variant: Variant, begin: int) -> str:
        """Returns the id of a variant's run, which is created with its first trial."""
        if variant.label not in self._variants:
            called = self._called(variant)
            tags = {PARENT: self._parent, **fields.variant_tags(self._study, variant)}
            run = self._variants[variant.label] = self._create(names.run_name(called), tags, begin)
            with self._may_refuse():
                self._log(run, [], fields.variant_params(self._study, variant, called), {})
        return self._variants[variant.label]

    def _called(self, variant: Variant) -> str:
        return self._names.get(variant.label, variant.label)

    def _create(self, name: str, tags: Mapping[str, str], begin: int) -> str:
        run = str(self._client.create_run(self.experiment, begin, dict(tags), name).info.run_id)
        with self._may_refuse():
            self._client.log_inputs(run, [_data(self._study)])
        return run

    def _take_over_variants(self, runs: list[Run]) -> dict[str, str]:
        """Returns the ids of the variants' runs, by label.  A run under an old name is deleted, so it is made again."""
        known: dict[str, str] = {}
        for run in runs:
            label = run.data.tags[fields.VARIANT]
            if run.info.run_name == names.run_name(self._names.get(label, label)):
                self._keep(run, label, known, self._parent)
            else:
                self._client.delete_run(run.info.run_id)
        return known

    def _take_over_trials(self, runs: list[Run]) -> dict[str, tuple[str, str]]:
        """Returns the run id and the digest of the record for each key of a trial; "" if mirroring was interrupted."""
        known: dict[str, str] = {}
        digests = {}
        for run in runs:
            variant = self._variants.get(run.data.tags.get(fields.VARIANT, ""), "")
            if self._keep(run, run.data.tags[fields.KEY], known, variant or run.data.tags[PARENT]):
                whole = variant and run.info.status != RUNNING
                digests[run.data.tags[fields.KEY]] = run.data.tags.get(fields.RECORD, "") if whole else ""
        return {key: (run_id, digests[key]) for key, run_id in known.items()}

    def _keep(self, run: Run, name: str, known: dict[str, str], parent: str) -> bool:
        """Returns whether `run` is kept.  The first of its name is, and is put below `parent`; others are deleted."""
        if name in known:
            self._client.delete_run(run.info.run_id)
            return False
        if run.data.tags[PARENT] != parent:
            self._client.set_tag(run.info.run_id, PARENT, parent)
        known[name] = run.info.run_id
        return True

    def _condition(self) -> str:
        """Returns the filter for the study's runs, by a hash of its name, since a filter cannot escape quotes."""
        return f"tags.`{fields.STUDY_ID}` = '{fields.study_id(self._study)}'"

    def _runs(self) -> list[Run]:
        """Returns the runs of the study, of its variants and of its trials, the latest first."""
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment], self._condition(), max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs


def _of(runs: Iterable[Run], role: str) -> list[Run]:
    return [run for run in runs if run.data.tags[fields.ROLE] == role]


def _experiment(client: MlflowClient, uri: str, study: Path) -> str:
    """Returns the id of the experiment, which is created, or restored if it was deleted."""
    if found := client.get_experiment_by_name(EXPERIMENT):
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    files = None
    if not is_server(uri):  # by default mlflow would use `mlruns` in the working folder
        beside = database_of(uri) if uri.startswith("sqlite") else study
        files = (beside.parent / "mlflow").resolve().as_uri()
    # This kind makes MLflow open the pages for training, and not those for language models.
    tags = {"mlflow.experimentKind": "custom_model_development", fields.NOTE: DESCRIPTION}
    return str(client.create_experiment(EXPERIMENT, files, tags))


def _data(study: Study) -> DatasetInput:
    """Returns the study's data set as MLflow's type; its pages print the `uri` of a source of the kind "local"."""
    data = fields.data(study)
    dataset = Dataset(
        data.name, data.digest, "local", json.dumps({"uri": data.source}), profile=json.dumps(data.counts)
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _metric(point: fields.Point) -> Metric:
    # MLflow would turn infinity into 1.8e308, which flattens every chart.
    value = math.nan if math.isinf(point.value) else float(point.value)
    return Metric(point.name, value, point.at, point.step)


# No messages on a new database, and no tracebacks of errors that our own line reports.
if "MLFLOW_LOGGING_LEVEL" not in os.environ:
    for _name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(_name).setLevel(logging.CRITICAL)
