"""Self-checks of the chapter on VGG: right answers in several forms, and the message for wrong ones."""

import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from cnncourse.notebook.exercises import vgg as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


@pytest.mark.parametrize(("name", "answer"), [
    ("eleven", (5, ...)), ("map_size", [..., 10]), ("crops", (256, 341, ...)), ("start", (..., ...)),
])  # fmt: skip
def test_an_answer_with_a_gap_is_none_yet(name, answer):
    assert getattr(exercises, name)(answer).verdict == "unanswered"


def weights(kernel):
    return nn.Conv2d(8, 8, kernel, bias=False).weight.numel()


@pytest.mark.parametrize("form", [tuple, list, np.array, torch.tensor])
def test_eleven_agrees_with_counted_weights(form):
    assert_right(exercises.eleven(form([5, 100 * (weights(11) / (5 * weights(3)) - 1)])))


@pytest.mark.parametrize(("answer", "message"), [
    ((4, 169), "4 layers see 9"),
    ((6, 169), "6 layers see 13"),
    ((10, 169), "*both* sides"),
    ((5, 269), "How much *more*"),
    ((5, 63), "what the stack saves"),
    ((5, 37), "as a share"),
    ((5, 81), "7×7 over three"),
    ((5, 1.69), "in per cent"),
    ((5, 50), "layers are right"),
    (5, "two numbers"),
    ("five", "two numbers"),
])  # fmt: skip
def test_eleven_names_the_mistake(answer, message):
    assert_wrong(exercises.eleven(answer), message)


LAYER = 56 * 56 * 256 * 9 * 128


@pytest.mark.parametrize("form", [int, float, np.int64, torch.tensor])
def test_operations_agrees_with_the_layer_of_torchvision(form):
    with torch.device("meta"):
        layer = torchvision.models.vgg16().features[10]  # the first behind the second pooling
    assert (layer.in_channels, layer.out_channels) == (128, 256)
    assert_right(exercises.operations(form(layer.weight.numel() * 56 * 56)))


@pytest.mark.parametrize(("answer", "message"), [
    (2 * LAYER, "FLOPs"),
    (LAYER // 9, "nine places"),
    (LAYER // 128, "all 128 channels"),
    (LAYER // 256, "one output channel"),
    (9 * 128 * 256, "number of weights"),
    (9 * 128 * 256 + 256, "number of parameters"),
    (4 * LAYER, "not 112×112"),
    (LAYER + 1, "too large"),
    (7, "too small"),
    ("many", "one whole number"),
])  # fmt: skip
def test_operations_names_the_mistake(answer, message):
    assert_wrong(exercises.operations(answer), message)


@pytest.mark.parametrize("form", [int, float, torch.tensor])
def test_fc6_agrees_with_a_linear_layer(form):
    last = nn.Sequential(*[nn.MaxPool2d(2) for _ in range(5)])(torch.zeros(1, 512, 256, 256)).numel()
    layer = nn.Linear(last, 4096, device="meta")
    assert_right(exercises.fc6_parameters(form(sum(p.numel() for p in layer.parameters()))))


@pytest.mark.parametrize(("answer", "message"), [
    (4096 * 512 * 64, "biases are missing"),
    (102_764_544, "at 224 pixels"),
    (4096 * (512 * 256 + 1), "five poolings"),
    (4096 * (512 * 8 + 1), "64 places"),
    (4096 * 65, "all 512 channels"),
    (1, "too small"),
    (10**9, "too large"),
    (None, "one whole number"),
])  # fmt: skip
def test_fc6_names_the_mistake(answer, message):
    assert_wrong(exercises.fc6_parameters(answer), message)


@pytest.mark.parametrize("answer", [(6, 10), [6.0, 10.0], torch.tensor([6, 10]), torch.Size([6, 10])])
def test_map_size_accepts(answer):
    assert_right(exercises.map_size(answer))


def test_the_right_map_is_what_a_network_gives():
    trunk = nn.Sequential(*[nn.MaxPool2d(2) for _ in range(5)], nn.Conv2d(1, 1, 7))
    assert_right(exercises.map_size(trunk(torch.zeros(1, 1, 384, 512)).shape[2:]))


@pytest.mark.parametrize(("answer", "message"), [
    ((12, 16), "in front of FC6"),
    ((5, 9), "One more"),
    ((10, 6), "exchanged"),
    ((2, 2), "not by seven"),
    ((161, 289), "by 32 pixels"),
    ((1, 1), "224×224"),
    ((18, 22), "Padding"),
    ((3, 3), "by 32"),
    (6, "two whole numbers"),
])  # fmt: skip
def test_map_size_names_the_mistake(answer, message):
    assert_wrong(exercises.map_size(answer), message)


@pytest.mark.parametrize("form", [tuple, list, np.array, torch.tensor])
def test_crops_agrees_with_torchvision_and_counting(form):
    image = torchvision.transforms.functional.resize(torch.zeros(3, 480, 640), 256)
    height, width = image.shape[1:]
    places = sum(1 for _row in range(height - 223) for _column in range(width - 223))
    assert_right(exercises.crops(form([height, width, 2 * places])))


@pytest.mark.parametrize(("answer", "message"), [
    ((256, 256, 2178), "squashes"),
    ((192, 256, 1), "*shorter*"),
    ((341, 256, 7788), "exchanged"),
    ((256, 342, 7854), "341.3"),
    ((300, 400, 1), "shorter side becomes 256"),
    ((256, 341, 3894), "double"),
    ((256, 341, 7488), "One more place"),
    ((256, 341, 2178), "width is 341"),
    ((256, 341, 10), "*test* of 2012"),
    ((256, 341, 5), "Places along each side"),
    ((256, 341), "three whole numbers"),
])  # fmt: skip
def test_crops_names_the_mistake(answer, message):
    assert_wrong(exercises.crops(answer), message)


@pytest.mark.parametrize("answer", [(0.48, 0.0208), [0.48, 0.0208], torch.tensor([0.48, 0.02083])])
def test_start_accepts(answer):
    assert_right(exercises.start(answer))


def test_the_right_factor_is_what_a_layer_does():
    torch.manual_seed(0)
    layer = nn.Conv2d(512, 512, 3, bias=False)
    nn.init.normal_(layer.weight, 0, 0.01)
    signal = torch.randn(2, 512, 16, 16).relu()
    with torch.no_grad():
        behind = layer(signal)[..., 1:-1, 1:-1]
    factor = (behind.square().mean() / 2 / signal.square().mean()).sqrt().item()  # a ReLU keeps half
    assert math.isclose(factor, 0.48, rel_tol=0.05)


@pytest.mark.parametrize(("answer", "message"), [
    ((0.23, 0.0208), "mean *square*"),
    ((0.68, 0.0208), "divide by 2"),
    ((4.8, 0.0208), "variance of 0.01"),
    ((0.16, 0.0208), "nine places"),
    ((0.9, 0.0208), "(a)"),
    ((0.48, 0.000434), "That is the variance"),
    ((0.48, 0.01473), "without the ReLU"),
    ((0.48, 0.0625), "nine places"),
    ((0.48, 0.5), "(b)"),
    (0.48, "two numbers"),
])  # fmt: skip
def test_start_names_the_mistake(answer, message):
    assert_wrong(exercises.start(answer), message)
