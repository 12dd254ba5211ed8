import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torchvision.transforms.v2 import functional as torchvision

from cnncourse.augmentation import AlternatingFlip, BatchShape, Flip, flip
from cnncourse.augmentation.flips import first_flips


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_by_hand():
    images = torch.tensor([[1, 2, 3], [4, 5, 6]]).view(2, 1, 1, 3)
    assert flip(images, torch.tensor([False, True])).tolist() == [[[[1, 2, 3]]], [[[6, 5, 4]]]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_torchvisions(dtype):
    images = torch.randint(0, 256, (9, 3, 5, 8), generator=generator()).to(dtype)
    flipped = torch.rand(9, generator=generator()) < 0.5
    for number in range(9):
        expected = torchvision.horizontal_flip(images[number]) if flipped[number] else images[number]
        assert torch.equal(flip(images, flipped)[number], expected)


def test_twice_is_never():
    images = torch.rand(6, 2, 3, 4, generator=generator())
    flipped = torch.tensor([True, False] * 3)
    assert torch.equal(flip(flip(images, flipped), flipped), images)


@pytest.mark.parametrize("prob", [0.5, 0.1])
def test_as_often_as_said(prob):
    heads = Flip(prob).draw(BatchShape(20_000, 1, 1), generator(1))["flipped"].sum().item()
    assert chisquare([heads, 20_000 - heads], [20_000 * prob, 20_000 * (1 - prob)]).pvalue > 1e-3


def test_never_and_always():
    assert not Flip(0).draw(BatchShape(1000, 1, 1), generator())["flipped"].any()
    assert Flip(1).draw(BatchShape(1000, 1, 1), generator())["flipped"].all()


@pytest.mark.parametrize("prob", [-0.1, 1.1, float("nan")])
def test_a_probability_out_of_range_is_refused(prob):
    with pytest.raises(ValueError, match=r"prob must lie in \[0, 1\], got prob="):
        Flip(prob)


def test_a_mask_that_is_not_bool_is_refused():
    with pytest.raises(ValueError, match=r"flipped must be bool, got torch.int64"):
        flip(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1]))


def turns(seed, indices, epoch):
    shape = BatchShape(len(indices), 4, 4, indices=torch.tensor(indices), epoch=epoch)
    return AlternatingFlip(seed).draw(shape, generator())["flipped"]


@given(
    st.integers(-(2**63), 2**64 - 1),
    st.lists(st.integers(0, 2**62), min_size=1, max_size=20),
    st.integers(1, 10**6),
)
def test_two_passes_in_a_row_show_each_image_both_ways(seed, indices, epoch):
    assert torch.equal(turns(seed, indices, epoch), ~turns(seed, indices, epoch + 1))
    assert torch.equal(turns(seed, indices, epoch), turns(seed, indices, epoch + 2))


def test_coins_do_not_show_each_image_both_ways():
    source = generator(0)
    first, second = (Flip().draw(BatchShape(1000, 1, 1), source)["flipped"] for _ in range(2))
    assert 400 < (first == second).sum() < 600


def test_which_images_are_flipped_belongs_to_the_image_not_to_its_place():
    shuffled = torch.randperm(500, generator=generator())
    ordered = turns(7, list(range(500)), 1)
    assert torch.equal(turns(7, shuffled.tolist(), 1), ordered[shuffled])


def test_the_hash_is_splitmix64():
    # the first three outputs of SplitMix64 from state 0, as printed in many test vectors
    state = torch.tensor([0])
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    import numpy as np

    from cnncourse.augmentation.flips import _splitmix

    steps = np.array([k * 0x9E3779B97F4A7C15 % 2**64 for k in range(3)], dtype=np.uint64)
    assert [int(value) for value in _splitmix(steps)] == expected
    assert first_flips(0, state).dtype == torch.bool


@pytest.mark.parametrize("seed", [0, 1, -5, 2**64 - 1])
def test_half_of_the_images_and_no_pattern_in_neighbours_or_seeds(seed):
    flips = turns(seed, list(range(20_000)), 1)
    pairs = flips[::2].int() * 2 + flips[1::2]
    assert chisquare(torch.bincount(pairs, minlength=4).numpy()).pvalue > 1e-3
    both = flips.int() * 2 + turns(seed - 1, list(range(20_000)), 1)
    assert chisquare(torch.bincount(both, minlength=4).numpy()).pvalue > 1e-3


def test_the_generator_of_an_alternating_flip_stands_still():
    source = generator(5)
    AlternatingFlip().draw(BatchShape(9, 2, 2, indices=torch.arange(9)), source)
    assert torch.equal(source.get_state(), generator(5).get_state())


def test_alternating_without_indices_is_refused():
    with pytest.raises(ValueError, match=r"which image is which.*give indices and epoch, or use Flip"):
        AlternatingFlip().draw(BatchShape(2, 4, 4), generator())


def test_a_seed_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="at most 64 bits, got seed="):
        AlternatingFlip(2**64)
