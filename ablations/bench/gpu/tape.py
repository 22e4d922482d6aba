"""Stands in for a CUDA graph on a processor: records tensor operations, and repeats them on the same memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ablations.models import response_norm
from ablations.subjects.alexnet.training.step import Body


class Tape(TorchDispatchMode):
    """Records the operations of a body.  As with a CUDA graph, other Python code is not repeated, and the host must not
    read a tensor.

    Unlike the capture of a CUDA graph, this one computes, and so counts as the first replay.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any], Any]] = []
        self.replays = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Does and records an operation.  Raises RuntimeError, as CUDA does, if the host reads a number."""
        if "_local_scalar_dense" in str(func):
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        """Repeats all operations."""
        self.replays += 1
        if self.replays == 1:
            return
        for func, args, kwargs, out in self.operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_flatten(out)[0], tree_flatten(again)[0], strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def capture(body: Body, generators: Sequence[torch.Generator]) -> Body:
    """Records `body` and returns its replay, like `ablations.subjects.alexnet.training.step.cuda_graph`."""
    tape = Tape()
    with tape:
        body()
    return tape.replay


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Makes torch normalise responses within the context, since a tape cannot record a compiled kernel."""
    library = response_norm._library
    response_norm._library = _none  # type: ignore[assignment]
    try:
        yield
    finally:
        response_norm._library = library


def _none() -> None:
    """No compiled kernel."""
