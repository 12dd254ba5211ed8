"""Self-checks of the chapter on pooling: right answers in several forms, and the message for wrong ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cnncourse import inspection, models
from cnncourse.notebook.exercises import pooling_lenet as exercises

MAP = torch.tensor([[1, 0, 2, 1, 3], [0, 4, 1, 0, 2], [2, 1, 0, 5, 1], [3, 0, 1, 2, 0], [1, 2, 6, 0, 4]])


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


@pytest.mark.parametrize("answer", [
    [[4, 5], [6, 6]], ((4.0, 5.0), (6.0, 6.0)), np.array([[4, 5], [6, 6]]),
    torch.tensor([[[[4.0, 5], [6, 6]]]]),
    MAP.unfold(0, 3, 2).unfold(1, 3, 2).amax(dim=(2, 3)),
])  # fmt: skip
def test_overlapping_pool_accepts(answer):
    assert_right(exercises.overlapping_pool(answer))


def pooled(rule, window, stride):
    return rule(MAP.double().unfold(0, window, stride).unfold(1, window, stride)).tolist()


@pytest.mark.parametrize(("answer", "message"), [
    (pooled(lambda w: w.mean(dim=(2, 3)), 3, 2), "These are means"),
    (pooled(lambda w: w.amax(dim=(2, 3)), 2, 2), "maxima of 2 × 2 windows"),
    (pooled(lambda w: w.amax(dim=(2, 3)), 3, 1), "stride 1"),
    ([[4, 6], [5, 6]], "exchanged"),
    ([[4, 5], [6, 4]], "holds the 6 as well"),
    ([4, 5, 6, 6], "two rows of two"),
    ([[4, 5], [6, 0]], "3 of 4 values"),
    ("four five", "no table of numbers"),
])  # fmt: skip
def test_overlapping_pool_names_the_mistake(answer, message):
    assert_wrong(exercises.overlapping_pool(answer), message)


@pytest.mark.parametrize("answer", [[5, 2, 5, 0], (5, 2, 5, 0), torch.tensor([5, 2, 5, 0])])
def test_halvings_accepts(answer):
    assert_right(exercises.halvings(answer))


def test_halvings_with_a_gap_is_no_answer_yet():
    assert exercises.halvings([5, ..., 5, 0]).verdict == "unanswered"


@pytest.mark.parametrize(("answer", "message"), [
    ([math.floor(math.log2(n)) for n in (32, 100, 224, 227)], "rounding down"),
    ([math.gcd(n, 2**10) for n in (32, 100, 224, 227)], "exponent"),
    ([1, 25, 7, 227], "that remain"),
    ([5, 2, 4, 0], "224 cannot be right"),
    ([5, 2], "four whole numbers"),
])  # fmt: skip
def test_halvings_names_the_mistake(answer, message):
    assert_wrong(exercises.halvings(answer), message)


def test_colour_lenet_agrees_with_the_library():
    built = inspection.count_parameters(models.LeNet5(num_classes=100, in_channels=3))
    for answer in (built, float(built), torch.tensor(built), np.int64(built)):
        assert_right(exercises.colour_lenet(answer))


def built(num_classes, in_channels):
    return inspection.count_parameters(models.LeNet5(num_classes=num_classes, in_channels=in_channels))


@pytest.mark.parametrize(("answer", "message"), [
    (built(10, 1), "grey images and ten classes"),
    (built(100, 1), "C1 now has filters"),
    (built(10, 3), "output layer now has 100 units"),
    (built(100, 3) - 6 - 16 - 120 - 84 - 100, "biases are missing"),
    (built(100, 3) - 90, "not their biases"),
    (built(100, 1) + 2 * 156, "You tripled C1's 156"),
    (3 * built(10, 1), "tripled the whole network"),
    (70_000, "344 more than there are"),
    ("many", "one whole number"),
])  # fmt: skip
def test_colour_lenet_names_the_mistake(answer, message):
    assert_wrong(exercises.colour_lenet(answer), message)


@pytest.mark.parametrize("answer", [18, 18.0, (18, 18), torch.tensor(18)])
def test_receptive_field_accepts(answer):
    assert_right(exercises.receptive_field(answer))


def test_receptive_field_agrees_with_the_library():
    conv, pool = inspection.Window(kernel=3), inspection.Window(kernel=2, stride=2)
    assert_right(
        exercises.receptive_field([*inspection.receptive_field([conv, pool, conv, pool, conv])][-1].size)
    )


@pytest.mark.parametrize(("answer", "message"), [
    (1 + 2 + 1 + 2 + 1 + 2, "forgot the jump"),
    (1 + 2 + 2 * 2 + 2 * 4, "windows too"),
    (3 * 2 * 3 * 2 * 3, "do not multiply"),
    (1 + 2 + 2 + 4 + 4 + 8, "jump *after*"),
    (17, "one pixel"),
    (10, "still to come"),
    (64, "Make a table"),
    ("wide", "one number"),
])  # fmt: skip
def test_receptive_field_names_the_mistake(answer, message):
    assert_wrong(exercises.receptive_field(answer), message)


def max_backward(pixels, upstream):
    gradient = np.zeros_like(pixels)
    for row, column in np.ndindex(upstream.shape):
        window = pixels[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        down, right = divmod(int(window.argmax()), 2)
        gradient[2 * row + down, 2 * column + right] = upstream[row, column]
    return gradient


def autograd_backward(pixels, upstream):
    images = torch.tensor(pixels)[None, None].requires_grad_(True)
    nn.functional.max_pool2d(images, 2).backward(torch.tensor(upstream)[None, None])
    return images.grad[0, 0]


def as_lists(pixels, upstream):
    return max_backward(pixels, upstream).tolist()


@pytest.mark.parametrize("answer", [max_backward, autograd_backward, as_lists])
def test_max_pool_gradient_accepts(answer):
    assert_right(exercises.max_pool_gradient(answer))


def stretched(values):
    return np.kron(values, np.ones((2, 2)))


def mask(pixels):
    return pixels == stretched(pixels.reshape(2, 2, 2, 2).max(axis=(1, 3)))


def corner(pixels, upstream):
    gradient = np.zeros_like(pixels)
    gradient[::2, ::2] = upstream
    return gradient


def last(pixels, upstream):
    return max_backward(pixels[::-1, ::-1], upstream[::-1, ::-1])[::-1, ::-1]


@pytest.mark.parametrize(("answer", "message"), [
    (lambda pixels, upstream: stretched(upstream) / 4, "mean* pooling"),
    (lambda pixels, upstream: mask(pixels) * stretched(upstream), "equal to the maximum"),
    (corner, "sub-sampling"),
    (last, "last one"),
    (lambda pixels, upstream: (max_backward(pixels, upstream) > 0) * 1.0, "Chain rule"),
    (lambda pixels, upstream: max_backward(pixels, upstream) * pixels, "multiplied by the maximum"),
    (lambda pixels, upstream: upstream, "one number a pixel"),
    (lambda pixels: pixels, "stopped with `TypeError"),
    (lambda pixels, upstream: 2 * max_backward(pixels, upstream), "100 units of gradient arrive, 200 leave"),
    (lambda pixels, upstream: max_backward(pixels, upstream)[:, ::-1], "wrong pixel"),
    (3.0, "function itself"),
])  # fmt: skip
def test_max_pool_gradient_names_the_mistake(answer, message):
    assert_wrong(exercises.max_pool_gradient(answer), message)


def test_max_pool_gradient_without_return_is_no_answer_yet():
    assert exercises.max_pool_gradient(lambda pixels, upstream: None).verdict == "unanswered"


LOSSES = {"age": ("mse", 1), "spam": ("bce", 1), "digit": ("ce", 10), "findings": ("bce", 14)}


@pytest.mark.parametrize("answer", [LOSSES, {k: [v[0].upper(), v[1]] for k, v in LOSSES.items()}])
def test_which_loss_accepts(answer):
    assert_right(exercises.which_loss(answer))


@pytest.mark.parametrize(("task", "pair", "message"), [
    ("findings", ("ce", 14), "compete"),
    ("findings", ("bce", 1), "own logit"),
    ("spam", ("ce", 2), "only their difference counts"),
    ("spam", ("mse", 1), "almost no slope"),
    ("digit", ("mse", 1), "no quantity"),
    ("digit", ("bce", 10), "one softmax"),
    ("digit", ("ce", 1), "count the outputs"),
    ("age", ("ce", 100), "one number"),
    ("age", "mse", "a pair"),
    ("age", ("mae", 1), "the loss is one of"),
])  # fmt: skip
def test_which_loss_names_the_mistake(task, pair, message):
    assert_wrong(exercises.which_loss({**LOSSES, task: pair}), message)


def test_which_loss_wants_all_tasks():
    assert_wrong(exercises.which_loss({"age": ("mse", 1)}), "keys")
    assert exercises.which_loss({**LOSSES, "age": ...}).verdict == "unanswered"


@pytest.mark.parametrize("answer", [
    math.log(1 + 99 / math.e), 3.62, torch.nn.functional.cross_entropy(torch.eye(100)[:1], torch.tensor([0])),
])  # fmt: skip
def test_softmax_twice_floor_accepts(answer):
    assert_right(exercises.softmax_twice_floor(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (0, "with *logits*"),
    (math.log(100), "where the loss starts"),
    (math.log(1 + 9 / math.e), "ten classes"),
    (math.log(1 + 100 / math.e), "99 wrong classes"),
    (1 + 99 / math.e, "logarithm"),
    (math.e / (math.e + 99), "probability of the right class"),
    (-math.log(1 + 99 / math.e), "sign"),
    (math.log10(1 + 99 / math.e), "natural"),
    (2.0, "second softmax"),
    ("low", "one number"),
])  # fmt: skip
def test_softmax_twice_floor_names_the_mistake(answer, message):
    assert_wrong(exercises.softmax_twice_floor(answer), message)


def network(*, padding=1, padding_mode="circular", stride=1, pool=None, head=None):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=padding, padding_mode=padding_mode, stride=stride),
        nn.ReLU(),
        pool or nn.Identity(),
        nn.Conv2d(4, 8, 3, padding=padding, padding_mode=padding_mode),
        nn.ReLU(),
        *(head or (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))),
    )


@pytest.mark.parametrize("answer", [
    network(), network(padding="same"),
    network(head=(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 10))),
    network(pool=nn.BatchNorm2d(4)),
])  # fmt: skip
def test_invariant_network_accepts(answer):
    assert_right(exercises.invariant_network(answer))


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 1)

    def forward(self, images):
        return torch.ones(len(images), 10)


@pytest.mark.parametrize(("answer", "message"), [
    (network(stride=2), "stride 2"),
    (network(pool=nn.MaxPool2d(2)), "stride 2"),
    (network(padding_mode="zeros"), "circular"),
    (network(padding=0), "loses its border"),
    (network(head=(nn.Flatten(), nn.Linear(8 * 32 * 32, 10))), "flattened map"),
    (network(head=(nn.AdaptiveAvgPool2d(1),)), "shape (4, 10)"),
    (network(head=(nn.Flatten(), nn.Linear(3, 10))), "does not take"),
    (models.MLP((1024, 8, 10)), "no convolution"),
    (Constant(), "blind"),
    (network, "nn.Module"),
])  # fmt: skip
def test_invariant_network_names_the_mistake(answer, message):
    assert_wrong(exercises.invariant_network(answer), message)


def test_invariant_network_keeps_the_mode():
    answer = network().train()
    exercises.invariant_network(answer)
    assert answer.training
