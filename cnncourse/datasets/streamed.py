"""Batches of images that stay in their files: decoded anew in every pass, by other processes if wanted."""

import os
import pickle
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cnncourse.augmentation.steps import Augmentation, BatchShape
from cnncourse.augmentation.streams import generator_for
from cnncourse.datasets.decoding import centred, decode
from cnncourse.datasets.folder_images import FolderImages, ImageError
from cnncourse.datasets.normalisation import Normalisation
from cnncourse.datasets.passes import Passes, Share


class WorkerError(RuntimeError):
    """A process that reads images died."""


class _Wanted(NamedTuple):
    """Images to read for one step."""

    epoch: int
    indices: tuple[int, ...]
    paths: tuple[Path, ...]


class _Requests(Iterable[_Wanted]):
    """What the loader's processes shall do next; they live longer than a pass."""

    def __init__(self) -> None:
        self.pending: Iterator[_Wanted] = iter(())

    def __iter__(self) -> Iterator[_Wanted]:
        return self.pending


class _Reader(Dataset[Tensor | str]):
    """Read the images of a step. It keeps nothing, so that any process gives the same pixels."""

    def __init__(
        self, seed: int, augmentation: Augmentation | None, side: int | None, short_side: int | None
    ) -> None:
        self.seed, self.augmentation = seed, augmentation
        self.side, self.short_side = side, short_side

    def __getitem__(self, wanted: _Wanted) -> Tensor | str:
        """Return (M, 3, H, W) uint8, or in words why not: exceptions of other processes read badly."""
        images: list[Tensor] = []
        for index, path in zip(wanted.indices, wanted.paths, strict=True):
            try:
                images.append(self._read(wanted.epoch, index, path))
            except ImageError as error:
                return str(error)
            if images[-1].shape != images[0].shape:
                return (
                    f"the images of a batch must have one size, got {tuple(images[0].shape)} and "
                    f"{tuple(images[-1].shape)} ({path}); begin the augmentation with a RandomResizedCrop, "
                    "or give side="
                )
        return torch.stack(images)

    def _read(self, epoch: int, index: int, path: Path) -> Tensor:
        image = decode(path)
        if self.side is not None:
            image = centred(image, self.side, self.short_side or self.side)
        if self.augmentation is None:
            return image
        shape = BatchShape(
            count=1,
            height=image.shape[1],
            width=image.shape[2],
            channels=3,
            indices=torch.tensor([index]),
            epoch=epoch,
        )
        drawn = self.augmentation.draw(shape, generator_for(self.seed, "image", epoch, index))
        return self.augmentation.apply(image[None], drawn)[0]


def _context(name: str | None) -> BaseContext:
    """Return the way to start processes; a fork server imports once what they all need."""
    context = get_context(name or ("spawn" if os.name == "nt" else "forkserver"))
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["__main__", "torch", "torchvision.io", __name__])
    return context


class StreamedBatches(Passes):
    """Go through images in files in batches of normalised floats, decoding while the network computes.

    The same interface as :class:`~cnncourse.datasets.Batches`. Random changes are drawn for each image from
    the seed, the number of the pass and the image's index, so that results depend neither on the number of
    workers nor on that of processes.

    Args:
        data: paths and labels.
        batch_size: images a step, over all processes; the last step may be smaller.
        normalisation: applied to each batch after the augmentation, on the device.
        device: where the batches shall be; for a GPU they are copied while it computes.
        shuffle: draw a new order for each pass.
        seed: of the order and the augmentation.
        augmentation: random change of each image as a batch of one, such as
            ``Compose((RandomResizedCrop(224), Flip()))``; it must bring all to one size, unless ``side`` does.
        side: scale every image and cut the middle ``side`` x ``side`` pixels out, before the augmentation.
            ``None`` leaves images as they are if there is an augmentation, and is ImageNet's usual 224 out
            of 256 if there is none.
        short_side: pixels of the short side before that cut; ``None`` is ``side``: as much as fits.
        dtype: of the images, a floating-point type.
        channels_last: lay the channels of a pixel side by side in memory.
        workers: other processes that decode, for each process that trains; 0 decodes in this one.
        multiprocessing_context: how these are started. ``None`` is ``forkserver``, on Windows ``spawn``:
            with ``fork`` a child can inherit locks of PyTorch's threads and wait forever.

    Raises:
        ValueError: if there are no images, a number is out of its range, or the augmentation cannot be sent
            to other processes.
    """

    def __init__(
        self,
        data: FolderImages,
        batch_size: int,
        normalisation: Normalisation,
        *,
        device: torch.device | str = "cpu",
        shuffle: bool = False,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        side: int | None = None,
        short_side: int | None = None,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        workers: int = 0,
        multiprocessing_context: str | None = None,
    ) -> None:
        if len(data) == 0:
            raise ValueError(f"the data set is empty ({data!r}); there is nothing to make batches of")
        super().__init__(len(data), batch_size, shuffle=shuffle, seed=seed)
        if len(normalisation.mean) != 3:
            raise ValueError(
                f"files are decoded to 3 channels, but normalisation has {len(normalisation.mean)}; "
                "measure it with Normalisation.of"
            )
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating-point type, got {dtype}")
        if workers < 0:
            raise ValueError(f"workers must be at least 0, got {workers=}")
        if side is None and short_side is not None:
            raise ValueError(f"short_side={short_side} needs a side, the size of what is cut out; give side=")
        if side is None and augmentation is None:
            side, short_side = 224, 256
        if side is not None and not 1 <= side <= (short_side or side):
            raise ValueError(f"side must lie in [1, short_side], got {side=}, {short_side=}")
        self.data = data
        self.normalisation = normalisation
        self.device = torch.device(device)
        self.augmentation = augmentation
        self.side, self.short_side = side, short_side
        self.dtype = dtype
        self.channels_last = channels_last
        self.workers = workers
        self.multiprocessing_context = multiprocessing_context
        self._reader = _Reader(seed, augmentation, side, short_side)
        self._requests = _Requests()
        self._loader: DataLoader[Tensor | str] | None = None
        self._newest_pass: object = None
        if workers:
            try:
                pickle.dumps(self._reader)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ValueError(
                    f"the augmentation cannot be sent to other processes ({error}); define it at the top of a "
                    "module, or take workers=0"
                ) from error

    def __repr__(self) -> str:
        size = "" if self.side is None else f", {self.side} × {self.side}"
        return (
            f"{len(self)} streamed batches of {self.batch_size} on {self.device}{size}, "
            f"{self.workers} workers, from {self.data!r}"
        )

    def close(self) -> None:
        """End the worker processes; the next pass starts new ones."""
        workers = getattr(self._loader, "_iterator", None)
        self._loader = self._newest_pass = None
        if workers is not None:
            # Left alone they stay as long as something refers to them, such as the traceback of an error; and
            # torch reports the death of one by a signal at any time, even here.
            with suppress(RuntimeError):
                workers._shutdown_workers()

    def _batches(
        self, number: int, first_step: int, rank: int, world: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        try:
            yield from self._read_batches(number, first_step, rank, world)
        except (RuntimeError, EOFError, ConnectionError) as error:
            told = re.search(r"DataLoader worker \(pid.*", str(error))
            cut_off = isinstance(error, (EOFError, ConnectionError))  # it died while it handed images over
            if not self.workers or not (told or cut_off):
                raise
            self.close()
            raise WorkerError(
                f"a process that reads images died ({told[0] if told else repr(error)}). Likely causes: memory or "
                "/dev/shm is full (take fewer workers or smaller batches), an augmentation defined in a "
                "notebook, or a script without `if __name__ == '__main__':`. workers=0 reads without "
                "other processes"
            ) from error

    def _read_batches(
        self, number: int, first_step: int, rank: int, world: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        wanted = (self._wanted(number, share) for share in self._shares(number, first_step, rank, world))
        read = self._by_workers(wanted) if self.workers else map(self._reader.__getitem__, wanted)
        shares = self._shares(number, first_step, rank, world)
        for share, images in zip(shares, read, strict=True):
            if isinstance(images, str):
                raise ImageError(images)
            on_device = self._sent(images)
            targets = self._sent(self.data.targets[share.indices])
            yield (
                self.normalisation(on_device, dtype=self.dtype, channels_last=self.channels_last),
                targets,
            )

    def _sent(self, values: Tensor) -> Tensor:
        """Send a tensor to the device; from pinned memory, the copy to a GPU does not wait for it."""
        if self.device.type == "cuda" and not values.is_pinned():
            values = values.pin_memory()
        return values.to(self.device, non_blocking=True)

    def _wanted(self, number: int, share: Share) -> _Wanted:
        indices = tuple(share.indices.tolist())
        return _Wanted(number, indices, tuple(self.data.paths[index] for index in indices))

    def _by_workers(self, wanted: Iterator[_Wanted]) -> Iterator[Tensor | str]:
        """Yield what the workers read, in the order of the requests."""
        if self._loader is None:
            self._loader = DataLoader(
                self._reader,
                batch_size=None,
                sampler=self._requests,
                num_workers=self.workers,
                persistent_workers=True,
                pin_memory=self.device.type == "cuda",
                multiprocessing_context=_context(self.multiprocessing_context),
                generator=torch.Generator(),  # else every pass would draw from the global one
            )
        self._requests.pending = wanted
        this_pass = self._newest_pass = object()
        for images in self._loader:
            yield images
            if self._newest_pass is not this_pass:
                raise RuntimeError(
                    "another pass of these batches has begun, or they were closed; workers serve one pass at a "
                    "time: finish it before the next, or take workers=0"
                )
