"""Self-checks of the chapter on pooling and LeNet-5: each says what is right, or names the mistake."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.exercises.pooling_lenet_code import invariant_network, max_pool_gradient
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "colour_lenet",
    "halvings",
    "invariant_network",
    "max_pool_gradient",
    "overlapping_pool",
    "receptive_field",
    "softmax_twice_floor",
    "which_loss",
]


def overlapping_pool(answer: Any) -> Feedback:
    """Check 3 x 3 max pooling with stride 2, done by hand on a 5 x 5 map.

    Args:
        answer: 2 x 2 numbers, as lists, array or tensor.

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    values = as_array(answer)
    if values is None:
        return wrong("This is no table of numbers. Write two rows of two numbers: `[[a, b], [c, d]]`.")
    if values.shape == (3, 3):
        return wrong(
            "You have 3 × 3 values: that is stride 1. With stride 2 the windows start at columns 0 and 2."
        )
    if values.shape != (2, 2):
        return wrong(
            f"The shape is {values.shape}, but ⌊(5 − 3)/2⌋ + 1 = 2 windows fit along each side: "
            f"two rows of two."
        )
    mistakes = {
        "These are means. Max pooling keeps the *largest* of the nine numbers.": [[11, 15], [16, 19]],
        "These are the maxima of 2 × 2 windows. Here the windows are 3 × 3, so neighbours share a row or "
        "column.": [[4, 2], [3, 5]],
        "Rows and columns are exchanged: the second value of the first row belongs to the window on the "
        "right.": [[4, 6], [5, 6]],
        "The lower right window holds the 6 as well: it lies in the column that both lower "
        "windows share.": [
            [4, 5], [6, 4]
        ],
        "Did you skip the shared column? The upper right window starts at column 2 and reaches "
        "down to row 2, "
        "where the 5 is.": [[4, 3], [6, 6]],
    }  # fmt: skip
    if np.array_equal(values, [[4, 5], [6, 6]]):
        return right("The 6 is the largest in two windows at once; that happens only when windows overlap.")
    for message, table in mistakes.items():
        scale = 9 if message.startswith("These are means") else 1
        if np.allclose(values * scale, table, atol=0.06 * scale):
            return wrong(message)
    good = int((values == np.array([[4, 5], [6, 6]])).sum())
    return wrong(
        f"{good} of 4 values are right. Cover all but rows and columns 0 to 2, write the maximum, "
        f"then move by two."
    )


def halvings(answer: Any) -> Feedback:
    """Check how often 32, 100, 224 and 227 can be halved without a remainder.

    Args:
        answer: four whole numbers.

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ... or (isinstance(answer, list | tuple) and ... in answer):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (4,):
        return wrong("Give four whole numbers, for 32, 100, 224 and 227 in this order.")
    if np.array_equal(values, [5, 2, 5, 0]):
        return right(
            "224 = 2⁵ · 7: five halvings end at 7 × 7, which is why so many networks take 224 pixels."
        )
    if np.array_equal(values, [5, 6, 7, 7]):
        return wrong(
            "That is ⌊log₂⌋: how often one can halve *with* rounding down. Stop at the first odd number."
        )
    if np.array_equal(values, [32, 4, 32, 1]):
        return wrong(
            "Those are the powers of two that divide the sides. Asked is the exponent: 32 = 2⁵ gives 5."
        )
    if np.array_equal(values, [1, 25, 7, 227]):
        return wrong("Those are the sides that remain at the end. Count the halvings that lead there.")
    checks = zip((32, 100, 224, 227), values, (5, 2, 5, 0), strict=True)
    first = next((side, said) for side, said, true in checks if said != true)
    return wrong(
        f"{first[0]} cannot be right with {first[1]:g}. Divide by 2 until the number is odd, and count."
    )


def colour_lenet(answer: Any) -> Feedback:
    """Check the parameters of LeNet-5 for three input channels and 100 classes.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one whole number, or an expression such as `61_706 + …`.")
    mistakes = {
        61_706: "That is LeNet-5 for grey images and ten classes. Which two layers see the change?",
        69_330: "The biases are missing: every filter and every unit has one, 326 in all.",
        69_356: "The output layer is right, but C1 now has filters of 5 × 5 × 3: 2 · 25 more "
        "weights in each of six.",
        62_006: "C1 is right, but the output layer now has 100 units, each with 84 weights and a bias.",
        69_566: "You gave the 90 new outputs their weights but not their biases.",
        70_118: "You tripled C1's 156, biases too. A filter has one bias, however many channels it reads.",
        69_668: "You tripled C1's 156, biases too. A filter has one bias, however many channels it reads.",
        185_118: "You tripled the whole network. Only C1 reads the three colour channels; the "
        "rest reads maps.",
    }
    if value == 69_656:
        return right(
            "300 more in C1 and 7 650 more in the output layer; the four layers between do not notice."
        )
    if value in mistakes:
        return wrong(mistakes[int(value)])
    off = "more" if value > 69_656 else "fewer"
    return wrong(
        f"You have {abs(value - 69_656):,.0f} {off} than there are. Write down C1 as 6 · (5 · 5 · "
        f"3 + 1) and the output "
        "layer as 100 · (84 + 1); the other layers stay as in the table."
    )


def receptive_field(answer: Any) -> Feedback:
    """Check the receptive field after conv 3, pool 2, conv 3, pool 2, conv 3.

    Args:
        answer: a side in pixels.

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    value = as_array(answer)
    if value is not None and value.shape == (2,) and value[0] == value[1]:
        value = value[0]
    if value is None or value.ndim:
        return wrong("Give the side of the square as one number of pixels.")
    mistakes = {
        9: "You added k − 1 for each layer and forgot the jump: after a pooling with stride 2, "
        "one step is two pixels.",
        15: "The pooling layers have windows too: each adds (2 − 1) times the jump before it.",
        7: "That is three convolutions alone. Each pooling layer widens the field, and doubles "
        "the steps after it.",
        108: "Kernels do not multiply. Add (k − 1) · jump, layer by layer.",
        21: "You used the jump *after* each pooling layer for that layer itself. Its own window "
        "still has the old step.",
        10: "That is the field after the second pooling layer. One convolution, with a jump of 4, "
        "is still to come.",
        17: "Start with one pixel, r = 1, before the first layer.",
    }
    if value == 18:
        return right(
            "The fields are 3, 4, 8, 10, 18: the last 3 × 3 kernel alone adds 8 pixels, because "
            "its jump is 4."
        )
    return wrong(
        mistakes.get(
            int(value),
            "Make a table with the columns layer, k, jump before it, and field; each row adds (k "
            "− 1) · jump.",
        )
    )


_TASKS = {"age": ("mse", 1), "spam": ("bce", 1), "digit": ("ce", 10), "findings": ("bce", 14)}


def which_loss(answer: Any) -> Feedback:
    """Check which loss and how many outputs four tasks need.

    Args:
        answer: from task to (``"mse"``, ``"bce"`` or ``"ce"``, number of outputs).

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, Mapping) or set(answer) != set(_TASKS):
        return wrong(f"Give a dictionary with the keys {', '.join(_TASKS)}.")
    if any(value is ... for value in answer.values()):
        return unanswered()
    for task, pair in answer.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2 or ... in pair:
            return wrong(f'For {task}: give a pair such as `("mse", 1)`, loss and number of outputs.')
        loss, outputs = str(pair[0]).lower(), pair[1]
        if loss not in ("mse", "bce", "ce"):
            return wrong(f"For {task}: the loss is one of `mse`, `bce` and `ce`, not `{loss}`.")
        if (loss, outputs) != _TASKS[task]:
            return wrong(_loss_hint(task, loss))
    return right(
        "The question decides: a quantity, one yes or no, one class of ten, or fourteen separate "
        "yeses and noes."
    )


def _loss_hint(task: str, loss: str) -> str:
    if task == "findings" and loss == "ce":
        return (
            "For findings: cross-entropy over 14 classes makes the findings compete, its "
            "probabilities sum to 1. A "
            "patient may have three of them, or none: ask 14 separate questions."
        )
    if task == "findings":
        return "For findings: every finding is its own yes-or-no question and needs its own logit."
    if task == "spam" and loss == "ce":
        return (
            "For spam: two logits with cross-entropy would work too, but only their difference "
            "counts. With one "
            "output the loss is the binary one."
        )
    if task == "age":
        return "For age: the answer is a quantity, one number; a squared error knows that 41 is "
        "close to 40."
    if task == "digit" and loss == "mse":
        return "For digit: a 9 is not nearer to an 8 than to a 1. Classes are no quantity."
    if task == "digit" and loss == "bce":
        return "For digit: exactly one of ten answers is right, so let the ten compete in one softmax."
    if loss == "mse":
        return f"For {task}: squared errors of probabilities have almost no slope where the "
        "answer is badly wrong."
    return f"For {task}: the loss is right, count the outputs again."


def softmax_twice_floor(answer: Any) -> Feedback:
    """Check the smallest loss that a 100-class network can reach when softmax is applied twice.

    Args:
        answer: a number, in nats.

    Returns:
        The feedback.

    Book: pooling_lenet
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one number, or an expression such as `math.log(…)`.")
    if math.isclose(value, math.log(1 + 99 / math.e), abs_tol=6e-3):
        return right(
            "The loss starts at ln 100 ≈ 4.61 and cannot fall below 3.62: the network looks as if "
            "it did not learn."
        )
    mistakes = (
        (0.0, "0 is the floor with *logits*, which may grow without bound. Probabilities stay in [0, 1]."),
        (
            math.log(100),
            "ln 100 is where the loss starts, with 100 equal outputs. How far can one output rise?",
        ),
        (math.log(1 + 9 / math.e), "That is the floor for ten classes. Here there are 99 wrong ones."),
        (math.log(1 + 100 / math.e), "There are 99 wrong classes, not 100: the right one is not among them."),
        (1 + 99 / math.e, "Take the logarithm: cross-entropy is −ln of the probability of the right class."),
        (math.e / (math.e + 99), "That is the probability of the right class. The loss is −ln of it."),
        (-math.log(1 + 99 / math.e), "Check the sign: −ln of a probability is positive."),
        (math.log10(1 + 99 / math.e), "Use the natural logarithm, as PyTorch does."),
        (math.log2(1 + 99 / math.e), "Use the natural logarithm, as PyTorch does."),
    )
    for number, message in mistakes:
        if math.isclose(value, number, abs_tol=6e-3):
            return wrong(message)
    return wrong(
        "The best the first softmax can give is 1 for the right class and 0 for the 99 others. "
        "Put exactly these "
        "numbers into the second softmax, then take −ln of what the right class gets."
    )
