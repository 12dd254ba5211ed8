"""What a contestant is handed besides the clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Task:
    """One trial's task."""

    settings: Mapping[str, Any]
    """Settings of the workload, by name."""
    seed: int
    """Seed of data and first weights, the same for all contestants."""
    scratch: Path
    """Folder for files, shared by the trials of a run and removed after it."""
    device: str = "cpu"
    """Where to compute, in PyTorch's words."""
    units_a_step: float = 1.0
    """What one step brings: images, for a figure in images/s."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the trial shall report besides its time: ``precision``, ``loss``, ``multiply_adds``."""

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return int(self.settings["batch_size"])
