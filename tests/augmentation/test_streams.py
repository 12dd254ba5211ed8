import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.augmentation import generator_for

PARTS = st.integers(-(2**70), 2**70) | st.text(max_size=6)


def numbers(*path, count=4):
    return torch.rand(count, generator=generator_for(*path)).tolist()


@given(st.integers(0, 2**40), st.lists(PARTS, max_size=4))
def test_the_same_path_gives_the_same_numbers_and_nothing_else_is_touched(seed, path):
    state = torch.get_rng_state()
    assert numbers(seed, *path) == numbers(seed, *path)
    assert torch.equal(torch.get_rng_state(), state)


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(PARTS, max_size=3).map(tuple)), min_size=2, max_size=8))
def test_other_paths_give_other_numbers(paths):
    for (seed, path), (other_seed, other_path) in combinations(set(paths), 2):
        assert numbers(seed, *path) != numbers(other_seed, *other_path)


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ((0, "a", "b"), (0, "ab")),
        ((0, 1), (0, "1")),
        ((0, 1, 2), (0, 12)),
        ((1, 2), (2, 1)),
        ((0,), (0, "")),
        ((0, "a:1"), (0, "a", 1)),
        ((0, "i1:1"), (0, 1)),
    ],
)
def test_paths_that_read_alike_differ(path, other):
    assert numbers(*path) != numbers(*other)


def test_the_same_numbers_in_another_process():
    code = "import torch; from cnncourse.augmentation import generator_for as g\n"
    code += "print(torch.rand(4, generator=g(3, 'crop', 17)).tolist())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(numbers(3, "crop", 17))


def test_whole_numbers_of_numpy_and_torch_count_as_such():
    assert numbers(np.int64(3), torch.tensor(5)) == numbers(3, 5)


def test_all_32_bits_of_the_generators_seed_are_used():
    # 20,000 draws out of 2**32 agree in 0.05 pairs on average; out of 2**28 already in 0.7, out of 2**24 in 12
    firsts = {torch.randint(2**62, (1,), generator=generator_for(0, i)).item() for i in range(20_000)}
    assert len(firsts) >= 19_999


def test_steps_of_a_run_look_independent():
    draws = torch.stack([torch.rand(50, generator=generator_for(0, "step", i)) for i in range(200)]).double()
    # Correlations of independent columns of 50 have sd 1/7; 19,900 of them hardly ever exceed 5 sd.
    correlations = torch.corrcoef(draws).fill_diagonal_(0)
    assert correlations.abs().max() < 5 / 7
    assert abs(draws.mean() - 0.5) < 4 * (1 / 12 / draws.numel()) ** 0.5


@pytest.mark.parametrize("part", [1.5, True, None, b"a", (1,)])
def test_other_parts_are_refused(part):
    with pytest.raises(ValueError, match=r"must be whole numbers or texts, got .*; write a number"):
        generator_for(0, part)
    with pytest.raises(ValueError, match="must be whole numbers or texts"):
        generator_for(part)
