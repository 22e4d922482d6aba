"""Named random streams for study files: what a stream draws depends on the seed and on its name only.

A component that draws more or less thus changes no draw of other streams, and variants of one seed stay paired.
"""

from __future__ import annotations

import hashlib
import random
import sys
from typing import Any


class Streams:
    """The random streams of one trial.  `salt` gives the placebo other draws under the same seed."""

    def __init__(self, seed: int, salt: int = 0) -> None:
        self.seed, self.salt = seed, salt
        self.handed_out: list[Any] | None = None  # generators whose states a checkpoint keeps; None: not kept

    def _given(self, generator: Any) -> Any:
        if self.handed_out is not None:
            self.handed_out.append(generator)
        return generator

    def integer(self, name: str, bits: int = 31) -> int:
        """Returns a number below 2**bits, for libraries that take a seed."""
        text = f"{self.seed}/{self.salt}/{name}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> (64 - bits)

    def python(self, name: str) -> random.Random:
        """Returns a generator of the standard library."""
        given: random.Random = self._given(random.Random(self.integer(name, 63)))
        return given

    def numpy(self, name: str) -> Any:
        """Returns a generator of numpy."""
        import numpy as np

        return self._given(np.random.default_rng(self.integer(name, 63)))

    def torch(self, name: str, device: str = "cpu") -> Any:
        """Returns a generator of torch."""
        import torch

        generator = torch.Generator(device)
        generator.manual_seed(self.integer(name, 63))
        return self._given(generator)

    def initialise(self, module: Any) -> None:
        """Draws the weights of every submodule that has `reset_parameters` from a stream with the submodule's name.

        Layers that two variants share thus start with the same weights, whatever other layers the variants have.
        """
        import torch

        for name, part in module.named_modules():
            if callable(getattr(part, "reset_parameters", None)):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(self.integer(f"initialise/{name}", 63))
                    part.reset_parameters()


def seed_all(seed: int) -> None:
    """Seeds the global generators of Python, numpy and torch, as far as the libraries are loaded."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
