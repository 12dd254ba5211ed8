"""Self-checks of the chapter on convolution: right answers in several forms, and the message for wrong ones."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d
from torch import nn

from cnncourse.notebook.exercises import convolution as exercises

IMAGE = np.array([[2, 0, 1, 3], [1, 4, 0, 2], [0, 1, 5, 1], [3, 2, 0, 1]])
KERNEL = np.array([[1, 0, 2], [0, -1, 0], [3, 0, -2]])


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


@pytest.mark.parametrize("answer", [
    [[-10, 7], [9, 7]], ((-10.0, 7.0), (9.0, 7.0)), torch.tensor([[[[-10.0, 7], [9, 7]]]]),
    correlate2d(IMAGE, KERNEL, mode="valid"),
    nn.functional.conv2d(torch.tensor(IMAGE)[None, None].float(), torch.tensor(KERNEL)[None, None].float()),
])  # fmt: skip
def test_by_hand_accepts(answer):
    assert_right(exercises.by_hand(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (convolve2d(IMAGE, KERNEL, mode="valid"), "turned the kernel by 180°"),
    (correlate2d(IMAGE, KERNEL.T, mode="valid"), "exchanged"),
    (correlate2d(IMAGE, abs(KERNEL), mode="valid"), "minus signs"),
    (correlate2d(IMAGE, KERNEL[:, ::-1], mode="valid"), "left to right"),
    (correlate2d(IMAGE, KERNEL[::-1], mode="valid"), "top to bottom"),
    (correlate2d(IMAGE, KERNEL, mode="same"), "with padding"),
    ([[-10, 9], [7, 7]], "wrong places"),
    ([[-10, 7], [9, 0]], "3 of 4 sums"),
    ([-10, 7, 9, 7], "2 windows fit"),
    ("ten", "no table of numbers"),
])  # fmt: skip
def test_by_hand_names_the_mistake(answer, message):
    assert_wrong(exercises.by_hand(answer), message)


def side(width, k, s, p, d):
    return nn.Conv1d(1, 1, k, s, p, d)(torch.zeros(1, 1, width)).shape[-1]


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, np.array])
def test_output_sizes_agree_with_torch(form):
    cases = [(32, 5, 1, 0, 1), (224, 7, 2, 3, 1), (64, 3, 1, 4, 4), (227, 11, 4, 0, 1)]
    assert_right(exercises.output_sizes(form([side(*case) for case in cases])))


@pytest.mark.parametrize(("answer", "message"), [
    ([27, 112, 64, 55], "one more than 32 − 5"),
    ([28, 112.5, 64, 55], "Round the quotient down"),
    ([28, 113, 64, 55], "before you add 1"),
    ([28, 218, 64, 55], "two pixels at a time"),
    ([28, 112, 70, 55], "spans more than its three weights"),
    ([28, 112, 61, 55], "not 12"),
    ([28, 112, 18, 55], "no stride"),
    ([28, 112, 64, 54], "0 counts"),
    ([28, 112, 64, 20], "(d) is not 20"),
    ([28, 112], "four whole numbers"),
    ("many", "four whole numbers"),
])  # fmt: skip
def test_output_sizes_names_the_mistake(answer, message):
    assert_wrong(exercises.output_sizes(answer), message)


def test_output_sizes_with_a_gap_is_no_answer_yet():
    assert exercises.output_sizes([28, ..., 64, 55]).verdict == "unanswered"


def parameters(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


FIRST, MIDDLE, LAST = nn.Conv2d(3, 64, 7), nn.Conv2d(64, 64, 3, groups=4), nn.Conv2d(64, 10, 1)


@pytest.mark.parametrize("form", [int, float, torch.tensor, np.int64])
def test_count_parameters_agrees_with_torch(form):
    assert_right(exercises.count_parameters(form(parameters(FIRST, MIDDLE, LAST))))


@pytest.mark.parametrize(("answer", "message"), [
    (parameters(FIRST, MIDDLE, LAST) - 64 - 64 - 10, "biases are missing"),
    (parameters(FIRST, nn.Conv2d(64, 64, 3), LAST), "left out the groups"),
    (parameters(FIRST, nn.Conv2d(16, 16, 3), LAST) + 48, "divided by 4 twice"),
    (parameters(FIRST, MIDDLE, LAST) - 48, "not one for 16"),
    (parameters(nn.Conv2d(1, 64, 7), MIDDLE, LAST), "three layers"),
    (parameters(FIRST, MIDDLE), "last layer is missing"),
    (parameters(FIRST, MIDDLE, LAST) + 128, "pair of channels"),
    (20_000, "598 more than there are"),
    (10, "19,392 fewer"),
    ("lots", "one whole number"),
])  # fmt: skip
def test_count_parameters_names_the_mistake(answer, message):
    assert_wrong(exercises.count_parameters(answer), message)


def single(row, column, weight=1.0):
    kernel = torch.zeros(3, 3)
    kernel[row, column] = weight
    return kernel


@pytest.mark.parametrize("answer", [
    [[1, 0, 0], [0, 0, 0], [0, 0, 0]], single(0, 0), single(0, 0).view(1, 1, 3, 3), single(0, 0).numpy(),
])  # fmt: skip
def test_shift_kernel_accepts(answer):
    assert_right(exercises.shift_kernel(answer))


def moves_to(kernel):
    """Return where a kernel moves the middle of a 5 x 5 image, as words."""
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 1
    row, column = (
        nn.functional.conv2d(dot, kernel.view(1, 1, 3, 3), padding=1)[0, 0].nonzero()[0] - 2
    ).tolist()
    return {1: "right", 0: "", -1: "left"}[column], {1: "down", 0: "", -1: "up"}[row]


def test_the_right_kernel_moves_right_and_down():
    assert moves_to(single(0, 0)) == ("right", "down")


@pytest.mark.parametrize("place", [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)])
def test_shift_kernel_says_where_a_wrong_one_moves(place):
    words = " and ".join(word for word in moves_to(single(*place)) if word)
    assert_wrong(exercises.shift_kernel(single(*place)), f"moves the image {words}.")


@pytest.mark.parametrize(("answer", "message"), [
    (single(2, 2), "left and *up*"),
    (single(1, 1), "nowhere"),
    (single(0, 0, 0.5), "brightness"),
    (torch.ones(3, 3), "mixes 9 pixels"),
    (torch.zeros(3, 3), "black"),
    ([[1, 0], [0, 0]], "three rows of three"),
    ("up", "three rows of three"),
])  # fmt: skip
def test_shift_kernel_names_the_mistake(answer, message):
    assert_wrong(exercises.shift_kernel(answer), message)


def matrix_of(kernel=(2.0, -1, 3), stride=2, padding=1, width=5, mode="zeros"):
    """Return the matrix of a line convolution, read off with unit inputs."""
    layer = nn.Conv1d(1, 1, len(kernel), stride, padding, bias=False, padding_mode=mode)
    layer.weight.data = torch.tensor(kernel).view(1, 1, -1)
    return layer(torch.eye(width)[:, None])[:, 0].T.detach()


@pytest.mark.parametrize("answer", [
    matrix_of(), matrix_of().numpy(), matrix_of().tolist(), [[-1, 3, 0, 0, 0], [0, 2, -1, 3, 0], [0, 0, 0, 2, -1]],
])  # fmt: skip
def test_line_matrix_accepts(answer):
    assert_right(exercises.line_matrix(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (matrix_of().T, "transposed"),
    (matrix_of(stride=1), "stride 1"),
    (matrix_of(padding=0), "padding is missing"),
    (matrix_of(padding=0, width=7), "columns of its own"),
    (matrix_of((3.0, -1, 2)), "flipped"),
    (matrix_of(stride=1)[:3], "move by two"),
    (matrix_of(mode="circular"), "circular padding"),
    ([[2, -1, 3, 0, 0], [0, 0, 2, -1, 3], [0, 0, 0, 0, 2]], "falls off"),
    (matrix_of() + torch.eye(3, 5), "0 of 3 rows"),
    (matrix_of()[:, :4], "3 outputs by 5 inputs"),
    ([[1, 2], [3]], "one list of numbers"),
])  # fmt: skip
def test_line_matrix_names_the_mistake(answer, message):
    assert_wrong(exercises.line_matrix(answer), message)


def back(w, g, size, stride):
    gradient = np.zeros(size)
    for i in range(len(g)):
        for j in range(len(w)):
            gradient[stride * i + j] += w[j] * g[i]
    return gradient


def by_autograd(w, g, size, stride):
    x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    nn.functional.conv1d(x, torch.tensor(w)[None, None], stride=stride).backward(torch.tensor(g)[None, None])
    return x.grad[0, 0]


def transposed(w, g, size, stride):
    full = nn.functional.conv_transpose1d(
        torch.tensor(g)[None, None], torch.tensor(w)[None, None], stride=stride
    )[0, 0]
    return nn.functional.pad(full, (0, size - len(full))).tolist()


@pytest.mark.parametrize("answer", [back, by_autograd, transposed])
def test_input_gradient_accepts(answer):
    assert_right(exercises.input_gradient(answer))


def overwriting(w, g, size, stride):
    gradient = np.zeros(size)
    for i in range(len(g)):
        gradient[stride * i : stride * i + len(w)] = g[i] * w
    return gradient


def no_stride(w, g, size, stride):
    full = np.convolve(w, g)
    return np.pad(full, (0, size))[:size]


@pytest.mark.parametrize(("answer", "message"), [
    (lambda w, g, size, stride: back(w[::-1], g, size, stride), "turned around"),
    (overwriting, "overwrite"),
    (lambda w, g, size, stride: back(np.ones_like(w), g, size, stride), "without the weights"),
    (lambda w, g, size, stride: back(w, np.ones_like(g), size, stride), "upstream gradient nowhere"),
    (no_stride, "Right for stride 1"),
    (lambda w, g, size, stride: 2 * back(w, g, size, stride), "laid where that window was"),
    (lambda w, g, size, stride: np.convolve(w, g, mode="valid"), "one for each input"),
    (lambda w, g: g, "stopped with `TypeError"),
    (np.ones(3), "function itself"),
])  # fmt: skip
def test_input_gradient_names_the_mistake(answer, message):
    assert_wrong(exercises.input_gradient(answer), message)


def test_input_gradient_without_return_is_no_answer_yet():
    assert exercises.input_gradient(lambda w, g, size, stride: None).verdict == "unanswered"


def pair(**first):
    torch.manual_seed(0)
    options = {"stride": 2, "padding": 1, "groups": 64, **first}
    return nn.Sequential(nn.Conv2d(64, 64, 3, **options), nn.Conv2d(64, 128, 1))


def narrow():
    """Fewer channels between two 1 x 1 convolutions."""
    return nn.Sequential(
        nn.Conv2d(64, 16, 1), nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.Conv2d(16, 128, 1)
    )


class Constant(nn.Module):
    def forward(self, images):
        return torch.ones(len(images), 128, -(-images.shape[2] // 2), -(-images.shape[3] // 2))


@pytest.mark.parametrize("answer", [
    pair(), pair().double(), narrow(),
    nn.Sequential(nn.Conv2d(64, 64, 3, 2, 1, groups=64), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 128, 1)),
    nn.Sequential(nn.Conv2d(64, 64, 1), nn.Conv2d(64, 128, 3, 2, 1, groups=64)),
])  # fmt: skip
def test_cheaper_layer_accepts(answer):
    assert_right(exercises.cheaper_layer(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (nn.Conv2d(64, 128, 3, stride=2, padding=1), "the layer itself"),
    (nn.Conv2d(64, 128, 3, stride=2, padding=1, groups=4), "more than 10,000"),
    (nn.Conv2d(64, 128, 3, stride=2, padding=1, groups=8), "only 8 of the 64"),
    (pair(stride=1), "one stride of 2"),
    (pair(padding=0), "must become"),
    (nn.Conv2d(64, 128, 1, stride=2), "less than 3 × 3"),
    (nn.Sequential(nn.Conv2d(64, 64, 5, 2, 2, groups=64), nn.Conv2d(64, 128, 1, bias=False)), "larger than 3 × 3"),
    (nn.Conv2d(3, 128, 3, stride=2, padding=1), "does not take"),
    (Constant(), "does not depend"),
    (nn.Conv2d, "nn.Module"),
])  # fmt: skip
def test_cheaper_layer_names_the_mistake(answer, message):
    assert_wrong(exercises.cheaper_layer(answer), message)


def test_cheaper_layer_keeps_the_mode():
    answer = pair().train()
    exercises.cheaper_layer(answer)
    assert answer.training


RIGHT = {
    "sharpen": True, "batch_norm": True, "subsample": False, "coordinates": False, "median": True,
    "standardise": False,
}  # fmt: skip


def crop(shift):
    """Return what a camera sees that has moved by some pixels down and right."""
    scene = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    return scene[..., 4 + shift : 24 + shift, 4 + shift : 24 + shift]


LAYERS = {
    "sharpen": lambda x: nn.functional.conv2d(
        x, torch.tensor([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]).view(1, 1, 3, 3)
    ),
    "batch_norm": nn.BatchNorm2d(1).eval(),
    "subsample": lambda x: x[..., ::2, ::2],
    "coordinates": lambda x: x + torch.arange(x.shape[-1]),
    "median": lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2).median(dim=-1).values,
    "standardise": lambda x: (x - x.mean()) / x.std(),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_is_what_the_layers_do(name):
    step = 0 if name == "subsample" else 1
    with torch.no_grad():
        still, moved = LAYERS[name](crop(0)), LAYERS[name](crop(1))
    size = still.shape[-1] - step
    same = torch.allclose(still[..., step:, step:], moved[..., :size, :size])
    assert same is RIGHT[name]


@pytest.mark.parametrize("answer", [RIGHT, {key: int(value) for key, value in RIGHT.items()}])
def test_which_move_accepts(answer):
    assert_right(exercises.which_move(answer))


@pytest.mark.parametrize(("name", "message"), [
    ("sharpen", "same nine weights"), ("batch_norm", "evaluation mode"), ("subsample", "*other* pixels"),
    ("coordinates", "what it is for"), ("median", "need not be linear"), ("standardise", "other pixels come in"),
])  # fmt: skip
def test_which_move_explains_each_mistake(name, message):
    assert_wrong(exercises.which_move({**RIGHT, name: not RIGHT[name]}), message)


def test_which_move_wants_all_layers_and_yes_or_no():
    assert_wrong(exercises.which_move({"sharpen": True}), "keys")
    assert_wrong(exercises.which_move({**RIGHT, "median": "maybe"}), "True")
    assert exercises.which_move({**RIGHT, "median": ...}).verdict == "unanswered"
