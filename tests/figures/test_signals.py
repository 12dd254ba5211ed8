"""Signals by layer as drawn: the numbers on the curves, zeros marked, refusals."""

import numpy as np
import pytest
import torch
from torch import nn

from cnncourse import figures
from cnncourse.inspection import activation_statistics, dead_units


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_geometric_mean_and_band_over_seeds():
    ax = figures.signal_by_layer({"a": [[1.0, 10.0], [100.0, 10.0]], "b": [1.0, 2.0, 4.0]}, ylabel="gradient")
    first, second = (line for line in ax.lines if len(line.get_xdata()) > 1)
    assert list(first.get_ydata()) == pytest.approx([10.0, 10.0])
    assert list(second.get_xdata()) == [1, 2, 3]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((1.0, 100.0))
    assert ax.get_yscale() == "log"
    assert set(written(ax)) == {"a", "b"}


def test_labels_stand_where_the_curves_are_apart():
    apart_at_the_start = figures.signal_by_layer({"a": [1e-9, 1.0], "b": [1e-3, 1.0]}, ylabel="y")
    assert {text.get_ha() for text in apart_at_the_start.texts} == {"right"}
    assert apart_at_the_start.yaxis.get_label_position() == "right"
    apart_at_the_end = figures.signal_by_layer({"a": [1.0, 1e-9], "b": [1.0, 1e-3]}, ylabel="y")
    assert {text.get_ha() for text in apart_at_the_end.texts} == {"left"}
    # the higher curve has the higher label
    heights = {text.get_text(): text.xy[1] for text in apart_at_the_end.texts}
    assert heights["b"] > heights["a"]


def test_zeros_are_crosses_at_the_lower_end():
    ax = figures.signal_by_layer({"a": [0.0, 0.0, 3.0, 6.0]}, ylabel="y")
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert list(crosses[0].get_xdata()) == [1, 2]
    assert list(crosses[0].get_ydata()) == pytest.approx([1.0, 1.0])  # 3 / (2 * 1.5)
    assert ax.get_ylim() == pytest.approx((1.0, 9.0))
    only = figures.signal_by_layer({"a": [0.0, 0.0]}, ylabel="y")
    assert list(only.lines[1].get_xdata()) == [1, 2]


def test_signal_alt():
    series = {"plain": [1e-6, 1e-3, 1.0], "silent": [0.0, 1.0]}
    assert figures.signal_by_layer_alt(series, what="gradient") == (
        "Curves of the gradient, on a logarithmic axis: plain from 1e-06 in the first to 1 in layer 3; silent from 0 "
        "in the first to 1 in layer 2."
    )


def test_signal_refusals():
    with pytest.raises(ValueError, match="at least one network, got none"):
        figures.signal_by_layer({}, ylabel="y")
    with pytest.raises(ValueError, match=r"series 'a' must hold numbers of at least 0.*got shape \(2,\)"):
        figures.signal_by_layer({"a": [1.0, -1.0]}, ylabel="y")
    with pytest.raises(ValueError, match="with NaN or none at all"):
        figures.signal_by_layer({"a": [1.0, np.nan]}, ylabel="y")
    with pytest.raises(ValueError, match="with NaN or none at all"):
        figures.signal_by_layer({"a": []}, ylabel="y")
    with pytest.raises(ValueError, match=r"colour of 'a' must be one of ink, .* got 'pink'"):
        figures.signal_by_layer({"a": [1.0]}, ylabel="y", colours={"a": "pink"})


def test_activation_profile():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    found = activation_statistics(model, torch.tensor([[-3.0, 0.0, 5.0, 1.0]]))
    ax = figures.activation_profile(found, labels={"0": "relu"})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["relu", "1"]
    right = ax.figure.axes[1]
    # zeros of both layers, then tanh(5), flat, on top of its two zeros
    assert [(p.get_x(), p.get_width()) for p in right.patches] == [(0, 50), (0, 50), (50, 0), (50, 25)]
    assert written(right) == ["zero", "saturated"]
    bar = ax.containers[0]
    assert list(bar.lines[0].get_xdata()) == pytest.approx([row.mean for row in found])


def test_dead_units_by_hand():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.relu(x) - 1)

    found = dead_units(Twice(), torch.tensor([[2.0, 0.5, -1.0, 3.0]]))
    ax = figures.dead_unit_bars(found)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["relu, use 1", "relu, use 2"]
    assert [patch.get_width() for patch in ax.patches[2:]] == [25.0, 50.0]
    assert written(ax) == ["1 of 4", "2 of 4"]


def test_they_become_pictures_for_a_page():
    ax = figures.signal_by_layer({"a": [0.0, 1.0], "b": [[1.0, 2.0], [3.0, 4.0]]}, ylabel="gradient")
    svg = figures.inline_svg(ax.get_figure(), prefix="signals", alt="two curves")
    assert "var(--cnn-blue" in svg
    assert "gradient" in svg
