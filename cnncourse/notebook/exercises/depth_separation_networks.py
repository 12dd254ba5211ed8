"""Self-checks of the chapter on depth separation whose answers are functions or networks."""

from typing import Any

import torch
from torch import nn

from cnncourse.notebook.exercises.relu_answers import disagreement, far, same, values_of, without_products
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong
from cnncourse.theory import count_pieces, sawtooth_values

__all__ = ["absolute_value", "maximum", "product", "triangle_wave", "width_three"]


def absolute_value(answer: Any) -> Feedback:
    """Judge a ReLU form of |x|.

    Args:
        answer: a function of a tensor, or a module reading (N, 1); ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    x = torch.linspace(-3, 3, 25, dtype=torch.float64)
    values = values_of(answer, x)
    if isinstance(values, Feedback):
        return values
    if same(values, x.abs()):
        return right(
            "One ReLU carries the right half, a second one, facing left, the left half. One unit cannot."
        )
    if same(values, x.relu()):
        return wrong(
            "This is $\\sigma(x)$: right for $x \\ge 0$ and 0 on the left. Which ReLU is active on the left?"
        )
    if same(values, x):
        return wrong(
            "This is $x$ itself. Subtracting $\\sigma(-x)$ rebuilds the identity; "
            "the left half must count upwards."
        )
    if same(values, -x.abs()):
        return wrong("Upside down: this is $-|x|$. Both output weights have the wrong sign.")
    return wrong(disagreement(values, x.abs(), x))


def maximum(answer: Any) -> Feedback:
    """Judge a ReLU form of max(x, y).

    Args:
        answer: a function of two tensors, or a module reading (N, 2); ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    grid = torch.linspace(-2, 2, 9, dtype=torch.float64)
    x, y = (part.reshape(-1) for part in torch.meshgrid(grid, grid, indexing="ij"))
    values = values_of(answer, x, y)
    if isinstance(values, Feedback):
        return values
    wanted = torch.maximum(x, y)
    if same(values, wanted):
        return right(
            "$\\max(x, y) = y + \\sigma(x - y)$: start from one of them, add what the other is ahead."
        )
    if same(values, torch.minimum(x, y)):
        return wrong("This is the minimum. Add the lead of $x$ over $y$ instead of subtracting it.")
    if same(values, (x - y).relu()):
        return wrong("$\\sigma(x - y)$ is only the lead of $x$ over $y$. Something must be added to it.")
    if same(values, wanted.relu()):
        return wrong(
            "Right unless both are negative: there you return 0. A ReLU that carries $y$ loses its sign; "
            "$y = \\sigma(y) - \\sigma(-y)$ keeps it."
        )
    if same(values, x + (x - y).relu()):
        return wrong("You added the lead of $x$ to $x$ itself. Add it to the other one.")
    return wrong(disagreement(values, wanted, x, y))


def width_three(answer: Any) -> Feedback:
    """Judge a builder of networks with n layers of three units and at least 2^n pieces on [0, 1].

    Args:
        answer: n to ``nn.Sequential``; ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    if isinstance(answer, nn.Module) or not callable(answer):
        return wrong("Give a function `build(n)` that returns an `nn.Sequential`, not one network.")
    counts = []
    for n in range(1, 6):
        try:
            network = answer(n)
            hidden = [layer.out_features for layer in network if isinstance(layer, nn.Linear)][:-1]
            pieces = count_pieces(network)
        except Exception as error:
            return wrong(f"`build({n})` does not work as a ReLU network on [0, 1]: {error}.")
        if any(width != 3 for width in hidden):
            return wrong(f"`build({n})` has hidden widths {hidden}; each must be 3.")
        if len(hidden) != n:
            return wrong(f"`build({n})` has {len(hidden)} hidden layers; it should have {n}.")
        counts.append(pieces)
    if all(count >= 3**n for n, count in enumerate(counts, 1)):
        return right(
            f"Pieces for n = 1 … 5: {counts}. That is even $3^n$: three pieces that each cover [0, 1]."
        )
    if all(count >= 2**n for n, count in enumerate(counts, 1)):
        return right(
            f"Pieces for n = 1 … 5: {counts}, at least $2^n$. Three units a layer "
            f"can reach $3^n$: do you see how?"
        )
    if counts == list(
        range(counts[0], counts[0] + 5 * (counts[1] - counts[0]), max(counts[1] - counts[0], 1))
    ):
        return wrong(
            f"Pieces for n = 1 … 5: {counts}. They grow by addition: each layer "
            f"must fold the *whole* range [0, 1] "
            "again, so every piece before it must run from 0 to 1."
        )
    short = next(n for n, count in enumerate(counts, 1) if count < 2**n)
    return wrong(
        f"Pieces for n = 1 … 5: {counts}; n = {short} needs {2**short}. Check that the values stay in [0, 1] "
        "between the layers and that each layer folds all of it."
    )


def triangle_wave(answer: Any) -> Feedback:
    """Judge a triangle wave of period 3 on [0, 12], 0 at multiples of 3 and 1 half-way between.

    Args:
        answer: a function of a tensor, or a module reading (N, 1); ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    x = torch.linspace(0, 12, 97, dtype=torch.float64)
    values = values_of(answer, x)
    if isinstance(values, Feedback):
        return values
    wanted = sawtooth_values(x / 12, 3)
    if same(values, wanted):
        return right(
            "Four teeth of period 3 fill [0, 12]: $m^{(3)}(x/12)$, 10 nodes. "
            "Each further doubling of the teeth costs three more."
        )
    if same(values, 1 - wanted):
        return wrong("Upside down: the wave must be 0 at 0, 3, 6, … and 1 half-way between.")
    for n, period in ((2, 6), (4, 1.5), (1, 12), (5, 0.75)):
        if same(values, sawtooth_values(x / 12, n)):
            return wrong(
                f"This is $m^{{({n})}}(x/12)$, a wave of period {period:g}: $m^{{(n)}}$ "
                f"has $2^{{n-1}}$ teeth, not $2^n$."
            )
    if any(same(values, sawtooth_values(x, n)) for n in range(1, 6)):
        return wrong(
            "You did not squeeze the axis: $m$ is 0 outside [0, 1]. Divide $x$ by the length 12 first."
        )
    if same(values, sawtooth_values(x / 3, 1)):
        return wrong(
            "One tooth of the right width, then 0. Stretch one iterate with four teeth over all of [0, 12]."
        )
    return wrong(disagreement(values, wanted, x))


def product(answer: Any) -> Feedback:
    """Judge an approximate product of two numbers of [0, 1], made of squares.

    Args:
        answer: a function of two tensors, or a module reading (N, 2); ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    grid = torch.linspace(0, 1, 41, dtype=torch.float64)
    x, y = (part.reshape(-1) for part in torch.meshgrid(grid, grid, indexing="ij"))
    values = values_of(without_products(answer), x, y)
    if isinstance(values, Feedback):
        return values
    wanted = x * y
    worst = float((values - wanted).abs().max())
    if worst <= 1e-3:
        return right(
            f"Largest error on a grid: {worst:.1e}. ReLU networks multiply, and the "
            f"error falls fourfold a layer."
        )
    if not far(values, wanted / 2, 1e-3):
        return wrong("A factor 2 is missing: you return $xy/2$.")
    if not far(values, 2 * wanted, 1e-3):
        return wrong("A factor 2 too many: $(x + y)^2 - x^2 - y^2$ is $2xy$.")
    if not far(values, ((x + y) / 2) ** 2, 1e-3):
        return wrong("This is $((x + y)/2)^2$, which still contains $x^2$ and $y^2$. Subtract them.")
    inside = (x + y) <= 1
    if not far(values[inside], wanted[inside], 1e-3):
        return wrong(
            "Right while $x + y \\le 1$. Beyond that the square leaves its "
            "interval [0, 1]: halve the sum first."
        )
    return wrong(
        f"The largest error is {worst:.2g}; the task allows 0.001. " + disagreement(values, wanted, x, y)
    )
