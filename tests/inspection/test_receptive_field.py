import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from cnncourse.inspection import Window, effective_receptive_field, receptive_field
from cnncourse.layers import BlurPool, MaxPool
from cnncourse.models import LeNet5


def test_lenet_layer_by_layer():
    field = receptive_field(LeNet5(), (1, 1, 32, 32))
    assert [(row.window.name, row.size, row.jump, row.centre) for row in field] == [
        ("c1", 5, 1, 2.0),
        ("s2", 6, 2, 2.5),
        ("c3", 14, 2, 6.5),
        ("s4", 16, 4, 7.5),
    ]
    assert field.sees_everything_from == "flatten"
    assert field["c3"].box(0) == (0, 13)
    assert field["s4"].box(4) == (16, 31)


@pytest.mark.parametrize("layer", ["c1", "s2", "c3", "s4"])
@pytest.mark.parametrize("unit", [(0, 0), (2, 3), (4, 4)])
def test_lenet_formula_agrees_with_where_gradients_arrive(layer, unit):
    torch.manual_seed(0)
    model = LeNet5(activation="tanh", pool="mean")  # smooth, so that no pixel's gradient is zero by chance
    row = receptive_field(model, (1, 1, 32, 32))[layer]
    measured = effective_receptive_field(model, layer, torch.randn(2, 1, 32, 32), unit=unit)
    assert measured.support == (*row.box(unit[0]), *row.box(unit[1]))


def test_max_pooling_needs_more_than_one_image_to_show_its_field():
    torch.manual_seed(0)
    model, images = LeNet5(), torch.randn(64, 1, 32, 32)
    assert effective_receptive_field(model, "s4", images).support_size == (16, 16)
    one = effective_receptive_field(model, "s2", images[:1], unit=(3, 3), channel=0)
    assert max(one.support_size) <= 5  # only the winner's own window


@st.composite
def chains(draw):
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, 1))
        layers.append(nn.Conv2d(1, 1, kernel, stride, padding, dilation))
    return layers


@settings(max_examples=40, deadline=None)
@given(chains())
def test_any_chain_agrees_with_gradients(layers):
    model = nn.Sequential(*layers).double()
    for layer in layers:
        nn.init.ones_(layer.weight)  # positive weights cannot cancel
    images = torch.ones(1, 1, 41, 41, dtype=torch.float64)
    row = receptive_field(model).rows[-1]
    middle = model(images).shape[2] // 2
    first, last = row.box(middle)
    heat = effective_receptive_field(model, layers[-1], images, unit=(middle, middle)).heat
    rows = heat.sum(dim=1).nonzero().squeeze(1)
    # a stride larger than the window may leave pixels out inside the field; its ends are what is claimed
    assert (int(rows[0]), int(rows[-1])) == (max(first, 0), min(last, 40))


def test_three_small_kernels_see_what_one_large_one_sees():
    three = receptive_field([nn.Conv2d(1, 1, 3)] * 3).rows[-1]
    one = receptive_field([Window(7)]).rows[-1]
    assert (three.size, three.jump, three.centre) == (one.size, one.jump, one.centre) == (7, 1, 3.0)


def test_own_pooling_layers_and_lists():
    field = receptive_field([MaxPool(2, stride=1), nn.ReLU(), BlurPool(2, 4)])
    assert [(row.size, row.jump) for row in field] == [(2, 1), (5, 2)]
    with pytest.raises(KeyError, match="no layer 'c9'"):
        field["c9"]


def test_what_is_not_known_is_refused():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.b(x + self.a(x))

    with pytest.raises(ValueError, match="input_shape is needed to follow the forward pass of Residual"):
        receptive_field(Residual())
    with pytest.raises(ValueError, match="input_shape is needed to follow the forward pass of Residual"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3), Residual()))
    with pytest.raises(ValueError, match=r"windows must be square, got kernel_size=\(3, 5\) in layer 0"):
        receptive_field([nn.Conv2d(1, 1, (3, 5))])
    with pytest.raises(ValueError, match=r"does not know the window of layer 0 \(ConvTranspose2d\)"):
        receptive_field([nn.ConvTranspose2d(1, 1, 3)])
    with pytest.raises(ValueError, match="windows must be square, got padding='same'"):
        receptive_field([nn.Conv2d(1, 1, 3, padding="same")])
    with pytest.raises(ValueError, match="kernel=0"):
        Window(0)


def test_effective_field_of_a_mean_is_flat_and_of_a_stack_is_not():
    images = torch.randn(4, 1, 12, 12)
    flat = effective_receptive_field(nn.Sequential(nn.AvgPool2d(4)), "0", images, unit=(1, 1))
    assert flat.support == (4, 7, 4, 7)
    assert flat.size == 4.0
    assert_close(flat.heat[4:8, 4:8], torch.full((4, 4), 1 / 16, dtype=torch.float64))
    stack = nn.Sequential(*(nn.AvgPool2d(3, 1) for _ in range(5)))
    peaked = effective_receptive_field(stack, "4", images)
    assert peaked.support_size == (11, 11)
    assert peaked.size < 9  # Luo et al.: like a Gaussian, far smaller than the theoretical field


def test_effective_field_leaves_the_model_alone_and_refuses_nonsense():
    model, images = LeNet5().train(), torch.randn(1, 1, 32, 32)
    effective_receptive_field(model, model.c3, images)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert not images.requires_grad
    with pytest.raises(ValueError, match=r"maps \(N, C, H, W\), got \(1, 120\)"):
        effective_receptive_field(model, "c5", images)
    with pytest.raises(ValueError, match="map of 5 x 5, got unit=\\(5, 0\\)"):
        effective_receptive_field(model, "s4", images, unit=(5, 0))
    with pytest.raises(ValueError, match=r"channel must lie in \[0, 16\), got channel=16"):
        effective_receptive_field(model, "s4", images, channel=16)
    with pytest.raises(ValueError, match="LeNet5 has no layer 'c2'; its layers are c1, act1"):
        effective_receptive_field(model, "c2", images)
    with pytest.raises(ValueError, match="Conv2d is not part of LeNet5"):
        effective_receptive_field(model, nn.Conv2d(1, 1, 1), images)


def test_activations_in_place_do_not_change_what_is_measured():
    torch.manual_seed(0)
    conv, images = nn.Conv2d(1, 4, 3), torch.randn(2, 1, 8, 8)
    alone = effective_receptive_field(nn.Sequential(conv), "0", images)
    followed = effective_receptive_field(nn.Sequential(conv, nn.ReLU(inplace=True)), "0", images)
    assert_close(followed.heat, alone.heat)
    chain = receptive_field(nn.Sequential(conv, nn.ReLU(inplace=True), nn.MaxPool2d(2)), (1, 1, 8, 8))
    assert [row.size for row in chain] == [3, 4]


def test_tables():
    field = receptive_field(LeNet5(), (1, 1, 32, 32))
    assert "14 × 14" in str(field)
    assert "whole map" in field._repr_html_()
    measured = effective_receptive_field(LeNet5(), "c1", torch.randn(1, 1, 32, 32))
    assert "5 × 5" in str(measured)
    assert 'class="cnn-table cnn-effective-field"' in measured._repr_html_()
