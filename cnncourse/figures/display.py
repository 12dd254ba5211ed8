"""From a matplotlib figure to accessible, theme-aware HTML: inline SVG with alt text and a caption."""

import io
import re
from xml.etree import ElementTree

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from cnncourse.figures.style import STYLE
from cnncourse.figures.svg import page_svg
from cnncourse.markup import inline_html

__all__ = ["figure_html", "inline_svg", "show"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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
    for legend in figure.findobj(Legend):
        assert isinstance(legend, Legend)
        legend.set_frame_on(False)  # matplotlib's white box would hide light text on a dark page
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    # A second layout would move things by fractions of a point: what was shown once stays as it is.
    figure.set_layout_engine("none")
    root = page_svg(buffer.getvalue(), prefix)
    attributes = {
        "role": "img",
        "aria-label": alt,
        "viewBox": root.attrib["viewBox"],
        "style": f"width:100%;max-width:{figure.get_size_inches()[0]:g}in;height:auto;{root.attrib['style']}",
    }
    root.attrib.clear()
    root.attrib.update(attributes)
    # In a page, <svg> needs no prefix before its elements' names.
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    return ElementTree.tostring(root, encoding="unicode").strip()


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
