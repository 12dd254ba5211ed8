"""Exact rational numbers: what the theory package computes with.

A float is a dyadic rational, so turning one into a fraction loses nothing; ``"1/3"`` and ``Fraction(1, 3)``
say what no float can. Results are ``gmpy2.mpq``, which behave and compare like :class:`fractions.Fraction`
but are far quicker.
"""

import math
import numbers
from fractions import Fraction
from typing import Any, TypeAlias

from gmpy2 import mpq

Rational: TypeAlias = "int | float | str | Fraction | mpq"


def as_rational(value: Any, name: str = "value") -> mpq:
    """The exact rational number that ``value`` stands for.

    Args:
        value: int, Fraction, mpq, float or 0-d array (its exact binary value), or a string such as ``"1/3"``
            or ``"0.1"`` (its exact decimal value).
        name: what to call it in an error message.

    Returns:
        The number as ``gmpy2.mpq``; equal to the ``Fraction`` of the same value.

    Raises:
        ValueError: if it is not one finite real number.

    Book: depth_separation
    """
    if isinstance(value, mpq):
        return value
    if not isinstance(value, (numbers.Number, str)) and getattr(value, "ndim", None) == 0:
        value = value.item()  # a 0-d array or tensor
    if isinstance(value, str):
        try:
            return mpq(value.strip())
        except (ValueError, ZeroDivisionError):
            pass
    elif isinstance(value, numbers.Rational):
        return mpq(int(value.numerator), int(value.denominator))
    elif isinstance(value, numbers.Real) and math.isfinite(value):
        return mpq(float(value))
    raise ValueError(
        f"{name} must be one finite real number, got {value!r}; "
        'give an int, a Fraction, a finite float or a string such as "1/3"'
    )


def natural_number(value: Any, name: str, *, minimum: int, remedy: str) -> int:
    """``value`` as an int, refused when it is not a whole number of at least ``minimum``.

    Args:
        value: the number a caller gave.
        name: what the caller calls it.
        minimum: the smallest value allowed.
        remedy: what to do instead, for the message.

    Returns:
        The same number as ``int``.

    Raises:
        ValueError: if it is not a whole number, or too small.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < minimum:
        raise ValueError(f"{name} must be a whole number >= {minimum}, got {value!r}; {remedy}")
    return int(value)
