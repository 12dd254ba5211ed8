import json

import pytest

from cnncourse.training import EpochRow, History


def two_rows():
    first = EpochRow(epoch=1, learning_rate=0.1, train_loss=2.0, train_accuracy=0.3, train_seconds=1.5)
    second = EpochRow(
        epoch=2,
        learning_rate=0.05,
        train_loss=1.0,
        train_accuracy=0.6,
        train_seconds=1.4,
        val_loss=1.1,
        val_accuracy=0.5,
    )
    return History().with_row(first).with_row(second)


def test_columns_and_round_trip():
    history = two_rows()
    assert history["train_loss"] == [2.0, 1.0]
    assert history["val_accuracy"] == [None, 0.5]
    assert [row.epoch for row in history] == [1, 2]
    assert History.from_dict(json.loads(history.to_json())) == history
    assert len(History.from_dict(History().to_dict())) == 0
    assert repr(history).startswith("History of 2 passes; the last: learning_rate 0.05, train_loss 1")
    assert repr(History()) == "History of no pass"


def test_bad_input():
    with pytest.raises(KeyError, match="no column 'loss'; there are epoch"):
        two_rows()["loss"]
    columns = two_rows().to_dict()
    with pytest.raises(ValueError, match="a history has the columns"):
        History.from_dict({**columns, "epoch": [1]})
    with pytest.raises(ValueError, match="a history has the columns"):
        History.from_dict({"epoch": [1]})


def test_csv_has_a_line_a_pass_and_files_are_whole_or_absent(tmp_path):
    row = EpochRow(epoch=1, learning_rate=0.1, train_loss=1.5, train_accuracy=0.5, train_seconds=2.0)
    history = History((row, row))
    lines = history.to_csv().splitlines()
    assert lines[0].startswith("epoch,learning_rate,train_loss,train_accuracy,train_seconds,val_loss")
    assert lines[1].startswith("1,0.1,1.5,0.5,2.0,,")
    assert len(lines) == 3
    assert history.save(tmp_path / "h.csv").read_text() == history.to_csv()
    assert History.from_dict(json.loads(history.save(tmp_path / "h.json").read_text())) == history
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.csv", "h.json"]
    with pytest.raises(ValueError, match=r"\.json or \.csv file, got 'h\.txt'"):
        history.save(tmp_path / "h.txt")
