"""A trial that asks for `checkpoint` goes on after a kill, and comes out as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablations.core.result import Result
from ablations.records import checkpoint
from ablations.subjects.own.plain_state import packed, unpacked
from ablations.subjects.own.streams import Streams
from ablations.subjects.own.unfinished import ANEW, Unfinished
from tests.own.files import FILE, StudyFile

# Draws from every kind of generator, and is killed once in its fourth epoch.
TRAINING = """
class Model:
    def __init__(self, generator):
        self.weights = generator.normal(size=4)
    def state_dict(self):
        return {"weights": self.weights}
    def load_state_dict(self, state):
        self.weights = state["weights"]

@subject.trial
def train(config, streams, checkpoint, report):
    import os, random, signal
    from pathlib import Path
    import numpy
    model = Model(streams.numpy("initial"))
    draws, orders = streams.numpy("draws"), streams.python("orders")
    for epoch in checkpoint.epochs(config["rounds"], model):
        common = random.random() + numpy.random.normal() + orders.random()
        model.weights = 0.9 * model.weights + draws.normal(size=4) + common
        report(inner=float(model.weights[0]))
        yield {"score": 50 + config["slope"] * float(model.weights.sum()), "loss": common}
        marks = Path(__file__).with_name("killed")
        if epoch == 4 and marks.is_dir() and not (mark := marks / str(config["slope"])).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps every epoch."""
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "WRITING_SHARE", 1e9)


def results(file: StudyFile, *words: str) -> tuple[int, dict[tuple[str, int], Result]]:
    code = file.run("--set", "rounds=6", "--components", "slope", *words, seeds=1)
    return code, file.read()


def test_a_killed_trial_goes_on_and_comes_out_bit_for_bit(tmp_path: Path) -> None:
    undisturbed, killed = StudyFile(tmp_path / "one", "undisturbed"), StudyFile(tmp_path / "two", "killed")
    undisturbed.write(TRAINING, FILE.removesuffix("@subject.trial\n"))
    code, whole = results(undisturbed)
    assert code == 0
    killed.write(TRAINING, FILE.removesuffix("@subject.trial\n"))
    (killed.folder / "killed").mkdir()
    code, struck = results(killed)
    assert code == 1 and {one.status for one in struck.values()} == {"done", "out_of_memory"}
    kept = list((killed.study / "unfinished").iterdir())
    assert len(kept) == sum(one.status != "done" for one in struck.values()) == 3  # the placebo has its slope
    code, found = results(killed)
    assert code == 0 and found.keys() == whole.keys()
    for place, one in found.items():
        assert one.curve == whole[place].curve and len(one.curve) == 12  # a reported and a yielded row each
        assert one.trace == whole[place].trace
        assert one.extras == whole[place].extras
    # It went on after an epoch that had ended; the one in which it was killed had not.
    went_on = {place: one.provenance.get("went_on_after_epochs", [0])[0] for place, one in found.items()}
    assert 1 <= went_on["slope=1.0", 0] <= 3
    assert went_on["placebo=salted", 0] == 0  # the mark of its slope was there already
    assert found["slope=1.0", 0].notes == ()
    assert not (killed.study / "unfinished").exists()


class Torch:
    """A training in torch that draws from torch's own generator, and from one of a stream."""

    def __init__(self, path: Path, code: str = "a") -> None:
        torch.manual_seed(7)
        streams = Streams(0)
        streams.handed_out = []
        self.unfinished = Unfinished(path, streams, code=code, every=0.0)
        self.draws = streams.torch("x")
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=0.05, amsgrad=True)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimiser, 2, 0.5)

    def losses(self, rounds: int = 6) -> Iterator[float]:
        for _ in self.unfinished.epochs(rounds, self.model, self.optimiser, self.schedule):
            self.optimiser.zero_grad()
            loss = (self.model(torch.randn(16, 4, generator=self.draws)) ** 2).mean()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            yield float(loss.detach())


def test_a_torch_training_goes_on_with_its_optimiser_schedule_and_dropout(tmp_path: Path) -> None:
    whole = list(Torch(tmp_path / "whole.npz").losses())
    first = Torch(tmp_path / "a.npz").losses()
    assert [next(first) for _ in range(4)] == whole[:4]  # and no more: the fourth epoch is not kept
    assert list(Torch(tmp_path / "a.npz").losses()) == whole[3:]
    assert list(Torch(tmp_path / "a.npz").losses()) == []  # its last epoch is kept too


@pytest.mark.parametrize("damage", ["cut", "bytes", "code"])
def test_what_cannot_be_gone_on_with_begins_anew_and_says_so(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npz"
    whole = list(Torch(path).losses())
    content = path.read_bytes()
    path.write_bytes(
        {"cut": content[:-50], "bytes": content[:900] + b"0123456789" + content[910:]}.get(damage, content)
    )
    again = Torch(path, code="b" if damage == "code" else "a")
    assert list(again.losses()) == whole
    assert again.unfinished.told()["notes"] == [ANEW] and again.unfinished.told()["stops"] == []


def test_sigterm_keeps_the_epoch_and_ends_the_trial(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    training = Torch(tmp_path / "a.npz")
    training.unfinished.file.every = training.unfinished.file.next = 1e9
    losses = training.losses()
    first = [next(losses), next(losses)]
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit, match="after epoch 2"):
        next(losses)
    assert signal.getsignal(signal.SIGTERM) == before
    assert first + list(Torch(tmp_path / "a.npz").losses()) == list(Torch(tmp_path / "b.npz").losses())


def test_read_and_write_serve_a_loop_of_ones_own(tmp_path: Path) -> None:
    def trial() -> tuple[Unfinished, Any]:
        streams = Streams(3)
        streams.handed_out = []
        return Unfinished(tmp_path / "a.npz", streams, code="a", every=0.0), streams.numpy("x")

    unfinished, draws = trial()
    assert unfinished.read() is None
    first = draws.normal(size=3)
    assert unfinished.due()
    unfinished.write({"step": 5, "mean": first})
    following = draws.normal()
    unfinished, draws = trial()
    kept = unfinished.read()
    assert kept is not None and kept["step"] == 5 and (kept["mean"] == first).all()
    assert draws.normal() == following


def test_what_cannot_be_kept_is_named(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "a.npz", Streams(0), code="a")
    with pytest.raises(TypeError, match=r"was given 3, which has no state_dict"):
        next(unfinished.epochs(2, 3))
    with pytest.raises(TypeError, match="leave it out where `streams` gave it"):
        next(unfinished.epochs(2, Streams(0).numpy("order")))
    with pytest.raises(TypeError, match=r"the checkpoint\['model'\]\[0\] is .*lambda.*, which no checkpoint can hold"):
        unfinished.write({"model": [lambda: 3]})
    with pytest.raises(TypeError, match="sparse tensor"):
        unfinished.write({"x": torch.eye(2).to_sparse()})
    with pytest.raises(TypeError, match="has the key"):
        unfinished.write({"x": {(1, 2): 3}})
    assert not list(tmp_path.iterdir())


def test_states_come_back_as_they_were() -> None:
    bits = torch.randn(3, 2).to(torch.bfloat16)
    state: dict[Any, Any] = {
        "a": [1, 2.5, None, True, "word", float("inf")],
        3: (torch.arange(4), torch.tensor(2.0), bits),
        "n": {"x": np.arange(6, dtype=np.uint8).reshape(2, 3), "y": np.float32(0.1), "big": 2**120},
    }
    arrays: dict[str, Any] = {}
    found = unpacked(json.loads(json.dumps(packed(state, arrays))), arrays)
    assert found["a"] == state["a"] and list(found) == list(state) and isinstance(found[3], tuple)
    assert all(one.dtype == two.dtype and torch.equal(one, two) for one, two in zip(found[3], state[3], strict=True))
    assert found["n"]["x"].dtype == np.uint8 and (found["n"]["x"] == state["n"]["x"]).all()
    assert found["n"]["y"] == np.float32(0.1) and found["n"]["big"] == 2**120


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_come_back_as_they_lay_in_memory(dtype: torch.dtype, tmp_path: Path) -> None:
    # A fused optimiser reads a weight and its moments in the order of memory, whatever their strides say.
    kept = torch.randn(2, 3, 4, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    arrays: dict[str, Any] = {}
    values = json.loads(json.dumps(packed([kept, kept.mT, kept[:, :2]], arrays)))
    np.savez(tmp_path / "kept.npz", **arrays)
    with np.load(tmp_path / "kept.npz") as file:
        found = unpacked(values, file)
    assert all(torch.equal(one, two) for one, two in zip(found, [kept, kept.mT, kept[:, :2]], strict=True))
    assert found[0].stride() == kept.stride() and found[1].stride() == kept.mT.stride()
