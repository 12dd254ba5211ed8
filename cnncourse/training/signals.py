"""Being asked to stop: finish the step, save, and leave with the usual exit code."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""What cluster managers send, and what Ctrl-C sends."""


class Interrupted(RuntimeError):  # noqa: N818 - the run did as it was told
    """A run was asked to stop and did, after saving if it had a place for checkpoints.

    Args:
        signum: number of the signal.
        checkpoint: file from which the run goes on; ``None`` when nothing was saved.
    """

    def __init__(self, signum: int, checkpoint: Path | None = None) -> None:
        self.signum = int(signum)
        self.checkpoint = checkpoint
        saved = "nothing was saved" if checkpoint is None else f"the run goes on from {checkpoint}"
        super().__init__(f"stopped by {signal.Signals(signum).name}; {saved}")

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int, Path | None]]:
        return type(self), (self.signum, self.checkpoint)

    @property
    def exit_code(self) -> int:
        """What the process should return to its caller."""
        return exit_code(self.signum)


class Stop:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


def exit_code(signum: int) -> int:
    """Return what a shell reports for a process that a signal ended.

    Args:
        signum: number of the signal.

    Returns:
        128 and the number: 143 for SIGTERM, 130 for SIGINT.
    """
    return 128 + int(signum)


@contextmanager
def stop_requested() -> Iterator[Stop]:
    """Note SIGTERM and SIGINT instead of dying of them.

    The first signal is only noted; look at ``stop.signal`` where stopping is possible. A further SIGINT raises
    KeyboardInterrupt at once, for somebody who will not wait. A signal that this process was told to ignore stays
    ignored. Outside the main thread, where Python allows no handlers, nothing happens.

    Yields:
        ``stop``, whose ``signal`` is ``None`` or the number of the first signal. The handlers that were there come
        back at the end, however it comes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(signum: int, frame: FrameType | None) -> None:
        if stop.signal is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if stop.signal is None:
            stop.signal = int(signum)

    before = {}
    try:
        for signum in SIGNALS:
            if signal.getsignal(signum) != signal.SIG_IGN:
                before[signum] = signal.signal(signum, note)
        yield stop
    finally:
        for signum, handler in before.items():
            # None: a handler that was not set from Python; it cannot be put back from here.
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
