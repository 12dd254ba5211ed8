"""Networks side by side: accuracy against operations, the area of a circle for the parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from cnncourse.figures.style import COLOURS, SERIES, own_axes, styled
from cnncourse.models.zoo import ZooRow

__all__ = ["zoo_chart", "zoo_chart_alt"]

Data = Literal["imagenet", "cifar10"]
LARGEST, SMALLEST = 450.0, 14.0
"""Square points of the circle of the largest network, and of the smallest that can still be seen."""
FAMILIES = {
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "googlenet": "GoogLeNet",
    "squeezenet": "SqueezeNet",
    "resnet": "ResNet",
    "preact_resnet": "pre-activation ResNet",
    "wide_resnet": "Wide ResNet",
    "resnext": "ResNeXt",
    "densenet": "DenseNet",
    "densenet_bc": "DenseNet-BC",
    "mobilenet_v": "MobileNet",
    "shufflenet_v": "ShuffleNet",
    "efficientnet": "EfficientNet",
    "nasnet_a": "NASNet-A",
    "convnext": "ConvNeXt",
    "plain": "plain",
}
"""Names of families, by what stands before the first number (or variant) of a network's name."""


@dataclass(frozen=True)
class _Dot:
    """A circle."""

    name: str
    family: str
    operations: float
    accuracy: float
    parameters: int
    stated: bool
    """Whether the accuracy is that of public weights; else the paper prints it."""
    recorded: float | None
    """Accuracy that a recipe of this course recorded."""


def _family(name: str) -> str:
    batch_norm = name.startswith("vgg") and name.endswith("_bn")
    stem = re.match(r"[a-z]+(_[a-z]+)*", name)
    key = stem[0] if stem else name
    best = max((known for known in FAMILIES if key.startswith(known)), key=len, default=key)
    return FAMILIES.get(best, best) + " with batch norm" * batch_norm


def _dots(rows: Sequence[ZooRow], data: Data) -> list[_Dot]:
    """Return the networks of which an accuracy is known: of public weights if there is one, else of the paper."""
    dots = []
    for row in rows:
        printed = row.printed_error
        stated = data == "imagenet" and row.public_accuracy is not None
        accuracy = row.public_accuracy[0] if stated and row.public_accuracy else row.printed_accuracy
        if accuracy is None or not (stated or (printed is not None and printed.data == data)):
            continue
        ours = max((one.mean for one in row.recorded if one.data == data), default=None)
        dots.append(
            _Dot(row.name, _family(row.name), row.multiply_adds, accuracy, row.parameters, stated, ours)
        )
    return dots


@styled
def zoo_chart(rows: Sequence[ZooRow], data: Data = "imagenet", *, ax: Axes | None = None) -> Axes:
    """Draw accuracy against operations, one circle a network, its area in proportion to the parameters.

    Filled circles are top-1 accuracies of public weights as their authors state them, hollow ones those that only
    the paper prints; crosses are what recipes of this course recorded. Lines join the networks of a family in the
    order of their operations.

    Args:
        rows: of :func:`cnncourse.models.zoo.zoo`; networks without an accuracy on the data are left out.
        data: images on which the accuracy was measured.
        ax: axes to draw on; new ones when ``None``.

    Returns:
        The axes.

    Raises:
        ValueError: if no network has an accuracy on the data.
    """
    dots = _checked(_dots(rows, data), data)
    ax = own_axes(ax, 4.8, 5.2)
    ax.set_xscale("log")
    families = list(dict.fromkeys(dot.family for dot in dots))
    colours = {name: COLOURS[SERIES[place % len(SERIES)]] for place, name in enumerate(families)}
    for name in families:
        members = sorted((dot for dot in dots if dot.family == name), key=lambda dot: dot.operations)
        x, y = ([getattr(dot, field) for dot in members] for field in ("operations", "accuracy"))
        ax.plot(x, y, color=colours[name], linewidth=1.0, alpha=0.6)
        for dot in members:
            place, area = (dot.operations, dot.accuracy), _area(dot.parameters, dots)
            if dot.stated:
                ax.scatter(*place, s=area, facecolor=colours[name], alpha=0.35, linewidth=0)
            ax.scatter(*place, s=area, facecolor="none", edgecolor=colours[name], linewidth=1.3)
            if dot.recorded is not None:
                ax.scatter(dot.operations, dot.recorded, s=40, marker="x", color=colours[name])
    title = {"imagenet": "ImageNet", "cifar10": "CIFAR-10"}[data]
    ax.set(xlabel="multiply-adds for one image", ylabel=f"top-1 accuracy on {title} (%)")
    ax.margins(x=0.12, y=0.06)
    _scale(ax, dots)
    _label_families(ax, dots, colours)
    return ax


def zoo_chart_alt(rows: Sequence[ZooRow], data: Data = "imagenet") -> str:
    """Return what the chart shows, in words.

    Args:
        rows: as for :func:`zoo_chart`.
        data: images on which the accuracy was measured.

    Returns:
        The range, and the ends of each family.

    Raises:
        ValueError: if no network has an accuracy on the data.
    """
    dots = _checked(_dots(rows, data), data)
    parts = []
    for name in dict.fromkeys(dot.family for dot in dots):
        members = sorted((dot for dot in dots if dot.family == name), key=lambda dot: dot.operations)
        ends = dict.fromkeys([members[0], members[-1]])
        parts.append(
            f"{name}: "
            + " to ".join(
                f"{dot.name} {dot.accuracy:.1f} % with {_millions(dot.operations)} multiply-adds"
                for dot in ends
            )
        )
    return f"{len(dots)} networks, accuracy over operations. " + "; ".join(parts) + "."


def _checked(dots: list[_Dot], data: Data) -> list[_Dot]:
    if not dots:
        raise ValueError(f"no network of these has an accuracy on {data}; hand over the whole zoo")
    return dots


def _millions(count: float) -> str:
    return f"{count / 1e9:.1f} billion" if count >= 1e9 else f"{count / 1e6:.3g} million"


def _area(parameters: float, dots: Sequence[_Dot]) -> float:
    """Return the square points of a network's circle."""
    return max(LARGEST * parameters / max(dot.parameters for dot in dots), SMALLEST)


def _scale(ax: Axes, dots: Sequence[_Dot]) -> None:
    """Draw circles for some numbers of parameters in the lower right corner."""
    largest = max(dot.parameters for dot in dots)
    for place, millions in enumerate(count for count in (1, 10, 100) if count * 1e6 <= largest):
        x, y = 0.97, 0.038 + 0.055 * place
        ax.annotate(
            f"{millions} M parameters", (x, y), xycoords="axes fraction", xytext=(-16, 0),
            textcoords="offset points", ha="right", va="center", fontsize=9, color=COLOURS["muted"],
        )  # fmt: skip
        ax.scatter(
            *(x, y),
            s=_area(millions * 1e6, dots),
            transform=ax.transAxes,
            facecolor="none",
            edgecolor=COLOURS["muted"],
            linewidth=1.0,
            clip_on=False,
        )


def _label_families(ax: Axes, dots: Sequence[_Dot], colours: dict[str, str]) -> None:
    """Write each family's name beside one of its circles, where it covers no other name and fewest circles."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes of ours always have one
    figure.draw_without_rendering()
    points = 72 / figure.dpi
    centres = ax.transData.transform([(dot.operations, dot.accuracy) for dot in dots]) * points
    radii = np.sqrt([_area(dot.parameters, dots) for dot in dots]) / 2
    frame = ax.get_window_extent()
    low, high = np.array([frame.x0, frame.y0]) * points, np.array([frame.x1, frame.y1]) * points
    taken: list[tuple[np.ndarray, np.ndarray]] = [
        (np.array([high[0] - 118, low[1]]), np.array([high[0], low[1] + 50]))
    ]
    size = 9.5
    for name, colour in colours.items():
        extent = np.array([0.58 * size * len(name), 1.15 * size])
        best: tuple[float, np.ndarray] | None = None
        for place, dot in enumerate(dots):
            if dot.family != name:
                continue
            for angle in np.arange(16) * np.pi / 8:
                for gap in (3.0, 9.0, 18.0, 30.0):
                    way = np.array([np.cos(angle), np.sin(angle)])
                    middle = centres[place] + way * (radii[place] + gap + np.abs(way * extent / 2))
                    corner, end = middle - extent / 2, middle + extent / 2
                    cost = gap / 10 + 20 * _outside(corner, end, low, high)
                    cost += sum(40 * _overlap(corner, end, *box) for box in taken)
                    nearest = np.clip(centres, corner, end)
                    distance = np.linalg.norm(nearest - centres, axis=1)
                    cost += float(np.clip((radii + 2 - distance) / (radii + 2), 0, 1).sum()) * 6
                    if best is None or cost < best[0]:
                        best = cost, corner
        assert best is not None  # a family has at least one circle
        taken.append((best[1], best[1] + extent))
        x, y = ax.transAxes.inverted().transform((best[1] + extent / 2) / points)
        ax.annotate(
            name, (x, y), xycoords="axes fraction", ha="center", va="center", color=colour, fontsize=size,
            annotation_clip=False,
        )  # fmt: skip


def _overlap(corner: np.ndarray, end: np.ndarray, other: np.ndarray, other_end: np.ndarray) -> float:
    """Return the shared part of two boxes, as a share of the first."""
    shared = np.clip(np.minimum(end, other_end) - np.maximum(corner, other), 0, None)
    return float(shared.prod() / (end - corner).prod())


def _outside(corner: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return which share of a box lies outside a frame."""
    return 1.0 - _overlap(corner, end, low, high)
