"""Runs that are killed at any instant end with the very bits of runs that nobody disturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed_runs.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks"),
    pytest.mark.xdist_group("killed_runs"),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    environment = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
    )
    command = [sys.executable, "-W", "error", PROGRAM, folder, "--kills", "100", "--seed", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_hundred_kills_change_no_bit_and_spoil_no_file(seen):
    sound = seen["sound"]
    assert sum(sound["kills"].values()) == 100
    assert sound["unreadable"] == []
    assert sound["different"] == []
    assert sound["failed"] == []


def test_the_kills_were_worth_the_trouble(seen):
    # runs died early and late, in each way, and with files half written
    sound = seen["sound"]
    assert sound["runs"] >= 10
    assert len(set(sound["steps"])) >= 6
    assert sound["leftovers"] >= 20
    assert len(sound["kills"]) >= 10
    assert sound["kills"]["any time"] >= 10


def test_asked_to_stop_runs_save_and_leave_with_the_usual_exit_codes(seen):
    assert seen["sound"]["exit_codes"] == {"SIGTERM": [143] * 3, "SIGINT": [130] * 3}


@pytest.mark.parametrize(
    ("broken", "where", "what"),
    [
        ("random state", "different", "/model/"),
        ("average", "different", "/average/model/"),
        ("atomic writing", "unreadable", ".safetensors is "),
    ],
)
def test_what_is_broken_on_purpose_is_found(broken, where, what, seen):
    assert any(what in line for line in seen["broken"][broken][where])
