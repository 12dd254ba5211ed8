"""The contestants of ``conv`` and ``models``, on tiny workloads: all of them do the same work."""

import pytest
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.bench import BENCHMARKS
from cnncourse.bench.clock import Clock
from cnncourse.bench.network_catalogue import COMPARED
from cnncourse.bench.peers import convolutions, networks
from cnncourse.bench.task import Task
from cnncourse.bench.trial import run_trial
from cnncourse.models import names

SMALL = {"channels": 4, "side": 6, "kernel": 3, "batch_size": 4}
TAKING_PART = [
    (workload.name, contestant)
    for workload in BENCHMARKS["conv"].workloads
    for contestant in BENCHMARKS["conv"].contestants
    if contestant.workloads is None or workload.name in contestant.workloads
]


def trial(tmp_path, contestant, settings):
    return run_trial(
        {
            "function": contestant.function,
            "options": dict(contestant.options),
            "settings": settings,
            "packages": [],
            "timed": True,
            "clock": {"blocks": 1, "block_seconds": 1e-4, "warmup_steps": 2, "warmup_seconds": 0.0},
            "seed": 3,
            "device": "cpu",
            "scratch": str(tmp_path),
        }
    )


@pytest.mark.parametrize(("action", "contestant"), TAKING_PART, ids=lambda part: getattr(part, "name", part))
def test_every_way_to_convolve_is_timed_and_counted(tmp_path, action, contestant):
    report = trial(tmp_path, contestant, {**SMALL, "action": action})
    # 36 places, 4 x 4 channels, 9 numbers of the kernel; twice for two gradients
    assert report["facts"]["multiply_adds"] == 36 * 16 * 9 * (2 if action == "backward" else 1)
    loops = contestant.name.startswith("loops")
    assert report["units_a_step"] == (4 / 36 if loops else 4)
    assert ("timed" in report["facts"]) == loops


def test_another_convolution_is_refused(tmp_path):
    task = Task(settings={**SMALL, "action": "forward"}, seed=0, scratch=tmp_path)

    def flipped(images, weight):
        return functional.conv2d(images, weight.flip(2, 3), padding=1)

    with pytest.raises(RuntimeError, match="this is another convolution: off by"):
        convolutions.measure(task, Clock(), flipped)


def test_a_wrong_gradient_is_refused(tmp_path):
    task = Task(settings={**SMALL, "action": "backward"}, seed=0, scratch=tmp_path)

    def half(images, weight):
        return functional.conv2d(images, (weight + weight.detach()) / 2, padding=1)

    with pytest.raises(RuntimeError, match=r"this is another convolution: off by 0\.5"):
        convolutions.measure(task, Clock(), half)


def test_the_loops_get_a_piece_of_the_same_work():
    # _piece hands both loops the same windows: the first row of the first image
    task = Task(settings={**SMALL, "action": "forward"}, seed=0, scratch=None)
    images, weight, gradient = convolutions._piece(task)
    whole, _, _ = convolutions.layer(task)
    expected = functional.conv2d(whole[:1], weight)[:, :, :1, :4]
    assert_close(functional.conv2d(images, weight), expected, rtol=1e-4, atol=1e-4)
    assert gradient.shape == (1, 4, 1, 4)


@pytest.mark.parametrize("action", ["forward", "step", "build", "count"])
def test_both_libraries_do_the_same_work(tmp_path, action):
    settings = {"action": action, "model": "mobilenet_v2", "batch_size": 2, "side": 64}
    theirs, ours = (trial(tmp_path, one, settings) for one in BENCHMARKS["models"].contestants)
    assert theirs["facts"].keys() == ours["facts"].keys()
    for fact in ("loss", "multiply_adds"):
        if fact in theirs["facts"]:
            assert ours["facts"][fact] == pytest.approx(theirs["facts"][fact], rel=1e-4)


def test_the_networks_compared_are_torchvisions_too():
    from torchvision.models import list_models

    assert set(COMPARED) <= set(list_models())
    assert set(COMPARED) <= set(names())
    assert networks.CLASSES == 1000
