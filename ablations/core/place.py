"""Where a trial runs, and what it may use there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a trial finds its data and leaves its record, and what it may use.  Absolute paths."""

    folder: Path  # the study's, under results/
    cache: Path  # of decoded images
    data_root: Path | None
    base: Path  # what a relative folder:PATH is relative to: a worker may stand elsewhere
    threads: int  # processor threads a trial
    gpus: float  # of a GPU that a trial holds; 0 trains on the CPU
    pack: int = 1  # trainings of a job that take turns
    memory_budget: float | None = None  # GiB of a GPU that the images of a trial may take; None: half of its share
    command: str  # for the provenance
    predictions: bool = True  # whether a trial keeps them beside its record
    declared: str = ""  # digest of the claims and the rule that were in force, for the provenance
    measures: tuple[str, ...] = ()  # components whose activity the record of a trained reference must have
