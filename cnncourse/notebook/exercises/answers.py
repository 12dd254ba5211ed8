"""What readers type, as numbers: lists, arrays and tensors are all welcome."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array", "as_number"]


def as_array(answer: Any) -> NDArray[np.float64] | None:
    """Return an answer as an array of floats without axes of length 1, or None if it is no table of numbers.

    Args:
        answer: numbers, nested sequences of them, an array or a tensor.

    Returns:
        The array, or None.
    """
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().numpy()
    try:
        return np.asarray(answer, dtype=float).squeeze()
    except (TypeError, ValueError):
        return None


def as_number(answer: Any) -> float | None:
    """Return an answer as one number, or None if it is something else.

    Args:
        answer: a number, or an array or tensor that holds one.

    Returns:
        The number, or None.
    """
    values = None if isinstance(answer, str) else as_array(answer)
    return float(values) if values is not None and values.ndim == 0 else None
