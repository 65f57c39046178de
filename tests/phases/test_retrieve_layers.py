"""A retrieve phase over several layers, poolings and centred sides: each is what a phase of that one alone gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import write_split
from support.mining_parts import write_part
from support.pooling import pooled

from adaptstilts import study as config
from adaptstilts.errors import ConfigError, DataError, Interrupted
from adaptstilts.kinds import bitext
from adaptstilts.phases.retrieve import retrieve
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import RetrievePhase
from adaptstilts.reports import records, tables
from adaptstilts.run import run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.search import mutual_neighbours
from adaptstilts.search.products import normalize
from adaptstilts.store.entries import Entry
from adaptstilts.study import Retrieve
from adaptstilts.workspace import Workspace

Run = Callable[..., Entry]
BASIC: dict[str, Any] = {"max_length": 48, "precision": "fp32"}


@pytest.fixture
def expanded(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., tuple[Plan, Workspace]]:
    """A study of one retrieval task with the base model."""

    def made(data: Path = data_root, task: str = "tatoeba", **settings: Any) -> tuple[Plan, Workspace]:
        held = {"name": "r", "model": str(tiny), "methods": ["full"], "targets": [task], "missing": "skip"}
        study = config.parse(json.dumps({**held, "retrieve": {**BASIC, **settings}}))
        workspace = Workspace(tmp_path / "store", data)
        return expand.expand(study, workspace), workspace

    return made


@pytest.fixture
def run(expanded: Callable[..., tuple[Plan, Workspace]]) -> Run:
    def done(**settings: Any) -> Entry:
        made, workspace = expanded(**settings)
        run_plan(made, workspace, device="cpu")
        return workspace.store.entry(made.cells[0].phase)

    return done


def test_every_layer_is_that_of_a_phase_of_its_own(run: Run) -> None:
    swept = run(layers="all")
    layers = swept.json("layers.json")
    assert list(layers) == ["0", "1", "2", "3", "4"]
    for layer, found in layers.items():
        alone = run(layer=int(layer)).json("scores.json")
        assert {code: held["values"] for code, held in alone.items()} == found
    assert len({json.dumps(values) for values in layers.values()}) > 1
    plain = run()
    assert "layers.json" not in plain.manifest["files"]
    for name in ("scores.json", "stats.json", "predictions/de.json"):
        assert plain.json(name) == swept.json(name), "the reported layer is the same, whatever else is computed"


def test_layers_are_in_the_tables_of_a_study(expanded: Callable[..., tuple[Plan, Workspace]]) -> None:
    made, workspace = expanded(layers=[0, 2])
    run_plan(made, workspace, device="cpu")
    (record,) = records.records(made, workspace.store)
    held = workspace.store.entry(made.cells[0].phase).json("layers.json")
    assert (record.layer, list(record.layers)) == (3, [0, 2, 3])
    assert record.layers[3] == pytest.approx(record.mean)
    assert record.layers[0] == pytest.approx(np.mean([values["accuracy"] for values in held["0"].values()]))
    text = tables.render([record], "md")
    assert "### tatoeba: means over languages by hidden state" in text
    assert f"| {record.layers[0]:.1f} | {record.layers[2]:.1f} | **{record.layers[3]:.1f}** |" in re.sub(
        " +", " ", text
    )
    plain, _ = expanded()
    run_plan(plain, workspace, device="cpu")
    assert "hidden state" not in tables.render(records.records(plain, workspace.store), "md")


def test_the_reported_layer_is_never_the_best_one(run: Run) -> None:
    """Layers beside it are scored; it stays the one asked for, or two thirds of the depth, and is always there."""
    found = run(layers=[0])
    assert {score["layer"] for score in found.json("scores.json").values()} == {3}
    assert list(found.json("layers.json")) == ["0", "3"]
    found = run(layers=[4, 1, 4], layer=1)
    assert {score["layer"] for score in found.json("scores.json").values()} == {1}
    assert list(found.json("layers.json")) == ["1", "4"]


PREFIXES = {"foreign_prefix": "a ", "english_prefix": "a "}


def test_the_same_layers_have_the_same_key(expanded: Callable[..., tuple[Plan, Workspace]]) -> None:
    def key(**settings: Any) -> str:
        made, _ = expanded(**settings)
        return made.cells[0].phase

    assert key(layers="all") == key(layers=[4, 3, 2, 1, 0])
    assert key(layers=[1, 2]) == key(layers=[2, 1, 2])
    assert key() == key(pooling="mean", centering=False, batch_tokens=128)
    assert key() == key(prefix="", english_prefix="")
    assert key(prefix="a ") == key(foreign_prefix="a ", english_prefix="a ") == key(prefix="b ", **PREFIXES)
    assert key(prefix="a ", foreign_prefix="") == key(english_prefix="a ")
    prefixed = [key(prefix="a "), key(prefix="b "), key(english_prefix="a "), key(foreign_prefix="a ")]
    assert len({key(), *prefixed}) == 5
    different = [key(), key(layers="all"), key(layers=[1]), key(pooling="max"), key(pooling="idf"), key(centering=True)]
    assert len(set(different)) == len(different)


def test_settings_at_their_defaults_are_not_in_the_key() -> None:
    assert Retrieve().identity() == {}
    assert Retrieve(batch_tokens=64).identity() == {}
    assert Retrieve(layer=3).identity() == {"layer": 3}
    assert Retrieve(layers=(1, 2), pooling="cls").identity() == {"layers": [1, 2], "pooling": "cls"}
    assert Retrieve(margin="ratio", k=4, retrieval="max").identity() == {}
    assert Retrieve(prefix="query: ").identity() == {"prefix": "query: "}
    assert Retrieve(margin="distance", k=8).identity() == {"margin": "distance", "k": 8}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": [1, 5]}, "retrieve.layers: no layer 5; the model has hidden states 0 to 4"),
        ({"layers": [-1]}, "retrieve.layers"),
        ({"layers": []}, "retrieve.layers"),
        ({"layers": "some"}, "retrieve.layers: expected all, or numbers of hidden states such as .4, 6, 8."),
        ({"pooling": "sum"}, "retrieve.pooling"),
        ({"margin": "log"}, "retrieve.margin"),
        ({"retrieval": "both"}, "retrieve.retrieval"),
        ({"k": 0}, "retrieve.k"),
        ({"batch_tokens": 1}, "retrieve.batch_tokens"),
        ({"pooling": "own"}, "retrieve.pooling: the folder of .* does not say how it pools"),
        ({"prefix": 3}, "retrieve.prefix"),
    ],
)
def test_refused(expanded: Callable[..., tuple[Plan, Workspace]], settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        expanded(**settings)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "idf"])
def test_poolings_and_centred_sides(run: Run, pooling: str) -> None:
    plain, moved = run(layers="all", pooling=pooling), run(layers="all", pooling=pooling, centering=True)
    assert plain.json("layers.json") != moved.json("layers.json")
    if pooling != "mean":
        assert plain.json("layers.json") != run(layers="all").json("layers.json")


def test_centred_sides_by_hand(run: Run, tiny: Path, data_root: Path) -> None:
    import pyarrow.parquet as pq

    found = run(centering=True)
    rows = pq.read_table(data_root / "google/xtreme/tatoeba.deu/validation-00000-of-00001.parquet").to_pylist()
    sides = [pooled(tiny, [row[f"{name}_sentence"].rstrip("\n") for row in rows], 3) for name in ("target", "source")]
    english, foreign = (normalize(side - side.mean(axis=0)) for side in sides)
    products = english @ foreign.T
    second, best = np.sort(products, axis=1)[:, -2:].T
    clear = best - second > 1e-5
    assert clear.sum() > 5
    predictions = np.array(found.json("predictions/de.json")["predictions"])
    assert predictions[clear].tolist() == products.argmax(axis=1)[clear].tolist()


def test_weights_are_those_of_a_side_of_one_language(run: Run, data_root: Path, tmp_path: Path) -> None:
    """With idf a language's score does not depend on which others are evaluated."""
    both = run(pooling="idf", layers="all").json("layers.json")
    import pyarrow.parquet as pq

    path = data_root / "google/xtreme/tatoeba.deu/validation-00000-of-00001.parquet"
    write_split(tmp_path / "one", "google/xtreme", "tatoeba.deu", "validation", pq.read_table(path).to_pylist())
    alone = run(data=tmp_path / "one", pooling="idf", layers="all").json("layers.json")
    assert {layer: values["de"] for layer, values in both.items()} == {k: v["de"] for k, v in alone.items()}


def test_mining_says_which_layer_is_best_on_dev(run: Run, tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "test")):
        write_part(tmp_path / "mine", "de", split, seed)
    found = run(data=tmp_path / "mine", task="ntrex_mining", layers="all")
    for values in found.json("layers.json").values():
        assert set(values["de"]) == {"f1", "precision", "recall", "dev_f1"}
    assert found.json("scores.json")["de"]["dev_f1"] == found.json("layers.json")["3"]["de"]["dev_f1"]


def test_every_text_is_encoded_once(run: Run, tmp_path: Path) -> None:
    pairs = (("the cat", "the cat"), ("", "sun"))
    rows = [{"source_sentence": f"{a}\n", "target_sentence": f"{b}\n"} for a, b in pairs]
    for iso3 in ("deu", "cmn"):
        write_split(tmp_path / "few", "google/xtreme", f"tatoeba.{iso3}", "validation", rows)
    found = run(data=tmp_path / "few")
    assert found.json("cost.json")["encoded_sentences"] == 3
    assert found.json("cost.json")["sentences_per_second"] > 0
    again = run(data=tmp_path / "few", centering=True)
    assert again.json("cost.json")["encoded_sentences"] == 0, "the vectors were there"
    assert again.json("cost.json")["sentences_per_second"] is None


def test_stopped_while_searching(expanded: Callable[..., tuple[Plan, Workspace]], tmp_path: Path) -> None:
    made, workspace = expanded()
    (phase,) = made.phases.values()
    assert isinstance(phase, RetrievePhase)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(list(workspace.store.vectors.glob("*"))) == 1 and not list(workspace.store.vectors.glob("*.part"))

    runtime = Runtime(workspace, made.model, stop=stop, device="cpu")
    with pytest.raises(Interrupted, match="stopped after searching 0 languages"):
        retrieve(phase, runtime, tmp_path)
    assert asked


# xSIM


def test_xsim_by_its_formula() -> None:
    source = np.random.default_rng(1)
    for n in (1, 3, 4, 5, 40):
        english = normalize(source.standard_normal((n, 6)).astype(np.float32))
        foreign = normalize(english + 0.8 * source.standard_normal((n, 6)).astype(np.float32))
        cosines = foreign.astype(np.float64) @ english.T.astype(np.float64)
        k = min(4, n)
        ahead = np.sort(cosines, axis=1)[:, -k:].mean(axis=1)
        back = np.sort(cosines, axis=0)[-k:].mean(axis=0)
        expected = []
        for i in range(n):
            near = np.argsort(-cosines[i], kind="stable")[:k]
            means = (ahead[i] + back[near]) / 2
            margins = np.where(means > 0, cosines[i, near] / means, 0)
            expected.append(near[margins.argmax()] != i)
        assert bitext.misses(*mutual_neighbours(foreign, english, 4)) == expected
        if n == 40:
            plain = [row.argmax() != i for i, row in enumerate(cosines)]
            assert 0 < sum(expected) != sum(plain)


def test_xsim_of_translations_that_are_equal_is_zero() -> None:
    held = np.eye(5, dtype=np.float32)
    assert bitext.misses(*mutual_neighbours(held, held, 4)) == [False] * 5
    assert bitext.misses(*mutual_neighbours(held, np.roll(held, 1, axis=0), 4)) == [True] * 5


def test_xsim_is_beside_the_headline(run: Run, expanded: Callable[..., tuple[Plan, Workspace]]) -> None:
    found = run()
    for code, score in found.json("scores.json").items():
        assert set(score["values"]) == {"accuracy", "xsim"}
        stats = np.array(found.json("stats.json")[code]["xsim"]["stats"])
        assert score["values"]["xsim"] == pytest.approx(100 * stats[:, 0].mean())
    made, workspace = expanded()
    (record,) = records.records(made, workspace.store)
    assert record.mean == pytest.approx(record.metrics["accuracy"])


def test_no_rows_at_all(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="tatoeba: no test rows for"):
        run(data=tmp_path / "none")
