import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import (
    DropBlock,
    Dropout,
    InvertedDropout,
    block_mask,
    drop_block,
    drop_block_rate,
    dropout,
    inverted_dropout,
    keep_mask,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_inverted_dropout_is_torchs_draw_for_draw(dtype, memory_format):
    values = drawn(3, 4, 5, 7).to(dtype).contiguous(memory_format=memory_format)
    results = []
    for layer in (InvertedDropout(0.3), nn.Dropout(0.3)):
        inputs = values.clone().requires_grad_()
        torch.manual_seed(1)
        out = layer(inputs)
        (out * values).sum().backward()
        results.append((out.detach(), inputs.grad))
    assert_close(*results)
    assert results[0][0].dtype == dtype
    assert results[0][0].is_contiguous(memory_format=memory_format)


def test_the_two_forms_by_hand():
    values = torch.tensor([4.0, 8.0])
    assert Dropout(0.75).eval()(values).tolist() == [1, 2]
    assert InvertedDropout(0.75).eval()(values) is values
    assert InvertedDropout(0.0)(values) is values
    generators = [torch.Generator().manual_seed(3) for _ in range(3)]
    mask = keep_mask(values, 0.5, generators[0])
    assert torch.equal(dropout(values, 0.5, generators[1]), values * mask)
    assert torch.equal(inverted_dropout(values, 0.5, generators[2]), 2 * values * mask)


def test_both_forms_have_the_mean_that_the_next_layer_sees_at_test_time():
    values, count = torch.ones(40_000), 40_000
    generator = torch.Generator().manual_seed(0)
    spread = 4 * (0.4 * 0.6 / count) ** 0.5  # four standard errors of a share of 0.6
    kept = dropout(values, 0.4, generator)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept.mean().item() == pytest.approx(Dropout(0.4).eval()(values).mean().item(), abs=spread)
    assert inverted_dropout(values, 0.4, generator).mean().item() == pytest.approx(1, abs=spread / 0.6)


@pytest.mark.parametrize("function", [dropout, inverted_dropout, drop_block])
def test_the_gradient_is_that_of_finite_differences(function):
    maps = drawn(2, 2, 3, 3).requires_grad_()
    settings = {"block_size": 2} if function is drop_block else {}
    assert torch.autograd.gradcheck(
        lambda x: function(x, 0.3, **settings, generator=torch.Generator().manual_seed(1)), maps
    )


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (4, 2, 5, 6), (3, 2, 6, 11)])
@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_drop_block_is_torchvisions_draw_for_draw(shape, block_size):
    from torchvision.ops import drop_block2d

    maps, results = drawn(*shape), []
    theirs = lambda x: drop_block2d(x, 0.3, block_size, eps=0.0)  # noqa: E731
    for layer in (DropBlock(0.3, block_size), theirs):
        inputs = maps.clone().requires_grad_()
        torch.manual_seed(1)
        out = layer(inputs)
        (out * maps).sum().backward()
        results.append((out.detach(), inputs.grad))
    assert_close(*results)


@given(
    block_size=st.integers(1, 5), height=st.integers(5, 9), width=st.integers(5, 9), seed=st.integers(0, 99)
)
def test_exactly_the_blocks_are_dropped(block_size, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.zeros(2, 2, height - block_size + 1, width - block_size + 1)
    corners.bernoulli_(0.2, generator=generator)
    expected = torch.ones(2, 2, height, width)
    for image, channel, row, column in corners.nonzero().tolist():
        expected[image, channel, row : row + block_size, column : column + block_size] = 0
    assert torch.equal(block_mask(corners, block_size), expected)


def test_rate_by_hand_and_share_of_dropped_values():
    # 7 x 7 blocks have one place in 7 x 7 maps: it holds one with probability p
    assert drop_block_rate(0.1, 7, 7, 7) == pytest.approx(0.1)
    assert drop_block_rate(0.1, 1, 5, 9) == pytest.approx(0.1)
    assert drop_block_rate(0.1, 3, 6, 10) == pytest.approx(0.1 / 9 * 60 / 32)
    maps = torch.ones(64, 16, 28, 28)
    out = drop_block(maps, 0.1, 7, torch.Generator().manual_seed(0))
    share = (out == 0).float().mean().item()
    assert 0.08 < share < 0.1  # below 10 %: blocks overlap
    assert out.mean().item() == pytest.approx(1, abs=1e-5)  # scaled by what was kept, not by what was wanted


def test_it_rests_in_eval_and_survives_when_nothing_is_left():
    maps = torch.ones(1, 1, 3, 3)
    assert DropBlock(0.5, 3).eval()(maps) is maps
    assert DropBlock(0.0)(maps) is maps
    results = [drop_block(maps, 0.9, 3, torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert all(torch.isfinite(out).all() for out in results)
    assert {out.sum().item() for out in results} == {0.0, 9.0}


def test_bad_input():
    for layer in (Dropout, InvertedDropout, DropBlock):
        with pytest.raises(ValueError, match=r"\[0, 1\), got drop_prob=1; 1 would leave nothing"):
            layer(1)
    with pytest.raises(ValueError, match=r"got drop_prob=-0\.1"):
        dropout(torch.ones(2), -0.1)
    with pytest.raises(ValueError, match="block_size=0"):
        DropBlock(0.1, 0)
    with pytest.raises(ValueError, match="block_size=7 for maps of 6 x 8; choose smaller blocks"):
        DropBlock()(torch.ones(1, 1, 6, 8))
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(8, 8\)"):
        drop_block(torch.ones(8, 8), 0.1)
    assert [repr(layer) for layer in (Dropout(), InvertedDropout(), DropBlock())] == [
        "Dropout(drop_prob=0.5)",
        "InvertedDropout(drop_prob=0.5)",
        "DropBlock(drop_prob=0.1, block_size=7)",
    ]
