"""Networks with written-down weights compute what their docstrings say, proved by exact conversion."""

import pytest
import torch
from gmpy2 import mpq
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.theory import (
    PiecewiseLinear,
    TelgarskyNetwork,
    count_nodes,
    count_relu_units,
    deep_sawtooth,
    from_network,
    linear,
    narrow_sawtooth,
    sawtooth,
    sawtooth_values,
    shallow_network_of,
    shallow_sawtooth,
    sup_distance_to_square,
    tent,
    yarotsky_square,
)

DEPTHS = [0, 1, 2, 3, 5, 8]


@pytest.mark.parametrize("n", DEPTHS)
def test_deep_sawtooth_is_the_iterate_on_the_whole_line(n):
    network = deep_sawtooth(n)
    assert from_network(network, (-2, 3)) == sawtooth(n, (-2, 3))
    assert count_nodes(network) == 3 * n + 1
    assert count_relu_units(network) == 3 * n


@pytest.mark.parametrize("n", DEPTHS)
def test_narrow_sawtooth_is_the_iterate_on_the_unit_interval(n):
    network = narrow_sawtooth(n)
    assert from_network(network) == sawtooth(n)
    assert count_nodes(network) == 2 * n + 1
    assert max(p.shape[0] for p in network.parameters()) <= 2


@pytest.mark.parametrize("n", DEPTHS)
def test_shallow_sawtooth_needs_two_to_the_n_units_and_one_more_on_the_line(n):
    on_interval, on_line = shallow_sawtooth(n), shallow_sawtooth(n, everywhere=True)
    assert from_network(on_interval) == sawtooth(n)
    assert count_relu_units(on_interval) == 2**n
    if n:
        assert from_network(on_line, (-2, 3)) == sawtooth(n, (-2, 3))
        assert count_relu_units(on_line) == 2**n + 1
        assert from_network(on_interval, (0, 2)) != sawtooth(n, (0, 2))


def test_the_parity_that_forbids_one_unit_fewer():
    # 2^n - 1 units, one at each inner breakpoint, each switched on to its right or its left: for n = 2 try all 2^3.
    # The slope of the first piece is minus the jumps of those on the left; it never is 4.
    jumps = [-8, 8, -8]
    first_slopes = {
        -sum(j for j, left in zip(jumps, f"{bits:03b}", strict=True) if left == "1") for bits in range(8)
    }
    assert 4 not in first_slopes
    assert {s % 8 for s in first_slopes} == {0}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_passes_are_exact_on_the_dyadic_grid(dtype):
    x = torch.arange(65, dtype=dtype)[:, None] / 64
    for build in (deep_sawtooth, narrow_sawtooth, shallow_sawtooth):
        assert torch.equal(build(6, dtype=dtype)(x), sawtooth_values(x, 6))


@pytest.mark.parametrize("n", range(8))
def test_yarotskys_square_has_exactly_the_promised_error(n):
    f = from_network(yarotsky_square(n))
    assert sup_distance_to_square(f) == mpq(1, 2 ** (2 * n + 2))
    assert f == PiecewiseLinear.identity() - sum(
        (sawtooth(s) / 4**s for s in range(1, n + 1)), PiecewiseLinear.constant(0)
    )
    assert all(f(mpq(i, 2**n)) == mpq(i, 2**n) ** 2 for i in range(2**n + 1))
    assert count_relu_units(yarotsky_square(n)) == 3 * n


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-24, 24), min_size=2, max_size=9))
def test_every_function_is_a_shallow_network_with_at_most_as_many_units_as_pieces(heights):
    xs = [mpq(i * i, 64) for i in range(len(heights))]  # dyadic, unequal widths
    slopes = heights[:-1]
    values = [mpq(heights[-1])]
    for i, slope in enumerate(slopes):
        values.append(values[-1] + slope * (xs[i + 1] - xs[i]))
    f = PiecewiseLinear(xs, values)
    network = shallow_network_of(f)
    assert from_network(network, f.interval) == f
    assert count_relu_units(network) <= f.pieces()
    if slopes[0] == 0 and f.pieces() > 1:
        assert count_relu_units(network) == f.pieces() - 1


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_telgarskys_counts_come_out_of_the_built_module(k, d):
    network = TelgarskyNetwork(k, d)
    assert network.layer_count() == 2 * k**3 + 8
    assert network.node_count() == 3 * k**3 + 12
    assert network.distinct_parameters() == d + 4
    assert sum(p.numel() for p in network.parameters()) == d + 4
    unrolled = network.unrolled()
    assert count_relu_units(unrolled) == count_nodes(unrolled) == 3 * k**3 + 12
    assert sum(isinstance(layer, torch.nn.ReLU) for layer in unrolled) == 2 * k**3 + 8


@pytest.mark.parametrize("k", [1, 2, 3])
def test_telgarskys_network_iterates_the_tent_map_on_the_first_coordinate(k):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2**40, (64, 3), generator=generator).double() / 2**40
    network = TelgarskyNetwork(k, 3)
    expected = sawtooth_values(x[:, :1], k**3 + 4)
    assert torch.equal(network(x), expected)
    assert torch.equal(network.unrolled()(x), expected)
    assert 0 < expected.sum() < 64


def test_telgarskys_network_is_the_iterate_exactly():
    assert from_network(TelgarskyNetwork(1).unrolled(), (-1, 2)) == sawtooth(5, (-1, 2))
    along_the_first_axis = ([0, 0.5, 0.25], [1, 0, 0])
    assert from_network(TelgarskyNetwork(2, 3).unrolled(), line=along_the_first_axis) == sawtooth(12)


def test_telgarskys_parameters_are_shared_and_all_used():
    network = TelgarskyNetwork(1, 2)
    x = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    with torch.no_grad():
        network.direction.copy_(torch.tensor([0.0, 1.0]))
    assert torch.equal(network(x), sawtooth_values(x[:, 1:], 5))
    copy = TelgarskyNetwork(1, 2)
    copy.load_state_dict(network.state_dict())
    assert torch.equal(copy(x), network(x))
    assert sorted(network.state_dict()) == ["direction", "tent_numbers"]


def test_building_draws_no_random_numbers():
    state = torch.random.get_rng_state()
    for build in (deep_sawtooth, narrow_sawtooth, shallow_sawtooth, yarotsky_square, TelgarskyNetwork):
        build(2)
    shallow_network_of(tent())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("build", [deep_sawtooth, narrow_sawtooth, shallow_sawtooth, yarotsky_square])
@pytest.mark.parametrize("n", [-1, 0.5])
def test_depths_must_be_natural(build, n):
    with pytest.raises(ValueError, match=rf"must be a whole number >= 0, got {n}"):
        build(n)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match=r"n must be at most 24, got n=25: 2\^25 units; use deep_sawtooth"):
        shallow_sawtooth(25)
    with pytest.raises(
        ValueError, match=r"k must be a whole number >= 1, got 0; the theorem starts at k = 1"
    ):
        TelgarskyNetwork(0)
    with pytest.raises(ValueError, match=r"the dimension d must be a whole number >= 1, got 0"):
        TelgarskyNetwork(1, 0)
    with pytest.raises(ValueError, match=r"got k=22 with 21304 layers"):
        TelgarskyNetwork(22)
    with pytest.raises(ValueError, match=r"got rows of length \[2, 1\] and 2 biases"):
        linear([[1, 2], [3]], [0, 0])
    with pytest.raises(ValueError, match=r"got rows of length \[\] and 0 biases"):
        linear([], [])
