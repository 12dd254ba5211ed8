"""Activations and gradients by layer: worked out by hand, and nothing changed by looking."""

import copy
import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, relu
from torch.testing import assert_close

from cnncourse.inspection import activation_statistics, gradient_statistics


def tensors_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


class Reused(nn.Module):
    """One activation that works in place behind a convolution, batch norm and a residual sum."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        first = self.relu(self.norm(self.conv(x)))
        second = self.second(first)
        second += first
        return self.head(self.drop(self.relu(second)).mean((2, 3)))


def test_activation_numbers_by_hand():
    model = nn.Sequential(nn.Identity(), nn.ReLU())
    rows = activation_statistics(model, torch.tensor([[-3.0, 0.0], [1.0, 4.0]])).rows
    # -3, 0, 1, 4: mean 1/2, mean square 26/4, variance 26/4 - 1/4; then 0, 0, 1, 4
    assert [row.name for row in rows] == ["0", "1"]
    assert (rows[0].mean, rows[0].rms, rows[0].std) == pytest.approx((0.5, math.sqrt(6.5), 2.5))
    assert (rows[1].mean, rows[1].rms, rows[1].share_zero) == pytest.approx((1.25, math.sqrt(17 / 4), 0.5))
    assert rows[0].share_zero == 0.25
    assert rows[0].share_saturated is None


@pytest.mark.parametrize(
    ("activation", "values", "share"),
    [
        # sigmoid's slope at 5 is 0.0066 and at 4 is 0.0177, of 0.25: 2.7 % and 7.1 %
        (nn.Sigmoid(), [-5.0, -4.0, 0.0, 4.0], 0.25),
        # tanh's slope at 2 is 0.0707, at 3 it is 0.0099
        (nn.Tanh(), [-3.0, 2.0, 3.0, 0.0], 0.5),
        (nn.ReLU6(), [-1.0, 6.0, 7.0, 5.9], 0.5),
        (nn.Hardsigmoid(), [-4.0, -2.0, 2.0, 4.0], 0.5),
    ],
)
def test_share_of_saturated_values(activation, values, share):
    (row,) = activation_statistics(nn.Sequential(activation), torch.tensor([values]))
    assert row.share_saturated == share


def test_gradient_numbers_by_hand():
    # loss = 2 w2 relu(w1 x) over two images of one number: only the positive one passes the ReLU
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(inplace=True), nn.Linear(1, 1, bias=False))
    model[0].weight.data.fill_(3.0)
    model[2].weight.data.fill_(5.0)
    images = torch.tensor([[1.0], [-1.0]])
    found = gradient_statistics(model, images, torch.zeros(2), lambda out, _targets: 2 * out.sum())
    assert found.loss == 30.0
    first, relu, last = found
    assert first.output_gradient_rms == pytest.approx(10 / math.sqrt(2))  # (10, 0): the ReLU stops one
    assert relu.output_gradient_rms == pytest.approx(10.0)
    assert last.output_gradient_rms == pytest.approx(2.0)
    assert (first.weight_gradient_norm, last.weight_gradient_norm) == pytest.approx((10.0, 6.0))
    assert (first.weight_norm, relu.weight_norm, last.weight_norm) == (3.0, None, 5.0)
    assert first.relative_gradient == pytest.approx(10 / 3)
    assert relu.relative_gradient is None


@pytest.mark.parametrize("training", [True, False])
def test_as_backward_gives_them(training):
    torch.manual_seed(0)
    model = Reused().double()
    model.drop.p = 0.0
    images, targets = torch.randn(5, 2, 6, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    found = gradient_statistics(model, images, targets, training=training)
    assert [(row.name, row.call) for row in found] == [
        ("conv", 1), ("norm", 1), ("relu", 1), ("second", 1), ("relu", 2), ("drop", 1), ("head", 1),
    ]  # fmt: skip
    twin = copy.deepcopy(model).train(training)
    conv = twin.conv(images)
    norm = twin.norm(conv)
    first = relu(norm)
    second = twin.second(first)
    last = relu(second + first)
    out = twin.head(last.mean((2, 3)))
    steps = [conv, norm, first, second, last, last, out]
    for step in steps:
        step.retain_grad()
    cross_entropy(out, targets).backward()
    for row, step in zip(found, steps, strict=True):
        assert_close(row.output_gradient_rms, float(step.grad.square().mean().sqrt()))
        if row.name not in ("relu", "drop"):
            weight = getattr(twin, row.name).weight
            assert_close(row.weight_gradient_norm, float(weight.grad.norm()))
            assert_close(row.weight_norm, float(weight.detach().norm()))
    measured = activation_statistics(model, images, training=training)
    for row, step in zip(measured, steps, strict=True):
        assert_close(row.mean, float(step.detach().mean()))
        assert_close(row.std, float(step.detach().std(correction=0)))


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed_by_looking(training):
    torch.manual_seed(1)
    model = Reused()
    model.norm.eval()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.conv.weight.requires_grad_(False)
    before, modes = tensors_of(model), [module.training for module in model.modules()]
    images, targets = torch.randn(3, 2, 6, 6), torch.tensor([0, 1, 2])
    kept, state = images.clone(), torch.get_rng_state()
    activation_statistics(model, images, training=training)
    found = gradient_statistics(model, images, targets, training=training)
    assert found["conv"].weight_gradient_norm > 0  # frozen, and measured all the same
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    assert model.conv.weight.grad is None
    assert not model.conv.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)
    assert not images.requires_grad
    assert not any(module._forward_hooks for module in model.modules())


def test_training_mode_normalises_by_the_batch():
    torch.manual_seed(2)
    images = 10 + 3 * torch.randn(8, 2, 5, 5)
    model = nn.Sequential(nn.BatchNorm2d(2))
    trained, asked = (activation_statistics(model, images, training=mode).rows[0] for mode in (True, False))
    assert (trained.mean, trained.std) == pytest.approx((0, 1), abs=1e-3)
    assert asked.mean == pytest.approx(10, abs=0.5)


def test_an_activation_first_that_works_in_place():
    images = torch.tensor([[-1.0, 2.0]])
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2))
    found = gradient_statistics(model, images, torch.tensor([1]))
    assert found["0"].output_gradient_rms > 0
    assert torch.equal(images, torch.tensor([[-1.0, 2.0]]))


def test_layers_can_be_chosen_by_name_module_and_class():
    torch.manual_seed(0)
    model, images, targets = Reused(), torch.randn(2, 2, 6, 6), torch.tensor([0, 1])
    found = gradient_statistics(model, images, targets, layers=[nn.Conv2d, "head", model.norm])
    assert found.column("name") == ["conv", "norm", "second", "head"]
    blocks = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Sequential(nn.Linear(3, 2)))
    chosen = activation_statistics(blocks, torch.randn(2, 3), layers=[nn.Sequential])
    assert chosen.column("name") == ["0", "1", "sequential"]
    with pytest.raises(ValueError, match=r"no module of class Tanh; its layers are of BatchNorm2d, Conv2d"):
        activation_statistics(model, images, layers=[nn.Tanh])
    with pytest.raises(ValueError, match="Reused has no layer 'heads'"):
        activation_statistics(model, images, layers=["heads"])


def test_tied_weights_and_layers_without_a_path():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(2, 2, bias=False) for _ in range(3))
            self.b.weight = self.a.weight

        def forward(self, x):
            self.c(x)
            return self.b(self.a(x))

    torch.manual_seed(0)
    model, images = Detached(), torch.randn(4, 2)
    found = gradient_statistics(model, images, torch.tensor([0, 1, 0, 1]))
    assert found["a"].weight_gradient_norm == found["b"].weight_gradient_norm > 0
    assert found["c"].output_gradient_rms == found["c"].weight_gradient_norm == 0.0


def test_a_layer_whose_weight_is_computed_is_a_layer():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    found = gradient_statistics(
        nn.Sequential(layer, nn.ReLU()), torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    )
    assert found.column("kind") == ["ParametrizedLinear", "ReLU"]
    assert found["0"].weight_norm > 0


def test_biases_are_left_out():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(1, 1, batch_first=True), nn.Linear(1, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    model = Recurrent()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 3.0)
    found = gradient_statistics(model, torch.ones(1, 2, 1), torch.zeros(1), lambda out, _t: out.sum())
    assert (found["rnn"].weight_norm, found["head"].weight_norm) == pytest.approx((3 * math.sqrt(2), 3))


def test_tables_and_dictionaries():
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(2, 3)
    activations = activation_statistics(model, images)
    assert str(activations).splitlines()[0].split() == [
        *("layer", "kind", "mean", "std", "rms", "zero", "saturated")
    ]
    gradients = gradient_statistics(model, images, torch.tensor([0, 1]))
    assert '<table class="cnn-table cnn-gradients">' in gradients._repr_html_()
    for table in (activations, gradients):
        again = json.loads(json.dumps(table.to_dict()))
        assert [row["name"] for row in again["rows"]] == table.column("name") == ["0", "1", "2"]
        assert again["training"] is True
    assert activations.to_dict()["rows"][0]["shape"] == [2, 4]
    with pytest.raises(ValueError, match=r"no field 'sigma'; they have name, kind, call"):
        activations.column("sigma")
    with pytest.raises(KeyError, match="no layer '9'; there are"):
        activations["9"]


def test_one_image_is_enough_unless_batch_norm_needs_more():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="got 1 image; pass more images or training=False"):
        activation_statistics(model, torch.randn(1, 3))
    with pytest.raises(ValueError, match="got 1 image; pass more images or training=False"):
        gradient_statistics(model, torch.randn(1, 3), torch.tensor([0]))
    assert len(activation_statistics(model, torch.randn(1, 3), training=False)) == 2
    assert not any(module._forward_hooks for module in model.modules())


def test_bad_images_and_targets():
    model = nn.Linear(3, 4)
    with pytest.raises(ValueError, match=r"at least one image, got shape \(0, 3\)"):
        activation_statistics(model, torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"images must be finite, got NaN"):
        activation_statistics(model, torch.tensor([[1.0, float("nan"), 0.0]]))
    with pytest.raises(ValueError, match=r"floating-point numbers, got torch.uint8"):
        gradient_statistics(model, torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(2))
    with pytest.raises(ValueError, match="got 2 images and 3 targets"):
        gradient_statistics(model, torch.zeros(2, 3), torch.tensor([0, 1, 2]))


def test_what_is_not_finite_is_named():
    broken = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    nn.init.constant_(broken[1].weight, float("nan"))
    with pytest.raises(ValueError, match="layer 1 gives values that are not finite, the first"):
        activation_statistics(broken, torch.ones(1, 2))
    with pytest.raises(ValueError, match="loss must be finite, got nan"):
        gradient_statistics(broken, torch.ones(1, 2), torch.tensor([0]))
    root = nn.Sequential(nn.Identity())
    with pytest.raises(ValueError, match="gradient at layer 0 is not finite"):
        gradient_statistics(root, torch.zeros(1, 2), torch.zeros(1), lambda out, _t: out.sqrt().sum())


def test_losses_that_are_no_loss():
    model, images, targets = nn.Linear(3, 4), torch.ones(2, 3), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"one number that depends on the network, got shape \(2, 4\)"):
        gradient_statistics(model, images, targets, lambda out, _t: out)
    with pytest.raises(ValueError, match=r"got shape \(\) without a gradient"):
        gradient_statistics(model, images, targets, lambda out, _t: out.detach().sum())

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.side = nn.Linear(3, 4), nn.Linear(3, 4)

        def forward(self, x):
            return self.main(x), self.side(x)

    with pytest.raises(ValueError, match="the model returns tuple; pass a loss that takes it"):
        gradient_statistics(Heads(), images, targets)
    both = gradient_statistics(
        Heads(), images, targets, lambda out, t: cross_entropy(out[0], t) + 0.3 * cross_entropy(out[1], t)
    )
    assert all(row.output_gradient_rms > 0 for row in both)
