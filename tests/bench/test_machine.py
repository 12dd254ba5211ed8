import re
import shutil
import subprocess

from cnncourse.bench import peak
from cnncourse.bench.machine import conditions, default_threads, family, isa_flags

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu sse4_2 avx avx2 fma avx512f avx512_bf16 ht

processor\t: 1
cpu family\t: 99
"""


def test_processor_as_the_kernel_describes_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUINFO, encoding="ascii")
    assert isa_flags(cpuinfo) == ["sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16"]
    assert family(cpuinfo) == "AuthenticAMD family 25 model 17"
    assert (isa_flags(tmp_path / "absent"), family(tmp_path / "absent")) == ([], "")


def test_threads_are_no_more_than_processors(monkeypatch):
    def listed(*_arguments, **_keywords):
        return subprocess.CompletedProcess([], 0, stdout="# comment\n" + "0,0\n" * 64)

    monkeypatch.setattr(subprocess, "run", listed)
    assert default_threads() == 1  # 64 hardware threads of one core

    def absent(*_arguments, **_keywords):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", absent)
    assert default_threads() >= 1


def test_conditions_are_plain_and_name_nobody():
    found = conditions(2, packages=["torch"])
    assert found["device"].endswith("2 threads")
    assert {"torch", "python", "cnncourse"} <= set(found["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", found["started"])


def test_without_a_compiler_there_is_no_peak_of_registers(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert peak.register_peak(1) == {}


def test_a_compiler_that_fails_gives_no_peak(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "cc" else None)

    def fail(command, **_keywords):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    assert peak.register_peak(1) == {}


def test_the_program_counts_what_it_computes():
    rates = peak.register_peak(1, seconds=0.02, times=2)
    if not any(shutil.which(name) for name in peak.COMPILERS):
        assert rates == {}
        return
    assert set(rates) <= {"fp32", "bf16"}
    assert all(0.1 < rate < 10_000 for rate in rates.values())
