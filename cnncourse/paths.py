"""Where the course's own files are: in a checkout, or inside an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def course_root() -> Path:
    """Return the folder that holds ``book/claims.yml`` and ``data/results``.

    A checkout (also an editable installation) is its own root; an ordinary installation carries copies
    of the few files that notebooks read inside the package.

    Returns:
        The checkout, or ``cnncourse/_course`` of an installed package.
    """
    checkout = _PACKAGE.parent
    return checkout if (checkout / "_toc.yml").is_file() else _PACKAGE / "_course"
