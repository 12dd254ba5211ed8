import sys
from types import ModuleType

import pytest

from cnncourse.training import EpochRow, History, TensorBoard
from cnncourse.training.callbacks import MissingExtraError

ROW = EpochRow(
    epoch=3, learning_rate=0.1, train_loss=1.5, train_accuracy=0.5, train_seconds=2.0, val_loss=1.25
)


def test_every_measured_number_becomes_a_point(tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            written.append("flush")

        def close(self):
            written.append("close")

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    watcher = TensorBoard(tmp_path)
    watcher.on_epoch(None, ROW)
    watcher.on_end(None, History((ROW,)))
    assert written[0] == str(tmp_path)
    assert written[-2:] == ["flush", "close"]
    assert ("val_loss", 1.25, 3) in written
    assert ("learning_rate", 0.1, 3) in written
    assert not any(name in ("val_accuracy", "epoch") for name, *_ in written[1:-2])


def test_without_the_package_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match="optional extra; install it with: pip install tensorboard"):
        TensorBoard(tmp_path)
