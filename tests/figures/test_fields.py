"""Receptive fields as drawn: sizes on the curves, frames around the pixels."""

import pytest
import torch
from matplotlib.patches import Rectangle
from torch import nn

from cnncourse import figures
from cnncourse.inspection import EffectiveField, effective_receptive_field, receptive_field


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_sizes_layer_by_layer():
    three = receptive_field([nn.Conv2d(1, 1, 3)] * 3)
    seven = receptive_field([nn.Conv2d(1, 1, 7)])
    ax = figures.field_by_layer({"three": three, "seven": seven}, image_side=9)
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines]
    assert lines[:2] == [([1, 2, 3], [3, 5, 7])] * 2
    assert lines[2] == ([1], [7])
    assert set(written(ax)) == {"image, 9", "three: 7", "seven: 7"}
    alt = figures.field_by_layer_alt({"seven": seven, "three": three})
    assert alt.endswith("; three from 3 to 7 pixels in 3 steps.")


def test_branches_do_not_pull_the_curve_down():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(1, 1, 5, padding=2), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.wide(x) + self.narrow(x)

    ax = figures.field_by_layer({"net": receptive_field(Branches(), (1, 1, 8, 8))})
    line, dots = ax.lines
    assert list(line.get_ydata()) == [5, 5]
    assert list(dots.get_ydata()) == [5, 1]
    assert written(ax) == ["net: 5"]


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="at least one network, got none"):
        figures.field_by_layer({})
    with pytest.raises(ValueError, match="'flat' has no layer with a window"):
        figures.field_by_layer({"flat": receptive_field([nn.ReLU()])})
    silent = EffectiveField(torch.zeros(4, 4), (0, 0), (0, -1, 0, -1))
    for draw in (figures.effective_field, figures.effective_field_alt):
        with pytest.raises(ValueError, match="no pixel moves this unit"):
            draw(silent)


def test_two_frames_around_a_mean():
    model = nn.Sequential(nn.AvgPool2d(4))
    field = effective_receptive_field(model, "0", torch.ones(1, 1, 12, 12), unit=(1, 1))
    ax = figures.effective_field(field)
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    # the unit (1, 1) of a mean over 4 x 4 sees rows and columns 4 to 7, all of them equally
    for frame in frames:
        assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (3.5, 3.5, 4, 4)
    assert written(ax) == ["all: 4 × 4", "effective: 4 × 4"]
    assert "12 × 12 pixels: 4 × 4 move the unit" in figures.effective_field_alt(field)
