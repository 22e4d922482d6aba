"""ablations.subjects.alexnet.training.streams: a stream is a function of the seed, the salt and the role."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import torch

from ablations.subjects.alexnet.training.streams import stream, streams


def draw(seed: int, role: str, salt: str = "", count: int = 1000) -> torch.Tensor:
    """Unit normals (count,)."""
    return torch.randn(count, generator=stream(seed, role, salt=salt))


def test_a_stream_is_seeded_by_the_first_63_bits_of_a_sha256() -> None:
    expected = int(hashlib.sha256(b"3//init/conv1").hexdigest()[:16], 16) >> 1
    assert stream(3, "init/conv1").initial_seed() == expected


def test_a_stream_is_the_same_in_another_process() -> None:
    imported = "from ablations.subjects.alexnet.training.streams import stream"
    code = f"{imported}; print(stream(3, 'order/1', salt='x').initial_seed())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == stream(3, "order/1", salt="x").initial_seed()


def test_the_seed_the_role_and_the_salt_each_change_the_draws() -> None:
    arguments = [(0, "order/1", ""), (1, "order/1", ""), (0, "order/2", ""), (0, "order/1", "placebo")]
    for one, two in itertools.combinations(arguments, 2):
        # Independent draws: a correlation of 1,000 pairs has a standard error of 0.03.
        correlation = torch.corrcoef(torch.stack([draw(*one), draw(*two)]))[0, 1]
        assert abs(correlation) < 0.16


def test_parts_of_a_name_do_not_run_into_each_other() -> None:
    assert stream(1, "1/x").initial_seed() != stream(11, "x").initial_seed()
    assert stream(1, "b", salt="a").initial_seed() != stream(1, "a/b").initial_seed()


def test_drawing_from_one_stream_moves_no_other_and_not_the_global_one() -> None:
    before, untouched = torch.get_rng_state(), stream(0, "b")
    draw(0, "a")
    assert torch.equal(torch.randn(5, generator=untouched), draw(0, "b", count=5))
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_is_stream_with_the_seed_and_the_salt_filled_in() -> None:
    named = streams(7, salt="s")
    assert named("crop/2").initial_seed() == stream(7, "crop/2", salt="s").initial_seed()
    assert named("crop/2", torch.device("cpu")).initial_seed() == named("crop/2").initial_seed()
