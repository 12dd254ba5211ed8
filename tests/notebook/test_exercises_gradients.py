"""Self-checks of the chapter on gradients: right answers in several forms, and the message for wrong ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cnncourse import layers
from cnncourse.notebook.exercises import gradients as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", [name for name in exercises.__all__ if name != "batch_norm_by_hand"])
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


@pytest.mark.parametrize("answer", [-1, -1.0, torch.tensor(-1.0), np.array([-1.0])])
def test_chain_by_hand_accepts(answer):
    assert_right(exercises.chain_by_hand(answer))


def test_chain_by_hand_agrees_with_autograd():
    x = torch.tensor(1.0, requires_grad=True)
    y = 0.5 * torch.relu(-4 * torch.sigmoid(2 * x - 2) + 3)
    y.backward()
    assert_right(exercises.chain_by_hand(x.grad))


@pytest.mark.parametrize(("answer", "message"), [
    (1, "count the signs"),
    (2 * -4 * 0.5, "product of the three weights"),
    (0.5 * 2 * -4 * 0.5, "*value*"),
    (0.25, "slopes alone"),
    (0, "slope is 1"),
    (7, "0, 1 and 1"),
    ("minus one", "one number"),
])  # fmt: skip
def test_chain_by_hand_names_the_mistake(answer, message):
    assert_wrong(exercises.chain_by_hand(answer), message)


SCALE = math.sqrt(2 / (1.04 * 576))


@pytest.mark.parametrize("answer", [SCALE, 0.0578, torch.tensor(SCALE), [SCALE]])
def test_leaky_scale_accepts(answer):
    assert_right(exercises.leaky_scale(answer))


def test_leaky_scale_agrees_with_torch():
    gain = nn.init.calculate_gain("leaky_relu", 0.2)
    assert_right(exercises.leaky_scale(gain / math.sqrt(576)))


@pytest.mark.parametrize(("answer", "message"), [
    (SCALE**2, "variance"),
    (math.sqrt(2 / 576), "plain ReLU"),
    (math.sqrt(2 / (1.04 * 1152)), "fan-out"),
    (math.sqrt(2 / (1.04 * 64)), "nine pixels"),
    (math.sqrt(2 / (1.2 * 576)), "0.2² = 0.04"),
    (math.sqrt(1 / 576), "Without the 2"),
    (math.sqrt(2 / (576 + 1152)), "Glorot"),
    (0.52, "share"),
    (3.0, "n · Var(w)"),
    ("small", "one number"),
])  # fmt: skip
def test_leaky_scale_names_the_mistake(answer, message):
    assert_wrong(exercises.leaky_scale(answer), message)


UNITS = {
    "a": ((1, -2), 1), "b": ((-1, -1), 0), "c": ((2, -1), -2), "d": ((-3, 1), -0.5), "e": ((0.5, 0.5), -1.2),
}  # fmt: skip


def test_dead_or_alive_agrees_with_a_grid():
    side = torch.linspace(0, 1, 11)
    grid = torch.cartesian_prod(side, side)
    dead = {
        name
        for name, (w, b) in UNITS.items()
        if not (torch.relu(grid @ torch.tensor(w).float() + b) > 0).any()
    }
    assert_right(exercises.dead_or_alive(dead))


@pytest.mark.parametrize("answer", ["bce", "e, c, b", ["b", "c", "e"], {"B", "C", "E"}, ("b", "e", "c")])
def test_dead_or_alive_accepts(answer):
    assert_right(exercises.dead_or_alive(answer))


@pytest.mark.parametrize(("answer", "message"), [
    ("e", "exactly 0"),
    ("cde", "negative bias alone"),
    ("bcde", "corner (1, 1)"),
    ("ad", "living"),
    ("bc", "`e` is dead as well"),
    ("abce", "`a` is alive"),
    ("bcx", "no unit `x`"),
    (3, "letters"),
])  # fmt: skip
def test_dead_or_alive_names_the_mistake(answer, message):
    assert_wrong(exercises.dead_or_alive(answer), message)


X = torch.tensor([1.0, 3, 5, 7])
Y = 2 * (X - 4) / math.sqrt(5) + 1
VARIANCE = 0.9 + 0.1 * X.var().item()


@pytest.mark.parametrize("outputs", [Y, Y.tolist(), tuple(Y.tolist()), Y.numpy(), [-1.68, 0.11, 1.89, 3.68]])
def test_batch_norm_by_hand_accepts(outputs):
    assert_right(exercises.batch_norm_by_hand(outputs, VARIANCE))


def test_batch_norm_by_hand_agrees_with_torch():
    norm = nn.BatchNorm1d(1, eps=1e-9)
    nn.init.constant_(norm.weight, 2)
    nn.init.constant_(norm.bias, 1)
    assert_right(exercises.batch_norm_by_hand(norm(X[:, None]), norm.running_var))


def test_batch_norm_by_hand_with_a_gap_is_no_answer_yet():
    assert exercises.batch_norm_by_hand([..., ..., ..., ...], 1.0).verdict == "unanswered"
    assert exercises.batch_norm_by_hand(Y, ...).verdict == "unanswered"


@pytest.mark.parametrize(("outputs", "variance", "message"), [
    (2 * (X - 4) / X.std() + 1, VARIANCE, "not by m − 1"),
    ((X - 4) / math.sqrt(5), VARIANCE, "That is x̂"),
    (2 * (X - 4) / 5 + 1, VARIANCE, "square root"),
    (2 * X / math.sqrt(5) + 1, VARIANCE, "Subtract the mean"),
    (2 * ((X - 4) / math.sqrt(5) + 1), VARIANCE, "after γ"),
    (X, VARIANCE, "(x − 4)/√5"),
    (Y[:2], VARIANCE, "four numbers"),
    (Y, 0.9 + 0.5, "unbiased"),
    (Y, 0.1 + 0.9 * X.var().item(), "weight of the *new*"),
    (Y, X.var().item(), "a tenth"),
    (Y, 3.0, "0.9 · (old value 1)"),
    (Y, "one", "one number"),
])  # fmt: skip
def test_batch_norm_by_hand_names_the_mistake(outputs, variance, message):
    assert_wrong(exercises.batch_norm_by_hand(outputs, variance), message)


@pytest.mark.parametrize("answer", [(1.5, -2.5), [1.5, -2.5], torch.tensor([1.5, -2.5])])
def test_fold_by_hand_accepts(answer):
    assert_right(exercises.fold_by_hand(answer))


def test_fold_by_hand_agrees_with_the_library():
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1e-9)
    for tensor, value in (
        (conv.weight, 3), (conv.bias, 1), (norm.running_mean, 4), (norm.running_var, 16), (norm.weight, 2),
        (norm.bias, -1),
    ):  # fmt: skip
        nn.init.constant_(tensor, value)
    folded = layers.fold_batch_norm(conv, norm)
    assert_right(exercises.fold_by_hand((folded.weight.item(), folded.bias.item())))


@pytest.mark.parametrize(("answer", "message"), [
    ((-2.5, 1.5), "exchanged"),
    ((0.375, -1.375), "standard deviation"),
    ((1.5, -3), "own bias"),
    ((1.5, -1.5), "β = −1 is missing"),
    ((3, -2.5), "multiplied by s"),
    ((1.5, 1.5), "sign of the mean"),
    ((1.5, -0.5), "subtracts it before"),
    ((1, 1), "z = 3x + 1"),
    (1.5, "two numbers"),
])  # fmt: skip
def test_fold_by_hand_names_the_mistake(answer, message):
    assert_wrong(exercises.fold_by_hand(answer), message)


def test_fold_by_hand_with_a_gap_is_no_answer_yet():
    assert exercises.fold_by_hand((1.5, ...)).verdict == "unanswered"
