"""The tables of networks and data sets."""

import pytest

from cnncourse.cli import main
from cnncourse.cli.listing import WIDTH, table
from cnncourse.datasets import CATALOGUE as DATASETS
from cnncourse.models import CATALOGUE as MODELS


@pytest.mark.parametrize(("command", "catalogue"), [("models", MODELS), ("datasets", DATASETS)])
def test_tables_fit_a_screen_and_their_columns_line_up(command, catalogue, capsys):
    assert main([command]) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()  # below a blank line: what the columns mean
    assert len(lines) == 1 + len(catalogue)
    assert max(map(len, lines)) <= WIDTH
    header = lines[0]
    ends = [header.index(name) + len(name) for name in ("classes", "side")]
    for line in lines:
        for end in ends:
            assert line[end - 1] != " "  # numbers end under the end of their title
            assert line[end] == " "


def test_table_by_hand():
    rows = [{"name": "a", "count_of": 5}, {"name": "bcd", "count_of": None}, {"name": "e", "count_of": 12345}]
    assert table(rows) == "name  count of\na            5\nbcd          –\ne       12,345"
    assert table([{"text": "x" * 500}]).splitlines()[1] == "x" * (WIDTH - 1) + "…"


def test_more_of_one_network(capsys, told):
    assert main(["models", "ResNet-50"]) == 0
    out = capsys.readouterr().out
    assert "multiply adds as printed  3,800,000,000" in out  # He et al. 2016, table 1
    assert "https://download.pytorch.org" in out
    (row,) = told("models", "lenet5")
    assert (row["parameters"], row["weights"], row["public_weights"]) == (61_706, None, None)
    assert [entry["model"] for entry in told("models")] == [entry.name for entry in MODELS]


def test_what_the_zoo_says_of_a_network(capsys, told):
    assert main(["models", "resnet50"]) == 0
    out = capsys.readouterr().out
    for line in (
        "weights in float32        97.5 MiB",  # 25,557,032 numbers of 4 bytes
        "receptive field           427 pixels",
        "top-1 22.85 %, top-5 6.71 % on imagenet (table 3, ten crops)",
        "accuracy as stated        top-1 76.13 %, top-5 92.862 %",
    ):
        assert line in out
    (row,) = told("models", "resnet50")
    assert row["weight_bytes"] == 4 * 25_557_032
    assert row["printed_error"]["top1"] == 22.85
    assert row["public_accuracy"] == {"top1": 76.13, "top5": 92.862}
    assert row["recorded"] == []
    assert main(["models", "efficientnet-b0"]) == 0
    assert "receptive field           the whole image" in capsys.readouterr().out
    (recorded,) = (one for one in told("models", "lenet5")[0]["recorded"] if one["record"] == "lenet-mnist")
    assert (recorded["data"], recorded["seeds"]) == ("mnist", 3)
    assert main(["models", "lenet5"]) == 0
    out = capsys.readouterr().out
    assert f"recorded on mnist          {recorded['mean']:.2f} % ± {recorded['sd']:.2f} over 3 seeds" in out
    assert "kept of an image           43.9 KiB" in out


def test_the_zoo_table(capsys):
    assert main(["models"]) == 0
    table_text, legend = capsys.readouterr().out.split("\n\n")
    (line,) = (line for line in table_text.splitlines() if line.startswith("vgg16 "))
    assert line.split() == [
        *("vgg16", "138.36", "15,470.26", "224", "1,000", "527.79", "69.32", "212", "73.00", "71.59", "–"),
        "imagenet",
    ]
    assert "stated %: top-1 of the public weights on ImageNet, by their authors" in legend
    assert max(map(len, legend.splitlines())) <= WIDTH


def test_measured_digits(capsys, told):
    measured = told("datasets", "digits")["measured"]
    assert {split: part["count"] for split, part in measured.items()} == {"train": 1347, "test": 450}
    assert sum(measured["train"]["per_class"].values()) == 1347
    assert main(["datasets", "digits"]) == 0
    out = capsys.readouterr().out
    assert "licence   CC BY 4.0" in out
    assert "train: 1,347 images of 8 x 8 pixels, 10 classes" in out
    assert f"mean {measured['train']['mean'][0]:.4f}" in out
    assert {row["name"] for row in told("datasets")} == set(DATASETS)


def test_unknown_names(refused):
    assert "unknown model 'resnet21'; did you mean resnet" in refused("models", "resnet21")
    assert "no data set 'cifar'" in refused("datasets", "cifar")
    assert "train folder-finetune --option path=FOLDER" in refused("datasets", "folder")
