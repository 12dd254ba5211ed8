"""Self-checks of the chapter on pooling and LeNet-5 that run the reader's own function or network."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnncourse.notebook.exercises.answers import as_array
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["invariant_network", "max_pool_gradient"]

Array = NDArray[np.float64]


_GRADIENT_CASE = (
    np.array([[1.0, 3.0, 2.0, 0.0], [0.0, 2.0, 5.0, 1.0], [4.0, 4.0, -1.0, -2.0], [0.0, 4.0, -3.0, -4.0]]),
    np.array([[10.0, 20.0], [30.0, 40.0]]),
)


def _gradient_of(images: Array, upstream: Array, rule: str) -> Array:
    """Return what the right rule, or a typical wrong one, sends down."""
    result = np.zeros_like(images)
    for row, column in np.ndindex(*upstream.shape):
        window = images[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        share = np.zeros((2, 2))
        if rule == "mean":
            share[:] = 0.25
        elif rule == "ties":
            share[window == window.max()] = 1.0
        elif rule == "corner":
            share[0, 0] = 1.0
        elif rule == "last":
            share.flat[3 - int(window[::-1, ::-1].argmax())] = 1.0
        else:
            share.flat[int(window.argmax())] = 1.0
        slope = window.max() if rule == "values" else 1.0
        scale = 1.0 if rule == "ones" else upstream[row, column] * slope
        result[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = share * scale
    return result


def max_pool_gradient(answer: Any) -> Feedback:
    """Check a function that sends the gradient of 2 x 2 max pooling back to the pixels.

    Args:
        answer: function of images (H, W) and the gradient of the pooled map (H/2, W/2); returns (H, W).

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong(
            "Give the function itself, without brackets: `exercises.max_pool_gradient(my_function)`."
        )
    images, upstream = _GRADIENT_CASE
    try:
        returned = answer(images.copy(), upstream.copy())
    except Exception as error:  # whatever the reader's function raises is their feedback
        return wrong(f"Your function stopped with `{type(error).__name__}: {error}` on a 4 × 4 map.")
    if returned is None or returned is ...:
        return unanswered("Your function returns nothing yet; end it with `return` and the gradient.")
    values = as_array(returned)
    if values is None or values.shape != images.shape:
        shape = "no table of numbers" if values is None else f"shape {values.shape}"
        return wrong(f"The gradient has one number a pixel, shape (4, 4), but your function returns {shape}.")
    if np.allclose(values, _gradient_of(images, upstream, "first")):
        return right(
            "All of each window's gradient goes to its winner; of equal values the first one "
            "wins, as in PyTorch."
        )
    mistakes = {
        "mean": "You share the gradient equally: that is *mean* pooling. Max pooling passes it to one pixel.",
        "ties": "Where several pixels are equal to the maximum, you pay each of them in full. The "
        "window's gradient "
        "is there only once: choose the first, as `argmax` does.",
        "corner": "You always pay the upper left pixel: that is *sub-sampling*. Find the window's "
        "arg-max first.",
        "ones": "The right pixels, but with 1 instead of the gradient that arrives from above. "
        "Chain rule: multiply.",
        "values": "You multiplied by the maximum as well. The slope of a maximum with respect to "
        "its winner is 1.",
        "last": "Of equal values you choose the last one. PyTorch, and `argmax`, take the first "
        "in reading order.",
    }
    for rule, message in mistakes.items():
        if np.allclose(values, _gradient_of(images, upstream, rule)):
            return wrong(message)
    if not math.isclose(float(values.sum()), float(upstream.sum())):
        return wrong(
            f"100 units of gradient arrive, {values.sum():g} leave. Each window passes on exactly "
            f"what it receives."
        )
    return wrong(
        "The total is right, but some gradient goes to the wrong pixel. Test each 2 × 2 window by itself."
    )


def invariant_network(answer: Any) -> Feedback:
    """Check a network whose logits do not change when a 32 x 32 image is shifted around its edges.

    Args:
        answer: module from (N, 1, 32, 32) to (N, 10).

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, nn.Module):
        return wrong("Give an `nn.Module`, for example an `nn.Sequential`.")
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    was_training = answer.training
    answer.eval()
    try:
        with torch.no_grad():
            logits = _forward(answer, images)
            if isinstance(logits, Feedback):
                return logits
            moves = [(1, 0), (0, 3), (5, 7), (-2, 9)]
            moved = [answer(images.roll(move, dims=(2, 3))) for move in moves]
    finally:
        answer.train(was_training)
    if not any(isinstance(module, nn.Conv2d) for module in answer.modules()):
        return wrong(
            "There is no convolution in it. Invariance alone is easy: a constant has it. Let it see patterns."
        )
    if float((logits - logits[0]).abs().max()) < 1e-7:
        return wrong("The logits are the same for every image: invariant, but blind.")
    change = max(float((other - logits).abs().max()) for other in moved) / float(logits.abs().max())
    if change < 1e-4:
        return right(
            f"Four shifts change the logits by at most {change:.0e} of their size, rounding only: "
            f"every layer moves with "
            "the image, and the global mean forgets where."
        )
    return wrong(_variance_reason(answer, change))


def _forward(model: nn.Module, images: Tensor) -> Tensor | Feedback:
    try:
        logits = model(images)
    except (RuntimeError, ValueError, TypeError) as error:
        return wrong(f"The network does not take 32 × 32 images: `{error}`")
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (4, 10):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        return wrong(
            f"For 4 images the output must have shape (4, 10), got {shape}. Is the map flattened "
            f"after the mean?"
        )
    return logits


def _variance_reason(model: nn.Module, change: float) -> str:
    """Return which layer breaks the invariance, as far as the layers tell."""
    start = f"A shift changes the logits by {100 * change:.2g} % of their size. "
    modules = list(model.modules())
    strides = [getattr(module, "stride", 1) for module in modules]
    if any((max(s) if isinstance(s, tuple) else s or 1) > 1 for s in strides):
        return (
            start + "A layer with stride 2 keeps every second pixel; which ones, depends on the shift. "
            "Use stride 1."
        )
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    if any(c.padding not in ((0, 0), "valid") and c.padding_mode == "zeros" for c in convolutions):
        return start + "Zero padding tells the network where the border is. Use `padding_mode='circular'`."
    if any(c.padding in ((0, 0), "valid") and max(c.kernel_size) > 1 for c in convolutions):
        return start + "Without padding the map loses its border, and what moves across it. Pad circularly."
    if not any(isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) for module in modules):
        return (
            start + "A linear layer over the flattened map weighs every place differently. Average over "
            "the map first."
        )
    return (
        start + "Some layer treats places differently. Test the layers one by one: shift, then layer, "
        "against layer, then shift."
    )
