"""Pictures with frames: what a unit sees, and heat over pixels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from cnncourse.figures.images import image
from cnncourse.figures.style import COLOURS, own_axes, styled

__all__ = ["framed_image"]


@styled
def framed_image(
    pixels: ArrayLike,
    frames: Sequence[tuple[int, int, int, int]],
    *,
    ax: Axes | None = None,
    title: str = "",
    colours: Sequence[str] = (),
    cmap: str = "gray",
    border: bool = False,
) -> Axes:
    """Draw a picture with rectangles around groups of its pixels.

    Args:
        pixels: as for :func:`cnncourse.figures.image`.
        frames: (first row, last row, first column, last column) of each rectangle, both ends inside; parts
            outside the picture are cut off.
        ax: axes to draw on; new ones when ``None``.
        title: written above.
        colours: name in :data:`cnncourse.figures.COLOURS` of each rectangle; all orange when empty.
        cmap: matplotlib colour map of grey pictures.
        border: outline the picture itself, for pictures that fade into the page.

    Returns:
        The axes.

    Raises:
        ValueError: if colours and frames differ in number, or a frame is empty.
    """
    if colours and len(colours) != len(frames):
        raise ValueError(f"colours must be one a frame, got {len(colours)} for {len(frames)} frames")
    ax = image(pixels, ax=own_axes(ax, 2.6, 2.6), title=title, cmap=cmap)
    values = np.asarray(pixels)
    height, width = values.shape[-2:] if values.shape[-1] != 3 else values.shape[:2]
    for position, (first_row, last_row, first_column, last_column) in enumerate(frames):
        if first_row > last_row or first_column > last_column:
            raise ValueError(
                f"a frame is (first row, last row, first column, last column), got {frames[position]}"
            )
        top, left = max(first_row, 0), max(first_column, 0)
        bottom, right = min(last_row, height - 1), min(last_column, width - 1)
        colour = COLOURS[colours[position] if colours else "orange"]
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1,
                fill=False, edgecolor=colour, lw=2.5, clip_on=False,
            )
        )  # fmt: skip
    if border:
        ax.add_patch(
            Rectangle(
                (-0.5, -0.5), width, height, fill=False, edgecolor=COLOURS["muted"], lw=0.8, clip_on=False
            )
        )
    return ax
