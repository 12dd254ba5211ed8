"""Exact drawings of piecewise-linear functions show what they count."""

from fractions import Fraction

import numpy as np
import pytest

from cnncourse import figures, theory

SAW = theory.sawtooth(3)


def polygons(ax):
    return [patch.get_xy() for patch in ax.patches]


def area(corners):
    (ax, ay), (bx, by), (cx, cy) = corners[:3]
    return abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2


def test_a_function_is_drawn_through_every_breakpoint_and_no_other_point():
    ax = figures.piecewise({"saw": SAW})
    xs, ys = ax.lines[0].get_data()
    np.testing.assert_array_equal(xs, np.arange(9) / 8)
    np.testing.assert_array_equal(ys, [0, 1, 0, 1, 0, 1, 0, 1, 0])
    assert ax.get_legend() is None


def test_several_functions_get_a_legend_and_the_colours_asked_for():
    ax = figures.piecewise(
        {"saw": SAW, "half": SAW / 2}, colours={"half": "green"}, dashed=("half",), dots=("saw",)
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["saw", "half"]
    assert ax.lines[1].get_color() == figures.COLOURS["green"]
    assert ax.lines[1].get_linestyle() == "--"
    assert ax.lines[0].get_marker() == "o"


def test_an_unknown_colour_is_refused():
    with pytest.raises(ValueError, match="colour must be one of"):
        figures.piecewise({"saw": SAW}, colours={"saw": "pink"})


@pytest.mark.parametrize("n", [1, 2, 4])
def test_each_crossing_is_marked_and_numbered_once(n):
    saw = theory.sawtooth(n)
    ax = figures.crossings(saw)
    (_, _, dots) = ax.lines
    assert len(dots.get_xdata()) == saw.crossings(Fraction(1, 2)) == 2**n
    np.testing.assert_allclose(saw.sample(dots.get_xdata()), 0.5, atol=1e-12)
    assert [text.get_text() for text in ax.texts] == [str(i + 1) for i in range(2**n)]


def test_the_shaded_gap_has_the_area_of_the_l1_distance():
    fit = theory.PiecewiseLinear([0, Fraction(1, 3), 1], [0, 1, Fraction(1, 4)])
    ax = figures.gap(SAW, fit)
    corners = ax.collections[0].get_paths()[0].vertices
    points = np.unique(corners[:, 0])
    error = np.abs(SAW.sample(points) - fit.sample(points))
    shaded = ((error[1:] + error[:-1]) / 2) @ np.diff(points)
    assert shaded == pytest.approx(float(SAW.l1_distance(fit)), abs=1e-12)


def test_against_the_constant_half_the_proof_counts_a_triangle_on_every_piece():
    half = theory.PiecewiseLinear.constant(Fraction(1, 2))
    triangles = polygons(figures.wrong_side(3, half))
    assert len(triangles) == 8
    assert all(area(corners) == pytest.approx(1 / 64) for corners in triangles)


@pytest.mark.parametrize("fit", [theory.best_fit(SAW, 3), theory.PiecewiseLinear.constant(1), SAW])
def test_the_counted_triangles_lie_between_saw_and_fit(fit):
    triangles = polygons(figures.wrong_side(3, fit))
    for corners in triangles:
        x, y = corners[:3].mean(axis=0)  # the centre of mass is inside
        low, high = sorted((float(SAW.sample(x)), float(fit.sample(x))))
        assert low <= y <= high
    assert sum(map(area, triangles)) <= float(SAW.l1_distance(fit)) + 1e-12
    assert len(triangles) >= 8 - fit.pieces()
