"""Measured values, wherever they come from, as plain numbers, texts and lists; and as a reader wants them."""

import math
from collections.abc import Iterable, Mapping
from numbers import Rational
from typing import Any

__all__ = ["as_number", "format_value", "plain_value"]


def plain_value(value: Any) -> Any:
    """Return ``value`` free of NumPy and torch: arrays and tensors become lists, their scalars numbers.

    Args:
        value: a number, bool, text, array, tensor, or (nested) iterable of them.

    Returns:
        A number, bool or text as it is, anything iterable as a list.

    Raises:
        ValueError: if it is a mapping, whose values would be lost.
    """
    if isinstance(value, Mapping):
        raise ValueError(f"a measured value is a number, text or sequence, got a mapping: {value!r}")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain_value(part) for part in value]
    return value


def as_number(value: Any) -> Any:
    """Return an exact or floating number.

    Args:
        value: an int, float, fraction, one of gmpy2's rationals, or anything else with a ``float()``.

    Returns:
        The value itself where it is exact or a float, its ``float()`` otherwise.

    Raises:
        ValueError: if it is no number; a bool is none.
    """
    if not isinstance(value, bool):
        if isinstance(value, Rational | float):
            return value
        if hasattr(value, "numerator") and hasattr(value, "denominator"):
            return value  # gmpy2's rationals, which do not say that they are rational
        if hasattr(value, "__float__"):
            return float(value)
    raise ValueError(f"a measured value must be a number, got {type(value).__name__}: {value!r}")


def format_value(value: Any) -> str:
    """Return a measured or expected value as a reader wants it: thousands apart, four significant digits.

    Args:
        value: a number, bool, text, or (nested) sequence of them.

    Returns:
        Text; whole numbers and short fractions exactly, other numbers to four significant digits.
    """
    value = plain_value(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(
            f"({format_value(part)})" if isinstance(part, list) else format_value(part) for part in value
        )
    return _format_number(as_number(value))


def _format_number(number: Any) -> str:
    if isinstance(number, float):
        whole = math.isfinite(number) and number.is_integer() and abs(number) < 1e15
    else:
        whole = number.denominator == 1
    if whole:
        return f"{int(number):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    exact = "" if isinstance(number, float) else f"{number.numerator}/{number.denominator}"
    return exact if 0 < len(exact) <= 24 else f"{float(number):.4g}"
