"""The tent map and its iterates, as exact functions and as functions of tensors.

The tent map is m(x) = 2x on [0, 1/2], 2 - 2x on [1/2, 1] and 0 elsewhere; with s = ReLU it is exactly

    m(x) = s(2 s(x) - 4 s(x - 1/2)).

Its n-th iterate m^(n) has, on [0, 1], 2^n affine pieces of width 2^-n and slope +-2^n, which are 2^(n-1)
teeth. Source: Telgarsky, "Benefits of depth in neural networks", COLT 2016, section 3, arXiv:1602.04485.
"""

import torch
from gmpy2 import mpq
from torch import Tensor

from cnncourse.theory.piecewise import PiecewiseLinear
from cnncourse.theory.rational import Rational, as_rational, natural_number

LARGEST_ITERATE = 24
"""2^24 exact pieces are several gigabytes; beyond that only the formula helps."""


def tent(interval: tuple[Rational, Rational] = (0, 1)) -> PiecewiseLinear:
    """The tent map m as an exact function.

    Args:
        interval: where it is defined; outside [0, 1] the map is 0.

    Returns:
        m on ``interval``; on [0, 1] it has two pieces.

    Raises:
        ValueError: if the interval is empty or not finite.

    Book: depth_separation
    """
    a, b = as_rational(interval[0], "left end"), as_rational(interval[1], "right end")
    if a >= b:
        raise ValueError(f"an interval needs left < right, got [{a}, {b}]; give two different ends in order")
    whole = PiecewiseLinear([min(a, mpq(-1)), 0, "1/2", 1, max(b, mpq(2))], [0, 0, 1, 0, 0])
    return whole.restrict(a, b)


def sawtooth(n: int, interval: tuple[Rational, Rational] = (0, 1)) -> PiecewiseLinear:
    """The tent map composed with itself n times, m^(n), built by composition.

    Args:
        n: how often the map is applied, 0 <= n <= 24; m^(0) is the identity.
        interval: where it is defined.

    Returns:
        m^(n) on ``interval``; 2^n pieces on [0, 1].

    Raises:
        ValueError: if n is not such a number or the interval is empty.

    Book: depth_separation
    """
    n = natural_number(
        n, "the number n of iterations", minimum=0, remedy="m^(0) is the identity, m^(1) the tent map"
    )
    if n > LARGEST_ITERATE:
        raise ValueError(
            f"n must be at most {LARGEST_ITERATE}, got n={n}: 2^{n} exact pieces do not fit in memory; "
            "restrict the network to a short interval with from_network instead"
        )
    if n == 0:
        return PiecewiseLinear.identity(interval)
    result, once = tent(interval), tent()
    for _ in range(n - 1):
        result = once.compose(result)
    return result


def tent_values(x: Tensor) -> Tensor:
    """The tent map of every entry of a tensor, as three ReLUs.

    Args:
        x: any shape, floating point.

    Returns:
        s(2 s(x) - 4 s(x - 1/2)), same shape and dtype.

    Book: depth_separation
    """
    return torch.relu(2 * torch.relu(x) - 4 * torch.relu(x - 0.5))


def sawtooth_values(x: Tensor, n: int) -> Tensor:
    """The n-th iterate of the tent map of every entry of a tensor.

    Args:
        x: any shape, floating point; dyadic numbers k / 2^j are mapped without rounding.
        n: how often the map is applied, n >= 0.

    Returns:
        m^(n)(x), same shape and dtype.

    Raises:
        ValueError: if n is negative or not whole.

    Book: depth_separation
    """
    n = natural_number(
        n, "the number n of iterations", minimum=0, remedy="m^(0) is the identity, m^(1) the tent map"
    )
    for _ in range(n):
        x = tent_values(x)
    return x
