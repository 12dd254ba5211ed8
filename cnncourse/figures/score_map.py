"""Heat over a photograph: where a network sees a class."""

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional

from cnncourse.figures.style import own_axes, styled

__all__ = ["score_map", "score_map_alt"]

_HEAT = np.array([1.0, 0.5, 0.05])
"""Orange over grey: two scales that nobody confuses, whatever colours they see."""
_STRONGEST = 0.8
"""Share of the heat's colour at the top of the scale; the rest is the photograph."""


@styled
def score_map(
    photograph: ArrayLike,
    scores: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "",
    top: float | None = None,
    stride: int | None = None,
    window: int | None = None,
    resolution: int = 240,
) -> Axes:
    """Draw a map of scores as heat over the photograph in grey, with a line where half of the top is reached.

    Args:
        photograph: (3, H, W) or (H, W, 3), colours in [0, 1] or uint8.
        scores: (h, w), at least 0: probabilities of a class at each place, or others of one sign.
        ax: axes to draw on; new ones when ``None``.
        title: written above.
        top: score that gets the full heat, above 0; the largest when ``None``.
        stride: pixels from place to place; with ``window``, for networks whose places look at windows of fixed
            size without padding, such as VGG. When ``None``, the places divide the photograph among them.
        window: side in pixels of what the first place looks at, whose middle gets the heat.
        resolution: longer side of the drawn picture in pixels, at least 16.

    Returns:
        The axes.

    Raises:
        ValueError: if shapes or ranges do not fit.
    """
    colours, values = _checked(photograph, scores)
    if (stride is None) != (window is None) or resolution < 16:
        raise ValueError(
            f"give stride and window both or neither, and a resolution of at least 16, got {stride=}, {window=} and "
            f"{resolution=}"
        )
    highest = float(values.max()) if top is None else top
    if not highest > 0:
        raise ValueError(f"the top of the scale must be above 0, got {highest}; all scores are 0 or top is")
    height, width = colours.shape[:2]
    scale = min(1.0, resolution / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    small = functional.interpolate(
        torch.from_numpy(colours).permute(2, 0, 1)[None], size=(rows, columns), mode="bilinear", antialias=True
    )[0].permute(1, 2, 0).numpy()  # fmt: skip
    strength = _spread(values / highest, (rows, columns), scale, stride, window).clip(0, 1)
    grey = small @ np.array([0.299, 0.587, 0.114])
    grey = (0.2 + 0.75 * grey)[:, :, None]  # neither black nor white: the heat must show on both
    weight = (_STRONGEST * strength)[:, :, None]
    # Heat over a dark place is a dark orange, so that the photograph stays to be seen through it.
    mixed = (1 - weight) * grey + weight * _HEAT * (0.45 + 0.55 * grey)
    ax = own_axes(ax, 3.6, 3.6 * height / width + 0.55)
    ax.imshow((mixed * 255).round().astype(np.uint8), interpolation="none", extent=(0, width, height, 0))
    if strength.max() > 0.5 > strength.min():
        down, across = ((np.arange(count) + 0.5) / scale for count in (rows, columns))
        for colour, line in (
            ("#ffffff", 2.6),
            ("#1a1a1a", 1.1),
        ):  # on the photograph, so the same in dark mode
            ax.contour(across, down, strength, levels=[0.5], colors=[colour], linewidths=line)
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=11)
    _legend(ax, highest)
    return ax


def score_map_alt(photograph: ArrayLike, scores: ArrayLike, what: str = "the class") -> str:
    """Return the alt text of :func:`score_map`: size, highest score, and where it is.

    Args:
        photograph: as drawn.
        scores: as drawn.
        what: the class in words, such as ``"cats"``.

    Returns:
        Two sentences. What is on the photograph, only a person can add.

    Raises:
        ValueError: if shapes or ranges do not fit.
    """
    colours, values = _checked(photograph, scores)
    row, column = (int(place) for place in np.unravel_index(values.argmax(), values.shape))
    down = ("upper", "middle", "lower")[3 * row // values.shape[0]]
    across = ("left", "centre", "right")[3 * column // values.shape[1]]
    share = float((values >= values.max() / 2).mean())
    return (
        f"A photograph of {colours.shape[0]} by {colours.shape[1]} pixels in grey with the scores of {what} as orange "
        f"heat, {values.shape[0]} by {values.shape[1]} places. The highest, {values.max():.2g}, is in the {down} "
        f"{across}; {share:.0%} of the places reach half of it."
    )


def _checked(photograph: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the photograph as (H, W, 3) in [0, 1] and the scores as (h, w)."""
    colours, values = np.asarray(photograph), np.asarray(scores, dtype=np.float64)
    if colours.ndim == 3 and colours.shape[0] == 3 and colours.shape[2] != 3:
        colours = colours.transpose(1, 2, 0)
    if colours.ndim != 3 or colours.shape[2] != 3:
        raise ValueError(f"a photograph has shape (3, H, W) or (H, W, 3), got {np.shape(photograph)}")
    if values.ndim != 2 or not values.size or not values.min() >= 0:
        raise ValueError(
            f"scores must be (h, w), none below 0 and none missing, got shape {values.shape}; take the softmax "
            "of one image's score map over the classes, and of it one class"
        )
    floats = colours.astype(np.float64) / (255 if colours.dtype == np.uint8 else 1)
    if not (floats.min() >= 0 and floats.max() <= 1):
        raise ValueError("colours must lie in [0, 1] or be uint8; undo the network's normalisation")
    return floats, values


def _spread(
    values: NDArray[np.float64], size: tuple[int, int], scale: float, stride: int | None, window: int | None
) -> NDArray[np.float64]:
    """Return the strength of each drawn pixel: that of the place it belongs to, 0 where there is none."""
    picked, inside = [], []
    for count, places in zip(size, values.shape, strict=True):
        middles = np.arange(count) + 0.5
        if stride is None or window is None:
            index = middles / count * places
        else:  # in pixels of the photograph
            index = (middles / scale - window / 2) / stride + 0.5
        inside.append((index >= 0) & (index < places))
        picked.append(np.clip(np.floor(index).astype(int), 0, places - 1))
    spread: NDArray[np.float64] = values[np.ix_(*picked)] * np.outer(*inside)
    return spread


def _legend(ax: Axes, highest: float) -> None:
    """Draw the scale below the photograph."""
    bar = ax.inset_axes((0.0, -0.085, 1.0, 0.04))
    weight = _STRONGEST * np.linspace(0, 1, 64)[None, :, None]
    scale = (1 - weight) * 0.6 + weight * _HEAT * 0.8
    bar.imshow(
        (scale * 255).round().astype(np.uint8), aspect="auto", interpolation="none", extent=(0, highest, 0, 1)
    )
    bar.set_xticks([0, highest / 2, highest], ["0", f"{highest / 2:.2g}", f"{highest:.2g}"])
    first, _middle, last = bar.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    bar.set_yticks([])
    bar.grid(visible=False)
    for spine in bar.spines.values():
        spine.set_visible(False)
