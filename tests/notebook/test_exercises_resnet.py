"""Self-checks of the chapter on residual networks: right answers in several forms, and the message for wrong ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncourse import inspection, layers, models
from cnncourse.models.preact_resnet import PreActBlock
from cnncourse.models.resnet import BasicBlock, Bottleneck
from cnncourse.notebook.exercises import resnet as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


@pytest.mark.parametrize("name", exercises.__all__)
def test_ellipsis_is_no_answer_yet(name):
    assert getattr(exercises, name)(...).verdict == "unanswered"


@pytest.mark.parametrize("name", ["family_parameters", "option_a", "preact_block", "stochastic_branch"])
def test_a_function_without_return_is_no_answer_yet(name):
    assert getattr(exercises, name)(lambda *arguments: None).verdict == "unanswered"


@pytest.mark.parametrize("name", ["family_parameters", "option_a", "preact_block", "stochastic_branch"])
def test_what_a_function_raises_is_told(name):
    def fails(*arguments):
        raise KeyError("stem")

    assert_wrong(getattr(exercises, name)(fails), "stopped with `KeyError")
    assert_wrong(getattr(exercises, name)(3), "the function itself")


TROUBLES = {"a": "degradation", "b": "over-fitting", "c": "neither", "d": "neither"}


@pytest.mark.parametrize(
    "answer", [TROUBLES, {**TROUBLES, "b": "Overfitting"}, {**TROUBLES, "c": " NEITHER "}]
)
def test_which_trouble_accepts(answer):
    assert_right(exercises.which_trouble(answer))


@pytest.mark.parametrize(("case", "said", "message"), [
    ("a", "over-fitting", "better* on the images"),
    ("a", "neither", "clearly worse"),
    ("b", "degradation", "learnt its images better"),
    ("b", "neither", "gap is the symptom"),
    ("c", "over-fitting", "both errors fell"),
    ("c", "degradation", "simply better"),
    ("d", "degradation", "Nobody can tell"),
    ("d", "over-fitting", "same for both depths"),
    ("d", "noise", "the answer is"),
])  # fmt: skip
def test_which_trouble_names_the_mistake(case, said, message):
    assert_wrong(exercises.which_trouble({**TROUBLES, case: said}), message)


def test_which_trouble_wants_all_cases():
    assert_wrong(exercises.which_trouble({"a": "degradation"}), "keys")
    assert exercises.which_trouble({**TROUBLES, "a": ...}).verdict == "unanswered"


def chain(step):
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(10):
        y = step(y)
    y.backward()
    return x.grad.item()


@pytest.mark.parametrize("answer", [
    (1e-10, 2.594), [0.1**10, 1.1**10], np.array([1e-10, 2.59374]),
    torch.tensor([chain(lambda x: 0.1 * x), chain(lambda x: x + 0.1 * x)]),
])  # fmt: skip
def test_two_chains_accepts(answer):
    assert_right(exercises.two_chains(answer))


@pytest.mark.parametrize(("answer", "message"), [
    ((1.1**10, 1e-10), "exchanged"),
    ((0.1, 1.1**10), "*one* plain step"),
    ((1.0, 1.1**10), "multiply, they do not add"),
    ((7.0, 1.1**10), "multiplies ten slopes"),
    ((1e-10, 1.1), "*one* residual step"),
    ((1e-10, 2.0), "first-order part"),
    ((1e-10, 11.0), "do not add up"),
    ((1e-10, 1.0), "shortcut alone"),
    ((1e-10, 0.9**10), "sign"),
    ((1e-10, 5.0), "ten times over"),
    (2.594, "two numbers"),
])  # fmt: skip
def test_two_chains_names_the_mistake(answer, message):
    assert_wrong(exercises.two_chains(answer), message)


def convolution_weights(block):
    return sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))


def test_bottleneck_weights_agrees_with_the_library():
    answer = [
        convolution_weights(BasicBlock(512, 512, 1, "B")),
        convolution_weights(Bottleneck(512, 128, 512, stride=1, option="B", groups=1, stride_in_1x1=False)),
        convolution_weights(BasicBlock(128, 128, 1, "B")),
    ]
    for form in (answer, tuple(answer), np.array(answer), torch.tensor(answer)):
        assert_right(exercises.bottleneck_weights(form))


A, B, C = 2 * 9 * 512**2, 2 * 512 * 128 + 9 * 128**2, 2 * 9 * 128**2


@pytest.mark.parametrize(("answer", "message"), [
    ([9 * 512**2, B, 9 * 128**2], "counted one 3 × 3"),
    ([A, 512 * 128 + 9 * 128**2, C], "way back"),
    ([A, 9 * (2 * 512 * 128 + 128**2), C], "no factor of 9"),
    ([2 * 9 * 512, 2 * 512 + 9 * 128, 2 * 9 * 128], "reads *all* channels"),
    ([A + 1024, B + 768, C + 256], "biases"),
    ([C, B, A], "exchanged"),
    ([A, B + 1, C], "(b) is not right"),
    ([A, B], "three whole numbers"),
])  # fmt: skip
def test_bottleneck_weights_names_the_mistake(answer, message):
    assert_wrong(exercises.bottleneck_weights(answer), message)


@pytest.mark.parametrize(
    "answer", [(2**27, 1 / 8), [134_217_728, 0.125], (torch.tensor(2**27), 2**24 / 2**27)]
)
def test_surviving_paths_accepts(answer):
    assert_right(exercises.surviving_paths(answer))


@pytest.mark.parametrize(("answer", "message"), [
    ((2**56, 1 / 8), "each *block*"),
    ((2**28, 1 / 8), "outside the blocks"),
    ((27, 1 / 8), "number of blocks"),
    ((27**2, 1 / 8), "27 squared"),
    ((54, 1 / 8), "Ways multiply"),
    ((1000, 1 / 8), "doubles"),
    ((2**27, 7 / 8), "*lost*"),
    ((2**27, 24 / 27), "*blocks*"),
    ((2**27, 0.5), "three, one after"),
    ((2**27, 0), "plain network"),
    ((2**27, 2**24), "asked is their share"),
    ((2**27, 0.3), "takes the shortcut"),
    (2**27, "two numbers"),
])  # fmt: skip
def test_surviving_paths_names_the_mistake(answer, message):
    assert_wrong(exercises.surviving_paths(answer), message)


def counted(depth):
    return inspection.count_parameters(models.CifarResNet(depth))


def test_family_parameters_accepts_a_formula_and_a_count():
    assert_right(exercises.family_parameters(lambda depth: 75_290 + 97_216 * ((depth - 2) // 6 - 1)))
    assert_right(exercises.family_parameters(lambda d: 75_290.0 + 97_216 * ((d - 2) / 6 - 1)))


def test_family_parameters_agrees_with_the_library():
    feedback = exercises.family_parameters(lambda depth: counted(min(depth, 56)))
    assert_wrong(feedback, "For depth 1202 you get 853,018")


def stages(n, *, norm=2, head=650, first=False, bias=0):
    total, read = 3 * 16 * 9 + norm * 16 + head, 16
    for filters in (16, 32, 64):
        total += 9 * filters * ((filters if first else read) + (2 * n - 1) * filters)
        total += 2 * n * (norm + bias) * filters
        read = filters
    return total


@pytest.mark.parametrize(("answer", "message"), [
    (lambda depth: stages((depth - 2) // 6, norm=0), "batch norms are missing"),
    (lambda depth: stages((depth - 2) // 6, norm=1), "*two* numbers"),
    (lambda depth: stages((depth - 2) // 6, first=True), "channels of the stage before"),
    (lambda depth: stages((depth - 2) // 6, head=640), "outputs have biases"),
    (lambda depth: stages((depth - 2) // 6, head=0), "last layer is missing"),
    (lambda depth: stages((depth - 2) // 6, bias=1), "no biases"),
    (lambda depth: counted(depth) + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64, "option B"),
    (lambda depth: 0, "one stage at a time"),
    (lambda depth: "many", "one number"),
])  # fmt: skip
def test_family_parameters_names_the_mistake(answer, message):
    assert_wrong(exercises.family_parameters(answer), message)


def padded_behind(maps, channels):
    return functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 0, channels - maps.shape[1]))


@pytest.mark.parametrize("answer", [
    padded_behind,
    lambda maps, channels: layers.pad_shortcut(maps, channels, stride=2),
    lambda maps, channels: padded_behind(maps, channels).numpy(),
    lambda maps, channels: torch.cat([torch.zeros(2, channels - 3, 3, 3), maps[..., ::2, ::2]], dim=1),
])  # fmt: skip
def test_option_a_accepts(answer):
    assert_right(exercises.option_a(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda maps, channels: functional.pad(maps, (0, 0, 0, 0, 0, channels - 3)), "stride is missing"),
    (lambda maps, channels: maps[:, :, ::2, ::2], "channels are missing"),
    (lambda maps, channels: padded_behind(maps, channels + 3), "in all"),
    (lambda maps, channels: padded_behind(maps[:, :, :4], channels), "dropped the last row"),
    (lambda maps, channels: padded_behind(maps, channels)[..., :1], "Wanted is 2×8×3×3"),
    (lambda maps, channels: maps[:, [0, 1, 2, 0, 1, 2, 0, 1], ::2, ::2], "must be zeros"),
    (lambda maps, channels: padded_behind(maps, channels) + (padded_behind(maps, channels) == 0), "must be zeros"),
    (lambda maps, channels: padded_behind(maps.flip(1), channels), "another order"),
    (lambda maps, channels: functional.pad(functional.avg_pool2d(maps, 2, ceil_mode=True), (0, 0, 0, 0, 0, 5)),
     "mean of 2 × 2"),
    (lambda maps, channels: functional.pad(functional.max_pool2d(maps, 2, ceil_mode=True), (0, 0, 0, 0, 0, 5)),
     "max pooling"),
    (lambda maps, channels: padded_behind(maps.roll(-1, 3), channels), "rows and columns 0, 2, 4"),
    (lambda maps, channels: "maps", "no maps"),
])  # fmt: skip
def test_option_a_names_the_mistake(answer, message):
    assert_wrong(exercises.option_a(answer), message)


def relu_first(x, bn1, conv1, bn2, conv2):
    return x + conv2(torch.relu(bn2(conv1(torch.relu(bn1(x))))))


def by_the_library(x, bn1, conv1, bn2, conv2):
    block = PreActBlock(4, 4, 1, bottleneck=False, first=False, projection=False, drop_prob=0.0).eval()
    block.bn1, block.conv1, block.bn2, block.conv2 = bn1, conv1, bn2, conv2
    return block(x)


def with_an_inplace_relu(x, bn1, conv1, bn2, conv2):
    out = conv1(functional.relu(bn1(x), inplace=True))
    return conv2(functional.relu(bn2(out), inplace=True)).add_(x)


@pytest.mark.parametrize("answer", [relu_first, by_the_library, with_an_inplace_relu])
def test_preact_block_accepts(answer):
    assert_right(exercises.preact_block(answer))


def spoils_its_input(x, bn1, conv1, bn2, conv2):
    kept = x.clone()
    return conv2(torch.relu(bn2(conv1(torch.relu(bn1(x.relu_()))))) + 0 * kept)


r = torch.relu


@pytest.mark.parametrize(("answer", "message"), [
    (lambda x, *fs: r(relu_first(x, *fs)), "behind the addition"),
    (lambda x, *fs: relu_first(x, *fs) - x, "shortcut is missing"),
    (lambda x, *fs: relu_first(x, *fs) - x + r(fs[0](x)), "carries relu(bn1(x))"),
    (lambda x, b, c, d, e: r(x + d(e(r(b(c(x)))))), "original block"),
    (lambda x, b, c, d, e: x + d(e(r(b(c(x))))), "without the last ReLU"),
    (lambda x, b, c, d, e: x + e(d(c(r(b(x))))), "between the two"),
    (lambda x, b, c, d, e: x + e(r(d(c(b(x))))), "in front of conv1"),
    (lambda x, b, c, d, e: x + e(d(r(c(b(r(x)))))), "other way round"),
    (lambda x, b, c, d, e: c(x), "line by line"),
    (lambda x, b, c, d, e: x[:1], "keeps the shape"),
    (spoils_its_input, "in place"),
    (lambda x, b, c, d, e: "maps", "no maps"),
])  # fmt: skip
def test_preact_block_names_the_mistake(answer, message):
    assert_wrong(exercises.preact_block(answer), message)


def coins(branch, probability, generator, shape=None):
    return (torch.rand(shape or (len(branch), 1, 1, 1), generator=generator) < probability).float()


@pytest.mark.parametrize("answer", [
    lambda branch, p, g: branch * coins(branch, 1 - p, g) / (1 - p),
    lambda branch, p, g: layers.stochastic_depth(branch, p, generator=g),
    lambda branch, p, g: torch.where(torch.rand(len(branch), 1, 1, 1, generator=g) >= p, branch / (1 - p), 0.0),
])  # fmt: skip
def test_stochastic_branch_accepts(answer):
    assert_right(exercises.stochastic_branch(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda b, p, g: b * coins(b, 1 - p, g), "Divide what is kept"),
    (lambda b, p, g: b * coins(b, 1 - p, g) / p, "probability to *keep*"),
    (lambda b, p, g: b * coins(b, 1 - p, g) * (1 - p), "probability to *keep*"),
    (lambda b, p, g: b * coins(b, 1 - p, g) * 3, "yours is 3"),
    (lambda b, p, g: b * coins(b, p, g) / p, "You keep a branch"),
    (lambda b, p, g: b * coins(b, 0.5, g) / 0.5, "should keep their branch"),
    (lambda b, p, g: b * coins(b, 1 - p, g, b.shape) / (1 - p), "single numbers"),
    (lambda b, p, g: b * coins(b, 1 - p, g, (*b.shape[:2], 1, 1)) / (1 - p), "single numbers"),
    (lambda b, p, g: b * coins(b, 1 - p, g, (1, 1, 1, 1)) / (1 - p), "share one coin"),
    (lambda b, p, g: b * coins(b, 1 - p, torch.default_generator) / (1 - p), "equal generators"),
    (lambda b, p, g: b[:1], "keeps its shape"),
    (lambda b, p, g: "maps", "no maps"),
])  # fmt: skip
def test_stochastic_branch_names_the_mistake(answer, message):
    torch.manual_seed(1)
    assert_wrong(exercises.stochastic_branch(answer), message)


def test_the_numbers_of_the_chapter():
    assert math.isclose(1.1**10, 2.5937, rel_tol=1e-4)
    assert round(100 * (1 - B / C)) == 6
    assert round(A / B) == 17
