"""Kill training runs at random instants, let them resume, and compare what comes out with runs nobody disturbed.

A program of its own, because it forks: its one process imports PyTorch and reads the data once, each attempt at a run
is a child of it. Prints what it saw as JSON:

    python tests/training/killed_runs.py --kills 100 --seed 0 FOLDER
"""

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from cnncourse.augmentation import PadCrop
from cnncourse.datasets import digits
from cnncourse.training import (
    Callback,
    CheckpointError,
    CheckpointFolder,
    Interrupted,
    TrainConfig,
    Trainer,
    checkpoint_file,
    checkpoint_folder,
    read_checkpoint,
    run,
)

TRAIN, VAL = digits("train").select(slice(0, 400)), digits("test").select(slice(0, 100))

COMMON = {"epochs": 3, "batch_size": 64, "device": "cpu", "ema_decay": 0.9}
RUNS = [
    {"peak_lr": 0.1, "weight_decay": 1e-3},
    {"optimiser": "adamw", "peak_lr": 0.01, "clip_norm": 1.0, "schedule": "one_cycle", "warmup_epochs": 1.0},
    {"peak_lr": 0.05, "micro_batches": 2, "schedule": "plateau", "lr_patience": 1, "precision": "bf16"},
]
SAVE_EVERY = 3
NEVER_THE_SAME = {"train_seconds", "images_per_second", "seconds"}
WRITE = os.write
OPERATIONS = [(os, "open"), (os, "write"), (os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink")]


class StepsTold(Callback):
    """Writes a byte into a pipe after each step."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_step(self, trainer: Trainer, step: int) -> None:
        os.write(self.pipe, b".")


def train(number: int, folder: Path, callbacks: tuple[Callback, ...] = ()) -> None:
    """Train a tiny network with everything that has a state."""
    random.seed(number)  # Python seeds this anew in each child
    torch.manual_seed(number)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    config = TrainConfig(**{**COMMON, **RUNS[number % len(RUNS)], "seed": number})
    trainer = Trainer(model, config, augmentation=PadCrop(1), callbacks=callbacks, progress=False)
    checkpoints = CheckpointFolder(folder, keep_last=1 + number % 3)
    trainer.fit(TRAIN, VAL, checkpoints=checkpoints, save_every=SAVE_EVERY)


def start(work: Callable[[], None]) -> int:
    """Fork a child that does the work, and return its process number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for signum in (signal.SIGTERM, signal.SIGINT):  # a program in the background is told to ignore SIGINT
            signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
        work()
        status = 0
    except Interrupted as stopped:
        status = stopped.exit_code
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def end_of(child: int) -> int:
    """Wait for a child; return its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived")


def watch_operations(tell: Callable[[str, Callable[[], Any], tuple[Any, ...]], None]) -> None:
    """Have a function called before each call that changes files, with its name, the call itself and its arguments."""

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            tell(name, lambda: real(*arguments, **options), arguments)
            return real(*arguments, **options)

        return call

    for place, name in OPERATIONS:
        setattr(place, name, watched(name, getattr(place, name)))


def die_at_operation(name: str, number: int, when: str) -> None:
    """Kill this process before, after or (in writing) in the middle of its nth call of that name."""
    count = 0

    def tell(called: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> None:
        nonlocal count
        count += called == name
        if called == name and count == number:
            if when == "in" and name == "write":
                WRITE(arguments[0], arguments[1][: len(arguments[1]) // 2])
            elif when == "after":
                call()
            die()

    watch_operations(tell)


def operations_of_a_run(folder: Path) -> Counter[str]:
    """Return how often a run changes files, by name of the call."""
    reader, writer = os.pipe()

    def work() -> None:
        watch_operations(lambda name, _call, _arguments: WRITE(writer, f"{name}\n".encode()))
        train(0, folder)

    child = start(work)
    os.close(writer)
    names = all_of(reader).decode().split()
    os.close(reader)
    assert end_of(child) == 0
    return Counter(names)


@dataclass
class Seen:
    """What the harness saw."""

    kills: Counter[str] = field(default_factory=Counter)
    """By kind of instant."""
    steps: list[int] = field(default_factory=list)
    """Newest checkpoint after each kill, 0 when there was none yet."""
    leftovers: int = 0
    """Kills that left a file half written."""
    unreadable: list[str] = field(default_factory=list)
    """Files under a final name that could not be read: must stay empty."""
    different: list[str] = field(default_factory=list)
    """What differed from the undisturbed run: must stay empty."""
    failed: list[str] = field(default_factory=list)
    """Attempts that ended by themselves, but not well: must stay empty."""
    exit_codes: dict[str, list[int]] = field(default_factory=dict)
    """After SIGTERM and SIGINT."""
    runs: int = 0
    """Runs brought to their end."""


def differences(got: Any, expected: Any, path: str = "") -> list[str]:
    """Return where two trees differ in a single bit, but for durations."""
    if isinstance(expected, dict) and isinstance(got, dict) and list(got) == list(expected):
        pairs = [(f"{path}/{key}", got[key], expected[key]) for key in expected if key not in NEVER_THE_SAME]
    elif isinstance(expected, list) and isinstance(got, list) and len(got) == len(expected):
        pairs = [(f"{path}/{i}", *pair) for i, pair in enumerate(zip(got, expected, strict=True))]
    elif isinstance(expected, torch.Tensor) and isinstance(got, torch.Tensor):
        same = got.dtype == expected.dtype and got.shape == expected.shape
        same = same and got.contiguous().numpy().tobytes() == expected.contiguous().numpy().tobytes()
        return [] if same else [path]
    else:
        return [] if type(got) is type(expected) and got == expected else [path]
    return [line for pair in pairs for line in differences(pair[1], pair[2], pair[0])]


def look_into(folder: Path, seen: Seen) -> None:
    """Read every file that bears a final name."""
    files = [path for path in folder.iterdir() if path.suffix == ".safetensors"] if folder.is_dir() else []
    for path in files:
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            seen.unreadable.append(str(error))
    steps = CheckpointFolder(folder).steps()
    seen.steps.append(steps[-1] if steps else 0)
    seen.leftovers += any(path.suffix == ".partial" for path in folder.iterdir()) if folder.is_dir() else 0


def compare(folder: Path, reference: Path, seen: Seen) -> None:
    """Compare the last and the best checkpoint of a finished run with those of the undisturbed one."""
    seen.runs += 1
    for name in (CheckpointFolder(reference).latest_path().name, "best.safetensors"):  # type: ignore[union-attr]
        lines = differences(read_checkpoint(folder / name), read_checkpoint(reference / name))
        seen.different += [f"{folder.name}/{name}: {line}" for line in lines]
    # A kill between writing and tidying may leave an older checkpoint more, never a half written file.
    more = {path.name for path in folder.iterdir()} ^ {path.name for path in reference.iterdir()}
    seen.different += [f"{folder.name}: {name}" for name in more if not name.startswith("step-")]


def undisturbed(number: int, folder: Path) -> float:
    """Train without a kill and return the seconds it took."""
    began = time.perf_counter()
    if end_of(start(lambda: train(number, folder))) != 0:
        raise SystemExit("an undisturbed run failed")
    return time.perf_counter() - began


def kill_often(kills: int, chance: random.Random, folder: Path, seen: Seen, until: str = "failed") -> None:
    """Kill until the number is reached or a fault of some kind was seen, and bring the last run to its end."""
    operations = operations_of_a_run(folder / "counted")
    number = 0
    while seen.kills.total() < kills and not seen.failed and not getattr(seen, until):
        number += 1
        place, reference = folder / f"run-{number}", folder / f"reference-{number}"
        seconds = undisturbed(number, reference)
        outcome = -signal.SIGKILL
        while outcome == -signal.SIGKILL:
            again = seen.kills.total() < kills and not getattr(seen, until)
            when = chance.choice(["any time", "any time", "before", "in", "after"]) if again else "never"
            name = chance.choice(sorted(operations))
            number_of_call = chance.randint(1, operations[name] // 2 + 1)

            def work() -> None:
                if when in ("before", "in", "after"):  # noqa: B023 - used before the loop goes on
                    die_at_operation(name, number_of_call, when)  # noqa: B023
                train(number, place)  # noqa: B023

            child = start(work)
            if when == "any time":
                time.sleep(chance.uniform(0, seconds))
                os.kill(child, signal.SIGKILL)
            outcome = end_of(child)
            if outcome == -signal.SIGKILL:
                seen.kills[when if when == "any time" else f"{when} {name}"] += 1
                look_into(place, seen)
        if outcome == 0:
            compare(place, reference, seen)
        else:
            seen.failed.append(f"run {number} ended with {outcome}")


def ask_politely(chance: random.Random, folder: Path, seen: Seen) -> None:
    """Send SIGTERM and SIGINT in the middle of runs, and let them go on."""
    reference = folder / "reference-polite"
    undisturbed(0, reference)
    for signum in (signal.SIGTERM, signal.SIGINT):
        place = folder / f"polite-{signum.name}"
        codes = seen.exit_codes.setdefault(signum.name, [])
        for _ in range(3):
            reader, writer = os.pipe()
            child = start(lambda: train(0, place, (StepsTold(writer),)))  # noqa: B023
            os.close(writer)
            before = CheckpointFolder(place).steps()
            told = sum(len(os.read(reader, 1)) for _ in range(chance.randrange(1, 5)))
            os.kill(child, signum)
            told += len(all_of(reader))
            codes.append(end_of(child))
            os.close(reader)
            look_into(place, seen)
            steps = CheckpointFolder(place).steps()
            if steps[-1] != (before[-1] if before else 0) + told:
                seen.failed.append(f"{signum.name}: {told} steps after {before}, saved {steps}")
        if end_of(start(lambda: train(0, place))) != 0:  # noqa: B023
            seen.failed.append(f"{signum.name}: the run did not end")
        compare(place, reference, seen)


def all_of(pipe: int) -> bytes:
    content = b""
    while piece := os.read(pipe, 4096):
        content += piece
    return content


def forget_random_state() -> None:
    run.restore_random_state = lambda _state: None


def forget_the_average() -> None:
    run.MovingAverage.load_state_dict = lambda _self, _state: None  # type: ignore[method-assign]


def write_under_the_final_name() -> None:
    checkpoint_file.temporary_name = lambda name: name
    real = checkpoint_folder.write_temporary

    def without_the_old(path: Path, *arguments: Any) -> Path:
        path.unlink(missing_ok=True)
        return real(path, *arguments)

    checkpoint_folder.write_temporary = without_the_old


SABOTAGE = {
    "random state": (forget_random_state, "different"),
    "average": (forget_the_average, "different"),
    "atomic writing": (write_under_the_final_name, "unreadable"),
}
"""Ways to break training on purpose, and where this program must find it."""


def sabotaged(kind: str, kills: int, chance: random.Random, folder: Path) -> dict[str, Any]:
    """Return what is seen when something is broken, in a process of its own."""
    reader, writer = os.pipe()

    def work() -> None:
        damage, where = SABOTAGE[kind]
        damage()
        seen = Seen()
        kill_often(kills, chance, folder, seen, until=where)
        os.write(writer, json.dumps(vars(seen)).encode())  # far less than a pipe holds

    child = start(work)
    os.close(writer)
    content = all_of(reader)
    os.close(reader)
    assert end_of(child) == 0
    return dict(json.loads(content))


def main() -> None:
    """Kill, ask politely, and see that what is broken on purpose is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    train(0, settings.folder / "first")  # so that what PyTorch imports late is not imported by each child
    seen, chance = Seen(), random.Random(settings.seed)
    kill_often(settings.kills, chance, settings.folder, seen)
    ask_politely(chance, settings.folder, seen)
    broken = {kind: sabotaged(kind, 50, chance, settings.folder / kind) for kind in SABOTAGE}
    json.dump({"sound": vars(seen), "broken": broken}, sys.stdout)


if __name__ == "__main__":
    main()
