"""The chart of networks: what is drawn, from which source, and that names can be read."""

import dataclasses

import numpy as np
import pytest
from matplotlib.text import Annotation

from cnncourse.figures import inline_svg, zoo_chart, zoo_chart_alt
from cnncourse.figures.zoo import _dots, _family
from cnncourse.models.zoo import RecordedAccuracy, zoo

ROWS = zoo()


def test_public_weights_come_before_the_papers_figure():
    dots = {dot.name: dot for dot in _dots(ROWS, "imagenet")}
    assert (dots["vgg16"].accuracy, dots["vgg16"].stated) == (71.592, True)  # the paper's is 100 - 27.0
    assert (dots["vgg16_c"].accuracy, dots["vgg16_c"].stated) == (
        71.9,
        False,
    )  # no public weights; 28.1 printed
    assert "resnet20" not in dots
    small = {dot.name: dot for dot in _dots(ROWS, "cifar10")}
    assert small["resnet20"].accuracy == 91.25
    assert not any(dot.stated for dot in small.values())
    assert "resnet50" not in small


def test_families():
    families = {
        "vgg16_bn": "VGG with batch norm",
        "vgg11_lrn": "VGG",
        "resnet18_cifar": "ResNet",
        "resnext50_32x4d": "ResNeXt",
        "wide_resnet50_2": "Wide ResNet",
        "preact_resnet164": "pre-activation ResNet",
        "densenet40_12": "DenseNet",
        "densenet_bc100_12": "DenseNet-BC",
        "mobilenet_v2": "MobileNet",
        "shufflenet_v2_x0_5": "ShuffleNet",
        "efficientnet_lite0": "EfficientNet",
        "nasnet_a_mobile": "NASNet-A",
        "something_else": "something_else",
    }
    assert {name: _family(name) for name in families} == families


def circles(ax):
    """Return place and area of the outlines in the data's units."""
    found = {}
    for drawn in ax.collections:
        if drawn.get_offset_transform() == ax.transData and len(drawn.get_edgecolor()):
            found[tuple(drawn.get_offsets()[0])] = drawn.get_sizes()[0]
    return found


def test_a_circle_stands_where_the_numbers_say_and_its_area_is_the_parameters():
    rows = [row for row in ROWS if row.name in {"vgg16", "vgg19", "resnet50"}]
    drawn = circles(zoo_chart(rows))
    by_name = {row.name: drawn[row.multiply_adds, row.public_accuracy[0]] for row in rows}
    assert len(drawn) == 3
    for row in rows:
        assert by_name[row.name] / by_name["vgg19"] == pytest.approx(row.parameters / 143_667_240, rel=1e-6)


@pytest.mark.parametrize("data", ["imagenet", "cifar10"])
def test_the_names_of_families_stand_apart_and_inside(data):
    ax = zoo_chart(ROWS, data)
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    families = {dot.family for dot in _dots(ROWS, data)}
    frame = ax.get_window_extent().expanded(1.02, 1.02)
    boxes = []
    for text in ax.findobj(Annotation):
        if text.get_text() in families:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0 < box.x1 <= frame.x1, text.get_text()
            assert frame.y0 <= box.y0 < box.y1 <= frame.y1, text.get_text()
            boxes.append(box)
    assert len(boxes) == len(families)
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert not (across > 2 and down > 2)  # two pixels: letters do not fill their boxes


def test_what_was_recorded_here_is_a_cross():
    (row,) = (row for row in ROWS if row.name == "resnet20")
    recorded = (RecordedAccuracy("run", "cifar10", 91.0, 0.2, 5), RecordedAccuracy("x", "mnist", 99.0, 0, 1))
    ax = zoo_chart([dataclasses.replace(row, recorded=recorded)], "cifar10")
    places = {tuple(np.ravel(drawn.get_offsets()[0])) for drawn in ax.collections}
    assert (row.multiply_adds, 91.0) in places
    assert (row.multiply_adds, 99.0) not in places


def test_alt_text_gives_the_ends_of_each_family():
    alt = zoo_chart_alt([row for row in ROWS if row.name in {"vgg11", "vgg13", "vgg19", "resnet50"}])
    assert alt == (
        "4 networks, accuracy over operations. ResNet: resnet50 76.1 % with 4.1 billion multiply-adds; VGG: vgg11 "
        "69.0 % with 7.6 billion multiply-adds to vgg19 72.4 % with 19.6 billion multiply-adds."
    )


def test_the_chart_is_small_and_the_same_twice():
    first, second = (
        inline_svg(zoo_chart(ROWS).get_figure(root=True), prefix="zoo", alt="Networks.") for _ in range(2)
    )
    assert first == second
    assert len(first) < 80_000


def test_no_accuracy_no_chart():
    with pytest.raises(ValueError, match="has an accuracy on cifar10; hand over the whole zoo"):
        zoo_chart([row for row in ROWS if row.name == "vgg16"], "cifar10")
    with pytest.raises(ValueError, match="has an accuracy on imagenet"):
        zoo_chart_alt([])
