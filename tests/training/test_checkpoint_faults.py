"""Checkpoint files when things go wrong: the old one stays, the damaged one is found, nothing foreign is run."""

import errno
import os
import pickle
import resource
from pathlib import Path

import pytest
import torch

from cnncourse.training import checkpoint_file
from cnncourse.training.checkpoint_file import read_checkpoint, write_checkpoint
from cnncourse.training.checkpoint_tree import CheckpointError
from cnncourse.training.weights_file import read_weights

OLD, NEW = {"a": torch.arange(5000), "n": 1}, {"a": torch.arange(100_000), "n": 2}


@pytest.fixture
def old(tmp_path):
    return write_checkpoint(tmp_path / "run.safetensors", OLD)


def assert_old_survived(path):
    assert read_checkpoint(path)["n"] == 1
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing left behind


def small(tmp_path):
    return write_checkpoint(tmp_path / "small.safetensors", {"a": torch.arange(3), "x": [1.5, "y"]})


def test_a_changed_bit_in_any_byte_is_found(tmp_path):
    path = small(tmp_path)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        for bit in {place % 8, (place * 5 + 3) % 8}:
            content[place] ^= 1 << bit
            path.write_bytes(content)
            with pytest.raises(CheckpointError, match=r"small\.safetensors"):
                read_checkpoint(path)
            content[place] ^= 1 << bit
    path.write_bytes(content)
    assert read_checkpoint(path)["x"] == [1.5, "y"]


def test_every_length_but_the_right_one_is_found(tmp_path):
    path = small(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"is empty|is truncated|is damaged or no"):
            read_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(
        CheckpointError, match=rf"holds {len(content) + 1:,} bytes, {len(content):,} were written"
    ):
        read_checkpoint(path)


def test_two_pages_of_zeros_as_a_power_cut_leaves_are_found(old):
    content = bytearray(old.read_bytes())
    content[8192:16384] = bytes(8192)
    old.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged: its checksum is .* written was .* use an earlier"):
        read_checkpoint(old)


@pytest.mark.parametrize("room", [0, 50, 5000, 700_000])
def test_a_full_disk_leaves_the_old_file(room, old, monkeypatch):
    real, left = os.write, [room]

    def write(descriptor, data):
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[: left[0]])  # the last write takes less than it is offered
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(
        CheckpointError, match=r"run\.safetensors cannot be written \(No space left.*free some space"
    ):
        write_checkpoint(old, NEW)
    monkeypatch.undo()
    assert_old_survived(old)


def test_a_limit_of_the_operating_system_leaves_the_old_file(old):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match="files may not grow so large here"):
            write_checkpoint(old, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_old_survived(old)


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(call, old, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(*((Path, call) if call == "replace" else (os, call)), fail)
    with pytest.raises(
        CheckpointError, match=r"cannot be written \(Input/output error\); the disk is failing"
    ):
        write_checkpoint(old, NEW)
    monkeypatch.undo()
    assert_old_survived(old)


def test_ctrl_c_while_writing_leaves_the_old_file(old, monkeypatch):
    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(old, NEW)
    monkeypatch.undo()
    assert_old_survived(old)


def test_a_folder_that_may_not_be_written(old, monkeypatch):
    real = os.open
    if os.geteuid() == 0:  # root may write everywhere: let the system refuse as it would anybody else

        def refuse(path, flags, *mode):
            if flags & os.O_CREAT:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(path, flags, *mode)

        monkeypatch.setattr(os, "open", refuse)
    old.parent.chmod(0o500)
    with pytest.raises(
        CheckpointError, match=r"\(Permission denied\); choose a folder that you may write to"
    ):
        write_checkpoint(old, NEW)
    old.parent.chmod(0o700)
    monkeypatch.undo()
    assert_old_survived(old)


def test_other_places_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"No such file or directory\); make the folder first"):
        write_checkpoint(tmp_path / "lost" / "run.safetensors", OLD)
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=r"Is a directory\); it is a folder: choose the name of a file"):
        write_checkpoint(tmp_path / "folder", OLD)
    with pytest.raises(CheckpointError, match=r"folder cannot be read \(Is a directory\)"):
        read_checkpoint(tmp_path / "folder")
    with pytest.raises(CheckpointError, match=r"lost\.safetensors does not exist"):
        read_checkpoint(tmp_path / "lost.safetensors")


def test_content_reaches_the_disk_before_its_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor):
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(
            ("fsync", "folder" if target.is_dir() else target.suffix, target.is_dir() or size(target))
        )
        fsync(descriptor)

    def note_replace(self, target):
        events.append(("rename", Path(target).name, size(self)))
        return replace(self, target)

    def size(path):
        return path.stat().st_size

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    path = write_checkpoint(tmp_path / "run.safetensors", NEW)
    whole = size(path)
    assert events == [
        ("fsync", ".partial", whole),
        ("fsync", ".partial", whole),
        ("rename", "run.safetensors", whole),
        ("fsync", "folder", True),
    ]


def test_a_disk_that_takes_one_byte_at_a_time(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:1]))
    assert read_checkpoint(write_checkpoint(tmp_path / "slow.safetensors", {"a": 1}))["a"] == 1


def test_a_file_that_shrinks_while_it_is_read(old, monkeypatch):
    real = checkpoint_file.read_header

    def shrink(file, path):
        header = real(file, path)
        os.truncate(path, old.stat().st_size // 2)
        return header

    monkeypatch.setattr(checkpoint_file, "read_header", shrink)
    with pytest.raises(CheckpointError, match="became shorter while it was read"):
        read_checkpoint(old)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def pickle_file(path, content, protocol):
    path.write_bytes(pickle.dumps(content, protocol))


WRITERS = {
    f"pickle, protocol {p}": lambda path, content, p=p: pickle_file(path, content, p) for p in range(6)
} | {
    "torch.save": lambda path, content: torch.save(content, path),
    "old torch.save": lambda path, content: torch.save(content, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("reader", [read_checkpoint, read_weights])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_pickle_with_a_trap_is_refused_and_not_run(writer, reader, tmp_path):
    sprung = tmp_path / "sprung"
    path = tmp_path / "weights.pth"
    WRITERS[writer](path, {"weight": torch.ones(2), "trap": Trap(sprung)})
    with pytest.raises(CheckpointError, match=r"weights\.pth") as refusal:
        reader(path)
    assert not sprung.exists()
    if reader is read_checkpoint and writer[-1] not in "01":
        assert "run code" in str(refusal.value) or "can run" in str(refusal.value)
    if reader is read_weights and "torch" in writer:
        assert "asks for more than tensors" in str(refusal.value)


def test_the_trap_works(tmp_path):
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "weights.pth")
    torch.load(tmp_path / "weights.pth", weights_only=False)
    assert (tmp_path / "sprung").exists()
