"""The course of a training run: loss and accuracy, pass by pass."""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnncourse.figures.curves import curves
from cnncourse.figures.display import inline_svg
from cnncourse.figures.style import subplots
from cnncourse.training import History

__all__ = ["history_curves", "save_history"]

COLOURS_OF = {"training": "green", "held out": "blue"}
"""The same colours throughout the book."""


def history_curves(history: History) -> Figure:
    """Draw loss and accuracy against the pass.

    Args:
        history: at least one pass.

    Returns:
        A figure of two axes.

    Raises:
        ValueError: if the history is empty.
    """
    if not len(history):
        raise ValueError("the history is empty; there is nothing to draw before the first pass")
    figure, axes = subplots(1, 2, width=7.2, height=2.9)
    for ax, quantity, label, scale in (
        (axes[0], "loss", "loss (nats)", 1.0),
        (axes[1], "accuracy", "accuracy (%)", 100.0),
    ):
        series = {
            name: scale * np.array(history[f"{part}_{quantity}"], dtype=float)
            for name, part in (("training", "train"), ("held out", "val"))
            if history[f"{part}_{quantity}"][0] is not None
        }
        passes = np.array(history["epoch"])
        curves(
            passes, series, ax=ax, xlabel="pass", ylabel=label, colours=COLOURS_OF, markers=len(history) < 8
        )
        if len(history) == 1:
            ax.set_xlim(passes[0] - 1, passes[0] + 1)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return figure


def save_history(history: History, path: str | os.PathLike[str]) -> Path:
    """Write the curves to an SVG file, whole or not at all; its text stays text.

    Args:
        history: at least one pass.
        path: ends in ``.svg``; its folder exists.

    Returns:
        The path.

    Raises:
        ValueError: if the name ends in something else, or the history is empty.
    """
    target = Path(path)
    if target.suffix != ".svg":
        raise ValueError(f"curves are written to an .svg file, got {target.name!r}")
    figure = history_curves(history)
    loss = history["train_loss"][-1]
    alt = f"Loss and accuracy over {len(history)} passes; the training loss ends at {loss:.4g}."
    svg = inline_svg(figure, prefix="history", alt=alt)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    # A page gives inline figures its own background; a file that is opened alone has none.
    part.write_text(svg.replace('style="', 'style="background:white;', 1), encoding="utf-8")
    part.replace(target)
    return target
