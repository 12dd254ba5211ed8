import json
from dataclasses import replace

import pytest

from cnncourse import records
from cnncourse.paths import course_root
from cnncourse.records import Record, RecordError


def toy(**changes):
    fields = {
        "name": "toy-run",
        "title": "A <toy> run",
        "recipe": "cnncourse.recipes.toy",
        "budget": "smoke",
        "settings": {"epochs": 2},
        "seeds": [0, 1],
        "data": {"name": "digits", "train_images": 1200, "test_images": 100, "sha256": {"file": "0" * 64}},
        "device": "abacus, 1 thread",
        "versions": {"python": "3.11.7"},
        "commit": "0123456789abcdef",
        "date": "2026-01-31",
        "wall_seconds": 12.5,
        "peak_memory_mib": 100.0,
        "curves": [{"epoch": [1, 2], "train_loss": [1.5, 0.5]}] * 2,
        "results": {"parameters": 1234, "test_accuracy": [0.98, 0.99], "test_errors": [2, 1]},
    }
    return Record(**{**fields, **changes})


def test_round_trip_through_a_file(tmp_path):
    path = records.save(toy(), tmp_path / "new")
    assert path == tmp_path / "new" / "toy-run.json"
    assert records.load("toy-run", tmp_path / "new") == toy()
    assert records.available(tmp_path / "new") == ("toy-run",)
    assert '"train_loss": [1.5, 0.5]' in path.read_text(encoding="utf-8")  # a curve is one line
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert [p.name for p in path.parent.iterdir()] == ["toy-run.json"]


def test_means_and_spreads():
    assert toy().mean("test_accuracy") == pytest.approx(0.985)
    assert toy().sd("test_accuracy") == pytest.approx(0.01 / 2**0.5)  # two values 0.01 apart, n - 1
    assert (toy().mean("parameters"), toy().sd("parameters")) == (1234, 0)
    with pytest.raises(KeyError, match="has no result 'speed'; there are parameters, test_accuracy"):
        toy().mean("speed")


def test_tables_say_conditions_and_escape():
    text, page = str(toy()), toy()._repr_html_()
    for said in (
        "98.5 ± 0.71 % (n = 2)",
        "1,234",
        "digits: 1,200 images to train, 100 to test",
        "abacus",
        "2026-01-31, 0123456789",
    ):
        assert said in text
        assert said in page
    assert page.startswith('<div class="cnn-record"><table><caption>A &lt;toy&gt; run')
    changed = str(replace(toy(), commit="0123456789abcdef+changes"))
    assert "0123456789+changes" in changed


def test_drawn_points_are_not_called_images():
    data = {"name": "points drawn", "train_images": 2560, "test_images": 0, "sha256": {}}
    for table in (str(toy(data=data)), toy(data=data)._repr_html_()):
        assert "points drawn: 2,560 to train" in table
        assert "images" not in table
        assert "test," not in table
        assert " 0 to test" not in table


def test_results_read_like_words_and_like_ones_share_a_row():
    race = {f"l1_m8_width_{2**i}_layers_1": [0.25, 0.25] for i in range(1, 6)}
    record = toy(results={"train_seconds": [1.0, 2.0], **race, "l1_m12_width_16_layers_8": [0.1, 0.3]})
    text, page = str(record), record._repr_html_()
    assert "training time (s)" in text
    assert "L1 distance to m⁽⁸⁾, 32 units in 1 layer" in text
    assert "L1 distance to m⁽¹²⁾, 8 layers of 16" in text
    assert "<td>8 layers of 16: 0.2 ± 0.14 (n = 2)</td>" in page
    assert page.count("L1 distance to m⁽⁸⁾") == 1
    assert page.count("units in 1 layer: 0.25 ± 0 (n = 2)") == 5
    shown, folded = page.split("<details><summary>1 more</summary>")
    assert "16 units in 1 layer" in shown
    assert folded.startswith("32 units in 1 layer")
    assert "_" not in page


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    records.save(toy(), tmp_path)

    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.save(toy(title="New"), tmp_path)
    assert records.load("toy-run", tmp_path) == toy()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("seeds"), r"toy-run.json must have the fields of a record; missing: \['seeds'\]"),
        (lambda c: c.update(speed=1), r"unknown: \['speed'\]"),
        (
            lambda c: c.update(wall_seconds="long"),
            "wall_seconds in toy-run.json must be int or float, got 'long'",
        ),
        (
            lambda c: c.update(wall_seconds=True),
            "wall_seconds in toy-run.json must be int or float, got True",
        ),
        (lambda c: c.update(curves=[]), "one history for each seed, got 0 histories for seeds"),
        (lambda c: c.update(seeds=[], curves=[]), "one history for each seed"),
        (
            lambda c: c["results"].update(speed=[1.0]),
            "'speed' of record 'toy-run' must have one number for each of 2",
        ),
        (
            lambda c: c.update(name="other-run"),
            "toy-run.json must hold the record 'toy-run', got 'other-run'",
        ),
    ],
)
def test_malformed_records_are_refused(tmp_path, change, message):
    content = toy().to_dict()
    change(content)
    (tmp_path / "toy-run.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        records.load("toy-run", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "toy-run.json is not JSON"), ("[]", "one JSON object, got list")]
)
def test_files_that_are_no_records(tmp_path, text, message):
    (tmp_path / "toy-run.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        records.load("toy-run", tmp_path)


def test_bad_names_and_numbers(tmp_path):
    with pytest.raises(
        RecordError, match=r"no record 'missing'; recorded are: none yet\. `python -m cnncourse record"
    ):
        records.load("missing", tmp_path)
    with pytest.raises(RecordError, match=r"small letters, digits and hyphens, got '\.\./x'"):
        records.load("../x", tmp_path)
    with pytest.raises(RecordError, match="holds something that JSON cannot"):
        records.save(toy(results={"test_loss": float("nan")}), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", records.available())
def test_the_courses_own_records(name):
    record = records.load(name)
    assert record.budget == "full"
    draws = record.recipe != "cnncourse.recipes.public_weights"  # it measures what others trained
    assert len(record.seeds) >= (3 if draws else 1)
    assert not record.commit.endswith("+changes")
    assert len(record.commit) == 40
    text = (course_root() / "data" / "results" / f"{name}.json").read_text(encoding="utf-8")
    assert "/" not in "".join(record.versions.values()) + record.device  # no path, no host
    assert str(course_root()) not in text
    assert all(len(value) == 64 for value in record.data["sha256"].values())


def test_lenet_reached_what_the_course_says():
    record = records.load("lenet-mnist")
    assert (record.data["name"], record.data["test_images"]) == ("mnist", 10_000)
    assert record.results["parameters"] == 61_706
    assert min(record.results["test_accuracy"]) >= 0.989
    assert max(record.results["train_seconds"]) < 600
    for accuracy, errors in zip(record.results["test_accuracy"], record.results["test_errors"], strict=True):
        assert errors == round((1 - accuracy) * 10_000)
