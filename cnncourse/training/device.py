"""Which device to compute on."""

import os

import torch


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device a name stands for.

    Under ``torchrun`` each process of a machine gets a card of its own: ``"auto"`` and ``"cuda"`` stand for the card
    whose number is ``LOCAL_RANK``.

    Args:
        name: ``"auto"`` (a CUDA card if there is one, else Apple's GPU, else the CPU), ``"cpu"``, ``"cuda"``,
            ``"cuda:1"``, ``"mps"``.

    Returns:
        A device that exists on this machine.

    Raises:
        ValueError: if the name is unknown or this machine has no such device.
    """
    kind = name.split(":", maxsplit=1)[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {name!r}")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = kind = "cuda" if cuda else "mps" if mps else "cpu"
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise ValueError(f"this machine has no device {name!r} that PyTorch can use; choose 'auto' or 'cpu'")
    own = os.environ.get("LOCAL_RANK") if name == "cuda" else None
    device = torch.device(name if own is None else f"cuda:{own}")
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(
            f"device must be below cuda:{torch.cuda.device_count()} on this machine, got {name!r}"
        )
    return device
