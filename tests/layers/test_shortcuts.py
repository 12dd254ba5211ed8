import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import PadShortcut, pad_shortcut, shortcut


def test_zeros_go_around_the_channels_by_hand():
    # one channel of 3 x 3, stride 2 keeps the corners; 3 new channels: one before, two after
    maps = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    corners, nothing = [[1.0, 3.0], [7.0, 9.0]], [[0.0, 0.0], [0.0, 0.0]]
    assert pad_shortcut(maps, 4, 2).tolist() == [[nothing, corners, nothing, nothing]]


def test_option_a_is_an_average_free_projection():
    # the same as a 1 x 1 convolution with stride whose matrix holds the identity in its middle rows
    maps = torch.randn(2, 4, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = torch.zeros(10, 4, 1, 1, dtype=torch.float64)
    matrix[3:7, :, 0, 0] = torch.eye(4)
    assert_close(PadShortcut(10, 2)(maps), nn.functional.conv2d(maps, matrix, stride=2))


@pytest.mark.parametrize(
    ("option", "same", "other"),
    [
        ("A", nn.Identity, PadShortcut),
        ("B", nn.Identity, nn.Sequential),
        ("C", nn.Sequential, nn.Sequential),
    ],
)
def test_what_each_option_is(option, same, other):
    assert type(shortcut(option, 8, 8)) is same
    for arguments in [(8, 16, 2), (8, 16, 1), (8, 8, 2)]:
        layer = shortcut(option, *arguments)
        assert type(layer) is other
        assert layer(torch.zeros(1, 8, 5, 5)).shape == (1, arguments[1], *[-(-5 // arguments[2])] * 2)


def test_bad_input():
    with pytest.raises(ValueError, match="out_channels=2 for 3 channels; use a projection"):
        pad_shortcut(torch.zeros(1, 3, 2, 2), 2)
    with pytest.raises(ValueError, match=r"one of \['A', 'B', 'C'\], got 'D'"):
        shortcut("D", 1, 1)


def test_it_prints_its_setting():
    assert repr(PadShortcut(8, 2)) == "PadShortcut(out_channels=8, stride=2)"
