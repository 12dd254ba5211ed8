from pathlib import Path

import pytest

from cnncourse.bench import Benchmark, Contestant, Workload


@pytest.fixture
def contestant(monkeypatch):
    """Return a function that makes contestants which trials can import."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def make(name, function="sleeper", packages=(), **options):
        return Contestant(
            name=name,
            description=f"does {function}",
            function=f"contestants_for_tests:{function}",
            options=options,
            packages=packages,
        )

    return make


@pytest.fixture
def benchmark_of():
    """Return a function that makes a benchmark of contestants; the first is the reference."""

    def make(*contestants, **settings):
        return Benchmark(
            name="sleep",
            description="sleeping",
            unit="images/s",
            higher_is_better=True,
            reference=contestants[0].name,
            workloads=(
                Workload(
                    name="bed",
                    description="a bed",
                    settings={"warmup_steps": 2, "warmup_seconds": 0.0, **settings},
                ),
            ),
            contestants=contestants,
        )

    return make
