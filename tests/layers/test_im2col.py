"""The two matrices behind a convolution: columns of windows, and the Toeplitz matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.layers import col2im, conv2d_toeplitz, im2col, toeplitz_matrix


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_four_by_four_by_three_gives_twelve_by_nine():
    images = torch.arange(48.0).view(1, 3, 4, 4)
    columns = im2col(images, 2)
    assert columns.shape == (1, 12, 9)
    # the first window: pixels 0, 1, 4, 5 of each channel of 16
    assert columns[0, :, 0].tolist() == [0, 1, 4, 5, 16, 17, 20, 21, 32, 33, 36, 37]
    assert columns[0, 0].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


@st.composite
def window_cases(draw):
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in "yx") for _ in range(3))
    padding = tuple(draw(st.integers(0, 2)) for _ in "yx")
    size = [
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    images = random(2, draw(st.integers(1, 3)), *size, seed=draw(st.integers(0, 2**20)))
    if draw(st.booleans()):
        images = images.contiguous(memory_format=torch.channels_last)
    return images, kernel, {"stride": stride, "padding": padding, "dilation": dilation}


@settings(max_examples=60)
@given(case=window_cases())
def test_columns_and_their_transpose_are_torchs(case):
    images, kernel, setting = case
    columns = im2col(images, kernel, **setting)
    assert torch.equal(columns, functional.unfold(images, kernel, **setting))
    others = random(*columns.shape, seed=1)
    back = col2im(others, *images.shape[2:], kernel, **setting)
    assert_close(back, functional.fold(others, images.shape[2:], kernel, **setting))
    # the transpose: <columns(x), y> = <x, image(y)>
    assert_close((columns * others).sum(), (images * back).sum())


def test_col2im_is_not_the_inverse():
    images = torch.ones(1, 1, 3, 3)
    # with 2 x 2 windows the corners are read once, the edges twice, the middle four times
    assert col2im(im2col(images, 2), 3, 3, 2).tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


def test_gradients_flow_through_the_columns():
    images = random(1, 2, 4, 5).requires_grad_(True)
    setting = {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}
    assert torch.autograd.gradcheck(lambda x: im2col(x, 2, **setting), images)
    columns = im2col(images.detach(), 2, **setting).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda y: col2im(y, 4, 5, 2, **setting), columns)


def test_the_matrix_of_one_dimension_is_toeplitz():
    # y[r] = w · x[r : r + 3]: each row is the row above it, moved one place to the right
    weight = torch.tensor([1.0, 2, 3]).view(1, 1, 1, 3)
    assert toeplitz_matrix(weight, 1, 5).tolist() == [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]
    assert toeplitz_matrix(weight, 1, 5, stride=(1, 2), padding=(0, 1)).tolist() == [
        [2, 3, 0, 0, 0],
        [0, 1, 2, 3, 0],
        [0, 0, 0, 1, 2],
    ]
    assert toeplitz_matrix(weight, 1, 5, dilation=2).tolist() == [[1, 0, 2, 0, 3]]


def test_the_matrix_is_the_jacobian():
    weight = random(4, 1, 2, 3)
    setting = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    matrix = toeplitz_matrix(weight, 4, 6, **setting)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: functional.conv2d(x.view(1, 2, 4, 6), weight, **setting).flatten(), torch.zeros(48).double()
    )
    assert_close(matrix, jacobian)


def test_few_numbers_of_the_matrix_are_free():
    matrix = toeplitz_matrix(random(1, 1, 3, 3), 8, 8)
    assert matrix.shape == (36, 64)
    assert matrix.count_nonzero() == 36 * 9  # sparse
    assert matrix.unique().numel() == 10  # and shared: nine weights and zero


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(3, 3\)"):
        im2col(torch.zeros(3, 3), 2)
    with pytest.raises(ValueError, match="span of 4 pixels"):
        im2col(torch.zeros(1, 1, 3, 3), 4)
    with pytest.raises(ValueError, match=r"\(N, C \* 4, 4\), got \(1, 4, 5\)"):
        col2im(torch.zeros(1, 4, 5), 3, 3, 2)
    with pytest.raises(ValueError, match=r"\(N, C \* 4, 4\), got \(1, 6, 4\)"):
        col2im(torch.zeros(1, 6, 4), 3, 3, 2)
    with pytest.raises(ValueError, match="groups=2 with 3 channels"):
        toeplitz_matrix(torch.zeros(3, 1, 2, 2), 4, 4, groups=2)
    with pytest.raises(ValueError, match=r"kh, kw\), got \(3, 3\)"):
        toeplitz_matrix(torch.zeros(3, 3), 4, 4)
    # the layer of 90 x 90 x 10 with five filters: 40,500 x 81,000 numbers
    with pytest.raises(ValueError, match="40,500 x 81,000 numbers, more than"):
        conv2d_toeplitz(torch.zeros(1, 10, 90, 90), torch.zeros(5, 10, 3, 3), padding=1)
