import pytest

from cnncourse.claims import ClaimError, declared, read_ledger

GOOD = """\
- id: lenet-params
  chapter: pooling_lenet
  statement: LeNet-5 has 61 706 parameters.
  source: lecun1998
  where: Section II
  expect: {equals: 61706}
  verdict: holds
- id: sawtooth-teeth
  chapter: depth_separation
  statement: >
    The iterate has $2^n$ teeth.
  source: telgarsky2016
  expect: {equals: [2, 4, 8]}
  verdict: needs a correction
  correction: There are half as many.
  corrected: {equals: [1, 2, 4]}
  needs: book
  unit: teeth
"""


@pytest.fixture
def ledger(tmp_path):
    def write(text):
        path = tmp_path / "claims.yml"
        path.write_text(text, encoding="utf-8")
        return read_ledger(path)

    return write


def test_a_ledger_is_read_in_its_order(ledger):
    claims = ledger(GOOD)
    assert list(claims) == ["lenet-params", "sawtooth-teeth"]
    first, second = claims.values()
    assert (first.chapter, first.where, first.needs, first.corrected) == (
        "pooling_lenet", "Section II", "smoke", None,
    )  # fmt: skip
    assert second.statement == "The iterate has $2^n$ teeth."  # without YAML's line end
    assert second.corrected is not None
    assert second.corrected.is_met_by([1, 2, 4])
    assert (second.needs, second.unit) == ("book", "teeth")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n"])
def test_an_empty_ledger_has_no_claims(ledger, text):
    assert ledger(text) == {}


def test_the_courses_own_ledger_is_well_formed():
    for name, claim in declared().items():
        assert claim.id == name


BAD = {
    "yaml": (GOOD + "- id: [unclosed\n", r"claims\.yml, line \d+: not valid YAML"),
    "tab": ("- id: a\n\tchapter: b\n", r"claims\.yml, line 2: not valid YAML"),
    "control": ("- id: \x00\n", r"claims\.yml, line 1: not valid YAML"),
    "no list": ("id: a\n", r"line 1: the ledger is a list of claims"),
    "no mapping": (GOOD + "- just words\n", r"line 19: a claim is a mapping"),
    "twice": (
        GOOD + GOOD[: GOOD.index("- id: saw")],
        r"line 19: claim 'lenet-params' is declared twice, first in line 1",
    ),
    "missing": (
        GOOD.replace("  source: telgarsky2016\n", ""),
        r"line 8: claim 'sawtooth-teeth': missing source",
    ),
    "without id": ("- chapter: a\n", r"line 1: claim 'without id': missing expect, id, source"),
    "unknown": (
        GOOD.replace("unit:", "units:"),
        r"line 8: claim 'sawtooth-teeth': unknown key units",
    ),
    "verdict": (
        GOOD.replace("verdict: holds", "verdict: true"),
        r"line 1: claim 'lenet-params': verdict must be a text, got True; put it in quotes",
    ),
    "other verdict": (
        GOOD.replace("verdict: holds", "verdict: maybe"),
        r"verdict must be holds or needs a correction, got 'maybe'",
    ),
    "needs": (GOOD.replace("needs: book", "needs: gpu"), r"needs must be smoke, book, full, got 'gpu'"),
    "uncorrected": (
        GOOD.replace("  corrected: {equals: [1, 2, 4]}\n", ""),
        r"line 8: claim 'sawtooth-teeth': a claim that needs a correction has the keys",
    ),
    "needless correction": (
        GOOD.replace("verdict: needs a correction", "verdict: holds"),
        r"line 8: claim 'sawtooth-teeth': a claim that holds has no correction",
    ),
    "expectation": (
        GOOD.replace("{equals: 61706}", "{about: 61706}"),
        r"line 1: claim 'lenet-params': an expectation is one of",
    ),
    "corrected expectation": (
        GOOD.replace("{equals: [1, 2, 4]}", "{at_least: many}"),
        r"line 8: claim 'sawtooth-teeth': at_least must be a number, got 'many'",
    ),
    "id": (GOOD.replace("lenet-params", "LeNet_params"), r"claim 'LeNet_params': an id is lower-case words"),
    "number as id": (GOOD.replace("id: lenet-params", "id: 5"), r"claim 5: id must be a text, got 5"),
    "chapter": (
        GOOD.replace("chapter: pooling_lenet", "chapter: 04 pooling"),
        r"chapter is the slug of a notebook, got '04 pooling'",
    ),
    "empty statement": (
        GOOD.replace("LeNet-5 has 61 706 parameters.", ""),
        r"line 1: claim 'lenet-params': statement must be a text, got None",
    ),
    "key twice": (
        GOOD.replace("  verdict: holds\n", "  verdict: holds\n  verdict: holds\n"),
        r"line 1: key 'verdict' occurs twice in one claim",
    ),
    "nested key twice": (
        GOOD.replace("{equals: 61706}", "{equals: 61706, equals: 2}"),
        r"line 1: key 'equals' occurs twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_ledger_is_refused_with_file_and_line(ledger, case):
    text, message = BAD[case]
    with pytest.raises(ClaimError, match=message):
        ledger(text)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "claims.yml"
    path.write_bytes(b"- id: \xff\xfe")
    with pytest.raises(ClaimError, match=r"claims\.yml, line 1: not valid YAML"):
        read_ledger(path)
