"""The page on the challenge's winners: depths counted in the networks, a chart and a table with every number."""

import pytest
import torch
from torch import nn

from cnncourse import figures, models
from cnncourse.book import revolution
from cnncourse.book.revolution import ENTRIES, chart, chart_alt
from cnncourse.paths import course_root

DEEP = [entry for entry in ENTRIES if entry.network]


def layers_with_weights(name):
    """Return the convolutions and linear layers on the longest path, counted in the network."""
    with torch.device("meta"):
        model = models.build(name)
    found = [key for key, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    found = [key for key in found if "downsample" not in key and "aux" not in key]
    modules = {key.split(".")[0] for key in found if key.startswith("inception")}
    if not modules:
        return len(found)
    # The longest way through an inception module has two: a reduction and what follows it.
    return sum(not key.startswith("inception") for key in found) + 2 * len(modules)


@pytest.mark.parametrize("entry", DEEP, ids=lambda entry: entry.name)
def test_layers_are_those_of_the_network(entry):
    assert entry.layers == layers_with_weights(entry.network)


def test_the_entries_are_the_cited_ones():
    assert [(entry.year, entry.layers, entry.top5) for entry in ENTRIES] == [
        (2010, None, 28.2),
        (2011, None, 25.8),
        (2012, 8, 16.4),
        (2013, 8, 11.7),
        (2014, 19, 7.3),
        (2014, 22, 6.7),
        (2015, 152, 3.57),
    ]
    bibliography = (course_root() / "book" / "references.bib").read_text(encoding="utf-8")
    assert all(f"{{{entry.source}," in bibliography for entry in ENTRIES)
    assert [entry.name for entry in ENTRIES if not entry.first] == ["VGG"]


def test_what_the_page_says_of_sizes():
    alexnet, vgg, googlenet, resnet = DEEP
    assert 8.5 < alexnet.parameters / googlenet.parameters < 9
    assert googlenet.top5 < alexnet.top5 / 2
    assert resnet.parameters < vgg.parameters / 2
    assert resnet.multiply_adds < vgg.multiply_adds
    assert resnet.layers / vgg.layers == 8


def test_the_chart_and_its_words_have_every_number():
    figure = chart()
    written = {text.get_text() for ax in figure.axes for text in ax.texts}
    expected = {"28.2", "3.57", "8", "152", "61", "144", "7", "60", "0.7", "19.6", "1.6", "11.5", "none", "–"}
    assert expected <= written
    lengths = [patch.get_width() for patch in figure.axes[0].patches]
    assert lengths == [entry.top5 for entry in ENTRIES]
    words = chart_alt()
    assert (
        "2015 ResNet: 3.57 top-5 error (%), 152 layers with weights, 60 parameters (millions), 11.5" in words
    )
    assert "2013 Clarifai: 11.7 top-5 error (%), 8 layers with weights;" in words
    assert figures.figure_html(figure, name="revolution", alt=words, caption="x").count("<svg") == 1


def test_the_table_cites_every_error():
    lines = revolution._table()
    assert len(lines) == 2 + len(ENTRIES) + 1
    assert lines[-2] == "| 2015 | ResNet, 6 networks | 3.57 | 152 | 60.2 | 11.51 | {cite:t}`he2016` |"
    assert "| VGG, 7 networks (second) |" in lines[6]
