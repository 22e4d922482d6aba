"""Named random streams: the draws of a role depend on the seed and the role, and on nothing else.

Roles are words such as `init/conv1`, `order/3` (epoch 3) or `dropout/classifier.fc6_dropout`.
Nobody reads or seeds the global generators, so switching one component off moves no other's draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch

CPU = torch.device("cpu")


def stream(seed: int, role: str, *, salt: str = "", device: torch.device = CPU) -> torch.Generator:
    """A generator on `device` that is a function of (seed, salt, role) alone."""
    digest = hashlib.sha256(f"{seed}/{salt}/{role}".encode()).digest()
    # 63 bits: manual_seed takes no more on every device.
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def streams(seed: int, *, salt: str = "") -> Callable[..., torch.Generator]:
    """`stream` with the seed and the salt filled in: (role, device) -> generator."""

    def named(role: str, device: torch.device = CPU) -> torch.Generator:
        return stream(seed, role, salt=salt, device=device)

    return named
