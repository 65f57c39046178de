"""Search backends by name: what ships, one from outside in one file, and what is refused before anything is spent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from adaptstilts import cli, registry, search
from adaptstilts import study as config
from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.plan.expand import expand
from adaptstilts.search.base import Backend, Neighbours, Vectors
from adaptstilts.search.products import normalize
from adaptstilts.workspace import Workspace

SHIPPED = {"numpy", "faiss", "faiss-float16", "one-pass"}
TOY = '''
"""A search backend in one file: it proposes every row."""

import numpy as np

from adaptstilts.search.base import Backend, Neighbours
from adaptstilts.search.products import rank


class Toy(Backend):
    name = "toy"
    searched = 0

    def neighbours(self, queries, index, k):
        Toy.searched += 1
        queries_of_pairs, rows = np.divmod(np.arange(len(queries) * len(index)), len(index))
        return rank(queries, index, queries_of_pairs, rows, k)


BACKEND = Toy()
'''


def sides() -> tuple[Vectors, Vectors]:
    source = np.random.default_rng(3)
    x, y = (normalize(source.standard_normal((rows, 12)).astype(np.float32)) for rows in (40, 50))
    y[20:30] = y[5]
    return x, y


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The toy as the module of a plug-in that is installed."""
    (tmp_path / "toy_search.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("toy", "toy_search", "adaptstilts.search")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: EntryPoints([point] if group == "adaptstilts.search" else [])
    )
    monkeypatch.setattr(search.REGISTRY, "_scanned", None)
    search.known()
    yield sys.modules["toy_search"]
    del sys.modules["toy_search"]


def test_what_ships() -> None:
    assert set(search.known()) == SHIPPED
    assert search.REGISTRY.group == "adaptstilts.search"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_all_return_the_same(name: str) -> None:
    if search.known()[name].why_not_available():
        pytest.skip("not available on this machine")
    x, y = sides()
    products = np.einsum("xd,yd->xy", x.astype(np.float64), y.astype(np.float64))
    for k in (1, 4, 60):
        forward, backward = search.mutual_neighbours(x, y, k, name)
        for (rows, values), expected in ((forward, products), (backward, products.T)):
            order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
            assert np.array_equal(rows, order)
            assert np.array_equal(values, np.take_along_axis(expected, order, axis=1))
        assert np.array_equal(search.neighbours(x, y, k, name).rows, forward.rows)


def test_one_from_outside_in_one_file(toy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sides()
    assert set(search.known()) == {*SHIPPED, "toy"}
    ours, theirs = search.mutual_neighbours(x, y, 4, "numpy"), search.mutual_neighbours(x, y, 4, "toy")
    assert toy.Toy.searched == 2
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.products, other.products)
    search.neighbours(x, y, 4)
    assert toy.Toy.searched == 2, "auto does not take a backend that gives no priority"
    monkeypatch.setattr(toy.Toy, "priority", lambda *size: 99)
    search.neighbours(x, y, 4)
    assert toy.Toy.searched == 3


def test_one_from_outside_in_a_study_and_a_command(
    toy: ModuleType, tiny: Path, data_root: Path, tmp_path: Path
) -> None:
    """YAML and ``--backend`` take its name; the key of a phase and its scores stay the same."""
    arguments = ["retrieve", "--model", str(tiny), "--task", "tatoeba", "--max-length", "48", "--languages", "de"]
    arguments += ["--data-root", str(data_root), "--store", str(tmp_path / "s")]
    results = {}
    for name in ("numpy", "toy"):
        out = tmp_path / f"{name}.json"
        arguments[-1] = str(tmp_path / name)
        done = CliRunner().invoke(cli.app, [*arguments, "--backend", name, "--out", str(out)])
        assert done.exit_code == 0, done.output
        results[name] = json.loads(out.read_text(encoding="utf-8"))["results"][0]
    assert toy.Toy.searched > 0
    for field in ("phase", "languages"):
        assert results["toy"][field] == results["numpy"][field]
    study = {"name": "r", "model": str(tiny), "methods": ["full"], "targets": ["tatoeba"], "missing": "skip"}
    workspace, keys = Workspace(tmp_path / "store", data_root), []
    for name in ("auto", "toy"):
        text = json.dumps({**study, "retrieve": {"max_length": 48, "backend": name}})
        keys.append(list(expand(config.parse(text), workspace).phases))
    assert keys[0] == keys[1]


def test_one_that_is_added_and_removed() -> None:
    class Other(Backend):
        name = "other"
        neighbours = search.known()["numpy"].neighbours

    search.add(Other())  # type: ignore[abstract]
    try:
        assert search.why_not_known("other") is None
        assert search.neighbours(*sides(), 2, "other").rows.shape == (40, 2)
    finally:
        search.remove("other")
    assert search.why_not_known("other") is not None


def pair(rows: Any, products: Any) -> Neighbours:
    return Neighbours(np.array(rows), np.array(products))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "expected Neighbours, found NoneType"),
        (([[0, 1]] * 40, [[1.0, 0.5]] * 40), "expected Neighbours, found tuple"),
        (pair([[0]] * 40, [[1.0]] * 40), r"expected two arrays of the shape \(40, 2\), found \(40, 1\) and \(40, 1\)"),
        (pair([[0, 50]] * 40, [[1.0, 0.5]] * 40), "expected row numbers from 0 to 49"),
        (pair([[0, -1]] * 40, [[1.0, 0.5]] * 40), "expected row numbers from 0 to 49"),
        (pair([[0.0, 1.0]] * 40, [[1.0, 0.5]] * 40), "expected row numbers from 0 to 49"),
        (pair([[0, 1]] * 40, [[1.0, float("nan")]] * 40), "expected finite products"),
    ],
)
def test_what_cannot_be_neighbours_is_refused(result: Any, message: str) -> None:
    class Odd(Backend):
        name = "odd"

        def neighbours(self, queries: Vectors, index: Vectors, k: int) -> Neighbours:
            return result  # type: ignore[no-any-return]

    search.add(Odd())
    try:
        with pytest.raises(ConfigError, match=f"^search backend odd: {message}$"):
            search.neighbours(*sides(), 2, "odd")
        with pytest.raises(ConfigError, match=f"^search backend odd: {message}$"):
            search.mutual_neighbours(*sides(), 2, "odd")
    finally:
        search.remove("odd")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fais", "unknown search backend 'fais'; did you mean faiss?"),
        ("onepass", "unknown search backend 'onepass'; did you mean one-pass or faiss?"),
        ("autos", "unknown search backend 'autos'; did you mean auto?"),
        ("x", "unknown search backend 'x'; expected one of auto, "),
    ],
)
def test_unknown_names_are_refused_before_anything_is_spent(
    name: str, message: str, tiny: Path, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        search.neighbours(*sides(), 1, name)
    assert str(error.value).startswith(message)
    study = {"name": "r", "model": str(tiny), "methods": ["full"], "targets": ["tatoeba"], "missing": "skip"}
    parsed = config.parse(json.dumps({**study, "retrieve": {"max_length": 48, "backend": name}}))
    with pytest.raises(ConfigError, match=r"retrieve\.backend") as error:
        expand(parsed, Workspace(tmp_path / "store", data_root))
    assert message in str(error.value)
    for verb in (["retrieve", "--model", str(tiny), "--task", "tatoeba"], ["mine", "x", "y", "--out", "z"]):
        done = CliRunner().invoke(cli.app, [*verb, "--store", str(tmp_path / "s"), "--backend", name])
        assert done.exit_code == 2
        assert not (tmp_path / "s").exists()


def test_the_help_names_those_that_ship() -> None:
    for verb in ("retrieve", "mine"):
        done = CliRunner().invoke(cli.app, [verb, "--help"], terminal_width=200)
        assert all(name in done.output for name in ("auto", *SHIPPED))


def test_one_that_does_not_work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = search.known()["numpy"]
    monkeypatch.setattr(type(numpy), "why_not_available", lambda self: "the moon is not full")
    with pytest.raises(ResourceError, match="backend numpy: the moon is not full"):
        search.check_available("numpy")
    search.check_available("auto")


def test_no_rows_on_one_side() -> None:
    x, y = sides()
    for one, other in ((x[:0], y), (x, y[:0])):
        with pytest.raises(DataError, match="cannot be compared"):
            search.mutual_neighbours(one, other, 1)
    assert search.neighbours(x[:0], y, 3).rows.shape == (0, 3)
