"""A store that does not exist: verbs that read say so and create nothing; planning writes nothing either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import call

STUDY_VERBS = {
    "status": (),
    "results": (),
    "swap": (),
    "export-predictions": ("--out", "OUT"),
    "export-adapter": ("--out", "OUT", "--format", "own", "--task", "xnli"),
}


def arguments(verb: str, study: Path, data: Path, store: Path) -> list[object]:
    """Return a command line of a verb on a store."""
    if verb in ("verify", "gc"):
        return [verb, "--store", store]
    options = [store.parent / "out" if option == "OUT" else option for option in STUDY_VERBS[verb]]
    return [verb, study, *options, "--store", store, "--data-root", data, "--offline"]


@pytest.mark.parametrize("verb", [*STUDY_VERBS, "verify", "gc"])
@pytest.mark.parametrize(
    ("state", "message"), [("missing", "no such folder"), ("a folder", "this folder is not a store")]
)
def test_a_verb_that_reads_needs_a_store(
    verb: str,
    state: str,
    message: str,
    study_file: Callable[..., Path],
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study, store = study_file(), tmp_path / "typo"
    if state == "a folder":
        store.mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert call(*arguments(verb, study, data_root, store)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"error: store {store}: {message}; check --store (or ADAPTSTILTS_STORE), or run the study first:"
        " adaptstilts run\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("more", [[], ["--outline"]])
def test_planning_writes_nothing(
    more: list[str],
    study_file: Callable[..., Path],
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = study_file()
    before = sorted(tmp_path.rglob("*"))
    assert call("plan", study, *more, "--store", tmp_path / "new", "--data-root", data_root, "--offline") == 0
    assert "missing" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


def test_counting_rows_writes_nothing(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tasks", "--rows", "--store", tmp_path / "new", "--data-root", data_root, "--offline") == 0
    assert "| task " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
