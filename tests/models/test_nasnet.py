import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.layers import StochasticDepth
from cnncourse.models import Cell, Genotype, NASNet, build, built_as
from cnncourse.models.nas_cells import OPERATIONS, FactorisedReduction, NasCell
from cnncourse.models.nasnet import NASNET_A

SMALL = Genotype(Cell(((0, "conv 1x1", 1, "avg 3x3"),)), Cell(((0, "max 3x3", 1, "conv 1x1"),)))


def on_meta(**options):
    with torch.device("meta"):
        return NASNet(**options)


def outputs(model, side):
    """Return the shape behind the stem and behind each cell, batch left out."""
    shapes = []
    for module in (model.stem, *model.cells):
        module.register_forward_hook(lambda _m, _inputs, output: shapes.append(tuple(output.shape[1:])))
    model.eval()(torch.empty(2, 3, side, side, device="meta"))
    return shapes


def test_shapes_for_small_images():
    # Zoph et al. (2018), figure 2, left: N normal cells, reduction, N, reduction, N; (6 @ 768) ends with 768
    shapes = outputs(on_meta(), 32)
    assert shapes[0] == (96, 32, 32)
    assert shapes[1:7] == [(192, 32, 32)] * 6
    assert shapes[7:14] == [(256, 16, 16)] + [(384, 16, 16)] * 6
    assert shapes[14:] == [(512, 8, 8)] + [(768, 8, 8)] * 6


def test_shapes_for_photographs():
    # Figure 2, right: a convolution with stride 2 and two reduction cells in front; (4 @ 1056) ends with 1056
    model = on_meta(num_classes=1000, repeats=4, filters=44, small_stem=False)
    shapes = outputs(model, 224)
    assert shapes[:3] == [(32, 111, 111), (44, 56, 56), (88, 28, 28)]
    assert shapes[3:7] == [(264, 28, 28)] * 4
    assert shapes[7:12] == [(352, 14, 14)] + [(528, 14, 14)] * 4
    assert shapes[12:] == [(704, 7, 7)] + [(1056, 7, 7)] * 4
    assert model.fc.in_features == 1056


def test_the_mobile_network_has_as_many_weights_as_the_authors():
    # 5,289,978 trainable parameters, as Keras and the ports of the authors' weights count them
    assert count_parameters(on_meta(num_classes=1000, repeats=4, filters=44, small_stem=False)) == 5_289_978


def test_counts_of_a_small_network_by_hand():
    # stem 3 x 3 from 3 to 12 channels, one cell of 4 filters a group, two states joined by no one but the block's sum
    model = NASNet(5, genotype=SMALL, repeats=1, filters=4)
    stem = 9 * 3 * 12 + 24
    first = (
        (12 * 4 + 8) + (4 * 4 + 8) + (12 * 4 + 8)
    )  # state 0; 1 x 1 on it; mean pooling of 12 channels, projected
    reduce = (4 * 8 + 16) + (12 * 8 + 16) + (8 * 8 + 16)  # both states to 8 filters; 1 x 1 with stride
    normal = (8 * 8 + 16) + (4 * 8 + 16) + (8 * 8 + 16)  # state 1 through a factorised reduction
    shrink = (8 * 16 + 32) + (8 * 16 + 32) + (16 * 16 + 32)
    last = (16 * 16 + 32) + (8 * 16 + 32) + (16 * 16 + 32)
    assert count_parameters(model) == stem + first + reduce + normal + shrink + last + 16 * 5 + 5


def test_a_cell_computes_its_graph():
    torch.manual_seed(0)
    cell = Cell(
        ((0, "conv 3x3", 1, "identity"), (2, "max 3x3", 1, "sep 3x3"), (0, "avg 3x3", 2, "identity")),
        (1, 3, 4),
    )
    layer = NasCell(cell, 6, 4, 4, stride=1, shrink=False, drop_prob=0.0).eval()
    x, before = torch.randn(2, 6, 7, 5), torch.randn(2, 4, 7, 5)
    kept = x.clone(), before.clone()
    h0, h1 = layer.adapt(x), before  # as many channels as filters: nothing to adapt
    h2 = layer.left[0](h0) + h1
    h3 = nn.functional.max_pool2d(h2, 3, 1, 1) + layer.right[1](h1)
    h4 = nn.functional.avg_pool2d(h0, 3, 1, 1, count_include_pad=False) + h2
    torch.testing.assert_close(layer(x, before), torch.cat([h1, h3, h4], 1))
    assert torch.equal(x, kept[0])
    assert torch.equal(before, kept[1])


def test_operations_run_behind_a_relu_and_separable_ones_twice():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6)
    for name in ("conv 1x1", "conv 3x3", "conv 1x3 3x1", "conv 1x7 7x1", "dilated 3x3", "sep 5x5"):
        layer = OPERATIONS[name](4, 4, 1).eval()
        assert torch.equal(layer(x), layer(x.relu()))
        assert not torch.equal(layer(x), layer(-x))
    separable = OPERATIONS["sep 3x3"](4, 6, 2)
    assert [type(m).__name__ for m in separable] == ["ReLU", "Conv2d", "Conv2d", "BatchNorm2d"] * 2
    assert [m.groups for m in separable if isinstance(m, nn.Conv2d)] == [4, 1, 6, 1]


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize(("channels", "stride"), [((4, 4), 1), ((4, 4), 2), ((4, 6), 1), ((6, 4), 2)])
def test_every_operation_halves_sides_rounding_up(name, channels, stride):
    x = torch.randn(2, channels[0], 7, 4)
    shape = (2, channels[1], -(-7 // stride), -(-4 // stride))
    assert OPERATIONS[name](*channels, stride)(x).shape == shape


def test_factorised_reduction_reads_even_and_odd_pixels():
    layer = FactorisedReduction(1, 3).eval()
    for conv in (layer.even, layer.odd):
        nn.init.ones_(conv.weight)
    nn.init.constant_(layer.norm.running_var, 1 - layer.norm.eps)
    x = torch.arange(12.0).view(1, 1, 3, 4)
    even, odd = [[0.0, 2], [8, 10]], [[5.0, 7], [0, 0]]  # below the last row there are zeros
    torch.testing.assert_close(layer(x)[0], torch.tensor([even, odd, odd]))


cells = st.integers(1, 4).flatmap(
    lambda blocks: st.tuples(
        *(
            st.tuples(
                st.integers(0, number + 1),
                st.sampled_from(list(OPERATIONS)),
                st.integers(0, number + 1),
                st.sampled_from(list(OPERATIONS)),
            )
            for number in range(blocks)
        )
    )
)


@settings(max_examples=15, deadline=None)
@given(normal=cells, reduction=cells, small_stem=st.booleans())
def test_any_cells_make_a_network_that_learns(normal, reduction, small_stem):
    torch.manual_seed(0)
    genotype = Genotype(Cell(normal), Cell(reduction))
    filters = 4 if small_stem else 8
    model = NASNet(3, 2, genotype=genotype, repeats=1, filters=filters, small_stem=small_stem).train()
    assert model.fc.in_features == 4 * filters * len(genotype.normal.outputs)
    side = 9 if small_stem else 33
    logits = model(torch.randn(2, 2, side, side + 2))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_states_that_no_block_reads_are_joined():
    cell = Cell(((0, "identity", 0, "max 3x3"), (2, "identity", 0, "avg 3x3"), (0, "sep 3x3", 0, "sep 3x3")))
    assert cell.outputs == (1, 3, 4)
    assert NASNET_A.normal.outputs == (1, 2, 3, 4, 5, 6)
    # NASNet-A joins one state more in each cell than its blocks leave unread.
    assert Cell(NASNET_A.normal.blocks).outputs == (2, 3, 4, 5, 6)
    assert NASNET_A.reduction.outputs == (3, *Cell(NASNET_A.reduction.blocks).outputs)


def test_paths_are_left_out_but_identities_stay():
    torch.manual_seed(0)
    cell = Cell(((0, "conv 1x1", 1, "identity"),), (2,))
    layer = NasCell(cell, 4, 4, 4, stride=1, shrink=False, drop_prob=0.5).train()
    x, before = torch.randn(64, 4, 3, 3), torch.randn(64, 4, 3, 3)
    left_out = (layer(x, before) == before).flatten(1).all(1)
    assert 16 < left_out.sum() < 48
    model = build("nasnet_a_cifar", depth_drop_prob=0.4)
    drops = [m.drop_prob for m in model.modules() if isinstance(m, StochasticDepth)]
    assert drops == pytest.approx([0.02 * cell for cell in range(1, 21)])


def test_cells_survive_a_file():
    written = json.loads(json.dumps(NASNET_A.to_dict()))
    assert written["normal"]["blocks"][0] == [0, "sep 5x5", 1, "sep 3x3"]
    assert Genotype.from_dict(written) == NASNET_A
    assert Genotype.from_dict(
        {"normal": {"blocks": [[0, "identity", 1, "avg 3x3"]]}, "reduction": written["reduction"]}
    ).normal == Cell(((0, "identity", 1, "avg 3x3"),))
    model = build("nasnet_a_cifar", 3, genotype=SMALL.to_dict(), repeats=1, filters=4)
    assert model.genotype == SMALL
    assert built_as(model)["options"]["genotype"] == SMALL.to_dict()
    with pytest.raises(ValueError, match=r"cells normal and reduction, each with its blocks, got .*'normal'"):
        Genotype.from_dict({"normal": {"blocks": []}})


def test_shape_trace_counts_every_parameter():
    model = NASNet(genotype=SMALL, repeats=2, filters=4)
    trace = shape_trace(model, (1, 3, 16, 16))
    assert trace.parameters == count_parameters(model)


def test_copies_and_wrong_settings():
    assert copy.deepcopy(NASNET_A) == NASNET_A
    for options, words in [
        ({"repeats": 0}, "repeats=0, filters=32"),
        ({"filters": 4, "small_stem": False}, "filters at least 8 .*filters=4"),
        ({"drop_prob": 1.0}, r"drop_prob=1\.0"),
        ({"depth_drop_prob": -0.1}, r"depth_drop_prob=-0\.1"),
    ]:
        with pytest.raises(ValueError, match=words):
            NASNet(**options)
    with pytest.raises(ValueError, match=r"NASNet takes .* at least 4, got \(1, 3, 3, 4\)"):
        NASNet(genotype=SMALL, repeats=1)(torch.zeros(1, 3, 3, 4))
    for blocks, joined, words in [
        ((), (), "at least one block"),
        (((0, "identity", 2, "identity"),), (), "block 0 may read states 0 to 1, .*got 0 and 2"),
        (((0, "identity", 1, "conv 9x9"),), (), "operations must be among .*got 'identity' and 'conv 9x9'"),
        (((0, "identity", 1, "identity"),), (3,), r"states from 0 to 2 in growing order, got \(3,\)"),
        (((0, "identity", 1, "identity"),), (2, 1), r"growing order, got \(2, 1\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            Cell(blocks, joined)
