from xml.etree import ElementTree

import pytest

from cnncourse import figures
from cnncourse.training import EpochRow, History


def history(passes, held_out=True):
    return History(
        tuple(
            EpochRow(
                epoch=n,
                learning_rate=0.1,
                train_loss=2 / n,
                train_accuracy=1 - 1 / (n + 1),
                train_seconds=1.0,
                val_loss=3 / n if held_out else None,
                val_accuracy=0.5 if held_out else None,
            )
            for n in range(1, passes + 1)
        )
    )


def test_the_curves_are_the_columns():
    figure = figures.history_curves(history(4))
    loss, accuracy = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "held out"]
    assert loss.lines[0].get_ydata().tolist() == pytest.approx([2, 1, 2 / 3, 0.5])
    assert loss.lines[1].get_ydata().tolist() == pytest.approx([3, 1.5, 1, 0.75])
    assert accuracy.lines[0].get_ydata().tolist() == pytest.approx([50, 200 / 3, 75, 80])  # in percent
    assert [ax.get_xlabel() for ax in figure.axes] == ["pass", "pass"]
    assert [len(ax.lines) for ax in figures.history_curves(history(4, held_out=False)).axes] == [1, 1]


@pytest.mark.parametrize("passes", [1, 2, 3, 7, 20, 164])
def test_ticks_stand_at_whole_passes(passes):
    for ax in figures.history_curves(history(passes)).axes:
        low, high = ax.get_xlim()
        ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
        assert len(ticks) >= 2
        assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("passes", [1, 12])
def test_the_file_is_sound_xml_with_text_and_a_description(passes, tmp_path):
    path = figures.save_history(history(passes), tmp_path / "curves.svg")
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label").startswith(f"Loss and accuracy over {passes} pass")
    assert "background:white" in root.get("style")
    words = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert words >= {"pass", "loss (nats)", "accuracy (%)", "training", "held out"}
    assert [file.name for file in tmp_path.iterdir()] == ["curves.svg"]


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the history is empty"):
        figures.history_curves(History())
    with pytest.raises(ValueError, match=r"written to an \.svg file, got 'curves\.png'"):
        figures.save_history(history(2), tmp_path / "curves.png")
