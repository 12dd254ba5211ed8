"""Right answers in several forms pass; typical wrong ones fail with a message that names the mistake."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from cnncourse import theory
from cnncourse.notebook.exercises import depth_separation as exercises
from cnncourse.theory import linear

relu = torch.relu


def net(*layers):
    parts = []
    for weight, bias in layers:
        parts += [linear(weight, bias), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def folding(fold, kinks, n):
    width = len(fold)
    first = ([[1]] * width, kinks)
    return net(first, *[([fold] * width, kinks)] * (n - 1), ([fold], [0]))


square = theory.yarotsky_square(6)


def squared(x):
    return square(x.reshape(-1, 1)).reshape(-1)


def product_by_halves(x, y):
    return 2 * squared((x + y) / 2) - squared(x) / 2 - squared(y) / 2


RIGHT = [
    ("absolute_value", lambda x: relu(x) + relu(-x)),
    ("absolute_value", lambda x: 2 * relu(x) - x),
    ("absolute_value", lambda x: x.clamp(min=0) + (-x).clamp(min=0)),
    ("absolute_value", net(([[1], [-1]], [0, 0]), ([[1, 1]], [0]))),
    ("absolute_value", net(([[1], [-1]], [0, 0]), ([[1, 1]], [0])).float()),
    ("maximum", lambda x, y: y + relu(x - y)),
    ("maximum", lambda x, y: x + relu(y - x)),
    ("maximum", lambda x, y: (x + y) / 2 + (relu(x - y) + relu(y - x)) / 2),
    ("maximum", net(([[1, -1], [0, 1], [0, -1]], [0, 0, 0]), ([[1, 1, -1]], [0]))),
    ("pieces_of_sum", (11, 3)),
    ("pieces_of_sum", [11.0, 3.0]),
    ("pieces_of_sum", (np.int64(11), 3)),
    ("width_three", lambda n: folding([3, -6, 6], [0, -1 / 3, -2 / 3], n)),
    ("width_three", lambda n: folding([2, -4, 0], [0, -0.5, 0], n)),
    ("triangle_wave", lambda x: theory.sawtooth_values(x / 12, 3)),
    (
        "triangle_wave",
        lambda x: sum(2 / 3 * relu(x) if k == 0 else (-1) ** k * 4 / 3 * relu(x - 1.5 * k) for k in range(8)),
    ),
    ("triangle_wave", nn.Sequential(linear([[1 / 12]], [0]), *theory.deep_sawtooth(3))),
    ("units_for_distance", 2047),
    ("units_for_distance", 2047.0),
    ("square_terms", 9),
    ("square_terms", np.int64(9)),
    ("product", product_by_halves),
    ("product", lambda x, y: (squared((x + y) / 2) * 4 - squared(x) - squared(y)) / 2),
]

WRONG = [
    ("absolute_value", relu, "0 on the left"),
    ("absolute_value", lambda x: relu(x) - relu(-x), "identity"),
    ("absolute_value", lambda x: -relu(x) - relu(-x), "Upside down"),
    ("absolute_value", torch.abs, "not from ReLUs"),
    ("absolute_value", lambda x: x.abs(), "not from ReLUs"),
    ("absolute_value", lambda x: max(x, 0), "whole tensors"),
    ("absolute_value", 3, "Give a function"),
    ("absolute_value", lambda x: relu(x) + relu(1 - x), r"At \("),
    ("absolute_value", lambda x: x.sum(), "another shape"),
    ("absolute_value", lambda x: relu(x) / 0, r"At \("),
    ("maximum", torch.maximum, "not from ReLUs"),
    ("maximum", lambda x, y: torch.where(x > y, x, y), "not from ReLUs"),
    ("maximum", lambda x, y: x - relu(x - y), "minimum"),
    ("maximum", lambda x, y: relu(x - y), "only the lead"),
    ("maximum", lambda x, y: relu(x - y) + relu(y), "both are negative|At "),
    ("maximum", lambda x, y: relu(relu(x - y) + y), "both are negative"),
    ("maximum", lambda x, y: x + relu(x - y), "to the other one"),
    ("pieces_of_sum", (12, 3), "Add the \\*breakpoints\\*"),
    ("pieces_of_sum", (35, 3), "composition"),
    ("pieces_of_sum", (10, 3), "how many pieces|How many pieces"),
    ("pieces_of_sum", (11, 1), "4 breakpoints cannot cancel 6"),
    ("pieces_of_sum", (11, 2), "Two breakpoints survive"),
    ("pieces_of_sum", (11, 7), "cancel"),
    ("pieces_of_sum", (3, 11), "swapped"),
    ("pieces_of_sum", 11, "two whole numbers"),
    ("width_three", theory.narrow_sawtooth, "each must be 3"),
    ("width_three", theory.narrow_sawtooth(3), "Give a function"),
    ("width_three", lambda n: folding([3, -6, 6], [0, -1 / 3, -2 / 3], 2), "hidden layers"),
    ("width_three", lambda n: folding([1, 1, 1], [0, -0.3, -0.6], n), "grow by addition"),
    ("width_three", lambda n: folding([0.5, -1, 0], [0, -0.25, 0], n), r"n = \d needs"),
    ("width_three", lambda n: None, "does not work"),
    ("triangle_wave", lambda x: theory.sawtooth_values(x / 12, 2), "period 6"),
    ("triangle_wave", lambda x: theory.sawtooth_values(x / 12, 4), "period 1.5"),
    ("triangle_wave", lambda x: theory.sawtooth_values(x, 3), "squeeze"),
    ("triangle_wave", lambda x: theory.sawtooth_values(x / 3, 1), "One tooth"),
    ("triangle_wave", lambda x: 1 - theory.sawtooth_values(x / 12, 3), "Upside down"),
    ("triangle_wave", lambda x: relu(1 - (x % 3 - 1.5).abs() / 1.5), "not from ReLUs"),
    ("units_for_distance", 2048, "number of \\*pieces\\*"),
    ("units_for_distance", 4096, "exactly"),
    ("units_for_distance", 1023, "2\\^\\{n-1\\}"),
    ("units_for_distance", 37, "deep network"),
    ("units_for_distance", "many", "whole number"),
    ("square_terms", 8, "just too much"),
    ("square_terms", 10, "9 do too"),
    ("square_terms", 20, "solve"),
    ("square_terms", True, "whole number"),
    ("product", lambda x, y: x * y, "multiplied"),
    ("product", lambda x, y: product_by_halves(x, y) / 2, "factor 2 is missing"),
    ("product", lambda x, y: 2 * product_by_halves(x, y), "factor 2 too many"),
    ("product", lambda x, y: squared((x + y) / 2), "Subtract them"),
    ("product", lambda x, y: (squared(x + y) - squared(x) - squared(y)) / 2, "halve the sum"),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass_in_any_form(name, answer):
    feedback = getattr(exercises, name)(answer)
    assert feedback.verdict == "right", feedback.message


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_told_their_mistake(name, answer, message):
    feedback = getattr(exercises, name)(answer)
    assert feedback.verdict == "wrong"

    assert re.search(message, feedback.message), feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_an_open_question_is_unanswered(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


def test_a_pair_of_open_questions_is_unanswered():
    assert exercises.pieces_of_sum((..., ...)).verdict == "unanswered"


def test_three_units_a_layer_are_told_about_the_most_pieces():
    few = exercises.width_three(lambda n: folding([2, -4, 0], [0, -0.5, 0], n))
    most = exercises.width_three(lambda n: folding([3, -6, 6], [0, -1 / 3, -2 / 3], n))
    assert "can reach $3^n$" in few.message
    assert "even $3^n$" in most.message
