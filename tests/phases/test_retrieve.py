"""Retrieval: one hidden state, mean over tokens, unit length, English queries against the foreign index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import write_split
from support.model_folders import add_pooler, changed_copy
from support.pooling import pooled

from adaptstilts import study as config
from adaptstilts.models.batching import Feature, Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan import expand
from adaptstilts.plan.phases import RetrievePhase
from adaptstilts.retrieval import pooling
from adaptstilts.retrieval.encode import encode
from adaptstilts.retrieval.pooling import default_layer
from adaptstilts.run import Listener, run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.search.products import normalize
from adaptstilts.store.entries import Entry
from adaptstilts.workspace import Workspace


@pytest.fixture
def run(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., list[tuple[RetrievePhase, Entry]]]:
    """Runs a small retrieval study; returns its retrieve phases with their entries."""

    def study(data: Path = data_root, **changed: Any) -> list[tuple[RetrievePhase, Entry]]:
        held: dict[str, Any] = {
            "name": "r",
            "model": str(tiny),
            "methods": [{"kind": "bottleneck", "reduction": 4}],
            "targets": ["tatoeba"],
            "missing": "skip",
            "retrieve": {"max_length": 48, "precision": "fp32"},
            "train": {"max_steps": 4, "batch_size": 8, "max_length": 48, "lr": 0.01, "precision": "fp32"},
        }
        workspace = Workspace(tmp_path / "store", data)
        made = expand.expand(config.parse(json.dumps({**held, **changed})), workspace)
        run_plan(made, workspace, device="cpu")
        phases = [phase for phase in made.order() if isinstance(phase, RetrievePhase)]
        return [(phase, workspace.store.entry(phase.key)) for phase in phases]

    return study


@pytest.mark.parametrize("layer", range(5))
def test_vectors_are_means_of_one_hidden_state(tiny: Path, tmp_path: Path, data_root: Path, layer: int) -> None:
    texts = ["the cat", "a dog sees the old river", "sun", "", "tree tree tree of the red house"]
    workspace = Workspace(tmp_path, data_root)
    study = config.parse(json.dumps({"name": "r", "model": str(tiny), "methods": ["full"], "targets": ["tatoeba"]}))
    runtime = Runtime(workspace, workspace.model(study), device="cpu")
    features = Features([Feature(i, ([0, *ids, 2],), None) for i, ids in enumerate(runtime.tokenizer.ids(texts))])
    encoder = Encoder(tiny)
    found = encode(encoder, features.items, (layer,), pooling.mean, runtime.tokenizer.pad)[0]
    assert np.allclose(found, pooled(tiny, texts, layer), atol=1e-5)
    assert encoder.depth == 4


@pytest.mark.parametrize(("depth", "layer"), [(12, 8), (6, 4), (4, 3), (1, 1)])
def test_default_layer(depth: int, layer: int) -> None:
    assert default_layer(depth) == layer


@pytest.mark.parametrize(
    ("settings", "prefixes"),
    [
        ({}, ("", "")),
        ({"prefix": "the tree "}, ("the tree ", "the tree ")),
        ({"prefix": "the tree ", "english_prefix": "red "}, ("the tree ", "red ")),
        ({"foreign_prefix": "red "}, ("red ", "")),
    ],
)
def test_predictions_equal_a_search_by_hand(
    run: Callable[..., list[tuple[RetrievePhase, Entry]]],
    tiny: Path,
    data_root: Path,
    settings: dict[str, str],
    prefixes: tuple[str, str],
) -> None:
    import pyarrow.parquet as pq

    ((_, entry),) = run(retrieve={"max_length": 48, "precision": "fp32", **settings})
    for code, iso3 in (("de", "deu"), ("zh", "cmn")):
        rows = pq.read_table(next((data_root / "google/xtreme" / f"tatoeba.{iso3}").glob("*.parquet"))).to_pylist()
        foreign = normalize(pooled(tiny, [prefixes[0] + row["source_sentence"].rstrip("\n") for row in rows], 3))
        english = normalize(pooled(tiny, [prefixes[1] + row["target_sentence"].rstrip("\n") for row in rows], 3))
        products = english @ foreign.T
        second, best = np.sort(products, axis=1)[:, -2:].T
        clear = best - second > 1e-5
        assert clear.mean() > 0.5
        found = np.array(entry.json(f"predictions/{code}.json")["predictions"])
        assert found[clear].tolist() == products.argmax(axis=1)[clear].tolist()
        other = (foreign @ english.T).argmax(axis=1)
        assert found.tolist() != other.tolist()
        score = entry.json("scores.json")[code]
        assert score["values"]["accuracy"] == 100 * float(np.mean(found == np.arange(len(rows))))
        assert (score["layer"], score["direction"], score["n"]) == (3, "english to foreign", len(rows))


def test_what_is_left_out_of_the_weights_is_said(tiny: Path, tmp_path: Path, data_root: Path) -> None:
    class Lines(Listener):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def progress(self, line: str, done: int, total: int) -> None:
            self.lines.append(line)

    model, lines = changed_copy(tiny, tmp_path / "pooled", add_pooler), Lines()
    study = {"name": "r", "model": str(model), "methods": ["full"], "targets": ["tatoeba"], "missing": "skip"}
    workspace = Workspace(tmp_path / "store", data_root)
    plan = expand.expand(config.parse(json.dumps({**study, "retrieve": {"max_length": 48}})), workspace)
    run_plan(plan, workspace, lines, device="cpu")
    assert lines.lines[0] == "pooled: only the encoder is used; left out of its weights: pooler"


def test_queries_are_english(run: Callable[..., list[tuple[RetrievePhase, Entry]]], tmp_path: Path) -> None:
    """English x x y against foreign x y y: forward finds 0 0 1 (one right), backward would find 0 2 2 (two right)."""
    x, y = "the cat sees", "red house of stone and sun"
    pairs = [(x, x), (y, x), (y, y)]
    codes = {"source_lang": "deu", "target_lang": "eng"}
    rows = [{"source_sentence": f"{a}\n", "target_sentence": f"{b}\n", **codes} for a, b in pairs]
    write_split(tmp_path / "hub", "google/xtreme", "tatoeba.deu", "validation", rows)
    ((_, entry),) = run(tmp_path / "hub", languages=["de"])
    assert entry.json("predictions/de.json")["predictions"] == [0, 0, 1]
    assert entry.json("scores.json")["de"]["values"]["accuracy"] == pytest.approx(100 / 3)


@pytest.mark.slow
def test_after_an_intermediate_phase(
    run: Callable[..., list[tuple[RetrievePhase, Entry]]], tiny: Path, data_root: Path
) -> None:
    methods = ["full", {"kind": "bottleneck", "reduction": 4}, {"kind": "lora", "rank": 2}]
    done = run(intermediates=["none", "mnli"], methods=methods)
    assert len(done) == 4
    bare = [phase for phase, _ in done if phase.method is None]
    assert len(bare) == 1
    found = [json.dumps(entry.json("predictions/de.json")) for _, entry in done]
    assert len(set(found)) > 1


@pytest.mark.parametrize("layer", [0, 4])
def test_layer_can_be_chosen(run: Callable[..., list[tuple[RetrievePhase, Entry]]], layer: int) -> None:
    ((phase, entry),) = run(retrieve={"layer": layer, "max_length": 48, "precision": "fp32"})
    assert entry.json("scores.json")["de"]["layer"] == layer
    assert phase.settings.layer == layer


def test_cut_sentences_are_counted(run: Callable[..., list[tuple[RetrievePhase, Entry]]]) -> None:
    ((_, entry),) = run(retrieve={"max_length": 8, "precision": "fp32"})
    assert entry.json("scores.json")["de"]["truncated"] > 0
    ((_, entry),) = run(retrieve={"max_length": 48, "precision": "fp32"})
    assert entry.json("scores.json")["de"]["truncated"] == 0
