import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import ChannelShuffle, channel_shuffle


def test_by_hand():
    # 6 channels in 3 groups (0 1 | 2 3 | 4 5): first of each group, then second of each group
    maps = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(maps, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_it_is_torchs_and_the_other_divisor_undoes_it(groups):
    maps = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shuffled = ChannelShuffle(groups)(maps)
    assert torch.equal(shuffled, nn.ChannelShuffle(groups)(maps))
    assert torch.equal(channel_shuffle(shuffled, 12 // groups), maps)
    last = maps.contiguous(memory_format=torch.channels_last)
    assert torch.equal(channel_shuffle(last, groups), shuffled)


def test_gradient_goes_back_to_where_the_value_came_from():
    maps = torch.randn(1, 6, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maps.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: channel_shuffle(x, 2), maps)
    factors = torch.arange(12.0, dtype=torch.float64).view(1, 6, 2, 1)
    (channel_shuffle(maps, 2) * factors).sum().backward()
    assert_close(maps.grad, channel_shuffle(factors, 3))


def test_bad_input():
    with pytest.raises(ValueError, match=r"got groups=4 for maps of shape \(1, 6, 2, 2\)"):
        channel_shuffle(torch.zeros(1, 6, 2, 2), 4)
    with pytest.raises(ValueError, match="at least 1, got groups=0"):
        ChannelShuffle(0)
    with pytest.raises(ValueError, match="got groups=0 for"):
        channel_shuffle(torch.zeros(1, 6, 2, 2), 0)
    assert repr(ChannelShuffle(3)) == "ChannelShuffle(groups=3)"
