import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import (
    BatchNorm2d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    fold_batch_norm,
    normalise_channels,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(channels, **settings):
    """The course's layer and torch's with the same weights, neither of them fresh."""
    ours, theirs = BatchNorm2d(channels, **settings).double(), nn.BatchNorm2d(channels, **settings).double()
    with torch.no_grad():
        for index, tensor in enumerate(theirs.parameters()):
            tensor.copy_(drawn(channels, seed=index + 5))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_by_hand():
    # values 1, 3, 5, 7 of one channel: mean 4, variance 5, with eps 4 the root is 3; running averages from 0
    # and 1 by half a step: 2 and (1 + 5 · 4 / 3) / 2
    maps = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(2, 1, 1, 2)
    mean, variance = torch.zeros(1), torch.ones(1)
    weight, bias = torch.tensor([6.0]), torch.tensor([1.0])
    out = batch_norm(maps, mean, variance, weight, bias, training=True, momentum=0.5, eps=4.0)
    assert_close(out.flatten(), torch.tensor([-5.0, -1.0, 3.0, 7.0]))
    assert_close(mean, torch.tensor([2.0]))
    assert_close(variance, torch.tensor([(1 + 20 / 3) / 2]))
    fixed = batch_norm(maps, torch.tensor([1.0]), torch.tensor([0.0]), weight, bias, eps=4.0)
    assert fixed.flatten().tolist() == [1, 7, 13, 19]


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)).filter(
        lambda shape: shape[0] * shape[2] * shape[3] > 1
    ),
    eps=st.floats(1e-5, 1),
    momentum=st.none() | st.floats(0, 1),
    affine=st.booleans(),
    tracked=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_three_steps_and_eval_are_torchs(*, shape, eps, momentum, affine, tracked, seed):
    layers = pair(shape[1], eps=eps, momentum=momentum, affine=affine, track_running_stats=tracked)
    for step in range(4):
        maps = drawn(*shape, seed=seed + step) * 3 + 2
        inputs = [maps.clone().requires_grad_() for _ in layers]
        outputs = [layer.train(step < 3)(x) for layer, x in zip(layers, inputs, strict=True)]
        for layer, out in zip(layers, outputs, strict=True):
            layer.zero_grad()
            (out * drawn(*shape, seed=seed + 9)).sum().backward()
        assert_close(*outputs, rtol=1e-9, atol=1e-9)
        assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-7, atol=1e-7)
        states = [dict(layer.state_dict()) for layer in layers]
        assert list(states[0]) == list(states[1])
        assert_close(*states)
        for mine, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
            assert_close(mine.grad, other.grad, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("shape", [(2, 3, 2, 3), (4, 2), (2, 1, 3), (1, 2, 1, 2, 3)])
def test_the_gradient_derived_by_hand_is_autograds(shape):
    maps, weight, bias = drawn(*shape), drawn(shape[1], seed=1), drawn(shape[1], seed=2)
    output_gradient = drawn(*shape, seed=3)
    inputs = [tensor.clone().requires_grad_() for tensor in (maps, weight, bias)]
    out = batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=0.01)
    expected = torch.autograd.grad(out, inputs, output_gradient)
    for mine, other in zip(
        batch_norm_backward(output_gradient, maps, weight, eps=0.01), expected, strict=True
    ):
        assert_close(mine, other, rtol=0, atol=1e-12)
    without = torch.autograd.grad(batch_norm(inputs[0], eps=0.01), inputs[0], output_gradient)[0]
    assert_close(batch_norm_backward(output_gradient, maps, eps=0.01)[0], without, rtol=0, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    inputs = [drawn(2, 3, 2, 1).requires_grad_(), drawn(3).requires_grad_(), drawn(3).requires_grad_()]
    statistics = drawn(3, seed=4), drawn(3, seed=5).square()
    assert torch.autograd.gradcheck(lambda x, w, b: batch_norm(x, None, None, w, b, eps=0.1), inputs)
    assert torch.autograd.gradcheck(lambda x, w, b: normalise_channels(x, *statistics, w, b), inputs)


def test_what_comes_back_is_blind_to_what_the_output_is_blind_to():
    # y does not change when a channel is shifted or stretched, so the gradient has no such part
    maps, output_gradient = drawn(5, 3, 4, 4), drawn(5, 3, 4, 4, seed=1)
    back = batch_norm_backward(output_gradient, maps, eps=1e-12)[0]
    assert back.sum((0, 2, 3)).abs().max() < 1e-9
    assert (back * maps).sum((0, 2, 3)).abs().max() < 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_types_and_memory_formats(dtype, training):
    maps = (drawn(8, 4, 5, 3) * 2 + 3).to(dtype).contiguous(memory_format=torch.channels_last)
    layer, reference = BatchNorm2d(4), BatchNorm2d(4).double()
    out, expected = layer.train(training)(maps), reference.train(training)(maps.double())
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    tolerance = max(4 * torch.finfo(dtype).eps, 1e-5)
    assert_close(out.double(), expected, rtol=tolerance, atol=tolerance)
    assert_close(layer.running_var.double(), reference.running_var, rtol=1e-5, atol=1e-5)


def test_a_large_mean_does_not_eat_the_variance():
    # the mean of squares minus the square of the mean would lose all digits of a variance of 1 beside 1e4²
    maps = (drawn(64, 1, 8, 8) + 1e4).float()
    assert batch_statistics(maps)[1].item() == pytest.approx(maps.double().var(correction=0).item(), rel=1e-3)


def test_it_folds_like_torchs():
    ours, theirs = pair(6)
    for layer in (ours, theirs):
        layer(drawn(4, 6, 3, 3) + 1)
    conv = nn.Conv2d(4, 6, 3).double()
    images = drawn(2, 4, 7, 5)
    folded = fold_batch_norm(conv, ours.eval())
    assert_close(folded(images), theirs.eval()(conv(images)), rtol=0, atol=1e-12)


def test_a_cumulative_average_is_the_mean_of_all_batches():
    layer = BatchNorm2d(1, momentum=None).double()
    batches = [drawn(3, 1, 2, 2, seed=seed) for seed in range(5)]
    for batch in batches:
        layer(batch)
    assert layer.num_batches_tracked == 5
    assert layer.running_mean.item() == pytest.approx(torch.stack(batches).mean().item())


def test_one_value_a_channel_has_no_variance():
    layer, maps = BatchNorm2d(3), torch.ones(1, 3, 1, 1)
    with pytest.raises(
        ValueError, match=r"at least 2 values a channel, got 1 from maps of shape \(1, 3, 1, 1\)"
    ):
        layer(maps)
    assert layer.num_batches_tracked == 0
    assert not layer.running_mean.any()
    assert layer.eval()(maps).flatten().tolist() == pytest.approx([1 / math.sqrt(1 + 1e-5)] * 3)


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\), got \(2, 4, 2, 2\)"):
        BatchNorm2d(3)(torch.zeros(2, 4, 2, 2))
    with pytest.raises(ValueError, match="num_features=0"):
        BatchNorm2d(0)
    with pytest.raises(ValueError, match="momentum=2"):
        BatchNorm2d(3, momentum=2)
    with pytest.raises(ValueError, match="both be given or both be None"):
        batch_norm(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"one number a channel, got \(4,\) for maps"):
        batch_norm(torch.zeros(2, 3), weight=torch.zeros(4))
    with pytest.raises(ValueError, match="share of the new batch"):
        batch_norm(drawn(2, 3), drawn(3), drawn(3), training=True, momentum=1.5)
    with pytest.raises(ValueError, match=r"\(N, C, ...\), got \(3,\)"):
        batch_statistics(torch.zeros(3))
    with pytest.raises(ValueError, match=r"the maps' shape \(2, 3\), got \(2, 4\)"):
        batch_norm_backward(torch.zeros(2, 4), torch.zeros(2, 3))
    assert repr(BatchNorm2d(3)) == (
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
    )
