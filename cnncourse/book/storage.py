"""Notebooks on disk: read with clear complaints, written whole or not at all."""

import os
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from cnncourse.book.execute import NotebookError

__all__ = ["read_notebook", "serialise", "write_atomically"]


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook.

    Args:
        path: an ``.ipynb`` file.

    Returns:
        The notebook as format 4.

    Raises:
        NotebookError: if there is no such file, or it is no notebook.
    """
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise NotebookError(f"{path.stem}: there is no notebook {path}") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError) as error:
        raise NotebookError(f"{path.stem}: {path} is not a notebook: {error}") from error
    return notebook


def serialise(notebook: NotebookNode) -> bytes:
    """Return the bytes under which a notebook is stored.

    Args:
        notebook: in its stored form, see :func:`cnncourse.book.normalise.normalise`.

    Returns:
        JSON in UTF-8, its keys sorted, with a newline at the end.
    """
    text: str = nbformat.writes(notebook)
    return (text.rstrip("\n") + "\n").encode()


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that at every instant either the old or the new content is there, whole.

    Args:
        path: file to write.
        content: of the file.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
