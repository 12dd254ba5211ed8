"""Random crops and mirror images of a whole batch at the price of one copy.

Shifted and mirrored images are usually computed anew for each batch. But a row of a shifted image is a run of
neighbouring bytes, if the image was framed beforehand; and a row of a mirrored one too, if a mirrored copy is
kept. So a batch is a list of the places where its rows begin, and one ``index_select`` that copies them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from cnncourse.augmentation.crops import PadCrop, frame
from cnncourse.augmentation.flips import AlternatingFlip, Flip
from cnncourse.augmentation.steps import Augmentation, Compose, Drawn

_IMAGES_AT_ONCE = 4096


class CropAndFlip:
    """An augmentation that is made of nothing but flips and at most one crop of framed images.

    Args:
        steps: in order, each with what stands before its names in what is drawn.
    """

    def __init__(self, steps: tuple[tuple[str, Augmentation], ...]) -> None:
        self.steps = steps
        crops = [step for _start, step in steps if isinstance(step, PadCrop)]
        self.crop = crops[0] if crops else None
        self.flips = len(steps) > len(crops)

    @classmethod
    def of(cls, augmentation: Augmentation | None) -> "CropAndFlip | None":
        """Recognise such an augmentation.

        Args:
            augmentation: any.

        Returns:
            Its steps; ``None`` if there is another step among them, or more than one crop.
        """
        steps = tuple(_flattened(augmentation)) if augmentation is not None else ()
        # A subclass may do something else.
        known = all(type(step) in (Flip, AlternatingFlip, PadCrop) for _start, step in steps)
        crops = sum(isinstance(step, PadCrop) for _start, step in steps)
        return cls(steps) if steps and known and crops <= 1 else None

    def places(self, drawn: Drawn) -> tuple[Tensor | None, Tensor | None]:
        """Say where each image comes from.

        Args:
            drawn: by the augmentation, N rows.

        Returns:
            (N, 2), int64: first row and column of the window in the framed image, in the mirrored one where
            that is taken; and (N,), bool: take the mirrored one. ``None`` for what is never done.
        """
        offsets: Tensor | None = None
        mirrored: Tensor | None = None
        for start, step in self.steps:
            if isinstance(step, PadCrop):
                offsets = drawn[f"{start}offsets"]
                continue
            flipped = drawn[f"{start}flipped"]
            mirrored = flipped if mirrored is None else mirrored ^ flipped
            if offsets is not None and self.crop is not None:  # the window turns round with its image
                rows, columns = offsets.unbind(1)
                columns = torch.where(flipped, 2 * self.crop.padding - columns, columns)
                offsets = torch.stack([rows, columns], dim=1)
        return offsets, mirrored


def _flattened(augmentation: Augmentation, start: str = "") -> Iterator[tuple[str, Augmentation]]:
    """Yield the steps of nested compositions, each with the start of its names."""
    if type(augmentation) is Compose:
        for number, step in enumerate(augmentation.steps):
            yield from _flattened(step, f"{start}{number}.")
    else:
        yield start, augmentation


class PackedImages:
    """Framed images, and mirrored ones if wanted, in one run of bytes from which rows are copied.

    Args:
        images: (N, C, H, W), uint8, on the device where batches shall be made.
        plan: the crops and flips to come.
        channels_last: lay the channels of a pixel side by side in memory.
    """

    def __init__(self, images: Tensor, plan: CropAndFlip, *, channels_last: bool = False) -> None:
        count, channels, height, width = images.shape
        padding = 0 if plan.crop is None else plan.crop.padding
        framed_height, framed_width = height + 2 * padding, width + 2 * padding
        size = (
            (framed_height, framed_width, channels)
            if channels_last
            else (channels, framed_height, framed_width)
        )
        store = torch.empty((1 + plan.flips, count, *size), dtype=torch.uint8, device=images.device)
        for mirrored, copy in enumerate(store):
            for start in range(0, count, _IMAGES_AT_ONCE):
                source = images[start : start + _IMAGES_AT_ONCE]
                source = source.flip(3) if mirrored else source
                if plan.crop is not None:
                    source = frame(source, padding, mode=plan.crop.mode, fill=plan.crop.fill)
                source = source.permute(0, 2, 3, 1) if channels_last else source
                copy[start : start + _IMAGES_AT_ONCE] = source
        self._pixel = channels if channels_last else 1
        self._row = framed_width * self._pixel
        self._image = store[0, 0].numel()
        self._copy = store[0].numel()
        if padding == 0:  # nothing lies between the rows: an image is one run
            run, rows = self._image, torch.zeros(1, dtype=torch.int64)
        elif channels_last:
            run, rows = width * channels, torch.arange(height) * self._row
        else:
            planes = torch.arange(channels) * (framed_height * framed_width)
            run, rows = width, (planes[:, None] + torch.arange(height) * self._row).reshape(-1)
        self._rows = rows.to(images.device)
        self._runs = store.view(-1).as_strided((store.numel() - run + 1, run), (1, 1))  # all runs: a view

    @staticmethod
    def bytes_needed(images: Tensor, plan: CropAndFlip) -> int:
        """Return the memory that packing takes: N C (H + 2 padding) (W + 2 padding), twice with flips.

        Args:
            images: (N, C, H, W).
            plan: the crops and flips to come.

        Returns:
            Bytes: 480 million for 50,000 images of CIFAR-10, a padding of 4 pixels, and flips.
        """
        count, channels, height, width = images.shape
        frames = 0 if plan.crop is None else 2 * plan.crop.padding
        return (1 + plan.flips) * count * channels * (height + frames) * (width + frames)

    def starts(self, indices: Tensor, offsets: Tensor | None, mirrored: Tensor | None) -> Tensor:
        """Return where the rows of images begin.

        Args:
            indices: (n,), int64, on the CPU: which images.
            offsets: (n, 2), int64; see :meth:`CropAndFlip.places`.
            mirrored: (n,), bool.

        Returns:
            (n, rows), int64, on the device.
        """
        starts = indices * self._image
        if mirrored is not None:
            starts.add_(mirrored, alpha=self._copy)
        if offsets is not None:
            starts.add_(offsets[:, 0], alpha=self._row).add_(offsets[:, 1], alpha=self._pixel)
        return starts.to(self._rows.device, non_blocking=True)[:, None] + self._rows

    def bytes_at(self, starts: Tensor) -> Tensor:
        """Copy images out.

        Args:
            starts: (n, rows), int64; see :meth:`starts`.

        Returns:
            (n, C H W), uint8: the pixels of each image, in channels-last order if so packed.
        """
        return self._runs.index_select(0, starts.view(-1)).view(len(starts), -1)
