"""Networks drawn from shapes, and frames on pictures: counts and corners one can work out by hand."""

import doctest
import importlib

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from torch import nn

from cnncourse import figures
from cnncourse.inspection import shape_trace
from cnncourse.models import LeNet5
from cnncourse.models.catalogue import build

LAYERS = [("input", (1, 32, 32)), ("C1", (6, 28, 28)), ("F6", (84,))]


def rectangles(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_a_stack_has_one_sheet_a_channel_and_a_vector_one_bar():
    ax = figures.architecture(LAYERS)
    assert len(rectangles(ax)) == 1 + 6 + 1
    assert {"input", "C1", "F6", "1×32×32", "6×28×28", "84"} <= set(written(ax))


def test_many_channels_do_not_hide_each_other():
    ax = figures.architecture([("C", (512, 7, 7))])
    assert 1 < len(rectangles(ax)) < 512


def test_a_smaller_map_is_drawn_smaller():
    ax = figures.architecture([("a", (1, 32, 32)), ("b", (1, 8, 8))])
    large, small = (patch.get_width() for patch in rectangles(ax))
    assert small / large == pytest.approx((8 / 32) ** 0.5)


def test_notes_stand_below():
    assert "156" in written(figures.architecture(LAYERS, notes=["", "156", "10 164"]))


def test_refusals_name_rule_and_value():
    with pytest.raises(ValueError, match=r"notes must be one a layer, got 1 for 3 layers"):
        figures.architecture(LAYERS, notes=["156"])
    with pytest.raises(ValueError, match=r"a shape is \(C, H, W\) or \(F,\), got \(3, 4\) for layer 'x'"):
        figures.architecture([("x", (3, 4))])


def test_a_frame_goes_around_its_pixels():
    ax = figures.framed_image(np.zeros((10, 10)), [(2, 4, 5, 7)])
    (frame,) = rectangles(ax)
    assert (frame.get_x(), frame.get_y()) == (4.5, 1.5)
    assert (frame.get_width(), frame.get_height()) == (3, 3)


def test_a_frame_is_cut_at_the_border():
    (frame,) = rectangles(figures.framed_image(np.zeros((1, 10, 10)), [(-3, 1, 8, 12)]))
    assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (7.5, -0.5, 2, 2)


def test_an_empty_frame_is_refused():
    with pytest.raises(ValueError, match=r"got \(4, 2, 0, 1\)"):
        figures.framed_image(np.zeros((10, 10)), [(4, 2, 0, 1)])
    with pytest.raises(ValueError, match=r"got 2 for 1 frames"):
        figures.framed_image(np.zeros((10, 10)), [(0, 1, 0, 1)], colours=["blue", "red"])


def traced(name, side):
    with torch.device("meta"):
        model = build(name)
    return figures.stages(shape_trace(model, (1, 3, side, side), blocks=True))


def test_lenet_as_its_paper_draws_it():
    found = figures.stages(shape_trace(LeNet5(), (1, 1, 32, 32)))
    assert [stage.name for stage in found] == ["input", "c1", "s2", "c3", "s4", "c5", "f6", "output"]
    assert [stage.shape for stage in found[3:6]] == [(16, 10, 10), (16, 5, 5), (120,)]
    assert all(not stage.note for stage in found)


def test_vgg16_in_stages():
    found = traced("vgg16", 224)
    assert [(stage.shape, stage.note) for stage in found] == [
        ((3, 224, 224), ""),
        ((64, 224, 224), "2 layers"),
        ((128, 112, 112), "2 layers"),
        ((256, 56, 56), "3 layers"),
        ((512, 28, 28), "3 layers"),
        ((512, 14, 14), "3 layers"),
        ((512, 7, 7), ""),
        ((4096,), "2 layers"),
        ((1000,), ""),
    ]
    assert [stage.name for stage in found[1:7]] == [*["conv"] * 5, "max pool"]


def test_resnet50_in_stages_of_blocks():
    found = traced("resnet50", 224)
    assert [(stage.name, stage.shape, stage.note) for stage in found[3:7]] == [
        ("layer1", (256, 56, 56), "3 blocks"),
        ("layer2", (512, 28, 28), "4 blocks"),
        ("layer3", (1024, 14, 14), "6 blocks"),
        ("layer4", (2048, 7, 7), "3 blocks"),
    ]
    assert len(found) <= 10


def test_stages_that_cannot_be():
    trace = shape_trace(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)), (1, 5, 2))
    with pytest.raises(ValueError, match=r"no layer of the trace gives maps \(C, H, W\) or vectors"):
        figures.stages(trace)
    with pytest.raises(ValueError, match=r"most must be at least 2, .* got most=1"):
        figures.stages(shape_trace(nn.Linear(2, 3), (1, 2)), most=1)


def test_many_layers_are_drawn_in_rows():
    ax = figures.architecture(traced("vgg16", 224))
    tops = {round(text.get_position()[1], 2) for text in ax.texts if "×" in text.get_text()}
    assert len(tops) == 2
    assert "3 layers" in written(ax)
    six = figures.architecture(LAYERS * 2)
    assert len({text.get_position()[1] for text in six.texts if "×" in text.get_text()}) == 1
    with pytest.raises(ValueError, match="per_row must be at least 1, got per_row=0"):
        figures.architecture(LAYERS, per_row=0)


def test_alt_text_names_all_steps():
    assert figures.architecture_alt(LAYERS) == (
        "A chain of 3 layers or stages: input 1×32×32, then C1 6×28×28, then F6 84."
    )
    assert "then layer1 256×56×56, then" in figures.architecture_alt(traced("resnet50", 224))


@pytest.mark.parametrize("module", ["architecture", "signals"])
def test_examples_run(module):
    results = doctest.testmod(importlib.import_module(f"cnncourse.figures.{module}"))
    assert results.attempted
    assert not results.failed
