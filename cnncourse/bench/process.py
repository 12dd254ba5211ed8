"""One trial in a new process and a new session."""

import json
import os
import signal
import subprocess
import sys
from typing import Any


def run_process(specification: dict[str, Any], *, threads: int, timeout: float) -> dict[str, Any]:
    """Run a trial and wait for its report.

    Args:
        specification: see :func:`cnncourse.bench.trial.run_trial`.
        threads: threads that libraries shall use.
        timeout: seconds after which the trial and its children are ended.

    Returns:
        The report, or ``error``: in one line, why there is none.
    """
    count = str(threads)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "PYTHONWARNINGS": "ignore",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cnncourse.bench.trial", json.dumps(specification)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its share of the processor, workers included, can be told
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return {"error": f"no report after {timeout:g} s; its process was ended"}
    except BaseException:
        _end(process)
        raise
    if process.returncode == 0:
        try:
            return dict(json.loads(out))
        except (ValueError, TypeError):
            return {"error": f"its report is not a JSON object: {out[-200:]!r}"}
    lines = [line for line in err.splitlines() if line.strip()]
    if process.returncode < 0:
        lines.append(f"ended by signal {-process.returncode}")
    return {"error": (lines[-1] if lines else f"exit code {process.returncode}")[-500:]}


def _end(process: subprocess.Popen[str]) -> None:
    """End a trial with its children: workers would go on without it."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows
        process.kill()
    process.communicate()
