"""A data set at a glance: one row of pictures for each class."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import LabelledImages
from cnncourse.datasets.shapes import ShapeImages
from cnncourse.figures.style import COLOURS, new_figure, styled

__all__ = ["contact_sheet", "contact_sheet_alt"]

MOST_ROWS = 20
"""More classes than a page has room for: of a data set with more, as many are shown."""

_INCH_PIXELS = 96  # pixels of a picture an inch wide: as many as a browser shows
_GAP = 0.06  # between pictures, as a share of their side
_LETTER = 0.085  # inches, width of a letter of the class names


@styled
def contact_sheet(
    data: LabelledImages | FolderImages,
    per_class: int = 8,
    *,
    classes: Sequence[str] | None = None,
    side: float = 0.6,
    masks: bool = False,
) -> Figure:
    """Draw some pictures of each class in a row behind the class's name.

    The pictures of a row are spread evenly over the class in the data set's order, so the same data give the
    same sheet. Large pictures are averaged down to what a screen shows; the pixels of small ones stay sharp.

    Args:
        data: the images; those of files are cut to their middle square.
        per_class: pictures a row, at least 1; a class that has fewer shows all.
        classes: names of the classes to show; ``None`` is all, or of more than 20 as many, spread evenly,
            with a line that says so.
        side: of a picture, in inches.
        masks: outline each object's mask, for data that has masks.

    Returns:
        The figure.

    Raises:
        ValueError: if the data set is empty, a class is unknown or masks are wanted and missing.
    """
    labels, chosen = _selection(data, per_class, classes)
    if masks and not isinstance(data, ShapeImages):
        raise ValueError(f"masks can be outlined only where there are some; {data!r} has none")
    most = max(8, round(side * _INCH_PIXELS))
    shown = data.select(torch.cat(chosen))
    whole = shown.to_images(most, progress=False) if isinstance(shown, FolderImages) else shown
    pictures = _squares(whole.images, most)
    if masks and isinstance(shown, ShapeImages):
        pictures = _outlined(pictures, _squares(shown.masks.unsqueeze(1).to(torch.uint8), most), most)
    resolution = pictures.shape[2]
    gap = max(1, round(_GAP * resolution))
    mosaic = _mosaic(pictures, [len(row) for row in chosen], gap)
    height, width = (side / resolution * length for length in mosaic.shape[:2])
    names = [data.classes[label] for label in labels]
    left = _LETTER * max(len(name) for name in names) + 0.15
    partial = classes is None and len(labels) < len(data.classes)
    foot = 0.3 if partial else 0.05
    figure = new_figure(left + width + 0.05, foot + height + 0.05)
    figure.set_layout_engine("none")
    across, up = figure.get_size_inches()
    ax = figure.add_axes((left / across, foot / up, width / across, height / up))
    ax.imshow(mosaic, interpolation="none", aspect="auto")
    for row, name in enumerate(names):
        middle = (resolution + gap) * row + resolution / 2 - 0.5
        ax.annotate(name, (-0.5, middle), (-6, 0), textcoords="offset points", ha="right", va="center")
    if partial:
        note = f"{len(labels)} of {len(data.classes)} classes"
        ax.annotate(note, (0, 0), (0, -8), xycoords="axes fraction", textcoords="offset points",
                    va="top", fontsize=10, color=COLOURS["muted"])  # fmt: skip
    ax.set_axis_off()
    return figure


def contact_sheet_alt(
    data: LabelledImages | FolderImages, per_class: int = 8, *, classes: Sequence[str] | None = None
) -> str:
    """Return a suggestion for the alternative text of :func:`contact_sheet` with the same arguments.

    Args:
        data: the images.
        per_class: pictures a row, at least 1.
        classes: names of the classes to show, or ``None``.

    Returns:
        Two sentences that name the rows. What the pictures look like, only a person can add.

    Raises:
        ValueError: as for :func:`contact_sheet`.
    """
    labels, chosen = _selection(data, per_class, classes)
    names = ", ".join(data.classes[label] for label in labels)
    lengths = [len(row) for row in chosen]
    number = str(lengths[0]) if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
    pictures = "picture" if number == "1" else "pictures"
    rows = "Rows" if len(labels) == len(data.classes) else f"{len(labels)} of {len(data.classes)} classes,"
    return (
        f"{data.info.title}, {data.split}: {number} {pictures} of each class in a row. "
        f"{rows} from top to bottom: {names}."
    )


def _selection(
    data: LabelledImages | FolderImages, per_class: int, classes: Sequence[str] | None
) -> tuple[list[int], list[Tensor]]:
    """Return the labels of the rows and the indices of the pictures in each."""
    if per_class < 1:
        raise ValueError(f"per_class must be at least 1, got {per_class}")
    if classes is None:
        present = sorted(set(data.targets.tolist()))
        if not present:
            raise ValueError(f"a contact sheet needs at least one picture; {data!r} has none")
        number = min(MOST_ROWS, len(present))
        labels = [present[position * len(present) // number] for position in range(number)]
    else:
        unknown = [name for name in classes if name not in data.classes]
        if unknown or not classes:
            raise ValueError(
                f"classes must be some of {', '.join(data.classes)}; got {', '.join(unknown) or 'none'}"
            )
        labels = [data.classes.index(name) for name in classes]
    chosen = []
    for label in labels:
        members = (data.targets == label).nonzero().squeeze(1)
        if not len(members):
            raise ValueError(f"{data!r} has no picture of the class {data.classes[label]!r}; leave it out")
        number = min(per_class, len(members))
        chosen.append(members[torch.arange(number) * len(members) // number])
    return labels, chosen


def _squares(images: Tensor, most: int) -> Tensor:
    """Return (N, 3, S, S) uint8 with S at most ``most``, each picture in the middle of its square on black."""
    height, width = images.shape[2:]
    longest = max(height, width)
    if longest > most:
        size = (max(1, round(height * most / longest)), max(1, round(width * most / longest)))
        averaged = functional.interpolate(
            images.float(), size=size, mode="bilinear", align_corners=False, antialias=True
        )
        images = averaged.round().clamp(0, 255).to(torch.uint8)
        (height, width), longest = size, most
    if images.shape[1] != 3:
        images = images[:, :1].expand(-1, 3, -1, -1)
    top, left = (longest - height) // 2, (longest - width) // 2
    return functional.pad(images, (left, longest - width - left, top, longest - height - top))


def _outlined(pictures: Tensor, masks: Tensor, most: int) -> Tensor:
    """Return square pictures with a line of two tones along the masks' edges, visible on any ground.

    The pictures are enlarged as often as ``most`` allows (rounded up), so that the line hides little of them.
    """
    times = -(-most // pictures.shape[2])
    pictures, masks = (
        square.repeat_interleave(times, 2).repeat_interleave(times, 3) for square in (pictures, masks)
    )
    inside = masks[:, :1].float()
    grown = functional.max_pool2d(inside, 3, stride=1, padding=1)
    shrunk = -functional.max_pool2d(-inside, 3, stride=1, padding=1)
    pictures = torch.where(inside > shrunk, 255, pictures)
    return torch.where(grown > inside, 0, pictures).to(torch.uint8)


def _mosaic(pictures: Tensor, lengths: Sequence[int], gap: int) -> NDArray[np.uint8]:
    """Return (H, W, 4) uint8: rows of the given numbers of pictures, transparent between them."""
    resolution = pictures.shape[2]
    step = resolution + gap
    mosaic = np.zeros((len(lengths) * step - gap, max(lengths) * step - gap, 4), dtype=np.uint8)
    taken = iter(pictures.permute(0, 2, 3, 1).numpy())
    for row, length in enumerate(lengths):
        for column in range(length):
            top, left = row * step, column * step
            mosaic[top : top + resolution, left : left + resolution, :3] = next(taken)
            mosaic[top : top + resolution, left : left + resolution, 3] = 255
    return mosaic
