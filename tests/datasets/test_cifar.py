"""The CIFAR readers on small files of the original layout, with torchvision's readers as the judge."""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from cnncourse.datasets import CacheError, DownloadError, RemoteFile, cifar, load, numpy_pickle
from cnncourse.datasets.cifar import cifar10, cifar100, records_from_binary, records_from_pickle
from cnncourse.datasets.cifar_classes import CIFAR10, CIFAR100, CIFAR100_COARSE
from cnncourse.datasets.numpy_pickle import PickleError, read_pickle

SIZES = {"train": 500, "test": 200}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Expect few images, and no network."""
    monkeypatch.setattr(cifar, "SIZES", SIZES)
    monkeypatch.setenv("CNNCOURSE_HOME", str(tmp_path / "home"))

    def offline(*_arguments, **_keywords):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", offline)


def content(name, split):
    """Return images, fine labels and coarse labels, the same whenever asked."""
    rng = np.random.default_rng([len(name), len(split)])
    count = SIZES[split]
    pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    fine = rng.permutation(np.arange(count) % (10 if name == "cifar10" else 100)).astype(np.uint8)
    return pixels, fine, (fine // 5).astype(np.uint8)


def python_files(name, key=str.encode):
    """Return file name to content of the Python version, pickled by Python 3, with keys of bytes or text."""
    files = {}
    for split, parts in cifar.FORMS[name][1].files.items():
        pixels, fine, coarse = (np.split(array, len(parts)) for array in content(name, split))
        for index, part in enumerate(parts):
            batch = {"batch_label": b"some text", "data": pixels[index], "filenames": [b"a.png"] * 3}
            if name == "cifar10":
                batch["labels"] = fine[index].tolist()
            else:
                batch |= {"fine_labels": fine[index].tolist(), "coarse_labels": coarse[index].tolist()}
            files[part] = pickle.dumps({key(word): value for word, value in batch.items()}, protocol=2)
    return files


def binary_files(name):
    files = {}
    for split, parts in cifar.FORMS[name][0].files.items():
        pixels, fine, coarse = content(name, split)
        columns = [fine[:, None], pixels] if name == "cifar10" else [coarse[:, None], fine[:, None], pixels]
        for part, records in zip(parts, np.split(np.concatenate(columns, axis=1), len(parts)), strict=True):
            files[part] = records.tobytes()
    return files


def put_folder(root, name, form, key=str.encode):
    folder = root / cifar.FORMS[name][form].folder
    folder.mkdir(parents=True)
    for part, data in (python_files(name, key) if form else binary_files(name)).items():
        (folder / part).write_bytes(data)


def put_archive(root, name, form, monkeypatch):
    """Write an archive of the original layout, and let the reader expect its hash."""
    root.mkdir(parents=True, exist_ok=True)
    published = cifar.FORMS[name][form]
    path = root / published.archive.name
    with tarfile.open(path, "w:gz") as tar:
        for part, data in (python_files(name) if form else binary_files(name)).items():
            info = tarfile.TarInfo(f"{published.folder}/{part}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    forms = list(cifar.FORMS[name])
    forms[form] = replace(published, archive=RemoteFile(path.name, sha256, published.archive.urls))
    monkeypatch.setitem(cifar.FORMS, name, tuple(forms))
    return path


def assert_right(data, name, split, labels="fine"):
    pixels, fine, coarse = content(name, split)
    assert data.images.shape == (SIZES[split], 3, 32, 32)
    assert torch.equal(data.images, torch.from_numpy(pixels).reshape(-1, 3, 32, 32))
    assert data.targets.tolist() == (fine if labels == "fine" else coarse).tolist()


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("form", [0, 1], ids=["binary", "python"])
@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_every_form_gives_the_same(tmp_path, monkeypatch, name, *, form, kind, split):
    if kind == "folder":
        put_folder(tmp_path, name, form)
    else:
        put_archive(tmp_path, name, form, monkeypatch)
    data = load(name, split, root=tmp_path)
    assert_right(data, name, split)
    assert data.info == (CIFAR10 if name == "cifar10" else CIFAR100)
    assert all(len(sha256) == 64 for sha256 in data.sha256.values())
    assert_right(load(name, split, root=tmp_path), name, split)  # the second time perhaps from the cache
    if name == "cifar100":
        coarse = load(name, split, root=tmp_path, labels="coarse")
        assert_right(coarse, name, split, "coarse")
        assert coarse.info == CIFAR100_COARSE


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_same_as_torchvision(tmp_path, monkeypatch, name, train):
    from torchvision import datasets

    put_folder(tmp_path, name, 1, key=str)
    meta = "batches.meta" if name == "cifar10" else "meta"
    key = "label_names" if name == "cifar10" else "fine_label_names"
    (tmp_path / cifar.FORMS[name][1].folder / meta).write_bytes(pickle.dumps({key: ["x"]}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_arguments: True)
    theirs = getattr(datasets, name.upper())(str(tmp_path), train=train)
    ours = (cifar10 if name == "cifar10" else cifar100)("train" if train else "test", root=tmp_path)
    assert torch.equal(ours.images, torch.from_numpy(theirs.data).permute(0, 3, 1, 2))
    assert ours.targets.tolist() == list(theirs.targets)


def test_the_binary_record_by_hand():
    record = bytes([7, *[1] * 1024, *[2] * 1024, *[3] * 1023, 4])
    (read,) = records_from_binary(record, 1)
    assert read[0] == 7
    planes = read[1:].reshape(3, 32, 32)
    assert (planes[0] == 1).all()
    assert (planes[1] == 2).all()
    assert planes[2, 31, 30:].tolist() == [3, 4]


@pytest.mark.parametrize("size", [0, 1, 3072, 3074])
def test_binary_files_of_another_length(size):
    with pytest.raises(ValueError, match=f"records of 3073 bytes cannot have {size} bytes"):
        records_from_binary(bytes(size), 1)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(protocol):
    pixels, fine, _ = content("cifar10", "test")
    batch = {b"data": pixels, b"labels": fine.tolist()}
    records = records_from_pickle(pickle.dumps(batch, protocol=protocol), 1)
    assert np.array_equal(records, np.concatenate([fine[:, None], pixels], axis=1))


def test_a_pickle_of_python_2():
    """As in the original archives: protocol 2, byte strings, NumPy's old module names."""
    pixels = np.arange(6144, dtype=np.int64).astype(np.uint8).reshape(2, 3072)
    head = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00"
    )
    array = (
        head
        + b"\x85U\x01b\x87Rq\x05(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
        + b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + len(pixels.tobytes()).to_bytes(4, "little")
        + pixels.tobytes()
        + b"tbU\x06labels]q\x07(K\x05K\x09eu."
    )
    assert np.array_equal(pickle.loads(array, encoding="bytes")[b"data"], pixels)  # NumPy agrees
    records = records_from_pickle(array, 1)
    assert np.array_equal(records[:, 1:], pixels)
    assert records[:, 0].tolist() == [5, 9]


class Malicious:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def witness(path):
    path.write_text("executed")


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("place", ["alone", "label", "key"])
def test_a_malicious_pickle_is_not_executed(tmp_path, protocol, place):
    flag = tmp_path / "flag"
    bad = Malicious(os.system, f"touch {flag}")
    batch = {
        "alone": bad,
        "label": {b"labels": [bad]},
        "key": {b"data": np.zeros((1, 3072), np.uint8), 1: bad},
    }
    payload = pickle.dumps(batch[place], protocol=protocol)
    with pytest.raises(
        PickleError, match=r"asks for (posix|nt).system, which no data set needs; it was not run"
    ):
        records_from_pickle(payload, 1)
    assert not flag.exists()
    pickle.loads(payload)  # the proof that it would have
    assert flag.exists()


@pytest.mark.parametrize(
    "function",
    [eval, exec, getattr, __import__, open, np.load, np.fromfile, np.frombuffer, type, object, os.popen],
    ids=lambda function: function.__name__,
)
def test_no_function_can_be_had(function):
    with pytest.raises(PickleError, match="asks for "):
        read_pickle(pickle.dumps(function))


def test_the_reader_says_which_folder(tmp_path):
    flag = tmp_path / "flag"
    put_folder(tmp_path, "cifar10", 1)
    bad = tmp_path / "cifar-10-batches-py" / "test_batch"
    bad.write_bytes(pickle.dumps(Malicious(os.system, f"touch {flag}")))
    with pytest.raises(CacheError, match=r"cifar-10-batches-py cannot be read .*system.*delete it"):
        cifar10("test", root=tmp_path)
    assert not flag.exists()
    assert len(cifar10("train", root=tmp_path)) == 500


SMUGGLERS = {
    "sets a default": b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__(K\x01ts\x86b.",
    "sets an attribute": b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
    "calls ndarray": b"\x80\x02cnumpy\nndarray\nK\x05\x85R.",
    "makes an object": b"\x80\x02cnumpy\ndtype\n)\x81.",
    "persistent": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "extension": b"\x80\x02\x82\x01.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
    "huge memo": b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b"N\x81.",
    "huge bytes": b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.",
}


@pytest.mark.parametrize("payload", SMUGGLERS.values(), ids=SMUGGLERS)
def test_what_a_pickle_may_not_do(payload):
    before = dict(vars(numpy_pickle))
    with pytest.raises(PickleError):
        read_pickle(payload)
    assert vars(numpy_pickle) == before
    assert numpy_pickle._encoded.__defaults__ == ("latin1",)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3072)), np.zeros((2, 3072), np.int8), np.zeros((2, 3072), object), np.zeros(2, "u1,u2")],
    ids=["float", "signed", "object", "record"],
)
def test_only_arrays_of_bytes(array):
    with pytest.raises(PickleError, match=r"only arrays of unsigned bytes|not bytes|cannot be read"):
        records_from_pickle(pickle.dumps({b"data": array, b"labels": [0, 0]}), 1)


ZEROS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "a batch is a dictionary, got list"),
        (ZEROS, "a batch is a dictionary, got ndarray"),
        ({b"labels": [0, 0]}, "an array 'data'"),
        ({b"data": ZEROS[:, :5], b"labels": [0, 0]}, "with 3,072 bytes"),
        ({b"data": ZEROS}, "a list 'labels'"),
        ({b"data": ZEROS, b"labels": [0]}, "a list 'labels' with a number for each image"),
        ({b"data": ZEROS, b"labels": [0, 256]}, "from 0 to 255"),
        ({b"data": ZEROS, b"labels": [0, -1]}, "from 0 to 255"),
        ({b"data": ZEROS, b"labels": [0, b"x"]}, "from 0 to 255"),
    ],
)
def test_batches_of_another_form(batch, message):
    with pytest.raises(PickleError, match=message):
        records_from_pickle(pickle.dumps(batch), 1)


def test_no_byte_of_a_damaged_pickle_does_harm():
    """Every truncation, and a change of every byte of the program part, ends in data or in a PickleError."""
    payload = pickle.dumps({b"labels": [3], b"data": np.zeros((1, 4), np.uint8)}, protocol=2)
    for cut in range(len(payload)):
        with pytest.raises(PickleError):
            read_pickle(payload[:cut])
    for place in range(len(payload)):
        for value in (0, 255, payload[place] ^ 1, payload[place] ^ 32):
            try:
                read_pickle(payload[:place] + bytes([value]) + payload[place + 1 :])
            except PickleError:
                continue


def test_an_incomplete_folder_is_not_taken_for_the_data_set(tmp_path, monkeypatch):
    put_folder(tmp_path, "cifar10", 0)
    monkeypatch.setattr(cifar, "SIZES", {"train": 1000, "test": 200})
    with pytest.raises(
        CacheError, match=r"not CIFAR-10 as published: 500 images instead of 1,000.*Delete it"
    ):
        cifar10("train", root=tmp_path)
    batch = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    content = bytearray(batch.read_bytes())
    content[0] = (content[0] + 1) % 10
    batch.write_bytes(content)
    with pytest.raises(CacheError, match="not the same number in each class"):
        cifar10("test", root=tmp_path)
    batch.write_bytes(content[:-1])
    with pytest.raises(CacheError, match=r"cifar-10-batches-bin cannot be read .*cannot have 614599 bytes"):
        cifar10("test", root=tmp_path)


def test_offline(tmp_path):
    with pytest.raises(DownloadError) as caught:
        cifar10("train", root=tmp_path)
    message = str(caught.value)
    assert f"put it here: {tmp_path / 'cifar-10-binary.tar.gz'}" in message
    assert f"put it here: {tmp_path / 'cifar-10-python.tar.gz'}" in message
    assert message.count("https://") >= 6


def test_a_damaged_archive_is_not_read(tmp_path, monkeypatch):
    archive = put_archive(tmp_path, "cifar10", 0, monkeypatch)
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DownloadError, match=r"cifar-10-binary.tar.gz could not be downloaded"):
        cifar10("train", root=tmp_path)


def test_unknown_split_and_labels(tmp_path):
    with pytest.raises(ValueError, match="'train' or 'test', got 'all'"):
        cifar10("all", root=tmp_path)
    with pytest.raises(ValueError, match="'fine' or 'coarse', got 'both'"):
        cifar100("train", root=tmp_path, labels="both")


def test_class_names():
    assert (len(CIFAR100.classes), len(set(CIFAR100.classes))) == (100, 100)
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes)  # the authors' order
    assert (len(CIFAR100_COARSE.classes), list(CIFAR100_COARSE.classes)) == (
        20,
        sorted(CIFAR100_COARSE.classes),
    )
