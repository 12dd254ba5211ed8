"""Batches of a data set that lives on the device: no workers, no copies of single images."""

import warnings
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor

from cnncourse.augmentation.steps import Augmentation, BatchShape, select_rows
from cnncourse.augmentation.streams import generator_for
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import LabelledImages
from cnncourse.datasets.normalisation import Normalisation
from cnncourse.datasets.packed import CropAndFlip, PackedImages
from cnncourse.datasets.passes import Passes, Share
from cnncourse.datasets.streamed import StreamedBatches

MOST_PACKED_BYTES = 2**30
"""Memory up to which images are packed without being asked: 1 GiB."""

_STEPS_AHEAD = 16

SMALL_BYTES = 2**20
"""Floats of unchanged images that are made for several steps at once: 1 MiB."""

_Normaliser = Callable[[Tensor, Tensor, Tensor, torch.dtype], Tensor]


class Batches(Passes):
    """Go through a data set in batches of normalised floats; a new order in each pass if shuffled.

    The uint8 images are moved to the device once and become floats batch by batch. If the augmentation is a
    :class:`~cnncourse.augmentation.PadCrop`, flips, or both, a framed and mirrored copy is packed beforehand
    and batches are cut out of it: the same numbers, bit for bit, several times as fast.

    Args:
        data: the images and labels.
        batch_size: images a step, over all processes; the last step may be smaller.
        normalisation: applied to each batch after the augmentation.
        device: where the batches shall be.
        shuffle: draw a new order for each pass.
        seed: of the order and the augmentation.
        augmentation: random change of each uint8 batch.
        dtype: of the images, a floating-point type.
        channels_last: lay the channels of a pixel side by side in memory.
        packed: pack the images, which takes the memory of :meth:`PackedImages.bytes_needed` (for CIFAR-10
            three times that of the images); ``None`` does so where it applies and takes at most 1 GiB.
        compiled: normalise packed batches by one compiled kernel. That saves some 30 microseconds a batch of
            128 CIFAR images on a CPU and costs 4 to 18 seconds at the first batch, so that it pays after
            300 to 1,700 passes over 50,000 images; therefore only on demand. The numbers are the same.

    Raises:
        ValueError: if there are no images, a number is out of its range, or packing is wanted that cannot be.

    Book: pooling_lenet
    """

    def __init__(
        self,
        data: LabelledImages,
        batch_size: int,
        normalisation: Normalisation,
        *,
        device: torch.device | str = "cpu",
        shuffle: bool = False,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        packed: bool | None = None,
        compiled: bool = False,
    ) -> None:
        if len(data) == 0:
            raise ValueError(f"the data set is empty ({data!r}); there is nothing to make batches of")
        super().__init__(len(data), batch_size, shuffle=shuffle, seed=seed)
        channels = data.images.shape[1]
        if len(normalisation.mean) != channels:
            raise ValueError(
                f"normalisation must have one mean a channel, got {len(normalisation.mean)} for images of "
                f"{channels}; measure it with Normalisation.of"
            )
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating-point type, got {dtype}")
        self.data = data
        self.normalisation = normalisation
        self.augmentation = augmentation
        self.dtype = dtype
        self.channels_last = channels_last
        self.images = data.images.to(device)
        self.targets = data.targets.to(device)
        self._plan = CropAndFlip.of(augmentation)
        floats = 4 * batch_size * data.images[0].numel()
        self._small_ahead = (
            1 if augmentation is not None else max(1, min(_STEPS_AHEAD, SMALL_BYTES // floats))
        )
        self._packed = self._pack(packed)
        if compiled and self._packed is None:
            raise ValueError(
                "compiled=True concerns packed images only, and these are not packed; leave it out"
            )
        self._normalise: _Normaliser = _Compiled() if compiled else normalise_bytes
        self._levels = self._repeated_levels()

    def __repr__(self) -> str:
        how = "" if self._packed is None else ", packed"
        how += ", compiled" if isinstance(self._normalise, _Compiled) else ""
        return f"{len(self)} batches of {self.batch_size} on {self.images.device}{how}, from {self.data!r}"

    def _pack(self, wanted: bool | None) -> PackedImages | None:
        """Pack the images if that is wanted and possible."""
        if wanted and self._plan is None:
            raise ValueError(
                "packed=True needs an augmentation of flips and at most one PadCrop, got "
                f"augmentation={self.augmentation!r}; leave packed out"
            )
        if wanted is False or self._plan is None:
            return None
        if wanted is None and PackedImages.bytes_needed(self.images, self._plan) > MOST_PACKED_BYTES:
            return None
        return PackedImages(self.images, self._plan, channels_last=self.channels_last)

    def _repeated_levels(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation in the shape in which packed batches meet them."""
        channels, _height, width = self.images.shape[1:]
        mean, std = (levels.to(self.images.device) for levels in self.normalisation.levels())
        if self.channels_last:  # a whole row, as runs of three numbers would be no vectors
            return mean.repeat(width), std.repeat(width)
        return mean.view(channels, 1), std.view(channels, 1)

    def _batches(
        self, number: int, first_step: int, rank: int, world: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        shares = self._shares(number, first_step, rank, world)
        if self._packed is not None:
            while ahead := list(islice(shares, _STEPS_AHEAD)):
                yield from self._packed_batches(self._packed, number, ahead)
        while some := list(islice(shares, self._small_ahead)):
            if len(some) > 1:
                yield from self._small_batches(some)
            else:
                yield self._batch(number, some[0])

    def _batch(self, number: int, share: Share) -> tuple[Tensor, Tensor]:
        if self.shuffle:
            chosen: Tensor | slice = share.indices.to(self.images.device, non_blocking=True)
        else:  # neighbours need not be copied
            world = share.rows.step or 1
            chosen = slice(int(share.indices[0]), int(share.indices[-1]) + 1, world)
        images = self.images[chosen]
        if self.augmentation is not None:
            images = self.augmentation.apply(images, self._draw(number, share))
        images = self.normalisation(images, dtype=self.dtype, channels_last=self.channels_last)
        return images, self.targets[chosen]

    def _small_batches(self, shares: list[Share]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield unchanged batches of some steps, gathered together: for tiny images calls cost more than work."""
        chosen = torch.cat([share.indices for share in shares]).to(self.images.device, non_blocking=True)
        images = self.normalisation(self.images[chosen], dtype=self.dtype, channels_last=self.channels_last)
        targets = self.targets[chosen]
        end = 0
        for share in shares:
            begin, end = end, end + len(share.indices)
            yield images[begin:end], targets[begin:end]

    def _packed_batches(
        self, packed: PackedImages, number: int, shares: list[Share]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of some steps, after finding out together where their rows are.

        The many small operations on indices cost half as much one after the other as between large ones.
        """
        assert self._plan is not None
        each = [self._draw(number, share) for share in shares]
        drawn = {name: torch.cat([one[name] for one in each]) for name in each[0]}
        indices = torch.cat([share.indices for share in shares])
        starts = packed.starts(indices, *self._plan.places(drawn))
        targets = self.targets[indices.to(self.targets.device, non_blocking=True)]
        end = 0
        for share in shares:
            begin, end = end, end + len(share.indices)
            yield self._normalised(packed.bytes_at(starts[begin:end])), targets[begin:end]

    def _draw(self, number: int, share: Share) -> dict[str, Tensor]:
        """Draw for the images of all processes, and keep what concerns this one."""
        if self.augmentation is None:
            return {}
        channels, height, width = self.images.shape[1:]
        shape = BatchShape(len(share.whole), height, width, channels, share.whole, number)
        generator = generator_for(self.seed, "augmentation", number, share.step)
        return select_rows(self.augmentation.draw(shape, generator), share.rows)

    def _normalised(self, pixels: Tensor) -> Tensor:
        """Turn the bytes of packed images into floats: (M, C H W) to (M, C, H, W)."""
        channels, height, width = self.images.shape[1:]
        mean, std = self._levels
        if self.channels_last:
            images = self._normalise(pixels.view(-1, width * channels), mean, std, self.dtype)
            return images.view(-1, height, width, channels).permute(0, 3, 1, 2)
        images = self._normalise(pixels.view(-1, channels, height * width), mean, std, self.dtype)
        return images.view(-1, channels, height, width)


def normalise_bytes(pixels: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    """Normalise pixels, the arithmetic being that of :class:`Normalisation`.

    Args:
        pixels: (..., L), uint8.
        mean: float32, in levels, broadcast against the pixels.
        std: float32, likewise.
        dtype: of the result.

    Returns:
        (..., L), a new tensor.
    """
    return pixels.float().sub_(mean).div_(std).to(dtype)


class _Compiled:
    """:func:`normalise_bytes`, compiled for the size that comes first; others go the ordinary way."""

    def __init__(self) -> None:
        self._kernel: _Normaliser | None = torch.compile(normalise_bytes, dynamic=False)
        self._size: tuple[int, ...] | None = None

    def __call__(self, pixels: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
        self._size = self._size or tuple(pixels.shape)
        if self._kernel is not None and tuple(pixels.shape) == self._size:
            try:
                return self._kernel(pixels, mean, std, dtype)
            except Exception as error:  # a compiler can fail in any way, and nothing depends on it
                self._kernel = None
                warnings.warn(
                    f"normalisation could not be compiled ({type(error).__name__}: {str(error)[:200]}); going on "
                    "without: the same numbers, a little slower. A C++ compiler such as g++ is needed, or "
                    "compiled=False",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return normalise_bytes(pixels, mean, std, dtype)


def batches(
    data: LabelledImages | FolderImages,
    batch_size: int,
    normalisation: Normalisation,
    *,
    device: torch.device | str = "cpu",
    shuffle: bool = False,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
    workers: int = 0,
    side: int | None = None,
    short_side: int | None = None,
) -> Batches | StreamedBatches:
    """Return the loader that fits the data: of images in memory, or of images in files.

    Args:
        data: images and labels, or paths and labels.
        batch_size: images a step, over all processes.
        normalisation: applied to each batch after the augmentation.
        device: where the batches shall be.
        shuffle: draw a new order for each pass.
        seed: of the order and the augmentation.
        augmentation: random change of the images.
        dtype: of the images, a floating-point type.
        channels_last: lay the channels of a pixel side by side in memory.
        workers: processes that decode files; images in memory need none.
        side: size to which files are cut, see :class:`StreamedBatches`; refused for images in memory.
        short_side: pixels of the short side before the cut; likewise.

    Returns:
        The loader.

    Raises:
        ValueError: as the loaders do, or if images in memory are given a size.
    """
    if isinstance(data, FolderImages):
        return StreamedBatches(
            data,
            batch_size,
            normalisation,
            device=device,
            shuffle=shuffle,
            seed=seed,
            augmentation=augmentation,
            side=side,
            short_side=short_side,
            dtype=dtype,
            channels_last=channels_last,
            workers=workers,
        )
    if side is not None or short_side is not None:
        raise ValueError(
            f"images in memory have their size, got {side=}, {short_side=}; these are for images in files"
        )
    return Batches(
        data,
        batch_size,
        normalisation,
        device=device,
        shuffle=shuffle,
        seed=seed,
        augmentation=augmentation,
        dtype=dtype,
        channels_last=channels_last,
    )
