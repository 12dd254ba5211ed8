"""The ablation atlas: found by properties, averaged by hand, refused when it is no whole grid."""

import itertools

import pytest

from cnncourse import records
from cnncourse.paths import course_root
from cnncourse.records import Record, RecordError
from cnncourse.records.atlas import NAME, Atlas, load_atlas, network_name
from cnncourse.records.labels import split_label


def made(depths=(8, 20), widths=(0.5, 1.0), seeds=(0, 1), *, change=lambda columns: None, epochs=2):
    """Return a record whose numbers can be told from depth, seed and pass."""
    curves = []
    for seed in seeds:
        grid = list(itertools.product(depths, (False, True), (True, False), widths))
        columns = {
            "depth": [row[0] for row in grid],
            "residual": [row[1] for row in grid],
            "batch_norm": [row[2] for row in grid],
            "width": [row[3] for row in grid],
            "train_loss": [[depth + seed, depth / 2 + seed] for depth, *_ in grid],
            "train_error": [[0.5, depth / 100 + seed / 10] for depth, *_ in grid],
            "test_error": [[0.9, 0.8] for _ in grid],
            "final_train_error": [0.25 for _ in grid],
        }
        change(columns)
        curves.append(columns)
    return Record(
        name=NAME,
        title="Atlas",
        recipe="cnncourse.recipes.ablation_atlas",
        budget="full",
        settings={"epochs": epochs, "data": "Toy, 16 px, 10 images"},
        seeds=list(seeds),
        data={"name": "toy", "train_images": 8, "test_images": 2, "sha256": {}},
        device="a processor",
        versions={"torch": "1"},
        commit="c" * 40,
        date="2026-01-01",
        wall_seconds=1.0,
        peak_memory_mib=1.0,
        curves=curves,
        results={"x": 1},
    )


def test_cells_are_found_by_their_properties():
    atlas = Atlas.of(made())
    assert (atlas.depths, atlas.widths, atlas.seeds, len(atlas.cells)) == ((8, 20), (0.5, 1.0), (0, 1), 32)
    both = atlas.select(depth=20, residual=True, batch_norm=False, width=1)
    assert [(cell.seed, cell.train_loss) for cell in both] == [(0, (20, 10)), (1, (21, 11))]
    assert both[0].name == "ResNet-20, no batch norm, width 1"
    assert len(atlas.select(residual=False)) == 16
    assert "depths 8, 20" in repr(atlas)
    assert "Toy, 16 px" in atlas._repr_html_()


def test_means_by_hand():
    atlas = Atlas.of(made(seeds=(0, 1, 5)))
    place = {"depth": 20, "residual": False, "batch_norm": True, "width": 0.5}
    assert atlas.mean("train_loss", **place) == (22, 12)
    assert atlas.mean("train_error", **place) == pytest.approx((0.5, 0.4))
    with pytest.raises(ValueError, match=r"curve must be one of train_loss, .* got 'loss'"):
        atlas.mean("loss", **place)


def test_a_run_that_broke_off_shortens_the_mean():
    def broke_off(columns):
        columns["train_loss"][0] = columns["train_loss"][0][:1]
        columns["train_error"][0] = columns["test_error"][0] = [0.9]

    atlas = Atlas.of(made(change=broke_off))
    first = atlas.cells[0]
    place = {name: getattr(first, name) for name in ("depth", "residual", "batch_norm", "width")}
    assert len(atlas.mean("train_loss", **place)) == 1


def test_a_missing_cell_is_told_with_what_there_is():
    atlas = Atlas.of(made())
    with pytest.raises(
        RecordError, match=r"no cell with depth=21, width=1; it has depths 8, 20, widths 0\.5, 1 "
    ):
        atlas.select(depth=21, width=1)


def dropped(columns):
    for values in columns.values():
        values.pop()


def twice(columns):
    columns["width"][0] = columns["width"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dropped, "must hold 32 different cells.* got 30, of them 30 different"),
        (twice, "got 32, of them 30 different"),
        (lambda c: c.pop("width"), "columns of one length for each seed"),
        (lambda c: c["width"].pop(), "columns of one length for each seed"),
        (lambda c: c["depth"].__setitem__(0, "8"), "depth of a cell must be a whole number, got '8'"),
        (lambda c: c["residual"].__setitem__(0, 1), "residual of a cell must be true or false, got 1"),
        (
            lambda c: c["train_loss"].__setitem__(0, [1, None]),
            "train_loss of a cell must be a list of numbers",
        ),
        (
            lambda c: c["final_train_error"].__setitem__(0, "x"),
            "final_train_error of a cell must be a number",
        ),
        (lambda c: c["train_loss"].__setitem__(0, [1]), "one value for each pass"),
        (lambda c: c["test_error"].__setitem__(0, [0.5, 50.0]), r"shares in \[0, 1\], got 0\.08 to 50"),
    ],
)
def test_what_is_no_grid_is_refused(change, message):
    with pytest.raises(RecordError, match=message):
        Atlas.of(made(change=change))


def test_curves_must_have_the_passes_of_the_settings():
    with pytest.raises(RecordError, match="has 3 passes by its settings, but 2 in its curves"):
        Atlas.of(made(epochs=3))


def test_it_is_loaded_from_its_file(tmp_path):
    with pytest.raises(RecordError, match="no record 'ablation-atlas'"):
        load_atlas(tmp_path)
    records.save(made(), tmp_path)
    assert load_atlas(tmp_path) == Atlas.of(records.load(NAME, tmp_path))


def test_the_courses_own_atlas_shows_degradation_and_its_cure():
    atlas = load_atlas()
    file = course_root() / "data" / "results" / f"{NAME}.json"
    assert file.stat().st_size <= 1_000_000
    assert atlas.depths == (8, 14, 20, 32, 44, 56)
    assert len(atlas.seeds) >= 3
    assert "JPEG copies" in atlas.data

    def errors(depth, residual):
        cells = atlas.select(depth=depth, residual=residual, batch_norm=True, width=0.5)
        return [cell.final_train_error for cell in cells]

    assert min(errors(56, False)) > max(errors(20, False)) + 0.1
    assert max(errors(56, True)) < min(errors(20, False)) - 0.1
    for residual in (True, False):  # what a reader finds in the table is what the curves end with
        key = f"training error, %: {network_name(56, residual, True, 0.5)}"
        assert atlas.record.results[key] == pytest.approx([100 * error for error in errors(56, residual)])


def test_names():
    assert network_name(56, False, True, 0.5) == "plain-56, batch norm, width 0.5"
    assert split_label("training error, %: plain-56, batch norm") == (
        "training error, %",
        "plain-56, batch norm",
    )
