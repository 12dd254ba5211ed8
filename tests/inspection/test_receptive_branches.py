"""Receptive fields of networks with branches: worked out by hand, as published, and where gradients arrive."""

import pytest
import torch
import torchvision.models
from torch import nn
from torch.nn.functional import avg_pool2d, pad

from cnncourse.inspection import captured, receptive_field
from cnncourse.layers import Conv2d
from cnncourse.models.catalogue import CATALOGUE, build


def last(model, shape, **options):
    return receptive_field(model, shape, **options).rows[-1]


class Branches(nn.Module):
    """A 1 x 1, a 5 x 5 and two 3 x 3 convolutions beside each other, each at stride 2, then one on all of them."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(2, 2, 1, stride=2)
        self.five = nn.Conv2d(2, 2, 5, stride=2, padding=2, groups=2)
        self.three = nn.Sequential(
            nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, 2, 1, dilation=1)
        )
        self.join = nn.Conv2d(6, 1, 3)

    def forward(self, x):
        return self.join(torch.cat([self.one(x), self.five(x), self.three(x)], dim=1))


def test_the_largest_branch_decides():
    field = receptive_field(Branches(), (1, 2, 16, 16))
    assert [(row.name, row.size, row.jump, row.centre) for row in field] == [
        ("one", 1, 2, 0.0),
        ("five", 5, 2, 0.0),
        ("three.0", 3, 1, 0.0),
        ("three.2", 5, 2, 0.0),
        ("join", 5 + 2 * 2, 2, 2.0),
    ]
    assert (field.sees_everything_from, field.final_size) == (None, 9)


def test_the_last_map_is_that_of_all_branches():
    class Unequal(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(1, 1, 7, padding=3), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return torch.cat([self.wide(x), self.narrow(x)], dim=1).mean((2, 3))

    field = receptive_field(Unequal(), (1, 1, 8, 8))
    assert (field.rows[-1].size, field.final_size, field.sees_everything_from) == (3, 7, "Unequal")
    assert str(field).splitlines()[-2].split() == ["last", "map", "7", "×", "7"]
    assert receptive_field([nn.Conv2d(1, 1, 3), nn.Flatten()]).final_size == 3
    assert receptive_field([nn.ReLU()]).final_size is None


def test_the_courses_own_convolution_says_its_window():
    assert last(nn.Sequential(Conv2d(2, 2, 3, stride=2), nn.ReLU()), (1, 2, 9, 9)).size == 3


def test_branches_to_either_side():
    class Sides(nn.Module):
        def forward(self, x):
            left, right = pad(x, (3, 0, 3, 0))[:, :, :-3, :-3], pad(x, (0, 2, 0, 2))[..., 2:, 2:]
            return avg_pool2d(left + right, 1)

    row = last(nn.Sequential(nn.Identity(), Sides()), (1, 1, 9, 9))
    assert row.box(4) == (1, 6)  # three to the left, two to the right


def test_a_shortcut_without_weights_by_slicing():
    class Sliced(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)

        def forward(self, x):
            shortcut = pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
            return self.conv(x).relu_() + shortcut

    assert last(nn.Sequential(Sliced(), nn.Conv2d(4, 1, 3, padding=1)), (1, 2, 8, 8)).size == 3 + 2 * 2


def test_resnet18_by_hand():
    # 7, pooling + 2 * 2; then 4, 3 + 1, 3 + 1, 3 + 1 convolutions of + 2 at jumps 4; 8 (the first at 4), 16 and 32
    size = 7 + 2 * 2 + 4 * 8 + (8 + 3 * 16) + (16 + 3 * 32) + (32 + 3 * 64)
    assert last(build("resnet18"), (1, 3, 64, 64)).size == size == 435


@pytest.mark.parametrize(
    ("name", "size"),
    # Araujo, Norris & Sim (Distill 2019), table in the section on architectures
    [("alexnet", 195), ("vgg16", 212), ("mobilenet_v1", 315)],
)
def test_as_published(name, size):
    with torch.device("meta"):
        model = build(name)
    assert last(model, (1, 3, 224, 224)).size == size


SMALLEST = {entry.paper: entry for entry in sorted(CATALOGUE, key=lambda entry: -entry.multiply_adds)}


@pytest.mark.parametrize("entry", SMALLEST.values(), ids=lambda entry: entry.name)
def test_the_smallest_network_of_every_paper_has_an_answer(entry):
    with torch.device("meta"):
        model = build(entry.name)
    field = receptive_field(model, (1, entry.in_channels, entry.side, entry.side), ignore_gates=True)
    assert len(field) or entry.name == "mlp"


def smooth(model):
    """Make every path count: positive weights that cannot cancel, means instead of maxima, no zeros."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, mean)
            elif isinstance(child, (nn.ReLU, nn.ReLU6)):
                setattr(module, name, nn.Softplus())
    for parameter in model.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        parameter.data.uniform_(0.5 / fan_in, 1.5 / fan_in)
    return model.double().eval()


def gradient_box(model, layer, images, unit):
    pixels = images.clone().requires_grad_(True)
    with captured(model, layer) as kept:
        model(pixels)
    (gradient,) = torch.autograd.grad(kept[layer][:, :, unit, unit].sum(), pixels)
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows[0]), int(rows[-1])


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(("resnet20", 48), ("mobilenet_v2", 64), ("squeezenet1_0", 64), ("densenet40_12", 32)),
        *(("shufflenet_v2_x0_5", 64), ("googlenet2014", 64), ("convnext_tiny", 64)),
    ],
)
def test_where_gradients_arrive(name, side):
    torch.manual_seed(0)
    model = smooth(build(name, num_classes=2))
    images = 1 + torch.rand(1, 3, side, side, dtype=torch.float64)
    field = receptive_field(model, images.shape)
    rows = [row for row in field if row.size < side]
    chosen = [*rows[:: max(len(rows) // 3, 1)], rows[-1]]
    modules = dict(model.named_modules())
    seen = 0
    for row in chosen:
        if any(modules[row.name].children()):
            continue  # a window by a function inside: its own output is not the module's
        with captured(model, row.name) as kept, torch.no_grad():
            model(images)
        unit = kept[row.name].shape[2] // 2
        first, final = row.box(unit)
        assert gradient_box(model, row.name, images, unit) == (max(first, 0), min(final, side - 1)), row
        seen += 1
    assert seen >= 3


def test_gates_see_everything_unless_they_are_ignored():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool = nn.Conv2d(2, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1)
            self.gate, self.next = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1)
            self.head = nn.Linear(2, 2)

        def forward(self, x):
            x = self.conv(x)
            x = self.next(x * torch.sigmoid(self.gate(self.pool(x))))
            return self.head(x.mean((2, 3)))

    strict = receptive_field(Gated(), (1, 2, 8, 8))
    assert ([row.name for row in strict], strict.sees_everything_from) == (["conv"], "pool")
    lenient = receptive_field(Gated(), (1, 2, 8, 8), ignore_gates=True)
    assert [(row.name, row.size) for row in lenient] == [("conv", 3), ("next", 5)]
    assert lenient.sees_everything_from == "Gated"


@pytest.mark.parametrize(
    ("layer", "end"),
    [
        *((nn.Flatten(), "1"), (nn.AdaptiveMaxPool2d(1), "1"), (nn.GroupNorm(1, 2), "1")),
        *((nn.LayerNorm([2, 8, 8]), "1"), (nn.Softmax(dim=3), "1"), (nn.Linear(8, 3), "1")),
        *((nn.Softmax(dim=1), None), (nn.LocalResponseNorm(2), None)),
        *((nn.ChannelShuffle(2), None), (nn.ReflectionPad2d(1), None), (nn.Hardswish(), None)),
    ],
)
def test_what_reads_the_whole_map_and_what_does_not(layer, end):
    field = receptive_field(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), layer), (2, 2, 8, 8))
    assert (len(field), field.sees_everything_from) == (1, end)


def test_adaptive_pooling_is_a_window_where_it_divides():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AdaptiveAvgPool2d(4))
    assert [(row.size, row.jump) for row in receptive_field(model, (1, 1, 12, 12))] == [(3, 1), (5, 3)]
    assert len(receptive_field(model, (1, 1, 4, 4))) == 1  # it changes nothing
    with pytest.raises(ValueError, match="adaptive pooling from 10 to 4 has windows of different sizes"):
        receptive_field(model, (1, 1, 10, 10))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([nn.Conv2d(1, 1, (3, 5))], r"in 0 \(Conv2d\): windows must be square, got kernel_size=\(3, 5\)"),
        ([nn.ConvTranspose2d(1, 1, 3)], "a transposed convolution has no window on its input"),
        ([nn.Upsample(scale_factor=2)], "it is not known which places this operation reads"),
        ([nn.PixelShuffle(2)], "cannot follow pixel_shuffle in 0 .* it is not known which places"),
        (
            [nn.ZeroPad2d((0, 0, 1, 0)), nn.Conv2d(1, 1, 3)],
            "fields must be square, but a unit of 1 sees 3 rows from -1",
        ),
    ],
)
def test_clear_refusals(layers, words):
    channels = 4 if isinstance(layers[0], nn.PixelShuffle) else 1
    model = nn.Sequential(*layers)
    with pytest.raises(ValueError, match=words):
        receptive_field(model, (1, channels, 8, 8))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_maps_of_different_density_do_not_meet():
    class Broadcast(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 8, stride=8)

        def forward(self, x):
            return x + self.conv(x)

    with pytest.raises(ValueError, match="neighbouring units are 1 and 8 pixels apart"):
        receptive_field(Broadcast(), (1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"of images \(N, C, H, W\), got input_shape=\(1, 8\)"):
        receptive_field(nn.Linear(8, 1), (1, 8))


def test_a_torchvision_network_by_hand():
    # MobileNetV3-Small (its paper's table 2): 3, and 3 x 3 at strides 2, 2, 2, 1, then 5 x 5 at 2, four times 1,
    # 2, and twice 1: what each adds is (kernel - 1) times the pixels between the units it reads
    size = 3 + 2 * 2 + 2 * 4 + 2 * 8 + 4 * 8 + 4 * (4 * 16) + 4 * 16 + 2 * (4 * 32)
    model = torchvision.models.mobilenet_v3_small(weights=None)
    assert last(model, (1, 3, 64, 64), ignore_gates=True).size == size == 639


@pytest.mark.parametrize(
    "name", ["densenet121", "resnext50_32x4d", "shufflenet_v2_x1_0", "googlenet", "squeezenet1_1"]
)
def test_as_torchvisions_network_of_the_same_name(name):
    options = {"init_weights": False} if name == "googlenet" else {}
    theirs = getattr(torchvision.models, name)(weights=None, **options)
    with torch.device("meta"):
        ours = build(name)
    fields = [receptive_field(model, (1, 3, 64, 64)) for model in (ours, theirs)]
    ours_rows, theirs_rows = ([(row.name, row.size, row.jump, row.centre) for row in one] for one in fields)
    assert ours_rows == theirs_rows


@pytest.mark.parametrize(
    ("name", "words"), [("vit_b_32", "along their rows or columns"), ("swin_t", "rows are split")]
)
def test_torchvision_transformers_are_refused(name, words):
    with pytest.raises(ValueError, match=f"receptive_field cannot follow .*{words}"):
        receptive_field(getattr(torchvision.models, name)(weights=None), (1, 3, 224, 224))


def test_the_network_is_left_as_it_was():
    model = Branches().train()
    model.three.eval()
    modes = [module.training for module in model.modules()]
    receptive_field(model, (1, 2, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
