"""Checkpoint files: everything comes back bit for bit, other readers can read them, and other files are refused."""

import hashlib
import json
import math
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cnncourse.training.checkpoint_file import read_checkpoint, read_with_notes, write_checkpoint
from cnncourse.training.checkpoint_format import DTYPES, MOST_WAITING, Checksum, bytes_of
from cnncourse.training.checkpoint_tree import CheckpointError, memory_order, put_together, take_apart


def bits(tensor):
    return bytes(bytes_of(tensor.cpu()))


def assert_same(got, expected):
    """Equal in kind, value, order of keys, and for tensors in type, shape, strides and every bit."""
    if isinstance(expected, torch.Tensor):
        assert type(got) is torch.Tensor
        assert (got.dtype, got.shape, got.device.type) == (expected.dtype, expected.shape, "cpu")
        assert bits(got) == bits(expected)
        assert memory_order(got) == memory_order(expected)
    elif isinstance(expected, dict):
        assert list(got) == list(expected)
        assert [type(key) for key in got] == [type(key) for key in expected]
        for key, value in expected.items():
            assert_same(got[key], value)
    elif isinstance(expected, list | tuple):
        assert type(got) is type(expected)
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert type(got) is float
        assert struct.pack("<d", got) == struct.pack("<d", expected) or math.isnan(got) == math.isnan(
            expected
        )
    else:
        assert type(got) is type(expected)
        assert got == expected


def there_and_back(tree, tmp_path):
    return read_checkpoint(write_checkpoint(tmp_path / "tree.safetensors", tree))


def random_tensor(dtype, *shape):
    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=dtype)
    count = math.prod(shape) * dtype.itemsize
    raw = torch.from_numpy(np.random.default_rng(0).integers(0, 256, count, dtype=np.uint8))
    if dtype == torch.bool:
        raw = raw % 2
    return raw.view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_keeps_every_bit(dtype, tmp_path):
    tree = {
        "some": random_tensor(dtype, 3, 5),
        "one": random_tensor(dtype, 1).reshape(()),
        "none": torch.empty(0, 7, dtype=dtype),
        "none of NumPy's": torch.from_numpy(np.empty(0)).to(dtype),
        "turned": random_tensor(dtype, 2, 3, 4, 5).to(memory_format=torch.channels_last),
        "transposed": random_tensor(dtype, 6, 4).T,
        "every_second": random_tensor(dtype, 8)[::2],
        "spread": random_tensor(dtype, 3, 1).expand(3, 4),
    }
    assert_same(there_and_back(tree, tmp_path), {**tree, "spread": tree["spread"].contiguous()})


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.builds(
        lambda shape, dtype: random_tensor(dtype, *shape),
        st.lists(st.integers(0, 3), max_size=4),
        st.sampled_from(list(DTYPES)),
    )
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text() | st.sampled_from(["a/b", "a", "$tensor", "__metadata__"]), inner, max_size=4
        )
        | st.dictionaries(st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(trees)
def test_every_tree_comes_back(tmp_path_factory, tree):
    assert_same(there_and_back(tree, tmp_path_factory.mktemp("trees")), tree)


def test_a_real_optimiser_goes_on_as_if_nothing_happened(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten())
    model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.8, 0.99))

    def step(seed):
        images = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        model(images).square().mean().backward()
        optimiser.step()

    step(0)
    path = write_checkpoint(
        tmp_path / "run.safetensors", {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    )
    step(1)
    after = {name: value.clone() for name, value in model.state_dict().items()}
    tree = read_checkpoint(path)
    model.load_state_dict(tree["model"])
    optimiser.load_state_dict(tree["optimiser"])
    assert optimiser.param_groups[0]["betas"] == (0.8, 0.99)
    step(1)
    assert_same(dict(model.state_dict()), after)


def test_other_readers_find_the_tensors_under_their_paths(tmp_path):
    tree = {
        "model": {"conv.weight": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)},
        "optimiser": {"state": {0: {"momentum": torch.randn(5).bfloat16()}}},
        "steps": [torch.tensor(True), torch.tensor(2.0, dtype=torch.float64)],
        "epoch": 7,
    }
    path = write_checkpoint(tmp_path / "run.safetensors", tree)
    flat = load_file(path)
    assert sorted(flat) == ["model/conv.weight", "optimiser/state/0/momentum", "steps/0", "steps/1"]
    assert torch.equal(flat["model/conv.weight"], tree["model"]["conv.weight"])
    assert torch.equal(flat["optimiser/state/0/momentum"], tree["optimiser"]["state"][0]["momentum"])
    assert flat["steps/0"].item() is True
    assert flat["steps/1"].dtype == torch.float64
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["tree"])["epoch"] == 7


def test_the_checksum_is_the_sha256_of_the_file_with_zeros_in_its_place(tmp_path):
    path = write_checkpoint(tmp_path / "run.safetensors", {"a": torch.arange(1000), "checksum": "none"})
    content = path.read_bytes()
    written = read_with_notes(path)[1]["checksum"]
    assert content.count(written.encode()) == 1
    assert hashlib.sha256(content.replace(written.encode(), b"0" * 64)).hexdigest() == written


def test_tensors_are_written_from_where_they_lie_and_start_at_multiples_of_their_width(tmp_path):
    tensor = torch.randn(10, requires_grad=True)
    assert np.frombuffer(bytes_of(tensor), np.uint8).ctypes.data == tensor.data_ptr()
    path = write_checkpoint(
        tmp_path / "run.safetensors",
        {"odd": torch.zeros(3, dtype=torch.uint8), "wide": torch.zeros(2, dtype=torch.float64)},
    )
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert length % 8 == 0
    assert header["wide"]["data_offsets"] == [0, 16]
    assert header["odd"]["data_offsets"] == [16, 19]


def test_shared_tensors_are_stored_once_and_views_apart(tmp_path):
    weight = torch.randn(100, 100)
    tree = {"encoder": weight, "decoder": weight, "view": weight[:, :50], "row": weight[0]}
    path = write_checkpoint(tmp_path / "tied.safetensors", tree)
    assert path.stat().st_size < weight.nbytes * 1.6
    again = read_checkpoint(path)
    assert again["encoder"] is again["decoder"]
    assert_same(again, {**tree, "view": tree["view"].contiguous()})
    again["row"].zero_()
    assert torch.equal(again["encoder"], weight)


def test_conjugate_and_negative_views_are_written_as_they_read(tmp_path):
    values = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    again = there_and_back({"plain": values, "conj": values.conj(), "neg": values.conj().imag}, tmp_path)
    assert torch.equal(again["plain"], values)
    assert torch.equal(again["conj"], values.conj().resolve_conj())
    assert again["neg"].tolist() == [-2.0, 4.0]


def test_tensors_are_read_to_the_cpu_whatever_the_default_device(tmp_path):
    path = write_checkpoint(tmp_path / "run.safetensors", {"a": torch.ones(3)})
    with torch.device("meta"):
        assert_same(read_checkpoint(path), {"a": torch.ones(3, device="cpu")})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_a_card_are_read_back_to_the_cpu(tmp_path):
    weight = torch.randn(4, 3, 3, 3, device="cuda").to(memory_format=torch.channels_last)
    assert_same(there_and_back({"a": weight}, tmp_path), {"a": weight.cpu()})


@pytest.mark.parametrize("tree", [{}, [], (), None, 3, "word", torch.ones(2), {"a": {}}])
def test_small_trees(tree, tmp_path):
    assert_same(there_and_back(tree, tmp_path), tree)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": [1, {2, 3}]}, r"got builtins.set at a/1; turn it into one of these"),
        ({"a": {"b": np.ones(2)}}, r"got numpy.ndarray at a/b"),
        ({"a": {(1, 2): 3}}, r"keys in a checkpoint must be str, int or bool, got tuple in a;"),
        ({"a": {1.5: 3}}, r"got float in a"),
        (
            {"a": torch.ones(2, 2).to_sparse()},
            r"dense tensors with values, got layout torch.sparse_coo .* at a",
        ),
        ({"a": torch.ones(2, device="meta")}, r"on device meta at a"),
        (torch.ones(2, dtype=torch.complex128), r"no torch.complex128 \(tensor\); convert it"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(tree, message, tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(CheckpointError, match=rf"run.safetensors cannot be written: .*{message}"):
        write_checkpoint(path, tree)
    assert list(tmp_path.iterdir()) == []


def test_headers_of_every_length_are_told_from_pickles_and_archives(tmp_path):
    # a length of 0x80 + 256 k looks like the start of a pickle of protocol k
    lengths = set()
    for count in range(0, 2400, 8):
        path = write_checkpoint(tmp_path / "run.safetensors", "x" * count)
        assert read_checkpoint(path) == "x" * count
        lengths.add(path.stat().st_size - 8)
    assert {0x80 + 256 * protocol for protocol in range(2, 6)} <= lengths


def test_a_name_taken_twice_gets_a_number():
    apart = take_apart({"a/b": torch.zeros(1), "a": {"b": torch.ones(1)}, "__metadata__": torch.ones(2)})
    assert list(apart.tensors) == ["a/b", "a/b#2", "__metadata__#2"]


def test_a_description_that_makes_no_sense_is_refused():
    for structure in ('{"$tensor":"lost"}', "{", '{"$dict":[1]}', '{"$tensor":"a","order":[0,0]}'):
        with pytest.raises(CheckpointError, match="description of the tree makes no sense"):
            put_together(structure, {"a": torch.zeros(2, 2)})


def test_a_plain_safetensors_file_is_no_checkpoint(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"no checkpoint of a training run; read_weights\(\) reads"):
        read_checkpoint(path)


def test_a_later_layout_is_refused(tmp_path):
    path = write_checkpoint(tmp_path / "run.safetensors", {"a": 1})
    path.write_bytes(path.read_bytes().replace(b'"version":"1"', b'"version":"7"'))
    with pytest.raises(
        CheckpointError, match="has layout version 7, this release reads up to 1; update cnncourse"
    ):
        read_checkpoint(path)


def test_paths_may_be_strings(tmp_path):
    path = os.fspath(tmp_path / "run.safetensors")
    write_checkpoint(path, [1])
    assert read_checkpoint(path) == [1]


def test_the_checksum_holds_back_rather_than_pile_up_memory():
    piece = memoryview(bytes(MOST_WAITING // 4))
    with Checksum() as checksum:
        for _ in range(9):
            checksum.add(piece)
            assert checksum._bytes_waiting <= MOST_WAITING
        assert checksum.result() == hashlib.sha256(bytes(piece) * 9).hexdigest()
