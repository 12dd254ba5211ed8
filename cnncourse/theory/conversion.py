"""From a trained or constructed ReLU network to the exact piecewise-linear function it computes.

The weights of a network are floats, hence dyadic rationals, so the network computes one exact function (the
one its forward pass approximates by rounding). Layer by layer every unit is an affine function on each
interval of a common partition; a ReLU layer refines the partition at the zeros of its units. All coefficients
stay dyadic, so they are held as integers over one power of two; only breakpoints are true fractions. No grid
is used, and no piece can be missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gmpy2 import mpq, mpz
from numpy.typing import NDArray
from torch import Tensor, nn

from cnncourse.theory.piecewise import PiecewiseLinear
from cnncourse.theory.rational import Rational, as_rational

Integers = NDArray[np.object_]

_HARMLESS = (nn.Identity, nn.Flatten)
_REMEDY = "use nn.Sequential of nn.Linear and nn.ReLU (nested ones, nn.Identity and nn.Flatten are fine)"


def from_network(
    module: nn.Module,
    interval: tuple[Rational, Rational] = (0, 1),
    *,
    line: tuple[Sequence[Rational], Sequence[Rational]] | None = None,
) -> PiecewiseLinear:
    """The exact function that a ReLU network with one output computes, on an interval or along a line.

    Args:
        module: ``nn.Sequential`` of ``nn.Linear`` and ``nn.ReLU`` in any order and depth, parameters in any
            real floating-point type; one input (or d inputs and ``line``), one output.
        interval: the two ends, as rationals.
        line: ``(origin, direction)``, two sequences of d rationals: the network is read along origin + t *
            direction, t in ``interval``, which is how linear regions are counted in higher dimension (Hanin &
            Rolnick 2019, "Complexity of linear regions in deep networks", arXiv:1901.09021).

    Returns:
        The function in exact arithmetic: the network's forward pass without its rounding errors.

    Raises:
        ValueError: if the network is not piecewise linear, has other widths, or a weight is complex or not
            finite.

    Book: depth_separation
    """
    a, b = as_rational(interval[0], "left end"), as_rational(interval[1], "right end")
    if a >= b:
        raise ValueError(f"an interval needs left < right, got [{a}, {b}]; give two different ends in order")
    slopes, offsets, exponent = _input_line(line)
    breakpoints = [a, b]
    width_is_known = line is not None
    name = "the input"
    for name, layer in _layers(module):
        if isinstance(layer, nn.Linear):
            if layer.in_features != len(slopes):
                raise ValueError(_wrong_width(name, layer.in_features, len(slopes), first=not width_is_known))
            slopes, offsets, exponent = _affine(name, layer, slopes, offsets, exponent)
        else:
            breakpoints, slopes, offsets = _relu(breakpoints, slopes, offsets)
        width_is_known = True
    if len(slopes) != 1:
        raise ValueError(
            f"the network must have one output, got {len(slopes)} after {name}; "
            f"append nn.Linear({len(slopes)}, 1)"
        )
    return _assemble(breakpoints, slopes[0], offsets[0], exponent)


def count_pieces(
    module: nn.Module,
    interval: tuple[Rational, Rational] = (0, 1),
    *,
    line: tuple[Sequence[Rational], Sequence[Rational]] | None = None,
) -> int:
    """How many maximal affine pieces a ReLU network has on an interval, exactly; see :func:`from_network`.

    Args:
        module: a ReLU network with one output.
        interval: the two ends, as rationals.
        line: ``(origin, direction)`` for a network with several inputs.

    Returns:
        The number of pieces, at least 1. Two neighbouring pieces with slopes that differ only by the rounding
        of the weights count as two: the count is a fact about the stored weights.

    Raises:
        ValueError: as :func:`from_network`.

    Book: depth_separation
    """
    return from_network(module, interval, line=line).pieces()


def _layers(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The Linear and ReLU layers in order, each with its name; anything else is refused."""
    forward: Any = type(module).forward
    if isinstance(module, nn.Sequential) and forward is nn.Sequential.forward:
        for child_name, child in module._modules.items():
            assert child is not None
            yield from _layers(child, f"{name}.{child_name}" if name else child_name)
        return
    label = f"layer {name!r} ({type(module).__name__})" if name else f"the module ({type(module).__name__})"
    if isinstance(module, (nn.Linear, nn.ReLU)) and forward in (nn.Linear.forward, nn.ReLU.forward):
        yield label, module
    elif isinstance(module, _HARMLESS) or (isinstance(module, nn.Dropout) and not module.training):
        return
    elif isinstance(module, nn.Dropout):
        raise ValueError(f"{label} is random while training; call .eval() first")
    else:
        raise ValueError(f"every layer must be piecewise linear and known, got {label}; {_REMEDY}")


def _wrong_width(name: str, expected: int, available: int, *, first: bool) -> str:
    if first:
        return (
            f"the network must have one input, got in_features={expected} in {name}; "
            "give line=(origin, direction) to read it along a line"
        )
    return f"{name} expects in_features={expected} but is given {available} numbers; make the widths agree"


def _over_power_of_two(numbers: Sequence[mpq]) -> tuple[list[mpz], int]:
    """Dyadic rationals as integers over 2^e with one exponent e."""
    exponent = max((x.denominator.bit_length() - 1 for x in numbers), default=0)
    return [x.numerator << (exponent - (x.denominator.bit_length() - 1)) for x in numbers], exponent


def _object_array(numbers: Sequence[Any], shape: tuple[int, ...]) -> Integers:
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array.reshape(shape)


def _parameter(name: str, which: str, tensor: Tensor) -> tuple[Integers, int]:
    """A weight or bias as integers over a power of two; refuses what is not a finite real number."""
    if tensor.is_complex() or not tensor.is_floating_point():
        raise ValueError(
            f"weights must be real floating-point numbers, got dtype {tensor.dtype} in {name}; convert it"
        )
    exact = tensor.detach().to(device="cpu", dtype=torch.float64)
    if not bool(torch.isfinite(exact).all()):
        bad = exact[~torch.isfinite(exact)][0].item()
        raise ValueError(
            f"weights must be finite, got {bad} in the {which} of {name}; train again from finite ones"
        )
    integers, exponent = _over_power_of_two([mpq(x) for x in exact.flatten().tolist()])
    return _object_array(integers, tuple(exact.shape)), exponent


def _input_line(
    line: tuple[Sequence[Rational], Sequence[Rational]] | None,
) -> tuple[Integers, Integers, int]:
    """Coefficients of the input as a function of t: one row for each input, one column for the interval."""
    if line is None:
        return _object_array([mpz(1)], (1, 1)), _object_array([mpz(0)], (1, 1)), 0
    origin = [as_rational(x, "origin") for x in line[0]]
    direction = [as_rational(x, "direction") for x in line[1]]
    if len(origin) != len(direction) or not origin:
        raise ValueError(
            f"origin and direction must have the same length >= 1, got {len(origin)} and {len(direction)}; "
            "give one number for each input"
        )
    numbers = direction + origin
    if any(x.denominator & (x.denominator - 1) for x in numbers):
        raise ValueError(
            "the line must have dyadic coordinates (every float is), got a denominator not a power of 2; "
            "stretch the direction and shorten the interval instead"
        )
    integers, exponent = _over_power_of_two(numbers)
    d = len(origin)
    return _object_array(integers[:d], (d, 1)), _object_array(integers[d:], (d, 1)), exponent


def _affine(
    name: str, layer: nn.Linear, slopes: Integers, offsets: Integers, exponent: int
) -> tuple[Integers, Integers, int]:
    """The coefficients after a Linear layer: one integer matrix product for slopes and one for offsets."""
    weight, weight_exponent = _parameter(name, "weight", layer.weight)
    new_slopes, new_offsets = weight @ slopes, weight @ offsets
    total = exponent + weight_exponent
    if layer.bias is not None:
        bias, bias_exponent = _parameter(name, "bias", layer.bias)
        if bias_exponent > total:
            up = mpz(1) << (bias_exponent - total)
            new_slopes, new_offsets, total = new_slopes * up, new_offsets * up, bias_exponent
        new_offsets = new_offsets + (bias * (mpz(1) << (total - bias_exponent)))[:, None]
    return new_slopes, new_offsets, total


def _relu(
    breakpoints: list[mpq], slopes: Integers, offsets: Integers
) -> tuple[list[mpq], Integers, Integers]:
    """Cut every interval at the zeros of the units inside it, then zero each unit where it is negative."""
    ends = (
        _values_at(breakpoints, slopes, offsets, shift=0),
        _values_at(breakpoints, slopes, offsets, shift=1),
    )
    cut = ((ends[0] < 0) & (ends[1] > 0)) | ((ends[0] > 0) & (ends[1] < 0))
    new_breakpoints = [breakpoints[0]]
    source: list[int] = []  # for each new interval, the old one it lies in
    for p in range(len(breakpoints) - 1):
        if bool(cut[:, p].any()):
            zeros = {mpq(-offsets[j, p], slopes[j, p]) for j in np.flatnonzero(cut[:, p])}
            new_breakpoints += sorted(zeros)
            source += [p] * len(zeros)
        new_breakpoints.append(breakpoints[p + 1])
        source.append(p)
    slopes, offsets = slopes[:, source], offsets[:, source]
    middles = [(left + right) / 2 for left, right in pairwise(new_breakpoints)]
    alive = np.where(_values_at(middles, slopes, offsets) > 0, mpz(1), mpz(0))
    return new_breakpoints, slopes * alive, offsets * alive


def _values_at(points: Sequence[mpq], slopes: Integers, offsets: Integers, *, shift: int = 0) -> Integers:
    """Each unit at one point of each interval, times a positive number: enough for its sign."""
    count = slopes.shape[1]
    chosen = points[shift : shift + count]
    numerators = _object_array([x.numerator for x in chosen], (count,))
    denominators = _object_array([x.denominator for x in chosen], (count,))
    values: Integers = slopes * numerators + offsets * denominators
    return values


def _assemble(breakpoints: list[mpq], slopes: Integers, offsets: Integers, exponent: int) -> PiecewiseLinear:
    """The function from its affine coefficients on each interval, read at the interval's left end."""
    scale = mpq(1, mpz(1) << exponent)
    values = [(slopes[p] * x + offsets[p]) * scale for p, x in enumerate(breakpoints[:-1])]
    values.append((slopes[-1] * breakpoints[-1] + offsets[-1]) * scale)
    return PiecewiseLinear._trusted(breakpoints, values)
