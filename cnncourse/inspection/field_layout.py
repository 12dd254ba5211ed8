"""Which dimension of a tensor holds which part of the map, and what its units see of the images.

Networks move rows and columns about: a channel shuffle splits the channels, a layer norm permutes them to the end, a
linear layer merges images, rows and columns. A layout says of every dimension of a tensor which factors it is the
product of, so that rows and columns are found again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

Factor: TypeAlias = tuple[int, str]
"""Size (above 1) and what it counts: ``"n"`` images, ``"c"`` channels, ``"h"`` rows, ``"w"`` columns."""


@dataclass(frozen=True)
class Span:
    """What units see along rows or columns: unit i sees the pixels from ``low + i jump`` to ``high + i jump``."""

    low: int = 0
    """First pixel that unit 0 sees; negative inside the padding."""
    high: int = 0
    """Last pixel that unit 0 sees."""
    jump: int = 1
    """Pixels between neighbouring units."""

    def windowed(self, kernel: int, stride: int, padding: int, dilation: int) -> "Span":
        """Return what units of a layer above see that slides a window over these."""
        reach = dilation * (kernel - 1)
        return Span(
            self.low - padding * self.jump, self.high + (reach - padding) * self.jump, self.jump * stride
        )

    def joined(self, other: "Span") -> "Span":
        """Return what units see that read both; the jumps are the same."""
        return Span(min(self.low, other.low), max(self.high, other.high), self.jump)


@dataclass(frozen=True)
class Layout:
    """The dimensions of a tensor and what its units see."""

    dims: tuple[tuple[Factor, ...], ...]
    """Of each dimension the factors that it is the product of; none for a dimension of size 1."""
    rows: Span = Span()
    """What units see along the image's rows."""
    columns: Span = Span()
    """What units see along the image's columns."""

    @classmethod
    def of_maps(cls, shape: Sequence[int], rows: Span | None = None, columns: Span | None = None) -> "Layout":
        """Return the layout of a tensor (N, C, H, W)."""
        dims = tuple(((size, what),) if size > 1 else () for size, what in zip(shape, "nchw", strict=True))
        return cls(dims, rows or Span(), columns or Span())

    @property
    def is_map(self) -> bool:
        """Whether the dimensions are images, channels, rows and columns, in this order."""
        return len(self.dims) == 4 and all(
            all(what == own for _size, what in dim) and len(dim) <= 1
            for dim, own in zip(self.dims[2:], "hw", strict=True)
        )

    def spatial(self, dims: Sequence[int]) -> bool:
        """Return whether one of these dimensions holds rows or columns."""
        return any(what in "hw" for dim in dims for _size, what in self.dims[dim])

    def moved(self, order: Sequence[int]) -> "Layout":
        """Return the layout with the dimensions in another order."""
        return replace(self, dims=tuple(self.dims[dim] for dim in order))

    def resized(self, shape: Sequence[int]) -> "Layout":
        """Return the layout after dimensions without rows or columns took other sizes."""
        if len(shape) != len(self.dims):
            raise ValueError(f"a tensor of {len(self.dims)} dimensions became {tuple(shape)}")
        dims = []
        for dim, size in zip(self.dims, shape, strict=True):
            known = prod(factor for factor, _what in dim)
            if known == size:
                dims.append(dim)
            elif any(what in "hw" for _size, what in dim):
                raise ValueError(f"rows or columns changed from {known} to {size}")
            else:
                dims.append(((size, "c"),) if size > 1 else ())
        return replace(self, dims=tuple(dims))

    def viewed(self, shape: Sequence[int]) -> "Layout | None":
        """Return the layout of the same numbers in another shape, None if channels and places are mixed."""
        left = [factor for dim in self.dims for factor in dim]
        dims: list[tuple[Factor, ...]] = []
        for size in shape:
            taken: list[Factor] = []
            missing = size
            while missing > 1:
                factor, what = left.pop(0)
                if missing % factor:
                    if what in "hw" or factor % missing:
                        raise ValueError(f"{factor} {_WORDS[what]} are split into other shapes")
                    left.insert(0, (factor // missing, what))
                    factor = missing
                taken.append((factor, what))
                missing //= factor
            kinds = {what for _size, what in taken}
            if kinds & {"h", "w"} and "c" in kinds:
                return None
            dims.append(tuple(taken))
        return replace(self, dims=tuple(dims))


_WORDS = {"n": "images", "c": "channels", "h": "rows", "w": "columns"}


def joined(first: Layout, second: Layout, shape: Sequence[int]) -> Layout:
    """Return the layout of a tensor each of whose numbers comes from both of two others, broadcast.

    Args:
        first: layout of one.
        second: layout of the other.
        shape: of the result.

    Returns:
        The layout with what either sees.

    Raises:
        ValueError: if rows or columns lie in different dimensions, or are not those of the same places.
    """
    count = len(shape)
    parts = [((),) * (count - len(one.dims)) + one.dims for one in (first, second)]
    dims: list[tuple[Factor, ...]] = []
    for mine, other in zip(*parts, strict=True):
        if mine and other and (_spatial(mine) or _spatial(other)) and mine != other:
            raise ValueError("rows and columns of two tensors do not lie over each other")
        dims.append(mine if _spatial(mine) or not other else other)
    steps = {(one.rows.jump, one.columns.jump) for one in (first, second)}
    if len(steps) > 1:
        raise ValueError(f"tensors are joined whose neighbouring units are {_pairs(steps)} pixels apart")
    return Layout(tuple(dims), first.rows.joined(second.rows), first.columns.joined(second.columns))


def _spatial(dim: tuple[Factor, ...]) -> bool:
    return any(what in "hw" for _size, what in dim)


def _pairs(steps: set[tuple[int, int]]) -> str:
    return " and ".join(str(step[0]) if step[0] == step[1] else str(step) for step in sorted(steps))
