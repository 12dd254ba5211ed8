"""Self-checks of code in the chapter on VGG: right code in several forms, and the message for wrong code."""

import pytest
import torch
from torch import nn

from cnncourse.notebook.exercises import vgg as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


def shaped(weight, channels, side):
    return weight.view(-1, channels, side, side)


def convert(linear, side, *, change=shaped, bias=True):
    channels = linear.in_features // side**2
    conv = nn.Conv2d(channels, linear.out_features, side, bias=bias and linear.bias is not None)
    with torch.no_grad():
        conv.weight.copy_(change(linear.weight, channels, side))
        if conv.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv


def shared(linear, side):
    conv = nn.Conv2d(1, 1, side)
    conv.weight = nn.Parameter(linear.weight.detach().reshape(linear.out_features, -1, side, side))
    conv.bias = linear.bias
    return conv


@pytest.mark.parametrize("answer", [convert, shared])
def test_convert_accepts(answer):
    assert_right(exercises.convert(answer))


def channels_last(linear, side):
    return convert(linear, side, change=lambda w, c, s: w.view(-1, s, s, c).permute(0, 3, 1, 2))


def spoil(linear, side):
    linear.weight.data.zero_()
    return convert(linear, side)


def untouched(linear, side):
    return nn.Conv2d(linear.in_features // side**2, linear.out_features, side)


def other_bias(linear, side):
    conv = convert(linear, side)
    if conv.bias is not None:
        nn.init.ones_(conv.bias)
    return conv


@pytest.mark.parametrize(("answer", "message"), [
    (lambda linear, side: convert(linear, side, bias=False), "bias is missing"),
    (untouched, "answers differ"),
    (other_bias, "biases are others"),
    (channels_last, "order is wrong"),
    (lambda linear, side: convert(linear, side, change=lambda *a: shaped(*a).flip(2, 3)), "turned by 180"),
    (lambda linear, side: convert(linear, side, change=lambda *a: shaped(*a).mT), "exchanged"),
    (lambda linear, side: nn.Conv2d(linear.in_features // side**2, linear.out_features, 1), "one place"),
    (lambda linear, side: linear, "not a `Linear`"),
    (lambda linear: linear, "stopped with `TypeError"),
    (spoil, "itself has changed"),
    (nn.Conv2d(1, 1, 1), "function itself"),
])  # fmt: skip
def test_convert_names_the_mistake(answer, message):
    assert_wrong(exercises.convert(answer), message)


def test_convert_without_return_is_no_answer_yet():
    assert exercises.convert(lambda linear, side: None).verdict == "unanswered"


def stamp(count=8, width=24, pool=2, act=nn.ReLU, head=10, **options):
    """Return a small VGG; the options are those of its second convolution."""
    parts, read = [], 3
    for number in range(count):
        setting = {"kernel_size": 3, "padding": 1} | (options if number == 1 else {})
        parts += [nn.Conv2d(read, width, **setting), act()]
        read = width
        if number % 2:
            parts.append(nn.MaxPool2d(pool))
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, head))


@pytest.mark.parametrize("answer", [stamp(), stamp(count=9), stamp().double(), stamp(padding="same")])
def test_small_vgg_accepts(answer):
    assert_right(exercises.small_vgg(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (stamp(kernel_size=5), "window of 5×5"),
    (stamp(stride=2), "a stride"),
    (stamp(padding=0), "loses a border"),
    (stamp(groups=2), "Groups"),
    (stamp(count=6), "6 convolutions"),
    (stamp(pool=3), "max poolings of 2×2"),
    (stamp(act=nn.Identity), "no ReLU"),
    (stamp(width=48), "more than 100,000"),
    (nn.Sequential(stamp(), nn.Linear(10, 9000)), "`Linear`"),
    (stamp(head=7), "not (2, 7)"),
    (stamp(count=12), "stopped with"),
    (nn.Linear, "not its class"),
])  # fmt: skip
def test_small_vgg_names_the_mistake(answer, message):
    assert_wrong(exercises.small_vgg(answer), message)


def test_small_vgg_keeps_the_mode():
    answer = stamp().train()
    exercises.small_vgg(answer)
    assert answer.training
