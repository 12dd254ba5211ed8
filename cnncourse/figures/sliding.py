"""One step of a convolution on a photograph: the window, the kernel, their sum of products, the map so far."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from cnncourse.figures.images import cell_borders
from cnncourse.figures.style import COLOURS, own_axes, styled, subplots

__all__ = ["cells", "sliding_window"]


@styled
def cells(texts: Sequence[Sequence[str]], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a small table of words or numbers, every cell the same, in few bytes.

    Args:
        texts: (rows, columns) of what stands in the cells.
        ax: axes to draw on; new ones when ``None``.
        title: written above.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no cell, or rows differ in length.
    """
    rows, columns = len(texts), len(texts[0]) if len(texts) else 0
    if not rows or not columns or any(len(row) != columns for row in texts):
        raise ValueError(f"a table has rows of one length with at least one cell, got {texts!r}")
    ax = own_axes(ax, 0.5 * columns + 0.3, 0.5 * rows + 0.4)
    cell_borders(ax, rows, columns)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center")
    ax.set(xlim=(-0.05, columns + 0.05), ylim=(rows + 0.05, -0.05), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=11)
    return ax


def _number(value: float) -> str:
    """Return a number as a kernel's author writes it: a whole one, a fraction, or two decimals."""
    fraction = Fraction(float(value)).limit_denominator(16)
    text = str(fraction) if abs(float(fraction) - value) < 1e-6 else f"{value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _frame(ax: Axes, top: int, left: int, rows: int, columns: int) -> None:
    ax.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5), columns, rows, fill=False, edgecolor=COLOURS["red"], lw=2.5, clip_on=False
        )
    )  # fmt: skip


def _so_far(response: NDArray[np.float64], row: int, column: int) -> NDArray[np.float64]:
    """Return a map whose numbers after (row, column), in reading order, are not there yet."""
    drawn = response.flatten()
    drawn[row * response.shape[1] + column + 1 :] = np.nan
    return drawn.reshape(response.shape)


@styled
def sliding_window(
    pixels: ArrayLike,
    kernel: ArrayLike,
    place: tuple[int, int],
    *,
    limits: tuple[float, float] = (0.0, 255.0),
    titles: tuple[str, str] = ("photograph", "what the kernel makes of it"),
) -> Figure:
    """Draw where a window stands on a photograph, its numbers, the kernel, their sum of products and the map so far.

    The map is that of a convolution with stride 1 and without padding, filled in reading order up to the window.

    Args:
        pixels: (H, W), grey values from 0 to 255.
        kernel: (k, l), not flipped.
        place: (row, column) of the window's upper left pixel.
        limits: numbers of the map that are drawn black and white; what lies beyond is clipped.
        titles: of the photograph and of the map.

    Returns:
        The figure, with two pictures above two tables.

    Raises:
        ValueError: if the arrays are not two-dimensional or the window does not fit where it should stand.

    Book: convolution
    """
    photo, weights = np.asarray(pixels, dtype=float), np.asarray(kernel, dtype=float)
    if photo.ndim != 2 or weights.ndim != 2:
        raise ValueError(
            f"photograph and kernel have shapes (H, W) and (k, l), got {photo.shape} and {weights.shape}"
        )
    rows, columns = photo.shape[0] - weights.shape[0] + 1, photo.shape[1] - weights.shape[1] + 1
    row, column = place
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f"the window fits at rows 0 to {rows - 1} and columns 0 to {columns - 1}, got {place}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(photo, weights.shape)
    response = np.einsum("rcij,ij->rc", windows, weights)
    window = windows[row, column]

    figure, axes = subplots(2, 2, width=4.7, height=4.3, gridspec_kw={"height_ratios": [1.55, 1]})
    for ax, values, (low, high), title in (
        (axes[0, 0], photo, (0.0, 255.0), titles[0]),
        (axes[0, 1], _so_far(response, row, column), limits, titles[1]),
    ):
        ax.imshow(values, cmap="gray", vmin=low, vmax=high, interpolation="none")
        ax.set_axis_off()
        ax.set_title(title, fontsize=11)
    axes[0, 1].set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    _frame(axes[0, 0], row, column, *weights.shape)
    _frame(axes[0, 1], row - 1, column - 1, 3, 3)
    cells([[f"{value:.0f}" for value in line] for line in window], ax=axes[1, 0], title="window")
    cells([[_number(value) for value in line] for line in weights], ax=axes[1, 1], title="kernel")
    total = f"{(window * weights).sum() + 0:.0f}".replace("-", "\N{MINUS SIGN}")
    axes[1, 0].text(1.12, 0.5, "×", transform=axes[1, 0].transAxes, ha="center", va="center", fontsize=14)
    axes[1, 1].text(
        1.1, 0.5, f"= {total}", transform=axes[1, 1].transAxes, ha="left", va="center", fontsize=13
    )
    return figure
