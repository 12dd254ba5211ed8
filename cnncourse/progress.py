"""A progress bar for people, and none for logs, tests and stored notebooks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def somebody_is_watching() -> bool:
    """Return whether a progress bar would be seen while it moves.

    That is so in a terminal, and in a notebook whose front end could also be asked a question; programs
    that execute notebooks (nbclient, papermill) announce that they cannot, and would store the bar in the
    file.

    Returns:
        True in front of a person.
    """
    main = sys.modules.get("IPython")
    shell = main.get_ipython() if main is not None else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return sys.stderr is not None and sys.stderr.isatty()
    content = kernel.get_parent().get("content", {})
    return bool(content.get("allow_stdin", False))


@contextmanager
def progress_bar(
    title: str, *, total: int | None, unit: str, show: bool | None = None
) -> Iterator[Callable[[int], object]]:
    """Show how far something has got, and take the bar away at the end.

    Args:
        title: what is going on, in front of the bar.
        total: number of units at the end; ``None`` if nobody knows.
        unit: what is counted, such as ``"B"`` for bytes (scaled to kB, MB) or ``"step"``.
        show: ``None`` means :func:`somebody_is_watching`.

    Yields:
        A function to call with the number of units just done.
    """
    if not (somebody_is_watching() if show is None else show):
        yield lambda _count: None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=title, total=total, unit=unit, unit_scale=unit == "B", leave=False) as bar:
        yield bar.update
