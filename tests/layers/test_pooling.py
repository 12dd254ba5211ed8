import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.layers import BlurPool, MaxPool, MeanPool, blur_pool, max_pool, mean_pool

BY_HAND = torch.tensor(
    [[5.0, 2, -3, 0], [2, -1, 4, -1], [-4, -4, -3, 0], [3, 5, 0, -1]], dtype=torch.float64
).view(1, 1, 4, 4)


def test_the_four_by_four_example():
    values, indices = max_pool(BY_HAND)
    assert values.tolist() == [[[[5, 4], [5, 0]]]]
    assert indices.tolist() == [[[[0, 6], [13, 11]]]]
    assert mean_pool(BY_HAND).tolist() == [[[[2, 0], [0, -1]]]]


def test_overlapping_windows_by_hand():
    # 3 x 3 windows on 4 x 4 with stride 1: the four corners
    assert max_pool(BY_HAND, 3, 1)[0].tolist() == [[[[5, 4], [5, 5]]]]


@st.composite
def pooling_cases(draw):
    window = draw(st.integers(1, 4))
    padding = draw(st.integers(0, window // 2))
    height = draw(st.integers(max(window - 2 * padding, 1), 9))
    width = draw(st.integers(max(window - 2 * padding, 1), 9))
    stride = draw(st.none() | st.integers(1, 4))
    seed = draw(st.integers(0, 2**20))
    images = torch.randn(
        2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return images, window, stride, padding


def gradient(function, images):
    images = images.clone().requires_grad_(True)
    output = function(images)
    # a different weight for each output, so that a gradient that lands in the wrong place is seen
    (output * torch.arange(1, output.numel() + 1, dtype=output.dtype).view_as(output)).sum().backward()
    return images.grad


@settings(max_examples=60, deadline=None)
@given(pooling_cases())
def test_max_pool_is_torchs(case):
    images, window, stride, padding = case
    expected, where = functional.max_pool2d(images, window, stride, padding, return_indices=True)
    values, indices = max_pool(images, window, stride, padding)
    assert torch.equal(values, expected)
    assert torch.equal(indices, where)
    ours = gradient(MaxPool(window, stride, padding), images)
    theirs = gradient(lambda x: functional.max_pool2d(x, window, stride, padding), images)
    assert_close(ours, theirs, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(pooling_cases())
def test_mean_pool_is_torchs(case):
    images, window, stride, padding = case
    assert_close(
        mean_pool(images, window, stride, padding), functional.avg_pool2d(images, window, stride, padding)
    )
    ours = gradient(MeanPool(window, stride, padding), images)
    assert_close(ours, gradient(lambda x: functional.avg_pool2d(x, window, stride, padding), images))


def test_among_equals_the_first_wins_and_takes_the_gradient():
    images = torch.ones(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    values, indices = max_pool(images)
    values.sum().backward()
    assert indices.item() == 0
    assert images.grad.tolist() == [[[[1, 0], [0, 0]]]]


def blur_by_loops(images, stride, taps):
    """The definition, pixel by pixel: binomial weights, border reflected about its outermost pixel."""

    def reflected(i, n):
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i

    line = [math.comb(taps - 1, k) / 2 ** (taps - 1) for k in range(taps)]
    height, width = images.shape[2:]
    rows, columns = range(0, height, stride), range(0, width, stride)
    out = torch.zeros(*images.shape[:2], len(rows), len(columns), dtype=images.dtype)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            for a, wa in enumerate(line):
                for b, wb in enumerate(line):
                    source = (
                        reflected(y + a - (taps - 1) // 2, height),
                        reflected(x + b - (taps - 1) // 2, width),
                    )
                    out[:, :, i, j] += wa * wb * images[:, :, source[0], source[1]]
    return out


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_blur_pool_is_its_definition(taps, stride):
    images = torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(taps), dtype=torch.float64)
    blurred = BlurPool(stride, taps)(images)
    assert_close(blurred, blur_by_loops(images, stride, taps))
    assert blurred.shape[2:] == (math.ceil(7 / stride), math.ceil(6 / stride))


def test_blur_pool_keeps_constants_and_lowers_shift_sensitivity():
    assert_close(blur_pool(torch.full((1, 2, 8, 8), 3.5)), torch.full((1, 2, 4, 4), 3.5))
    stripes = (torch.arange(16) % 2).double().expand(1, 1, 16, 16)  # the finest pattern there is
    moved = stripes.roll(1, dims=3)
    plain = (stripes[..., ::2, ::2] - moved[..., ::2, ::2]).abs().max()
    anti_aliased = (blur_pool(stripes) - blur_pool(moved)).abs().max()
    assert plain == 1
    assert anti_aliased == 0


def test_bad_input():
    image = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="window=5 with images"):
        max_pool(image, 5)
    with pytest.raises(ValueError, match="window=2 and stride=0"):
        mean_pool(image, 2, 0)
    with pytest.raises(ValueError, match="padding=2 with window=2"):
        max_pool(image, 2, 2, 2)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(4, 4\)"):
        mean_pool(image[0, 0])
    with pytest.raises(ValueError, match="stride=0"):
        blur_pool(image, 0)
    with pytest.raises(ValueError, match="taps=8"):
        blur_pool(image, 2, 8)
    with pytest.raises(ValueError, match="choose fewer taps"):
        blur_pool(torch.zeros(1, 1, 2, 2), 2, 5)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(4,\)"):
        blur_pool(image[0, 0, 0])


def test_layers_print_their_setting():
    assert repr(MaxPool(3, 2, 1)) == "MaxPool(window=3, stride=2, padding=1)"
    assert repr(MeanPool(2)) == "MeanPool(window=2, stride=2, padding=0)"
    assert repr(BlurPool()) == "BlurPool(stride=2, taps=3)"
