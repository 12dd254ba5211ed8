"""A folder of checkpoints: the last few and the best are kept, damage is passed over aloud, one process writes."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from cnncourse.training import checkpoint_file, checkpoint_folder
from cnncourse.training.checkpoint_file import read_checkpoint
from cnncourse.training.checkpoint_folder import CheckpointFolder
from cnncourse.training.checkpoint_tree import CheckpointError, CheckpointWarning
from cnncourse.training.leftovers import remove_leftovers, temporary_name


def names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != ".lock")


def tree(step):
    return {"step": step, "weights": torch.full((100,), float(step))}


def save_all(folder, scores):
    for step, score in scores.items():
        folder.save(tree(step), step=step, score=score)


def spoil(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    with CheckpointFolder(tmp_path / "runs" / "one") as made:
        yield made


def test_the_last_few_are_kept(folder):
    save_all(folder, dict.fromkeys((5, 10, 15, 20, 100_000_000)))
    assert names(folder) == [
        "step-00000015.safetensors",
        "step-00000020.safetensors",
        "step-100000000.safetensors",
    ]
    assert folder.steps() == [15, 20, 100_000_000]
    assert folder.latest()["step"] == 100_000_000
    assert folder.latest_path().name == "step-100000000.safetensors"
    assert folder.best() is None


def test_the_best_is_kept_beside_them(folder):
    save_all(folder, {1: 0.5, 2: 0.9, 3: float("nan"), 4: 0.9, 5: None, 6: 0.2})
    assert names(folder) == ["best.safetensors", *(f"step-0000000{step}.safetensors" for step in (4, 5, 6))]
    assert folder.best()["step"] == 2  # the first of two equals
    folder.save(tree(7), step=7, score=0.95)
    assert folder.best()["step"] == 7
    assert (folder.path / "best.safetensors").stat().st_nlink == 2  # takes no room of its own


def test_scores_below_zero_and_a_folder_opened_again(folder):
    save_all(folder, {1: -3.0, 2: -1.0})
    again = CheckpointFolder(folder.path)
    save_all(again, {3: -2.0})
    assert again.best()["step"] == 2
    save_all(again, {4: -0.5})
    assert again.best()["step"] == 4


def test_without_the_best(tmp_path):
    with CheckpointFolder(tmp_path, keep_last=1, keep_best=False) as folder:
        save_all(folder, {1: 0.5, 2: 0.1})
        assert names(folder) == ["step-00000002.safetensors"]


def test_a_disk_without_links_gets_a_copy(folder, monkeypatch):
    def refuse(*_paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    save_all(folder, {1: 0.5, 2: 0.1})
    assert folder.best()["step"] == 1
    assert (folder.path / "best.safetensors").stat().st_nlink == 1
    assert names(folder) == ["best.safetensors", "step-00000001.safetensors", "step-00000002.safetensors"]


def test_no_checkpoints(tmp_path):
    assert CheckpointFolder(tmp_path / "lost").latest() is None
    assert CheckpointFolder(tmp_path / "lost").latest_path() is None
    assert CheckpointFolder(tmp_path / "lost").best() is None
    assert not (tmp_path / "lost").exists()


@pytest.mark.parametrize("damage", ["bit", "half", "nothing left", "a pickle"])
def test_a_damaged_newest_is_passed_over_aloud(damage, folder):
    save_all(folder, {1: None, 2: None, 3: None})
    path = folder.path / "step-00000003.safetensors"
    if damage == "bit":
        spoil(path)
    elif damage == "a pickle":
        torch.save(tree(3), path)
    else:
        os.truncate(path, path.stat().st_size // 2 if damage == "half" else 0)
    with pytest.warns(
        CheckpointWarning, match=r"step-00000003\.safetensors .*: using step-00000002\.safetensors"
    ):
        assert folder.latest()["step"] == 2


def test_all_damaged_is_an_error_and_not_a_fresh_start(folder):
    save_all(folder, {1: None, 2: None})
    for step in folder.steps():
        spoil(folder.path / f"step-{step:08d}.safetensors")
    with pytest.raises(
        CheckpointError, match=r"(?s)no checkpoint in .*step-00000002.*step-00000001.*to begin anew"
    ):
        folder.latest()


def test_the_best_serves_when_no_other_is_whole(folder):
    save_all(folder, {1: 0.9, 2: 0.1})
    (folder.path / "step-00000001.safetensors").unlink()
    spoil(folder.path / "step-00000002.safetensors")
    with pytest.warns(CheckpointWarning, match=r"using best\.safetensors"):
        assert folder.latest()["step"] == 1


def test_a_damaged_best_is_an_error_to_read_and_gives_way_to_the_next(tmp_path):
    with CheckpointFolder(tmp_path) as folder:
        save_all(folder, {1: 0.9, 2: 0.1})
    (tmp_path / "step-00000001.safetensors").unlink()
    spoil(tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match=r"best\.safetensors is damaged"):
        folder.best()
    with pytest.warns(CheckpointWarning, match="the best score is forgotten"):
        folder.save(tree(3), step=3, score=0.2)
    assert folder.best()["step"] == 3
    folder.close()


def test_the_last_readable_is_never_removed_for_a_damaged_later_one(tmp_path):
    with CheckpointFolder(tmp_path, keep_last=1) as folder:
        save_all(folder, {10: None, 20: None})
        spoil(tmp_path / "step-00000020.safetensors")
        with pytest.warns(CheckpointWarning, match=r"holds checkpoints of later steps \(20\) .*saved \(15\)"):
            folder.save(tree(15), step=15)
        with pytest.warns(CheckpointWarning, match="using step-00000015"):
            assert folder.latest()["step"] == 15
        folder.save(tree(20), step=20)
        assert folder.latest()["step"] == 20
        assert names(folder) == ["step-00000020.safetensors"]


def test_a_failed_save_leaves_everything_as_it_was(folder, monkeypatch):
    save_all(folder, {1: 0.1, 2: 0.2, 3: 0.3})
    before = {name: (folder.path / name).read_bytes() for name in names(folder)}

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        CheckpointError, match=r"step-00000004\.safetensors cannot be written \(No space left"
    ):
        folder.save(tree(4), step=4, score=0.4)
    monkeypatch.undo()
    assert {name: (folder.path / name).read_bytes() for name in names(folder)} == before


@pytest.mark.parametrize("fault", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_failed_link_to_the_best_leaves_nothing_behind(fault, folder, monkeypatch):
    save_all(folder, {1: 0.1})
    before = names(folder)

    def fail(*_paths):
        raise fault

    monkeypatch.setattr(checkpoint_folder, "publish", fail)
    with pytest.raises(type(fault)):
        folder.save(tree(4), step=4, score=0.4)
    monkeypatch.undo()
    assert names(folder) == before
    assert folder.best()["step"] == 1


def test_a_death_between_the_best_and_its_step_changes_nothing(folder, monkeypatch):
    save_all(folder, {1: 0.1})
    real = checkpoint_folder.publish

    def die_before_the_step(temporary, path):
        if path.name.startswith("step"):
            raise SystemExit
        real(temporary, path)

    monkeypatch.setattr(checkpoint_folder, "publish", die_before_the_step)
    with pytest.raises(SystemExit):
        folder.save(tree(2), step=2, score=0.5)
    monkeypatch.undo()
    assert folder.latest()["step"] == 1
    folder.save(tree(2), step=2, score=0.5)
    assert folder.best()["step"] == folder.latest()["step"] == 2


def test_a_file_that_its_writer_removes_meanwhile_is_no_damage(folder, monkeypatch):
    save_all(folder, {1: None, 2: None})
    monkeypatch.setattr(CheckpointFolder, "steps", lambda _self: [1, 2, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert folder.latest()["step"] == 2


def test_impossible_settings(tmp_path, folder):
    with pytest.raises(ValueError, match="keep_last must be at least 1, got 0"):
        CheckpointFolder(tmp_path, keep_last=0)
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        folder.save({}, step=-1)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be made \((Not a directory|File exists)\)"):
        CheckpointFolder(tmp_path / "file" / "in").save({}, step=1)
    with pytest.raises(CheckpointError, match=r"cannot be made \(File exists\)"):
        CheckpointFolder(tmp_path / "file").save({}, step=1)


def test_leftovers_go_when_their_writer_is_surely_dead(folder):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own = temporary_name("step-00000001.safetensors")
    dead = own.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    machine = own.split(".")[-2].split("-")[0]
    stranger = dead.replace(machine, "0badcafe")
    old = stranger.replace("step-00000001", "step-00000002")
    others = (".notes.partial", "step-00000001.safetensors.partial", ".cache")
    for name in (own, dead, stranger, old, *others):
        (folder.path / name).touch()
    os.utime(folder.path / old, (time.time() - 90_000,) * 2)
    assert sorted(path.name for path in remove_leftovers(folder.path)) == sorted([dead, old])
    assert names(folder) == sorted([own, stranger, *others])


def test_opening_a_folder_removes_leftovers(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own = temporary_name("step-00000001.safetensors")
    (tmp_path / own.replace(f"-{os.getpid()}-", f"-{gone.pid}-")).touch()
    with CheckpointFolder(tmp_path) as folder:
        assert names(folder) == []


OTHER_WRITER = """
import sys
from pathlib import Path
from cnncourse.training.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_writer(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_WRITER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_two_processes_cannot_write_one_folder_until_one_dies(tmp_path, other_writer):
    folder = CheckpointFolder(tmp_path)
    message = rf"is being written by another process \(process {other_writer.pid}\); wait for it, stop it, or choose"
    for _ in range(2):
        with pytest.raises(CheckpointError, match=message):
            folder.save(tree(1), step=1)
    with pytest.raises(CheckpointError, match=message), folder:
        pytest.fail("entered")
    assert folder.latest() is None  # reading is free
    other_writer.send_signal(signal.SIGKILL)
    other_writer.wait()
    folder.save(tree(1), step=1)
    folder.close()


def writes_from_elsewhere(path):
    """Whether another process may lock the folder: asked with the bare system call, by a quick interpreter."""
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+')\n"
        "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError: sys.exit(7)"
    )
    return subprocess.run([sys.executable, "-S", "-c", code, path / ".lock"], check=False).returncode == 0


def test_one_process_may_open_a_folder_twice_and_holds_it_until_both_are_closed(tmp_path):
    first, second = CheckpointFolder(tmp_path), CheckpointFolder(tmp_path)
    first.save(tree(1), step=1)
    with second, second:
        second.save(tree(2), step=2)
        first.close()
        first.close()
        assert not writes_from_elsewhere(tmp_path)
    assert writes_from_elsewhere(tmp_path)
    first.save(tree(3), step=3)
    assert not writes_from_elsewhere(tmp_path)
    del first
    assert writes_from_elsewhere(tmp_path)


def test_a_with_inside_a_held_folder_does_not_give_it_up(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(tree(1), step=1)
    with folder:
        pass
    assert not writes_from_elsewhere(tmp_path)
    folder.close()
    assert writes_from_elsewhere(tmp_path)


def test_a_disk_without_locks_is_said_aloud(tmp_path, monkeypatch):
    def refuse(_descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("cnncourse.training.folder_lock._lock", refuse)
    folder = CheckpointFolder(tmp_path)
    with pytest.warns(CheckpointWarning, match=r"without locks \(No locks available\)"):
        folder.save(tree(1), step=1)
    assert folder.latest()["step"] == 1
    folder.close()


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointError, match=r"cannot be written \(Permission denied\); choose a folder"):
        CheckpointFolder(tmp_path).save({}, step=1)


def test_the_folder_writes_what_the_file_reader_reads(folder):
    path = folder.save(tree(3), step=3, score=0.25)
    assert path == folder.path / "step-00000003.safetensors"
    assert read_checkpoint(path)["step"] == 3
    notes = checkpoint_file.read_with_notes(Path(path))[1]
    assert (notes["step"], notes["score"]) == ("3", "0.25")
