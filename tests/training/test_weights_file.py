"""Weights of other programs: found at the top or one level down, read without running anything."""

import pytest
import torch
from safetensors.torch import save_file

from cnncourse.training.checkpoint_file import write_checkpoint
from cnncourse.training.checkpoint_tree import CheckpointError
from cnncourse.training.weights_file import read_weights

STATE = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}

WRITERS = {
    "safetensors": lambda path, tree: save_file(tree, path),
    "torch.save": lambda path, tree: torch.save(tree, path),
    "old torch.save": lambda path, tree: torch.save(tree, path, _use_new_zipfile_serialization=False),
    "checkpoint": write_checkpoint,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_state_dict_is_read_from_each_kind_of_file(writer, tmp_path):
    path = tmp_path / "weights"
    WRITERS[writer](path, STATE)
    read = read_weights(path)
    assert sorted(read) == sorted(STATE)
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("writer", ["torch.save", "checkpoint"])
@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_and_prefixes_are_taken_off(writer, wrapper, prefix, tmp_path):
    path = tmp_path / "run.pth"
    WRITERS[writer](path, {wrapper: {prefix + name: value for name, value in STATE.items()}, "epoch": 3})
    assert sorted(read_weights(path)) == sorted(STATE)


def test_a_prefix_that_only_some_names_have_is_part_of_the_name(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.pth")
    assert sorted(read_weights(tmp_path / "w.pth")) == ["b", "module.a"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"epoch": 3, "args": "x"}, "holds no state dict, .* it holds args, epoch"),
        ([torch.ones(2)], "it holds a list"),
        ({}, "it holds nothing"),
    ],
)
def test_no_state_dict(tree, message, tmp_path):
    torch.save(tree, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message):
        read_weights(tmp_path / "w.pth")


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(CheckpointError, match=r"w\.pth cannot be read \(No such file"):
        read_weights(tmp_path / "w.pth")
    for name, writer in WRITERS.items():
        path = tmp_path / name
        writer(path, STATE)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(CheckpointError, match=r"damaged|truncated|asks for more"):
            read_weights(path)
    (tmp_path / "text").write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match="text"):
        read_weights(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(CheckpointError, match="empty"):
        read_weights(tmp_path / "empty")
