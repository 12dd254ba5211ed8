"""Self-checks of the chapter on gradients: each says what is right, or names the mistake."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.exercises.gradients_code import gain, group_normalise, steady_network
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "batch_norm_by_hand",
    "chain_by_hand",
    "dead_or_alive",
    "fold_by_hand",
    "gain",
    "group_normalise",
    "leaky_scale",
    "steady_network",
]


def _first_match(value: float, mistakes: Mapping[float, str], relative: float = 0.01) -> str | None:
    """Return the message of the mistake that gives this number."""
    for number, message in mistakes.items():
        if math.isclose(value, number, rel_tol=relative, abs_tol=1e-9):
            return message
    return None


def chain_by_hand(answer: Any) -> Feedback:
    """Check the derivative of a chain of three units, done by hand.

    Args:
        answer: one number.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one number: the product of three slopes and three weights.")
    if math.isclose(value, -1.0, abs_tol=1e-6):
        return right("¼ · 2, then 1 · (−4), then ½: the factors ½, −4 and ½ multiply to −1.")
    mistakes = {
        1.0: "The size is right. One weight is negative; count the signs.",
        -4.0: "That is the product of the three weights. Each unit also multiplies by the slope of its "
        "activation where it stands.",
        -2.0: "You multiplied by the sigmoid's *value* ½. The chain rule wants its slope, "
        "½ · (1 − ½) = ¼, or you forgot the last weight.",
        0.25: "Those are the slopes alone. Each unit multiplies by its weight as well.",
        0.0: "The weight −4 is negative, but the ReLU's *input* is −4 · ½ + 3 = 1, so its slope is 1.",
        0.5: "Two of the three units are still to come, or their signs were lost: −4 and ½.",
        -0.5: "One factor of 2 is missing: the first weight is 2.",
    }
    return wrong(
        _first_match(value, mistakes)
        or "Write down input, value and slope of each unit first: the inputs are 0, 1 and 1."
    )


def leaky_scale(answer: Any) -> Feedback:
    """Check the standard deviation of the weights in front of a leaky ReLU of slope 0.2.

    Args:
        answer: one number, for a 3 x 3 convolution from 64 to 128 channels.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one number, or an expression such as `math.sqrt(…)`.")
    fan_in, fan_out, square = 9 * 64, 9 * 128, 1 + 0.2**2
    if math.isclose(value, math.sqrt(2 / (square * fan_in)), rel_tol=4e-3):
        return right(
            "A leaky ReLU passes (1 + 0.2²)/2 = 0.52 of the mean square, so the weights may be a little "
            "smaller than He's 0.0589: about 0.0578."
        )
    mistakes = {
        2 / (square * fan_in): "That is the variance. The standard deviation is its square root.",
        math.sqrt(2 / fan_in): "That is He's value for a plain ReLU. The negative half passes 0.2² of its "
        "mean square here: add it to the ½ of the positive one.",
        math.sqrt(2 / (square * fan_out)): "You counted 128 channels: that is the fan-out, right for the way "
        "back. On the way forward a unit adds up 9 · 64 inputs.",
        math.sqrt(2 / (square * 64)): "A unit of a 3 × 3 convolution adds up nine pixels of each of the 64 "
        "channels, not one.",
        math.sqrt(2 / (1.2 * fan_in)): "Mean squares add: the slope enters as 0.2² = 0.04, not as 0.2.",
        math.sqrt(2 / (0.96 * fan_in)): "1 − 0.2² is not it: the negative half *adds* to what passes.",
        math.sqrt(1 / fan_in): "Without the 2: half of the mean square is lost at a ReLU and has to be put "
        "back.",
        math.sqrt(2 / (fan_in + fan_out)): "That is Glorot's compromise between forward and backward. Here "
        "the forward signal is to be kept.",
        square / 2: "That is the share of the mean square that passes. What must the weights be?",
    }
    return wrong(
        _first_match(value, mistakes, 4e-3)
        or "Ask for n · Var(w) · E[a²] = E[z²] with n = 9 · 64 and E[a²] = (1 + 0.2²)/2 · E[z²]."
    )


_DEAD = frozenset("bce")


def dead_or_alive(answer: Any) -> Feedback:
    """Check which of five ReLU units are dead on the unit square.

    Args:
        answer: letters, as text or as any collection.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, Iterable) or isinstance(answer, bytes):
        return wrong('Give the letters of the dead units, such as `"ad"` or `{"a", "d"}`.')
    said = frozenset(letter for part in answer for letter in str(part).lower() if letter.isalpha())
    if said == _DEAD:
        return right(
            "The largest input of a unit is b + max(w₁, 0) + max(w₂, 0): 2, 0, 0, 0.5 and −0.2 for a to e. "
            "With at most 0 the unit is silent on the whole square and gets no gradient."
        )
    mistakes = {
        frozenset("e"): "`e` is dead. What about a unit whose largest input is exactly 0? Its output is 0 "
        "everywhere, too, and PyTorch's slope at 0 is 0.",
        frozenset("cde"): "A negative bias alone kills nobody: `d` answers at (0, 1), and `b` never does.",
        frozenset("bcde"): "You looked at the corner (1, 1). `d` is silent there but not at (0, 1).",
        frozenset("abcde"): "You looked at the corner (1, 1). `a` and `d` answer elsewhere.",
        frozenset("ad"): "Those are the living ones.",
        frozenset("bd"): "Negative weights are not enough: look for the corner with the largest input.",
    }
    if said in mistakes:
        return wrong(mistakes[said])
    if unknown := sorted(said - frozenset("abcde")):
        return wrong(f"There is no unit `{unknown[0]}`; the units are a to e.")
    spared, killed = sorted(_DEAD - said), sorted(said - _DEAD)
    hint = "Put in the best corner: 1 where the weight is positive, 0 where it is negative."
    if killed:
        return wrong(
            f"`{killed[0]}` is alive: there is a point of the square where its input is positive. {hint}"
        )
    return wrong(f"`{spared[0]}` is dead as well. {hint}")


_X = np.array([1.0, 3.0, 5.0, 7.0])


def batch_norm_by_hand(outputs: Any, running_variance: Any) -> Feedback:
    """Check one batch norm done by hand: the four outputs, and the running variance after the batch.

    Args:
        outputs: four numbers.
        running_variance: one number.

    Returns:
        The feedback.

    Book: gradients
    """
    if outputs is ... or running_variance is ...:
        return unanswered()
    if isinstance(outputs, list | tuple) and any(value is ... for value in outputs):
        return unanswered()
    values, variance = as_array(outputs), as_number(running_variance)
    if values is None or values.shape != (4,):
        return wrong("The first answer is four numbers, one for each value of the batch.")
    if variance is None:
        return wrong("The second answer is one number, the running variance.")
    centred = _X - 4
    if not np.allclose(values, 2 * centred / math.sqrt(5) + 1, atol=6e-3):
        return wrong(_outputs_mistake(values, centred))
    if math.isclose(variance, 0.9 + 0.1 * 20 / 3, abs_tol=4e-3):
        return right(
            "Mean 4, variance 20/4 = 5 for the batch itself; but the running average takes 20/3, because it "
            "estimates the variance of all data from four values: 0.9 · 1 + 0.1 · 6.667 = 1.567."
        )
    mistakes = {
        0.9 + 0.1 * 5: "The outputs are right. The running average takes the *unbiased* variance, 20/3: the "
        "batch's 5 times m/(m − 1) = 4/3.",
        0.1 + 0.9 * 20 / 3: "The outputs are right. In PyTorch `momentum` = 0.1 is the weight of the *new* "
        "batch; the old average keeps 0.9.",
        0.1
        + 0.9 * 5: "The outputs are right. `momentum` = 0.1 is the weight of the *new* batch, and that is "
        "the unbiased 20/3.",
        20 / 3: "The outputs are right. 20/3 is the new value; the average moves a tenth of the way to it.",
        5.0: "The outputs are right. 5 is the batch's own variance; the average starts at 1 and moves a tenth "
        "of the way to 20/3.",
    }
    return wrong(
        _first_match(variance, mistakes, 3e-3)
        or "The outputs are right. For the average: 0.9 · (old value 1) + 0.1 · (20/3)."
    )


def _outputs_mistake(values: Any, centred: Any) -> str:
    candidates = (
        (2 * centred / math.sqrt(20 / 3) + 1, "You divided by √(20/3). For the batch itself the sum of "
         "squares is divided by m = 4, not by m − 1."),
        (centred / math.sqrt(5), "That is x̂. The layer still multiplies by γ = 2 and adds β = 1."),
        (2 * centred / 5 + 1, "You divided by the variance 5. Divide by its square root."),
        (2 * _X / math.sqrt(5) + 1, "Subtract the mean, 4, first."),
        (2 * (centred / math.sqrt(5) + 1), "β is added after γ has multiplied: γ x̂ + β, not γ (x̂ + β)."),
        (centred / math.sqrt(5) + 2, "γ = 2 multiplies and β = 1 is added; you exchanged them."),
        (2 * centred + 1, "The division by √5 is missing."),
    )  # fmt: skip
    for wrong_values, message in candidates:
        if np.allclose(values, wrong_values, atol=6e-3):
            return message
    return "The mean is 4 and the variance 20/4 = 5. What is x̂ = (x − 4)/√5, and then 2 x̂ + 1?"


def fold_by_hand(answer: Any) -> Feedback:
    """Check weight and bias of a 1 x 1 convolution with its batch norm folded in.

    Args:
        answer: two numbers, weight and bias.

    Returns:
        The feedback.

    Book: gradients
    """
    if answer is ...:
        return unanswered()
    if isinstance(answer, list | tuple) and any(value is ... for value in answer):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (2,):
        return wrong("Give two numbers: the new weight and the new bias.")
    if np.allclose(values, [1.5, -2.5], atol=1e-6):
        return right("s = 2/√16 = ½, so the weight is ½ · 3 and the bias ½ · (1 − 4) − 1 = −2.5.")
    mistakes = (
        ([-2.5, 1.5], "Right numbers, exchanged: weight first, then bias."),
        (
            [0.375, -1.375],
            "You divided γ by the variance, 16. The layer divides by the standard deviation, 4.",
        ),
        ([1.5, -3.0], "The convolution's own bias, 1, also goes through the norm: ½ · (1 − 4)."),
        ([1.5, -1.5], "β = −1 is missing."),
        ([3.0, -2.5], "The bias is right. The weight is multiplied by s = ½ as well."),
        ([1.5, -1.0], "The mean, 4, and the bias, 1, are missing from the new bias: ½ · (1 − 4) − 1."),
        ([1.5, -0.5], "The mean, 4, is missing: the norm subtracts it before it multiplies."),
        ([1.5, 1.5], "Check the sign of the mean: ½ · (1 − 4), not ½ · (1 + 4)."),
        ([1.5, -4.0], "1 − 4 is multiplied by s = ½ before β = −1 is added."),
        ([0.75, -1.75], "γ = 2 is missing: s = γ/√σ² = 2/4."),
    )
    for numbers, message in mistakes:
        if np.allclose(values, numbers, atol=1e-6):
            return wrong(message)
    return wrong("Write the norm as s · z + t with s = γ/√σ² and t = β − s μ, and put z = 3x + 1 into it.")
