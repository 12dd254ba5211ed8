"""Self-checks of the chapter on convolution that run the reader's own function or network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnncourse.notebook.exercises.answers import as_array
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["cheaper_layer", "input_gradient"]

Array = NDArray[np.float64]

# Overlapping windows, windows side by side, inputs that no window reads, and a kernel of even length.
_CASES = ((3, 7, 1), (3, 9, 2), (2, 7, 2), (3, 10, 4), (4, 9, 1))


def _handed_back(w: Array, g: Array, size: int, stride: int) -> Array:
    gradient = np.zeros(size)
    for i, value in enumerate(g):
        gradient[stride * i : stride * i + len(w)] += value * w
    return gradient


def _overwritten(w: Array, g: Array, size: int, stride: int) -> Array:
    gradient = np.zeros(size)
    for i, value in enumerate(g):
        gradient[stride * i : stride * i + len(w)] = value * w
    return gradient


class _Run(NamedTuple):
    """What the reader's function was given, and what it returned."""

    values: Array
    w: Array
    g: Array
    size: int
    stride: int

    def like(self, rule: Callable[[Array, Array, int, int], Array]) -> bool:
        """Return whether a rule returns the same."""
        return np.allclose(self.values, rule(self.w, self.g, self.size, self.stride))


_MISTAKES: dict[str, Callable[[Array, Array, int, int], Array]] = {
    "The kernel is turned around: output $i$ hands $g_i w_j$ to input $s i + j$, so its weights go back in the order "
    "in which they came.": lambda w, g, size, stride: _handed_back(w[::-1], g, size, stride),
    "Where windows overlap, their gradients must be *added*; yours overwrite each other.": _overwritten,
    "You hand the gradient back without the weights. The chain rule multiplies by what the output depends on.": (
        lambda w, g, size, stride: _handed_back(np.ones_like(w), g, size, stride)
    ),
    "You multiply by the upstream gradient nowhere: these are only the weights that touch each input.": (
        lambda w, g, size, stride: _handed_back(w, np.ones_like(g), size, stride)
    ),
}


def input_gradient(answer: Any) -> Feedback:
    """Check a function that sends a gradient back through a strided convolution in one dimension.

    Args:
        answer: called with w (k,), g (outputs,), the number of inputs and the stride; returns (inputs,).

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself: `exercises.input_gradient(back_to_input)`, without a call.")
    rng = np.random.default_rng(0)
    runs = []
    for k, size, stride in _CASES:
        w, g = rng.normal(size=k), rng.normal(size=(size - k) // stride + 1)
        try:
            result = answer(w.copy(), g.copy(), size, stride)
        except Exception as error:
            setting = f"k = {k}, size = {size}, stride = {stride}"
            return wrong(f"For {setting} your function stopped with `{type(error).__name__}: {error}`.")
        if result is None:
            return unanswered("Your function returns nothing yet; end it with `return` and the gradient.")
        values = as_array(result)
        if values is None or values.shape != (size,):
            shape = None if values is None else values.shape
            return wrong(
                f"For {size} inputs the gradient has {size} numbers, one for each input; got {shape}."
            )
        runs.append(_Run(values, w, g, size, stride))
    if all(run.like(_handed_back) for run in runs):
        return right("Also for windows that overlap, for inputs that nobody reads, and for even kernels.")
    for message, mistake in _MISTAKES.items():
        if all(run.like(mistake) for run in runs):
            return wrong(message)
    if all(run.like(_handed_back) for run in runs if run.stride == 1):
        return wrong("Right for stride 1. With stride $s$ the window of output $i$ starts at input $s i$.")
    first = next(run for run in runs if not run.like(_handed_back))
    return wrong(
        f"Wrong for a kernel of {len(first.w)}, {first.size} inputs and stride {first.stride}. Set $g$ to a single "
        "1: the gradient must then be the kernel, laid where that window was."
    )


_MOST_PARAMETERS = 10_000


def cheaper_layer(answer: Any) -> Feedback:
    """Check a cheap stand-in for a 3 x 3 convolution with stride 2 from 64 to 128 channels.

    Args:
        answer: module from (N, 64, H, W) to (N, 128, H', W').

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, nn.Module):
        return wrong("Give an `nn.Module`, for example an `nn.Sequential`.")
    was_training = answer.training
    answer.eval()
    try:
        return _shapes(answer) or _size(answer) or _sight(answer)
    finally:
        answer.train(was_training)


def _shapes(model: nn.Module) -> Feedback | None:
    for height, width in ((8, 8), (7, 12)):
        images = torch.zeros(2, 64, height, width, dtype=_dtype(model))
        expected = (2, 128, (height + 1) // 2, (width + 1) // 2)
        try:
            with torch.no_grad():
                output = model(images)
        except (RuntimeError, ValueError, TypeError) as error:
            return wrong(f"It does not take {height} × {width} maps with 64 channels: `{error}`")
        if not isinstance(output, Tensor) or tuple(output.shape) != expected:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            return wrong(
                f"Maps of 64 × {height} × {width} must become {' × '.join(map(str, expected[1:]))}, got {shape} for "
                "two of them. Is there one stride of 2 and a padding of 1 with the 3 × 3 kernel?"
            )
    return None


def _dtype(model: nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in model.parameters()), torch.float32)


def _size(model: nn.Module) -> Feedback | None:
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > _MOST_PARAMETERS:
        hint = (
            "That is the layer itself."
            if count in (73_856, 73_728)
            else "Split looking around from mixing channels."
        )
        return wrong(f"It has {count:,} parameters, more than {_MOST_PARAMETERS:,}. {hint}")
    return None


def _sight(model: nn.Module) -> Feedback:
    """Look at which inputs each output at one place depends on, by the gradients of some random images."""
    generator = torch.Generator().manual_seed(0)
    # Many images, because an activation function may silence a channel for some of them.
    images = torch.randn(16, 64, 9, 9, generator=generator).to(_dtype(model)).requires_grad_(True)
    outputs = model(images)[:, :, 2, 2].sum(dim=0)
    if not outputs.requires_grad:
        return wrong("The output does not depend on the input.")
    seen = torch.zeros(128, 64, 9, 9, dtype=torch.bool)
    for channel in range(128):
        (gradient,) = torch.autograd.grad(outputs[channel], images, retain_graph=True, allow_unused=True)
        if gradient is not None:
            seen[channel] = (gradient != 0).any(dim=0)
    channels = seen.any(dim=(2, 3)).sum(dim=1)
    if int(channels.min()) < 64:
        return wrong(
            f"Some output channels see only {int(channels.min())} of the 64 input channels: groups do not talk to "
            "each other. Which layer mixes channels at each place, and nothing else?"
        )
    places = seen.any(dim=1)  # (128, 9, 9), for the output at (2, 2)
    if places[:, 3:6, 3:6].all() and int(places.sum()) == 128 * 9:
        count = sum(parameter.numel() for parameter in model.parameters())
        return right(f"{count:,} parameters instead of 73,856, the same field, and all channels are heard.")
    if int(places.sum()) > 128 * 9 and places[:, 3:6, 3:6].all():
        return wrong("Its fields are larger than 3 × 3. One layer that looks around is enough.")
    return wrong(
        "Some outputs see less than 3 × 3 pixels. A 1 × 1 convolution looks at no neighbour: something else must."
    )
