import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.inspection import shape_trace
from cnncourse.layers import fold_batch_norm
from cnncourse.models import SpeedNet, whitening_weights


def textured(count=64, channels=3, side=16):
    """Images whose neighbouring pixels and channels resemble each other."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, channels, side, side, generator=generator)
    images = nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    return images + images.mean(dim=1, keepdim=True)


def test_shapes_are_those_beside_the_forward_pass():
    traced = {row.name: row.shape for row in shape_trace(SpeedNet(), (7, 3, 32, 32))}
    assert traced["whitening"] == (7, 24, 31, 31)
    assert traced["group1.norm2"] == (7, 64, 15, 15)
    assert traced["group2.norm2"] == (7, 256, 7, 7)
    assert traced["group3.norm2"] == (7, 256, 3, 3)
    assert traced["flatten"] == (7, 256)
    assert traced["output"] == (7, 10)


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_patches_have_unit_second_moments(channels):
    images = textured(channels=channels).double()
    filters = whitening_weights(images, eps=1e-12).double()
    size = 4 * channels
    assert filters.shape == (2 * size, channels, 2, 2)
    assert torch.equal(filters[:size], -filters[size:])
    out = nn.functional.conv2d(images, filters[:size]).transpose(0, 1).flatten(1)
    assert_close(out @ out.T / out.shape[1], torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-4)


def test_the_strongest_direction_comes_first_and_eps_holds_back_the_weak():
    images = textured()
    norms = whitening_weights(images)[:12].flatten(1).norm(dim=1)
    assert (norms.diff() >= 0).all()  # 1 / sqrt(l + eps) grows as l falls
    assert whitening_weights(images, eps=1.0).flatten(1).norm(dim=1).max() <= 1


def test_first_filter_of_equal_pixels_by_hand():
    # all pixels equal to 3: the only direction is (1, 1, 1, 1) / 2 with second moment 4 * 9 = 36
    filters = whitening_weights(torch.full((2, 1, 4, 4), 3.0), eps=0.5)
    assert_close(filters[0].abs(), torch.full((1, 2, 2), 0.5 / 36.5**0.5))


def test_whiten_sets_the_frozen_convolution():
    model = SpeedNet()
    model.whiten(textured())
    assert_close(model.whitening.weight, whitening_weights(textured()))
    assert not model.whitening.weight.requires_grad
    assert model.whitening.bias.requires_grad
    with pytest.raises(ValueError, match=r"3 channels, got \(64, 1, 16, 16\)"):
        model.whiten(textured(channels=1))


def test_convolutions_start_by_passing_their_input_on():
    torch.manual_seed(0)
    x = torch.randn(2, 24, 8, 8)
    assert_close(SpeedNet().group1.conv1(x)[:, :24], x)
    conv = SpeedNet().group2.conv2
    x = torch.randn(2, 256, 4, 4)
    assert_close(conv(x), x)


def test_norms_have_an_offset_and_no_factor():
    model = SpeedNet()
    names = [name for name, _ in model.named_parameters() if "norm" in name]
    assert names == [f"group{g}.norm{n}.bias" for g in (1, 2, 3) for n in (1, 2)]
    assert not any(key.endswith("norm1.weight") for key in model.state_dict())
    torch.manual_seed(0)
    group, x = model.eval().group1, torch.randn(1, 24, 8, 8)
    assert_close(
        fold_batch_norm(group.conv2, group.norm2)(group.conv1(x)), group.norm2(group.conv2(group.conv1(x)))
    )


@pytest.mark.parametrize("side", [24, 49])
def test_sides_that_leave_no_single_pixel_are_refused(side):
    with pytest.raises(
        ValueError, match=rf"H and W at least 25 and at most 48, got \(1, 3, {side}, {side}\)"
    ):
        SpeedNet()(torch.zeros(1, 3, side, side))
    inside = 25 if side == 24 else 48
    assert SpeedNet()(torch.zeros(2, 3, inside, inside)).shape == (2, 10)


def test_bad_images_to_whiten():
    with pytest.raises(ValueError, match=r"normalised floats, got \(2, 3, 4, 4\) of type torch.uint8"):
        whitening_weights(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got \(0, 3, 4, 4\)"):
        whitening_weights(torch.zeros(0, 3, 4, 4))
    with pytest.raises(ValueError, match=r"patch=5 and eps=0.1"):
        whitening_weights(torch.zeros(2, 3, 4, 4), patch=5, eps=0.1)
