import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import batch_norm_scale_and_shift, fold_batch_norm

SETTINGS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "bias": False},
    {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "groups": 2, "bias": False},
    {"kernel_size": (1, 5), "padding": (0, 2), "padding_mode": "reflect"},
    {"kernel_size": 3, "groups": 4, "padding": "same"},
]


def lived_in(norm, generator):
    """Give a batch norm statistics and factors as after a training."""
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        if tensor is not None:
            tensor.data.normal_(generator=generator)
    norm.running_var.uniform_(0.1, 3, generator=generator)
    return norm.eval()


@pytest.mark.parametrize("affine", ["both", "neither", "bias"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_one_layer_does_what_two_do(setting, affine):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, **setting).double()
    norm = nn.BatchNorm2d(8, eps=1e-2, affine=affine != "neither").double()
    if affine == "bias":
        norm.weight = None
    lived_in(norm, generator)
    images = torch.randn(2, 4, 9, 7, generator=generator, dtype=torch.float64)
    before = conv.weight.clone()
    folded = fold_batch_norm(conv, norm)
    assert_close(folded(images), norm(conv(images)), rtol=0, atol=1e-12)
    assert torch.equal(conv.weight, before)
    assert conv.bias is None or folded.bias is not conv.bias


def test_by_hand():
    # W = 2, b = 1; mean 3, variance 4 - eps, gamma 5, beta 7: s = 5 / 2, so W' = 5 and b' = 5/2 (1 - 3) + 7 = 2
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1.0).eval()
    with torch.no_grad():
        for tensor, value in [
            (conv.weight, 2),
            (conv.bias, 1),
            (norm.running_mean, 3),
            (norm.running_var, 3),
            (norm.weight, 5),
            (norm.bias, 7),
        ]:
            tensor.fill_(value)
    folded = fold_batch_norm(conv, norm)
    assert (folded.weight.item(), folded.bias.item()) == (5, 2)
    scale, shift = batch_norm_scale_and_shift(norm)
    assert (scale.item(), shift.item()) == (2.5, -0.5)


def test_type_memory_format_and_gradient_are_kept():
    conv = (
        nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last, dtype=torch.bfloat16).requires_grad_(False)
    )
    folded = fold_batch_norm(conv, nn.BatchNorm2d(8))
    assert folded.weight.dtype == folded.bias.dtype == torch.bfloat16
    assert folded.weight.is_contiguous(memory_format=torch.channels_last)
    assert not folded.weight.requires_grad
    assert fold_batch_norm(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)).bias.requires_grad


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ValueError, match="got 6 after 8; are these two neighbours"):
        fold_batch_norm(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(6))
    with pytest.raises(ValueError, match="track_running_stats=False"):
        fold_batch_norm(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8, track_running_stats=False))
