"""alexnet.data.read_ahead: orders that keep a disk's reads long, and asking for the images of one ahead of time."""

from __future__ import annotations

import json
import mmap
from dataclasses import replace
from math import exp

import numpy as np
import pytest
import torch
from torch import Tensor

from ablations.core.identity import sparse
from ablations.core.study import Study
from ablations.models.spec import Conv, Spec
from ablations.subjects.alexnet.data import memory as memory_module
from ablations.subjects.alexnet.data import read_ahead as reading
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.data.memory import read_window
from ablations.subjects.alexnet.data.read_ahead import ReadAhead, block_of, shuffled, window_of
from ablations.subjects.alexnet.options import Options
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import Examples, epoch_order, read_ahead, split_examples
from ablations.subjects.alexnet.training.streams import CPU, stream
from ablations.subjects.alexnet.training.train import train
from tests.conftest import Planner
from tests.making import with_budget

IMAGENET = 1_281_167
IMAGE = 256 * 256 * 3
SPEC = Spec(blocks=(Conv(channels=4, kernel=3),), hidden=(), image_size=16, learning_rate=0.01)


def order_of(count: int, window: int, seed: int = 0, epoch: int = 1) -> Tensor:
    return shuffled(count, window, stream(seed, f"order/{epoch}"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of two blocks, which can be counted by hand."""
    monkeypatch.setattr(reading, "BLOCKS", 2)


@pytest.mark.parametrize(("count", "window"), [(5000, 1024), (5000, 2048), (5001, 2048), (5013, 4000), (700, 1024)])
def test_every_image_is_seen_once_an_epoch(count: int, window: int) -> None:
    assert torch.equal(order_of(count, window).sort().values, torch.arange(count))


def test_an_order_is_that_of_its_seed_and_epoch() -> None:
    first = order_of(5000, 2048)
    assert torch.equal(first, order_of(5000, 2048))
    for other in (order_of(5000, 2048, epoch=2), order_of(5000, 2048, seed=1)):
        assert (first == other).float().mean() < 0.01


@pytest.mark.usefixtures("small")
def test_a_batch_touches_as_many_windows_as_a_count_by_hand_says() -> None:
    order = order_of(24, 8)  # six blocks of four images, three windows of two blocks
    windows = [set((part // 4).tolist()) for part in order.split(8)]
    assert [len(blocks) for blocks in windows] == [2, 2, 2]
    assert len(set.union(*windows)) == 6
    where = {block: number for number, blocks in enumerate(windows) for block in blocks}

    def touched(batch_size: int) -> list[int]:
        return [len({where[image // 4] for image in batch.tolist()}) for batch in order.split(batch_size)]

    assert touched(4) == [1, 1, 1, 1, 1, 1]
    assert touched(6) == [1, 2, 2, 1]
    assert touched(12) == [2, 2]


@pytest.mark.usefixtures("small")
def test_a_shorter_last_block_moves_no_image_into_another_window() -> None:
    for epoch in range(20):
        order = order_of(23, 8, epoch=epoch)
        short = (order // 4 == 5).nonzero().flatten()
        assert len(short) == 3 and short.max() - short.min() < 8
        blocks, firsts = np.unique(order.numpy() // 4, return_index=True)
        seen = blocks[firsts.argsort()].tolist()
        assert all({*order[:8].tolist()} >= {*range(4 * block, min(4 * block + 4, 23))} for block in seen[:2])


def test_of_imagenet_a_batch_sees_nearly_as_many_classes_as_of_any_order() -> None:
    window = window_of(IMAGE, memory_bytes=2**40)
    assert (window, block_of(window)) == (16_384, 16)
    labels = torch.arange(IMAGENET) * 1000 // IMAGENET  # as a folder lies: class by class
    order = order_of(IMAGENET, window)

    def classes(size: int, order: Tensor) -> float:
        """Different labels in so many images that follow one another."""
        parts = order[: 8 * window].split(size)
        return float(np.mean([len(labels[part].unique()) for part in parts]))

    # 1,024 blocks of one class each, out of 1,000: a class has N of them, Poisson with mean 1.024.
    assert classes(window, order) == pytest.approx(1000 * (1 - exp(-1.024)), rel=0.03)
    # None of 128 images is of a class with N of 1,024 blocks: (1 - N / 1024)^128, about exp(-N / 8), over N.
    by_hand = 1000 * (1 - exp(1.024 * (exp(-1 / 8) - 1)))
    assert by_hand == pytest.approx(113, abs=0.5)
    assert classes(128, order) == pytest.approx(by_hand, rel=0.01)
    anyhow = torch.randperm(IMAGENET, generator=stream(0, "x"))
    assert classes(128, anyhow) == pytest.approx(1000 * (1 - 0.999**128), rel=0.01)
    # Windows of consecutive rows would be of 14 classes.
    assert classes(window, torch.arange(IMAGENET)) < 15


def test_neighbours_in_the_file_are_spread_over_batches() -> None:
    batch_of = torch.empty(100_000, dtype=torch.int64)
    batch_of[order_of(100_000, 16_384)] = torch.arange(100_000) // 128
    whole = batch_of[: 100_000 // 16 * 16].view(-1, 16)
    different = np.mean([len(row.unique()) for row in whole])
    assert different == pytest.approx(128 * (1 - (1 - 1 / 128) ** 16), abs=0.2)  # 16 images in 128 batches: 15.1
    assert (whole.max(1).values - whole.min(1).values).max() <= 128  # and none outside of its window


class Pages:
    """A map that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def madvise(self, option: int, start: int, length: int) -> None:
        assert option == mmap.MADV_WILLNEED and start % mmap.PAGESIZE == 0
        self.asked.append((start, start + length))


@pytest.mark.usefixtures("small")
def test_the_blocks_of_a_window_are_asked_for_one_window_before_they_are_used() -> None:
    pages, order, page = Pages(), order_of(24, 8), mmap.PAGESIZE
    ahead = ReadAhead(
        pages,  # type: ignore[arg-type]
        start=128,
        image_bytes=page,
        rows=torch.arange(24),
        order=order,
        window=8,
    )
    for taken in range(0, 24, 4):
        ahead.at(taken)
        held = {image for low, high in pages.asked for image in range((low + page - 1) // page, high // page)}
        assert held >= {*order[: taken // 8 * 8 + 8].tolist()}  # all of the window that is being used
        assert len(pages.asked) == min(6, (taken + 8) // 4)
    first, second = pages.asked[:2]
    assert first < second  # from one end of the file to the other
    assert sum(high - low for low, high in pages.asked) == 24 * page + 6 * 128  # each block once


@pytest.mark.usefixtures("small")
def test_an_epoch_that_is_gone_on_with_asks_for_nothing_that_is_used_up() -> None:
    pages, order, page = Pages(), order_of(24, 8), mmap.PAGESIZE
    ahead = ReadAhead(pages, start=0, image_bytes=page, rows=torch.arange(24), order=order, window=8)  # type: ignore[arg-type]
    ahead.at(12)  # in the middle of the second window
    held = {image for low, high in pages.asked for image in range(low // page, high // page)}
    assert held >= {*order[8:16].tolist()} and not held & {*order[:8].tolist()}
    assert len(pages.asked) == 3  # and a block of the next window


@pytest.mark.usefixtures("small")
def test_neighbours_of_a_part_that_lie_far_apart_are_not_asked_for() -> None:
    pages = Pages()
    rows = torch.tensor([0, 1, 2, 3, 4, 6, 8, 10, 12, 13, 5000, 5001])  # the third block spans 4,990 images
    ahead = ReadAhead(
        pages,  # type: ignore[arg-type]
        start=0,
        image_bytes=mmap.PAGESIZE,
        rows=rows,
        order=order_of(12, 8),
        window=8,
    )
    ahead.at(0)
    ahead.at(12)
    found = sorted((low // mmap.PAGESIZE, high // mmap.PAGESIZE) for low, high in pages.asked if high > low)
    assert found == [(0, 4), (4, 11)]


@pytest.fixture
def part(data: Data, budget: Budget) -> Examples:
    return split_examples(SPEC, seed=0, budget=replace(budget, read_window=8), data=data, device=CPU)[0]


@pytest.mark.usefixtures("small")
def test_the_map_of_a_real_set_takes_the_advice_that_training_gives_it(part: Examples) -> None:
    ahead = read_ahead(part, epoch_order(part, 0, 1))
    assert ahead is not None and ahead.pages is part.data.train.pages
    stored = np.frombuffer(ahead.pages, dtype=np.uint8)
    begin = int(ahead.spans.min())
    assert np.array_equal(stored[begin : begin + 768], part.images[0].flatten().numpy())
    assert int(ahead.spans.max()) == len(ahead.pages)
    ahead.at(0)
    page = int(ahead.spans[0, 0]) // mmap.PAGESIZE * mmap.PAGESIZE
    ahead.pages.madvise(mmap.MADV_WILLNEED, page, 1)  # raises what `at` would have kept to itself


@pytest.mark.usefixtures("small")
def test_a_training_reads_in_the_order_of_its_budget(data: Data, budget: Budget) -> None:
    budget = replace(budget, epochs=1)
    windowed = replace(budget, read_window=8)
    losses = [train(SPEC, seed=0, budget=one, data=data).curve[0]["train_loss"] for one in (budget, windowed)]
    assert losses[0] != losses[1]


def test_without_a_window_orders_and_keys_are_those_of_before(plan: Planner, part: Examples, budget: Budget) -> None:
    usual = replace(part, read_window=0)
    assert torch.equal(epoch_order(usual, 3, 2), torch.randperm(90, generator=stream(3, "order/2")))
    assert read_ahead(usual, epoch_order(usual, 3, 2)) is None
    _, (trial, *_) = plan()
    assert "read_window" not in json.dumps(sparse(trial))
    assert trial.key != with_budget(trial, read_window=8).key


def chosen(
    data: Data, budget: Budget, before: Study | None = None, *, workers: int = 2, asked: int | None = None
) -> int:
    return read_window(Options(read_window=asked), data, budget, before, gpus=0.0, workers=workers)


def test_a_window_is_chosen_once_by_the_memory_of_the_machine_that_plans(
    data: Data, budget: Budget, plan: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(data, budget) == 0
    monkeypatch.setattr(memory_module, "memory_here", lambda: 90 * 16 * 16 * 3)
    window = chosen(data, budget)
    assert window == reading.BLOCKS  # blocks of an image: there is no memory for more
    begun, _ = plan(budget=replace(budget, read_window=window))
    monkeypatch.undo()
    assert chosen(data, budget, begun) == window  # where there is more memory, the study goes on as it began
    assert chosen(data, replace(budget, train_examples=80), begun) == 0  # that would be another one
    assert chosen(data, budget, begun, asked=0) == 0
    assert chosen(data, budget, asked=64) == 64


def test_windows_and_the_next_ones_of_all_trials_fit_into_half_of_the_memory() -> None:
    for memory, workers, block in ((2**36, 2, 16), (2**34, 4, 5), (2**33, 2, 5), (2**30, 2, 1)):
        window = window_of(IMAGE, memory / (4 * workers))
        assert block_of(window) == block
        assert block == 1 or 2 * workers * window * IMAGE <= memory / 2
