"""Self-checks of the chapter on residual networks: each says what is right, or names the mistake."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnncourse.notebook.exercises.answers import as_array, as_number
from cnncourse.notebook.exercises.resnet_code import family_parameters, option_a
from cnncourse.notebook.exercises.resnet_training_code import preact_block, stochastic_branch
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = [
    "bottleneck_weights",
    "family_parameters",
    "option_a",
    "preact_block",
    "stochastic_branch",
    "surviving_paths",
    "two_chains",
    "which_trouble",
]

_TROUBLES = {"a": "degradation", "b": "over-fitting", "c": "neither", "d": "neither"}

_TROUBLE_HINTS = {
    (
        "a",
        "over-fitting",
    ): "an over-fitted network is *better* on the images it learnt from. This one is worse there too.",
    ("a", "neither"): "the deeper network is clearly worse on both sets of images.",
    (
        "b",
        "degradation",
    ): "look at the training error: the deeper network learnt its images better, not worse.",
    ("b", "neither"): "the training error went down and the test error up: the gap is the symptom.",
    ("c", "degradation"): "both errors fell. The deeper network is simply better.",
    (
        "c",
        "over-fitting",
    ): "both errors fell. A gap between them alone is no trouble as long as the test error falls.",
    (
        "d",
        "degradation",
    ): "a difference of one point is half of one standard deviation over the seeds. Nobody can tell.",
    (
        "d",
        "over-fitting",
    ): "the gap of 3 points is the same for both depths, and the difference is within the "
    "spread of the seeds.",
}


def which_trouble(answer: Any) -> Feedback:
    """Check the diagnosis of four pairs of networks.

    Args:
        answer: from ``"a"``, ``"b"``, ``"c"``, ``"d"`` to ``"degradation"``, ``"over-fitting"`` or ``"neither"``.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, Mapping) or set(answer) != set(_TROUBLES):
        return wrong(f"Give a dictionary with the keys {', '.join(_TROUBLES)}.")
    if any(said is ... for said in answer.values()):
        return unanswered()
    for case, said in answer.items():
        word = str(said).strip().lower().replace("overfitting", "over-fitting")
        if word not in _TROUBLES.values():
            return wrong(
                f"For {case}: the answer is `degradation`, `over-fitting` or `neither`, not `{said}`."
            )
        if word != _TROUBLES[case]:
            return wrong(f"For {case}: {_TROUBLE_HINTS[case, word]}")
    return right(
        "Training error tells the two apart: over-fitting lowers it, degradation raises it. And a difference "
        "counts only if it is large beside the spread over seeds."
    )


def two_chains(answer: Any) -> Feedback:
    """Check the slopes of ten plain and of ten residual steps with F(x) = 0.1 x.

    Args:
        answer: two numbers, plain first.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (2,):
        return wrong("Give two numbers: the slope of the plain chain, then that of the residual one.")
    plain, residual = (float(value) for value in values)
    if math.isclose(residual, 1e-10, rel_tol=0.05):
        return wrong("The two are exchanged: the plain chain comes first.")
    if not math.isclose(plain, 1e-10, rel_tol=0.05):
        return wrong(
            {
                0.1: "0.1 is the slope of *one* plain step. Ten of them multiply.",
                1.0: "Slopes along a chain multiply, they do not add up: $0.1^{10}$, not $10 \\cdot 0.1$.",
            }.get(round(plain, 6), "The plain chain multiplies ten slopes of 0.1.")
        )
    if math.isclose(residual, 1.1**10, rel_tol=0.005):
        return right(
            "$0.1^{10}$ has all but vanished; $1.1^{10} \\approx 2.6$ is as good as new. The 1 in each factor is the "
            "shortcut."
        )
    mistakes = (
        (1.1, "1.1 is the slope of *one* residual step. Ten of them multiply."),
        (
            2.0,
            "You added the ten slopes to 1. That is the first-order part only; the product holds all paths.",
        ),
        (11.0, "Slopes along a chain multiply, they do not add up: not $10 \\cdot 1.1$."),
        (1.0, "The shortcut alone has slope 1, but the branches add to it in every step."),
        (0.9**10, "Check the sign: $1 + 0.1$, not $1 - 0.1$."),
    )
    for number, message in mistakes:
        if math.isclose(residual, number, rel_tol=1e-3):
            return wrong(message)
    return wrong(
        "The plain slope is right. A residual step is $x + 0.1x$: what is its slope, and ten times over?"
    )


def bottleneck_weights(answer: Any) -> Feedback:
    """Check the convolution weights of three branches around 512 and 128 channels.

    Args:
        answer: three whole numbers: two 3 x 3 on 512 channels, the bottleneck 512-128-128-512, two 3 x 3 on 128.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    values = as_array(answer)
    if values is None or values.shape != (3,):
        return wrong("Give three whole numbers, for (a), (b) and (c).")
    wide, bottleneck, narrow = 2 * 9 * 512**2, 2 * 512 * 128 + 9 * 128**2, 2 * 9 * 128**2
    true = np.array([wide, bottleneck, narrow])
    if np.array_equal(values, true):
        return right(
            "The bottleneck reads and writes four times the channels of (c) for 6 % fewer weights, and costs a "
            "seventeenth of (a)."
        )
    tables = {
        "You counted one 3 × 3 convolution in (a) and (c); the branch has two.": [
            wide // 2, bottleneck, narrow // 2
        ],
        "In (b) the way back is missing: a second 1 × 1 convolution, from 128 to 512 channels.": [
            wide, bottleneck - 512 * 128, narrow
        ],
        "You took all three kernels of (b) for 3 × 3. The outer two are 1 × 1 and have no factor of 9.": [
            wide, 9 * bottleneck - 8 * 9 * 128**2, narrow
        ],
        "A kernel reads *all* channels: its weights are k · k · C_in for each of C_out filters.": [
            2 * 9 * 512, 2 * 512 + 9 * 128, 2 * 9 * 128
        ],
        "You added biases. These convolutions have none: the batch norm behind them has its own.": [
            wide + 2 * 512, bottleneck + 128 + 128 + 512, narrow + 2 * 128
        ],
    }  # fmt: skip
    for message, table in tables.items():
        if np.array_equal(values, table):
            return wrong(message)
    if np.array_equal(values[[2, 1, 0]], true):
        return wrong("(a) and (c) are exchanged: (a) is the wide branch, on 512 channels.")
    name = "abc"[int(np.flatnonzero(values != true)[0])]
    return wrong(
        f"({name}) is not right yet. Add up k · k · C_in · C_out over the convolutions of the branch, without biases."
    )


def surviving_paths(answer: Any) -> Feedback:
    """Check how many paths ResNet-56 has, and which share of them survives without three blocks.

    Args:
        answer: two numbers, the paths and the share in [0, 1].

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ... or (isinstance(answer, list | tuple) and any(value is ... for value in answer)):
        return unanswered()
    given = (
        [as_number(value) for value in answer]
        if isinstance(answer, list | tuple) and len(answer) == 2
        else [None]
    )
    if None in given:
        return wrong("Give two numbers: how many paths there are, and the share that survives.")
    paths, share = (float(value) for value in given if value is not None)
    counted = {
        2**56: "Two ways for each *block*, not for each layer. How many blocks have 56 layers?",
        2
        ** 28: "Two layers of the 56 are outside the blocks: the first convolution and the last linear layer.",
        2**54: "Two ways for each *block*, not for each layer: a block has two layers.",
        27.0: "27 is the number of blocks. In each the signal has two ways: how many ways in all?",
        54.0: "Ways multiply: two in the first block *times* two in the second, and so on.",
        27.0**2: "It is 2 to the 27, not 27 squared: two ways in each of 27 blocks.",
    }
    if paths in counted:
        return wrong(counted[paths])
    if paths != 2**27:
        return wrong("Each of (56 − 2)/2 blocks doubles the number of ways from the input to the output.")
    if math.isclose(share, 1 / 8, abs_tol=1e-6):
        return right(
            "$2^{27}$, 134 million. Each block that goes takes the half that runs through its branch; $2^{24}$ of the "
            "paths, all that avoid the three branches, are untouched."
        )
    if share == 2**24:
        return wrong("$2^{24}$ paths survive, right; asked is their share, between 0 and 1.")
    return wrong(
        {
            0.875: "That is the share that is *lost*.",
            0.5: "One block takes one half. You remove three, one after the other.",
            round(24 / 27, 6): "24 of 27 is the share of *blocks*. Of the paths, each block takes one half.",
            0.0: "That is a plain network: one path, and it is cut. Shortcuts leave a way around.",
        }.get(round(share, 6), "A path survives if it takes the shortcut in all three of the removed blocks.")
    )
