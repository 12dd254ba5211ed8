"""``refresh`` on tiny notebooks: what is stored, what is refused, and what a fault leaves behind."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cnncourse.book.__main__ import main
from cnncourse.book.execute import NotebookError, kernel_environment, longest_first
from cnncourse.book.gpu_timing import time_on_gpu
from cnncourse.book.refresh import refresh
from cnncourse.book.run_line import run_line, settle_timing
from cnncourse.book.setup_cell import setup_cell
from cnncourse.book.storage import read_notebook, write_atomically

REPOSITORY = "https://github.com/cnncourse/cnncourse"


def write(path, *sources, tags=(), data="numbers made up here", seconds=None):
    """Write a notebook of code cells and return its path."""
    cells = [new_markdown_cell("# A title"), *map(new_code_cell, sources)]
    for cell, tag in zip(cells, tags, strict=False):
        if tag:
            cell.metadata["tags"] = [tag]
    notebook = new_notebook(cells=cells)
    notebook.metadata["cnncourse"] = {"data": data} | ({} if seconds is None else {"seconds": seconds})
    nbformat.write(notebook, path)
    return path


def run(*paths, **options):
    """Refresh and return (reported lines, failures)."""
    lines = []
    return lines, refresh(paths, repository=REPOSITORY, report=lines.append, **options)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Return a chapter with everything a run leaves by chance, refreshed once, and what was reported."""
    path = tmp_path_factory.mktemp("book") / "sample.ipynb"
    write(
        path,
        'BUDGET = "auto"',
        "what the author wrote",
        'import sys\nprint("one")\nsys.stdout.flush()\nprint("two", course.budget)',
        "from tqdm.auto import tqdm\nfrom tqdm import tqdm as plain\n"
        "for _ in tqdm(range(3)): pass\nfor _ in plain(range(3), disable=False): pass",
        "def draw(n):\n    fig, ax = figures.subplots()\n    ax.plot([0, n])\n    return fig\n"
        'notebook.slider(draw, {"n": [1, 2]}, name="line", alt="a line", caption="Steeper and steeper.")',
        "import ipywidgets\nipywidgets.IntSlider()",
        "",
        "6 * 7",
        "# the same\n6 * 7",
        "6 * 7",
        tags=("run-line", "parameters", "setup"),
    )
    notebook = read_notebook(path)
    notebook.cells.insert(1, new_markdown_cell("what it takes", metadata={"tags": ["run-line"]}))
    notebook.cells[0].metadata = {"tags": [], "collapsed": True}
    notebook.metadata["widgets"] = {"state": {}}
    notebook.metadata["celltoolbar"] = "Tags"
    nbformat.write(notebook, path)
    lines, failures = run(path)
    assert failures == []
    assert lines[0].startswith("sample: ")
    assert lines[0].endswith("written")
    return path


def test_a_second_refresh_changes_no_byte(chapter):
    before, date = chapter.read_bytes(), chapter.stat().st_mtime_ns
    lines, failures = run(chapter)
    assert failures == []
    assert lines[0].endswith("unchanged")
    assert chapter.read_bytes() == before
    assert chapter.stat().st_mtime_ns == date
    assert run(chapter, write=False)[1] == []


def test_the_stored_form_is_valid_and_free_of_chance(chapter):
    notebook = read_notebook(chapter)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, 10))
    assert set(itertools.chain(*(cell.metadata for cell in notebook.cells))) == {"tags"}
    assert set(notebook.metadata) == {"cnncourse", "kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert chapter.read_bytes().endswith(b"}\n")
    twice = [cell.id for cell in code if cell.source == "6 * 7"]
    assert twice[1] == f"{twice[0]}-2"
    assert code[6].outputs[0].data == {"text/plain": "42"}
    assert code[6].outputs[0].execution_count == 7


def test_generated_cells_are_generated(chapter):
    by_id = {cell.id: cell for cell in read_notebook(chapter).cells}
    assert by_id["parameters"].source == 'BUDGET = "auto"'
    assert by_id["setup"].source == setup_cell("sample", repository=REPOSITORY, version="0.1.0")
    assert by_id["setup"].metadata.tags == ["setup", "hide-input", "nbval-ignore-output"]
    assert by_id["setup"].outputs == []  # the style sheet belongs to the session, not to the file
    assert "**Data:** numbers made up here." in by_id["run-line"].source
    assert "not yet measured" in by_id["run-line"].source


def test_streams_are_joined_and_progress_and_bare_widgets_dropped(chapter):
    code = [cell for cell in read_notebook(chapter).cells if cell.cell_type == "code"]
    assert [output.text for output in code[2].outputs] == ["one\ntwo book\n"]
    assert code[3].outputs == []
    assert code[5].outputs == []
    (slider,) = code[4].outputs
    assert set(slider.data) == {"text/html", "text/plain"}
    assert slider.data["text/html"].startswith('<figure class="cnn-player"')


def test_time_and_memory_are_measured_and_stored(chapter):
    record = read_notebook(chapter).metadata.cnncourse
    assert 1 < record.seconds < 120
    assert 150 < record.memory_mb < 4000  # Python with torch and matplotlib, nothing trained


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\n1 / 0", r"broken, cell 3 \(`x = 1`\): ZeroDivisionError: division by zero"),
        ("import warnings\nwarnings.warn('mind the gap')", r"cell 3 .*: warns: UserWarning: mind the gap"),
        ("import sys\nprint('psst', file=sys.stderr)", r"cell 3 .*: writes to the error stream: psst"),
        ("object()", r"cell 3 .*: shows '<object at 0x\w+>', another address at each run"),
        ("import os\nos._exit(1)", r"cell 3 .*: the kernel died"),
        ("print('x' * 1_500_000)", r"broken: the notebook would take 1,50\d kB, more than 1,500 kB"),
        (
            "from IPython.display import HTML\nHTML(f'<svg>{\"x\" * 400_000}</svg>')",
            r"broken: figures would take 400 kB, more than 400 kB",
        ),
    ],
    ids=["raises", "warns", "stderr", "address", "dies", "large", "figures"],
)
def test_a_fault_is_named_and_leaves_the_file_as_it_was(tmp_path, source, complaint):
    path = write(tmp_path / "broken.ipynb", "'fine'", source)
    before = path.read_bytes()
    lines, (failure,) = run(path)
    assert lines == []
    assert re.search(complaint, failure), failure
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_one_broken_chapter_does_not_keep_the_others_from_being_written(tmp_path):
    good, bad = write(tmp_path / "good.ipynb", "1 + 1"), write(tmp_path / "bad.ipynb", "1 +")
    (line,), (failure,) = run(good, bad)
    assert line.startswith("good: ")
    assert line.endswith("written")
    assert failure.startswith("bad, cell 2 (`1 +`): SyntaxError")
    assert read_notebook(good).cells[1].outputs[0].data == {"text/plain": "2"}


def test_a_check_writes_nothing_and_fails_where_something_would_change(tmp_path):
    path = write(tmp_path / "draft.ipynb", "1 + 1")
    before = path.read_bytes()
    lines, (failure,) = run(path, write=False)
    assert lines == []
    assert failure.startswith("draft: ")
    assert failure.endswith("would change")
    assert path.read_bytes() == before


def test_chapters_run_side_by_side_with_one_thread_each(tmp_path):
    meet = (
        "import os, pathlib, time\npathlib.Path({mine!r}).touch()\nend = time.time() + 60\n"
        "while not pathlib.Path({other!r}).exists():\n    assert time.time() < end, 'alone'\n    time.sleep(0.02)\n"
        "os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CNNCOURSE_BUDGET']"
    )
    paths = [
        write(tmp_path / f"{mine}.ipynb", meet.format(mine=mine, other=other))
        for mine, other in (("left", "right"), ("right", "left"))
    ]
    assert run(*paths)[1] == []
    assert read_notebook(paths[0]).cells[1].outputs[0].data["text/plain"] == "('1', '', 'book')"


def test_the_longest_runs_first_and_the_unknown_before_it():
    times = {"a": 3.0, "b": None, "c": 80.0, "d": 3.0, "e": None}
    assert longest_first(times) == ["b", "e", "c", "a", "d"]


def test_stored_times_give_the_order(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "cnncourse.book.refresh.refresh_notebook", lambda path, **_options: asked.append(path.stem) or "ok"
    )
    paths = [write(tmp_path / f"{name}.ipynb", "1", seconds=time) for name, time in zip("abc", (5, 50, 9))]  # noqa: B905
    assert run(*paths, kernels=1) == (["ok"] * 3, [])
    assert asked == ["b", "c", "a"]


def test_a_time_changes_only_when_it_moved_by_more_than_half():
    stored = {"data": "d", "seconds": 20, "memory_mb": 500}
    assert settle_timing(stored, seconds=29.9, peak_bytes=700_000_000) == stored
    assert settle_timing(stored, seconds=10.1, peak_bytes=0) == stored
    moved = settle_timing(stored, seconds=31.26, peak_bytes=1_234_000_000)
    assert moved == {"data": "d", "seconds": 31, "memory_mb": 1200}
    assert settle_timing({"seconds": 1.0}, seconds=2.9, peak_bytes=0) == {"seconds": 1.0}  # noise of starting


def test_the_run_line_reads_well():
    record = {"data": "digits.", "seconds": 33, "memory_mb": 640}
    assert run_line(record, slug="s") == (
        "**Run time:** about 35 s on two CPU cores; on a GPU: not yet measured. **Memory:** about 0.6 GB. "
        "**Data:** digits."
    )
    timed = run_line(record | {"gpu_seconds": 150, "gpu": "NVIDIA H200"}, slug="s")
    assert "on a GPU: about 2 min at full scale (NVIDIA H200)" in timed


@pytest.mark.parametrize("data", ["", None, 7])
def test_a_chapter_says_which_data_it_uses(tmp_path, data):
    path = write(tmp_path / "silent.ipynb", "1", tags=("run-line",), data=data)
    assert "silent: the notebook's metadata must say which data it uses" in run(path)[1][0]


def test_a_time_on_a_gpu_is_stored_beside_untouched_outputs(tmp_path):
    path = write(tmp_path / "large.ipynb", "import os\nos.environ['CNNCOURSE_BUDGET']", tags=("run-line",))
    run(path)
    before = read_notebook(path)
    seconds = time_on_gpu(path, gpu="NVIDIA Example")
    after = read_notebook(path)
    assert after.metadata.cnncourse.gpu == "NVIDIA Example"
    assert after.metadata.cnncourse.gpu_seconds == pytest.approx(seconds, rel=0.05)
    assert "at full scale (NVIDIA Example)" in after.cells[0].source
    assert after.cells[1] == before.cells[1]
    assert after.cells[1].outputs[0].data["text/plain"] == "'book'"
    assert run(path)[0][0].endswith("unchanged")  # refreshing keeps it


def test_timing_on_a_gpu_runs_at_full_scale_and_failing_stores_nothing(tmp_path):
    source = "import os\nif os.environ['CNNCOURSE_BUDGET'] == 'full':\n    raise MemoryError('too small')"
    path = write(tmp_path / "large.ipynb", source)
    run(path)
    before = path.read_bytes()
    with pytest.raises(NotebookError, match=r"large, cell 2 .*: MemoryError: too small"):
        time_on_gpu(path, gpu="NVIDIA Example")
    assert path.read_bytes() == before


def test_timing_asks_for_a_refreshed_chapter(tmp_path):
    with pytest.raises(NotebookError, match="new: refresh it first"):
        time_on_gpu(write(tmp_path / "new.ipynb", "1"), gpu="NVIDIA Example")


def test_timing_needs_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["time-gpu"]) == 2
    assert "time-gpu needs a CUDA device and this machine has none" in capsys.readouterr().err


def test_the_parameters_cell_holds_the_budget_and_no_more(tmp_path):
    path = write(tmp_path / "odd.ipynb", 'BUDGET = "smoke"', tags=("", "parameters"))
    assert (
        'odd: the cell tagged parameters holds BUDGET = "auto" and no more, got \'BUDGET = '
        in run(path)[1][0]
    )


def test_what_is_not_a_notebook_is_named(tmp_path):
    (tmp_path / "torn.ipynb").write_text('{"cells": [')
    assert "torn.ipynb is not a notebook" in run(tmp_path / "torn.ipynb")[1][0]
    assert "there is no notebook" in run(tmp_path / "nowhere.ipynb")[1][0]


WRITER = """
import os, signal, sys
from pathlib import Path
from cnncourse.book import storage
def die(*_anything):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(*{what}, die)
storage.write_atomically(Path(sys.argv[1]), b"new" * 100_000)
"""


@pytest.mark.parametrize("what", ["(os, 'fsync')", "(Path, 'replace')"])
def test_being_killed_while_writing_leaves_the_old_file(tmp_path, what):
    path = tmp_path / "book.ipynb"
    path.write_bytes(b"old")
    killed = subprocess.run([sys.executable, "-c", WRITER.format(what=what), str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "book.ipynb"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def full(_handle):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_ctrl_c_stops_the_kernels_at_once(tmp_path):
    mark = tmp_path / "started"
    path = write(
        tmp_path / "slow.ipynb", f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(300)"
    )
    before = path.read_bytes()
    program = "import sys; from pathlib import Path; from cnncourse.book import __main__ as book, refresh\n"
    program += "refresh.Course.notebook = lambda self, slug: Path(slug)\nsys.exit(book.main(['refresh', sys.argv[1]]))"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not mark.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "cnncourse.book: stopped\n"
    assert path.read_bytes() == before


def test_the_environment_of_a_kernel_is_that_of_the_process_with_a_few_variables_fixed(monkeypatch):
    monkeypatch.setenv("CNNCOURSE_HOME", "/somewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    environment = kernel_environment("smoke")
    assert environment["CNNCOURSE_HOME"] == "/somewhere"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["CNNCOURSE_BUDGET"] == "smoke"


def test_the_command_line_explains_mistakes(capsys):
    assert main(["refresh", "no_such_chapter"]) == 2
    assert "_toc.yml lists no chapter 'no_such_chapter'" in capsys.readouterr().err
    assert main(["refresh", "--kernels", "0"]) == 2
    assert "--kernels must be at least 1, got 0" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["refresh", "--help"]) == 0
    assert "examples:" in capsys.readouterr().out
