import ctypes
import platform
import shutil
import subprocess
import sys

import pytest

from cnncourse.training import allocator

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

FAULTS = """
import resource, sys
import torch
import cnncourse.training
from cnncourse.training.allocator import keep_freed_memory, return_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def steps(count):
    before = faults()
    for _ in range(count):
        a = torch.empty(16 << 20).fill_(1)  # 64 MiB
        b = torch.empty(32 << 20).fill_(1)  # 128 MiB
        del a, b
    return faults() - before

"""


def run(program, **environment):
    """Run Python code in a fresh process and return the numbers it prints."""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment or None
    )
    return [int(word) for word in result.stdout.split()]


@pytest.fixture(scope="module")
def seen():
    """What a fresh process sees: page faults of five steps, resident bytes, answers."""
    program = (
        FAULTS
        + """
print(steps(5))              # importing the package has changed nothing
print(int(keep_freed_memory()))
steps(5)                      # the heap grows until everything has its place
print(steps(5))
print(int(keep_freed_memory()))
print(steps(5))
return_memory()
print(resident())
block = torch.empty(64 << 20).fill_(1)  # 256 MiB
del block
print(resident())
print(int(return_memory()))
print(resident())
"""
    )
    names = "usual_faults done kept_faults again later_faults empty kept returned left"
    return dict(zip(names.split(), run(program), strict=True))


@glibc
def test_kept_memory_needs_no_new_pages(seen):
    pages = 5 * (192 << 20) // 4096
    assert seen["usual_faults"] > pages / 2  # half, in case pages come in pairs
    assert seen["done"] == seen["again"] == 1
    assert seen["kept_faults"] < pages / 100
    assert seen["later_faults"] < pages / 100


@glibc
def test_memory_is_kept_until_it_is_returned(seen):
    assert seen["kept"] - seen["empty"] > 250 << 20
    assert seen["returned"] == 1
    assert seen["left"] - seen["empty"] < 50 << 20


@glibc
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_preloaded_allocator_is_left_alone(tmp_path):
    # It serves malloc by itself, if only by handing it on, as jemalloc and tcmalloc do.
    source = tmp_path / "other.c"
    source.write_text(
        "#include <stddef.h>\nvoid *__libc_malloc(size_t);\n"
        "void *malloc(size_t size) { return __libc_malloc(size); }\n"
    )
    library = tmp_path / "libother.so"
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    program = (
        "import importlib.util as u; s = u.spec_from_file_location('allocator', "
        f"{allocator.__file__!r}); a = u.module_from_spec(s); s.loader.exec_module(a); "
        "print(int(a.keep_freed_memory()), int(a.return_memory()))"
    )
    assert run(program) == [1, 1] or run(program) == [1, 0]
    assert run(program, LD_PRELOAD=str(library)) == [0, 0]


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_a_system_without_a_c_library_to_ask_is_left_alone(monkeypatch, error):
    def absent(_name):
        raise error("no such library")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert not allocator.keep_freed_memory()
    assert not allocator.return_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    class Musl:
        malloc = None

        def mallopt(self, *_):
            raise AssertionError("must not be called")

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Musl())
    assert not allocator.keep_freed_memory()


def test_an_older_version_that_refuses_a_large_threshold_never_maps(monkeypatch):
    calls = []

    class Older:
        def mallopt(self, parameter, value):
            calls.append((parameter, value))
            return int(not (parameter == allocator.M_MMAP_THRESHOLD and value > 32 << 20))

    monkeypatch.setattr(allocator, "_glibc", Older)
    assert allocator.keep_freed_memory()
    assert calls[-1] == (allocator.M_MMAP_MAX, 0)
    monkeypatch.setattr(Older, "mallopt", lambda *_: 0)
    assert not allocator.keep_freed_memory()
