"""Pictures, and small matrices with their numbers written in."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from cnncourse.figures.style import COLOURS, own_axes, styled, subplots

__all__ = ["image", "image_grid", "number_grid"]


@styled
def image(pixels: ArrayLike, *, ax: Axes | None = None, title: str = "", cmap: str = "gray") -> Axes:
    """Draw one picture without axes, every pixel sharp.

    Args:
        pixels: (H, W) or (1, H, W) grey values, scaled to their range; or (3, H, W) or (H, W, 3) colours, in
            [0, 1] or uint8.
        ax: axes to draw on; new ones when ``None``.
        title: written above.
        cmap: matplotlib colour map of grey pictures.

    Returns:
        The axes.

    Raises:
        ValueError: if the array is no picture.
    """
    ax = own_axes(ax, 2.0, 2.0)
    values = np.asarray(pixels)
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise ValueError(
            f"a picture has shape (H, W), (1, H, W), (3, H, W) or (H, W, 3), got {np.shape(pixels)}"
        )
    ax.imshow(values, cmap=cmap, interpolation="none")
    ax.set_axis_off()
    ax.set_title(title, fontsize=10)
    return ax


@styled
def image_grid(
    pictures: Sequence[ArrayLike],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    side: float = 0.75,
    cmap: str = "gray",
) -> Figure:
    """Draw pictures in rows, each with a title.

    Args:
        pictures: each as for :func:`image`; at least one.
        titles: one a picture, or none.
        columns: pictures a row.
        side: of a picture, in inches.
        cmap: matplotlib colour map of grey pictures.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no picture, or titles and pictures differ in number.
    """
    if not len(pictures):
        raise ValueError("a grid needs at least one picture, got none")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"titles must be one a picture, got {len(titles)} for {len(pictures)} pictures")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height = (side + (0.28 if titles is not None else 0.05)) * rows
    figure, axes = subplots(rows, columns, width=side * columns + 0.1, height=height, squeeze=False)
    for position, ax in enumerate(axes.flat):
        if position < len(pictures):
            image(pictures[position], ax=ax, title=titles[position] if titles is not None else "", cmap=cmap)
        else:
            ax.set_axis_off()
    return figure


def cell_borders(ax: Axes, rows: int, columns: int) -> None:
    """Draw the lines of a table as two paths with gaps, which take far fewer bytes than one for each cell."""
    across = [value for column in range(columns + 1) for value in (column, column, np.nan)]
    down = [value for row in range(rows + 1) for value in (row, row, np.nan)]
    for x, y in ((across, [0, rows, np.nan] * (columns + 1)), ([0, columns, np.nan] * (rows + 1), down)):
        ax.plot(x, y, color=COLOURS["faint"], linewidth=1, clip_on=False)


@styled
def number_grid(
    values: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "",
    shade: bool = True,
    blocks: tuple[int, int] | None = None,
    mark: Sequence[tuple[int, int]] = (),
) -> Axes:
    """Draw a small matrix as cells with their numbers, for examples worked by hand.

    Args:
        values: (H, W), at most some 16 by 16.
        ax: axes to draw on; new ones when ``None``.
        title: written above.
        shade: tint a cell by its value, blue above and orange below zero.
        blocks: (rows, columns) of pooling windows to outline, or ``None``.
        mark: cells (row, column) to frame.

    Returns:
        The axes.

    Raises:
        ValueError: if the array is not two-dimensional or empty.
    """
    matrix = np.asarray(values)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"a number grid has shape (H, W) with at least one cell, got {matrix.shape}")
    rows, columns = matrix.shape
    ax = own_axes(ax, 0.5 * columns + 0.3, 0.5 * rows + 0.4)
    finite = np.abs(matrix[np.isfinite(matrix)])
    largest = float(finite.max(initial=0.0)) or 1.0
    cell_borders(ax, rows, columns)
    for row in range(rows):
        for column in range(columns):
            value = matrix[row, column]
            tint = COLOURS["blue"] if value > 0 else COLOURS["orange"]
            strength = 0.45 * abs(float(value)) / largest if shade and np.isfinite(value) else 0.0
            if strength:
                ax.fill([column, column + 1, column + 1, column], [row, row, row + 1, row + 1],
                        facecolor=tint, alpha=strength, linewidth=0)  # fmt: skip
            number = f"{value + 0:g}".replace("-", "\N{MINUS SIGN}")
            ax.text(column + 0.5, row + 0.5, number, ha="center", va="center")
    if blocks is not None:
        for row in range(0, rows + 1, blocks[0]):
            ax.plot([0, columns], [row, row], color=COLOURS["ink"], linewidth=2)
        for column in range(0, columns + 1, blocks[1]):
            ax.plot([column, column], [0, rows], color=COLOURS["ink"], linewidth=2)
    for row, column in mark:
        ax.plot([column, column + 1, column + 1, column, column], [row, row, row + 1, row + 1, row],
                color=COLOURS["red"], linewidth=2.5)  # fmt: skip
    ax.set(xlim=(-0.05, columns + 0.05), ylim=(rows + 0.05, -0.05), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=11)
    return ax
