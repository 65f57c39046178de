"""Sentence vectors on disk: made once, kept over a kill, made anew where damaged, told apart by all they depend on."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import WORDS, make_encoder

from adaptstilts import study as config
from adaptstilts.errors import ConfigError, DataError, Interrupted, ResourceError
from adaptstilts.retrieval import vector_cache as module
from adaptstilts.retrieval.vector_cache import EncodingRecipe, encode_cached
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

TEXTS = [f"{a} {b} {c}" for a in WORDS[:5] for b in WORDS[5:9] for c in ("", "tree river stone bird")]
RECIPE = EncodingRecipe((1, 4), max_length=48, precision="fp32")


class Bench:
    """A store, a model, and how many shards were encoded since."""

    def __init__(self, folder: Path, model: Path) -> None:
        study = {"name": "e", "model": str(model), "methods": ["full"], "targets": ["tatoeba"]}
        self.workspace = Workspace(folder)
        self.model = self.workspace.model(config.parse(json.dumps(study)))
        self.told: list[str] = []
        self.stop: Callable[[], bool] = lambda: False
        self.runtime = Runtime(self.workspace, self.model, self.report, lambda: self.stop(), device="cpu")

    def report(self, line: str, done: int, total: int) -> None:
        self.told.append(line)

    def vectors(self, recipe: EncodingRecipe = RECIPE, texts: list[str] = TEXTS) -> module.CachedVectors:
        return encode_cached(texts, recipe, self.runtime, "t")

    @property
    def folders(self) -> list[Path]:
        return sorted(self.workspace.store.vectors.glob("*"))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 8)


@pytest.fixture
def bench(tiny: Path, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store", tiny)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sentences of every shard that is encoded."""
    counted: list[int] = []
    inner = module.encode

    def counting(encoder: Any, features: Any, *rest: Any) -> Any:
        counted.append(len(features))
        return inner(encoder, features, *rest)

    monkeypatch.setattr(module, "encode", counting)
    return counted


def test_what_comes_back_is_what_was_encoded(bench: Bench, encoded: list[int]) -> None:
    found = bench.vectors()
    assert encoded == [8, 8, 8, 8, 8]
    assert len(found.shards) == 5
    assert all(isinstance(shard, np.memmap) for shard in found.shards)
    alone = [bench.vectors(texts=[text]) for text in TEXTS[:3]]
    for layer in (1, 4):
        whole = found.at(layer)
        assert whole.shape == (len(TEXTS), 32)
        assert np.array_equal(found.at(layer, np.array([7, 0, 7])), whole[[7, 0, 7]])
        for i, one in enumerate(alone):
            assert np.allclose(one.at(layer)[0], whole[i], atol=1e-5)
    assert not np.allclose(found.at(1), found.at(4))


def test_twice_is_once_also_for_another_process(bench: Bench, tiny: Path, encoded: list[int]) -> None:
    first = bench.vectors()
    other = Bench(bench.workspace.store.folder, tiny)
    again = other.vectors()
    assert len(encoded) == 5
    assert other.runtime.adapter_pool._encoder is None, "the encoder is not even loaded"
    assert (first.encoded, again.encoded) == (len(TEXTS), 0)
    assert again.seconds == 0.0 < first.seconds
    assert all(np.array_equal(first.at(layer), again.at(layer)) for layer in (1, 4))
    assert np.array_equal(first.cut, again.cut)


def test_the_key_holds_everything(bench: Bench, tmp_path: Path, tiny: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"layers": (1,)},
        {"layers": (1, 3, 4)},
        {"pooling": "max"},
        {"prefix": "the "},
        {"prefix": "the"},
        {"max_length": 8},
        {"precision": "bf16"},
        {"base": "a" * 64},
        {"stack": ("a" * 64,)},
        {"stack": ("b" * 64, "a" * 64)},
        {"stack": ("a" * 64, "b" * 64)},
    ]
    recipes = [RECIPE, *(dataclasses.replace(RECIPE, **change) for change in changes)]
    keys = [module._key(TEXTS, recipe, bench.runtime) for recipe in recipes]
    keys += [module._key(texts, RECIPE, bench.runtime) for texts in (TEXTS[1:], TEXTS[::-1], ["".join(TEXTS)])]
    other = Bench(tmp_path / "other", make_encoder(tmp_path / "model", seed=2))
    keys.append(module._key(TEXTS, RECIPE, other.runtime))
    assert len(set(keys)) == len(keys)
    same = dataclasses.replace(RECIPE, batch_tokens=100)
    assert module._key(TEXTS, same, bench.runtime) == keys[0]
    assert module._key(TEXTS, RECIPE, Bench(tmp_path / "third", tiny).runtime) == keys[0]


def test_a_prefix_is_encoded_and_says_nothing_about_the_text(bench: Bench) -> None:
    texts = [*TEXTS, "한국어", "tree " * 20]
    found = bench.vectors(dataclasses.replace(RECIPE, prefix="the cat ", max_length=22), texts)
    expected = bench.vectors(dataclasses.replace(RECIPE, max_length=22), ["the cat " + text for text in texts])
    assert np.allclose(found.at(4), expected.at(4), atol=1e-5)
    assert np.array_equal(found.cut, expected.cut)
    plain = bench.vectors(dataclasses.replace(RECIPE, max_length=22), texts)
    assert (found.known.tolist(), found.tokens.tolist()) == (plain.known.tolist(), plain.tokens.tolist())
    assert not np.allclose(found.at(4), plain.at(4), atol=1e-2)
    assert (found.known[-2], expected.known[-2]) == (False, True)


def test_a_prefix_that_leaves_no_room_is_refused(bench: Bench) -> None:
    prefix = "the cat " * 3
    count = len(bench.runtime.tokenizer.ids([prefix])[0])
    recipe = dataclasses.replace(RECIPE, prefix=prefix, max_length=count + 2)
    with pytest.raises(ConfigError, match=f"prefix: has {count} tokens, .* leaves room for {count}, so nothing"):
        bench.vectors(recipe)
    assert len(bench.vectors(dataclasses.replace(recipe, max_length=count + 3)).cut) == len(TEXTS)


def test_cut_texts_are_told(bench: Bench) -> None:
    lengths = [len(ids) + 2 for ids in bench.runtime.tokenizer.ids(TEXTS)]
    limit = sorted(lengths)[len(TEXTS) // 2]
    found = bench.vectors(dataclasses.replace(RECIPE, max_length=limit))
    assert found.cut.tolist() == [length > limit for length in lengths]
    assert 0 < found.cut.sum() < len(TEXTS)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_vector_cache as here
here.module.SHARD = 8
here.Bench(Path(sys.argv[1]), Path(sys.argv[2])).vectors()
"""


def killed(store: Path, tiny: Path, at: str) -> None:
    """A process that dies by ``kill -9`` at a failpoint."""
    tests = str(Path(__file__).resolve().parent)
    environment = {**os.environ, "ADAPTSTILTS_FAILPOINT": at, "PYTHONPATH": str(Path(tests).parent)}
    command = [sys.executable, "-c", CHILD, str(store), str(tiny), tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "left"),
    [
        ("vectors:before-rename", 5),
        ("vectors:after-rename", 4),
        ("commit:before-manifest", 0),
        ("commit:after-manifest", 0),
    ],
)
def test_a_kill_costs_at_most_a_shard(
    tiny: Path, tmp_path: Path, encoded: list[int], bench: Bench, at: str, left: int
) -> None:
    killed(tmp_path / "killed", tiny, at)
    found = Bench(tmp_path / "killed", tiny)
    (part,) = found.folders
    assert part.suffix == ".part", "what is not whole is not there"
    resumed = found.vectors()
    assert len(encoded) == left
    assert resumed.encoded == 8 * left
    whole = bench.vectors()
    assert all(np.array_equal(resumed.at(layer), whole.at(layer)) for layer in (1, 4))
    (folder,) = found.folders
    assert folder.suffix == ""
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in bench.folders[0].iterdir()}, "nothing of the killed process is left over"


def test_an_interruption_keeps_whole_shards(bench: Bench, encoded: list[int]) -> None:
    bench.stop = lambda: len(encoded) == 3
    with pytest.raises(Interrupted, match="t: stopped after 16 of 40 sentences"):
        bench.vectors()
    bench.stop = lambda: False
    encoded.clear()
    bench.vectors()
    assert encoded == [8, 8, 8]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "what", ["shard", "short", "rows.npy", "cut.npy", "known.npy", "tokens.npy", "manifest.json", "missing", "more"]
)
def test_a_damaged_folder_is_made_anew(bench: Bench, encoded: list[int], what: str) -> None:
    first = bench.vectors()
    expected = {layer: first.at(layer) for layer in (1, 4)}
    (folder,) = bench.folders
    shard = sorted(folder.glob("[0-9]*.npy"))[2]
    if what == "short":
        shard.write_bytes(shard.read_bytes()[:-4])
    elif what == "missing":
        shard.unlink()
    elif what == "more":
        shutil.copy(shard, folder / "99999999.npy")
    else:
        damage(shard if what == "shard" else folder / what)
    encoded.clear()
    again = bench.vectors()
    assert len(encoded) == 5
    assert any("computed again" in line for line in bench.told)
    assert all(np.array_equal(again.at(layer), expected[layer]) for layer in (1, 4))


@pytest.mark.slow
def test_a_damaged_shard_of_a_killed_run_is_made_anew(tiny: Path, tmp_path: Path, encoded: list[int]) -> None:
    killed(tmp_path / "killed", tiny, "commit:before-manifest")
    found = Bench(tmp_path / "killed", tiny)
    damage(sorted(found.folders[0].glob("[0-9]*.npy"))[1])
    found.vectors()
    assert encoded == [8]


def test_an_adapter_has_vectors_of_its_own_and_a_full_disk_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(ResourceError, match="sentence vectors need about 0 MiB and 0 MiB are free; score fewer layers"):
        bench.vectors()


def test_the_least_used_go_when_there_are_too_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.vectors()
    (first,) = bench.folders
    bench.vectors(dataclasses.replace(RECIPE, pooling="max"))
    (second,) = set(bench.folders) - {first}
    for folder, moment in ((first, 1000), (second, 2000)):
        os.utime(folder, (moment, moment))
    bench.vectors()  # the first is now the one used last
    size = sum(path.stat().st_size for path in first.iterdir())
    monkeypatch.setattr(module, "MAX_BYTES", int(2.5 * size))
    bench.vectors(dataclasses.replace(RECIPE, pooling="cls"))
    assert first in bench.folders
    assert second not in bench.folders
    monkeypatch.setattr(module, "MAX_BYTES", 1)
    bench.vectors(dataclasses.replace(RECIPE, pooling="idf"))
    assert len(bench.folders) == 1


def test_gc_lists_them(bench: Bench) -> None:
    bench.vectors()
    store = Store(bench.workspace.store.folder)
    (folder,) = bench.folders
    assert folder in store.garbage()
    with store.lease(f"vectors.{folder.name}") as mine:
        assert mine
        assert folder not in store.garbage(), "somebody is at it"


def test_nothing_to_encode(bench: Bench) -> None:
    with pytest.raises(DataError, match="t: no texts to encode; expected at least one"):
        bench.vectors(texts=[])


def test_an_empty_text_is_a_text(bench: Bench) -> None:
    found = bench.vectors(dataclasses.replace(RECIPE, pooling="idf"), ["", "the cat"])
    assert np.isfinite(found.at(4)).all()
