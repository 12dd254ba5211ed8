import html
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from cnncourse import figures
from cnncourse.figures import COLOURS
from cnncourse.figures.display import show
from cnncourse.markup import STYLE_SHEET


def curves_figure():
    x = np.linspace(0, 1, 50)
    ax = figures.curves(
        x, {"up": x, "band": np.stack([x, x + 1])}, xlabel="x ($t$)", ylabel="y", markers=True
    )
    return ax.figure


def mixed_figure():
    """Two axes with what matplotlib refers to by id: clip paths, markers, hatches, images, a legend."""
    figure, axes = figures.subplots(1, 3, width=8)
    axes[0].bar([1, 2], [3, 4], hatch="//", edgecolor=COLOURS["red"], color=COLOURS["sky"])
    axes[1].scatter([1, 2, 3], [1, 4, 9], c=COLOURS["purple"], label="squares")
    axes[1].plot([1, 3], [1, 9], "k--", label="chord")
    axes[1].legend()
    for corner in (0, 5):
        axes[2].imshow(np.eye(4), extent=(corner, corner + 4, 0, 4), interpolation="none")
    axes[2].set(xlim=(0, 9))
    axes[2].text(1, 5, "a < b & c")
    axes[2].set_title("$m^{(n)}$")
    return figure


MAKERS = {
    "curves": curves_figure,
    "bars": lambda: figures.bars({"a": 1, "b": 2}, xlabel="u", errors={"a": 0.5}).figure,
    "images": lambda: figures.image_grid([np.eye(3), np.eye(4), 1 - np.eye(3)], titles=["a", "b", "c"]),
    "numbers": lambda: figures.number_grid(np.eye(4), blocks=(2, 2), mark=[(1, 1)]).figure,
    "mixed": mixed_figure,
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def ids(svg):
    return [element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")]


def references(svg):
    return re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)


def test_the_same_figure_gives_the_same_bytes(make):
    first, second = (figures.inline_svg(make(), prefix="p", alt="seen") for _ in range(2))
    assert first == second
    figure = make()
    assert figures.inline_svg(figure, prefix="p", alt="seen") == first
    assert figures.inline_svg(figure, prefix="p", alt="seen") == first


def test_every_id_is_prefixed_unique_and_used(make):
    svg = figures.inline_svg(make(), prefix="tent-iterates", alt="seen")
    assert len(ids(svg)) == len(set(ids(svg)))
    assert all(name.startswith("tent-iterates-") for name in ids(svg))
    assert set(references(svg)) == set(ids(svg))


def test_two_figures_in_one_page_share_no_id():
    first = figures.inline_svg(curves_figure(), prefix="first", alt="seen")
    second = figures.inline_svg(curves_figure(), prefix="second", alt="seen")
    assert ids(first)
    assert not set(ids(first)) & set(ids(second))


def test_colours_are_variables_of_the_page_with_the_light_colour_to_fall_back_on(make):
    svg = figures.inline_svg(make(), prefix="p", alt="seen")
    bare = re.sub(r"var\(--cnn-(\w+), (#\w{6})\)", "", svg)
    assert not re.findall(r"(?:fill|stroke|color)[:=]\"?#\w{6}", bare)
    for name, colour in re.findall(r"var\(--cnn-(\w+), (#\w{6})\)", svg):
        assert COLOURS[name] == colour


def test_every_colour_has_a_value_in_light_and_in_dark():
    css = STYLE_SHEET.read_text(encoding="utf-8")
    light, dark = re.findall(r"\{([^}]*--cnn-ink[^}]*)\}", css)[:2]
    for name in COLOURS:
        assert f"--cnn-{name}:" in light
        assert f"--cnn-{name}:" in dark


def test_palette_colours_differ_so_that_a_page_can_tell_them_apart():
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert set(figures.SERIES) <= set(COLOURS)


def test_colours_that_calls_outside_the_style_leave_unsaid_become_page_colours():
    figure, ax = figures.subplots()
    ax.axhline(0.5)  # matplotlib's first default colour, as the style is not in force here
    ax.legend(["half"])
    svg = figures.inline_svg(figure, prefix="p", alt="seen")
    assert "#1f77b4" not in svg
    assert "#ffffff" not in svg  # the legend's box


def test_text_stays_text_and_the_alt_text_is_escaped():
    svg = figures.inline_svg(mixed_figure(), prefix="p", alt='a "b" < c & d')
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "b" < c & d'
    words = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "squares" in words
    assert "a < b & c" in words


def test_a_figure_shrinks_to_a_phone_and_keeps_its_size_on_a_desk():
    svg = figures.inline_svg(figures.subplots(width=6, height=3)[0], prefix="p", alt="seen")
    assert 'viewBox="0 0 432 216"' in svg
    assert "width:100%;max-width:6in;height:auto" in svg


def test_coordinates_keep_a_tenth_of_a_point():
    figure, ax = figures.subplots(width=6, height=3)
    ax.plot([0, 1 / 3, 1], [0, 1 / 7, 1])
    svg = figures.inline_svg(figure, prefix="p", alt="seen")
    for data in re.findall(r' d="([^"]+)"', svg):
        assert not re.search(r"\.\d\d", data)


def test_curves_keep_their_letters_where_a_line_follows():
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    figure, ax = figures.subplots()
    codes = [Path.MOVETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
    ax.add_patch(PathPatch(Path([(0, 0), (0.5, 1), (1, 0), (0, 1)], codes), facecolor="none"))
    (data,) = re.findall(r' d="(M[^"]*Q[^"]*)"', figures.inline_svg(figure, prefix="p", alt="seen"))
    assert re.fullmatch(r"M[\d. ]+Q[\d. ]+L[\d. ]+", data)


@pytest.mark.parametrize(("name", "most"), [("curves", 16_000), ("numbers", 7_000), ("bars", 5_000)])
def test_figures_are_small(name, most):
    assert len(figures.inline_svg(MAKERS[name](), prefix="p", alt="seen")) < most


def test_markers_of_a_curve_share_their_style_unless_they_are_see_through():
    shared = figures.inline_svg(curves_figure(), prefix="p", alt="seen")
    assert len(re.findall(r"<use [^>]*/>", shared)) > 100
    assert not re.findall(r'<use [^>]*x="[^>]*style="[^>]*var\(--cnn-blue', shared)
    figure, ax = figures.subplots()
    ax.plot([0, 1], [0, 1], "o", alpha=0.5)
    assert re.findall(r'<use [^>]*style="[^>]*opacity', figures.inline_svg(figure, prefix="p", alt="seen"))


def test_a_page_needs_half_of_what_matplotlib_writes(tmp_path):
    figure = curves_figure()
    figure.savefig(tmp_path / "plain.svg")
    ours = figures.inline_svg(figure, prefix="p", alt="seen")
    assert len(ours) < 0.5 * (tmp_path / "plain.svg").stat().st_size


def test_the_readers_own_matplotlib_settings_change_nothing_and_stay():
    plain = figures.inline_svg(curves_figure(), prefix="p", alt="seen")
    with matplotlib.rc_context({"svg.fonttype": "path", "lines.linewidth": 9, "svg.hashsalt": None}):
        assert figures.inline_svg(curves_figure(), prefix="p", alt="seen") == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_figures_are_not_left_open_in_pyplot():
    curves_figure()
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_an_empty_alt_text_is_refused(alt):
    with pytest.raises(ValueError, match=r"alt text must say what is to be seen.*'tent'"):
        figures.figure_html(curves_figure(), name="tent", alt=alt, caption="c")


def test_an_empty_caption_is_refused():
    with pytest.raises(ValueError, match="caption must say what figure 'tent' means"):
        figures.figure_html(curves_figure(), name="tent", alt="a", caption=" ")


@pytest.mark.parametrize("name", ["", "Tent", "tent iterates", "tent_iterates", "-tent", "tent--x"])
def test_a_malformed_name_is_refused(name):
    with pytest.raises(ValueError, match="lower-case words joined by hyphens"):
        figures.figure_html(curves_figure(), name=name, alt="a", caption="c")


def test_a_figure_is_captioned_and_labelled():
    text = figures.figure_html(curves_figure(), name="tent", alt="a", caption="It *doubles*: $2^n$.")
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("id"), root.get("class")) == ("figure", "fig-tent", "cnn-figure")
    assert "<em>doubles</em>" in text
    assert "\\(2^n\\)" in html.unescape(text)


def test_showing_gives_html_and_a_stable_text(monkeypatch):
    shown = []
    monkeypatch.setattr("cnncourse.figures.display.display", lambda bundle, raw: shown.append(bundle))
    show(curves_figure(), name="tent", alt="two lines", caption="c")
    assert shown[0]["text/plain"] == "[Figure tent: two lines]"
    assert shown[0]["text/html"] == figures.figure_html(
        curves_figure(), name="tent", alt="two lines", caption="c"
    )
