import json

import pytest

from cnncourse.bench import BenchError, BenchResult


def trial(number, contestant, value, **more):
    return {
        "round": number,
        "workload": "bed",
        "contestant": contestant,
        "value": value,
        "disturbed": False,
        "facts": {"multiply_adds": 5e8, "precision": "bf16"},
        "peak_memory_mib": 100.0 + number,
        "versions": {"sleepers": "1.2"},
        **more,
    }


@pytest.fixture
def result(contestant, benchmark_of):
    found = BenchResult.begin(
        benchmark_of(contestant("plain", milliseconds=1), contestant("ours", milliseconds=1)), {"seed": 0}
    )
    found.flops_a_multiply_add = 6
    found.trials = [
        trial(0, "plain", 100.0),
        trial(0, "ours", 250.0),
        trial(1, "ours", 100.0),
        trial(1, "plain", 50.0),
        trial(2, "plain", 80.0),
        trial(2, "ours", 240.0),
    ]
    peak = {"registers": {"fp32": 500.0, "bf16": 1000.0}, "library": {"fp32": 400.0, "bf16": 1100.0}}
    found.slices = [
        {
            "device": "A processor, 2 threads",
            "family": "Maker family 1 model 2",
            "isa": ["avx2"],
            "date": "2026-01-01",
            "commit": "0123456789abcdef+changes",
            "versions": {"torch": "9.9"},
            "peak": peak,
        },
    ]
    return found


def test_rows_say_what_the_trials_come_to(result):
    plain, ours = result.rows()
    assert (plain.contestant, ours.contestant) == ("plain", "ours")  # the benchmark's order
    assert (ours.value.median, ours.value.low, ours.value.high) == (240.0, 100.0, 250.0)
    assert (ours.ratio.median, ours.ratio.low, ours.ratio.high) == (2.5, 2.0, 3.0)  # 2.5, 2 and 3 by round
    assert ours.difference.median == 150.0
    assert ours.gflops == 240.0 * 5e8 * 6 / 1e9
    assert ours.peak_share == 720.0 / 1000.0  # of the registers' bf16 rate, though the library claims more
    assert (ours.peak_memory_mib, ours.disturbed, ours.errors) == (101.0, 0, ())


def test_peak_of_the_library_stands_in_where_no_compiler_is(result):
    assert result.peak("fp32") == (500.0, "registers")
    result.slices[0]["peak"]["registers"] = {}
    assert result.peak("fp32") == (400.0, "library")
    result.slices.append({"peak": {"library": {"fp32": 450.0}}})
    assert result.peak("fp32") == (450.0, "library")  # the best of all runs
    result.slices = [{}, {"peak": {"error": "no torch"}}]
    assert result.peak("fp32") is None


def test_without_the_reference_the_first_that_ran_is_it(result):
    result.trials = [one for one in result.trials if one["contestant"] == "ours"]
    (ours,) = result.rows()
    assert (result.reference_of("bed"), ours.ratio.median) == ("ours", 1.0)
    result.trials = [{"round": 0, "workload": "bed", "contestant": "ours", "error": "fell over"}]
    (ours,) = result.rows()
    assert (result.reference_of("bed"), ours.ratio, ours.errors) == (None, None, ("fell over",))
    assert "bed, ours failed: fell over" in result.table()


def test_json_and_back(result, tmp_path):
    path = result.save(tmp_path / "new" / "sleep.json")
    assert BenchResult.load(path) == result
    assert BenchResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert [file.name for file in path.parent.iterdir()] == ["sleep.json"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "sleep.json is not JSON"), ("[1]", "got list"), ('{"unit": "s"}', r"got \['unit'\]")],
)
def test_a_file_that_is_no_result_is_refused(tmp_path, text, words):
    path = tmp_path / "sleep.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=words):
        BenchResult.load(path)


def test_table_is_aligned_and_says_what_it_stands_on(result):
    text = result.table()
    lines = text.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("contestant"))
    assert len({len(line) for line in lines[head : head + 3]}) == 1
    assert "images/s" in lines[head]
    assert "× plain" in lines[head]
    assert "240.0 (100.0 to 250.0)" in lines[head + 2]
    assert "2.50 (2.00 to 3.00)" in lines[head + 2]
    assert "72%" in lines[head + 2]
    for note in ("higher is better", "peak of bf16: 1,000 GFLOP/s (multiply-adds in registers)", "avx2"):
        assert note in text
    assert "commit 0123456789+changes" in text
    assert "sleepers 1.2" in text


def test_markdown_has_as_many_cells_in_every_line(result):
    rows = [line for line in result.markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert len({line.count("|") for line in rows}) == 1
    assert rows[1].startswith("| --- | ---: |")


def test_times_show_their_difference(result):
    result.unit, result.higher_is_better, result.flops_a_multiply_add = "µs a step", False, 0
    text = result.table()
    assert "- plain" in text
    assert "+150.0 (+50.00 to +160.0)" in text
    assert "GFLOP/s" not in text.split("median (smallest")[0]
    assert "lower is better" in text
