import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import CifarDenseNet, DenseNet, find
from cnncourse.models.densenet import TABLE_1, TABLE_2, DenseLayer, from_torchvision_file


def on_meta(builder, *arguments, **options):
    with torch.device("meta"):
        return builder(*arguments, **options)


def shapes(model, side):
    rows = shape_trace(model, (1, 3, side, side))
    return {row.name.removeprefix("features."): row.shape[1:] for row in rows}


@pytest.mark.parametrize(("depth", "layers"), [(121, (6, 12, 24, 16)), (201, (6, 12, 48, 32))])
def test_shapes_are_those_of_table_1(depth, layers):
    traced = shapes(on_meta(DenseNet, depth), 224)
    assert traced["conv0"] == (64, 112, 112)
    assert traced["pool0"] == (64, 56, 56)
    channels = 64
    for block, (count, side) in enumerate(zip(layers, (56, 28, 14, 7), strict=True), 1):
        assert traced[f"denseblock{block}.denselayer{count}.conv1"] == (128, side, side)
        assert traced[f"denseblock{block}.denselayer{count}.conv2"] == (32, side, side)
        assert f"denseblock{block}.denselayer{count + 1}.conv2" not in traced
        channels += 32 * count
        if block < 4:
            channels //= 2
            assert traced[f"transition{block}.conv"] == (channels, side, side)
            assert traced[f"transition{block}.pool"] == (channels, side // 2, side // 2)
    assert traced["norm5"] == (channels, 7, 7)
    assert traced["avgpool"] == (channels, 1, 1)


def test_shapes_are_those_beside_the_forward_pass():
    traced = shapes(on_meta(CifarDenseNet, 100, 12), 32)
    assert traced["conv0"] == (24, 32, 32)
    assert traced["transition1.norm"] == (216, 32, 32)
    assert traced["transition1.pool"] == (108, 16, 16)
    assert traced["transition2.norm"] == (300, 16, 16)
    assert traced["transition2.pool"] == (150, 8, 8)
    assert traced["norm4"] == (342, 8, 8)
    # Without bottlenecks a transition keeps all channels.
    plain = shapes(on_meta(CifarDenseNet, 40, 12, bottleneck=False), 32)
    assert plain["conv0"] == (16, 32, 32)
    assert plain["transition1.pool"] == (160, 16, 16)
    assert plain["transition2.pool"] == (304, 8, 8)
    assert plain["norm4"] == (448, 8, 8)


@pytest.mark.parametrize("row", TABLE_2, ids=str)
def test_table_2_prints_the_millions_that_the_networks_have(row):
    depth, growth, bottleneck, millions, _error = row
    model = on_meta(CifarDenseNet, depth, growth, bottleneck=bottleneck)
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.05)


def test_depth_is_the_number_of_layers_with_weights():
    networks = {depth: on_meta(DenseNet, depth) for depth in TABLE_1}
    networks |= {L: on_meta(CifarDenseNet, L, k, bottleneck=bc) for L, k, bc, *_rest in TABLE_2}
    for depth, model in networks.items():
        layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules())
        assert layers == (265 if depth == 264 else depth)  # 2 (6 + 12 + 64 + 48) + 5; the paper says 264


def test_every_layer_reads_all_maps_before_it():
    # Huang et al. (2017), equation 2: layer l reads the block's input and l - 1 outputs, in their order.
    torch.manual_seed(0)
    block = CifarDenseNet(22, 5).features.denseblock1.eval()
    x = torch.randn(2, 10, 4, 4)
    maps = [x]
    for layer in block.values():
        assert layer.norm1.num_features == 10 + 5 * (len(maps) - 1)
        y = layer.conv1(layer.norm1(torch.cat(maps, 1)).relu())
        maps.append(layer.conv2(layer.norm2(y).relu()))
    torch.testing.assert_close(block(x), torch.cat(maps, 1))


def test_dropout_follows_every_convolution_but_the_first():
    model = CifarDenseNet(16, 4, drop_prob=0.2)
    drops = [name for name, m in model.named_modules() if isinstance(m, nn.Dropout)]
    layers = [f"features.denseblock{b}.denselayer{n}.drop" for b in (1, 2, 3) for n in (1, 2)]
    assert set(drops) == {*layers, "features.transition1.drop", "features.transition2.drop"}
    torch.manual_seed(0)
    layer, seen = DenseLayer(8, 16, bottleneck=True, drop_prob=0.2).train(), []
    layer.norm2.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    out = layer([torch.randn(32, 8, 8, 8)])
    for dropped in (seen[0], out):
        assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert not any(isinstance(m, nn.Dropout) for m in CifarDenseNet(16, 4).modules())


def test_translates_the_names_of_torchvisions_files():
    ours = on_meta(DenseNet, 121).state_dict()
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("conv1.", "conv.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv2.", "conv.2.")
        if "denselayer" in key
        else key: tensor
        for key, tensor in ours.items()
    }
    assert "features.denseblock4.denselayer16.norm.2.running_mean" in old
    assert from_torchvision_file(old).keys() == ours.keys()
    assert from_torchvision_file(ours).keys() == ours.keys()
    assert find("densenet169").translate is from_torchvision_file


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"one of \[121, 161, 169, 201, 264\] \(table 1\), got depth=100"):
        DenseNet(100)
    with pytest.raises(ValueError, match=r"6n \+ 4 .*depth=120; the nearest depths are 118 and 124"):
        CifarDenseNet(120)
    with pytest.raises(ValueError, match=r"3n \+ 4 .*depth=41; the nearest depths are 40 and 43"):
        CifarDenseNet(41, bottleneck=False)
    with pytest.raises(ValueError, match="growth=0; the paper has 12, 24 and 40"):
        CifarDenseNet(40, 0)
    with pytest.raises(ValueError, match=r"drop_prob must lie in \[0, 1\), got drop_prob=1"):
        DenseNet(121, drop_prob=1)
    with pytest.raises(ValueError, match=r"DenseNet-121 takes .* at least 32, got \(1, 3, 31, 32\)"):
        on_meta(DenseNet, 121)(torch.empty(1, 3, 31, 32, device="meta"))
    with pytest.raises(ValueError, match=r"DenseNet-BC \(16, 4\) takes .* at least 4, got \(1, 3, 4, 3\)"):
        CifarDenseNet(16, 4)(torch.zeros(1, 3, 4, 3))
