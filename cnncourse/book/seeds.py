"""``seeds``: run chapters from several seeds, and see which claims change their verdict."""

import argparse
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError, execute, kernel_environment, stop_kernels
from cnncourse.book.storage import read_notebook, write_atomically
from cnncourse.claims import MIME
from cnncourse.paths import course_root
from cnncourse.records import provenance

__all__ = ["ChapterSeeds", "add_parsers", "read_results", "run_seeds", "table", "write_results"]

RESULTS = Path("data") / "results" / "book" / "seeds.json"
"""Where the verdicts are kept, from the root of the course; not among the records, because it is none."""

MISSING = "not reached"
"""Verdict of a claim that other seeds checked: an error ended its cell before."""


@dataclass(frozen=True, kw_only=True)
class ChapterSeeds:
    """What the claims of a chapter came to, seed by seed."""

    seeds: tuple[int, ...]
    """One run each."""
    verdicts: Mapping[str, tuple[str, ...]]
    """Claim to verdicts, in the order of the seeds: ``holds``, ``needs a correction``, ``fails``, ``not judged`` or
    ``not reached``."""
    measured: Mapping[str, tuple[str, ...]]
    """Claim to measured values as text, likewise."""
    faults: Mapping[str, str]
    """Seed to what stopped its run; empty when all came to the end."""
    seconds: tuple[float, ...]
    """Processor time of each run; 0 for one that was stopped."""
    conditions: Mapping[str, Any]
    """Device, versions, commit and date."""

    @property
    def changing(self) -> tuple[str, ...]:
        """Claims whose verdict is not the same at all seeds, or that fail at all."""
        return tuple(
            claim
            for claim, found in self.verdicts.items()
            if len(set(found)) > 1 or found[0] in ("fails", MISSING)
        )


def run_seeds(
    path: Path,
    seeds: Sequence[int],
    *,
    kernels: int = 2,
    report: Callable[[str], object] = lambda _line: None,
) -> ChapterSeeds:
    """Run a chapter at budget book once for each seed, and store nothing in it.

    A claim that fails ends its cell; the cells after it still run.

    Args:
        path: an ``.ipynb`` file; its name without ending is the chapter's slug.
        seeds: at least one, all different; see :func:`cnncourse.notebook.resolve_seed`.
        kernels: runs at once, each with one thread, at least 1.
        report: called with a line of text after each run.

    Returns:
        Verdicts and measured values of every claim.

    Raises:
        NotebookError: if there is no such notebook.
        ValueError: if there is no seed, one comes twice or is below 0, or there is no kernel.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds must be different numbers from 0 on, at least one, got {list(seeds)}")
    if kernels < 1:
        raise ValueError(f"kernels must be at least 1, got {kernels=}")
    notebook = read_notebook(path)
    conditions = provenance(threads=1)

    def once(seed: int) -> tuple[dict[str, dict[str, str]], float, str]:
        environment = {**kernel_environment("book"), "CNNCOURSE_SEED": str(seed)}
        try:
            done = execute(
                notebook, slug=path.stem, folder=path.parent, environment=environment, allowed=["ClaimError"]
            )
        except NotebookError as fault:
            report(f"{path.stem}, seed {seed}: stopped: {fault}")
            return {}, 0.0, str(fault)
        claims = _claims(done.notebook.cells)
        report(f"{path.stem}, seed {seed}: {len(claims)} claims, {done.seconds:.0f} s")
        return claims, round(done.seconds, 1), ""

    with ThreadPoolExecutor(max_workers=kernels) as pool:
        try:
            runs = list(pool.map(once, seeds))
        except BaseException:  # Ctrl-C must not wait for what still runs
            pool.shutdown(wait=False, cancel_futures=True)
            stop_kernels()
            raise
    names = dict.fromkeys(itertools.chain(*(claims for claims, _seconds, _fault in runs)))
    missing = {"verdict": MISSING, "measured": ""}

    def by_seed(key: str) -> dict[str, tuple[str, ...]]:
        return {name: tuple(claims.get(name, missing)[key] for claims, *_rest in runs) for name in names}

    return ChapterSeeds(
        seeds=tuple(seeds),
        verdicts=by_seed("verdict"),
        measured=by_seed("measured"),
        faults={str(seed): run[2] for seed, run in zip(seeds, runs, strict=True) if run[2]},
        seconds=tuple(seconds for _claims, seconds, _fault in runs),
        conditions=asdict(conditions),
    )


def _claims(cells: Sequence[Any]) -> dict[str, dict[str, str]]:
    """Return the outcomes in the outputs of a run, by id; where a claim is checked twice, the worse one."""
    found: dict[str, dict[str, str]] = {}
    for output in itertools.chain(*(cell.get("outputs", []) for cell in cells)):
        outcome = output.get("data", {}).get(MIME)
        if outcome is not None and found.get(outcome["id"], {}).get("verdict") != "fails":
            found[outcome["id"]] = dict(outcome)
    return found


def table(chapters: Mapping[str, ChapterSeeds]) -> str:
    """Return the verdicts as text, a line for each claim.

    Args:
        chapters: slug to verdicts.

    Returns:
        Claims that hold alike at all seeds with one verdict, others with a verdict and value for each seed.
    """
    lines = []
    for slug, found in chapters.items():
        lines.append(f"{slug}: seeds {', '.join(map(str, found.seeds))}")
        for claim, verdicts in found.verdicts.items():
            values = list(dict.fromkeys(found.measured[claim]))
            shown = ", ".join(values[:3]) + (", ..." if len(values) > 3 else "")
            if claim not in found.changing:
                lines.append(f"  {claim}: {verdicts[0]} ({shown})")
                continue
            by_seed = zip(found.seeds, verdicts, found.measured[claim], strict=True)
            each = "; ".join(f"seed {seed} {verdict} ({value})" for seed, verdict, value in by_seed)
            lines.append(f"  {claim}: CHANGES: {each}")
        lines += [f"  seed {seed} STOPPED: {fault}" for seed, fault in found.faults.items()]
    return "\n".join(lines)


def read_results(path: Path) -> dict[str, ChapterSeeds]:
    """Return the verdicts kept in a file, by slug.

    Args:
        path: written by :func:`write_results`; a missing one holds nothing.

    Returns:
        Slug to verdicts.

    Raises:
        ValueError: if the file is of another form.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {slug: _chapter(entry) for slug, entry in content["chapters"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise ValueError(
            f"{path.name} must hold verdicts by chapter ({fault!r}); remove it and run again"
        ) from fault


def write_results(path: Path, chapters: Mapping[str, ChapterSeeds]) -> None:
    """Write verdicts, a line for each list.

    Args:
        path: JSON; the old file stays whole until the new one is complete.
        chapters: slug to verdicts.
    """
    lists = {slug: {k: v for k, v in vars(found).items() if v != {}} for slug, found in chapters.items()}
    text = json.dumps({"chapters": lists}, ensure_ascii=False, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (text + "\n").encode())


def _chapter(entry: Mapping[str, Any]) -> ChapterSeeds:
    def lists(key: str) -> dict[str, tuple[str, ...]]:
        return {claim: tuple(values) for claim, values in entry.get(key, {}).items()}

    found = ChapterSeeds(
        seeds=tuple(entry["seeds"]),
        verdicts=lists("verdicts"),
        measured=lists("measured"),
        faults=dict(entry.get("faults", {})),
        seconds=tuple(entry["seconds"]),
        conditions=dict(entry["conditions"]),
    )
    if any(
        len(values) != len(found.seeds) for values in (*found.verdicts.values(), *found.measured.values())
    ):
        raise ValueError("a claim has not one verdict for each seed")
    return found


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = subparsers.add_parser(
        "seeds",
        help="run chapters from several seeds and compare the verdicts of their claims",
        description=f"Run chapters at budget book from each seed, store nothing in them, and write {RESULTS}. "
        "Exit code 1 when a verdict changes, a claim fails or a run stops.",
        epilog="examples:  seeds resnet   ·   seeds alexnet vgg resnet --seeds 0 1 2 3 4",
    )
    parser.add_argument("slugs", nargs="+", metavar="SLUG", help="chapters, by name")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="N", help="default: 0 to 4"
    )
    parser.add_argument("--kernels", type=int, default=2, metavar="N", help="runs at once (default: 2)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    course = Course(course_root())
    paths = {slug: course.notebook(slug) for slug in dict.fromkeys(arguments.slugs)}
    results = course.root / RESULTS
    kept = read_results(results)
    found = {}
    for slug, path in paths.items():
        found[slug] = run_seeds(
            path, arguments.seeds, kernels=arguments.kernels, report=lambda line: print(line, flush=True)
        )
        kept[slug] = found[slug]
        write_results(results, dict(sorted(kept.items())))
    print(table(found))
    return 1 if any(chapter.changing or chapter.faults for chapter in found.values()) else 0
