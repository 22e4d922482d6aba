"""Named random streams: the draws for a role depend on the seed, the salt and the role, and on nothing else.

Roles are words such as `init/conv1`, `order/3` (epoch 3) or `dropout/classifier.fc6_dropout`.
No code reads or seeds the global generators.  So switching one component off leaves the draws of all others as they
were, and two variants under one seed form a pair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch

CPU = torch.device("cpu")


def stream(seed: int, role: str, *, salt: str = "", device: torch.device = CPU) -> torch.Generator:
    """Returns a generator on `device` whose state depends only on (seed, salt, role)."""
    digest = hashlib.sha256(f"{seed}/{salt}/{role}".encode()).digest()
    # Only 63 bits, because manual_seed does not take larger numbers on every device.
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def streams(seed: int, *, salt: str = "") -> Callable[..., torch.Generator]:
    """Returns `stream` with the seed and the salt filled in: (role, device) -> generator."""

    def named(role: str, device: torch.device = CPU) -> torch.Generator:
        return stream(seed, role, salt=salt, device=device)

    return named
