import subprocess
from datetime import date

import pytest

import cnncourse
from cnncourse.records import conditions, peak_memory_mib, provenance


def git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "used.py").write_text("1")
    (tmp_path / "unused.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_commit_and_changes_to_what_ran(checkout, monkeypatch):
    monkeypatch.setattr(conditions, "_loaded_files", lambda: [str(checkout / "used.py")])
    clean = conditions._commit(checkout)
    assert len(clean) == 40
    (checkout / "unused.py").write_text("2")  # somebody else's work does not touch the result
    assert conditions._commit(checkout) == clean
    (checkout / "used.py").write_text("2")
    assert conditions._commit(checkout) == clean + "+changes"


def test_a_new_file_that_ran_counts_as_a_change(checkout, monkeypatch):
    (checkout / "new.py").write_text("1")
    monkeypatch.setattr(conditions, "_loaded_files", lambda: [str(checkout / "new.py")])
    assert conditions._commit(checkout).endswith("+changes")


def test_no_commit_without_a_checkout_of_our_own(checkout, tmp_path_factory):
    inside = checkout / "site-packages"
    inside.mkdir()
    assert conditions._commit(inside) == "unknown"
    assert conditions._commit(tmp_path_factory.mktemp("bare")) == "unknown"


def test_what_is_told():
    told = provenance(threads=2, packages=("numpy",))
    assert told.versions["cnncourse"] == cnncourse.__version__
    assert set(told.versions) == {"cnncourse", "python", "numpy"}
    assert told.device.endswith(", 2 threads")
    assert provenance(threads=1).device.endswith(", 1 thread")
    assert abs((date.today() - date.fromisoformat(told.date)).days) <= 1
    assert any(path.endswith("conditions.py") for path in conditions._loaded_files())
    assert peak_memory_mib() > 1
