"""The checkpoints of one run: the last few, the best, and always one that can be read."""

import os
import re
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cnncourse.training.checkpoint_file import flush_file, publish, read_with_notes, write_temporary
from cnncourse.training.checkpoint_tree import CheckpointError, CheckpointWarning, Tree
from cnncourse.training.folder_lock import FolderLock
from cnncourse.training.leftovers import remove_leftovers, temporary_name

STEP = re.compile(r"step-(\d{8,})\.safetensors")
BEST = "best.safetensors"


class CheckpointFolder:
    """Checkpoints of one run, named by step: ``step-00001234.safetensors``, and ``best.safetensors``.

    A kill at any instant leaves only whole files under these names. One process writes at a time: the first
    :meth:`save`, or ``with folder:``, takes a lock, which :meth:`close`, the end of the ``with`` or of the process
    gives back. Reading needs none.

    Args:
        path: the folder; made by the first save.
        keep_last: number of the newest files to keep, at least 1.
        keep_best: whether to keep the one of the highest score too.
    """

    def __init__(self, path: str | os.PathLike[str], keep_last: int = 3, keep_best: bool = True) -> None:
        if keep_last < 1:
            raise ValueError(
                f"keep_last must be at least 1, got {keep_last}: a run that dies needs one to go on from"
            )
        self.path = Path(path)
        self.keep_last = keep_last
        self.keep_best = keep_best
        self._lock = FolderLock(self.path)
        self._entered: list[bool] = []
        self._best_score: float | None = None
        self._warned_of_later = False

    def __repr__(self) -> str:
        return f"CheckpointFolder({str(self.path)!r}, keep_last={self.keep_last}, keep_best={self.keep_best})"

    def __enter__(self) -> "CheckpointFolder":
        self._entered.append(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered.pop():
            self.close()

    def save(self, tree: Tree, *, step: int, score: float | None = None) -> Path:
        """Write a checkpoint, and remove those that are no longer kept.

        Args:
            tree: as for :func:`~cnncourse.training.checkpoint_file.write_checkpoint`.
            step: optimiser steps done, at least 0; a file of the same step is replaced.
            score: the higher, the better; ``None`` or not a number never makes it the best.

        Returns:
            The path of the new file.

        Raises:
            CheckpointError: if another process writes this folder, or the file cannot be written; the earlier
                checkpoints are unchanged then.
            ValueError: if the step is negative.

        Warns:
            CheckpointWarning: if the folder holds files of later steps, which are left alone.
        """
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}")
        self._open()
        path = self.path / f"step-{step:08d}.safetensors"
        notes = {"step": str(step), "score": "" if score is None else repr(float(score))}
        temporary = write_temporary(path, tree, notes)
        if self.keep_best and score is not None and self._is_better(score):
            # First, so that a kill in between loses no best: the step is done again, and found no better.
            self._make_best(temporary)
            self._best_score = float(score)
        publish(temporary, path)
        self._prune(step)
        return path

    def latest(self) -> Tree | None:
        """Read the newest checkpoint that is whole.

        Returns:
            Its tree; ``None`` if there are no checkpoints.

        Raises:
            CheckpointError: if there are some and none is whole.

        Warns:
            CheckpointWarning: for each damaged file that was passed over.
        """
        found = self._latest()
        return None if found is None else found[1]

    def latest_path(self) -> Path | None:
        """Return the path of what :meth:`latest` reads, after reading it.

        Returns:
            The path; ``None`` if there are no checkpoints.

        Raises:
            CheckpointError: as :meth:`latest`.
        """
        found = self._latest()
        return None if found is None else found[0]

    def best(self) -> Tree | None:
        """Read the checkpoint of the highest score.

        Returns:
            Its tree; ``None`` if none was saved with a score.

        Raises:
            CheckpointError: if the file is damaged.
        """
        path = self.path / BEST
        return read_with_notes(path)[0] if path.exists() else None

    def steps(self) -> list[int]:
        """Return the steps of the files, in order.

        Returns:
            Steps; empty if the folder is not there.
        """
        names = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(int(match[1]) for match in map(STEP.fullmatch, names) if match)

    def close(self) -> None:
        """Let other processes write the folder."""
        self._lock.release()

    def _path_of(self, step: int) -> Path:
        return self.path / f"step-{step:08d}.safetensors"

    def _open(self) -> bool:
        """Make and lock the folder and clean it up; return whether this was still to be done."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{self.path} cannot be made ({error.strerror}); choose another folder"
            ) from error
        if not self._lock.acquire():
            return False
        remove_leftovers(self.path)
        self._best_score = None
        return True

    def _latest(self) -> tuple[Path, Tree] | None:
        faults: list[str] = []
        candidates = [self._path_of(step) for step in reversed(self.steps())]
        for path in [*candidates, self.path / BEST]:
            try:
                tree = read_with_notes(path)[0]
            except CheckpointError as error:
                if not isinstance(error.__cause__, FileNotFoundError):  # removed by its writer meanwhile
                    faults.append(str(error))
                continue
            for fault in faults:
                warnings.warn(CheckpointWarning(f"{fault}: using {path.name}"), stacklevel=3)
            return path, tree
        if faults:
            raise CheckpointError(
                f"no checkpoint in {self.path} can be read: {'; '.join(faults)}. Choose another folder to begin anew"
            )
        return None

    def _is_better(self, score: float) -> bool:
        if self._best_score is None:
            self._best_score = float("-inf")
            path = self.path / BEST
            if path.exists():
                try:
                    self._best_score = float(read_with_notes(path)[1]["score"])
                except (CheckpointError, KeyError, ValueError) as error:
                    warnings.warn(CheckpointWarning(f"{error}: the best score is forgotten"), stacklevel=3)
        return score > self._best_score

    def _make_best(self, source: Path) -> None:
        temporary = self.path / temporary_name(BEST)
        try:
            try:
                os.link(source, temporary)
            except OSError:  # a disk without links
                shutil.copyfile(source, temporary)
                flush_file(temporary)
            publish(temporary, self.path / BEST)
        except BaseException:
            for leftover in (temporary, source):
                with suppress(OSError):
                    leftover.unlink()
            raise

    def _prune(self, step: int) -> None:
        """Remove what is older than the last few; the file of this step was just written, and stays."""
        steps = self.steps()
        for old in [s for s in steps if s <= step][: -self.keep_last]:
            with suppress(OSError):
                self._path_of(old).unlink()
        later = [s for s in steps if s > step]
        if later and not self._warned_of_later:
            self._warned_of_later = True
            warnings.warn(
                CheckpointWarning(
                    f"{self.path} holds checkpoints of later steps ({', '.join(map(str, later))}) than the one just "
                    f"saved ({step}); they are left alone, and latest() returns them: remove them unless they are "
                    "of this run"
                ),
                stacklevel=3,
            )
