"""AlexNet's colour noise: along the directions in which the colours of the data set vary."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augmentation.pixels import back_to, check_images, check_rows, white
from cnncourse.augmentation.steps import BatchShape, Drawn

PIXELS_AT_A_TIME = 2**22


def shift_channels(images: Tensor, shifts: Tensor) -> Tensor:
    """Add a value of its own to each channel of each image.

    Args:
        images: (N, C, H, W), uint8 or float.
        shifts: (N, C), as shares of white: 1 is 255 levels of uint8.

    Returns:
        (N, C, H, W); uint8 rounded and held within [0, 255], floats not held within [0, 1].

    Raises:
        ValueError: if types or shapes do not fit.
    """
    check_rows(images, shifts=shifts)
    if shifts.shape != images.shape[:2]:
        raise ValueError(
            f"shifts must be (N, C) = {tuple(images.shape[:2])}, got shape {tuple(shifts.shape)}"
        )
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    levels = (shifts * white(images)).to(images.device, dtype, non_blocking=True)[:, :, None, None]
    return back_to(images, images.to(dtype) + levels)


def colour_axes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal axes of all pixels' colours.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1], at least one.

    Returns:
        Variances, (C,), float64, from the largest down, of values in [0, 1]; and axes, (C, C), float64, one a row, of
        length 1, the component of largest size positive.

    Raises:
        ValueError: if there are no pixels, or all have one colour.

    Book: alexnet
    """
    check_images(images)
    if images.numel() == 0:
        raise ValueError("the axes are measured on at least one image, got none")
    channels, area = images.shape[1], images.shape[2] * images.shape[3]
    at_a_time = max(1, PIXELS_AT_A_TIME // area)
    # Near the mean, so that little is lost when the mean is taken off.
    centre = images[0].cpu().double().mean((1, 2))
    total = torch.zeros(channels, dtype=torch.float64)
    products = torch.zeros(channels, channels, dtype=torch.float64)
    for start in range(0, len(images), at_a_time):
        part = images[start : start + at_a_time].cpu()
        pixels = part.transpose(0, 1).reshape(channels, -1).double() - centre[:, None]
        total += pixels.sum(1)
        products += pixels @ pixels.T
    count = len(images) * area
    mean = total / count
    variances, axes = torch.linalg.eigh((products / count - torch.outer(mean, mean)) / white(images) ** 2)
    if not variances[-1] > 1e-12:
        raise ValueError("all pixels have one colour: there is no axis along which the colours vary")
    axes = axes.T.flip(0)
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return variances.flip(0).clamp(min=0), axes * signs


@dataclass(frozen=True)
class PCALighting:
    """Add to each image a random multiple of the axes along which the data set's colours vary.

    For variances (eigenvalues) v_i and axes (eigenvectors) p_i of the colours, sum_i a_i v_i p_i is added to every
    pixel of an image, with a_i normal of mean 0 and standard deviation ``sd``.

    Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012,
    section 4.1. Differs from the paper: variances are those of values in [0, 1]; the paper leaves the unit open, and as
    a variance goes with its square, the noise of its formula would be 255 times larger for values in [0, 255].

    Book: alexnet
    """

    variances: tuple[float, ...]
    """Variance along each axis, of values in [0, 1], at least 0, one a channel."""
    axes: tuple[tuple[float, ...], ...]
    """The axes, one a row, of length 1 and at right angles to each other."""
    sd: float = 0.1
    """Standard deviation of the multiples, above 0; 0.1 in the paper."""

    def __post_init__(self) -> None:
        channels = len(self.variances)
        if channels == 0 or len(self.axes) != channels or any(len(axis) != channels for axis in self.axes):
            raise ValueError(
                "there must be one variance and one axis of as many components for each channel, got "
                f"{channels} variances and axes of {[len(axis) for axis in self.axes]} components"
            )
        if not all(variance >= 0 for variance in self.variances):
            raise ValueError(f"variances must be at least 0, got variances={self.variances}")
        if not self.sd > 0:
            raise ValueError(f"sd must be above 0, got sd={self.sd}; leave PCALighting out for no noise")
        axes = torch.tensor(self.axes, dtype=torch.float64)
        if not torch.allclose(axes @ axes.T, torch.eye(channels, dtype=torch.float64), atol=1e-3, rtol=0):
            raise ValueError(
                f"axes must have length 1 and stand at right angles, one a row, got axes={self.axes}; "
                "PCALighting.of(images) measures them"
            )

    @classmethod
    def of(cls, images: Tensor, *, sd: float = 0.1) -> "PCALighting":
        """Measure the axes on a data set, always the training images; see :func:`colour_axes`.

        Args:
            images: (N, C, H, W), uint8 or float in [0, 1], at least one.
            sd: standard deviation of the multiples.

        Returns:
            The step.

        Raises:
            ValueError: if there are no images, or all pixels have one colour.
        """
        variances, axes = colour_axes(images)
        rows: Sequence[Sequence[float]] = axes.tolist()
        return cls(tuple(variances.tolist()), tuple(tuple(row) for row in rows), sd)

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw the multiples.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``multiples``: (N, C), float32: a_i.
        """
        return {"multiples": torch.randn(shape.count, len(self.variances), generator=generator) * self.sd}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Add the noise; see :func:`shift_channels`.

        Args:
            images: (N, C, H, W), uint8 or float in [0, 1].
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W).

        Raises:
            ValueError: if the images have another number of channels.
        """
        check_rows(images, multiples=drawn["multiples"])
        if images.shape[1] != len(self.variances):
            raise ValueError(
                f"the axes were measured on {len(self.variances)} channels, got images with {images.shape[1]}"
            )
        multiples = drawn["multiples"].cpu().double()
        shifts = torch.zeros_like(multiples)
        for number, (variance, axis) in enumerate(zip(self.variances, self.axes, strict=True)):
            # A sum of rows, not a product of matrices, whose rounding could depend on the other images.
            shifts += (multiples[:, number] * variance)[:, None] * torch.tensor(axis, dtype=torch.float64)
        return shift_channels(images, shifts)
