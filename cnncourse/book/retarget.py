"""``retarget``: give a fork its own address, in the one place that holds it and in every copy."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnncourse.book.course import Course
from cnncourse.book.storage import write_atomically
from cnncourse.paths import course_root

__all__ = ["add_parsers", "check_address", "copies", "retarget"]

_ADDRESS = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(/[A-Za-z0-9_][A-Za-z0-9._-]*){2,}")
_COPY = re.compile(r"""(?:git\+|git clone |repository-code: |Repository = ")(https://[^\s"'@\\]+)""")
_FILES = (
    "*.md",
    "*.cff",
    "pyproject.toml",
    "book/**/*.md",
    "book/**/*.ipynb",
    ".github/**/*.yml",
    "_config.yml",
)
"""Files that may name the address. The one it is read from comes last: interrupted, the command can be repeated."""


def check_address(address: str) -> str:
    """Return a repository's address in the form that is stored.

    Args:
        address: as a browser shows it, for example ``https://github.com/you/your-course``.

    Returns:
        The address without a slash or ``.git`` at its end.

    Raises:
        ValueError: if it is not ``https://``, host, owner and name, with nothing after them.
    """
    stored = address.removesuffix("/").removesuffix(".git")
    if not _ADDRESS.fullmatch(stored):
        raise ValueError(
            "the address of a repository is https://, host, owner and name, for example "
            f"https://github.com/you/your-course, got {address!r}"
        )
    return stored


def _files(root: Path) -> Iterator[Path]:
    for pattern in _FILES:
        yield from sorted(path for path in root.glob(pattern) if ".ipynb_checkpoints" not in path.parts)


def copies(root: Path) -> dict[str, set[str]]:
    """Return the addresses that the course's files name as its own.

    Args:
        root: checkout of the course.

    Returns:
        File, relative to ``root``, to what stands after ``git+``, ``git clone`` and the like; without the
        files that name none.
    """
    found = {
        path.relative_to(root).as_posix(): {
            match.rstrip("/.") for match in _COPY.findall(path.read_text("utf-8"))
        }
        for path in _files(root)
    }
    return {name: addresses for name, addresses in found.items() if addresses}


def retarget(root: Path, address: str) -> list[Path]:
    """Write a new address into every file that names the old one.

    Args:
        root: checkout of the course.
        address: of the fork's repository.

    Returns:
        The files that changed.

    Raises:
        ValueError: if the address is malformed.
    """
    new = check_address(address)
    old = Course(root).repository
    named = re.compile(re.escape(old) + r"(?![\w-]|\.(?!git\b)\w)")
    # After a clone, the reader enters the folder that has the repository's name.
    entered = re.compile(rf"(git clone {re.escape(new)}\n *cd ){re.escape(old.rpartition('/')[2])}\b")
    contents = {}
    for path in _files(root):
        before = path.read_text(encoding="utf-8")
        after = entered.sub(rf"\g<1>{new.rpartition('/')[2]}", named.sub(new, before))
        if after != before:
            contents[path] = after.encode()
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = subparsers.add_parser(
        "retarget",
        help="write a fork's address into every file that names the repository",
        description="Write a fork's address into _config.yml and every copy: set-up cells, README, metadata.",
        epilog="example:  retarget https://github.com/you/your-course",
    )
    parser.add_argument("address", metavar="URL", help="of the repository, as a browser shows it")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    root = course_root()
    changed = retarget(root, arguments.address)
    for path in changed:
        print(path.relative_to(root))
    print(f"{len(changed)} files changed; the repository is {Course(root).repository}")
    if not Course(root).repository.startswith("https://github.com/"):
        print("Colab opens notebooks from GitHub only: the Colab buttons will not work.")
    return 0
