import pytest
import torch
from torch.testing import assert_close

from cnncourse.layers import LayerNorm2d, channel_layer_norm


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_by_hand():
    # channels 1 and 3: mean 2, variance 1; with eps 3 the root is 2; y = 10 (x - 2) / 2 + 1
    maps = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
    out = channel_layer_norm(maps, torch.full((2,), 10.0), torch.ones(2), eps=3.0)
    assert out.flatten().tolist() == [-4, 6]


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (1, 1, 2, 2), (3, 8, 1, 7)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_definition_and_torchvisions(shape, memory_format):
    from torchvision.models.convnext import LayerNorm2d as Theirs

    ours, theirs = LayerNorm2d(shape[1]).double(), Theirs(shape[1], eps=1e-6).double()
    with torch.no_grad():
        ours.weight.copy_(drawn(shape[1], seed=1))
        ours.bias.copy_(drawn(shape[1], seed=2))
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    maps = drawn(*shape).contiguous(memory_format=memory_format)
    inputs = [maps.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(x) for layer, x in zip((ours, theirs), inputs, strict=True)]
    for out in outputs:
        (out * drawn(*shape, seed=3)).sum().backward()
    assert_close(*outputs, rtol=0, atol=1e-12)
    assert_close(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-9)
    assert_close(ours.weight.grad, theirs.weight.grad)
    variance, mean = torch.var_mean(maps, 1, correction=0, keepdim=True)
    by_definition = (maps - mean) / (variance + 1e-6).sqrt()
    by_definition = by_definition * ours.weight.view(-1, 1, 1) + ours.bias.view(-1, 1, 1)
    assert_close(outputs[0], by_definition, rtol=0, atol=1e-9)


def test_gradient_is_that_of_finite_differences():
    inputs = [drawn(2, 3, 2, 1).requires_grad_(), drawn(3).requires_grad_(), drawn(3).requires_grad_()]
    assert torch.autograd.gradcheck(lambda *given: channel_layer_norm(*given, eps=0.1), inputs)


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(3, 2, 2\)"):
        LayerNorm2d(3)(torch.zeros(3, 2, 2))
    with pytest.raises(ValueError, match=r"weight must have one number a channel, got \(3,\) for maps"):
        LayerNorm2d(3)(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="num_channels=0 and eps=1e-06"):
        LayerNorm2d(0)
    assert repr(LayerNorm2d(3)) == "LayerNorm2d(3, eps=1e-06)"
