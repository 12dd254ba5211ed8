"""The landing page states numbers outside any notebook, so a test computes them."""

import re

import pytest

from cnncourse import theory
from cnncourse.paths import course_root

PAGE = (course_root() / "book" / "intro.md").read_text(encoding="utf-8")
PANELS = re.findall(
    r'<polyline points="([^"]+)".*?<strong>(\d+) pieces</strong>'
    r"<br />(\d+) units stacked<br />(\d+) side by side",
    PAGE,
    flags=re.DOTALL,
)


@pytest.mark.parametrize(("panel", "n"), list(zip(PANELS, (1, 2, 4, 6), strict=True)))
def test_the_opening_figure_is_drawn_and_counted_right(panel, n):
    points, pieces, stacked, beside = panel
    drawn = [tuple(map(float, point.split(","))) for point in points.split()]
    function = theory.sawtooth(n)
    assert [x / 100 for x, _y in drawn] == [float(x) for x in function.breakpoints]
    assert [1 - y / 60 for _x, y in drawn] == [float(function(x)) for x in function.breakpoints]
    assert theory.count_pieces(theory.deep_sawtooth(n)) == int(pieces)
    assert theory.count_relu_units(theory.deep_sawtooth(n)) == int(stacked)
    assert theory.count_relu_units(theory.shallow_sawtooth(n)) == int(beside)


def test_the_opening_sentences_count_right():
    assert "Thirty very simple units" in PAGE
    assert theory.count_relu_units(theory.deep_sawtooth(10)) == 30
    assert theory.count_pieces(theory.deep_sawtooth(10)) == 1024
    assert theory.count_relu_units(theory.shallow_sawtooth(10)) == 1024
    assert "Sixty units in a chain draw\n1,048,576 pieces" in PAGE
    assert theory.count_relu_units(theory.deep_sawtooth(20)) == 60
    assert 2**20 == 1_048_576
