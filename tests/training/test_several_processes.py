"""Two processes through gloo are one with the same batches; a lost one comes back."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.training import World, current_world, process_group, read_checkpoint, resolve_device
from cnncourse.training.sync_batch_norm import SyncBatchNorm, synchronise_batch_norms

SCRIPT = Path(__file__).with_name("several_processes.py")
specification = importlib.util.spec_from_file_location("several_processes", SCRIPT)
several_processes = importlib.util.module_from_spec(specification)
specification.loader.exec_module(several_processes)

pytestmark = pytest.mark.xdist_group("several processes")


def torchrun(folder, scenario, *options):
    """Start two processes as a user would, and return what each wrote."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder), scenario],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [read_checkpoint(folder / f"{scenario}-rank-{rank}.safetensors") for rank in (0, 1)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return torchrun(tmp_path_factory.mktemp("two"), "cases")


@pytest.mark.parametrize("case", several_processes.CASES)
def test_two_processes_learn_what_one_does(two, case):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = several_processes.train(**several_processes.CASES[case])
    finally:
        torch.set_num_threads(threads)
    first, second = (rank[case] for rank in two)
    for name, value in one["model"].items():
        assert_close(first["model"][name], value, rtol=1e-4, atol=2e-5)
        assert torch.equal(first["model"][name], second["model"][name])
    assert first["history"] == second["history"]
    for name, column in one["history"].items():
        if "loss" in name:
            assert first["history"][name] == pytest.approx(column, rel=1e-4)
        else:
            assert first["history"][name] == column  # counted, to the last image
    assert_close(first["logits"], one["logits"], rtol=1e-3, atol=1e-4)


def test_a_lost_process_comes_back_and_nothing_shows(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    calm = torchrun(tmp_path / "a", "lives")
    lost = torchrun(tmp_path / "b", "dies", "--max-restarts", "1")
    for rank in (0, 1):
        assert lost[rank]["history"] == calm[rank]["history"]
        for name, value in calm[rank]["model"].items():
            assert torch.equal(lost[rank]["model"][name], value), name


def test_sync_batch_norm_alone_is_batch_norm():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), nn.BatchNorm2d(3))
    twin = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), nn.BatchNorm2d(3))
    twin.load_state_dict(model.state_dict())
    parameters = list(twin.parameters())
    assert synchronise_batch_norms(twin) == 2
    assert isinstance(twin[1][0], SyncBatchNorm)
    assert all(a is b for a, b in zip(parameters, twin.parameters(), strict=True))
    images = torch.randn(4, 2, 6, 6)
    assert torch.equal(model(images), twin(images))
    assert torch.equal(model.eval()(images), twin.eval()(images))
    assert {**twin.state_dict()}.keys() == model.state_dict().keys()
    with pytest.raises(ValueError, match=r"takes \(N, C, ...\), got \(3,\)"):
        twin[2](torch.zeros(3))


def test_alone_there_is_one_process(monkeypatch):
    assert current_world() == World(0, 1)
    world = World()
    assert world.is_first
    assert (world.added_up([1.0, 2.0]), world.largest(7), world.gathered("x")) == ([1.0, 2.0], 7, ["x"])
    with process_group(torch.device("cpu")) as found:
        assert found == World()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda:2")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
