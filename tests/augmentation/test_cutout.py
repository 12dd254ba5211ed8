import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torchvision.transforms.v2 import functional as torchvision

from cnncourse.augmentation import BatchShape, Cutout, cover
from cnncourse.augmentation.pixels import choose


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def covered_by(side, centre, size=4):
    images = torch.ones(1, 1, size, size, dtype=torch.uint8)
    return Cutout(side).apply(images, {"centres": torch.tensor([centre])})[0, 0].tolist()


@pytest.mark.parametrize(
    ("side", "centre", "expected"),
    [
        (2, (2, 2), [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]),
        (3, (2, 2), [[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]),
        (2, (0, 3), [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),  # hangs over the top
        (1, (3, 0), [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]]),
        (9, (0, 0), [[0] * 4] * 4),
    ],
)
def test_by_hand(side, centre, expected):
    assert covered_by(side, centre) == expected


@given(
    st.lists(
        st.tuples(st.integers(-3, 9), st.integers(-3, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1
    ),
    st.sampled_from([torch.uint8, torch.float32, torch.float64, torch.bfloat16]),
    st.booleans(),
)
def test_boxes_are_torchvisions_erase(boxes, dtype, channels_last):
    images = torch.randint(0, 256, (len(boxes), 3, 6, 7), generator=generator()).to(dtype)
    images = images.to(memory_format=torch.channels_last) if channels_last else images
    fill = torch.tensor([1, 2, 3]).view(3, 1, 1).to(dtype)
    result = cover(images, torch.tensor(boxes), fill=(1, 2, 3))
    for number, (top, left, height, width) in enumerate(boxes):
        i, j = max(top, 0), max(left, 0)
        h, w = max(min(top + height, 6) - i, 0), max(min(left + width, 7) - j, 0)
        expected = torchvision.erase(images[number], i, j, h, w, fill) if h and w else images[number]
        assert torch.equal(result[number], expected)


def test_what_is_covered_may_be_anything():
    images = torch.full((1, 1, 2, 2), float("nan"))
    images[0, 0, 1, 1] = float("inf")
    result = cover(images, torch.tensor([[0, 0, 1, 2]]), fill=0.5)
    assert result[0, 0, 0].tolist() == [0.5, 0.5]
    assert result[0, 0, 1].isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    "dtype",
    [torch.uint8, torch.int8, torch.int16, torch.int64, torch.float16, torch.float32, torch.float64],
    ids=str,
)
def test_choosing_by_bits_is_where(dtype):
    these, others = ((torch.randn(4, 3, 5, 6, generator=generator(s)) * 99).to(dtype) for s in (0, 1))
    condition = torch.rand(4, 1, 5, 6, generator=generator()) < 0.5
    expected = torch.where(condition, these, others)
    assert torch.equal(choose(condition, these, others), expected)
    last = others.to(memory_format=torch.channels_last)
    assert torch.equal(choose(condition, these, last), expected)
    assert choose(condition, these, last).is_contiguous(memory_format=torch.channels_last)


def test_gradients_pass():
    images = torch.ones(1, 1, 2, 2, requires_grad=True)
    cover(images, torch.tensor([[0, 0, 1, 1]])).sum().backward()
    assert images.grad.flatten().tolist() == [0, 1, 1, 1]


def test_all_centres_are_equally_likely():
    centres = Cutout(3).draw(BatchShape(30_000, 5, 6), generator(1))["centres"]
    counts = torch.bincount(centres[:, 0] * 6 + centres[:, 1], minlength=30)
    assert len(counts) == 30
    assert chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Cutout(0), "side must be at least 1, got side=0; leave Cutout out"),
        (
            lambda: cover(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2)),
            r"boxes must be of shape \(N, 4\), got \(1, 2\)",
        ),
        (lambda: cover(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4), fill=(1, 2)), "got 2 for 3 channels"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
