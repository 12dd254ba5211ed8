"""``bench`` measures the library against its peers."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from cnncourse.bench.benchmark import Benchmark
from cnncourse.bench.catalogue import BENCHMARKS

_EXAMPLES = """examples:
  cnncourse bench --list
  cnncourse bench train --workloads resnet20 --contestants ours lightning --output train.json
  cnncourse bench train --output train.json --append --limit 100    (some trials now, the rest later)
  cnncourse bench train --check                                     (does the fast path learn the same?)
"""


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    bench = subparsers.add_parser(
        "bench",
        help="measure against peers: " + ", ".join(BENCHMARKS),
        description="Measure the library against its peers: one process a trial, rounds in shuffled order, "
        "medians of the ratios within a round. Disturbed trials are repeated. Peers that are not installed "
        "are left out and named; pip install cnncourse[bench] brings them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.add_argument("name", metavar="NAME", nargs="?", help=f"one of: {', '.join(BENCHMARKS)}")
    bench.add_argument("--list", action="store_true", help="list workloads and contestants")
    bench.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    bench.add_argument("--workloads", nargs="+", metavar="NAME", help="default: all")
    bench.add_argument("--contestants", nargs="+", metavar="NAME", help="default: all that are installed")
    bench.add_argument("--threads", type=int, metavar="N", help="default: one for each core")
    bench.add_argument(
        "--seconds", type=float, metavar="S", help="timed seconds of a trial (default: 3 to 15, by workload)"
    )
    bench.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    bench.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    bench.add_argument(
        "--attempts",
        type=int,
        default=3,
        metavar="N",
        help="trials at most until one is not disturbed (default: 3)",
    )
    bench.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON")
    bench.add_argument("--append", action="store_true", help="go on with what FILE holds")
    bench.add_argument("--limit", type=float, metavar="S", help="start no trial after S seconds")
    bench.add_argument("--check", action="store_true", help="compare what is learnt instead of how fast")
    bench.add_argument("--json", action="store_true", help="print the result as JSON")
    bench.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    bench.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.list:
        chosen = _chosen(arguments.name)
        print(json.dumps(_as_data(chosen)) if arguments.json else _listed(chosen))
        return 0
    if arguments.name is None:
        raise ValueError(f"which benchmark? Choose one of {', '.join(BENCHMARKS)}, or see them with --list")
    if arguments.append and arguments.output is None:
        raise ValueError("--append goes on with a file, so it needs --output FILE")
    from cnncourse import bench

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if arguments.check:
        return _check(arguments, report)
    result = bench.run(
        arguments.name,
        rounds=arguments.rounds,
        workloads=arguments.workloads,
        contestants=arguments.contestants,
        threads=arguments.threads,
        seconds=arguments.seconds,
        device=arguments.device,
        seed=arguments.seed,
        attempts=arguments.attempts,
        limit=arguments.limit,
        output=arguments.output,
        append=arguments.append,
        report=report,
    )
    if arguments.json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        print(result.markdown() if arguments.markdown else result.table())
    return 0


def _check(arguments: argparse.Namespace, report: Any) -> int:
    if arguments.name != "train":
        raise ValueError(
            f"--check compares what training learns, so it goes with train, not {arguments.name}"
        )
    from cnncourse.bench.check import check_learning

    checked = check_learning(
        contestants=arguments.contestants,
        workloads=arguments.workloads,
        threads=arguments.threads,
        report=report,
    )
    if arguments.output is not None:
        checked.save(arguments.output)
    print(json.dumps(checked.to_dict(), ensure_ascii=False) if arguments.json else checked.table())
    return 0 if checked.passed else 1


def _chosen(name: str | None) -> list[Benchmark]:
    if name is not None and name not in BENCHMARKS:
        raise ValueError(f"there is no benchmark {name!r}; choose of {', '.join(BENCHMARKS)}")
    return [benchmark for benchmark in BENCHMARKS.values() if name in (None, benchmark.name)]


def _listed(benchmarks: list[Benchmark]) -> str:
    lines = []
    for benchmark in benchmarks:
        lines.append(f"{benchmark.name}: {benchmark.description} ({benchmark.unit})")
        lines += [f"  workload    {one.name:<21} {one.description}" for one in benchmark.workloads]
        for one in benchmark.contestants:
            missing = one.missing()
            note = f"  [not installed: {', '.join(missing)}]" if missing else ""
            mark = "reference " if one.name == benchmark.reference else "contestant"
            lines.append(f"  {mark}  {one.name:<21} {one.description}{note}")
    return "\n".join(lines)


def _as_data(benchmarks: list[Benchmark]) -> list[dict[str, Any]]:
    return [
        {
            "name": benchmark.name,
            "description": benchmark.description,
            "unit": benchmark.unit,
            "higher_is_better": benchmark.higher_is_better,
            "reference": benchmark.reference,
            "workloads": {one.name: one.description for one in benchmark.workloads},
            "contestants": {
                one.name: {"description": one.description, "missing": list(one.missing())}
                for one in benchmark.contestants
            },
        }
        for benchmark in benchmarks
    ]
