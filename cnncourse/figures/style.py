"""One style for every figure: a colour-blind-safe palette that pages re-colour in dark mode."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "FONTS", "SERIES", "STYLE", "new_figure", "styled", "subplots"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

COLOURS = {
    "ink": "#1f2328",
    "muted": "#636c76",
    "faint": "#d3d8de",
    "paper": "#fffffe",
    "blue": "#0067a8",
    "orange": "#b55a00",
    "green": "#00795a",
    "red": "#c02f1d",
    "purple": "#8a4f9e",
    "sky": "#2b8cbe",
}
"""Name to hex. Pages replace each value by its CSS variable ``--cnn-NAME``, so that dark mode can differ."""

SERIES = ("blue", "orange", "green", "purple", "red", "sky")
"""The order in which curves without a colour of their own take one."""

# DejaVu Sans is what matplotlib measures with; Verdana has its widths, so labels fit where it is missing.
FONTS = "'DejaVu Sans', Verdana, Geneva, sans-serif"

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cnncourse",
    "savefig.transparent": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["faint"],
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[COLOURS[name] for name in SERIES]),
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a drawing function run under the book's style, whatever the caller's matplotlib settings."""

    @wraps(draw)
    def drawn_in_style(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn_in_style


@styled
def new_figure(width: float = 6.0, height: float = 3.2) -> Figure:
    """Return an empty figure in the book's style, not attached to pyplot (nothing to close).

    Args:
        width: inches; 6 fills a column of text and is still legible on a phone.
        height: inches.

    Returns:
        A figure; :func:`cnncourse.figures.show` displays it.
    """
    return Figure(figsize=(width, height), layout="constrained")


@styled
def subplots(
    rows: int = 1, columns: int = 1, *, width: float = 6.0, height: float = 3.2, **axes_options: Any
) -> tuple[Figure, Any]:
    """Return a figure and its axes in the book's style.

    Args:
        rows: number of rows of axes, at least 1.
        columns: number of columns of axes, at least 1.
        width: of the whole figure, in inches.
        height: of the whole figure, in inches.
        axes_options: as for :meth:`matplotlib.figure.Figure.subplots`, for example ``sharey=True``.

    Returns:
        The figure, and one :class:`~matplotlib.axes.Axes` or a NumPy array of them.
    """
    figure = new_figure(width, height)
    return figure, figure.subplots(rows, columns, **axes_options)


def own_axes(ax: Axes | None, width: float = 6.0, height: float = 3.2) -> Axes:
    """Return ``ax``, or the axes of a new figure when it is ``None``."""
    if ax is not None:
        return ax
    axes = subplots(width=width, height=height)[1]
    assert isinstance(axes, Axes)
    return axes
