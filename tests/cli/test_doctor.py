"""``doctor`` with injected faults."""

import importlib
import shutil
from importlib import metadata

import pytest

from cnncourse.cli import doctor, main


@pytest.fixture
def sound(monkeypatch, tmp_path):
    """A machine without faults, whatever this one is like."""
    monkeypatch.setenv("CNNCOURSE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 0, 10**12))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    return tmp_path


def remedies(told):
    return {one["what"]: one["remedy"] for one in told("doctor", code=1) if one["remedy"]}


def test_a_sound_machine(sound, capsys, told):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "mend it" not in out
    found = {one["what"]: one["value"] for one in told("doctor")}
    assert found["torch"] == metadata.version("torch")
    assert found["free disk"] == "1,000 GB"
    assert found["cache"] == f"{sound / 'cache'}, 0 MB"


def test_a_missing_package(sound, monkeypatch, told, capsys):
    def version(name):
        if name == "safetensors":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert remedies(told) == {"safetensors": "pip install safetensors"}
    assert main(["doctor"]) == 1
    assert "mend it: pip install safetensors" in capsys.readouterr().out


def test_a_package_that_does_not_import(sound, monkeypatch, told):
    real = importlib.import_module

    def broken(name, *rest):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)
    assert remedies(told) == {"import torchvision": "pip install --force-reinstall torch torchvision"}


def test_a_cache_that_cannot_be_written(sound, monkeypatch, told):
    (sound / "file").touch()
    monkeypatch.setenv("CNNCOURSE_HOME", str(sound / "file" / "cache"))
    assert remedies(told) == {
        "cache": f"{sound / 'file'} cannot be written; set CNNCOURSE_HOME to a folder that can"
    }


def test_a_full_disk_and_too_many_threads_and_an_old_pytorch(sound, monkeypatch, told):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12, 10**9))
    monkeypatch.setattr("torch.get_num_threads", lambda: 10_000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = remedies(told)
    assert list(found) == ["threads", "cuda", "free disk"]
    assert found["threads"].startswith("set OMP_NUM_THREADS=")
    assert "PyTorch built for the driver" in found["cuda"]
    assert "on a larger disk" in found["free disk"]


def test_every_listed_package_is_one_that_the_project_declares():
    needed = {
        line.split(";")[0].split(">")[0].split("=")[0].split("<")[0].strip().lower()
        for line in metadata.requires("cnncourse") or []
    }
    assert set(doctor.PACKAGES) <= needed
