import sys
from types import SimpleNamespace

import pytest

from cnncourse.progress import progress_bar, somebody_is_watching


def pretend_kernel(monkeypatch, content):
    kernel = SimpleNamespace(get_parent=lambda: {"content": content} if content is not None else {})
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=kernel))
    )


@pytest.mark.parametrize(
    ("content", "watching"), [({"allow_stdin": True}, True), ({"allow_stdin": False}, False), (None, False)]
)
def test_a_notebook_is_watched_when_it_may_ask_questions(monkeypatch, content, watching):
    pretend_kernel(monkeypatch, content)
    assert somebody_is_watching() is watching


def test_a_terminal_is_watched_and_a_pipe_is_not(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    assert somebody_is_watching()
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: False))
    assert not somebody_is_watching()


def test_silent_when_nobody_watches(capsys):
    with progress_bar("work", total=2, unit="step") as advance:
        advance(1)
    with progress_bar("work", total=2, unit="step", show=False) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_shown_when_asked(capsys):
    with progress_bar("work", total=2, unit="step", show=True) as advance:
        advance(2)
    assert "work" in capsys.readouterr().err
