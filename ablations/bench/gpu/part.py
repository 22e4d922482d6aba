"""What a part of `python -m ablations.bench.gpu` is given, and the rows that it yields."""

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
    """The images of a part are missing; the message says which, and how to give them."""


class OutOfTimeError(BaseException):
    """The time of a part is over.  This is no Exception, since a worker would make one a result of its trial."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement of a part."""

    name: str
    value: float | None = None  # None: it could not be measured
    unit: str = ""
    allowed: float | None = None  # largest value with which the row holds; None: every value does
    said: str = ""  # why it was not measured, or a remark
    more: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # further numbers, by name

    @property
    def held(self) -> bool:
        """Whether the value is within what is allowed, or nothing is; nan never is."""
        return self.value is None or self.allowed is None or self.value <= self.allowed

    @property
    def line(self) -> str:
        """The row as a line of text."""
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

    folder: Path  # for records
    device: torch.device
    tiny: bool  # whether sizes are those of a trial run
    images: Mapping[str, Path | None]  # data set -> its folder or an archive of it; None: not given
    cache: Path  # for unpacked and decoded images
    command: str  # the command line, for provenance
    precision: str  # of the studies of the last part
    seconds: float  # time of the part
    began: float = field(default_factory=time.perf_counter)  # by `time.perf_counter`

    @property
    def cuda(self) -> bool:
        """Whether it runs on a GPU."""
        return self.device.type == "cuda"

    @property
    def left(self) -> float:
        """Seconds of the part's time that are left."""
        return self.seconds - (time.perf_counter() - self.began)

    @property
    def capture(self) -> Capture:
        """The function that captures a step for replay, as a CUDA graph or, on a processor, as a tape of operations."""
        return cuda_graph if self.cuda else tape.capture

    def own_stream(self) -> contextlib.AbstractContextManager[object]:
        """Returns a context with a CUDA stream of its own, as in trainings: the default stream cannot be captured."""
        if not self.cuda:
            return contextlib.nullcontext()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(stream)

    def wait(self) -> None:
        """Waits until the device has done everything that it was asked to do."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
