"""Runs a job: trains each network once, turns failures into results, and writes a record for each trial.

Knows no subject: `ablations.core.subject` says what a trial is.  Imports neither ray nor torch.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ablations.core.errors import DivergedError
from ablations.core.load import load
from ablations.core.result import DIVERGED, DONE, ERROR, OUT_OF_MEMORY, TIMEOUT, Result
from ablations.core.subject import Activities, Event, Failed, Measured, Place, Report
from ablations.core.text import last_line
from ablations.core.trial import Job, Trial, by_training
from ablations.execution.turns import in_turns
from ablations.records.measures import UNMEASURED, lacking
from ablations.records.provenance import provenance
from ablations.records.store import read_result, trial_path, write_result


def run_job(job: Job, place: Place, *, report: Report = lambda trial, row: None) -> Iterator[Result]:
    """Yields the result of each trial of `job` as it ends; its record is on disk by then.

    `place.turns` trainings take turns, one step at a time; if one fails, the others go on.  Trials that share a
    training are trained once, and `report` gets each row of its curve under the first of these trials.  An exception in
    a training or an evaluation becomes a result with a reason; if a training fails, so do all trials that share it.
    Raises OSError if a record cannot be written.
    """
    yield from in_turns((_run_group(group, place, report) for group in by_training(job)), at_once=place.turns)


def _run_group(group: Job, place: Place, report: Report) -> Iterator[Result | None]:
    """Yields the results of the trials of one training, and None after each of its steps."""
    records = _Records(group, place)
    events = _events(group, place, report)
    while True:
        try:
            event = next(events)
        except StopIteration:
            return
        except Exception as error:  # whatever the subject raised is the result of the trials that have none yet
            for number in records.left():
                yield records.failed(number, error)
            return
        # The following may raise OSError: a record that cannot be written ends the study, and is no failure of a trial.
        if event is None:
            yield None
        elif isinstance(event, Activities):
            yield records.measured(event)
        elif (result := records.ended(event)) is not None:
            yield result


def _events(group: Job, place: Place, report: Report) -> Iterator[Event]:
    yield from load(group[0].subject).run(group, place, report)


class _Records:
    """Writes the records of the trials of one training, each as soon as its result is known."""

    def __init__(self, group: Job, place: Place) -> None:
        self.group, self.place = group, place
        self.subject = load(group[0].subject)
        self.results: dict[int, Result] = {}
        self.first: Trial | None = None  # the trial whose result holds the seconds of the training
        self._begin()

    def _begin(self) -> None:
        self.began, self.origin = time.perf_counter(), self._origin()

    def left(self) -> list[int]:
        """Returns the positions in the group of the trials that have no result yet."""
        return [number for number in range(len(self.group)) if number not in self.results]

    def ended(self, event: Measured | Failed) -> Result | None:
        """Writes the record of a trial.  Returns its result, or None if its activities are still to be measured."""
        if isinstance(event, Failed):
            return self.failed(event.number, event.error, event)
        trial = self.group[event.number]
        before = self._unmeasured(trial)
        if before is None:
            result = self._result(
                trial,
                event,
                status=DONE,
                metrics=dict(event.metrics),
                curve=tuple(event.curve),
                readings=tuple(event.readings),
                outcomes=event.outcomes,
                trace=event.trace,
                extras=dict(event.extras),
                artifacts=event.artifacts,
                notes=event.notes,
            )
        else:  # the trial was trained again only to measure activities: its first numbers stay
            told = {} if event.kept else {"measured_on": "a second training of the same trial"}
            kept = event.artifacts or before.artifacts
            result = replace(before, artifacts=kept, provenance={**before.provenance, **told})
        if event.to_measure:
            result = replace(result, notes=(*without(result.notes, UNMEASURED), UNMEASURED))
        self._write(event.number, result)
        return None if event.to_measure else result

    def measured(self, event: Activities) -> Result:
        """Writes the activities into the record of a trained reference, and returns its result."""
        result = self.results[event.number]
        notes = without(result.notes, UNMEASURED) if event.complete else without(result.notes, *event.notes)
        result = replace(result, activity=dict(event.found), notes=(*notes, *event.notes))
        self._write(event.number, result)
        return result

    def failed(self, number: int, error: Exception, event: Failed | None = None) -> Result:
        """Writes the record of a failed trial, and returns its result.

        A reference that was trained again only to measure activities keeps its numbers, and gets a note.
        """
        trial = self.group[number]
        event = event or Failed(number=number, error=error)
        said = _said(error)
        if before := self._unmeasured(trial):
            failed = f"its training again, to measure activities, failed: {last_line(said['error'])}"
            result = replace(before, notes=(*without(before.notes, failed), failed))
        else:
            result = self._result(trial, event, **said)
        self._write(number, result)
        return result

    def _result(self, trial: Trial, event: Measured | Failed, **fields: Any) -> Result:
        self.first = self.first or trial
        return Result(
            trial=trial,
            seconds=time.perf_counter() - self.began + event.seconds,
            trained_with="" if trial is self.first else self.first.key,
            provenance={**self.origin, **event.provenance},
            training_version=self.subject.version,
            training_digest=self.subject.digest(),
            **fields,
        )

    def _write(self, number: int, result: Result) -> None:
        self.results[number] = result
        write_result(self.place.folder, result)
        self._begin()

    def _unmeasured(self, trial: Trial) -> Result | None:
        """Returns the record of a reference that is trained and lacks activities; None for every other trial."""
        if trial.variant.departures or not self.place.measures:
            return None
        before, _ = read_result(trial_path(self.place.folder, trial.key))
        return before if before and lacking(before, self.place.measures) else None

    def _origin(self) -> dict[str, Any]:
        place = self.place
        device = "cuda" if place.gpus > 0 else "cpu"
        origin = provenance(command=place.command, threads=place.threads, device=device)
        declared = {"declared": place.declared} if place.declared else {}
        return {**origin, **declared, **({"pack": place.turns} if place.turns > 1 else {})}


def _said(error: Exception) -> dict[str, Any]:
    """Returns the fields of a failed trial's result: its status, its error, and the curve if it diverged."""
    if isinstance(error, DivergedError):
        return {"status": DIVERGED, "curve": error.curve, "error": str(error)}
    if isinstance(error, TimeoutError):
        return {"status": TIMEOUT, "error": str(error)}
    if isinstance(error, MemoryError):
        return {"status": OUT_OF_MEMORY, "error": str(error) or "out of memory"}
    return {"status": ERROR, "error": "".join(traceback.format_exception(error, limit=-8))}


def without(notes: tuple[str, ...], *left_out: str) -> tuple[str, ...]:
    """Returns `notes` without those in `left_out`."""
    return tuple(note for note in notes if note not in left_out)
