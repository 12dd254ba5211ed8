from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from cnncourse.inspection import count_parameters
from cnncourse.models import MLP, hidden_width


def test_two_layers_by_hand():
    model = MLP((2, 2, 1))
    first, second = model.layers[1], model.layers[3]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
        first.bias.copy_(torch.tensor([0.0, -1.0]))
        second.weight.copy_(torch.tensor([[2.0, 3.0]]))
        second.bias.copy_(torch.tensor([0.5]))
    # image (1, 3): hidden relu(-2) = 0 and relu(3) = 3, output 2 * 0 + 3 * 3 + 0.5
    assert_close(model(torch.tensor([[[[1.0, 3.0]]]])), torch.tensor([[9.5]]))


def test_no_hidden_layer_is_one_linear_map():
    assert [type(layer).__name__ for layer in MLP((4, 3)).layers] == ["Flatten", "Linear"]


@given(
    target=st.integers(1, 20_000),
    inputs=st.integers(1, 60),
    outputs=st.integers(1, 12),
    hidden_layers=st.integers(1, 3),
)
def test_hidden_width_is_the_best_of_all(target, inputs, outputs, hidden_layers):
    width = hidden_width(target, in_features=inputs, out_features=outputs, hidden_layers=hidden_layers)

    def distance(h):
        sizes = (inputs, *[h] * hidden_layers, outputs)
        return abs(sum((a + 1) * b for a, b in pairwise(sizes)) - target)

    assert width >= 1
    assert distance(width) <= min(distance(width + 1), distance(max(width - 1, 1)))


def test_rival_of_lenet():
    width = hidden_width(61_706, in_features=1024, out_features=10)
    assert width == 60
    assert count_parameters(MLP((1024, width, 10))) == 62_110


def test_bad_input():
    with pytest.raises(ValueError, match=r"at least two numbers, .*got sizes=\(5,\)"):
        MLP((5,))
    with pytest.raises(ValueError, match=r"got sizes=\(5, 0\)"):
        MLP((5, 0))
    with pytest.raises(ValueError, match=r"4 numbers an image, got \(1, 1, 3, 3\)"):
        MLP((4, 2))(torch.zeros(1, 1, 3, 3))
    with pytest.raises(ValueError, match="target=0"):
        hidden_width(0, in_features=1, out_features=1)
