"""What the book consists of: the pages of ``_toc.yml``, its notebooks, the repository's address."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Course"]


@dataclass(frozen=True)
class Course:
    """A checkout of the course, read from its ``_toc.yml`` and ``_config.yml``."""

    root: Path
    """Folder that holds ``_toc.yml``."""

    def _read(self, name: str) -> dict[str, Any]:
        path = self.root / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; run this inside a checkout of the course")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{path} must hold a mapping, got {type(content).__name__}")
        return content

    @cached_property
    def pages(self) -> list[str]:
        """Names of all pages in reading order, without ending: ``book/intro``."""
        toc = self._read("_toc.yml")
        entries = list(toc.get("chapters", []))
        for part in toc.get("parts", []):
            entries += part.get("chapters", [])
        return [toc["root"], *(entry["file"] for entry in entries)]

    @cached_property
    def notebooks(self) -> dict[str, Path]:
        """Slug to notebook, in reading order; chapters whose file does not exist yet are in it as well."""
        found = {}
        for page in self.pages:
            path = self.root / f"{page}.ipynb"
            if not (self.root / f"{page}.md").is_file():
                found[path.stem] = path
        return found

    @cached_property
    def repository(self) -> str:
        """Address of the repository, without a slash at the end."""
        return str(self._read("_config.yml")["repository"]["url"]).rstrip("/")

    @cached_property
    def branch(self) -> str:
        """Branch that Colab links point to."""
        return str(self._read("_config.yml")["repository"]["branch"])

    def notebook(self, slug: str) -> Path:
        """Return the path of a chapter's notebook.

        Args:
            slug: the chapter's name, for example ``depth_separation``.

        Returns:
            The path.

        Raises:
            ValueError: if ``_toc.yml`` lists no such chapter.
        """
        if slug not in self.notebooks:
            raise ValueError(f"_toc.yml lists no chapter {slug!r}; it lists {', '.join(self.notebooks)}")
        return self.notebooks[slug]
