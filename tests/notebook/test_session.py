import random

import numpy as np
import pytest
import torch

from cnncourse import claims, notebook


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("CNNCOURSE_BUDGET", raising=False)
    monkeypatch.delenv("CNNCOURSE_SEED", raising=False)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    claims.use_budget("book")


def with_cuda(monkeypatch, *, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)


@pytest.mark.parametrize("budget", notebook.BUDGETS)
def test_a_named_budget_is_taken(monkeypatch, budget):
    monkeypatch.setenv("CNNCOURSE_BUDGET", "smoke")
    assert notebook.resolve_budget(budget) == budget


@pytest.mark.parametrize(("available", "budget"), [(True, "full"), (False, "book")])
def test_auto_follows_the_machine(monkeypatch, available, budget):
    with_cuda(monkeypatch, available=available)
    assert notebook.resolve_budget("auto") == budget


@pytest.mark.parametrize("available", [True, False])
def test_the_environment_overrides_auto(monkeypatch, available):
    with_cuda(monkeypatch, available=available)
    monkeypatch.setenv("CNNCOURSE_BUDGET", "smoke")
    assert notebook.resolve_budget("auto") == "smoke"
    monkeypatch.setenv("CNNCOURSE_BUDGET", "auto")
    assert notebook.resolve_budget("auto") == ("full" if available else "book")


def test_an_unknown_budget_is_refused_where_it_stands(monkeypatch):
    with pytest.raises(ValueError, match=r"auto, smoke, book or full, got 'huge'; mend the first cell"):
        notebook.resolve_budget("huge")
    monkeypatch.setenv("CNNCOURSE_BUDGET", "tiny")
    with pytest.raises(ValueError, match=r"got 'tiny'; mend the environment variable CNNCOURSE_BUDGET"):
        notebook.resolve_budget("auto")


@pytest.mark.parametrize(("budget", "picked"), [("smoke", 1), ("book", 10), ("full", 40)])
def test_a_session_picks_what_fits_its_budget(budget, picked):
    session = notebook.begin("a_chapter", budget)
    assert session.pick(smoke=1, book=10, full=40) == picked
    assert (session.slug, session.budget) == ("a_chapter", budget)


def test_full_stands_for_book_when_left_out_but_not_when_zero():
    session = notebook.begin("a_chapter", "full")
    assert session.pick(smoke=1, book=10) == 10
    assert session.pick(smoke=1, book=10, full=0) == 0


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_seed_comes_from_the_environment_unless_given(monkeypatch):
    assert notebook.begin("a_chapter", "smoke").seed == 0
    monkeypatch.setenv("CNNCOURSE_SEED", "7")
    assert notebook.begin("a_chapter", "smoke").seed == 7
    first = draws()
    assert notebook.begin("a_chapter", "smoke", seed=7).seed == 7
    assert draws() == first
    assert notebook.begin("a_chapter", "smoke", seed=0).seed == 0


@pytest.mark.parametrize("asked", ["", "-1", "1.5", "seven", "4294967296", "²"])
def test_what_is_no_seed_is_refused_where_it_stands(monkeypatch, asked):
    monkeypatch.setenv("CNNCOURSE_SEED", asked)
    with pytest.raises(
        ValueError, match=r"0 to 2\*\*32 - 1, got .*; mend the environment variable CNNCOURSE_SEED"
    ):
        notebook.begin("a_chapter", "smoke")
    with pytest.raises(ValueError, match="got '-3'; mend the argument seed"):
        notebook.begin("a_chapter", "smoke", seed=-3)


def test_beginning_seeds_everything():
    notebook.begin("a_chapter", "book", seed=3)
    first = draws()
    assert draws() != first
    notebook.begin("a_chapter", "book", seed=3)
    assert draws() == first
    notebook.begin("a_chapter", "book", seed=4)
    assert not set(draws()) & set(first)


def test_generators_are_reproducible_and_leave_the_global_state_alone():
    session = notebook.begin("a_chapter", "book", seed=3)
    before = torch.get_rng_state()
    same = [torch.rand(4, generator=session.generator()).tolist() for _ in range(2)]
    other = torch.rand(4, generator=session.generator(1)).tolist()
    assert same[0] == same[1] != other
    assert torch.equal(torch.get_rng_state(), before)


def test_beginning_says_at_which_budget_claims_are_judged(monkeypatch):
    asked = []
    monkeypatch.setattr("cnncourse.notebook.session.claims.use_budget", asked.append)
    notebook.begin("a_chapter", "smoke")
    assert asked == ["smoke"]


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch):
    with_cuda(monkeypatch, available=False)
    assert notebook.begin("a_chapter", "smoke").device == torch.device("cpu")
    monkeypatch.setattr(torch, "manual_seed", lambda seed: None)  # would touch the pretended GPU
    with_cuda(monkeypatch, available=True)
    assert notebook.begin("a_chapter", "smoke").device == torch.device("cuda")


def test_outside_a_notebook_nothing_is_shown(capsys):
    notebook.begin("a_chapter", "smoke")
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_the_style_is_added(monkeypatch):
    shown = []
    monkeypatch.setattr("cnncourse.notebook.session.get_ipython", object)
    monkeypatch.setattr("cnncourse.notebook.session.display", lambda bundle, raw: shown.append(bundle))
    notebook.begin("a_chapter", "smoke")
    assert shown[0]["text/html"].startswith("<style>")
    assert ".cnn-claim" in shown[0]["text/html"]
    assert shown[0]["text/plain"] == "[a_chapter: smoke]"
