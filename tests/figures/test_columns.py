import pytest
import torch
from matplotlib.patches import Arc, FancyBboxPatch
from torch import nn

from cnncourse import figures
from cnncourse.models import VGG, CifarResNet, ResNet, build


@pytest.fixture(scope="module")
def pair():
    with torch.device("meta"):
        networks = {"VGG-19": VGG("E"), "ResNet-34": ResNet(34)}
        return {name: figures.column(model, (1, 3, 224, 224)) for name, model in networks.items()}


def test_boxes_are_the_layers_of_the_papers_figure(pair):
    vgg, resnet = pair.values()
    assert [box.text for box in vgg.boxes] == [
        *["3×3, 64"] * 2, "max pool, /2", *["3×3, 128"] * 2, "max pool, /2", *["3×3, 256"] * 4, "max pool, /2",
        *["3×3, 512"] * 4, "max pool, /2", *["3×3, 512"] * 4, "max pool, /2", "fc 4096", "fc 4096", "fc 1000",
    ]  # fmt: skip
    assert [box.text for box in resnet.boxes] == [
        "7×7, 64, /2", "max pool, /2", *["3×3, 64"] * 6, "3×3, 128, /2", *["3×3, 128"] * 7, "3×3, 256, /2",
        *["3×3, 256"] * 11, "3×3, 512, /2", *["3×3, 512"] * 5, "mean", "fc 1000",
    ]  # fmt: skip
    assert [box.side for box in vgg.boxes if box.weights] == [224] * 2 + [112] * 2 + [56] * 4 + [28] * 4 + [
        14
    ] * 4 + [0] * 3


def test_shortcuts_go_around_two_layers_each(pair):
    shortcuts = pair["ResNet-34"].shortcuts
    assert shortcuts[:4] == ((2, 3, False), (4, 5, False), (6, 7, False), (8, 9, True))
    assert [last - first for first, last, _changes in shortcuts] == [1] * 16
    assert [number for number, (_f, _l, changes) in enumerate(shortcuts) if changes] == [3, 7, 13]
    assert not pair["VGG-19"].shortcuts


def test_the_drawing_has_a_box_a_layer_and_an_arc_a_shortcut(pair):
    ax = figures.columns(pair)
    assert sum(isinstance(patch, FancyBboxPatch) for patch in ax.patches) == 24 + 36
    arcs = [patch for patch in ax.patches if isinstance(patch, Arc)]
    assert len(arcs) == 16
    assert sum(arc.get_linestyle() in ("--", "dashed") for arc in arcs) == 3
    written = {text.get_text() for text in ax.texts}
    assert {"VGG-19", "ResNet-34", "224²", "7²", "fc 4096"} <= written


def test_maps_of_one_side_stand_at_one_height(pair):
    ax = figures.columns(pair)
    heights = {}
    for text in ax.texts:
        heights.setdefault(text.get_text(), []).append(text.get_position()[1])
    assert len(heights["max pool, /2"]) == 6  # five of VGG, one of ResNet, beside VGG's third
    assert sorted(heights["max pool, /2"]).count(sorted(heights["max pool, /2"])[1]) == 2


def test_it_fits_a_phone(pair):
    assert figures.columns(pair).figure.get_size_inches()[0] <= 3.75


def test_plain_and_residual_twins_differ_in_their_shortcuts():
    plain, residual = (
        figures.column(CifarResNet(20, residual=kind), (1, 3, 32, 32)) for kind in (False, True)
    )
    assert plain.boxes == residual.boxes
    assert not plain.shortcuts
    assert len(residual.shortcuts) == 9
    assert [changes for *_place, changes in residual.shortcuts].count(
        True
    ) == 2  # padding changes the shape too


def test_preactivation_blocks_without_a_shortcut_layer():
    found = figures.column(build("preact_resnet110"), (1, 3, 32, 32))
    assert len(found.shortcuts) == 54
    assert sum(changes for *_place, changes in found.shortcuts) == 2


def test_the_alt_text_counts(pair):
    alt = figures.columns_alt(pair)
    assert "VGG-19: 19 layers with weights (2 on maps of 224 by 224, 2 on maps of 112 by 112" in alt
    assert "ResNet-34: 34 layers with weights" in alt
    assert "16 shortcuts, 3 of which change the shape" in alt
    assert " 0 on maps" not in alt


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one network"):
        figures.columns({})
    with pytest.raises(ValueError, match="Sequential has no convolution"):
        figures.column(nn.Sequential(nn.ReLU()), (1, 3, 8, 8))
