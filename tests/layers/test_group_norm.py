import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import GroupNorm, group_norm


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_by_hand():
    # two groups of two channels: (1, 3) has mean 2 and variance 1, (10, 16) mean 13 and variance 9; hardly any eps
    maps = torch.tensor([1.0, 3.0, 10.0, 16.0]).view(1, 4, 1, 1)
    assert_close(group_norm(maps, 2, eps=1e-12).flatten(), torch.tensor([-1.0, 1.0, -1.0, 1.0]))


@pytest.mark.parametrize("shape", [(2, 12, 3, 5), (1, 12, 1, 2), (3, 12), (2, 12, 4)])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_it_is_torchs(shape, groups):
    ours, theirs = GroupNorm(groups, 12).double(), nn.GroupNorm(groups, 12).double()
    with torch.no_grad():
        for index, tensor in enumerate(theirs.parameters()):
            tensor.copy_(drawn(12, seed=index + 5))
    ours.load_state_dict(theirs.state_dict())
    inputs = [drawn(*shape).requires_grad_() for _ in range(2)]
    outputs = [layer(x) for layer, x in zip((ours, theirs), inputs, strict=True)]
    for out in outputs:
        (out * drawn(*shape, seed=1)).sum().backward()
    assert_close(*outputs, rtol=0, atol=1e-9)
    assert_close(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-7)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(mine.grad, other.grad)


def test_as_many_groups_as_channels_are_instance_norm():
    maps = drawn(2, 4, 3, 5)
    assert_close(group_norm(maps, 4), nn.functional.instance_norm(maps))


def test_the_gradient_is_that_of_finite_differences():
    inputs = [drawn(2, 4, 2, 1).requires_grad_(), drawn(4).requires_grad_(), drawn(4).requires_grad_()]
    assert torch.autograd.gradcheck(lambda x, w, b: group_norm(x, 2, w, b, 0.1), inputs)


def test_bad_input():
    with pytest.raises(ValueError, match="got groups=4 for num_channels=6"):
        GroupNorm(4, 6)
    with pytest.raises(ValueError, match=r"got groups=4 for maps of shape \(1, 6, 2, 2\)"):
        group_norm(torch.zeros(1, 6, 2, 2), 4)
    with pytest.raises(ValueError, match="at least 2 values, got 1 with groups=6"):
        group_norm(torch.zeros(2, 6, 1, 1), 6)
    assert repr(GroupNorm(2, 6)) == "GroupNorm(2, 6, eps=1e-05)"
