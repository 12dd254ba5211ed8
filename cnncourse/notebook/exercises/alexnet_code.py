"""Self-checks of the chapter on AlexNet that run the reader's own function or network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnncourse.notebook.exercises.answers import as_array
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["local_response", "slim_head", "vote"]

Array = NDArray[np.float64]

# Channels, n, k, alpha, beta: more neighbours than channels, windows of one, and the paper's own numbers.
_SETTINGS = ((8, 5, 2.0, 0.5, 0.75), (6, 3, 1.0, 1.0, 0.5), (3, 5, 1.0, 2.0, 1.0), (5, 1, 2.0, 1.0, 0.75))


def _sums(squares: Array, half: int) -> Array:
    return np.array([squares[max(0, i - half) : i + half + 1].sum() for i in range(len(squares))])


def _normalised(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    result: Array = a / (k + alpha * _sums(a**2, n // 2)) ** beta
    return result


def _wrapped(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    sums = np.sum([np.roll(a**2, shift) for shift in range(-(n // 2), n // 2 + 1)], axis=0)
    result: Array = a / (k + alpha * sums) ** beta
    return result


Rule = Callable[[Array, int, float, float, float], Array]

_MISTAKES: dict[str, Rule] = {
    "You divide α by n, as PyTorch does: the paper's formula does not.": (
        lambda a, n, k, alpha, beta: _normalised(a, n, k, alpha / n, beta)
    ),
    "Your window wraps around: at the ends the sum has fewer terms.": _wrapped,
    "Your sum leaves the channel itself out; $j$ runs over $i$ as well.": (
        lambda a, n, k, alpha, beta: a / (k + alpha * (_sums(a**2, n // 2) - a**2)) ** beta
    ),
    "Your window has n channels on *each side*; n is the width of the whole window.": (
        lambda a, n, k, alpha, beta: a / (k + alpha * _sums(a**2, n)) ** beta
    ),
    "The power β is missing: the whole bracket is raised to it.": (
        lambda a, n, k, alpha, beta: a / (k + alpha * _sums(a**2, n // 2))
    ),
    "You multiply by the bracket; a busy neighbourhood must make the value *smaller*.": (
        lambda a, n, k, alpha, beta: a * (k + alpha * _sums(a**2, n // 2)) ** beta
    ),
    "You sum the values themselves; the formula sums their squares.": (
        lambda a, n, k, alpha, beta: a / (k + alpha * _sums(np.abs(a), n // 2)) ** beta
    ),
}


def local_response(answer: Any) -> Feedback:
    """Check a function for local response normalisation over channels at one place.

    Args:
        answer: called with a (C,), n, k, alpha and beta; returns (C,).

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself: `exercises.local_response(normalise)`, without a call.")
    rng = np.random.default_rng(0)
    runs: list[tuple[Array, tuple[Array, int, float, float, float]]] = []
    for channels, n, k, alpha, beta in _SETTINGS:
        a = rng.uniform(0.2, 2.0, size=channels)
        try:
            result = answer(a.copy(), n, k, alpha, beta)
        except Exception as error:
            return wrong(
                f"For {channels} channels and n = {n} your function stopped with `{type(error).__name__}: {error}`."
            )
        if result is None:
            return unanswered("Your function returns nothing yet; end it with `return` and the new values.")
        values = as_array(result)
        if values is None or values.shape != (channels,):
            shape = None if values is None else values.shape
            return wrong(f"For {channels} channels the result has {channels} numbers; got {shape}.")
        runs.append((values, (a, n, k, alpha, beta)))
    if all(np.allclose(values, _normalised(*given)) for values, given in runs):
        return right("Also at the ends, and where the window is wider than the channels there are.")
    for message, rule in _MISTAKES.items():
        if all(np.allclose(values, rule(*given)) for values, given in runs):
            return wrong(message)
    _values, (first, n, *_rest) = next(
        (values, given) for values, given in runs if not np.allclose(values, _normalised(*given))
    )
    return wrong(
        f"Wrong for {len(first)} channels and n = {n}. Work out the sum of squares of the first channel: it has "
        f"{min(len(first), n // 2 + 1)} terms."
    )


def _softmax(logits: Array, axis: int = -1) -> Array:
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    shares: Array = powers / powers.sum(axis, keepdims=True)
    return shares


def _majority(logits: Array) -> Array:
    count = logits.shape[-1]
    votes = np.stack([np.bincount(column, minlength=count) for column in logits.argmax(-1).T])
    chosen: Array = votes.argmax(-1)
    return chosen


_VOTES: dict[str, Callable[[Array], Array]] = {
    "You average the *logits*: then a network that shouts outvotes the others. Average probabilities.": (
        lambda logits: logits.mean(0).argmax(-1)
    ),
    "You count votes, one for each network: that forgets how sure each of them is. Average probabilities.": _majority,
    "Only the first network decides.": lambda logits: logits[0].argmax(-1),
    "Only the last network decides.": lambda logits: logits[-1].argmax(-1),
    "Your softmax runs over the images: it must run over the classes, the last axis.": (
        lambda logits: _softmax(logits, 1).mean(0).argmax(-1)
    ),
    "You let the single surest network decide; average over all of them.": (
        lambda logits: _softmax(logits).max(0).argmax(-1)
    ),
}


def vote(answer: Any) -> Feedback:
    """Check a function that lets several networks vote by the mean of their probabilities.

    Args:
        answer: called with a tensor (M, N, K) of logits; returns (N,) classes.

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself: `exercises.vote(together)`, without a call.")
    # Rows of different loudness, and enough of them that every mistake chooses another class somewhere.
    logits = np.random.default_rng(0).normal(size=(5, 200, 6)) * np.array([1, 1, 2, 4, 9.0])[:, None, None]
    try:
        result = answer(torch.tensor(logits))
    except Exception as error:
        return wrong(f"Your function stopped with `{type(error).__name__}: {error}`.")
    if result is None:
        return unanswered("Your function returns nothing yet; end it with `return` and the classes.")
    chosen = as_array(result)
    if chosen is None or chosen.shape != (200,):
        shape = None if chosen is None else chosen.shape
        hint = " Take the argmax over the classes at the end." if shape == (200, 6) else ""
        return wrong(f"For 200 images the answer is 200 classes; got shape {shape}.{hint}")
    if np.array_equal(chosen, _softmax(logits).mean(0).argmax(-1)):
        return right("Softmax over classes, mean over networks, then the largest: as the paper does.")
    for message, rule in _VOTES.items():
        if np.array_equal(chosen, rule(logits)):
            return wrong(message)
    return wrong(
        "Softmax over the last axis, mean over the first, then the argmax over what is now the last."
    )


_MOST_PARAMETERS = 300_000


def slim_head(answer: Any) -> Feedback:
    """Check a head with few parameters for AlexNet's last maps.

    Args:
        answer: module from (N, 256, 6, 6) to (N, 1000).

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, nn.Module):
        return wrong("Give an `nn.Module`, for example an `nn.Sequential`.")
    was_training = answer.training
    answer.eval()
    try:
        return _judged(answer)
    finally:
        answer.train(was_training)


def _judged(model: nn.Module) -> Feedback:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 256, 6, 6, generator=generator, requires_grad=True)
    try:
        output = model(maps)
    except (RuntimeError, ValueError, TypeError) as error:
        return wrong(f"It does not take maps of 256 × 6 × 6: `{error}`")
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, 1000):
        hint = " Flatten the 1 × 1 maps." if shape == (2, 1000, 1, 1) else ""
        return wrong(f"Two images must give logits of shape (2, 1000), got {shape}.{hint}")
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > _MOST_PARAMETERS:
        return wrong(
            f"It has {count:,} parameters, more than {_MOST_PARAMETERS:,}. What makes FC6 large: places or channels?"
        )
    if not output.requires_grad:
        return wrong("The output does not depend on the maps.")
    (gradient,) = torch.autograd.grad(output.square().sum(), maps)
    if not bool((gradient != 0).any(3).any(2).all()):
        return wrong(
            "Some channels of the maps have no influence on the logits. Average places, not channels."
        )
    if isinstance(gradient, Tensor) and not bool((gradient != 0).any(1).all()):
        return wrong("Some places of the maps have no influence on the logits: average all 36 of them.")
    return right(f"{count:,} parameters instead of 58,631,144, and any size of map will do if you average.")
