import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import SameConv2d, conv_norm


def same_by_definition(images, conv):
    """TensorFlow's rule written with explicit borders: more rows below and to the right."""
    for axis in (2, 3):
        side, kernel, stride = images.shape[axis], conv.kernel_size[axis - 2], conv.stride[axis - 2]
        outputs = (side + stride - 1) // stride
        reach = (outputs - 1) * stride + conv.dilation[axis - 2] * (kernel - 1) + 1
        missing = max(reach - side, 0)
        for length, end in ((missing // 2, 0), (missing - missing // 2, 1)):
            shape = list(images.shape)
            shape[axis] = length
            zeros = images.new_zeros(shape)
            images = torch.cat([images, zeros] if end else [zeros, images], dim=axis)
    return nn.functional.conv2d(images, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)


@pytest.mark.parametrize("sides", [(7, 7), (8, 6), (5, 8), (2, 3)])
@pytest.mark.parametrize("kernel", [1, 3, 5, (3, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_convolution_is_its_definition(sides, kernel, stride):
    torch.manual_seed(0)
    conv = SameConv2d(2, 4, kernel, stride, groups=2).double()
    images = torch.randn(1, 2, *sides, dtype=torch.float64)
    out = conv(images)
    assert_close(out, same_by_definition(images, conv))
    assert out.shape[2:] == tuple((side + stride - 1) // stride for side in sides)


def test_with_stride_one_it_is_the_ordinary_convolution():
    torch.manual_seed(0)
    conv = SameConv2d(3, 4, 3, dilation=2)
    images = torch.randn(2, 3, 9, 9)
    assert_close(conv(images), nn.functional.conv2d(images, conv.weight, conv.bias, padding=2, dilation=2))


def test_even_side_and_stride_two_see_the_image_one_pixel_lower():
    # 3 x 3 window of ones, stride 2, side 4: the first window of "same" covers rows 0..2, the ordinary one -1..1
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.ones_(conv.weight)
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert conv(images)[0, 0, 0, 0] == sum([0, 1, 2, 4, 5, 6, 8, 9, 10])
    assert nn.functional.conv2d(images, conv.weight, stride=2, padding=1)[0, 0, 0, 0] == 0 + 1 + 4 + 5


def test_conv_norm_has_what_was_asked_for():
    layers = conv_norm(4, 8, 5, stride=2, groups=2, activation=nn.ReLU6(), eps=1e-3, momentum=0.01)
    conv, norm, activation = layers
    assert (conv.padding, conv.bias, conv.groups) == ((2, 2), None, 2)
    assert (norm.eps, norm.momentum, type(activation)) == (1e-3, 0.01, nn.ReLU6)
    assert [type(layer) for layer in conv_norm(4, 8, same=True)] == [SameConv2d, nn.BatchNorm2d]
