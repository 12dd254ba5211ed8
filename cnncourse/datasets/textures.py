"""Procedural textures: grey fields out of random numbers, and colours out of hue, saturation and value."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def cloud_field(numbers: Tensor, side: int) -> Tensor:
    """Return clouds: smooth noise at three scales, each half as strong as the coarser one.

    Perlin (1985) sums noise over octaves; here an octave is a grid of random values, enlarged smoothly.

    Args:
        numbers: (N, 336) uniform in [0, 1): grids of 4 x 4, 8 x 8 and 16 x 16 values.
        side: height and width in pixels.

    Returns:
        (N, side, side), of mean 0 and mean square 1 in every image.
    """
    field = torch.zeros(len(numbers), 1, side, side, dtype=numbers.dtype)
    grids = (numbers[:, :16], numbers[:, 16:80], numbers[:, 80:])
    for strength, grid in zip((1.0, 0.5, 0.25), grids, strict=True):
        cells = math.isqrt(grid.shape[1])
        values = (grid - 0.5).view(-1, 1, cells, cells)
        # Antialiased, or images smaller than the grid would pick single values of it.
        field += strength * functional.interpolate(
            values, size=(side, side), mode="bilinear", align_corners=False, antialias=side < cells
        )
    return _standardised(field.squeeze(1))


def weave_field(numbers: Tensor, side: int) -> Tensor:
    """Return a weave: two waves that cross at right angles, turned at random.

    Args:
        numbers: (N, 6) uniform in [0, 1): direction, two frequencies (3 to 7 waves an image), two phases and
            the second wave's share.
        side: height and width in pixels.

    Returns:
        (N, side, side), of mean 0 and mean square 1 in every image.
    """
    turn = 2 * math.pi
    place = (torch.arange(side, dtype=numbers.dtype) + 0.5) / side
    direction, first, second, phase, other_phase, share = (
        column.view(-1, 1, 1) for column in numbers.unbind(1)
    )
    cosine, sine = torch.cos(turn * direction), torch.sin(turn * direction)
    x, y = place.view(1, 1, side), place.view(1, side, 1)
    along = cosine * x + sine * y
    across = cosine * y - sine * x
    wave = torch.sin(turn * ((3 + 4 * first) * along + phase))
    crossing = torch.sin(turn * ((3 + 4 * second) * across + other_phase))
    return _standardised(wave + share * crossing)


def rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return the colour of hue, saturation and value.

    Smith (1978), hexcone model.

    Args:
        hue: turns round the colour circle, any real number; 0 red, 1/3 green, 2/3 blue.
        saturation: in [0, 1], same shape.
        value: in [0, 1], same shape.

    Returns:
        (..., 3) red, green, blue in [0, 1].
    """
    offsets = torch.tensor([5.0, 3.0, 1.0], dtype=hue.dtype)
    sector = (hue.unsqueeze(-1) * 6 + offsets) % 6
    missing = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value.unsqueeze(-1) * (1 - saturation.unsqueeze(-1) * missing)


def _standardised(field: Tensor) -> Tensor:
    centred = field - field.mean((1, 2), keepdim=True)
    return centred / centred.square().mean((1, 2), keepdim=True).sqrt()
