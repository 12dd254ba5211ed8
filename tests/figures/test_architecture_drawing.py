"""Networks drawn from shapes, and frames on pictures: counts and corners one can work out by hand."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from cnncourse import figures

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
