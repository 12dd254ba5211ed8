import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import LocalResponseNorm, local_response_norm


def gradient(function, maps):
    maps = maps.clone().requires_grad_(True)
    output = function(maps)
    (output * torch.arange(1, output.numel() + 1, dtype=output.dtype).view_as(output)).sum().backward()
    return maps.grad


def test_by_hand():
    # channels 1, 2, 3, size 3, k = 1, alpha = 1, beta = 1: 1 / (1 + 1 + 4), 2 / (1 + 1 + 4 + 9), 3 / (1 + 4 + 9)
    maps = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    out = local_response_norm(maps, 3, k=1, alpha=1, beta=1).flatten()
    assert_close(out, torch.tensor([1 / 6, 2 / 15, 3 / 14]))


@settings(max_examples=40)
@given(
    size=st.sampled_from([1, 3, 5, 7]),
    channels=st.integers(1, 9),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    k=st.floats(0.5, 3),
    alpha=st.floats(0, 1),
    beta=st.floats(0.1, 2),
    seed=st.integers(0, 2**20),
)
def test_torchs_layer_divides_alpha_by_the_size(*, size, channels, sides, k, alpha, beta, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, channels, *sides, generator=generator, dtype=torch.float64)
    ours = LocalResponseNorm(size, k, alpha, beta)
    theirs = nn.LocalResponseNorm(size, alpha * size, beta, k)
    assert_close(ours(maps), theirs(maps), rtol=1e-12, atol=1e-12)
    assert_close(gradient(ours, maps), gradient(theirs, maps), rtol=1e-10, atol=1e-10)


def test_with_the_papers_constants_torchs_alpha_is_five_times_too_weak():
    maps = 30 * torch.randn(1, 8, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = local_response_norm(maps)
    assert (ours - nn.LocalResponseNorm(5, 1e-4, 0.75, 2)(maps)).abs().max() > 0.1
    assert_close(ours, nn.LocalResponseNorm(5, 5e-4, 0.75, 2)(maps))


def test_gradient_is_that_of_finite_differences():
    maps = torch.randn(2, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: local_response_norm(x, 3, 1.5, 0.7, 0.75), maps.requires_grad_()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_type_and_memory_format_are_kept(dtype):
    maps = torch.randn(2, 8, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    last = maps.to(dtype).contiguous(memory_format=torch.channels_last)
    out = local_response_norm(last)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    tolerance = torch.finfo(dtype).eps * 8
    assert_close(out.double(), local_response_norm(last.double()), rtol=tolerance, atol=tolerance)


def test_bad_input():
    with pytest.raises(ValueError, match="size=4; an even number of channels has no middle"):
        LocalResponseNorm(4)
    with pytest.raises(ValueError, match="odd and at least 1, got size=0"):
        local_response_norm(torch.zeros(1, 1, 1, 1), 0)
    with pytest.raises(ValueError, match=r"got k=0 and alpha=0\.0001"):
        LocalResponseNorm(k=0)
    with pytest.raises(ValueError, match=r"got k=2\.0 and alpha=-1"):
        LocalResponseNorm(alpha=-1)
    with pytest.raises(ValueError, match=r"\(N, C, ...\), got \(3,\)"):
        local_response_norm(torch.zeros(3))
    assert repr(LocalResponseNorm()) == "LocalResponseNorm(size=5, k=2, alpha=0.0001, beta=0.75)"
