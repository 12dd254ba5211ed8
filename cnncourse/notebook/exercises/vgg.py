"""Self-checks of the chapter on VGG: each says what is right, or names the mistake."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.exercises.vgg_code import convert, small_vgg
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "convert",
    "crops",
    "eleven",
    "fc6_parameters",
    "map_size",
    "operations",
    "small_vgg",
    "start",
]


def _open(answer: Any) -> bool:
    """Return whether there is still a gap in an answer."""
    return answer is ... or (isinstance(answer, list | tuple) and any(part is ... for part in answer))


def _numbers(answer: Any, count: int) -> list[float] | None:
    """Return an answer of so many numbers, or None if it is something else."""
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        return None
    values = as_array(answer)
    return [float(value) for value in values] if values is not None and values.shape == (count,) else None


def _one(answer: Any, truth: int, good: str, mistakes: Mapping[int, str], hint: str) -> Feedback:
    """Return the feedback for one whole number."""
    if answer is ...:
        return unanswered()
    value = as_number(answer)
    if value is None or math.isnan(value):
        return wrong("Give one whole number, or an expression such as `56 * 56 * …`.")
    if value == truth:
        return right(good)
    for number, message in mistakes.items():
        if value == number:
            return wrong(message)
    off = "large" if value > truth else "small"
    return wrong(f"{value:,.0f} is too {off}. {hint}")


def _close(value: float, mistakes: Mapping[float, str], otherwise: str) -> Feedback:
    """Return the feedback for a wrong number, by the mistake that gives it."""
    for number, message in mistakes.items():
        if math.isclose(value, number, rel_tol=0.02):
            return wrong(message)
    return wrong(otherwise)


def eleven(answer: Any) -> Feedback:
    """Check how many 3 x 3 layers see 11 x 11 pixels, and what one window costs more.

    Args:
        answer: layers, and per cent more.

    Returns:
        The feedback.

    Book: vgg
    """
    if _open(answer):
        return unanswered()
    values = _numbers(answer, 2)
    if values is None:
        return wrong("Give two numbers: layers, and how many per cent more weights the one window has.")
    count, more = values
    if count in (9, 10):
        return wrong("Each layer adds one pixel on *both* sides.")
    if count != 5:
        return wrong(
            f"{count:g} layers see {2 * count + 1:g} pixels along each side: the first sees 3, each further one adds 2."
        )
    if math.isclose(more, 169, abs_tol=0.51):
        return right("Five layers: 45 C² weights against 121 C², 169 % more, and four ReLUs between them.")
    mistakes = {
        269: "That is the ratio in per cent. How much *more* is it?",
        63: "That is what the stack saves of the large window; asked is how much more the large one has.",
        37: "That is the stack as a share of the large window.",
        81: "That is 7×7 over three layers. Here it is 11×11 over five.",
        2.69: "That is the ratio. Give per cent *more*.",
        1.69: "The right number, but give it in per cent.",
    }
    return _close(more, mistakes, "The layers are right. Compare 11 · 11 · C² with 5 · 9 · C².")


def operations(answer: Any) -> Feedback:
    """Check the multiply-adds of the first convolution of VGG-16's third stage.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: vgg
    """
    truth = 56 * 56 * 256 * 9 * 128
    mistakes = {
        2
        * truth: "That is the number of FLOPs, or a layer that reads 256 channels. Count a multiplication and "
        "its addition once, for 128 channels read.",
        truth // 9: "A window has nine places; you counted one.",
        truth // 128: "Each window reads all 128 channels.",
        truth // 256: "That is for one output channel; there are 256.",
        9 * 128 * 256: "That is the number of weights. Each is used at every one of the 56 · 56 places.",
        (9 * 128 + 1) * 256: "That is the number of parameters. Each weight is used at 56 · 56 places.",
        4 * truth: "The maps are 56×56 behind the second pooling, not 112×112.",
    }
    return _one(
        answer,
        truth,
        "925 million, half of what the next layer needs: that one reads 256 channels.",
        mistakes,
        "Outputs (56 · 56 · 256) times the products of one output (9 · 128).",
    )


def fc6_parameters(answer: Any) -> Feedback:
    """Check the parameters of FC6 for images of 256 pixels.

    Args:
        answer: a whole number.

    Returns:
        The feedback.

    Book: vgg
    """
    mistakes = {
        4096 * 512 * 64: "The 4096 biases are missing.",
        4096 * (512 * 49 + 1): "That is FC6 at 224 pixels. At 256 the last maps have another side.",
        4096 * (512 * 256 + 1): "There are five poolings: 256 / 32, not 256 / 16.",
        4096 * (512 * 8 + 1): "The last maps are 8×8: 64 places, not 8.",
        4096 * (64 + 1): "FC6 reads all 512 channels.",
    }
    return _one(
        answer,
        4096 * (512 * 64 + 1),
        "134 million: all of VGG-16 at 224 pixels has 138. Such a head depends on the image's size.",
        mistakes,
        "Five poolings halve 256 to 8, so FC6 reads 512 · 8 · 8 numbers; each of 4096 units has a bias, too.",
    )


_MAPS = {
    (12, 16): "These are the maps in front of FC6. A window of 7×7 must still fit into them.",
    (5, 9): "One more along each side: windows start at 0, 1, …, 12 − 7.",
    (10, 6): "Rows and columns are exchanged: 384 is the height.",
    (2, 2): "The window of 7×7 moves by one place of the map, not by seven.",
    (161, 289): "Windows move by 32 pixels, the product of five strides of 2, not by one.",
    (18, 22): "Padding? FC6 as a convolution has none.",
    (1, 1): "That is the map for 224×224 pixels. Nothing is averaged here.",
}


def map_size(answer: Any) -> Feedback:
    """Check rows and columns of the score map of a fully convolutional VGG for 384 x 512 pixels.

    Args:
        answer: rows and columns.

    Returns:
        The feedback.

    Book: vgg
    """
    if _open(answer):
        return unanswered()
    values = _numbers(answer, 2)
    if values is None:
        return wrong("Give two whole numbers: rows and columns.")
    if values == [6, 10]:
        return right("(384 − 224) / 32 + 1 and (512 − 224) / 32 + 1: a window of 224 pixels, moved by 32.")
    otherwise = "Divide both sides by 32, then see how often a window of 7 places fits."
    return wrong(_MAPS.get((int(values[0]), int(values[1])), otherwise))


_SCALED = {
    (256, 256): "That squashes the photograph. One factor for both sides.",
    (192, 256): "The *shorter* side becomes 256.",
    (341, 256): "Height and width are exchanged: the photograph has 480 rows.",
    (256, 342): "640 · 256 / 480 is 341.3; rounded, 341.",
    (224, 299): "S is 256; 224 is the side of the crop.",
}
_CROPS = {
    3894: "Mirror images double the number.",
    7488: "One more place along each side: a crop may start at 0, 1, …, 32.",
    3744: "One more place along each side, and mirror images double the number.",
    2178: "The width is 341: there are more places along it.",
    2048: "That is the paper of 2012, for a square of 256. The width is 341.",
    10: "Ten is what the *test* of 2012 took. Training takes any place.",
}


def crops(answer: Any) -> Feedback:
    """Check the size after isotropic scaling, and how many crops there are.

    Args:
        answer: height, width, number of crops with mirror images.

    Returns:
        The feedback.

    Book: vgg
    """
    if _open(answer):
        return unanswered()
    values = _numbers(answer, 3)
    if values is None:
        return wrong("Give three whole numbers: height, width, crops.")
    height, width, count = values
    if (height, width) != (256, 341):
        otherwise = "The shorter side becomes 256, the other 640 · 256 / 480."
        return wrong(_SCALED.get((int(height), int(width)), otherwise))
    if count == 7788:
        return right("2 · 33 · 118. A photograph of this shape gives far more crops than a square of 256.")
    otherwise = "Places along each side: side − 224 + 1. Multiply, and double for mirror images."
    return wrong(_CROPS.get(int(count), otherwise))


def start(answer: Any) -> Feedback:
    """Check the factor of one convolution of conv5, and the standard deviation that keeps the signal.

    Args:
        answer: factor and standard deviation.

    Returns:
        The feedback.

    Book: vgg
    """
    if _open(answer):
        return unanswered()
    values = _numbers(answer, 2)
    if values is None:
        return wrong("Give two numbers: the factor, and the standard deviation.")
    factor, deviation = values
    if not math.isclose(factor, 0.48, abs_tol=0.0051):
        factors = {
            0.2304: "That is the factor of the mean *square*; take its root.",
            0.6788: "The ReLU throws half of the mean square away: divide by 2 under the root.",
            4.8: "That is for a variance of 0.01; here 0.01 is the standard deviation.",
            0.16: "n counts all inputs of a unit: nine places of 512 channels.",
        }
        return _close(
            factor, factors, "(a): the root of n · Var(w) / 2, with n = 9 · 512 and Var(w) = 0.01²."
        )
    if math.isclose(deviation, math.sqrt(2 / 4608), abs_tol=0.0002):
        return right("0.48 a layer, and 0.0208 to stay level. Four such layers at 0.01 leave a twentieth.")
    deviations = {
        2 / 4608: "That is the variance; the standard deviation is its root.",
        math.sqrt(1 / 4608): "That is without the ReLU, which needs a 2 in the numerator.",
        math.sqrt(2 / 512): "n counts all inputs of a unit: nine places of 512 channels.",
    }
    return _close(deviation, deviations, "(b): choose Var(w) so that n · Var(w) / 2 = 1, and take the root.")
