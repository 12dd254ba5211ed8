"""Networks become exact functions: against an independent forward pass in fractions, and in floats."""

from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import torch
from gmpy2 import mpq
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse.theory import (
    PiecewiseLinear,
    count_pieces,
    deep_sawtooth,
    from_network,
    linear,
    max_pieces_deep,
    sawtooth,
)


def random_network(widths, seed, dtype=torch.float64, inputs=1):
    generator = torch.Generator().manual_seed(seed)
    layers, width = [], inputs
    for out in [*widths, 1]:
        layer = nn.Linear(width, out)
        with torch.no_grad():
            layer.weight.normal_(std=(2 / width) ** 0.5, generator=generator)
            layer.bias.normal_(std=0.5, generator=generator)
        layers += [layer, nn.ReLU()]
        width = out
    return nn.Sequential(*layers[:-1]).to(dtype)


def forward_in_fractions(network, inputs):
    """What the network means, without rounding and without the library: plain Python fractions, one point."""
    for layer in network:
        if isinstance(layer, nn.ReLU):
            inputs = [max(x, Fraction(0)) for x in inputs]
        else:
            rows, biases = layer.weight.double().tolist(), layer.bias.double().tolist()
            inputs = [
                sum((Fraction(w) * x for w, x in zip(row, inputs, strict=True)), Fraction(b))
                for row, b in zip(rows, biases, strict=True)
            ]
    (output,) = inputs
    return output


@given(
    st.lists(st.integers(1, 5), max_size=3), st.integers(0, 10_000), st.fractions(-3, 3, max_denominator=99)
)
@settings(max_examples=30, deadline=None)
def test_values_are_those_of_a_forward_pass_in_fractions(widths, seed, x):
    network = random_network(widths, seed)
    assert from_network(network, (-3, 3))(x) == forward_in_fractions(network, [x])


@given(st.lists(st.integers(1, 6), max_size=4), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_pieces_respect_the_product_bound(widths, seed):
    assert count_pieces(random_network(widths, seed), (-9, 9)) <= max_pieces_deep(widths)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.3)]
)
@pytest.mark.parametrize("widths", [(), (7,), (5, 5), (4, 4, 4, 4), (64,)])
def test_values_are_the_forward_pass_up_to_its_rounding(widths, dtype, tolerance):
    network = random_network(widths, seed=3, dtype=dtype)
    xs = torch.linspace(-2, 2, 257, dtype=torch.float64).to(dtype)  # the points that the network really sees
    with torch.no_grad():
        outputs = network(xs[:, None])[:, 0].double().numpy()
    exact = from_network(network, (-2, 2)).sample(xs.double().numpy())
    np.testing.assert_allclose(outputs, exact, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_types_are_converted_without_rounding(dtype):
    network = random_network((4, 3), seed=1, dtype=dtype)
    f = from_network(network, (-1, 1))
    for x in (Fraction(-1), Fraction(-1, 7), Fraction(1, 3), Fraction(1)):
        assert f(x) == forward_in_fractions(network, [x])
    assert f == from_network(network.double(), (-1, 1))


def test_every_kink_is_where_a_hidden_unit_is_zero():
    network = random_network((20,), seed=5)
    hidden = network[0]
    weights, biases = hidden.weight[:, 0].tolist(), hidden.bias.tolist()
    zeros = {Fraction(-b) / Fraction(w) for w, b in zip(weights, biases, strict=True)}
    inner = [x for x in zeros if -2 < x < 2]
    assert from_network(network, (-2, 2)).breakpoints == (-2, *sorted(inner), 2)


def test_units_that_cancel_leave_no_piece():
    # s(x) - s(-x) = x, and s(x - 1/2) - s(x - 1/2) = 0
    network = nn.Sequential(
        linear([[1], [-1], [1], [1]], [0, 0, -0.5, -0.5]), nn.ReLU(), linear([[1, -1, 3, -3]], [0])
    )
    assert from_network(network, (-1, 1)) == PiecewiseLinear.identity((-1, 1))


def test_a_dead_network_is_constant_and_relu_first_or_last_is_fine():
    dead = nn.Sequential(linear([[1]], [-5]), nn.ReLU(), linear([[2]], [3]))
    assert from_network(dead) == PiecewiseLinear.constant(3)
    assert from_network(nn.ReLU(), (-1, 1)) == PiecewiseLinear([-1, 0, 1], [0, 0, 1])
    assert from_network(nn.Sequential(), (-1, 1)) == PiecewiseLinear.identity((-1, 1))
    assert from_network(nn.Sequential(nn.ReLU(), nn.ReLU()), (0, 1)) == PiecewiseLinear.identity()
    without_bias = nn.Linear(1, 1, bias=False)
    assert from_network(without_bias)(1) == Fraction(without_bias.weight.item())


def test_nested_and_harmless_layers_change_nothing():
    plain = deep_sawtooth(3)
    nested = nn.Sequential(
        OrderedDict(first=nn.Sequential(*list(plain)[:3], nn.Identity()), flat=nn.Flatten(), rest=plain[3:])
    )
    nested.add_module("drop", nn.Dropout())
    nested.eval()
    assert from_network(nested) == sawtooth(3)


def test_the_interval_may_have_any_rational_ends():
    assert from_network(deep_sawtooth(4), ("1/3", "6/7")) == sawtooth(4, ("1/3", "6/7"))


def test_deep_networks_are_read_exactly_where_floats_have_given_up():
    # 60 tent maps: 2^60 pieces on [0, 1], read on an interval that holds four of them
    f = from_network(deep_sawtooth(60), (0, mpq(4, 2**60)))
    assert f.values == (0, 1, 0, 1, 0)


def test_several_inputs_are_read_along_a_line():
    network = random_network((6, 6), seed=2, inputs=3)
    origin, direction = [0.5, -1, 0.25], [1, 2, -0.75]
    f = from_network(network, (-2, 2), line=(origin, direction))
    for t in (Fraction(-2), Fraction(-1, 3), Fraction(0), Fraction(5, 7)):
        at = [Fraction(o) + t * Fraction(d) for o, d in zip(origin, direction, strict=True)]
        assert f(t) == forward_in_fractions(network, at)
    assert count_pieces(network, (-2, 2), line=(origin, direction)) == f.pieces()


def test_conversion_leaves_the_network_and_its_gradients_alone():
    network = random_network((3,), seed=0)
    before = [p.detach().clone() for p in network.parameters()]
    from_network(network)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(p.grad is None for p in network.parameters())


# Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.BatchNorm1d(4), nn.Softmax(dim=1), nn.Conv1d(1, 1, 1)])
def test_what_is_not_piecewise_linear_is_named(layer):
    network = nn.Sequential(nn.Linear(1, 4), nn.Sequential(layer), nn.Linear(4, 1))
    with pytest.raises(ValueError, match=rf"got layer '1\.0' \({type(layer).__name__}\); use nn\.Sequential"):
        from_network(network)


def test_a_changed_forward_is_not_taken_for_a_linear_layer():
    class Squared(nn.Linear):
        def forward(self, x):
            return super().forward(x) ** 2

    class Backwards(nn.Sequential):
        def forward(self, x):
            return -super().forward(x)

    with pytest.raises(ValueError, match=r"got the module \(Squared\)"):
        from_network(Squared(1, 1))
    with pytest.raises(ValueError, match=r"got the module \(Backwards\)"):
        from_network(Backwards(nn.Linear(1, 1)))


def test_dropout_while_training_is_refused():
    with pytest.raises(ValueError, match=r"layer '1' \(Dropout\) is random while training; call \.eval"):
        from_network(nn.Sequential(nn.Linear(1, 1), nn.Dropout()))


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match=r"must have one input, got in_features=2 in layer '0'.* give line="):
        from_network(nn.Sequential(nn.Linear(2, 1)))
    with pytest.raises(
        ValueError, match=r"must have one output, got 3 after layer '0'.*append nn\.Linear\(3, 1\)"
    ):
        from_network(nn.Sequential(nn.Linear(1, 3)))
    with pytest.raises(
        ValueError, match=r"layer '2' \(Linear\) expects in_features=5 but is given 4 numbers"
    ):
        from_network(nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(5, 1)))
    with pytest.raises(ValueError, match="must have the same length >= 1, got 2 and 1"):
        from_network(nn.Linear(2, 1), line=([0, 0], [1]))
    with pytest.raises(ValueError, match="must have dyadic coordinates"):
        from_network(nn.Linear(2, 1), line=([0, "1/3"], [1, 1]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(bad):
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[2].bias[0] = bad
    with pytest.raises(
        ValueError, match=rf"weights must be finite, got {bad} in the bias of layer '2' \(Linear\)"
    ):
        from_network(network)


def test_complex_weights_and_empty_intervals_are_refused():
    with pytest.raises(ValueError, match=r"must be real floating-point numbers, got dtype torch\.complex64"):
        from_network(nn.Linear(1, 1, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"left < right, got \[1, 1\]"):
        from_network(nn.Linear(1, 1), (1, 1))
    with pytest.raises(ValueError, match="right end must be one finite real number, got inf"):
        from_network(nn.Linear(1, 1), (0, float("inf")))
