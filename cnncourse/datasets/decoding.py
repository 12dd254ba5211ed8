"""From an image file to a tensor, and to the middle square that evaluation looks at."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.datasets.folder_images import read_image


def decode(path: Path) -> Tensor:
    """Read an image file as an upright RGB tensor.

    By torchvision where it can (1.5 to 1.9 times as fast, and the same pixels), by Pillow otherwise: formats
    that torchvision does not know, and releases of it that no longer decode (it has announced to stop).

    Args:
        path: a file of any format that torchvision or Pillow knows; EXIF's orientation is applied.

    Returns:
        (3, H, W), uint8; the channels of a pixel lie side by side in memory.

    Raises:
        ImageError: if the file is missing, truncated, damaged or of another kind; the message names it.
    """
    image = _by_torchvision(path)
    if image is not None:
        return image
    return torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)


def _by_torchvision(path: Path) -> Tensor | None:
    """Return what torchvision makes of a file; ``None`` leaves it, or its refusal, to Pillow."""
    from torchvision import io

    if not hasattr(io, "decode_image"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its farewell, once a call
        try:
            encoded = io.read_file(str(path))
            image: Tensor = io.decode_image(encoded, io.ImageReadMode.RGB, apply_exif_orientation=True)
        except RuntimeError:
            return None
    if image.ndim != 3 or image.dtype != torch.uint8:  # several frames, or 16 bits a channel
        return None
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)  # what was turned lies otherwise


def centred(image: Tensor, side: int, short_side: int) -> Tensor:
    """Scale the short side of an image and cut a square out of the middle, as evaluation does.

    Bilinear with antialiasing, in integers; a smaller image is enlarged.

    Args:
        image: (C, H, W), uint8.
        side: height and width of the result in pixels, 1 <= side <= short_side.
        short_side: pixels of the short side before the cut.

    Returns:
        (C, side, side), uint8.

    Raises:
        ValueError: if a size is out of its range.
    """
    if not 1 <= side <= short_side:
        raise ValueError(
            f"side must lie in [1, short_side], got {side=}, {short_side=}; a larger square cannot be cut out"
        )
    height, width = image.shape[1:]
    short = min(height, width)
    size = (short_side * height // short, short_side * width // short)
    if size != (height, width):
        image = functional.interpolate(
            image[None], size=size, mode="bilinear", antialias=True, align_corners=False
        )[0]
    top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
    return image[:, top : top + side, left : left + side]
