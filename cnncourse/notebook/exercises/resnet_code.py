"""Self-checks of the chapter on residual networks that run the reader's own function: sizes and shortcuts."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["as_tensor", "family_parameters", "option_a"]


def as_tensor(returned: Any) -> Tensor | None:
    """Return what a reader's function gave as a tensor of floats, or None if it is no table of numbers.

    Args:
        returned: a tensor, an array or nested sequences.

    Returns:
        The tensor, with all of its axes, or None.
    """
    if isinstance(returned, Tensor):
        return returned.detach().float()
    return None if as_array(returned) is None else torch.tensor(returned).float()


def _family(depth: int, slip: str = "") -> int:
    """Return the parameters of a CIFAR ResNet with option A, or what a typical slip makes of them."""
    n = depth // 6 if slip == "n" else (depth - 2) // 6
    norm = 0 if slip == "norm" else 1 if slip == "half norm" else 2
    total = 3 * 16 * 9 + norm * 16
    read = 16
    for filters in (16, 32, 64):
        first = filters if slip == "first" else read
        total += first * filters * 9 + (2 * n - 1) * filters * filters * 9 + 2 * n * norm * filters
        if slip == "projection" and read != filters:
            total += read * filters + 2 * filters
        if slip == "bias":
            total += 2 * n * filters
        read = filters
    return total + (640 if slip == "head bias" else 0 if slip == "head" else 650)


_FAMILY_SLIPS = {
    "norm": "The batch norms are missing: two numbers, factor and offset, for each channel of each convolution.",
    "half norm": "A batch norm has *two* numbers for each channel, a factor and an offset.",
    "first": "The first convolution of stages 2 and 3 reads the channels of the stage before: 16 and 32, not 32 and "
    "64.",
    "n": "depth = 6n + 2, so n = (depth − 2)/6; the first convolution and the last layer are the 2.",
    "projection": "Those are projections in the shortcuts (option B). The networks for CIFAR-10 pad with zeros and "
    "have none.",
    "bias": "Convolutions in front of a batch norm have no biases: the norm would subtract them again.",
    "head bias": "The ten outputs have biases: 64 · 10 + 10.",
    "head": "The last layer is missing: 64 · 10 weights and 10 biases.",
}


def family_parameters(answer: Any) -> Feedback:
    """Check a function from depth to the parameters of the residual network for CIFAR-10.

    Args:
        answer: function of a depth 6n + 2; returns a whole number.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself, without brackets: `exercises.family_parameters(parameters)`.")
    for depth in (20, 56, 8, 1202):
        try:
            returned = answer(depth)
        except Exception as error:  # whatever the reader's function raises is their feedback
            return wrong(f"Your function stopped with `{type(error).__name__}: {error}` for depth {depth}.")
        if returned is None or returned is ...:
            return unanswered("Your function returns nothing yet; end it with `return` and the number.")
        value = as_number(returned)
        if value is None:
            return wrong(f"The answer is one number, but your function returns {type(returned).__name__}.")
        if value == _family(depth):
            continue
        for slip, message in _FAMILY_SLIPS.items():
            if value == _family(depth, slip):
                return wrong(message)
        return wrong(
            f"For depth {depth} you get {value:,.0f}; there are {_family(depth):,}. Write down one stage at a time: "
            "its first convolution, the 2n − 1 others, and 2n batch norms."
        )
    return right(
        "For each n, 97 216 parameters more: the family grows by one straight line, and 1 202 layers still have fewer "
        "parameters than ResNet-34."
    )


def _case() -> Tensor:
    """Return maps in which no number occurs twice, and none is zero."""
    return torch.arange(1, 2 * 3 * 5 * 6 + 1).float().view(2, 3, 5, 6)


def option_a(answer: Any) -> Feedback:
    """Check a function that makes a shortcut of option A with stride 2.

    Args:
        answer: function of maps (N, C, H, W) and a number of channels; returns the maps of the shortcut.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself, without brackets: `exercises.option_a(my_function)`.")
    maps = _case()
    try:
        returned = answer(maps.clone(), 8)
    except Exception as error:  # whatever the reader's function raises is their feedback
        return wrong(
            f"Your function stopped with `{type(error).__name__}: {error}` on 2×3×5×6 maps and 8 channels."
        )
    if returned is None or returned is ...:
        return unanswered("Your function returns nothing yet; end it with `return` and the maps.")
    found = as_tensor(returned)
    if found is None:
        return wrong("Your function returns no maps; return a tensor.")
    if found.shape != (2, 8, 3, 3):
        shape = "×".join(map(str, found.shape))
        hints: dict[tuple[int, ...], str] = {
            (2, 8, 5, 6): "The stride is missing: keep every second row and every second column.",
            (2, 3, 3, 3): "The channels are missing: 3 come in, 8 must go out.",
            (2, 8, 2, 3): "You dropped the last row: of 5 rows the first, third and fifth stay.",
            (2, 11, 3, 3): "You added 8 channels of zeros; 8 is how many there are *in all*.",
        }
        return wrong(f"Wanted is 2×8×3×3, you return {shape}. {hints.get(tuple(found.shape), '')}".strip())
    return _placed(maps, found)


def _placed(maps: Tensor, found: Tensor) -> Feedback:
    """Judge maps of the right shape: every channel that came in once, the others zero."""
    kept = maps[:, :, ::2, ::2]
    places = [
        [place for place in range(8) if torch.equal(found[:, place], kept[:, channel])]
        for channel in range(3)
    ]
    full = [place for place in range(8) if bool(found[:, place].any())]
    if any(len(where) > 1 for where in places) or (all(places) and len(full) > 3):
        return wrong("The additional channels must be zeros; yours hold something else.")
    if all(places):
        order = [where[0] for where in places]
        if order != sorted(order):
            return wrong("All channels are there, but in another order; leave them as they come.")
        return right(
            "No parameter, no multiplication: a quarter of the pixels, and zeros where the block has new channels."
        )
    others = {
        "That is the mean of 2 × 2 pixels. Option A keeps one of four and ignores the rest.":
            functional.avg_pool2d(maps, 2, ceil_mode=True),
        "That is max pooling. Option A keeps one of four pixels and ignores the rest.":
            functional.max_pool2d(maps, 2, ceil_mode=True),
        "The first row and the first column are kept in option A: start at 0, not at 1.":
            functional.pad(maps, (0, 1, 0, 1))[:, :, 1::2, 1::2],
    }  # fmt: skip
    for message, tried in others.items():
        if tried.shape[2:] == found.shape[2:] and any(
            torch.allclose(found[:, place], tried[:, 0]) for place in range(8)
        ):
            return wrong(message)
    return wrong("The shape is right, but the maps are not the input's rows and columns 0, 2, 4.")
