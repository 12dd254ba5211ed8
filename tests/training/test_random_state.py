"""Random numbers go on exactly where they were saved."""

import random
import sys

import numpy as np
import pytest
import torch

from cnncourse.training.checkpoint_file import read_checkpoint, write_checkpoint
from cnncourse.training.checkpoint_tree import CheckpointWarning
from cnncourse.training.random_state import capture_random_state, restore_random_state


def draw():
    """Numbers of each kind; an odd number of normal ones, so that generators hold one back for the next call."""
    return (
        [random.random(), random.gauss(0, 1), random.getrandbits(70)],
        [*np.random.rand(3), *np.random.randn(3), np.random.randint(100)],
        torch.cat([torch.rand(5), torch.randn(7), torch.nn.functional.dropout(torch.ones(9))]).tolist(),
        torch.randperm(20).tolist(),
    )


@pytest.mark.parametrize("drawn_before", range(4))
def test_the_same_numbers_follow(drawn_before, tmp_path):
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    for _ in range(drawn_before):
        draw()
    path = write_checkpoint(tmp_path / "state.safetensors", capture_random_state())
    first, second = draw(), draw()
    assert first != second
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    restore_random_state(read_checkpoint(path))
    assert draw() == first
    assert draw() == second


def test_capturing_draws_nothing():
    torch.manual_seed(0)
    random.seed(0)
    expected = draw()[0], torch.rand(1)
    torch.manual_seed(0)
    random.seed(0)
    capture_random_state()
    got = draw()[0], torch.rand(1)
    assert got == expected


def test_numpy_is_left_alone_where_nobody_uses_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy.random")
    assert "numpy" not in capture_random_state()
    assert "numpy.random" not in sys.modules


def test_a_replaced_numpy_generator_is_refused():
    before = np.random.mtrand._rand._bit_generator
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        with pytest.raises(ValueError, match="must be its own MT19937 to be saved, it was replaced by PCG64"):
            capture_random_state()
    finally:
        np.random.set_bit_generator(before)


def test_cuda_is_not_started(monkeypatch):
    def fail(*_arguments):
        raise AssertionError("started CUDA")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", fail)
    assert "cuda" not in capture_random_state()


def test_cards_that_are_not_here_are_said_aloud(monkeypatch):
    restored = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: restored.update({index: state}))
    cards = [torch.ones(16, dtype=torch.uint8), torch.zeros(16, dtype=torch.uint8)]
    state = {**capture_random_state(), "cuda": cards}
    with pytest.warns(CheckpointWarning, match="of 2 CUDA cards, here are 1"):
        restore_random_state(state)
    assert list(restored) == [0]
    assert torch.equal(restored[0], cards[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_numbers_of_a_card_follow(tmp_path):
    torch.rand(3, device="cuda")
    path = write_checkpoint(tmp_path / "state.safetensors", capture_random_state())
    expected = torch.rand(5, device="cuda")
    torch.cuda.manual_seed_all(9)
    restore_random_state(read_checkpoint(path))
    assert torch.equal(torch.rand(5, device="cuda"), expected)
