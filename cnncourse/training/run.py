"""Everything that changes while a network learns: what a checkpoint holds, so that nothing is lost with the process."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from cnncourse.training.config import TrainConfig
from cnncourse.training.distributed import World
from cnncourse.training.history import History
from cnncourse.training.metrics import Tally
from cnncourse.training.moving_average import MovingAverage
from cnncourse.training.random_state import capture_random_state, restore_random_state

FREE_TO_CHANGE = {"device", "keep_memory", "compile", "workers"}
"""Settings that do not belong to what is computed, so that a run may resume with others."""


class Run:
    """The changing parts of a training run.

    Args:
        model: the network, on its device.
        optimiser: over its parameters.
        scaler: of the loss, for float16; ``None`` otherwise.
        average: moving average of the weights; ``None`` without one.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler | None,
        average: MovingAverage | None,
    ) -> None:
        self.model = model
        self.optimiser = optimiser
        self.scaler = scaler
        self.average = average
        self.history = History()
        self.tally = Tally()
        self.epoch = 1
        self.step = 0  # of the present pass
        self.ended = False

    def state_dict(self, world: World) -> dict[str, Any]:
        """Return the state as a tree of tensors and plain values; every process must ask.

        Args:
            world: the processes, each of which adds its random state.

        Returns:
            What :meth:`load_state_dict` needs.
        """
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "position": {"epoch": self.epoch, "step": self.step, "ended": self.ended},
            "tallies": world.gathered(self.tally.state_dict()),
            "history": self.history.to_dict(),
            "random": world.gathered(capture_random_state()),
        }

    def load_state_dict(self, state: Mapping[str, Any], world: World) -> None:
        """Go on where a saved run stopped.

        With as many processes as then, everything is as it was, bit by bit; with more or fewer the images and the
        sums over them are, and only random numbers drawn inside the network (dropout) differ.

        Args:
            state: what :meth:`state_dict` returned.
            world: the processes.
        """
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        _lay_out_like_parameters(self.optimiser)
        if self.scaler is not None and state["scaler"] is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.epoch, self.step = int(state["position"]["epoch"]), int(state["position"]["step"])
        self.ended = bool(state["position"]["ended"])
        self.history = History.from_dict(state["history"])
        self.tally = Tally()
        tallies = state["tallies"]
        if len(tallies) == world.size:
            self.tally.load_state_dict(tallies[world.rank])
        elif world.is_first:  # it takes over the sums of processes that are gone
            self.tally.load_state_dict(Tally.merged(tallies))
        if world.rank < len(state["random"]):
            restore_random_state(state["random"][world.rank])


def fingerprint(config: TrainConfig, model: nn.Module, data: Any) -> dict[str, Any]:
    """Describe what is computed, to tell whether a checkpoint belongs to this run.

    Args:
        config: the settings.
        model: the network.
        data: the training images.

    Returns:
        Plain values by name.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in FREE_TO_CHANGE}
    settings["milestones"] = list(config.milestones)
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    info = getattr(data, "info", None)
    described = {
        "name": None if info is None else info.name,
        "split": getattr(data, "split", None),
        "images": data.image_count if hasattr(data, "image_count") else len(data),
        "sha256": sorted(getattr(data, "sha256", {}).values()),
    }
    return {"settings": settings, "shapes": shapes, "data": described}


def differences(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Return in which points two fingerprints differ.

    Args:
        saved: of the checkpoint.
        present: of this run.

    Returns:
        Lines such as ``peak_lr was 0.1, is 0.05``; empty if they agree.
    """
    lines = []
    for part in ("settings", "data", "shapes"):
        old, new = saved.get(part, {}), present[part]
        for name in [*new, *(name for name in old if name not in new)]:
            if old.get(name) != new.get(name):
                label = name if part == "settings" else f"{part} {name}"
                lines.append(f"{label} was {old.get(name)}, is {new.get(name)}")
    return lines


def _lay_out_like_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Give loaded momenta the memory layout of their weights: one kernel walks over both."""
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
