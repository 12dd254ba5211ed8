"""From a matplotlib figure to accessible, theme-aware HTML: inline SVG with alt text and a caption."""

import html
import io
import re

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure

from cnncourse.figures.style import COLOURS, FONTS, STYLE
from cnncourse.markup import inline_html

__all__ = ["figure_html", "inline_svg", "show"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_PATH_DATA = re.compile(r'(?<= d=")[^"]+|(?<= points=")[^"]+')
_INK = f"var(--cnn-ink, {COLOURS['ink']})"  # matplotlib leaves black, its default, unsaid: the page says ink
_COORDINATE = re.compile(r'(?<= )(x|y|x1|y1|x2|y2|cx|cy|r|width|height)="(-?\d+\.\d+)"')


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def inline_svg(figure: Figure, *, prefix: str, alt: str) -> str:
    """Return the figure as an ``<svg>`` element that can stand in a page beside others.

    Identifiers get ``prefix``, coordinates are rounded to a tenth of a point, palette colours become the CSS
    variables of ``course.css`` (with the light colour as fall-back), text stays text.

    Args:
        figure: drawn with the book's style.
        prefix: unique in the page, for example the figure's name.
        alt: what is to be seen, for readers who do not see it.

    Returns:
        One ``<svg role="img">`` element, the same bytes for the same figure.

    Raises:
        ValueError: if the alt text is empty.
    """
    if not alt.strip():
        raise ValueError(f"alt text must say what is to be seen, got {alt!r} for figure {prefix!r}")
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"(<defs>\s*<style[^>]*>).*?(</style>\s*</defs>)", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]+|font: ([\d.]+px) [^;\"]+", _page_font, text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(?<=href=")#([^"]+)', rf"#{prefix}-\1", text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = _PATH_DATA.sub(lambda data: _NUMBER.sub(_rounded, data[0]), text)
    text = _COORDINATE.sub(lambda pair: f'{pair[1]}="{float(pair[2]):.2f}"', text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--cnn-{name}, {colour})")
    text = text.replace("#000000", _INK)
    text = re.sub(r"\s*\n\s*", "\n", text)
    width, _height = figure.get_size_inches()
    opening = re.match(r"<svg[^>]*viewBox=\"([^\"]+)\"[^>]*>", text)
    assert opening is not None  # matplotlib always writes a view box
    head = (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{opening[1]}" '
        f'style="width: 100%; max-width: {width:g}in; height: auto; fill: {_INK}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return head + text[opening.end() :]


def _page_font(match: re.Match[str]) -> str:
    return f"font: {match[1]} {FONTS}" if match[1] else f"font-family: {FONTS}"


def figure_html(figure: Figure, *, name: str, alt: str, caption: str) -> str:
    """Return a captioned ``<figure>``; the book numbers it and labels it ``fig-NAME``.

    Args:
        figure: drawn with the book's style.
        name: lower-case words joined by hyphens, unique in the chapter's page.
        alt: what is to be seen.
        caption: what it means; ``code``, *emphasis* and $formulas$ are understood.

    Returns:
        HTML.

    Raises:
        ValueError: if the name is malformed or alt text or caption is empty.
    """
    check_name(name)
    if not caption.strip():
        raise ValueError(f"caption must say what figure {name!r} means, got an empty one")
    svg = inline_svg(figure, prefix=name, alt=alt)
    return (
        f'<figure class="cnn-figure" id="fig-{name}">\n{svg}\n'
        f"<figcaption>{inline_html(caption)}</figcaption>\n</figure>"
    )


def check_name(name: str) -> None:
    """Raise a ValueError unless ``name`` is made of lower-case words joined by hyphens."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a figure's name is lower-case words joined by hyphens, got {name!r}")


def show(figure: Figure, *, name: str, alt: str, caption: str) -> None:
    """Display a figure in a notebook with alt text and caption (arguments as :func:`figure_html`)."""
    bundle = {
        "text/html": figure_html(figure, name=name, alt=alt, caption=caption),
        "text/plain": f"[Figure {name}: {alt}]",
    }
    display(bundle, raw=True)
