import numpy as np
import pytest

from cnncourse import figures


def drawn(ax):
    return np.asarray(ax.images[0].get_array()).astype(int)


def orange(ax):
    """Return where the picture has a colour; the photograph itself is grey."""
    pixels = drawn(ax)
    return pixels[:, :, 0] - pixels[:, :, 2]


GREY = np.full((40, 60, 3), 0.5)


def test_heat_is_where_the_scores_are():
    scores = np.zeros((4, 6))
    scores[1, 4] = 0.8
    heat = orange(figures.score_map(GREY, scores))
    place = np.zeros((40, 60), bool)
    place[10:20, 40:50] = True
    assert (heat[place] > 80).all()
    assert (heat[~place] == 0).all()


def test_half_the_score_is_less_heat_and_the_top_can_be_given():
    scores = np.array([[0.2, 0.4]])
    heat = orange(figures.score_map(GREY, scores))
    assert 0 < heat[0, 0] < heat[0, -1]
    weaker = orange(figures.score_map(GREY, scores, top=0.8))
    assert weaker[0, -1] == heat[0, 0]


def test_windows_put_the_heat_into_their_middle():
    """Windows of 20 pixels every 10 pixels: the second begins at 10, its middle is 20, its place 15 to 25."""
    scores = np.zeros((3, 5))
    scores[0, 1] = 1
    heat = orange(figures.score_map(GREY, scores, stride=10, window=20)) > 0
    rows, columns = heat.any(1).nonzero()[0], heat.any(0).nonzero()[0]
    assert (rows[0], rows[-1]) == (5, 14)
    assert (columns[0], columns[-1]) == (15, 24)


def test_large_photographs_are_drawn_small_and_channels_may_come_first():
    picture = np.random.default_rng(0).integers(0, 256, (3, 600, 400), dtype=np.uint8)
    ax = figures.score_map(picture, np.ones((3, 2)), resolution=120)
    assert drawn(ax).shape == (120, 80, 3)
    assert ax.get_xlim() == (0, 400)


def test_the_line_encloses_half_of_the_top():
    scores = np.zeros((4, 6))
    scores[1, 4] = 1
    assert len(figures.score_map(GREY, scores).collections) == 2  # light and dark, to be seen on both
    assert not figures.score_map(GREY, np.ones((4, 6))).collections


def test_the_alt_text_says_where():
    scores = np.zeros((4, 6))
    scores[0, 5] = 0.75
    alt = figures.score_map_alt(GREY, scores, "cats")
    assert alt.startswith("A photograph of 40 by 60 pixels in grey with the scores of cats")
    assert "The highest, 0.75, is in the upper right; 4% of the places reach half of it." in alt


@pytest.mark.parametrize(
    ("photograph", "scores", "options", "words"),
    [
        (GREY[:, :, 0], np.ones((2, 2)), {}, r"\(3, H, W\) or \(H, W, 3\), got \(40, 60\)"),
        (GREY, np.ones((1, 2, 2)), {}, r"scores must be \(h, w\)"),
        (GREY, -np.ones((2, 2)), {}, "none below 0"),
        (GREY, np.full((2, 2), np.nan), {}, "none missing"),
        (GREY * 3, np.ones((2, 2)), {}, r"colours must lie in \[0, 1\]"),
        (GREY, np.zeros((2, 2)), {}, "top of the scale must be above 0"),
        (GREY, np.ones((2, 2)), {"stride": 32}, "stride and window both or neither"),
        (GREY, np.ones((2, 2)), {"resolution": 8}, "resolution of at least 16"),
    ],
)
def test_what_does_not_fit_is_refused(photograph, scores, options, words):
    with pytest.raises(ValueError, match=words):
        figures.score_map(photograph, scores, **options)
