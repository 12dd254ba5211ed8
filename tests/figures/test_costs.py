"""Bars of costs and times: as long as the numbers, whole networks in as many groups as fit."""

import pytest
import torch
from torch import nn

from cnncourse import figures
from cnncourse.figures.layer_groups import layer_groups, si
from cnncourse.inspection import LayerTimes, TimeRow, layer_costs
from cnncourse.models import LeNet5
from cnncourse.models.catalogue import CATALOGUE, build


def written(ax):
    return [text.get_text() for text in ax.texts]


def ticks(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_lenet_in_five_groups_of_three_bars():
    costs = layer_costs(LeNet5(), (1, 1, 32, 32))
    ax = figures.cost_bars(costs)
    assert ticks(ax) == ["c1", "c3", "c5", "f6", "output"]
    lengths = [patch.get_width() for patch in ax.patches]
    assert lengths[:5] == pytest.approx([100 * n / 61_706 for n in (156, 2_416, 48_120, 10_164, 850)])
    assert lengths[5:10] == pytest.approx(
        [100 * n / 416_520 for n in (117_600, 240_000, 48_000, 10_080, 840)]
    )
    # c1's ReLU and the pooling behind it stand with c1
    kept = [18_816 + 14_112, 6_400 + 4_800, 480, 336, 0]
    assert lengths[10:] == pytest.approx([100 * n / 44_944 for n in kept])
    assert max(ax.get_xticks()) <= 100
    assert {"48.1 k", "240 k", "32.9 kB", "parameters: 61.7 k"} <= set(written(ax))
    alt = figures.cost_bars_alt(costs)
    assert "61.7 k parameters, the largest part (78%) in c5; 417 k multiply-adds" in alt


def test_what_is_outside_layers_stands_alone():
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    ax = figures.cost_bars(layer_costs(Adds(), (1, 2)))
    assert ticks(ax) == ["first", "second", "(outside layers)"]


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no parameters, operations or activations"):
        figures.cost_bars(layer_costs(nn.Flatten(), (1, 1, 2, 2)))


# the least costly network of every paper: the others have more of the same parts
DRAWN = {entry.paper: entry for entry in sorted(CATALOGUE, key=lambda entry: -entry.multiply_adds)}


@pytest.mark.parametrize("entry", DRAWN.values(), ids=lambda entry: entry.name)
def test_networks_of_all_papers_fit(entry):
    with torch.device("meta"):
        model = build(entry.name)
    costs = layer_costs(model, (1, entry.in_channels, entry.side, entry.side))
    ax = figures.cost_bars(costs)
    assert 1 <= len(ticks(ax)) <= 24
    per_quantity = len(ax.patches) // 3
    for start in range(0, len(ax.patches), per_quantity):
        assert sum(p.get_width() for p in ax.patches[start : start + per_quantity]) == pytest.approx(100)


def test_groups_by_hand():
    names = ["conv1", "bn1", "layer1.0.conv1", "layer1.0.relu", "layer1.1.conv1", "pool", "fc"]
    starts = [True, False, True, False, True, False, True]
    assert layer_groups(names, starts) == [
        *("conv1", "conv1", "layer1.0.conv1", "layer1.0.conv1", "layer1.1.conv1", "layer1.1.conv1", "fc")
    ]
    assert layer_groups(names, starts, 3) == ["conv1", "conv1", "layer1", "layer1", "layer1", "layer1", "fc"]
    assert layer_groups(names, starts, 1) == layer_groups(names, starts, 3)  # no larger parts
    assert layer_groups([], []) == []
    with pytest.raises(ValueError, match="got 1 names, 2 starts, most=24"):
        layer_groups(["a"], [True, False])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (1, "1"), (999, "999"), (1000, "1.00 k"), (61_706, "61.7 k"), (999_600, "1.00 M")),
        *((138e6, "138 M"), (4.09e9, "4.09 G"), (11.5e12, "11.5 T"), (0.0123, "12.3 m"), (2e-9, "2.00 n")),
    ],
)
def test_three_digits_and_a_prefix(value, text):
    assert si(value) == text


def test_a_unit_goes_behind_the_prefix():
    assert (si(44_944, "B"), si(12, "B")) == ("44.9 kB", "12 B")


def test_times():
    rows = (
        TimeRow("conv", "Conv2d", 1, 0.003, 0.6),
        TimeRow("relu", "ReLU", 1, 0.001, 0.2),
        TimeRow("(outside layers)", "", 1, 0.001, 0.2),
    )
    times = LayerTimes(rows, total_seconds=0.0045, repeats=3, images=8)
    ax = figures.time_bars(times)
    assert ticks(ax) == ["conv", "(outside layers)"]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([4.0, 1.0])
    assert written(ax) == ["4 ms, 80%", "1 ms, 20%"]
    assert ax.get_xlabel() == "milliseconds for 8 images"
    assert "together 5 milliseconds; the longest, conv, takes 80%" in figures.time_bars_alt(times)
