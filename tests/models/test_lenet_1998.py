import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import LeNet5Of1998
from cnncourse.models.lenet_1998 import BITMAPS, TABLE_I, character_codes, map_loss, scaled_tanh


def test_shapes_and_parameters_are_those_of_section_ii_b():
    rows = {row.name: row for row in shape_trace(LeNet5Of1998(), (7, 1, 32, 32))}
    printed = {
        "c1": ((6, 28, 28), 156),
        "s2": ((6, 14, 14), 12),
        "c3": ((16, 10, 10), 1516),
        "s4": ((16, 5, 5), 32),
        "c5": ((120, 1, 1), 48_120),
        "f6": ((84,), 10_164),
        "output": ((10,), 0),
    }
    assert {name: (tuple(rows[name].shape[1:]), rows[name].parameters) for name in printed} == printed
    assert count_parameters(LeNet5Of1998()) == 60_000


def test_connections_are_those_of_section_ii_b():
    connections = LeNet5Of1998().connections()
    printed = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164}
    assert connections == {**printed, "output": 840}
    assert sum(connections.values()) == 340_908


def test_table_i():
    # the first six maps see three neighbours, the next six see four, three see four that are not neighbours, one all
    ring = [{start, (start + 1) % 6, (start + 2) % 6} for start in range(6)]
    assert [set(seen) for seen in TABLE_I[:6]] == ring
    assert [set(seen) for seen in TABLE_I[6:12]] == [seen | {(max_of(seen) + 1) % 6} for seen in ring]
    apart = [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}]
    assert [set(seen) for seen in TABLE_I[12:15]] == apart
    assert set(TABLE_I[15]) == set(range(6))
    assert len(set(TABLE_I)) == 16


def max_of(seen):
    """Return the last of three neighbours on the ring of six."""
    return next(place for place in seen if (place + 1) % 6 not in seen)


def test_c3_is_sixteen_small_convolutions():
    torch.manual_seed(0)
    layer = LeNet5Of1998().c3.double()
    x = torch.randn(2, 6, 14, 14, dtype=torch.float64, requires_grad=True)
    start, maps = 0, []
    for given, seen in enumerate(TABLE_I):
        weight = layer.weight[start : start + len(seen)][None]
        maps.append(nn.functional.conv2d(x[:, list(seen)], weight, layer.bias[given : given + 1]))
        start += len(seen)
    expected = torch.cat(maps, dim=1)
    assert_close(layer(x), expected)
    weights = torch.randn_like(expected)
    wanted = (x, layer.weight, layer.bias)
    for mine, theirs in zip(
        torch.autograd.grad((layer(x) * weights).sum(), wanted),
        torch.autograd.grad((expected * weights).sum(), wanted),
        strict=True,
    ):
        assert_close(mine, theirs)


def test_sub_sampling_by_hand():
    layer = LeNet5Of1998().s2
    with torch.no_grad():
        layer.coefficient.copy_(torch.arange(6.0))
        layer.bias.copy_(10 * torch.arange(6.0))
    maps = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).expand(1, 6, 2, 2)  # sum 5
    assert layer(maps).flatten().tolist() == [15.0 * index for index in range(6)]


def test_squashing_by_hand():
    # appendix A: the constants make f(1) = 1, f(-1) = -1, and the slope at 0 is 1.1439
    x = torch.tensor([1.0, -1.0, 0.0, 100.0], requires_grad=True)
    y = scaled_tanh(x)
    assert_close(y.detach(), torch.tensor([1.0, -1.0, 0.0, 1.7159]), atol=1e-4, rtol=0)
    y.sum().backward()
    assert x.grad[2].item() == pytest.approx(1.7159 * 2 / 3)


def test_starting_values_are_those_of_appendix_a():
    torch.manual_seed(0)
    model = LeNet5Of1998()
    inputs = {"c1": 25, "s2": 4, "s4": 4, "c5": 400, "f6": 120}
    for name, count in inputs.items():
        values = torch.cat([parameter.flatten() for parameter in getattr(model, name).parameters()])
        assert 0.5 * 2.4 / count < values.abs().max() <= 2.4 / count
    starts = torch.tensor([len(seen) for seen in TABLE_I]).cumsum(0)
    for weights, seen in zip(model.c3.weight.tensor_split(starts[:-1]), TABLE_I, strict=True):
        assert 0.9 * 2.4 / (25 * len(seen)) < weights.abs().max() <= 2.4 / (25 * len(seen))


def test_output_is_the_distance_to_drawn_characters():
    codes = torch.tensor(character_codes(10))
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    # a character differs from each other one in several pixels, and the drawing in the file is what is read
    assert torch.cdist(codes, codes, p=1).fill_diagonal_(100).min() >= 2 * 8
    top = "".join("#" if pixel > 0 else "." for pixel in codes[7, :7].tolist())
    assert top == "#######" == BITMAPS[1].split()[2]
    output = LeNet5Of1998().output
    assert output(codes).argmin(dim=1).tolist() == list(range(10))
    flipped = codes[3].clone()
    flipped[:5] *= -1  # five pixels from +-1 to -+1: each 2 apart, 4 squared
    assert output(flipped[None])[0, 3].item() == 20
    assert not output.state_dict()  # not trained, not stored


def test_more_classes_than_digits_get_their_own_codes():
    codes = character_codes(12)
    assert codes[:10] == character_codes(10)
    assert codes == character_codes(12)
    assert len({tuple(code) for code in codes}) == 12
    assert character_codes(3) == codes[:3]


def test_loss_of_equation_9():
    # distances 1 and 3, target the first, j = 2: 1 + log(e^-2 + e^-1 + e^-3)
    logits = torch.tensor([[-1.0, -3.0]])
    e = torch.exp(torch.tensor([-2.0, -1.0, -3.0])).sum().log()
    assert_close(map_loss(logits, torch.tensor([0]), 2.0), 1 + e)
    far = map_loss(logits, torch.tensor([0]), 1e6)
    assert_close(far, nn.functional.cross_entropy(logits, torch.tensor([0])))
    with pytest.raises(ValueError, match="must be above 0, got rubbish=0"):
        map_loss(logits, torch.tensor([0]), 0)


def test_it_learns():
    torch.manual_seed(0)
    model = LeNet5Of1998()
    images, targets = torch.randn(20, 1, 32, 32), torch.arange(20) % 10
    optimiser = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
    for _ in range(80):
        optimiser.zero_grad()
        map_loss(model(images), targets, 50.0).backward()
        optimiser.step()
    assert (model(images).argmax(1) == targets).all()


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (1, 3, 32, 32), (2, 1, 64, 64)])
def test_wrong_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"LeNet-5 of 1998 takes .*\(N, 1, 32, 32\), got .*pad 28 x 28"):
        LeNet5Of1998()(torch.zeros(shape))
