"""The lines of the appendix of networks; the page itself is built with the book."""

import dataclasses

from cnncourse.book.model_zoo import SECTIONS, _accuracies, _costs, _licences
from cnncourse.models import PrintedError
from cnncourse.models.zoo import RecordedAccuracy, zoo

ROWS = {row.name: row for row in zoo()}


def test_every_network_stands_in_one_section():
    for row in ROWS.values():
        assert sum(belongs(row) for _, _, belongs in SECTIONS) == 1, row.name


def test_costs():
    lines = _costs([ROWS["vgg16"], ROWS["efficientnet_b0"], ROWS["mlp"]])
    assert lines[3].startswith("| `vgg16` | 138.36 | 15,470.26 | 527.8 | 69.32 | 212 |")
    assert lines[4].endswith(" | all |")
    assert lines[5].endswith(" | – |")


def test_accuracies_say_whose_they_are():
    row = dataclasses.replace(
        ROWS["vgg16"],
        printed_error=PrintedError("imagenet", 27.0, 8.85, "table 3"),
        recorded=(
            RecordedAccuracy("run", "cifar10", 91.234, 0.251, 3),
            RecordedAccuracy("r", "mnist", 99.0, 0, 1),
        ),
    )
    _, head, _, line, _ = _accuracies([row])
    assert head == (
        "| network | paper: error (%) | public weights: accuracy (%) | recorded here: accuracy (%) | source |"
    )
    assert line == (
        "| `vgg16` | 27.0 / 8.85 | 71.59 / 90.38 | cifar10 91.23 ± 0.25; mnist 99.00 | "
        f"{{cite:t}}`simonyan2015`; {row.where}; error: table 3 |"
    )


def test_columns_without_a_word_are_left_out():
    assert _accuracies([ROWS["mobilenet_v1"]])[1] == "| network | paper: error (%) | source |"
    five = dataclasses.replace(ROWS["mobilenet_v1"], printed_error=PrintedError("imagenet", None, 10.07))
    assert "| – / 10.07 |" in _accuracies([five])[3]


def test_licences_name_their_networks():
    lines = _licences([ROWS["vgg16"], ROWS["resnet50"], ROWS["mlp"]])
    assert lines == ["Public weights under BSD-3-Clause: `vgg16`, `resnet50`.", ""]
    assert _licences([ROWS["mlp"]]) == []
