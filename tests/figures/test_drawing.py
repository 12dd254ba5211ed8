import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cnncourse import figures
from cnncourse.figures import COLOURS


def label_places(ax):
    """Height of each direct label, as a fraction of the axes."""
    return {text.get_text(): text.xy[1] for text in ax.texts}


def test_curves_are_drawn_as_given_in_the_books_order_of_colours():
    ax = figures.curves([0, 1, 2], {"a": [1, 2, 3], "b": [3, 2, 2]}, xlabel="step", ylabel="loss")
    first, second = ax.lines
    assert first.get_ydata().tolist() == [1, 2, 3]
    assert [to_hex(line.get_color()) for line in ax.lines] == [COLOURS["blue"], COLOURS["orange"]]
    assert second.get_ydata().tolist() == [3, 2, 2]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")


def test_seeds_become_a_mean_and_a_band_of_one_standard_deviation():
    # seeds 1 and 3: mean 2, standard deviation sqrt(((1-2)² + (3-2)²)/1) = sqrt 2
    ax = figures.curves([0, 1], {"a": [[1, 1], [3, 3]]}, xlabel="x", ylabel="y")
    assert ax.lines[0].get_ydata().tolist() == [2, 2]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(2 - math.sqrt(2))
    assert band.max() == pytest.approx(2 + math.sqrt(2))


def test_one_seed_has_no_band():
    ax = figures.curves([0, 1], {"a": [[1, 2]]}, xlabel="x", ylabel="y")
    assert not ax.collections


@pytest.mark.parametrize("ends", [[5, 5, 5, 5], [0, 0, 0, 10], [10, 10, 10, 0], [0, 0.1, 9.9, 10]])
def test_direct_labels_stay_apart_and_below_the_top(ends):
    series = {str(position): [5, end] for position, end in enumerate(ends)}
    ax = figures.curves([0, 1], series, xlabel="x", ylabel="y")
    places = sorted(label_places(ax).values())
    assert places[-1] <= 1.0
    gaps = np.diff(places)
    assert (gaps > 0.04).all()


def test_direct_labels_keep_the_order_of_the_curves_ends():
    ax = figures.curves([0, 1], {"low": [9, 1], "high": [0, 8]}, xlabel="x", ylabel="y")
    assert label_places(ax)["low"] < label_places(ax)["high"]


def test_a_curve_that_ends_in_nan_is_labelled_at_its_last_number():
    ax = figures.curves([0, 1, 2], {"diverged": [0, 4, math.nan], "whole": [0, 2, 4]}, xlabel="x", ylabel="y")
    places = label_places(ax)
    assert math.isfinite(places["diverged"])
    figures.inline_svg(ax.figure, prefix="p", alt="seen")


def test_a_curve_without_any_number_is_not_labelled():
    ax = figures.curves([0, 1], {"empty": [math.nan] * 2, "whole": [0, 1]}, xlabel="x", ylabel="y")
    assert set(label_places(ax)) == {"whole"}


def test_legend_dashes_markers_and_scales():
    ax = figures.curves(
        [1, 10], {"a": [1, 2], "b": [2, 3]}, xlabel="x", ylabel="y", dashed=["b"], markers=True,
        xscale="log", yscale="log", direct_labels=False, colours={"a": "red"},
    )  # fmt: skip
    assert ax.get_legend() is not None
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert to_hex(ax.lines[0].get_color()) == COLOURS["red"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


@pytest.mark.parametrize("values", [[1, 2], [[1, 2]], np.zeros((1, 2, 3))])
def test_a_series_of_another_length_is_refused(values):
    with pytest.raises(ValueError, match=r"series 'a' must have shape \(P,\) or \(S, P\) with P = 3"):
        figures.curves([0, 1, 2], {"a": values}, xlabel="x", ylabel="y")


def test_an_unknown_colour_is_refused():
    with pytest.raises(ValueError, match=r"colour of 'a' must be one of ink.*got 'teal'"):
        figures.curves([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", colours={"a": "teal"})
    with pytest.raises(ValueError, match=r"colour of 'a' must be one of ink.*got 'teal'"):
        figures.bars({"a": 1}, xlabel="x", colours={"a": "teal"})


def test_bars_run_from_top_to_bottom_with_their_numbers():
    ax = figures.bars({"first": 1200, "second": 3}, xlabel="units", colours={"second": "green"})
    assert [bar.get_width() for bar in ax.patches] == [1200, 3]
    assert [text.get_text() for text in ax.texts] == ["1,200", "3"]
    assert ax.yaxis_inverted()
    assert to_hex(ax.patches[1].get_facecolor()) == COLOURS["green"]


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (3, 4, 5), (4, 5, 3)])
def test_pictures_may_have_their_channels_first_or_last(shape):
    ax = figures.image(np.linspace(0, 1, math.prod(shape)).reshape(shape))
    assert ax.images[0].get_array().shape[:2] == (4, 5)


@pytest.mark.parametrize("shape", [(5,), (2, 4, 5), (4, 5, 4), (1, 1, 4, 5)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="a picture has shape"):
        figures.image(np.zeros(shape))


def test_a_grid_shows_every_picture_once():
    figure = figures.image_grid([np.eye(2)] * 5, titles=list("abcde"), columns=3)
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 1, 0]
    assert [ax.get_title() for ax in figure.axes[:5]] == list("abcde")


def test_a_grid_needs_pictures_and_a_title_each():
    with pytest.raises(ValueError, match="at least one picture"):
        figures.image_grid([])
    with pytest.raises(ValueError, match="got 1 for 2 pictures"):
        figures.image_grid([np.eye(2)] * 2, titles=["a"])


def test_number_grids_write_what_the_matrix_holds():
    ax = figures.number_grid([[1.5, -2], [-0.0, math.nan]], blocks=(2, 2), mark=[(0, 1)])
    assert [text.get_text() for text in ax.texts] == ["1.5", "\N{MINUS SIGN}2", "0", "nan"]
    assert len(ax.patches) == 2  # a tint for each number that is not zero
    figures.inline_svg(ax.figure, prefix="p", alt="seen")


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (0, 3)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(ValueError, match=r"a number grid has shape \(H, W\)"):
        figures.number_grid(np.zeros(shape))


def test_given_axes_are_drawn_on():
    _figure, ax = figures.subplots()
    assert figures.curves([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", ax=ax) is ax
    assert figures.number_grid([[1]], ax=ax) is ax
    assert figures.image(np.eye(2), ax=ax) is ax
    assert figures.bars({"a": 1}, xlabel="x", ax=ax) is ax
