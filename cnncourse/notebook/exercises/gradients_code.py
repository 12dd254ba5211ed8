"""Self-checks of the chapter on gradients that run the reader's own function or network."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.inspection import gradient_statistics
from cnncourse.notebook.exercises.answers import as_number
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["gain", "group_normalise", "steady_network"]

Function = Callable[[Tensor], Tensor]


def _normal_grid() -> tuple[Tensor, Tensor]:
    """Return points and weights that integrate against the standard normal density."""
    points = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    weights = torch.exp(-points.square() / 2)
    return points, weights / weights.sum()


def _moments(activation: Function) -> tuple[float, float, float]:
    """Return E[g²], Var[g] and E[g'²] for a standard normal input."""
    points, weights = _normal_grid()
    points.requires_grad_(True)
    values = activation(points)
    (slopes,) = torch.autograd.grad(values.sum(), points)
    with torch.no_grad():
        mean, square = (weights * values).sum(), (weights * values.square()).sum()
        return float(square), float(square - mean.square()), float((weights * slopes.square()).sum())


def gain(answer: Any) -> Feedback:
    """Check a function that returns, for any activation, the c in Var(w) = c / n that keeps the signal.

    Args:
        answer: function of an activation, which maps a tensor to a tensor; returns c.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself, without brackets: `exercises.gain(my_function)`.")
    cases: Sequence[tuple[str, Function]] = (
        ("ReLU", torch.relu),
        ("tanh", torch.tanh),
        ("SiLU", functional.silu),
        ("leaky ReLU", lambda z: functional.leaky_relu(z, 0.2)),
    )
    for name, activation in cases:
        try:
            returned = answer(activation)
        except Exception as error:  # whatever the reader's function raises is their feedback
            return wrong(f"Your function stopped with `{type(error).__name__}: {error}` on {name}.")
        value = None if returned is None else as_number(returned)
        if value is None:
            return unanswered("Your function returns no number yet; end it with `return`.")
        square, variance, slope = _moments(activation)
        if math.isclose(value, 1 / square, rel_tol=0.04):
            continue
        mistakes = (
            (square, "That is E[g(z)²], the share that passes. The weights must undo it."),
            (math.sqrt(1 / square), "That is the square root of c; c belongs to the *variance* of the weights."),
            (1 / variance, "You subtracted the square of the mean. The next layer adds up a², mean and all: "
             "take the mean square, not the variance."),
            (1 / slope, "You measured the slopes g'(z)²: that keeps the *gradient*. Asked is the signal."),
            (2.0, "2 is right for ReLU. Another activation passes another share."),
        )  # fmt: skip
        for number, message in mistakes:
            if math.isclose(value, number, rel_tol=0.02):
                return wrong(f"For {name} you get {value:.3g}. {message}")
        return wrong(
            f"For {name} you get {value:.3g}, not {1 / square:.3g}. Draw z from a standard normal (a hundred "
            "thousand numbers are enough), apply the activation, and take 1 over the mean square."
        )
    return right("c = 1/E[g(z)²]: 2 for ReLU, 2.54 for tanh, 2.81 for SiLU. He's rule is one case of many.")


def group_normalise(answer: Any) -> Feedback:
    """Check a group norm without factor and offset.

    Args:
        answer: function of maps (N, C, H, W) and a number of groups; returns (N, C, H, W).

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself, without brackets: `exercises.group_normalise(my_function)`.")
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 3, 0.5, 2, 4, 1]).view(1, 6, 1, 1)
    maps = scale * torch.randn(3, 6, 4, 5, generator=generator) + scale.flip(1)
    try:
        returned = answer(maps.clone(), 2)
    except Exception as error:  # whatever the reader's function raises is their feedback
        return wrong(
            f"Your function stopped with `{type(error).__name__}: {error}` on maps 3×6×4×5, 2 groups."
        )
    if returned is None or returned is ...:
        return unanswered("Your function returns nothing yet; end it with `return` and the maps.")
    if not isinstance(returned, Tensor) or returned.shape != maps.shape:
        shape = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
        return wrong(f"The maps keep their shape (3, 6, 4, 5), but your function returns {shape}.")
    if torch.allclose(returned, functional.group_norm(maps, 2), atol=1e-3):
        return right("Each image by itself, three neighbouring channels together: no batch in sight.")
    standard = {
        "The statistics are those of the whole batch, as in batch norm. Leave the images apart.": (0, 2, 3),
        "That is instance norm: each channel by itself. Take the channels of a group together.": (2, 3),
        "That normalises each pixel over all channels. Take all pixels of a group together.": (1,),
        "That is layer norm, one group. Split the channels into two groups first.": (1, 2, 3),
    }
    for message, axes in standard.items():
        variance, mean = torch.var_mean(maps, axes, correction=0, keepdim=True)
        if torch.allclose(returned, (maps - mean) / variance.sqrt(), atol=1e-3):
            return wrong(message)
    every_other = maps.view(3, 3, 2, 4, 5)
    mean, variance = every_other.mean((1, 3, 4), keepdim=True), every_other.var((1, 3, 4), keepdim=True)
    interleaved = ((every_other - mean) / variance.sqrt()).view_as(maps)
    if torch.allclose(returned, interleaved, atol=0.05):
        return wrong("Your groups take every second channel. A group is a run of *neighbouring* channels.")
    groups = maps.view(3, 2, -1)
    if torch.allclose(returned, (groups - groups.mean(2, keepdim=True)).view_as(maps), atol=1e-3):
        return wrong("The mean is gone; now divide by the standard deviation.")
    unbiased = (groups - groups.mean(2, keepdim=True)) / groups.std(2, keepdim=True)
    if torch.allclose(returned, unbiased.view_as(maps), atol=1e-3):
        return wrong("Nearly. Divide the sum of squares by the number of values, not by one less.")
    return wrong("Reshape to N × groups × everything else, normalise the last axis, and reshape back.")


def steady_network(answer: Any) -> Feedback:
    """Check a deep ReLU network without normalisation whose gradient arrives at its first layer unharmed.

    Args:
        answer: module from (N, 64) to (N, 10) with at least 30 ``nn.Linear`` layers and ReLUs between them.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, nn.Module):
        return wrong("Give an `nn.Module`, for example an `nn.Sequential`.")
    linear = [module for module in answer.modules() if isinstance(module, nn.Linear)]
    others = [m for m in answer.modules() if "Norm" in type(m).__name__]
    if others:
        return wrong(f"`{type(others[0]).__name__}` does the work for you. Do it with the weights alone.")
    if len(linear) < 30:
        return wrong(f"The network has {len(linear)} linear layers; at least 30 were asked for.")
    relus = sum(isinstance(module, nn.ReLU) for module in answer.modules())
    if relus < 29:
        return wrong(f"There are {relus} ReLUs. Put one after each linear layer but the last.")
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 64, generator=generator)
    targets = torch.randint(10, (64,), generator=generator)
    try:
        rows = gradient_statistics(answer, images, targets, layers=[nn.Linear]).rows
    except (RuntimeError, ValueError) as error:
        return wrong(f"The network does not take a batch of 64 × 64 numbers to 10 logits: `{error}`")
    first, last = rows[0].output_gradient_rms, rows[-2].output_gradient_rms
    if not last > 0 or not first > 0:
        return wrong(
            "No gradient arrives at all: some layer is silent. Are all weights zero, or all units dead?"
        )
    # A unit of a wide layer gets a smaller share of the same gradient: compare lengths, not means.
    ratio = first / last * math.sqrt(linear[0].out_features / linear[-2].out_features)
    if 1 / 3 <= ratio <= 3:
        return right(
            f"First and last hidden layer differ by a factor of {max(ratio, 1 / ratio):.1f}. Width helps: the "
            "logarithm wanders by about ½√(5L/n)."
        )
    if ratio < 1 / 3:
        per_layer = ratio ** (1 / (len(linear) - 2))
        hint = (
            "PyTorch's default"
            if per_layer < 0.5
            else "Glorot's rule"
            if per_layer < 0.8
            else "A narrow network"
        )
        return wrong(
            f"The first layer gets {ratio:.1e} of the last one's gradient, a factor of {per_layer:.2f} a layer. "
            f"{hint} does that. What variance puts back what a ReLU takes away?"
        )
    return wrong(
        f"The first layer gets {ratio:.1e} times the last one's gradient: it explodes. Smaller weights, or "
        "wider layers so that chance has less to say."
    )
