"""Importing is quiet and quick: no torch for the bare package, and no side effect for any module."""

import json
import subprocess
import sys

import pytest

from cnncourse.paths import course_root

PACKAGE = course_root() / "cnncourse"
MODULES = sorted(
    ".".join(("cnncourse", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "_course" not in path.parts and path.name != "__main__.py"
)

NEW_MODULES = """
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Sockets and child processes are watched by Python's own audit hooks; CUDA and random states by their owners.
QUIET = """
import importlib, json, random, sys, threading
watched = ("socket.", "subprocess.", "os.system", "os.fork", "os.posix_spawn", "urllib.")
noises = []
sys.addaudithook(lambda event, _arguments: noises.append(event) if event.startswith(watched) else None)
import numpy, torch
{others}
del noises[:]
def states():
    return random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
first, threads, loud = states(), threading.active_count(), {}
def options():
    return torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
settings = options()
for module, trick in json.loads(sys.argv[1]).items():
    exec(trick)
    importlib.import_module(module)
    found = list(noises)
    found += ["random state"] * (states() != first)
    found += ["CUDA"] * torch.cuda.is_initialized()
    found += ["thread"] * (threading.active_count() != threads)
    found += ["setting of torch"] * (options() != settings)
    if found:
        loud[module] = found
    first, threads, settings = states(), threading.active_count(), options()
    del noises[:]
print("REPORT" + json.dumps(loud))
"""


def run(program, *arguments):
    """Run a program in a new interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=course_root(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def new_modules(module):
    """Return the modules that importing one brings in."""
    return json.loads(run(NEW_MODULES.format(module=module)))


def loud_modules(tricks, others=""):
    """Return module to what importing it did besides defining names; its trick is a part of the module."""
    return json.loads(run(QUIET.replace("{others}", others), json.dumps(tricks)).partition("REPORT")[2])


def test_the_bare_package_brings_nothing_with_it():
    assert new_modules("cnncourse") == ["cnncourse"]  # thousands of times less than 50 ms


@pytest.mark.parametrize(
    "module", ["cnncourse.cli", "cnncourse.claims", "cnncourse.records", "cnncourse.paths"]
)
def test_what_needs_no_network_imports_no_torch(module):
    heavy = {"torch", "torchvision", "matplotlib", "sklearn", "skimage", "scipy"}
    assert heavy & set(new_modules(module)) == set()


@pytest.mark.parametrize(
    "module", ["cnncourse.notebook", "cnncourse.models", "cnncourse.figures", "cnncourse.training"]
)
def test_a_chapter_starts_without_the_slow_packages_it_may_never_use(module):
    assert {"torchvision", "sklearn", "skimage"} & set(new_modules(module)) == set()


def test_importing_any_module_opens_nothing_seeds_nothing_and_touches_no_gpu():
    # What the packages that the course stands on do at their first import is not the course's.
    others = (
        "import matplotlib.pyplot, sklearn.datasets, skimage.data, torchvision, IPython.display, ipywidgets"
    )
    assert loud_modules(dict.fromkeys(MODULES, ""), others) == {}


def test_side_effects_are_found():
    tricks = {
        "cnncourse": ("random.seed(0)", "random state"),
        "cnncourse.paths": ("torch.manual_seed(0)", "random state"),
        "cnncourse.markup": ("numpy.random.seed(0)", "random state"),
        "cnncourse.claims": ("import socket; socket.socket().close()", "socket.__new__"),
        "cnncourse.claims.ledger": ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        "cnncourse.claims.check": ("torch.set_default_dtype(torch.float64)", "setting of torch"),
        "cnncourse.records": (
            "threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "thread",
        ),
        "cnncourse.cli": ("", ""),
    }
    found = loud_modules({module: trick for module, (trick, _noise) in tricks.items()})
    assert {module: noise for module, (_trick, noise) in tricks.items() if noise} == {
        module: noises[0] for module, noises in found.items()
    }
