"""Public weights by word: fetched once, checked, kept; from a server on this machine."""

import errno
import hashlib
import http.server
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cnncourse.downloads import CacheError, DownloadError
from cnncourse.models import CATALOGUE, WeightsSource, build, catalogue, find


class Server(http.server.BaseHTTPRequestHandler):
    """Gives the file of its server; a path that starts with /once/ breaks the first answer off in the middle."""

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        content, seen = self.server.content, self.server.seen
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        seen.append(start)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        broken = self.path.startswith("/once/") and len(seen) == 1
        self.wfile.write(content[start : len(content) // 2 if broken else None])


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(2)
    return build("resnet20")


@pytest.fixture
def server(trained, tmp_path):
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "file.th")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    server.content, server.seen = (tmp_path / "file.th").read_bytes(), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The folder of downloads: empty, and not made yet."""
    monkeypatch.setenv("CNNCOURSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


def publish(monkeypatch, server, path="", digits=None):
    """Let the catalogue's ResNet-20 come from the server; return the file's name."""
    sha256 = digits or hashlib.sha256(server.content).hexdigest()[:8]
    name = f"resnet20-{sha256}.th"
    url = f"http://127.0.0.1:{server.server_address[1]}{path}/{name}"
    entry = replace(find("resnet20"), weights=WeightsSource(url, "none", "cifar10"))
    monkeypatch.setattr(catalogue, "CATALOGUE", (entry,))
    return name


def assert_same(model, other):
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


def test_a_file_is_fetched_once(monkeypatch, server, kept, trained):
    name = publish(monkeypatch, server)
    for _time in range(2):
        assert_same(build("resnet20", weights="cifar10"), trained)
    assert server.seen == [0]
    assert (kept / name).read_bytes() == server.content


def test_a_download_that_broke_off_goes_on(monkeypatch, server, kept, trained):
    name = publish(monkeypatch, server, "/once")
    assert_same(build("resnet20", weights="cifar10"), trained)
    assert server.seen == [0, len(server.content) // 2]
    assert [file.name for file in kept.iterdir() if not file.name.endswith(".lock")] == [name]


def test_a_wrong_file_is_named_and_not_kept(monkeypatch, server, kept):
    publish(monkeypatch, server, digits="0123456789")
    found = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DownloadError, match=f"wrong SHA-256 {found}, not 0123456789"):
        build("resnet20", weights="cifar10")
    assert [file.name for file in kept.iterdir() if not file.name.endswith(".lock")] == []


def test_a_damaged_file_is_replaced(monkeypatch, server, kept, trained):
    name = publish(monkeypatch, server)
    kept.mkdir(parents=True)
    (kept / name).write_bytes(server.content[:1000])
    assert_same(build("resnet20", weights="cifar10"), trained)
    assert (kept / name).read_bytes() == server.content


def offline(monkeypatch, server, kept):
    """Let the address be one where nobody listens; return where the file must be put by hand."""
    name = publish(monkeypatch, server)
    address = find("resnet20").weights.source.replace(str(server.server_address[1]), "1")
    entry = replace(find("resnet20"), weights=WeightsSource(address, "none", "cifar10"))
    monkeypatch.setattr(catalogue, "CATALOGUE", (entry,))
    return kept / name, address


def test_without_network_the_error_says_what_to_do(monkeypatch, server, kept, trained):
    place, address = offline(monkeypatch, server, kept)
    with pytest.raises(DownloadError) as caught:
        build("resnet20", weights="cifar10")
    message = str(caught.value)
    assert f"{address}: " in message
    assert f"put it here: {place}\n" in message
    assert f"Its SHA-256 must begin with {find('resnet20').weights.sha256}\n" in message
    assert "CNNCOURSE_HOME chooses another folder" in message
    assert f'build("resnet20", weights=".../{place.name}")' in message
    assert list(kept.glob("*.th")) == []
    place.write_bytes(server.content)  # as the message says
    assert_same(build("resnet20", weights="cifar10"), trained)
    assert_same(build("resnet20", weights=place), trained)


def read_only(self, *_arguments, **_keywords):
    """Refuse as a read-only disk does; the superuser, who may run this test, could write anywhere else."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))


def test_a_kept_file_may_lie_where_nobody_writes(monkeypatch, server, kept, trained):
    place, _address = offline(monkeypatch, server, kept)
    kept.mkdir(parents=True)
    place.write_bytes(server.content)
    for change in ("mkdir", "replace", "unlink", "touch"):
        monkeypatch.setattr(Path, change, read_only)
    assert_same(build("resnet20", weights="cifar10"), trained)
    assert [file.name for file in kept.iterdir()] == [place.name]


def test_a_folder_that_cannot_be_written(monkeypatch, server, kept):
    name = publish(monkeypatch, server)
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(CacheError, match=rf"{name} cannot be stored in {kept} \(Read-only .*CNNCOURSE_HOME"):
        build("resnet20", weights="cifar10")
    assert server.seen == []


def test_many_at_once_fetch_once(monkeypatch, server, kept, trained):
    publish(monkeypatch, server)
    models = []
    threads = [
        threading.Thread(target=lambda: models.append(build("resnet20", weights="cifar10"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(models) == 4
    for model in models:
        assert_same(model, trained)
    assert server.seen == [0]


def test_every_public_file_has_a_hash():
    for entry in CATALOGUE:
        if entry.weights and not entry.weights.packaged:
            assert entry.weights.source.endswith(f"-{entry.weights.sha256}{Path(entry.weights.file).suffix}")
            assert len(entry.weights.sha256) >= 8
    with pytest.raises(
        ValueError, match=r"ends in -<first digits of its SHA-256>.<suffix>, got https://a.b/net.pth"
    ):
        WeightsSource("https://a.b/net.pth", "none")
    with pytest.raises(ValueError, match="'imagenet' or 'cifar10', got 'mnist'"):
        WeightsSource("https://a.b/net-01234567.pth", "none", "mnist")
