"""Cells of a grid of runs: worked through by several processes, each kept as soon as it is finished."""

import json
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]
"""What a cell measured: JSON."""
Work = Callable[..., Row]
"""From the arguments of a cell to its row."""


class KeptCells:
    """A folder with a file for each finished cell, and one that says what they were made by.

    Args:
        folder: made if it is not there.
        made_by: settings, data and commit, as JSON: cells made by others are refused, never mixed in.

    Raises:
        ValueError: if the folder keeps cells that were made by something else.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        card = folder / "made-by.json"
        if not card.exists():
            _write(card, made_by)
        found = json.loads(card.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(made_by))
        if found != wanted:
            differing = [name for name in wanted if found.get(name) != wanted[name]]
            raise ValueError(
                f"{folder} must keep cells of this recording, got some made by other {', '.join(differing)}; go on "
                "from the same commit with the same data, or give another folder"
            )

    def read(self, names: Mapping[str, object]) -> dict[str, Row]:
        """Return the finished cells.

        Args:
            names: of all cells.

        Returns:
            Rows by name, of those that are finished.
        """
        files = {name: self._file(name) for name in names}
        return {
            name: json.loads(file.read_text(encoding="utf-8"))
            for name, file in files.items()
            if file.exists()
        }

    def write(self, name: str, row: Row) -> None:
        """Keep a finished cell.

        Args:
            name: of the cell.
            row: what it measured.
        """
        _write(self._file(name), row)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace(', ', '-').replace(' ', '-')}.json"


def worked_through(
    cells: Mapping[str, tuple[Any, ...]], work: Work, workers: int = 0
) -> Generator[tuple[str, Row], None, None]:
    """Yield each cell's name and row, as they end.

    Args:
        cells: name to arguments.
        work: from the arguments to a row; with workers it must be a function of a module, or a partial of one.
        workers: processes with one thread each; 0 works in this process.

    Yields:
        Names and rows; in the order of the cells when there are no workers.
    """
    if not workers:
        for name, arguments in cells.items():
            yield name, work(*arguments)
        return
    # Spawned, because a fork of a process in which torch has computed may hang.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(work,)
    ) as pool:
        futures = {pool.submit(_row, *arguments): name for name, arguments in cells.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_WORK: list[Work] = []
"""What this process does with the arguments of a cell: sent once, because it may carry the images."""


def _begin(work: Work) -> None:
    torch.set_num_threads(1)
    _WORK[:] = [work]


def _row(*arguments: Any) -> Row:
    return _WORK[0](*arguments)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that the file is whole or absent."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(file)
