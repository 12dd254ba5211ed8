"""Self-checks of the chapter on depth separation: each says what is right, or names the mistake.

Book: depth_separation
"""

from numbers import Integral, Real
from typing import Any

from cnncourse.notebook.exercises.depth_separation_networks import (
    absolute_value,
    maximum,
    product,
    triangle_wave,
    width_three,
)
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "absolute_value",
    "maximum",
    "pieces_of_sum",
    "product",
    "square_terms",
    "triangle_wave",
    "units_for_distance",
    "width_three",
]


def pieces_of_sum(answer: Any) -> Feedback:
    """Judge the most and the fewest pieces of a sum of functions with 5 and with 7 pieces.

    Args:
        answer: (most, fewest); ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ... or (isinstance(answer, tuple | list) and ... in answer):
        return unanswered()
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not all(_whole(part) for part in answer):
        return wrong("Give two whole numbers, `(most, fewest)`.")
    most, fewest = (int(part) for part in answer)
    if (most, fewest) == (3, 11):
        return wrong("Both numbers are right, but swapped: give `(most, fewest)`.")
    if most == 12:
        return wrong(
            "12 adds the pieces. Add the *breakpoints*, 4 and 6, and turn them into pieces at the end."
        )
    if most == 35:
        return wrong("35 is the product: that bounds a composition. A sum only merges breakpoints.")
    if most == 10:
        return wrong("There are up to 10 breakpoints. How many pieces do 10 breakpoints make?")
    if most != 11:
        return wrong(
            "The most: merge the 4 breakpoints of one function with the 6 of the other, then count pieces."
        )
    if fewest == 1:
        return wrong(
            "11 is right. One piece would need every breakpoint cancelled; 4 breakpoints cannot cancel 6."
        )
    if fewest == 7:
        return wrong(
            "11 is right. The fewest is below 7: a change of slope up and one down at the same place cancel."
        )
    if fewest == 2:
        return wrong("11 is right. Two breakpoints survive, and two breakpoints make how many pieces?")
    if fewest != 3:
        return wrong("11 is right. The fewest: how many of the 6 breakpoints can the other 4 cancel?")
    return right(
        "Breakpoints add: $4 + 6 = 10$ make 11 pieces. At best 4 of them cancel 4 others: 2 remain, 3 pieces."
    )


def units_for_distance(answer: Any) -> Feedback:
    """Judge how many units one hidden layer needs at least to come within 1/16 of m^(12), by the sign bound.

    Args:
        answer: a whole number; ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    if not _whole(answer):
        return wrong("Give one whole number of units.")
    hints = {
        2048: "2,048 is the number of *pieces* the bound asks for. N units make up to N + 1 pieces.",
        2049: "One off in the wrong direction: N units make up to N + 1 pieces, so N "
        "is one less than the pieces.",
        4096: "4,096 units draw $m^{(12)}$ exactly. Here a distance of 1/16 is allowed.",
        4095: "That is what exactness asks for. Here a distance of 1/16 is allowed.",
        1023: "Did you count $2^{n-1}$ pieces? $m^{(12)}$ has $2^{12} = 4096$.",
        1024: "Did you count $2^{n-1}$ pieces? $m^{(12)}$ has $2^{12} = 4096$.",
        37: "37 nodes is what the deep network needs for an exact copy. The "
        "question is about one hidden layer.",
    }
    if int(answer) == 2047:
        return right(
            "$\\frac18(1 - t/4096) \\le \\frac1{16}$ gives $t \\ge 2048$ pieces, hence $N \\ge 2047$ units."
        )
    return wrong(
        hints.get(
            int(answer), "Solve $\\frac18(1 - t/2^{12}) \\le \\frac1{16}$ for t, then use $t \\le N + 1$."
        )
    )


def square_terms(answer: Any) -> Feedback:
    """Judge how many terms Yarotsky's sum needs for an error of at most one millionth.

    Args:
        answer: a whole number; ``...`` while unanswered.

    Returns:
        Feedback.

    Book: depth_separation
    """
    if answer is ...:
        return unanswered()
    if not _whole(answer):
        return wrong("Give one whole number of terms.")
    hints = {
        8: "With 8 terms the error is $2^{-18} \\approx 3.8 \\cdot 10^{-6}$, just too much.",
        10: "10 terms suffice, but 9 do too. Did you forget the 2 in the exponent $-2n - 2$?",
        18: "Each term halves the *width* of the pieces, and the error falls with "
        "the width squared: a factor 4.",
        19: "Each term halves the *width* of the pieces, and the error falls with "
        "the width squared: a factor 4.",
        20: "$10^{-6} \\approx 2^{-20}$, right; now solve $2n + 2 \\ge 20$.",
    }
    if int(answer) == 9:
        return right(
            "$2^{-2 \\cdot 9 - 2} = 2^{-20} \\approx 9.5 \\cdot 10^{-7}$; eight terms give four times that."
        )
    return wrong(
        hints.get(
            int(answer), "Find the smallest n with $2^{-2n-2} \\le 10^{-6}$; $2^{10} \\approx 10^3$ helps."
        )
    )


def _whole(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
