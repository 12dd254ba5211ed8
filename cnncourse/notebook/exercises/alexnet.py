"""Self-checks of the chapter on AlexNet: each says what is right, or names the mistake."""

import math
from typing import Any

from cnncourse.notebook.exercises.alexnet_code import local_response, slim_head, vote
from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "count_crops",
    "input_side",
    "local_response",
    "noise_levels",
    "slim_head",
    "two_towers",
    "vote",
]

_SIDES: dict[str, tuple[int, dict[float, str]]] = {
    "a": (54, {
        55: "(224 − 11) / 4 = 53.25, rounded down 53; then add 1.",
        53: "add 1: the first window stands at 0.",
        54.25: "a library places whole windows: round the quotient down.",
    }),
    "b": (227, {
        224: "with 224 there are 54 windows.",
        228: "228 has 55 windows as well, and one column that none reads. There is a smaller side.",
        231: "55 windows are 54 steps: 54 · 4 + 11.",
        220: "the last window has 11 columns, not 4: 54 · 4 + 11.",
        216: "that is where the last window *starts*; it is 11 wide.",
    }),
    "c": (3, {
        4: "4 zeros (2 at each end) give 55 windows as well, but the last column is read by none.",
        2: "with 226 columns there are 54 windows.",
        6: "count the zeros of one row, at both ends together.",
        1.5: "that is per end: half a zero cannot be placed. How many together?",
    }),
}  # fmt: skip


def input_side(answer: Any) -> Feedback:
    """Check the arithmetic behind AlexNet's 224 and 227 pixels.

    Args:
        answer: windows in 224 columns, smallest side for 55 windows, zeros needed in a row of 224.

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (3,):
        return wrong("Give three numbers, for (a), (b) and (c).")
    for (name, (truth, mistakes)), value in zip(_SIDES.items(), values, strict=True):
        if value != truth:
            hint = mistakes.get(float(value), "write down where the first and the last window start.")
            return wrong(f"({name}) is not {value:g}: {hint}")
    return right("Three zeros cannot be shared out equally; so people take 227, or 2 zeros at each end.")


def two_towers(answer: Any) -> Feedback:
    """Check how many parameters the split into two towers saves.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one whole number, or an expression such as `256 * 25 * 48 + …`.")
    if value == 1_413_120:
        return right(
            "307,200 + 663,552 + 442,368: 2 % of the network, but 38 % of its convolutions' weights."
        )
    mistakes = {
        -1_413_120: "The sign: the towers have fewer parameters.",
        1_413_568: "Groups halve the *kernels*, not the biases: there is still one for each filter.",
        1_855_488: "The third convolution sees both towers; nothing is saved there.",
        2_826_240: "These are all weights of the three layers without groups. The towers keep half of them.",
        1_105_920: "The second convolution is split as well: each filter sees 48 of the 96 channels.",
        749_568: "The fourth convolution is split as well: each filter sees 192 of the 384 channels.",
        970_752: "The fifth convolution is split as well: each filter sees 192 of the 384 channels.",
        60_965_224: "That is what the network with towers has. How many *fewer* is that?",
        62_378_344: "That is what the network without towers has. How many *more* is that?",
    }
    return wrong(
        mistakes.get(
            int(value),
            "For each split layer: filters · k · k · (channels that a filter no longer sees), with 48, 192 and 192 of "
            "them.",
        )
    )


def count_crops(answer: Any) -> Feedback:
    """Check the number of different 224-pixel crops of a 256-pixel image and its mirror image.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one whole number.")
    if value == 2178:
        return right("33 · 33 · 2. The paper says 2048 = 32 · 32 · 2 and leaves the last place out.")
    mistakes = {
        2048: "A crop can start at row 0, at row 32, and anywhere between. How many rows are that?",
        1089: "The mirror images are missing.",
        1024: "A crop can start at row 0 *and* at row 32; and the mirror images are missing.",
        66: "Rows and columns are chosen independently: multiply.",
        64: "Rows and columns are chosen independently, and there are 33 of each: multiply.",
        4356: "One reflection, from left to right: photographs are seldom upside down.",
        131_072: "256² · 2 counts crops that stick out of the image.",
    }
    return wrong(
        mistakes.get(int(value), "(rows to start at) · (columns to start at) · (as it is, or mirrored).")
    )


def noise_levels(answer: Any) -> Feedback:
    """Check the size of the colour noise in three readings of the paper's formula.

    Args:
        answer: grey levels for values in [0, 1], for values in [0, 255], and with the standard deviation.

    Returns:
        The feedback.

    Book: alexnet
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (3,):
        return wrong("Give three numbers of grey levels, for (a), (b) and (c).")
    plain, squared, root = 0.1 * 0.05 * 255, 0.1 * 0.05 * 255**2, 0.1 * math.sqrt(0.05) * 255
    small = "that is on the scale from 0 to 1; a grey level is 1/255 of it."
    variance = "the formula has the variance, not its root."
    hints = (
        {plain / 255: small, squared: "that is reading (b).", root: variance},
        {plain: "a variance grows with the *square* of the unit: 255².", root * 255: variance},
        {
            plain: "take the square root of the variance first.",
            root / 255: small,
            root * 255: "a standard deviation grows with the unit, not with its square.",
        },
    )
    for name, value, truth, known in zip("abc", values, (plain, squared, root), hints, strict=True):
        if not math.isclose(value, truth, rel_tol=0.01):
            found = [text for number, text in known.items() if math.isclose(value, number, rel_tol=0.01)]
            hint = found[0] if found else "multiply σ, the variance (or its root), and the unit."
            return wrong(f"({name}) is not {value:g}: {hint}")
    return right("Invisible, absurd, and moderate. Only reading (c) gives the same in every unit.")
