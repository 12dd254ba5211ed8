"""Self-checks of the chapter on gradients that run the reader's code: right ones in several forms, and wrong ones."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncourse import layers
from cnncourse.notebook.exercises import gradients as exercises


def assert_right(feedback):
    assert feedback.verdict == "right", str(feedback)


def assert_wrong(feedback, text):
    assert feedback.verdict == "wrong", str(feedback)
    assert text in feedback.message


def drawn(count=200_000):
    return torch.randn(count, generator=torch.Generator().manual_seed(1))


def integrated(activation):
    points, weights = np.polynomial.hermite_e.hermegauss(101)
    values = activation(torch.tensor(points)).numpy()
    return weights.sum() / (weights * values**2).sum()


@pytest.mark.parametrize("answer", [lambda g: 1 / g(drawn()).square().mean(), integrated])
def test_gain_accepts(answer):
    assert_right(exercises.gain(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda g: g(drawn()).square().mean(), "share that passes"),
    (lambda g: g(drawn()).square().mean() ** -0.5, "square root of c"),
    (lambda g: 1 / g(drawn()).var(), "mean and all"),
    (lambda g: 2.0, "Another activation"),
    (lambda g: 7.0, "standard normal"),
    (lambda g: g("z"), "stopped with"),
    (2.0, "function itself"),
])  # fmt: skip
def test_gain_names_the_mistake(answer, message):
    assert_wrong(exercises.gain(answer), message)


def test_gain_tells_gradient_from_signal():
    def slopes(activation):
        z = drawn().requires_grad_(True)
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
        return 1 / slope.square().mean()

    assert_wrong(exercises.gain(slopes), "keeps the *gradient*")


def test_gain_without_return_is_no_answer_yet():
    assert exercises.gain(lambda activation: None).verdict == "unanswered"


def by_hand(maps, groups, *, correction=0):
    parts = maps.reshape(len(maps), groups, -1)
    variance, mean = torch.var_mean(parts, 2, keepdim=True, correction=correction)
    return ((parts - mean) / variance.sqrt()).view_as(maps)


@pytest.mark.parametrize("answer", [by_hand, functional.group_norm, layers.group_norm])
def test_group_normalise_accepts(answer):
    assert_right(exercises.group_normalise(answer))


def standardised(maps, axes):
    variance, mean = torch.var_mean(maps, axes, keepdim=True, correction=0)
    return (maps - mean) / variance.sqrt()


def interleaved(maps, groups):
    parts = maps.view(len(maps), -1, groups, *maps.shape[2:])
    return standardised(parts, (1, 3, 4)).view_as(maps)


@pytest.mark.parametrize(("answer", "message"), [
    (lambda maps, groups: standardised(maps, (0, 2, 3)), "whole batch"),
    (lambda maps, groups: standardised(maps, (2, 3)), "instance norm"),
    (lambda maps, groups: standardised(maps, (1,)), "each pixel"),
    (lambda maps, groups: standardised(maps, (1, 2, 3)), "layer norm"),
    (interleaved, "*neighbouring*"),
    (lambda maps, groups: by_hand(maps, groups, correction=1), "one less"),
    (lambda maps, groups: maps - maps.view(3, 2, -1).mean(2).repeat_interleave(3, 1)[..., None, None], "divide by"),
    (lambda maps, groups: maps, "Reshape"),
    (lambda maps, groups: maps[0], "keep their shape"),
    (lambda maps: maps, "stopped with `TypeError"),
    (3, "function itself"),
])  # fmt: skip
def test_group_normalise_names_the_mistake(answer, message):
    assert_wrong(exercises.group_normalise(answer), message)


def test_group_normalise_without_return_is_no_answer_yet():
    assert exercises.group_normalise(lambda maps, groups: None).verdict == "unanswered"


def chain(width=256, depth=30, variance=2.0, norm=None, relu=nn.ReLU):
    generator = torch.Generator().manual_seed(0)
    sizes = [64, *[width] * (depth - 1), 10]
    modules = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        linear = nn.Linear(fan_in, fan_out)
        if variance is not None:
            nn.init.normal_(linear.weight, 0, math.sqrt(variance / fan_in), generator=generator)
            nn.init.zeros_(linear.bias)
        modules += [linear, *([norm(fan_out)] if norm else []), relu()]
    return nn.Sequential(*modules[:-1])


def orthogonal():
    torch.manual_seed(0)
    model = chain(width=256)
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain=math.sqrt(2))
    return model


@pytest.mark.parametrize("answer", [chain(), chain(512), chain(depth=40), orthogonal()])
def test_steady_network_accepts(answer):
    assert_right(exercises.steady_network(answer))


@pytest.mark.parametrize(("answer", "message"), [
    (chain(variance=1.0), "Glorot"),
    (chain(variance=1 / 3), "PyTorch's default"),
    (chain(variance=4.0), "explodes"),
    (chain(variance=0.0), "No gradient arrives"),
    (chain(norm=nn.LayerNorm), "does the work for you"),
    (chain(depth=12), "12 linear layers"),
    (chain(relu=nn.Tanh), "0 ReLUs"),
    (nn.Sequential(nn.Flatten(), *chain(64)[2:]), "29 linear"),
    (chain, "nn.Module"),
])  # fmt: skip
def test_steady_network_names_the_mistake(answer, message):
    assert_wrong(exercises.steady_network(answer), message)


def test_steady_network_leaves_the_network_alone():
    model = chain().eval()
    exercises.steady_network(model)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
