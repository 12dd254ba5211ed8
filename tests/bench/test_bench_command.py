import json
import subprocess
import sys

import pytest

from cnncourse import bench
from cnncourse.bench import BENCHMARKS, check
from cnncourse.cli import main


def test_list_loads_nothing_heavy():
    code = (
        "import sys; from cnncourse.cli import main; assert main(['bench', '--list']) == 0; "
        "heavy = {'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for benchmark in BENCHMARKS.values():
        assert benchmark.description in done.stdout


@pytest.fixture
def result(monkeypatch, contestant, benchmark_of):
    """Run a tiny benchmark under the name ``train``; return what the command asked for."""
    asked = {}
    tiny = benchmark_of(contestant("plain", milliseconds=1), contestant("ours", milliseconds=1))
    genuine = bench.run

    def run(name, **settings):
        asked.update(settings, name=name)
        return genuine(tiny, **settings)

    monkeypatch.setattr(bench, "run", run)
    return asked


def test_bench_prints_and_writes_what_it_measured(result, tmp_path, capsys):
    path = tmp_path / "train.json"
    arguments = ["bench", "train", "--rounds", "1", "--seconds", "0.03", "--threads", "1", "--attempts", "1"]
    assert main([*arguments, "--output", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(path.read_text(encoding="utf-8"))
    assert err.count("images/s") == 2
    assert main([*arguments, "--output", str(path), "--append", "--markdown"]) == 0
    out, err = capsys.readouterr()
    assert "| plain" in out
    assert err == ""  # nothing was left to do
    assert (result["name"], result["threads"], result["append"]) == ("train", 1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench"], "which benchmark? Choose one of train, "),
        (["bench", "flight"], "no benchmark 'flight'"),
        (["bench", "flight", "--list"], "no benchmark 'flight'"),
        (["bench", "train", "--append"], "needs --output FILE"),
        (["bench", "loader", "--check"], "so it goes with train, not loader"),
        (["bench", "train", "--check", "--contestants", "keras"], "'keras' cannot be checked"),
        (
            ["bench", "train", "--check", "--workloads", "vgg"],
            "'vgg' cannot be checked; choose of lenet, resnet20",
        ),
        (["bench", "train", "--contestants", "keras"], "no contestant of train 'keras'"),
    ],
)
def test_mistakes_are_explained(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_pairs_are_compared_with_their_own_spread():
    # Differences 1, 2, 3: mean 2, standard deviation 1, standard error 1 / sqrt(3).
    assert check.paired_difference([2, 4, 6], [1, 2, 3]) == (2.0, pytest.approx(3**-0.5))
    assert not check.worse([0.90, 0.91, 0.89], [0.91, 0.90, 0.90])  # -1, +1, -1: within the spread
    assert check.worse([0.88, 0.89, 0.87], [0.91, 0.92, 0.905])
    assert not check.worse([0.9, 0.9], [0.9, 0.9])
    with pytest.raises(ValueError, match="got 1 and 1 accuracies"):
        check.paired_difference([1.0], [1.0])


def learners(monkeypatch, accuracies):
    """Replace training by known accuracies: name to a list, one a seed, or an error."""

    def process(specification, **_settings):
        key = specification["options"].get("precision", specification["function"].partition(":")[2])
        found = accuracies[key]
        if isinstance(found, str):
            return {"error": found}
        return {"facts": {"accuracy": found[specification["seed"]]}}

    monkeypatch.setattr(check, "run_process", process)


@pytest.mark.parametrize(
    ("ours", "code", "words"),
    [
        ([0.91, 0.92, 0.93, 0.94, 0.95], 0, ": not less"),
        ([0.81, 0.83, 0.83, 0.84, 0.86], 1, ": less"),
        ("ValueError: no", 1, "resnet20, ours failed: ValueError: no"),
    ],
)
def test_check_fails_when_less_is_learnt(monkeypatch, capsys, ours, code, words):
    learners(monkeypatch, {"plain": [0.91, 0.93, 0.93, 0.94, 0.95], "ours": ours})
    assert main(["bench", "train", "--check", "--contestants", "ours"]) == code
    assert words in capsys.readouterr().out


def test_a_check_of_one_workload_is_written_and_read_again(monkeypatch, tmp_path, capsys):
    learners(monkeypatch, {"plain": [0.5, 0.6, 0.5, 0.6, 0.5], "ours": [0.6, 0.6, 0.6, 0.6, 0.5]})
    path = tmp_path / "learning.json"
    chosen = ["--workloads", "lenet", "--contestants", "ours"]
    assert main(["bench", "train", "--check", *chosen, "--output", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["accuracies"]) == ["lenet"]
    checked = check.Checked.load(path)
    assert checked.to_dict() == told
    # by hand: differences 0.1, 0, 0.1, 0, 0; their mean 0.04, deviation sqrt(0.003), its error sqrt(0.003 / 5)
    assert checked.rows()[1] == ("lenet", "ours", "58.00% ± 4.47%", "+4.00 ± 2.45 points: not less")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="is not what `cnncourse bench train --check --output` writes"):
        check.Checked.load(path)


def test_the_list_as_data(capsys):
    assert main(["bench", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told] == list(BENCHMARKS)
    assert told[0]["reference"] in told[0]["contestants"]


def test_a_check_needs_a_spread():
    with pytest.raises(ValueError, match=r"at least two seeds, got \[0\]"):
        check.check_learning(seeds=[0])
