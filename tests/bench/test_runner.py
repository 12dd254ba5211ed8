import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnncourse.bench import BenchError, BenchResult, run
from cnncourse.bench import runner as runner_module
from cnncourse.bench.process import run_process


def specification(function, **options):
    return {
        "function": f"contestants_for_tests:{function}",
        "options": options,
        "settings": {},
        "packages": [],
        "timed": True,
        "clock": {"blocks": 1, "block_seconds": 0.01, "warmup_steps": 2, "warmup_seconds": 0.0},
        "seed": 7,
        "device": "cpu",
        "scratch": ".",
    }


def test_a_trial_reports_blocks_facts_and_memory(contestant):
    report = run_process(specification("sleeper", milliseconds=2), threads=1, timeout=60)
    (block,) = report["blocks"]
    assert block["steps"] >= 1
    assert block["seconds"] >= 0.002 * block["steps"]  # sleeping is never shorter than asked
    assert report["units_a_step"] == 10
    assert report["facts"] == {"seed": 7}
    assert report["peak_memory_mib"] > 1


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("crash", "RuntimeError: the contestant fell over"),
        ("die", "ended by signal 9"),
        ("lazy", "contestants_for_tests:lazy came back before a single block was timed"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_a_contestant_that_fails_is_reported_with_its_error(contestant, function, words):
    assert words in run_process(specification(function), threads=1, timeout=60)["error"]


def test_a_trial_without_end_is_ended(contestant):
    assert "no report after 1 s" in run_process(specification("hang"), threads=1, timeout=1)["error"]


def runs(process):
    """Return whether a process of /proc is there and not dead."""
    try:
        return "State:\tZ" not in (process / "status").read_text(encoding="utf-8")
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_a_trial_ends_with_the_process_that_waits_for_it(contestant, tmp_path):
    given = specification("hang", note=str(tmp_path / "number"))
    code = f"from cnncourse.bench.process import run_process; run_process({given!r}, threads=1, timeout=60)"
    waiting = subprocess.Popen([sys.executable, "-c", code])
    try:
        while not (tmp_path / "number").exists() or not (tmp_path / "number").read_text():
            time.sleep(0.01)
        trial = Path("/proc") / (tmp_path / "number").read_text()
        assert runs(trial)
    finally:
        waiting.kill()
        waiting.wait()
    deadline = time.monotonic() + 20
    while runs(trial):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def trials(monkeypatch):
    """Replace processes by a list of what they were asked, and let them report known figures."""
    asked = []

    def process(given, *, threads, timeout):
        asked.append((given["function"].partition(":")[2], given["options"], threads))
        if given["function"].endswith("measure"):
            return {"facts": {"registers": {"fp32": 123.0}}}
        if given["function"].endswith("crash"):
            return {"error": "RuntimeError: fell over"}
        foreign = given["options"].get("foreign", [0.0])
        share = foreign[min(sum(one[1] == given["options"] for one in asked), len(foreign)) - 1]
        block = {"steps": 4, "seconds": 2.0 * given["options"]["factor"], "foreign": share}
        return {
            "blocks": [block] * 3,
            "units_a_step": 10,
            "versions": {},
            "facts": {},
            "threads": threads,
            "peak_memory_mib": 5.0,
            "seconds": 3.0,
        }

    monkeypatch.setattr(runner_module, "run_process", process)
    return asked


def quiet(_line):
    return None


def test_rounds_ratios_and_crashes(contestant, benchmark_of, trials):
    benchmark = benchmark_of(
        contestant("slow", factor=1.0), contestant("fast", factor=0.25), contestant("broken", "crash")
    )
    lines = []
    result = run(benchmark, rounds=3, report=lines.append)
    slow, fast, broken = result.rows()
    assert slow.value.median == 20.0  # 4 steps of 10 images in 2 s
    assert (fast.value.median, fast.ratio.median, fast.ratio.count) == (80.0, 4.0, 3)
    assert (broken.value, broken.errors) == (None, ("RuntimeError: fell over",))
    assert len(trials) == len(lines) == 9
    assert sum("failed: RuntimeError" in line for line in lines) == 3
    assert "failed: RuntimeError: fell over" in result.table()


def test_a_missing_package_is_named_and_its_contestant_left_out(contestant, benchmark_of, trials):
    absent = contestant("absent", packages=("no_such_package_anywhere",), factor=1.0)
    result = run(benchmark_of(contestant("here", factor=1.0), absent), rounds=2, report=quiet)
    assert result.skipped == {"absent": "not installed: no_such_package_anywhere"}
    assert len(trials) == 2
    assert "absent: not installed: no_such_package_anywhere" in result.table()


def test_a_disturbed_trial_is_repeated_and_then_marked(contestant, benchmark_of, trials):
    once = contestant("once", factor=1.0, foreign=[0.5, 0.01])
    ever = contestant("ever", factor=1.0, foreign=[0.5, 0.2, 0.3])
    result = run(benchmark_of(once, ever), rounds=1, report=quiet)
    by_name = {trial["contestant"]: trial for trial in result.trials}
    assert (by_name["once"]["attempts"], by_name["once"]["disturbed"]) == (2, False)
    assert (by_name["ever"]["attempts"], by_name["ever"]["disturbed"]) == (3, True)
    assert by_name["ever"]["blocks"][0]["foreign"] == 0.2  # the least disturbed attempt
    assert "ever !" in result.table()
    assert "once !" not in result.table()


def test_threads_come_from_the_call_else_the_workload_else_the_machine(
    contestant, benchmark_of, trials, monkeypatch
):
    monkeypatch.setattr(runner_module, "default_threads", lambda: 17)
    run(benchmark_of(contestant("one", factor=1.0)), rounds=1, report=quiet)
    run(benchmark_of(contestant("one", factor=1.0)), rounds=1, threads=3, report=quiet)
    assert [threads for _, _, threads in trials] == [17, 3]


def test_a_run_goes_on_where_it_stopped(contestant, benchmark_of, trials, tmp_path):
    benchmark = benchmark_of(contestant("a", factor=1.0), contestant("b", factor=0.5))
    path = tmp_path / "deep" / "sleep.json"
    stopped = run(benchmark, rounds=4, limit=0.0, output=path, report=quiet)
    assert (stopped.trials, trials) == ([], [])
    run(benchmark, rounds=1, output=path, append=True, report=quiet)
    whole = run(benchmark, rounds=4, output=path, append=True, report=quiet)
    assert len(trials) == len(whole.trials) == 8
    assert len(whole.slices) == 3
    again = run(benchmark, rounds=4, output=path, append=True, report=quiet)
    assert again == whole  # nothing was left to do
    assert {(t["round"], t["contestant"]) for t in whole.trials} == {(r, c) for r in range(4) for c in "ab"}
    assert BenchResult.load(path) == whole
    once = run(benchmark, rounds=4, report=quiet)
    assert [t["contestant"] for t in once.trials] == [t["contestant"] for t in whole.trials]  # same order
    run(benchmark, rounds=1, output=path, report=quiet)  # without append: from the beginning
    assert len(BenchResult.load(path).trials) == 2


def test_only_a_run_with_the_same_settings_can_go_on(contestant, benchmark_of, trials, tmp_path):
    benchmark = benchmark_of(contestant("a", factor=1.0))
    path = tmp_path / "sleep.json"
    run(benchmark, rounds=1, output=path, report=quiet)
    with pytest.raises(BenchError, match=r"same benchmark and settings can go on, got sleep .*'seed': 1"):
        run(benchmark, rounds=2, seed=1, output=path, append=True, report=quiet)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rounds": 0}, "rounds=0"),
        ({"seconds": 0.0}, "seconds=0.0"),
        ({"threads": 0}, "threads=0"),
        ({"attempts": 0}, "attempts=0"),
        ({"contestants": ["keras"]}, "no contestant of train 'keras'; choose of plain, "),
        ({"workloads": ["alexnet"]}, "no workload of train 'alexnet'; choose of resnet20, "),
        ({"name": "flight"}, "no benchmark 'flight'; choose of train, augment"),
    ],
)
def test_mistakes_are_refused(trials, settings, words):
    with pytest.raises(ValueError, match=words):
        run(**{"name": "train", "report": quiet, **settings})
    assert trials == []


def test_the_reference_always_runs(contestant, benchmark_of, trials):
    everybody = [contestant(name, factor=1.0) for name in ("plain", "ours", "theirs")]
    result = run(benchmark_of(*everybody), contestants=["ours"], rounds=1, report=quiet)
    assert [row.contestant for row in result.rows()] == ["plain", "ours"]
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def test_a_rate_of_arithmetic_brings_the_peak_with_it(contestant, benchmark_of, trials):
    counted = dataclasses.replace(benchmark_of(contestant("plain", factor=1.0)), flops_a_multiply_add=2)
    result = run(counted, rounds=1, threads=3, report=quiet)
    assert trials[0] == ("measure", {"threads": 3}, 3)
    assert result.peak("fp32") == (123.0, "registers")
    run(counted, rounds=1, report=quiet, device="cuda")
    assert [function for function, _, _ in trials].count("measure") == 1  # of the processor only
