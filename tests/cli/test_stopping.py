"""Real processes that are told to stop in the middle of a run."""

import json
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("command_line_processes")


PROGRAM = """
import signal, sys
from cnncourse.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may have had Ctrl-C ignored
sys.exit(main(sys.argv[1:]))
"""
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.mark.parametrize("number", CODES)
def test_a_stopped_run_saves_says_so_and_goes_on_to_the_same_result(
    number, digit_run, train_command, tmp_path, told
):
    folder = tmp_path / "run"
    command = [*train_command, "--output", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("pass 2 "):
            process.send_signal(number)
            break
    out, rest = process.communicate(timeout=120)
    assert process.returncode == CODES[number], (said, rest)
    assert out == ""
    assert f"cnncourse: stopped by {number.name}; the run goes on from {folder}" in rest
    assert rest.rstrip().endswith("give the same command again to go on")
    assert "%|" not in "".join(said) + rest  # no bar where nobody looks
    assert not (folder / "history.json").exists()

    expected = told(*train_command, "--output", digit_run)
    assert {**told(*command), "folder": None} == {**expected, "folder": None}
    ours, theirs = (
        json.loads((place / "history.json").read_text())["train_loss"] for place in (folder, digit_run)
    )
    assert ours == theirs


def test_output_into_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m cnncourse models | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141)  # 0 where the pipe took the table before it was closed
    assert done.stdout.startswith("model ")
    assert done.stderr == ""
