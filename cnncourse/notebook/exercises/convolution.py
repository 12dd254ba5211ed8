"""Self-checks of the chapter on convolution: each says what is right, or names the mistake."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.exercises.convolution_code import cheaper_layer, input_gradient
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "by_hand",
    "cheaper_layer",
    "count_parameters",
    "input_gradient",
    "line_matrix",
    "output_sizes",
    "shift_kernel",
    "which_move",
]

Array = NDArray[np.float64]

IMAGE = np.array([[2.0, 0, 1, 3], [1, 4, 0, 2], [0, 1, 5, 1], [3, 2, 0, 1]])
KERNEL = np.array([[1.0, 0, 2], [0, -1, 0], [3, 0, -2]])


def _slide(image: Array, kernel: Array) -> Array:
    """Return the sums of products of all windows."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    sums: Array = np.einsum("rcij,ij->rc", windows, kernel)
    return sums


def by_hand(answer: Any) -> Feedback:
    """Check a 3 x 3 kernel slid by hand over a 4 x 4 image.

    Args:
        answer: 2 x 2 numbers, as lists, array or tensor.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    values = as_array(answer)
    if values is None:
        return wrong("This is no table of numbers. Write two rows of two numbers: `[[a, b], [c, d]]`.")
    if values.shape == (4, 4):
        return wrong("You have 4 × 4 values: that is with padding. Without it, only four windows fit.")
    if values.shape != (2, 2):
        return wrong(f"The shape is {values.shape}, but 4 − 3 + 1 = 2 windows fit along each side.")
    truth = _slide(IMAGE, KERNEL)
    if np.allclose(values, truth):
        return right(
            "Four dot products. The largest weight, 3, has most to say: look for what stands under it."
        )
    mistakes = {
        "You turned the kernel by 180°: that is mathematics' convolution. Here it is laid on as it is.": KERNEL[
            ::-1, ::-1
        ],
        "Rows and columns of the kernel are exchanged.": KERNEL.T,
        "The minus signs of the kernel are lost.": np.abs(KERNEL),
        "The kernel is mirrored from left to right.": KERNEL[:, ::-1],
        "The kernel is mirrored from top to bottom.": KERNEL[::-1],
    }
    for message, kernel in mistakes.items():
        if np.allclose(values, _slide(IMAGE, kernel)):
            return wrong(message)
    if np.allclose(values.T, truth):
        return wrong("Right sums, wrong places: the second window of the first row lies to the *right*.")
    good = int(np.isclose(values, truth).sum())
    return wrong(
        f"{good} of 4 sums are right. Five of the nine weights are not zero; write the five products down "
        "for each window."
    )


_SIZES = {
    "a": (28, {27: "the windows start at 0, 1, …, 27: that is one more than 32 − 5.", 32: "that is with padding 2."}),
    "b": (112, {
        113: "round ⌊223/2⌋ down before you add 1.",
        109: "padding adds 3 at *both* ends.",
        110: "padding adds 3 at *both* ends.",
        218: "the window moves by two pixels at a time.",
        224: "the window moves by two pixels at a time.",
    }),
    "c": (64, {
        70: "a dilated kernel spans more than its three weights: 4 · 2 + 1 pixels.",
        61: "the dilated kernel spans 4 · (3 − 1) + 1 = 9 pixels, not 12.",
        60: "padding adds 4 at *both* ends.",
        18: "dilation is no stride: the window still moves by one pixel.",
        56: "the padding is missing: four zeros at each end.",
    }),
    "d": (55, {
        54: "216 is divisible by 4: windows start at 0, 4, …, 216, and 0 counts.",
        217: "the window moves by four pixels at a time.",
        57: "the last window must still fit: subtract the kernel before you divide.",
        56: "the last window must still fit: subtract the kernel before you divide.",
    }),
}  # fmt: skip


def output_sizes(answer: Any) -> Feedback:
    """Check the output's side of four convolutions.

    Args:
        answer: four whole numbers.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (4,):
        return wrong("Give four whole numbers, for (a), (b), (c) and (d).")
    for (name, (size, mistakes)), value in zip(_SIZES.items(), values, strict=True):
        if value == size:
            continue
        if value != int(value):
            return wrong(f"({name}): {value:g} is no number of windows. Round the quotient down, then add 1.")
        hint = mistakes.get(
            int(value), "write the span of the kernel, the padded side and the quotient down."
        )
        return wrong(f"({name}) is not {value:g}: {hint}")
    return right("28 is LeNet's first map, 112 the first of a ResNet, 55 AlexNet's; (c) keeps its size.")


def count_parameters(answer: Any) -> Feedback:
    """Check the parameters of a 7 x 7, a grouped 3 x 3 and a 1 x 1 convolution.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None:
        return wrong("Give one whole number, or an expression such as `64 * (49 * 3 + 1) + …`.")
    if value == 19_402:
        return right("9 472 + 9 280 + 650. Without groups the middle layer alone would have 36 928.")
    mistakes = {
        19_264: "The biases are missing: one for each output channel, 64 + 64 + 10.",
        47_050: "You left out the groups: in four groups each kernel sees 64 / 4 = 16 channels.",
        12_490: "You divided by 4 twice: each kernel sees 16 channels, but there are still 64 kernels.",
        19_354: "There is one bias for each of the 64 output channels of the middle layer, not one for 16.",
        47_242: "You counted the middle layer four times. All four groups together have 64 kernels.",
        13_130: "The first kernels have three layers, one for each colour: 49 · 3 weights each.",
        19_530: "A bias belongs to an output channel, not to a pair of channels: the first layer has 64.",
        18_762: "The last layer has weights as well: 64 for each of its ten outputs.",
        18_752: "The last layer is missing: a 1×1 convolution still has a weight for each channel.",
    }
    if value in mistakes:
        return wrong(mistakes[int(value)])
    off = "more" if value > 19_402 else "fewer"
    return wrong(
        f"You have {abs(value - 19_402):,.0f} {off} than there are. For each layer: kernels · (weights of one "
        "kernel + 1); one kernel has k · k weights for each channel that it sees."
    )


def shift_kernel(answer: Any) -> Feedback:
    """Check a kernel that moves an image by one pixel to the right and one down.

    Args:
        answer: 3 x 3 numbers, as lists, array or tensor.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    kernel = as_array(answer)
    if kernel is None or kernel.shape != (3, 3):
        return wrong("Give three rows of three numbers.")
    places = np.argwhere(kernel != 0)
    if len(places) == 0:
        return wrong("This kernel makes every image black.")
    if len(places) > 1:
        return wrong(
            f"{len(places)} weights are not zero, so this kernel mixes {len(places)} pixels. To move an image, "
            "copy one pixel each time."
        )
    row, column = places[0].tolist()
    weight = kernel[row, column]
    if (row, column) == (0, 0):
        if weight == 1:
            return right("Each place copies the pixel above left of it, so everything goes down and right.")
        return wrong(f"The place is right, but a weight of {weight:g} changes the brightness as well.")
    if (row, column) == (2, 2):
        return wrong(
            "This one moves the image to the left and *up*: each place copies the pixel below right of it. There "
            "is no flip here."
        )
    down = {0: "down", 1: "", 2: "up"}[row]
    across = {0: "right", 1: "", 2: "left"}[column]
    moves = " and ".join(part for part in (across, down) if part) or "nowhere"
    return wrong(f"This kernel moves the image {moves}. Which old pixel should each place copy?")


MATRIX = np.array([[-1.0, 3, 0, 0, 0], [0, 2, -1, 3, 0], [0, 0, 0, 2, -1]])


def line_matrix(answer: Any) -> Feedback:
    """Check the matrix of a one-dimensional convolution with stride 2 and padding 1.

    Args:
        answer: 3 x 5 numbers, as lists, array or tensor.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    matrix = as_array(answer)
    if matrix is None or matrix.ndim != 2:
        return wrong("Give one list of numbers for each output, all of the same length.")
    shapes = {
        (5, 3): "One row for each *output*, one column for each input: yours is transposed.",
        (5, 5): "Five outputs: that is stride 1. With stride 2 every second row is left.",
        (2, 5): "Two outputs: the padding is missing. The first window starts one place before $x_1$.",
        (3, 7): "You gave the padding columns of its own. Its zeros add nothing: leave the two columns out.",
        (3, 3): "A column for each of the five inputs, also for those that an output does not read.",
    }
    if matrix.shape != MATRIX.shape:
        return wrong(
            shapes.get(matrix.shape, f"The shape is {matrix.shape}; wanted are 3 outputs by 5 inputs.")
        )
    if np.allclose(matrix, MATRIX):
        return right(
            "Each row is the row above, moved by the stride. The padding's weights fell off the ends."
        )
    flipped = np.array([[-1.0, 2, 0, 0, 0], [0, 3, -1, 2, 0], [0, 0, 0, 3, -1]])
    unit_steps = np.array([[-1.0, 3, 0, 0, 0], [2, -1, 3, 0, 0], [0, 2, -1, 3, 0]])
    unpadded = np.array([[2.0, -1, 3, 0, 0], [0, 0, 2, -1, 3], [0, 0, 0, 0, 2]])
    wrapped = np.array([[-1.0, 3, 0, 0, 2], [0, 2, -1, 3, 0], [3, 0, 0, 2, -1]])
    for message, mistake in (
        ("The kernel is flipped: $2$ belongs to the left neighbour, $3$ to the right one.", flipped),
        ("The rows move by one place: with stride 2 they move by two.", unit_steps),
        (
            "The first window starts on the padding, one place before $x_1$: its weight $2$ falls off.",
            unpadded,
        ),
        ("That is circular padding: weights that leave at one end come back at the other.", wrapped),
    ):
        if np.allclose(matrix, mistake):
            return wrong(message)
    good = int(np.isclose(matrix, MATRIX).all(axis=1).sum())
    return wrong(
        f"{good} of 3 rows are right. Row 2 is the window on $x_2$, $x_3$, $x_4$: start with that one."
    )


_MOVES = {
    "sharpen": True, "batch_norm": True, "subsample": False, "coordinates": False, "median": True,
    "standardise": False,
}  # fmt: skip
_WHY = {
    "sharpen": "it is a convolution: the same nine weights at every place.",
    "batch_norm": "in evaluation mode it multiplies and adds two fixed numbers for each channel, the same at every "
    "place.",
    "subsample": "after a shift by one pixel it keeps the *other* pixels. Only shifts by two move its map by one.",
    "coordinates": "the same scene gets other numbers at another place: that is what it is for.",
    "median": "it need not be linear. It applies one rule to every window, wherever the window is.",
    "standardise": "when the camera moves, other pixels come in, and mean and deviation of the crop change for all.",
}


def which_move(answer: Any) -> Feedback:
    """Check which of six layers are equivariant to shifts.

    Args:
        answer: from layer to True or False.

    Returns:
        The feedback.

    Book: convolution
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, Mapping) or set(answer) != set(_MOVES):
        return wrong(f"Give a dictionary with the keys {', '.join(_MOVES)}.")
    if any(value is ... for value in answer.values()):
        return unanswered()
    for name, value in answer.items():
        if value not in (True, False):
            return wrong(f"For `{name}`: answer `True` or `False`, not `{value!r}`.")
        if bool(value) != _MOVES[name]:
            return wrong(f"`{name}`: {_WHY[name]}")
    return right(
        "One rule for all places, and nothing that depends on the place or on the whole crop: that is all."
    )
