"""A small network made to learn CIFAR-10 in seconds: whitened patches, three groups of convolutions.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, sections 3.1 to 3.3.
"""

import torch
from torch import Tensor, nn

from cnncourse.models.entry import Entry, Printed
from cnncourse.models.inputs import check_counts, check_images

WIDTHS = (64, 256, 256)
"""Channels of the three groups (section 3.1)."""

PATCH = 2
"""Side of the whitened patches in pixels (section 3.2)."""

SCALE = 1 / 9
"""Factor on the logits (section 3.1)."""


@torch.no_grad()
def whitening_weights(images: Tensor, patch: int = PATCH, eps: float = 5e-4) -> Tensor:
    """Return filters whose outputs on patches of these images are uncorrelated and equally strong.

    Jordan (2024), section 3.2, after Page (2018). With the eigenvectors v and eigenvalues l of the patches'
    second moments, the filters are v / sqrt(l + eps), the largest eigenvalue first, and then the same with
    the opposite sign, so that an activation that cuts one side off loses nothing.

    Args:
        images: (N, C, H, W), normalised as the network will see them; some thousands are enough.
        patch: side of the patches in pixels, 1 <= patch <= H, W.
        eps: added to the eigenvalues, so that rare directions are not blown up; above 0.

    Returns:
        (2 C patch², C, patch, patch), float32 on the images' device.

    Raises:
        ValueError: if the images are not a batch of floating-point images with a patch in each.
    """
    if images.ndim != 4 or not images.is_floating_point() or len(images) == 0:
        raise ValueError(
            "images must be a non-empty batch (N, C, H, W) of normalised floats, got "
            f"{tuple(images.shape)} of type {images.dtype}"
        )
    if not 1 <= patch <= min(images.shape[2:]) or not eps > 0:
        raise ValueError(
            f"patch must lie in [1, min(H, W)] and eps be above 0, got {patch=} and {eps=} with images "
            f"{tuple(images.shape)}"
        )
    size = images.shape[1] * patch**2
    moments = torch.zeros(size, size, dtype=torch.float64, device=images.device)
    count = 0
    for part in torch.split(
        images, 500
    ):  # patches of all images at once would take patch² times their memory
        patches = part.double().unfold(2, patch, 1).unfold(3, patch, 1)  # (n, C, H', W', patch, patch)
        rows = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, size)
        moments += rows.T @ rows
        count += len(rows)
    values, vectors = torch.linalg.eigh(moments / count)
    filters = (vectors / (values.clamp_min(0) + eps).sqrt()).T.flip(0)
    filters = filters.reshape(size, images.shape[1], patch, patch)
    return torch.cat([filters, -filters]).float()


class OffsetBatchNorm(nn.BatchNorm2d):
    """Batch norm with an offset for each channel and no factor.

    Jordan (2024), section 3.1. The factor stays as a buffer of ones outside the state dict, because the fast
    kernels want one.

    Args:
        num_features: channels.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, eps=1e-12, momentum=0.4)
        del self.weight
        self.register_buffer("weight", torch.ones(num_features), persistent=False)


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution whose first channels start as copies of its input (section 3.3)."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:in_channels])
    return conv


class Group(nn.Module):
    """Convolution, 2 x 2 max pooling, norm, GELU, convolution, norm, GELU: Jordan (2024), section 3.1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, out_channels)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = OffsetBatchNorm(out_channels)
        self.conv2 = _conv(out_channels, out_channels)
        self.norm2 = OffsetBatchNorm(out_channels)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, C', H // 2, W // 2) for maps (N, C, H, W)."""
        x = self.gelu(self.norm1(self.pool(self.conv1(x))))
        result: Tensor = self.gelu(self.norm2(self.conv2(x)))
        return result


class SpeedNet(nn.Module):
    """The network of airbench94: 1.97 million parameters, 118 million multiply-adds an image.

    Jordan (2024), sections 3.1 to 3.3. The first convolution's weights are frozen and stand for
    whitened patches once :meth:`whiten` was called; until then they are random. Its bias is trained.

    Differs from the paper: none known; the paper's batch norm momentum of 0.6 is 0.4 in torch's sense.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.

    Raises:
        ValueError: if a count is below 1.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        self.in_channels = in_channels
        filters = 2 * in_channels * PATCH**2
        self.whitening = nn.Conv2d(in_channels, filters, PATCH)
        self.whitening.weight.requires_grad_(False)
        self.whitening.bias = nn.Parameter(torch.zeros(filters))
        self.gelu = nn.GELU()
        self.group1 = Group(filters, WIDTHS[0])
        self.group2 = Group(WIDTHS[0], WIDTHS[1])
        self.group3 = Group(WIDTHS[1], WIDTHS[2])
        self.pool = nn.MaxPool2d(3)
        self.flatten = nn.Flatten()
        self.output = nn.Linear(WIDTHS[2], num_classes, bias=False)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the frozen first convolution from training images.

        Args:
            images: (N, in_channels, H, W), normalised; the paper takes 5,000.

        Raises:
            ValueError: if the images have another number of channels; see also :func:`whitening_weights`.
        """
        if images.ndim == 4 and images.shape[1] != self.in_channels:
            raise ValueError(
                f"images to whiten must have {self.in_channels} channels, got {tuple(images.shape)}"
            )
        self.whitening.weight.copy_(whitening_weights(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of 25 to 48 pixels: the last pooling
                leaves one pixel.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, "SpeedNet", self.in_channels, smallest=25, largest=48)
        x = self.gelu(self.whitening(images))  # (N,  24, 31, 31)
        x = self.group1(x)  #                    (N,  64, 15, 15)
        x = self.group2(x)  #                    (N, 256,  7,  7)
        x = self.group3(x)  #                    (N, 256,  3,  3)
        x = self.flatten(self.pool(x))  #        (N, 256)
        logits: Tensor = self.output(x) * SCALE  # (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("speed_net", SpeedNet, "jordan2024", "section 3.1", 1_971_640, 118_147_360, 32, 10),
        smallest_side=25,
        printed_parameters=Printed(1.97e6, 0.005e6),
    ),
)
