"""Measure the library against its peers: one process a trial, shuffled rounds, other people's work recorded.

How a comparison is kept fair: contestants of one round run in a shuffled order, each in a process of its own;
the share of the processor that others took is recorded, and a trial that was disturbed is repeated; what
counts is the median over the rounds of the ratio to the reference of the same round. Each contestant of
:data:`BENCHMARKS` is written the way its own documentation says, in one file of ``cnncourse.bench.peers``.

Importing this package brings in neither torch nor any contestant.
"""

from cnncourse.bench.benchmark import Benchmark, Contestant, Workload
from cnncourse.bench.catalogue import BENCHMARKS
from cnncourse.bench.result import BenchError, BenchResult
from cnncourse.bench.runner import run

__all__ = ["BENCHMARKS", "BenchError", "BenchResult", "Benchmark", "Contestant", "Workload", "run"]
