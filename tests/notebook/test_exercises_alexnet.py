"""Self-checks of the chapter on AlexNet: right answers in several forms, and the message for wrong ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cnncourse.layers import local_response_norm
from cnncourse.models import AlexNet2012
from cnncourse.notebook.exercises import alexnet as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


def windows(columns):
    return nn.Conv1d(1, 1, 11, stride=4)(torch.zeros(1, 1, columns)).shape[-1]


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, np.array])
def test_input_side_agrees_with_torch(form):
    smallest = next(side for side in range(11, 300) if windows(side) == 55)
    zeros = next(count for count in range(20) if windows(224 + count) == 55)
    assert_right(exercises.input_side(form([windows(224), smallest, zeros])))


@pytest.mark.parametrize(("answer", "message"), [
    ([55, 227, 3], "rounded down 53"),
    ([54.25, 227, 3], "whole windows"),
    ([53, 227, 3], "add 1"),
    ([54, 224, 3], "there are 54 windows"),
    ([54, 228, 3], "smaller side"),
    ([54, 216, 3], "*starts*"),
    ([54, 227, 4], "read by none"),
    ([54, 227, 1.5], "half a zero"),
    ([54, 227, 17], "(c) is not 17"),
    ([54, 227], "three numbers"),
    ("none", "three numbers"),
])  # fmt: skip
def test_input_side_names_the_mistake(answer, message):
    assert_wrong(exercises.input_side(answer), message)


def test_answers_with_a_gap_are_no_answer_yet():
    assert exercises.input_side([54, ..., 3]).verdict == "unanswered"
    assert exercises.noise_levels([..., 1, 2]).verdict == "unanswered"


def parameters(**options):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in AlexNet2012(**options).parameters())


@pytest.mark.parametrize("form", [int, float, torch.tensor, np.int64])
def test_two_towers_agrees_with_the_network(form):
    assert_right(exercises.two_towers(form(parameters(groups=1) - parameters(groups=2))))


@pytest.mark.parametrize(("answer", "message"), [
    (1_413_120 + 448, "not the biases"),
    (1_413_120 + 384 * 9 * 128, "third convolution sees both"),
    (2 * 1_413_120, "keep half"),
    (1_413_120 - 256 * 25 * 48, "second convolution"),
    (1_413_120 - 384 * 9 * 192, "fourth convolution"),
    (1_413_120 - 256 * 9 * 192, "fifth convolution"),
    (-1_413_120, "sign"),
    (60_965_224, "*fewer*"),
    (62_378_344, "*more*"),
    (7, "no longer sees"),
    ("half", "one whole number"),
])  # fmt: skip
def test_two_towers_names_the_mistake(answer, message):
    assert_wrong(exercises.two_towers(answer), message)


@pytest.mark.parametrize("form", [int, float, torch.tensor])
def test_count_crops_agrees_with_unfold(form):
    places = torch.zeros(256, 256).unfold(0, 224, 1).unfold(1, 224, 1).shape[:2]
    assert_right(exercises.count_crops(form(2 * places[0] * places[1])))


@pytest.mark.parametrize(("answer", "message"), [
    (2048, "anywhere between"),
    (1089, "mirror images are missing"),
    (1024, "row 32"),
    (66, "multiply"),
    (4356, "upside down"),
    (131_072, "stick out"),
    (10, "rows to start at"),
    ("many", "one whole number"),
])  # fmt: skip
def test_count_crops_names_the_mistake(answer, message):
    assert_wrong(exercises.count_crops(answer), message)


LEVELS = [1.275, 325.125, 25.5 * math.sqrt(0.05)]


@pytest.mark.parametrize("answer", [LEVELS, tuple(LEVELS), torch.tensor(LEVELS), [1.28, 325, 5.7]])
def test_noise_levels_accepts(answer):
    assert_right(exercises.noise_levels(answer))


@pytest.mark.parametrize(("answer", "message"), [
    ([0.005, 325, 5.7], "1/255"),
    ([325, 325, 5.7], "reading (b)"),
    ([5.7, 325, 5.7], "variance, not its root"),
    ([1.275, 1.275, 5.7], "255²"),
    ([1.275, 1454, 5.7], "variance, not its root"),
    ([1.275, 325, 1.275], "square root"),
    ([1.275, 325, 0.02236], "1/255"),
    ([1.275, 325, 1454], "not with its square"),
    ([1.275, 325, 9], "(c) is not 9"),
    ([1.275, 325], "three numbers"),
])  # fmt: skip
def test_noise_levels_names_the_mistake(answer, message):
    assert_wrong(exercises.noise_levels(answer), message)


def ours(a, n, k, alpha, beta):
    maps = torch.as_tensor(a)[None, :, None, None]
    return local_response_norm(maps, n, k, alpha, beta)[0, :, 0, 0]


def theirs(a, n, k, alpha, beta):
    layer = nn.LocalResponseNorm(n, alpha=alpha * n, beta=beta, k=k)
    return layer(torch.as_tensor(a)[None, :, None, None])[0, :, 0, 0].numpy()


def normalised(a, n, k, alpha, beta, *, half=None, own=True, power=2):
    half = n // 2 if half is None else half
    new = []
    for i, value in enumerate(a):
        near = [j for j in range(max(0, i - half), min(len(a), i + half + 1)) if own or j != i]
        new.append(value / (k + alpha * sum(abs(a[j]) ** power for j in near)) ** beta)
    return new


@pytest.mark.parametrize("answer", [ours, theirs, normalised])
def test_local_response_accepts(answer):
    assert_right(exercises.local_response(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha / n, beta), "divide α by n"),
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha, beta, own=False), "channel itself"),
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha, beta, half=n), "*each side*"),
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha, beta, power=1), "their squares"),
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha, 1.0), "power β"),
    (lambda a, n, k, alpha, beta: normalised(a, n, k, alpha, -beta), "*smaller*"),
    (lambda a, n, k, alpha, beta: a / (k + alpha * sum(np.roll(a**2, s) for s in range(-(n // 2), n // 2 + 1)))
     ** beta, "wraps around"),
    (lambda a, n, k, alpha, beta: a, "Wrong for 8 channels"),
    (lambda a, n, k, alpha, beta: a[:2], "has 8 numbers"),
    (lambda a, n, k, alpha, beta: a[100], "IndexError"),
    (np.zeros(3), "function itself"),
])  # fmt: skip
def test_local_response_names_the_mistake(answer, message):
    assert_wrong(exercises.local_response(answer), message)


def test_functions_that_return_nothing_are_no_answer_yet():
    assert exercises.local_response(lambda *_: None).verdict == "unanswered"
    assert exercises.vote(lambda _: None).verdict == "unanswered"


@pytest.mark.parametrize("answer", [
    lambda logits: logits.softmax(-1).mean(0).argmax(-1),
    lambda logits: logits.softmax(2).sum(0).argmax(1).numpy(),
    lambda logits: logits.softmax(2).sum(0).argmax(1).tolist(),
])  # fmt: skip
def test_vote_accepts(answer):
    assert_right(exercises.vote(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda logits: logits.mean(0).argmax(-1), "average the *logits*"),
    (lambda logits: logits.argmax(-1).mode(0).values, "count votes"),
    (lambda logits: logits[0].argmax(-1), "first network"),
    (lambda logits: logits[-1].argmax(-1), "last network"),
    (lambda logits: logits.softmax(1).mean(0).argmax(-1), "over the images"),
    (lambda logits: logits.softmax(0).mean(0).argmax(-1), "Softmax over the last axis"),
    (lambda logits: logits.softmax(-1).amax(0).argmax(-1), "surest"),
    (lambda logits: logits.softmax(-1).mean(0), "argmax over the classes"),
    (lambda logits: logits.softmax(-1).argmax(-1), "200 classes"),
    (lambda logits: torch.zeros(200), "mean over the first"),
    (lambda logits: logits.nothing, "AttributeError"),
    (3, "function itself"),
])  # fmt: skip
def test_vote_names_the_mistake(answer, message):
    assert_wrong(exercises.vote(answer), message)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(128, 1000)

    def forward(self, maps):
        return self.line(maps[:, :128].mean((2, 3)))


class Corner(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(256, 1000)

    def forward(self, maps):
        return self.line(maps[:, :, 0, 0])


@pytest.mark.parametrize("answer", [
    nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 1000)),
    nn.Sequential(nn.Conv2d(256, 1000, 1), nn.AvgPool2d(6), nn.Flatten()),
    nn.Sequential(nn.Dropout(), nn.AvgPool2d(6), nn.Flatten(), nn.Linear(256, 1000, bias=False)),
])  # fmt: skip
def test_slim_head_accepts_and_leaves_the_mode(answer):
    answer.train()
    assert_right(exercises.slim_head(answer))
    assert answer.training


@pytest.mark.parametrize(("answer", "message"), [
    (nn.Sequential(nn.Flatten(), nn.Linear(9216, 1000)), "more than 300,000"),
    (nn.Conv2d(256, 1000, 1), "must give logits"),
    (nn.Sequential(nn.Conv2d(256, 1000, 1), nn.AvgPool2d(6)), "Flatten the 1 × 1"),
    (nn.Linear(256, 1000), "does not take maps"),
    (Half(), "Some channels"),
    (Corner(), "Some places"),
    ("pool", "nn.Module"),
])  # fmt: skip
def test_slim_head_names_the_mistake(answer, message):
    assert_wrong(exercises.slim_head(answer), message)
