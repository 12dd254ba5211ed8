"""Archives made to do harm, and damaged ones: nothing may leave the folder, nothing half-done may stay."""

import errno
import io
import os
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.datasets import ArchiveError, CacheError, archives
from cnncourse.datasets.archives import extracted, local_archive, read_members, stem

GOOD = {"top/a.txt": b"one", "top/deep/b.bin": bytes(range(256)) * 50, "top/empty": b""}


def tar_of(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                tar.addfile(info)
    return path


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def files_in(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_nothing_left(folder, archive):
    left = {p.name for p in folder.rglob("*")} - {archive.name}
    assert left <= {".place.lock"}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.tar.gz", tar_of),
        ("x.tgz", tar_of),
        ("x.tar", lambda path, members: tar_of(path, members, "w")),
        ("x.tar.bz2", lambda path, members: tar_of(path, members, "w:bz2")),
        ("x.tar.xz", lambda path, members: tar_of(path, members, "w:xz")),
        ("x.zip", zip_of),
    ],
)
def test_content_comes_out_as_it_went_in(tmp_path, name, make):
    archive = make(tmp_path / name, GOOD)
    place = tmp_path / "deep" / "place"
    assert extracted(archive, place) == place
    assert files_in(place) == GOOD
    assert stem(name) == "x"
    archive.unlink()
    assert extracted(archive, place) == place  # not needed any more


def link(target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def device():
    info = tarfile.TarInfo()
    info.type = tarfile.FIFOTYPE
    return info


BAD_NAMES = ["../evil", "a/../../evil", "/tmp/evil", "a/..", "..\\evil", "C:\\evil", "c:evil", "a\\..\\b"]


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_names_that_point_outside(tmp_path, bad, make):
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = make(inner / "x.tar.gz", {"fine": b"1", bad: b"evil"})
    with pytest.raises(ArchiveError, match="points outside the folder; nothing was kept"):
        extracted(archive, inner / "place")
    assert_nothing_left(inner, archive)
    assert [p.name for p in tmp_path.iterdir()] == ["inner"]


@pytest.mark.parametrize(
    ("member", "word"),
    [
        (link("/etc"), "link"),
        (link("../../x"), "link"),
        (link("fine", tarfile.LNKTYPE), "link"),
        (device(), "device"),
    ],
    ids=["absolute-link", "relative-link", "hard-link", "device"],
)
def test_links_and_devices_in_tar(tmp_path, member, word):
    archive = tar_of(tmp_path / "x.tar", {"fine": b"1", "bad": member}, "w")
    with pytest.raises(ArchiveError, match=f"'bad' is a {word}, and only files and folders"):
        extracted(archive, tmp_path / "place")
    assert_nothing_left(tmp_path, archive)


def test_links_in_zip(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as content:
        info = zipfile.ZipInfo("bad")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        content.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="'bad' is a link"):
        extracted(archive, tmp_path / "place")
    assert_nothing_left(tmp_path, archive)


def test_a_member_twice(tmp_path):
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        for content in (b"1", b"22"):
            info = tarfile.TarInfo("a")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(ArchiveError, match="holds 'a' twice"):
        extracted(archive, tmp_path / "place")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_bomb_is_stopped_when_it_grows(tmp_path, make):
    archive = make(tmp_path / "x.zip", {"small": b"1", "zeros": bytes(3 << 20)})
    assert archive.stat().st_size < 20_000
    with pytest.raises(ArchiveError, match="grows beyond 1,000,000 bytes at 'zeros'"):
        extracted(archive, tmp_path / "place", limit=1_000_000)
    assert_nothing_left(tmp_path, archive)


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text"])
def test_damaged_archives(tmp_path, make, damage):
    archive = make(tmp_path / "x.zip", {"noise": bytes(range(256)) * 40, **GOOD})
    content = bytearray(archive.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        content = b"" if damage == "empty" else b"<html>not here</html>"
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        extracted(archive, tmp_path / "place")
    assert_nothing_left(tmp_path, archive)


def test_a_zip_with_a_password(tmp_path):
    archive = zip_of(tmp_path / "x.zip", {"a": b"12345"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag in the member's header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"password|encrypted"):
        extracted(archive, tmp_path / "place")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), max_size=4))
def test_any_name_stays_inside_or_is_refused(tmp_path_factory, names):
    box = tmp_path_factory.mktemp("box")
    folder = box / "folder"
    folder.mkdir()
    archive = tar_of(folder / "x.tar", dict.fromkeys(names, b"1"), "w")
    try:
        extracted(archive, folder / "place")
    except (ArchiveError, CacheError):
        assert_nothing_left(folder, archive)
    assert [p.name for p in box.iterdir()] == ["folder"]
    assert {p.name for p in folder.iterdir()} <= {"place", "x.tar", ".place.lock"}


def test_what_a_killed_process_left_is_swept(tmp_path):
    archive = zip_of(tmp_path / "x.zip", GOOD)
    half = tmp_path / ".place.part"
    half.mkdir()
    (half / "half").write_text("done")
    assert files_in(extracted(archive, tmp_path / "place")) == GOOD
    assert not half.exists()


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "x.zip", GOOD)
    opened = Path.open

    def refuse(self, *arguments, **keywords):
        if self.name == "b.bin":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CacheError, match=r"No space left on device.*CNNCOURSE_HOME"):
        extracted(archive, tmp_path / "place")
    assert_nothing_left(tmp_path, archive)


def test_the_folder_is_named_after_the_content(tmp_path):
    first, sha256 = local_archive(zip_of(tmp_path / "x.zip", {"a": b"1"}), tmp_path / "cache")
    second, _ = local_archive(zip_of(tmp_path / "x.zip", {"a": b"2"}), tmp_path / "cache")
    assert first == tmp_path / "cache" / f"x-{sha256[:12]}"
    assert (files_in(first), files_in(second)) == ({"a": b"1"}, {"a": b"2"})


def test_reading_members_without_unpacking(tmp_path):
    archive = tar_of(tmp_path / "x.tar.gz", GOOD)
    assert read_members(archive, ("top/a.txt", "top/empty")) == {"top/a.txt": b"one", "top/empty": b""}
    with pytest.raises(ArchiveError, match="no member 'nowhere'; it is another archive"):
        read_members(archive, ("top/a.txt", "nowhere"))
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_members(archive, ("top/a.txt",))


def test_another_process_was_faster(tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "x.zip", GOOD)
    place = tmp_path / "place"

    @contextmanager
    def wait_for_the_other(_path):
        place.mkdir()
        yield True

    monkeypatch.setattr(archives, "locked", wait_for_the_other)
    assert files_in(extracted(archive, place)) == {}  # taken as the other left it


def test_many_without_locks_still_give_one_folder(tmp_path, monkeypatch):
    @contextmanager
    def no_lock(_path):
        yield False

    monkeypatch.setattr(archives, "locked", no_lock)
    archive = zip_of(tmp_path / "x.zip", GOOD)
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: extracted(archive, tmp_path / "place"), range(4)))
    assert {files_in(place) == GOOD for place in places} == {True}
    assert {p.name for p in tmp_path.iterdir()} == {"x.zip", "place"}
