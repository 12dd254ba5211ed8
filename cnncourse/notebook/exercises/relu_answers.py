"""Answers that are functions or networks: evaluate them, and see whether they used more than ReLUs and sums."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cnncourse.notebook.feedback import Feedback, wrong

__all__ = ["disagreement", "far", "same", "values_of", "without_products"]

# What would answer the question without a ReLU. Names, because one operation has several function objects.
_SHORT_CUTS = frozenset(
    [
        "abs",
        "absolute",
        "max",
        "maximum",
        "fmax",
        "amax",
        "min",
        "minimum",
        "fmin",
        "amin",
        "where",
        "sign",
        "__abs__",
        "square",
        "pow",
        "__pow__",
        "fmod",
        "remainder",
        "__mod__",
        "floor",
        "round",
        "sin",
    ]
)


class _Recorder(TorchFunctionMode):
    """Notes which torch functions a learner's answer calls."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


def values_of(answer: Any, *points: Tensor) -> Tensor | Feedback:
    """Evaluate a function or a module at points.

    Args:
        answer: a function of tensors, or a module reading (N, d).
        points: d tensors, (N,) each.

    Returns:
        (N,) in float64, or the feedback that says why there are no values.
    """
    if not callable(answer):
        return wrong(
            f"This is a {type(answer).__name__}. Give a function of tensors, such as "
            "`lambda x: torch.relu(x)`, or an `nn.Sequential`."
        )
    try:
        with torch.no_grad(), _Recorder() as seen:
            if isinstance(answer, nn.Module):
                dtype = next((p.dtype for p in answer.parameters()), torch.float64)
                result = answer(torch.stack(points, 1).to(dtype))
            else:
                result = answer(*points)
    except Exception as error:
        return wrong(
            f"Your answer raised {type(error).__name__}: {error}. It must work on whole tensors; "
            "use `torch.relu`."
        )
    used = sorted(seen.names & _SHORT_CUTS)
    if used:
        return wrong(
            f"The values come from `torch.{used[0].strip('_')}`, not from ReLUs. "
            "Use sums and `torch.relu` only."
        )
    if not isinstance(result, Tensor) or result.numel() != len(points[0]):
        return wrong(
            f"One number a point was expected, {len(points[0])} in all; your answer has another shape."
        )
    return result.reshape(-1).double()


def far(values: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> bool:
    """Return whether two rows of values differ by more than a tolerance anywhere, or are not finite.

    Args:
        values: (N,).
        wanted: (N,).
        tolerance: largest difference allowed.

    Returns:
        True when they differ.
    """
    return not bool(torch.isfinite(values).all()) or bool((values - wanted).abs().max() > tolerance)


def same(values: Tensor, wanted: Tensor) -> bool:
    """Return whether two rows of values agree up to the rounding of float32.

    Args:
        values: (N,).
        wanted: (N,).

    Returns:
        True when they agree.
    """
    return not far(values, wanted)


def disagreement(values: Tensor, wanted: Tensor, *points: Tensor) -> str:
    """Say where an answer is worst, and by how much.

    Args:
        values: (N,), the answer's.
        wanted: (N,).
        points: d tensors, (N,) each.

    Returns:
        One sentence.
    """
    worst = int((values - wanted).abs().argmax())
    at = ", ".join(f"{float(p[worst]):.4g}" for p in points)
    return f"At ({at}) your value is {float(values[worst]):.4g}; it should be {float(wanted[worst]):.4g}."


def without_products(answer: Any) -> Any:
    """Make a function refuse to multiply two tensors: that would be the answer without the network.

    Args:
        answer: anything; modules come back as they are.

    Returns:
        The guarded function.
    """
    if isinstance(answer, nn.Module) or not callable(answer):
        return answer

    class _NoProducts(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            name = getattr(func, "__name__", "")
            tensors = [a for a in args if isinstance(a, Tensor) and a.numel() > 1]
            if name in ("mul", "__mul__", "__rmul__", "multiply") and len(tensors) == 2:
                raise ValueError("two tensors were multiplied; only numbers may be multiplied with tensors")
            return func(*args, **(kwargs or {}))

    def guarded(*points: Tensor) -> Any:
        with _NoProducts():
            return answer(*points)

    return guarded
