"""The clock of a trial: warm up, then time blocks of steps and watch what others do meanwhile."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, TypeVar

from cnncourse.bench.foreign import MOST_FOREIGN, Load, foreign_share, read_load

T = TypeVar("T")


class Enough(Exception):  # noqa: N818  (no error)
    """The trial has measured what it wanted; raised out of the contestant's loop."""


@dataclass(frozen=True)
class Block:
    """Some steps in a row."""

    steps: int
    """How many."""
    seconds: float
    """How long they took together."""
    foreign: float | None
    """Share of the processors that others took meanwhile, 0 to 1; ``None`` if the system does not tell."""

    @property
    def clean(self) -> bool:
        """Whether others left the machine alone, as far as one can tell."""
        return self.foreign is None or self.foreign <= MOST_FOREIGN

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


class Clock:
    """Count steps and time them in blocks.

    A contestant calls :meth:`tick` once a step, always at the same point of the step. Between the ends of a
    block a tick only counts, so that its cost, well below a microsecond, is the same for everybody.

    Args:
        blocks: how many blocks to time.
        block_seconds: about how long a block is.
        warmup_steps: steps before the first block, at least 2.
        warmup_seconds: and at least this long.
        at_warm: called once, after exactly ``warmup_steps`` steps, outside of what is timed.
        synchronise: waits for the device; called at the ends of a block.
    """

    def __init__(
        self,
        *,
        blocks: int = 3,
        block_seconds: float = 2.0,
        warmup_steps: int = 10,
        warmup_seconds: float = 1.0,
        at_warm: Callable[[], object] | None = None,
        synchronise: Callable[[], object] | None = None,
    ) -> None:
        if blocks < 1 or warmup_steps < 2 or not block_seconds > 0:
            raise ValueError(
                "blocks must be at least 1, warmup_steps at least 2 and block_seconds above 0, got "
                f"{blocks=}, {warmup_steps=}, {block_seconds=}"
            )
        self.blocks: list[Block] = []
        self.at_warm = at_warm
        self._wanted = blocks
        self._block_seconds = block_seconds
        self._warmup_steps = warmup_steps
        self._warmup_seconds = warmup_seconds
        self._synchronise = synchronise or (lambda: None)
        self._steps = 0
        self._wake = 1  # the number of the step at which a tick looks at the time
        self._block_steps = 0
        self._t_first = self._t_start = self._pause = 0.0
        self._load: Load | None = None

    def tick(self, *_unused: Any) -> None:
        """Count one step; a block may end, or the trial.

        Raises:
            Enough: if all blocks are timed.
        """
        self._steps += 1
        if self._steps >= self._wake:
            self._look()

    def through(self, items: Iterator[T]) -> Iterator[T]:
        """Pass items on and count a step before each.

        Args:
            items: such as batches.

        Yields:
            The items.
        """
        for item in items:
            self.tick()
            yield item

    def repeat(self, step: Callable[[], object]) -> None:
        """Call a function again and again until enough is measured.

        Args:
            step: one step.
        """
        try:
            while True:
                self.tick()
                step()
        except Enough:
            return

    def _look(self) -> None:
        if self._block_steps:
            self._end_block()
            return
        # Still warming up. The first step builds what later steps only use, so the second starts the watch.
        done = self._steps - 1  # a tick stands at the beginning of its step
        if done == self._warmup_steps and self.at_warm is not None:
            self._synchronise()
            t_pause = perf_counter()
            self.at_warm()
            self._pause = perf_counter() - t_pause
        if done == 1:
            self._synchronise()
            self._t_first = perf_counter()
        warm_seconds = perf_counter() - self._t_first - self._pause
        if done >= self._warmup_steps and warm_seconds >= self._warmup_seconds:
            step_seconds = warm_seconds / (done - 1)
            self._block_steps = max(math.ceil(self._block_seconds / step_seconds), 1)
            self._start_block()
        else:
            self._wake = self._steps + 1

    def _start_block(self) -> None:
        self._wake = self._steps + self._block_steps
        self._load = read_load()
        self._synchronise()
        self._t_start = perf_counter()

    def _end_block(self) -> None:
        self._synchronise()
        seconds = perf_counter() - self._t_start
        self.blocks.append(Block(self._block_steps, seconds, foreign_share(self._load, read_load())))
        if len(self.blocks) == self._wanted:
            raise Enough
        self._start_block()
