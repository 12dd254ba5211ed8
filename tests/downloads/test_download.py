"""Every fault a download can meet, from a server on this machine."""

import errno
import hashlib
import http.server
import os
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cnncourse.downloads import CacheError, DownloadError, RemoteFile, cache_folder, download, fetch, locked

CONTENT = random.Random(0).randbytes(1_000_000)
HALF = 524_288
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Mirror(http.server.BaseHTTPRequestHandler):
    """One server, many behaviours: the first part of the path says which."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        start = 0
        header = self.headers.get("Range")
        if header and behaviour != "no-range":
            start = int(header.removeprefix("bytes=").rstrip("-"))
        self.server.seen.append((behaviour, start))
        getattr(self, behaviour.replace("-", "_"))(start)

    def answer(self, content, start, announced=None, status=None):
        body = content[start:]
        self.send_response(status or (206 if start else 200))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def good(self, start):
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(CONTENT, start)

    def no_range(self, _start):
        self.answer(CONTENT, 0)

    def slow(self, start):
        time.sleep(0.5)
        self.answer(CONTENT, start)

    def corrupt(self, start):
        self.answer(b"x" + CONTENT[1:], start)

    def truncated(self, start):  # complete as far as the protocol can tell
        self.answer(CONTENT[:HALF], start)

    def portal(self, _start):  # the log-in page of a hotel
        self.answer(b"<html>Welcome</html>", 0)

    def missing(self, _start):
        self.send_error(404)

    def busy(self, _start):
        self.send_error(503)

    def drops(self, start):  # sends at most half a megabyte, then hangs up
        self.answer(CONTENT[: start + HALF], start, announced=len(CONTENT) - start)

    def drops_once(self, start):
        (self.good if start else self.drops)(start)

    def dies(self, start):  # gives the first half and then never anything again
        self.answer(CONTENT[: max(HALF, start)], start, announced=len(CONTENT) - start)

    def bad_half(self, start):
        self.answer(b"x" * max(HALF, start), start, announced=len(CONTENT) - start)

    def other_range(self, start):  # answers a range that nobody asked for
        self.answer(CONTENT, start // 2 if start else 0)

    def silent(self, _start):
        self.server.released.wait(5)

    def chunked(self, _start):  # no Content-Length
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for begin in range(0, len(CONTENT), HALF):
            piece = CONTENT[begin : begin + HALF]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def mirrors():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.daemon_threads = True
    server.seen, server.released = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def remote(server, *behaviours):
    port = server.server_address[1]
    return RemoteFile(
        "data.gz", SHA256, tuple(f"http://127.0.0.1:{port}/{name}/data.gz" for name in behaviours)
    )


def assert_whole(path, folder):
    assert path == folder / "data.gz"
    assert path.read_bytes() == CONTENT
    assert {p.name for p in folder.iterdir()} <= {"data.gz", ".data.gz.lock"}  # nothing half-done stays


@pytest.mark.parametrize(
    ("behaviours", "requests"),
    [
        (["good"], [("good", 0)]),
        (["chunked"], [("chunked", 0)]),
        (["truncated", "good"], [("truncated", 0), ("good", 0)]),
        (["corrupt", "good"], [("corrupt", 0), ("good", 0)]),
        (["portal", "good"], [("portal", 0), ("good", 0)]),
        (["missing", "busy", "good"], [("missing", 0), ("busy", 0), ("good", 0)]),
        (["drops-once"], [("drops-once", 0), ("drops-once", HALF)]),
        (["drops"], [("drops", 0), ("drops", HALF)]),
        (["dies", "good"], [("dies", 0), *[("dies", HALF)] * 3, ("good", HALF)]),
        (["dies", "no-range"], [("dies", 0), *[("dies", HALF)] * 3, ("no-range", 0)]),
        # a wrong first half is found at the end; the good mirror is then asked for all of it
        (["bad-half", "good"], [("bad-half", 0), *[("bad-half", HALF)] * 3, ("good", HALF), ("good", 0)]),
    ],
    ids=lambda value: "-then-".join(value) if isinstance(value[0], str) else "",
)
def test_ends_in_the_right_bytes(mirrors, tmp_path, behaviours, requests):
    folder = tmp_path / "deep" / "cache"
    assert_whole(fetch(remote(mirrors, *behaviours), folder), folder)
    assert mirrors.seen == requests


def test_a_range_nobody_asked_for_is_not_appended(mirrors, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    assert_whole(fetch(remote(mirrors, "other-range", "good"), tmp_path), tmp_path)


def part(folder):
    return folder / f".data.gz.{SHA256[:8]}.part"


def test_goes_on_where_a_killed_process_stopped(mirrors, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:300_000])
    assert_whole(fetch(remote(mirrors, "good"), tmp_path), tmp_path)
    assert mirrors.seen == [("good", 300_000)]


@pytest.mark.parametrize(
    "left", [CONTENT, CONTENT + b"more", b"x" * len(CONTENT)], ids=["whole", "longer", "wrong"]
)
def test_a_part_with_nothing_behind_it(mirrors, tmp_path, left):
    part(tmp_path).write_bytes(left)
    assert_whole(fetch(remote(mirrors, "good"), tmp_path), tmp_path)


def test_a_right_file_is_used_without_network(tmp_path):
    (tmp_path / "data.gz").write_bytes(CONTENT)
    file = RemoteFile("data.gz", SHA256, ("http://127.0.0.1:1/never",))
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["data.gz"]


@pytest.mark.parametrize(
    "damaged", [b"", CONTENT[:HALF], b"x" + CONTENT[1:]], ids=["empty", "truncated", "corrupt"]
)
def test_a_damaged_file_in_the_cache_is_replaced(mirrors, tmp_path, damaged):
    (tmp_path / "data.gz").write_bytes(damaged)
    assert_whole(fetch(remote(mirrors, "good"), tmp_path), tmp_path)


def test_no_mirror_has_it(mirrors, tmp_path):
    file = remote(mirrors, "missing", "corrupt", "dies")
    with pytest.raises(DownloadError) as caught:
        fetch(file, tmp_path)
    message = str(caught.value)
    assert "data.gz could not be downloaded" in message
    assert all(url in message for url in file.urls)
    assert "404" in message
    assert f"wrong SHA-256 {hashlib.sha256(b'x' + CONTENT[1:]).hexdigest()}, not {SHA256}" in message
    assert f"broke off after {HALF:,} of 1,000,000 bytes" in message
    assert f"put it here: {tmp_path / 'data.gz'}" in message
    assert SHA256 in message
    assert not (tmp_path / "data.gz").exists()
    assert part(tmp_path).stat().st_size == HALF  # kept, so that the next attempt is shorter


def test_no_network(tmp_path):
    with socket.socket() as free:  # a port on which nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.gz"
    file = RemoteFile("data.gz", SHA256, (url, "http://no-such-host.invalid/data.gz"))
    with pytest.raises(DownloadError, match=r"(?s)no-such-host.invalid.*Check the network.*put it here: "):
        fetch(file, tmp_path)
    assert not (tmp_path / "data.gz").exists()


def test_a_silent_mirror_is_left(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    assert_whole(fetch(remote(mirrors, "silent", "good"), tmp_path), tmp_path)


def test_a_folder_that_cannot_be_made(mirrors, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match=r"data.gz cannot be stored in .*CNNCOURSE_HOME.*by hand as "):
        fetch(remote(mirrors, "good"), tmp_path / "file" / "cache")
    assert mirrors.seen == []


def test_a_read_only_file_system(mirrors, tmp_path, monkeypatch):
    # root may write anywhere, so the refusal is made here
    def refuse(self, *_arguments, **_keywords):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CacheError, match="Read-only file system"):
        fetch(remote(mirrors, "good"), tmp_path)
    assert mirrors.seen == []


def test_a_full_disk(mirrors, tmp_path, monkeypatch):
    def refuse(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CacheError, match=r"No space left on device.*CNNCOURSE_HOME"):
        fetch(remote(mirrors, "good"), tmp_path)
    assert not (tmp_path / "data.gz").exists()


CHILD = """
import pathlib, sys
from cnncourse.downloads import RemoteFile, fetch
assert "torch" not in sys.modules
print(fetch(RemoteFile("data.gz", sys.argv[1], (sys.argv[2],)), pathlib.Path(sys.argv[3])))
"""


def test_two_processes_at_once_download_once(mirrors, tmp_path):
    file = remote(mirrors, "slow")
    arguments = [SHA256, file.urls[0], str(tmp_path)]
    both = [
        subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in both]
    assert said == [str(tmp_path / "data.gz")] * 2
    assert_whole(tmp_path / "data.gz", tmp_path)
    assert mirrors.seen == [("slow", 0)]


def test_many_threads_without_locks_still_give_one_file(mirrors, tmp_path, monkeypatch):
    @contextmanager
    def no_lock(_path):
        yield False

    monkeypatch.setattr(download, "locked", no_lock)
    threads = [threading.Thread(target=fetch, args=(remote(mirrors, "slow"), tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_whole(tmp_path / "data.gz", tmp_path)


def test_a_lock_is_held_and_released(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "lock") as alone:
            order.append(("second", alone))

    with locked(tmp_path / "lock") as alone:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.1)
        order.append(("first", alone))
    thread.join()
    assert order == [("first", True), ("second", True)]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNCOURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("CNNCOURSE_HOME")
    assert cache_folder() == tmp_path / "xdg" / "cnncourse"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "cnncourse"
    assert not (tmp_path / "home").exists()


def test_a_remote_file_needs_a_hash_and_an_address():
    with pytest.raises(
        ValueError, match=r"data.gz needs a SHA-256 \(8 to 64 .* at least one address, got .* \(\)"
    ):
        RemoteFile("data.gz", SHA256, ())
    for wrong in ("abc", SHA256 + "0", SHA256.upper(), ""):
        with pytest.raises(ValueError, match=f"got '{wrong}' and "):
            RemoteFile("data.gz", wrong, ("http://127.0.0.1/",))


def test_the_first_digits_of_a_hash_will_do(mirrors, tmp_path):
    file = replace(remote(mirrors, "corrupt", "good"), sha256=SHA256[:8])
    assert_whole(fetch(file, tmp_path), tmp_path)
    (tmp_path / "data.gz").unlink()
    with pytest.raises(DownloadError, match=rf"Its SHA-256 must begin with {SHA256[:8]}$"):
        fetch(replace(file, urls=file.urls[:1]), tmp_path)
