"""The tent map and its iterates."""

import pytest
import torch
from gmpy2 import mpq

from cnncourse.theory import PiecewiseLinear, sawtooth, sawtooth_values, tent, tent_values


def test_the_formula_is_the_tent_map_exactly():
    x = PiecewiseLinear.identity((-1, 2))
    formula = (2 * x.relu() - 4 * (x - "1/2").relu()).relu()
    assert formula == tent((-1, 2))
    assert formula == PiecewiseLinear([-1, 0, "1/2", 1, 2], [0, 0, 1, 0, 0])


@pytest.mark.parametrize("n", range(1, 11))
def test_the_iterate_has_two_to_the_n_pieces_and_crosses_one_half_as_often(n):
    f = sawtooth(n)
    assert f.pieces() == f.crossings("1/2") == 2**n
    assert f.values == tuple(mpq(i % 2) for i in range(2**n + 1))
    assert f.breakpoints == tuple(mpq(i, 2**n) for i in range(2**n + 1))
    assert set(f.slopes()) == {2**n, -(2**n)}
    assert sum(y == 1 for y in f.values) == 2 ** (n - 1)  # the teeth
    assert f.integral() == mpq(1, 2)
    assert f.l1_distance("1/2") == mpq(1, 4)


def test_iterates_compose():
    assert sawtooth(0) == PiecewiseLinear.identity()
    assert sawtooth(3) @ sawtooth(4) == sawtooth(7)
    assert sawtooth(5, (-1, 2)) == PiecewiseLinear(
        [-1, *(mpq(i, 32) for i in range(33)), 2], [0, *(i % 2 for i in range(33)), 0]
    )
    assert sawtooth(4, ("1/3", "1/2")) == sawtooth(4).restrict("1/3", "1/2")
    assert tent((3, 4)) == PiecewiseLinear.constant(0, (3, 4))


def test_a_million_pieces_are_counted():
    f = sawtooth(10) @ sawtooth(10)
    assert f.pieces() == 2**20
    assert f.interval == (0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 10])
def test_tensors_are_mapped_without_rounding_on_the_dyadic_grid(n, dtype):
    k = torch.arange(2**n + 1)
    expected = k.to(dtype) % 2 if n else k.to(dtype)
    assert torch.equal(sawtooth_values(k.to(dtype) / 2**n, n), expected)


def test_tensors_outside_the_interval_go_to_zero():
    assert torch.equal(
        tent_values(torch.tensor([-1.0, 0.25, 0.75, 1.0, 7.0])), torch.tensor([0, 0.5, 0.5, 0, 0])
    )


@pytest.mark.parametrize("n", [-1, 1.5, "two", True])
def test_a_number_of_iterations_must_be_natural(n):
    with pytest.raises(ValueError, match=rf"iterations must be a whole number >= 0, got {n!r}"):
        sawtooth(n)
    with pytest.raises(ValueError, match="iterations must be a whole number >= 0"):
        sawtooth_values(torch.zeros(1), n)


def test_too_many_pieces_and_empty_intervals_are_refused():
    with pytest.raises(ValueError, match="n must be at most 24, got n=25"):
        sawtooth(25)
    with pytest.raises(ValueError, match=r"left < right, got \[1, 0\]"):
        tent((1, 0))
