import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import GoogLeNet, build, find, load_weights

# Szegedy et al. (2015), table 1: side and channels of the output, thousands of parameters, millions of operations.
TABLE_1 = {
    "maxpool1": (56, 64, None, None),
    "conv3": (56, 192, 112, 360),
    "maxpool2": (28, 192, None, None),
    "inception3a": (28, 256, 159, 128),
    "inception3b": (28, 480, 380, 304),
    "maxpool3": (14, 480, None, None),
    "inception4a": (14, 512, 364, 73),
    "inception4b": (14, 512, 437, 88),
    "inception4c": (14, 512, 463, 100),
    "inception4d": (14, 528, 580, 119),
    "inception4e": (14, 832, 840, 170),
    "maxpool4": (7, 832, None, None),
    "inception5a": (7, 832, 1072, 54),
    "inception5b": (7, 1024, 1388, 71),
    "avgpool": (1, 1024, None, None),
}


def on_meta(**options):
    with torch.device("meta"):
        return GoogLeNet(**options)


def test_every_row_of_table_1():
    model = on_meta()
    rows = list(shape_trace(model, (1, 3, 224, 224)))
    assert next(row.shape for row in rows if row.name == "conv1.conv") == (1, 64, 112, 112)
    off = {}
    for name, (side, channels, thousands, millions) in TABLE_1.items():
        inside = [row for row in rows if row.name == name or row.name.startswith(f"{name}.")]
        if name.startswith("inception"):
            inside = [row for row in inside if row.kind == "Conv2d"]
            ends = ("branch1.conv", "branch2.1.conv", "branch3.1.conv", "branch4.1.conv")
            assert sum(row.shape[1] for row in inside if row.name.endswith(ends)) == channels
        else:
            assert inside[-1].shape[1] == channels
        assert {row.shape[2] for row in inside} == {side}
        if thousands:
            layers = [model.get_submodule(name)] + ([model.conv2] if name == "conv3" else [])
            weights = sum(p.numel() for layer in layers for p in layer.parameters() if p.ndim > 1)
            off[name] = weights / 1024 / thousands - 1  # the first rows show that a K is 1,024
            work = weights * side**2 / 1e6
            assert work == pytest.approx(millions, abs=3 if name == "inception5a" else 1)
    # What the class says of the paper: the operations follow from the widths, the parameters do from 4a on not.
    assert all(abs(off[name]) < 0.005 for name in ("conv3", "inception3a", "inception3b"))
    assert 0.065 < max(map(abs, off.values())) < 0.075
    assert TABLE_1["inception5a"][3] == 54
    assert 832 * 256 * 49 < 54e6  # the row that is off by 3 million is not a matter of rounding


def test_the_first_row_is_a_separable_convolution():
    full, separable = on_meta(), on_meta(separable=True)
    counts = [sum(p.numel() for p in model.conv1.parameters() if p.ndim > 1) for model in (full, separable)]
    assert counts == [9408, 7 * 7 * 3 * 8 + 24 * 64]
    assert counts[1] == pytest.approx(2.7e3, abs=50)
    assert counts[1] * 112**2 == pytest.approx(34e6, abs=0.5e6)


def test_a_ninth_of_alexnet_not_a_twelfth():
    assert find("alexnet2012").parameters / count_parameters(on_meta()) == pytest.approx(8.71, abs=0.01)


def test_heads_read_what_section_5_says():
    rows = {row.name: row for row in shape_trace(WithHeads(on_meta(aux_logits=True)), (2, 3, 224, 224))}
    for head, channels in (("aux1", 512), ("aux2", 528)):
        assert rows[f"model.{head}.conv.conv"].shape == (2, 128, 4, 4)
        assert rows[f"model.{head}.conv.conv"].parameters == channels * 128 + 128
        assert rows[f"model.{head}.fc1"].shape == (2, 1024)
        assert rows[f"model.{head}.fc2"].shape == (2, 1000)
    torch.manual_seed(0)
    head = GoogLeNet(10, aux_logits=True).aux1.eval()
    maps = torch.randn(2, 512, 14, 14)
    pooled = nn.AvgPool2d(5, 3)(maps)
    assert pooled.shape == (2, 512, 4, 4)
    expected = head.fc2(head.fc1(head.conv.conv(pooled).relu().flatten(1)).relu())
    torch.testing.assert_close(head(maps), expected)


class WithHeads(nn.Module):
    """Lets a trace see the heads."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return torch.stack(self.model.forward_with_heads(images))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_training_loss_reaches_every_parameter(batch_norm):
    torch.manual_seed(0)
    model = GoogLeNet(5, 2, batch_norm=batch_norm, aux_logits=True)
    images, targets = torch.randn(3, 2, 64, 64), torch.tensor([0, 3, 4])
    model.eval()
    logits, first, second = model.forward_with_heads(images)
    assert torch.equal(model(images), logits)
    losses = [nn.functional.cross_entropy(part, targets) for part in (logits, first, second)]
    total = model.training_loss(images, targets)
    torch.testing.assert_close(total, losses[0] + 0.3 * losses[1] + 0.3 * losses[2])
    one = model.training_loss(images, targets, lambda logits, _targets: logits.new_ones(()))
    assert one.item() == pytest.approx(1.6)
    model.train().training_loss(images, targets).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("transform_input", [False, True])
def test_torchvisions_with_heads_is_the_same(transform_input):
    from torchvision import models

    torch.manual_seed(0)
    ours = build("googlenet", 5, aux_logits=True, transform_input=transform_input).double()
    theirs = models.googlenet(num_classes=5, transform_input=transform_input, init_weights=False).double()
    assert list(theirs.state_dict()) == list(ours.state_dict())
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, 65, 48, dtype=torch.float64)
    torch.manual_seed(1)  # the dropouts draw the same numbers in the same order
    ours_three = ours.forward_with_heads(images)
    torch.manual_seed(1)
    output = theirs(images)
    theirs_three = (output.logits, output.aux_logits1, output.aux_logits2)
    for part, part_ in zip(ours_three, theirs_three, strict=True):
        assert (part - part_).abs().max() < 1e-9
    for three in (ours_three, theirs_three):
        sum(part.square().sum() for part in three).backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-9 * max(1, other.grad.abs().max())
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        assert (ours.eval()(images) - theirs.eval()(images)).abs().max() < 1e-9


def test_public_files_load_with_and_without_heads(tmp_path):
    torch.manual_seed(0)
    whole = build("googlenet", aux_logits=True)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    assert torch.equal(
        build("googlenet", aux_logits=True, weights=tmp_path / "whole.pth").fc.weight, whole.fc.weight
    )
    bare = build("googlenet", weights=tmp_path / "whole.pth")
    assert not any(key.startswith("aux") for key in bare.state_dict())
    assert torch.equal(bare.inception5b.branch1.conv.weight, whole.inception5b.branch1.conv.weight)
    with pytest.raises(ValueError, match=r"aux1.conv.conv.weight \(128, 512, 1, 1\) is missing"):
        load_weights(on_meta(batch_norm=True, aux_logits=True), bare.state_dict())


def test_inputs_are_turned_into_minus_one_to_one():
    model = build("googlenet", 5)
    assert model.transform_input
    assert not build("googlenet", 5, 1).transform_input
    assert not GoogLeNet(5).transform_input
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = torch.rand(2, 3, 32, 32)
    model.eval()
    plain = build("googlenet", 5, transform_input=False).eval()
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(model((pixels - mean) / std), plain(2 * pixels - 1), rtol=1e-3, atol=1e-5)


def test_heads_average_5_by_5_from_223_to_238_pixels():
    model = on_meta(num_classes=2, aux_logits=True)
    sides = {222: 13, 223: 14, 224: 14, 238: 14, 239: 15}
    for side, last in sides.items():
        assert model._to_4a(torch.empty(1, 3, side, side, device="meta")).shape[2:] == (last, last)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="no auxiliary heads; build it with aux_logits=True"):
        on_meta().training_loss(torch.empty(1, 3, 32, 32, device="meta"), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="separable=True with batch_norm=True"):
        GoogLeNet(separable=True, batch_norm=True)
    with pytest.raises(ValueError, match=r"3 channels, got in_channels=1; leave it out"):
        GoogLeNet(in_channels=1, transform_input=True)
    with pytest.raises(ValueError, match=r"\[0, 1\), got drop_prob=-1"):
        GoogLeNet(drop_prob=-1)
