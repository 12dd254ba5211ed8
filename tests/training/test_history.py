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
