import ast
import importlib
import inspect

import pytest

from cnncourse.bench import BENCHMARKS, Benchmark, Contestant, Workload
from cnncourse.paths import course_root

EVERYBODY = [
    (benchmark.name, contestant) for benchmark in BENCHMARKS.values() for contestant in benchmark.contestants
]


def test_all_benchmarks_are_there():
    assert set(BENCHMARKS) == {
        "train",
        "augment",
        "loader",
        "import",
        "checkpoint",
        "overhead",
        "predict",
        "conv",
        "models",
    }
    assert all(name == benchmark.name for name, benchmark in BENCHMARKS.items())


@pytest.mark.parametrize(("name", "contestant"), EVERYBODY, ids=lambda value: getattr(value, "name", value))
def test_a_contestant_has_a_function_that_takes_its_options(name, contestant):
    module, _, function = contestant.function.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), function))
    signature.bind("task", "clock", **contestant.options)
    known = {workload.name for workload in BENCHMARKS[name].workloads}
    assert set(contestant.workloads or known) <= known


def test_peers_are_imported_in_the_trial_only():
    # An import at the top of a peer's file would run in every process that lists the contestants' functions.
    peers = {package for _, contestant in EVERYBODY for package in contestant.packages} | {"torchvision"}
    for path in (course_root() / "cnncourse" / "bench").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert peers & {name.split(".")[0] for name in names} == set(), path.name


@pytest.mark.parametrize(
    ("reference", "names", "words"),
    [
        ("b", ["a"], "reference of nap must be a contestant, got 'b'"),
        ("a", ["a", "a"], "nap must have contestants of different names"),
        ("a", [], "nap must have contestants of different names"),
    ],
)
def test_impossible_benchmarks_are_refused(reference, names, words):
    with pytest.raises(ValueError, match=words):
        Benchmark(
            name="nap",
            description="",
            unit="s",
            higher_is_better=False,
            reference=reference,
            workloads=(Workload(name="w", description=""),),
            contestants=tuple(Contestant(name=n, description="", function="m:f") for n in names),
        )
