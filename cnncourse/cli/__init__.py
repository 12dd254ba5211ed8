"""The command line: ``python -m cnncourse`` or ``cnncourse``; heavy imports wait until they are needed."""

from cnncourse.cli.parser import main

__all__ = ["main"]
