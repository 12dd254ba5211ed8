"""The set-up cell, the same in each chapter: finds or installs the course's library, then begins the session."""

__all__ = ["SETUP_TAGS", "requirement", "setup_cell"]

SETUP_TAGS = ("setup", "hide-input", "nbval-ignore-output")
"""Tags of the set-up cell; what pip says when it has to install is nobody's to compare."""

# Naming the versions that are there as requirements makes pip stop, not replace them, when they do not fit.
_TEMPLATE = """\
from importlib.metadata import version
from importlib.util import find_spec
if not find_spec("cnncourse"):  # on Colab: install this release of the course; the torch that is there stays
    kept = [f"{{name}}=={{version(name)}}" for name in ("torch", "torchvision", "numpy") if find_spec(name)]
    %pip install -q {{" ".join(kept)}} "{requirement}"
from cnncourse import claims, figures, notebook
course = notebook.begin("{slug}", BUDGET)"""


def requirement(repository: str, version: str) -> str:
    """Return what pip installs: one release, from the tag of its version.

    Args:
        repository: address of the git repository, without a slash at the end.
        version: of the library, for example ``0.1.0``; its tag is ``v0.1.0``.

    Returns:
        A direct reference as PEP 508 writes it.
    """
    return f"cnncourse @ git+{repository}@v{version}"


def setup_cell(slug: str, *, repository: str, version: str) -> str:
    """Return the source of a chapter's set-up cell; it works unchanged in Colab, Jupyter and papermill.

    Args:
        slug: the chapter's name, for example ``depth_separation``.
        repository: address of the git repository, without a slash at the end.
        version: of the library, for example ``0.1.0``.

    Returns:
        IPython source.
    """
    return _TEMPLATE.format(slug=slug, requirement=requirement(repository, version))
