from pathlib import Path

import pytest

from cnncourse import paths


def test_a_checkout_is_its_own_root():
    root = paths.course_root()
    assert (root / "book" / "claims.yml").is_file()
    assert root == Path(paths.__file__).parents[1]


@pytest.mark.parametrize("checkout", [True, False])
def test_an_installed_package_carries_its_copies(tmp_path, monkeypatch, checkout):
    package = tmp_path / "cnncourse"
    package.mkdir()
    if checkout:
        (tmp_path / "_toc.yml").touch()
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.course_root() == (tmp_path if checkout else package / "_course")
