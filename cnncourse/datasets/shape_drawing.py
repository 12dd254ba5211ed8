"""Outlines of simple figures as signed distances, from which masks and smooth edges follow exactly.

A figure is a function that tells for every point how far it lies from the outline: negative inside, positive
outside, zero on it. Union is the smaller, intersection the greater of two distances. Every figure has its
centre in the origin and fits exactly into the circle of radius 1 around it; y points down.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SignedDistance = Callable[[Tensor, Tensor], Tensor]
Point = tuple[float, float]


def disc(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to the circle of radius 1.

    Args:
        x: coordinates to the right, any shape.
        y: coordinates downwards, same shape.

    Returns:
        Distances of the same shape, negative inside.
    """
    return torch.hypot(x, y) - 1


def polygon(corners: Sequence[Point]) -> SignedDistance:
    """Return the signed distance to a simple polygon, convex or not.

    Args:
        corners: (x, y) of at least three corners along the outline, in either direction.

    Returns:
        A function of coordinates x and y.
    """
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))

    def distance(x: Tensor, y: Tensor) -> Tensor:
        nearest = torch.full_like(x, torch.inf)
        inside = torch.zeros_like(x, dtype=torch.bool)
        for (ax, ay), (bx, by) in edges:
            along_x, along_y = bx - ax, by - ay
            to_x, to_y = x - ax, y - ay
            share = (to_x * along_x + to_y * along_y) / (along_x**2 + along_y**2)
            share.clamp_(0, 1)
            off_x, off_y = to_x - along_x * share, to_y - along_y * share
            nearest = torch.minimum(nearest, off_x * off_x + off_y * off_y)
            if ay != by:  # a ray to the right crosses the edge: one side of the outline becomes the other
                crosses = ((y < ay) != (y < by)) & (to_x < to_y * (along_x / along_y))
                inside ^= crosses
        return torch.where(inside, -nearest.sqrt(), nearest.sqrt())

    return distance


def regular_polygon(corners: int, *, inner: float = 1.0) -> list[Point]:
    """Return the corners of a regular polygon, or of a star when ``inner`` is below 1.

    Args:
        corners: number of corners on the circle of radius 1; the first one is on top.
        inner: radius of the corners between them, 0 < inner; 1 leaves them out.

    Returns:
        (x, y) of the corners.
    """
    radii = (1.0,) if inner == 1.0 else (1.0, inner)
    total = corners * len(radii)
    angles = [2 * math.pi * position / total for position in range(total)]
    return [
        (radii[position % len(radii)] * math.sin(angle), -radii[position % len(radii)] * math.cos(angle))
        for position, angle in enumerate(angles)
    ]


RING_HOLE = 0.55
CROSS_ARM = 0.3


def ring(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a ring with a hole of radius 0.55 (arguments as :func:`disc`)."""
    radius = torch.hypot(x, y)
    return torch.maximum(radius - 1, RING_HOLE - radius)


def crescent(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a disc out of which another one bites (arguments as :func:`disc`)."""
    return torch.maximum(torch.hypot(x, y) - 1, 0.8 - torch.hypot(x - 0.45, y))


def heart(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a square on its corner with two half discs (arguments as :func:`disc`).

    The square has the half diagonal a and its upper two sides are the diameters of the half discs, of radius
    a / sqrt(2). The circle around it passes through the lowest corner and touches both discs.
    """
    a = _HEART
    y = y + _HEART_SHIFT
    square = (x.abs() + y.abs() - a) / math.sqrt(2)
    lobe = torch.hypot(x.abs() - a / 2, y + a / 2) - a / math.sqrt(2)
    return torch.minimum(square, lobe)


def _heart_size() -> tuple[float, float]:
    """Return half the diagonal, and the y of the circle's centre seen from the square's."""
    # With a = 1: the circle's centre is (0, c), its radius 1 - c (lowest corner) and also
    # hypot(1/2, c + 1/2) + 1/sqrt(2) (far side of a lobe). Solved for c by squaring.
    k = 1 - 1 / math.sqrt(2)
    c = (k * k - 0.5) / (1 + 2 * k)
    return 1 / (1 - c), c / (1 - c)


_HEART, _HEART_SHIFT = _heart_size()

_ARM = math.sqrt(1 - CROSS_ARM**2)
_CROSS = [
    (CROSS_ARM, -_ARM), (CROSS_ARM, -CROSS_ARM), (_ARM, -CROSS_ARM), (_ARM, CROSS_ARM),
    (CROSS_ARM, CROSS_ARM), (CROSS_ARM, _ARM), (-CROSS_ARM, _ARM), (-CROSS_ARM, CROSS_ARM),
    (-_ARM, CROSS_ARM), (-_ARM, -CROSS_ARM), (-CROSS_ARM, -CROSS_ARM), (-CROSS_ARM, -_ARM),
]  # fmt: skip
_TAIL = math.sqrt(1 - 0.22**2)
_ARROW = [
    (0.0, -1.0), (0.8, 0.0), (0.22, 0.0), (0.22, _TAIL), (-0.22, _TAIL), (-0.22, 0.0), (-0.8, 0.0),
]  # fmt: skip

FIGURES: dict[str, SignedDistance] = {
    "circle": disc,
    "square": polygon(regular_polygon(4)),
    "triangle": polygon(regular_polygon(3)),
    "hexagon": polygon(regular_polygon(6)),
    "star": polygon(regular_polygon(5, inner=0.42)),
    "cross": polygon(_CROSS),
    "ring": ring,
    "heart": heart,
    "crescent": crescent,
    "arrow": polygon(_ARROW),
}
"""The ten classes of :func:`cnncourse.datasets.shapes`, in the order of their labels."""


def signed_distances(figures: Tensor, centres: Tensor, radii: Tensor, angles: Tensor, side: int) -> Tensor:
    """Return how far every pixel's centre lies from the outline of the figure in its image.

    Args:
        figures: (N,) int64, positions in :data:`FIGURES`.
        centres: (N, 2), x and y in pixels; the centre of the upper left pixel is (0.5, 0.5).
        radii: (N,) radii in pixels of the circles into which the figures fit.
        angles: (N,) turns in radians, clockwise on the screen.
        side: height and width of the images in pixels.

    Returns:
        (N, side, side) distances in pixels, negative inside.
    """
    pixel = torch.arange(side, dtype=centres.dtype) + 0.5
    away_x = pixel.view(1, 1, side) - centres[:, 0].view(-1, 1, 1)
    away_y = pixel.view(1, side, 1) - centres[:, 1].view(-1, 1, 1)
    cosine, sine = (torch.cos(angles) / radii).view(-1, 1, 1), (torch.sin(angles) / radii).view(-1, 1, 1)
    distances = torch.empty(len(figures), side, side, dtype=centres.dtype)
    for label, figure in enumerate(FIGURES.values()):
        members = (figures == label).nonzero().squeeze(1)
        across, down, c, s = away_x[members], away_y[members], cosine[members], sine[members]
        distances[members] = figure(c * across + s * down, c * down - s * across)
    return distances * radii.view(-1, 1, 1)


def coverage(distances: Tensor) -> Tensor:
    """Return which share of each pixel a figure covers, as if its edge were straight there.

    Args:
        distances: as :func:`signed_distances` returns them.

    Returns:
        Shares in [0, 1] of the same shape; at least one half exactly where the pixel's centre lies inside.
    """
    return (0.5 - distances).clamp(0, 1)


def extents(masks: Tensor) -> Tensor:
    """Return the smallest box around each mask.

    Args:
        masks: (N, H, W) bool.

    Returns:
        (N, 4) int64: x0, y0, x1, y1 with x1 and y1 the first column and row outside; zeros for an empty mask.
    """
    ends = []
    for along in (1, 2):  # any pixel in a column, then in a row
        hit = masks.any(along)
        length = hit.shape[1]
        order = torch.arange(length)
        first = torch.where(hit, order, length).amin(1)
        last = torch.where(hit, order + 1, 0).amax(1)
        ends.append((torch.where(last > 0, first, 0), last))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], dim=1)
