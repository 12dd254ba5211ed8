import pytest
import torch

from cnncourse.training import resolve_device


def test_auto_prefers_cuda_then_apple_then_the_processor(monkeypatch):
    for cuda, mps, kind in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert resolve_device("auto").type == kind


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(
            ValueError, match=f"no device '{name}' that PyTorch can use; choose 'auto' or 'cpu'"
        ):
            resolve_device(name)
    with pytest.raises(ValueError, match="must be 'auto', 'cpu', 'cuda' or 'mps', got 'tpu'"):
        resolve_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="below cuda:1 on this machine, got 'cuda:3'"):
        resolve_device("cuda:3")
