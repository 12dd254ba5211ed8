"""One step of a convolution, drawn: the numbers that are written are those of the photograph and its kernel."""

import numpy as np
import pytest
from scipy.signal import correlate2d

from cnncourse import figures
from cnncourse.figures.sliding import cells

PHOTO = np.random.default_rng(0).integers(0, 256, (7, 9)).astype(float)
EDGE = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def written(ax):
    """Return the numbers that stand in a table."""
    return [text.get_text().replace("\N{MINUS SIGN}", "-") for text in ax.texts]


@pytest.mark.parametrize("place", [(0, 0), (2, 3), (4, 6)])
def test_window_kernel_sum_and_map_agree_with_scipy(place):
    row, column = place
    figure = figures.sliding_window(PHOTO, EDGE, place)
    photo, so_far, window, kernel = figure.axes
    response = correlate2d(PHOTO, EDGE, mode="valid")
    assert photo.images[0].get_array().tolist() == PHOTO.tolist()
    drawn = np.ma.filled(so_far.images[0].get_array().astype(float), np.nan).flatten()
    reached = row * 7 + column + 1
    assert drawn[:reached].tolist() == response.flatten()[:reached].tolist()
    assert np.isnan(drawn[reached:]).all()
    numbers = [f"{value:.0f}" for value in PHOTO[row : row + 3, column : column + 3].flatten()]
    assert written(window)[:9] == numbers
    assert written(kernel) == ["-1", "0", "1", "-2", "0", "2", "-1", "0", "1", f"= {response[place]:.0f}"]


def test_weights_are_written_as_their_author_does():
    figure = figures.sliding_window(PHOTO, [[1 / 9, 0.37], [-0.5, 2]], (0, 0))
    assert written(figure.axes[3])[:4] == ["1/9", "0.37", "-1/2", "2"]


@pytest.mark.parametrize("place", [(5, 0), (0, 7), (-1, 0)])
def test_a_window_that_does_not_fit_is_refused(place):
    with pytest.raises(ValueError, match="the window fits at rows 0 to 4 and columns 0 to 6"):
        figures.sliding_window(PHOTO, EDGE, place)


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"have shapes \(H, W\) and \(k, l\)"):
        figures.sliding_window(PHOTO[None], EDGE, (0, 0))


@pytest.mark.parametrize("texts", [[], [[]], [["a", "b"], ["c"]]])
def test_a_table_needs_cells(texts):
    with pytest.raises(ValueError, match="rows of one length"):
        cells(texts)
