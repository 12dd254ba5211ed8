import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.inspection import count_multiply_adds, multiply_adds_by_layer
from cnncourse.models import LeNet5


def test_lenet_by_hand():
    # outputs times the numbers each of them reads
    by_hand = {
        "c1": 6 * 28 * 28 * 25,
        "c3": 16 * 10 * 10 * 150,
        "c5": 120 * 400,
        "f6": 84 * 120,
        "output": 10 * 84,
    }
    assert multiply_adds_by_layer(LeNet5(), (1, 1, 32, 32)) == by_hand
    assert count_multiply_adds(LeNet5(), (3, 1, 32, 32)) == 3 * sum(by_hand.values()) == 3 * 416_520


class Everything(nn.Module):
    """Every operation that is counted: groups, dilation, transposition, one dimension, products without a layer."""

    def __init__(self):
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2)
        self.norm = nn.BatchNorm2d(8)
        self.spread = nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2)
        self.line = nn.Conv1d(6, 3, 5)
        self.linear = nn.Linear(7, 5, bias=False)
        self.register_buffer("matrix", torch.ones(5, 2), persistent=False)

    def forward(self, x):
        x = self.spread(self.norm(self.grouped(x)))
        x = self.line(x.flatten(2))[..., :7]
        x = self.linear(x)
        return torch.baddbmm(x @ x.mT, x, x.mT) @ (x @ self.matrix)


@pytest.mark.parametrize("batch", [1, 3])
def test_as_many_as_torch_counts(batch):
    model = Everything()
    shape = (batch, 4, 9, 8)
    with FlopCounterMode(display=False) as theirs:
        model.eval()(torch.zeros(shape))
    layers = multiply_adds_by_layer(model.train(), shape)
    assert 2 * sum(layers.values()) == theirs.get_total_flops()
    assert list(layers) == ["grouped", "spread", "line", "linear", "(outside layers)"]
    assert model.training


def test_nothing_is_computed_or_kept():
    # 40 GB of activations and 4 TB of weights would be needed to run this
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(1000, 100_000, 3), nn.Conv2d(100_000, 1_000_000, 1))
    assert count_multiply_adds(model, (1, 1000, 102, 102)) == 10**4 * (10**5 * 9000 + 10**11)
    real = nn.BatchNorm2d(3)
    count_multiply_adds(nn.Sequential(real), (2, 3, 4, 4))
    assert real.num_batches_tracked == 0
    assert not real._forward_hooks
    assert not real._forward_pre_hooks


def test_hooks_are_gone_after_an_error():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6))
    with pytest.raises(RuntimeError):
        count_multiply_adds(model, (1, 3))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_attention_is_two_products():
    class Attends(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    # 2 heads, 3 places, 4 numbers each: 3 x 3 scores of 4 products, then 3 x 4 sums of 3 products
    assert count_multiply_adds(Attends(), (1, 2, 3, 4)) == 2 * (3 * 3 * 4 + 3 * 4 * 3)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"at least 1, batch first, got \(0, 3\)"):
        count_multiply_adds(nn.Linear(3, 4), (0, 3))
