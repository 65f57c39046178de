"""`adaptstilts retrieve`: a base model and adapters in turn, all layers from one pass, stored, and every refusal."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import call
from support.inputs import make_encoder

import adaptstilts
from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.reports import retrieval_sweep
from adaptstilts.search import int8
from adaptstilts.store.select import select
from adaptstilts.store.store import Store
from adaptstilts.study import Retrieve
from adaptstilts.workspace import Workspace

STUDY: dict[str, Any] = {
    "name": "toy",
    "missing": "skip",
    "retrieve": {"max_length": 48},
    "intermediates": ["mnli", "social_i_qa"],
    "targets": ["tatoeba"],
    "methods": ["full", {"kind": "bottleneck", "reduction": 4}],
    "train": {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.01, "warmup": 0, "dev_examples": 12},
}


@dataclass(frozen=True)
class Trained:
    """A finished study: its store, and the keys of what it trained by (task, method)."""

    model: Path
    data: Path
    store: Path
    keys: dict[tuple[str, str], str]

    def folder(self, task: str, method: str = "bottleneck") -> Path:
        return Store(self.store).entry_folder(self.keys[task, method])

    def retrieve(self, store: Path, *more: object, model: Path | None = None) -> int:
        options = ("--model", model or self.model, "--store", store, "--data-root", self.data, "--offline")
        given = () if "--task" in more else ("--task", "tatoeba")
        length = () if "--max-length" in more else ("--max-length", 48)
        return call("retrieve", *given, *options, *length, *more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    config = folder / "study.yaml"
    config.write_text(json.dumps({**STUDY, "model": str(tiny)}), encoding="utf-8")
    assert call("run", config, "--store", folder / "store", "--data-root", data_root, "--offline") == 0
    store = Store(folder / "store")
    specs = {key: store.entry(key).spec for key in store.keys()}  # noqa: SIM118
    keys = {(s["task"], s["method"]["kind"]): key for key, s in specs.items() if s["kind"] == "train"}
    assert len(keys) == 4
    return Trained(tiny, data_root, folder / "store", keys)


def read(path: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return held


@pytest.mark.slow
def test_two_adapters_over_all_layers(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    mnli, siqa = trained.folder("mnli"), trained.folder("social_i_qa")
    arguments = (tmp_path / "own", "--layers", "all", "--adapter", mnli, "--adapter", siqa, "--out", out)
    assert trained.retrieve(*arguments) == 0
    told = capsys.readouterr()
    assert "3 retrieve phases done now, 0 before" in told.out
    assert retrieval_sweep.ORACLE in told.out
    assert "not in the data, not in the mean: ar, he" in told.out
    held = read(out)
    names = [result["adapter"] for result in held["results"]]
    assert names == [retrieval_sweep.BASE, f"mnli@{mnli.name[:8]}", f"social_i_qa@{siqa.name[:8]}"]
    for result in held["results"]:
        assert list(result["layers"]) == ["0", "1", "2", "3", "4"]
        assert result["layer"] == 3
        assert set(result["languages"]) == {"de", "zh"}
        own = [values["accuracy"] for values in result["languages"].values()]
        assert result["mean"] == pytest.approx(np.mean(own)) == pytest.approx(result["layers"]["3"]["mean"])
        assert result["layers"]["3"]["languages"] == result["languages"]
        means = [layer["mean"] for layer in result["layers"].values()]
        assert result[retrieval_sweep.ORACLE]["mean"] == max(means)
        assert result["best layer on dev"] is None, "Tatoeba has no dev rows"
        assert result["sentences_per_second"] > 0
        assert len(result["missing"]) == 34
    base, first, second = held["results"]
    assert base["vs_base"] is None
    assert first["vs_base"]["value"] == pytest.approx(first["mean"] - base["mean"])
    assert second["vs_base"]["low"] <= second["vs_base"]["value"] <= second["vs_base"]["high"]
    made = [np.load(path) for path in sorted(Store(tmp_path / "own").vectors.glob("*/[0-9]*.npy"))]
    assert len(made) == 3
    for layer in range(5):
        others = [not np.array_equal(made[i][layer], made[j][layer]) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert others == [layer > 0] * 3, "every adapter acts, and above the embeddings only"
    assert f"| {retrieval_sweep.BASE}" in told.out
    assert f"**{base['mean']:.1f}**" in told.out, "the reported layer is marked"
    assert trained.retrieve(*arguments) == 0
    assert "0 retrieve phases done now, 3 before" in capsys.readouterr().out
    assert read(out) == held


def test_what_a_study_computed_is_not_computed_again(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """Beginnings of keys, a fine-tuned encoder, and the same settings as the study: only the base model is new."""
    keys = [trained.keys["mnli", "bottleneck"][:12], trained.keys["mnli", "full"]]
    assert trained.retrieve(trained.store, "--adapter", keys[0], "--adapter", keys[1]) == 0
    told = capsys.readouterr().out
    assert "1 retrieve phase done now, 2 before" in told
    assert told.count("| mnli@") == 2


def test_options_reach_the_phase(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    prefixes = ("--prefix", "query: ", "--english-prefix", "red ")
    more = ("--pooling", "idf", "--centering", "--precision", "fp32", "--layer", 1, "--layers", "2,4")
    assert (
        trained.retrieve(tmp_path / "s", *more, "--languages", "de", "--batch-tokens", 64, *prefixes, "--out", out) == 0
    )
    held = read(out)
    assert held["settings"]["layers"] == [2, 4]
    assert (held["settings"]["pooling"], held["settings"]["centering"]) == ("idf", True)
    (result,) = held["results"]
    assert result["layer"] == 1
    assert list(result["layers"]) == ["1", "2", "4"]
    assert set(result["languages"]) == {"de"}
    (key,) = Store(tmp_path / "s").keys()
    assert Store(tmp_path / "s").entry(key).spec["retrieve"] == {
        "layer": 1,
        "layers": [2, 4],
        "max_length": 48,
        "precision": "fp32",
        "pooling": "idf",
        "centering": True,
        "foreign_prefix": "query: ",
        "english_prefix": "red ",
    }


def test_another_margin_encodes_nothing_again(trained: Trained, tmp_path: Path) -> None:
    def mined(name: str, *more: object) -> dict[str, Any]:
        out = tmp_path / name
        assert (
            trained.retrieve(tmp_path / "s", "--task", "sample_mining", "--languages", "de", "--out", out, *more) == 0
        )
        return read(out)

    first, second = mined("a.json"), mined("b.json", "--margin", "distance", "--k", 2, "--retrieval", "intersect")
    assert first["results"][0]["encoded_sentences"] > 0
    assert second["results"][0]["encoded_sentences"] == 0
    assert first["results"][0]["phase"] != second["results"][0]["phase"]
    spec = Store(tmp_path / "s").entry(second["results"][0]["phase"]).spec["retrieve"]
    assert {name: spec[name] for name in ("margin", "k", "retrieval")} == {
        "margin": "distance",
        "k": 2,
        "retrieval": "intersect",
    }


@pytest.mark.slow
def test_several_tasks_and_the_length_that_a_model_has(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", trained.model, "--store", tmp_path / "s", "--data-root", trained.data, "--layers", "all")
    assert call("retrieve", *options, "--task", "tatoeba,sample_retrieval", "--task", "sample_mining") == 0
    told = capsys.readouterr().out
    assert all(f"| {task} " in told for task in ("tatoeba", "sample_retrieval", "sample_mining"))
    (mining,) = [line for line in told.splitlines() if "| sample_mining " in line and " at " in line]
    assert mining.count(" at ") == 2, "mining has a dev score, by which a layer may be chosen"
    lengths = {Store(tmp_path / "s").entry(key).spec["retrieve"]["max_length"] for key in Store(tmp_path / "s").keys()}  # noqa: SIM118
    assert lengths == {128}


@pytest.mark.slow
def test_languages_that_one_of_two_tasks_lacks_are_named(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    tasks.add(replace(tasks.get("sample_mining"), name="small_mining", languages=("de",)))
    try:
        more = ("--task", "sample_mining,small_mining", "--languages", "de,fr", "--out", out)
        assert trained.retrieve(tmp_path / "s", *more) == 0
    finally:
        tasks.REGISTRY.remove("small_mining")
    told = capsys.readouterr().out
    assert "small_mining: the task does not have fr; not in the mean" in told
    assert "sample_mining: the task does not have" not in told
    results = {result["task"]: result for result in read(out)["results"]}
    assert results["small_mining"]["unsupported"] == ["fr"]
    assert results["sample_mining"]["unsupported"] == []
    assert list(results["sample_mining"]["languages"]) == ["de", "fr"]


def test_the_python_function_gives_what_the_command_writes(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert trained.retrieve(tmp_path / "s", "--languages", "de", "--layers", "2", "--out", out) == 0
    workspace = Workspace(tmp_path / "s", trained.data)
    settings = Retrieve(layers=(2,), max_length=48)
    sweep = adaptstilts.retrieve(str(trained.model), ["tatoeba"], workspace, languages="de", settings=settings)
    assert (sweep.computed, sweep.reused) == (0, 1)
    assert json.loads(json.dumps(sweep.json())) == read(out)
    with pytest.raises(ConfigError, match="--max-length 500: the model takes at most 128 tokens"):
        adaptstilts.retrieve(str(trained.model), ["tatoeba"], workspace, settings=Retrieve(max_length=500))


def test_tatoeba_of_xtreme_r_needs_no_training_here(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained.retrieve(tmp_path / "s", "--task", "tatoeba_r", "--languages", "xtreme-r") == 0
    told = capsys.readouterr().out
    assert "tatoeba_r: its benchmark uses an encoder trained on squad" in told
    assert [Store(tmp_path / "s").entry(key).spec["kind"] for key in Store(tmp_path / "s").keys()] == ["retrieve"]  # noqa: SIM118


@pytest.mark.slow
def test_an_adapter_with_what_it_stands_on(trained: Trained, tmp_path: Path, tiny: Path) -> None:
    """A target adapter over an intermediate one: both are copied from its store, and both act."""
    config = tmp_path / "study.yaml"
    changed = {"intermediates": ["mnli"], "targets": ["xnli"], "methods": STUDY["methods"][1:], "languages": ["en"]}
    config.write_text(json.dumps({**STUDY, **changed, "model": str(tiny)}), encoding="utf-8")
    assert call("run", config, "--store", tmp_path / "a", "--data-root", trained.data) == 0
    store = Store(tmp_path / "a")
    specs = {key: store.entry(key).spec for key in store.keys()}  # noqa: SIM118
    (key,) = [key for key, spec in specs.items() if spec.get("stack") and spec["kind"] == "train"]
    assert trained.retrieve(tmp_path / "b", "--adapter", store.entry_folder(key)) == 0
    there = Store(tmp_path / "b")
    (made,) = [e for e in map(there.entry, there.keys()) if e.spec["kind"] == "retrieve" and e.spec.get("stack")]
    assert made.spec["stack"] == [specs[key]["stack"][0], key]
    alone = tmp_path / "alone" / key[:2] / key
    shutil.copytree(store.entry_folder(key), alone)
    with pytest.raises(ConfigError, match=f"depends on the entry {specs[key]['stack'][0][:12]}, which is not in"):
        select(str(alone), Store(tmp_path / "c"))


@pytest.mark.parametrize("backend", ["one-pass", "faiss", "faiss-float16", "numpy"])
def test_what_searches_changes_nothing(
    trained: Trained, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend.startswith("faiss"):
        pytest.importorskip("faiss", reason="faiss is not installed")
    if backend == "one-pass" and not int8.has_int8():
        pytest.skip("the processor has no 8-bit products")
    plain, other = tmp_path / "plain.json", tmp_path / "other.json"
    assert trained.retrieve(tmp_path / "a", "--out", plain) == 0
    assert trained.retrieve(tmp_path / "b", "--backend", backend, "--out", other) == 0
    ours, theirs = (read(path)["results"][0] for path in (plain, other))
    assert ours["phase"] == theirs["phase"]
    assert ours["languages"] == theirs["languages"]
    capsys.readouterr()
    assert trained.retrieve(tmp_path / "a", "--backend", backend) == 0
    assert "0 retrieve phases done now, 1 before" in capsys.readouterr().out


# Refusals


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--layers", "5"), 2, "--layers: no layer 5; the model has hidden states 0 to 4"),
        (("--layers", "two"), 2, "--layers 'two': expected all, or numbers of hidden states such as 4,6,8"),
        (("--layer", "9"), 2, "--layer 9: the model has hidden states 0 to 4"),
        (("--layer", "-1"), 2, "Invalid value for '--layer'"),
        (("--pooling", "sum"), 2, "Invalid value for '--pooling'"),
        (("--task", "xnli"), 2, "--task xnli: not a retrieval task; those are bucc, "),
        (("--task", "tatoba"), 2, "unknown task 'tatoba'; did you mean tatoeba"),
        (("--task", "tatoeba,tatoeba"), 2, "--task tatoeba: given twice"),
        (("--languages", "fr"), 3, "tatoeba: no test rows for fr"),
        (("--languages", "fr"), 3, "; add the data, or name languages that it has with --languages"),
        (("--languages", "en"), 2, "--languages: no data for 'en' in tatoeba"),
        (("--languages", "xx"), 2, "unknown language 'xx'"),
        (("--adapter", "no/such/folder"), 2, "--adapter 'no/such/folder': no such entry; expected the folder of an"),
        (("--adapter", "feed"), 2, "--adapter 'feed': no such entry"),
        (("--adapter", ""), 2, "'--adapter': expected a value, found an empty one"),
        (("--max-length", "500"), 2, "--max-length 500: the model takes at most 128 tokens"),
        (("--out", "no/such/folder/x.json"), 2, "expected a file name in an existing folder"),
        (("--out", "/"), 2, "expected a file name in an existing folder"),
        (("--task", ","), 2, "--task: expected a retrieval task; those are bucc, "),
        (("--languages", ","), 2, "--languages: expected all, xtreme, xtreme-r, or codes"),
        (("--device", "foo"), 2, "device 'foo': expected cpu, or cuda where torch sees a GPU"),
    ],
)
def test_refused_in_one_line(
    trained: Trained, tmp_path: Path, more: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained.retrieve(tmp_path / "s", *more) == code
    found = capsys.readouterr()
    assert told in found.err
    assert found.out == ""
    *progress, last = found.err.strip().splitlines()
    assert last.startswith("error: ")
    assert set(progress) <= {"importing libraries", "checking the rows"}
    assert not (tmp_path / "s/entries").exists()


def test_a_backend_that_is_not_there(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(int8, "has_int8", lambda: False)
    monkeypatch.setitem(sys.modules, "faiss", None)
    for backend, told in (
        ("one-pass", "backend one-pass: needs a processor with 8-bit products"),
        ("faiss-float16", "faiss is not installed"),
    ):
        assert trained.retrieve(tmp_path / "s", "--backend", backend) == 5
        assert told in capsys.readouterr().err
        assert not (tmp_path / "s/cache/vectors").exists(), "nothing was encoded"


def test_an_adapter_of_another_model(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_encoder(tmp_path / "other", seed=9)
    assert trained.retrieve(tmp_path / "s", "--adapter", trained.folder("mnli"), model=other) == 4
    assert "belongs to another base model: " in capsys.readouterr().err


def test_a_damaged_adapter(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.folder("mnli"), copy)
    path = next(copy.rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert trained.retrieve(tmp_path / "s", "--adapter", copy) == 4
    assert "does not have the sha256 of the manifest" in capsys.readouterr().err


def test_an_entry_that_is_no_adapter_and_one_twice(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(trained.store)
    scored = next(key for key in store.keys() if store.entry(key).spec["kind"] == "retrieve")  # noqa: SIM118
    assert trained.retrieve(trained.store, "--adapter", scored) == 4
    assert "has neither an adapter nor a fine-tuned encoder" in capsys.readouterr().err
    key = trained.keys["mnli", "bottleneck"]
    assert trained.retrieve(trained.store, "--adapter", key, "--adapter", key[:20]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_no_data(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    options = ("--model", trained.model, "--store", tmp_path / "s", "--data-root", tmp_path / "empty")
    assert call("retrieve", *options, "--task", "tatoeba", "--max-length", 48) == 3
    told = capsys.readouterr().err
    assert "tatoeba: no test rows for ar, he" in told
    assert "; add the data, or give its folder with --data-root" in told
    assert "missing" not in told
    assert "=[" not in told


def test_languages_of_the_benchmarks() -> None:
    def codes(languages: str, *names: str) -> tuple[str, ...] | None:
        return retrieval_sweep._codes(languages, [tasks.get(name) for name in names])

    assert codes("all", "tatoeba_laser") is None
    assert len(codes("xtreme", "tatoeba_laser") or ()) == 36
    assert len(codes("xtreme-r", "tatoeba_laser") or ()) == 41
    assert len(codes("xtreme-r", "tatoeba") or ()) == 36
    assert set(codes("xtreme", "ntrex_mining") or ()) == {"de", "fr", "ru", "zh"}
    assert codes("de, fr,", "tatoeba") == ("de", "fr")
