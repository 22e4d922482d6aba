"""What a part of `python -m ablations.bench.gpu` is given, and the rows that it tells."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ablations.bench.gpu import tape
from ablations.core.setting import EMPTY
from ablations.subjects.alexnet.training.step import Capture, cuda_graph

NEEDS_CUDA = "needs CUDA: not run"


class MissingError(Exception):
    """The images of a part are not there; the message says which, and how they are given."""


class OutOfTimeError(BaseException):
    """The time of a part is over.  No Exception: a worker would take one for the outcome of a trial."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that a part found: a number, whether it is as it must be, and what else is to be known of it."""

    name: str
    value: float | None = None  # None: not run
    unit: str = ""
    allowed: float | None = None  # the most that the value may be; None: it is recorded, and nothing is asked of it
    said: str = ""  # why it was not run, or what a reader must know
    more: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def held(self) -> bool:
        """Whether nothing is asked of the value, or it is as it must be; nan never is."""
        return self.value is None or self.allowed is None or self.value <= self.allowed

    @property
    def line(self) -> str:
        """For a terminal."""
        if self.value is None:
            return f"{self.name}: {self.said}"
        asked = "" if self.allowed is None else f", {'within' if self.held else 'NOT WITHIN'} {self.allowed:.3g}"
        rest = ", ".join(f"{name} {_short(value)}" for name, value in self.more.items())
        words = "; ".join(filter(None, (rest, self.said)))
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name}: {_short(self.value)}{unit}{asked}{f' ({words})' if words else ''}"


def _short(value: Any) -> str:
    return (
        f"{value:,.0f}"
        if isinstance(value, float) and abs(value) >= 1000
        else (f"{value:.4g}" if isinstance(value, float) else str(value))
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a part runs, on which images, and for how long."""

    folder: Path  # for what it leaves behind
    device: torch.device
    tiny: bool  # sizes of a trial run: every line of the code in seconds
    images: Mapping[str, Path | None]  # of each set that was given: a folder, or an archive of one
    cache: Path  # for decoded images
    command: str
    precision: str  # of the studies
    seconds: float
    began: float = field(default_factory=time.perf_counter)

    @property
    def cuda(self) -> bool:
        """Whether a GPU is there."""
        return self.device.type == "cuda"

    @property
    def left(self) -> float:
        """Seconds of its time that are left."""
        return self.seconds - (time.perf_counter() - self.began)

    @property
    def capture(self) -> Capture:
        """What makes of a step something that is replayed: a CUDA graph, on a processor a tape of its operations."""
        return cuda_graph if self.cuda else tape.capture

    def own_stream(self) -> contextlib.AbstractContextManager[object]:
        """A stream of its own on a GPU, as trainings have it: nothing can be captured on the default one."""
        if not self.cuda:
            return contextlib.nullcontext()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(stream)

    def wait(self) -> None:
        """For all that the device was asked to do."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
