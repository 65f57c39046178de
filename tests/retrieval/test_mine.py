"""The verb ``mine``: people's own text, the same bytes after a kill and by Ray, and what it refuses."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import call
from support.inputs import sentence

from adaptstilts import study as config
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.models import locate as models
from adaptstilts.plan import expand
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.retrieval import vector_cache as vectors_module
from adaptstilts.retrieval.encode import encode
from adaptstilts.retrieval.mine import MiningSettings, mine
from adaptstilts.retrieval.vector_cache import EncodingRecipe, encode_cached
from adaptstilts.run import run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.search.bucc import one_to_one
from adaptstilts.search.margin import candidate_pairs
from adaptstilts.search.products import normalize
from adaptstilts.workspace import Workspace


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of which some sentences are copies; with empty lines, repeated ones and a tab."""
    generator = random.Random(5)
    pool = list(dict.fromkeys(sentence(generator, 9) for _ in range(70)))
    foreign, english = pool[:40], pool[25:]
    generator.shuffle(foreign)
    foreign[3:3] = ["", "  ", foreign[0]]
    english[2] = "the cat\tsees"
    paths = tmp_path / "x.txt", tmp_path / "y.txt"
    for path, lines in zip(paths, (foreign, english), strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def settings(tiny: Path, **changed: object) -> MiningSettings:
    return MiningSettings(**{"model": str(tiny), "layer": 2, "precision": "fp32", "shard": 16, **changed})  # type: ignore[arg-type]


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def test_pairs_are_those_of_a_plain_search(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "store")
    found = mine(*texts, tmp_path / "out.tsv", settings(tiny), workspace, device="cpu")
    model = models.locate(str(tiny))
    runtime = Runtime(workspace, model, device="cpu")
    lines = [path.read_text(encoding="utf-8").split("\n")[:-1] for path in texts]
    kept = [list(dict.fromkeys(line.strip() for line in side if line.strip())) for side in lines]
    recipe = EncodingRecipe((2,), precision="fp32", max_length=128)
    sides = [normalize(encode_cached(side, recipe, runtime).at(2)) for side in kept]
    expected = one_to_one(candidate_pairs(sides[0], sides[1], 4, "numpy"))
    written = rows(tmp_path / "out.tsv")
    assert len(written) == found.pairs == found.candidates == len(expected) > 15
    assert [row[3] for row in written] == [kept[0][i] for i in expected.foreign]
    assert [row[4] for row in written] == [kept[1][j].replace("\t", " ") for j in expected.english]
    assert [float(row[0]) for row in written] == pytest.approx(expected.scores, abs=2e-4)  # other batches
    for _, i, j, left, right in written:
        assert lines[0][int(i) - 1].strip() == left
        assert lines[1][int(j) - 1].replace("\t", " ") == right
    assert (found.lines, found.empty, found.repeated) == ((43, len(lines[1])), (2, 0), (1, 0))
    assert found.truncated == (0, 0)
    copies = {row[3] for row in written if row[3] == row[4]}
    assert len(copies) >= 12


def test_settings_change_what_is_written_and_nothing_is_made_again(
    texts: tuple[Path, Path], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "store")
    out = tmp_path / "out.tsv"
    mine(*texts, out, settings(tiny), workspace, device="cpu")
    every = rows(out)
    monkeypatch.setattr(
        "adaptstilts.retrieval.shards.encode_shard", lambda *given, **named: pytest.fail("encoded again")
    )
    monkeypatch.setattr("adaptstilts.search.sharded.search_piece", lambda piece: pytest.fail("searched again"))
    middle = float(every[len(every) // 2][0])
    found = mine(*texts, out, settings(tiny, threshold=middle), workspace, device="cpu")
    assert rows(out) == [row for row in every if float(row[0]) >= middle][: found.pairs]
    assert found.candidates == len(every)
    mine(*texts, out, settings(tiny, margin="absolute", retrieval="intersect"), workspace, device="cpu")
    cosines = [float(row[0]) for row in rows(out)]
    assert max(cosines) == pytest.approx(1, abs=1e-3)
    assert cosines == sorted(cosines, reverse=True)


def arguments(texts: tuple[Path, Path], tiny: Path, out: Path, store: Path, *more: str) -> list[str]:
    told = ["mine", *map(str, texts), "-o", str(out), "--model", str(tiny), "--store", str(store), "--shard", "16"]
    return [*told, "--precision", "fp32", "--device", "cpu", *more]


def command(*given: Any) -> list[str]:
    return [sys.executable, "-c", "from adaptstilts.cli import main; main()", *arguments(*given)]


def run(told: list[str], failpoint: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ADAPTSTILTS_FAILPOINT": failpoint, "OMP_NUM_THREADS": "1"}
    return subprocess.run(told, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["mine:after-shard", "mine:after-piece", "mine:before-rename"])
def test_killed_and_resumed(
    point: str, texts: tuple[Path, Path], tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments(texts, tiny, tmp_path / "whole.tsv", tmp_path / "one")) == 0
    out, store = tmp_path / "resumed.tsv", tmp_path / "two"
    killed = run(command(texts, tiny, out, store), point)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    made = {path: path.stat().st_mtime_ns for path in (store / "cache" / "vectors").rglob("*-0*.np[yz]")}
    assert made
    capsys.readouterr()
    assert call(*arguments(texts, tiny, out, store)) == 0
    assert out.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    finished = {path.name: path.stat().st_mtime_ns for path in (store / "cache" / "vectors").rglob("*-0*.np[yz]")}
    assert {path.name: time for path, time in made.items()}.items() <= finished.items(), "what was whole was kept"
    assert "43 lines, 2 empty, 1 repeated" in capsys.readouterr().out


def test_ray_gives_the_same_bytes(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    for name, more in (("here", []), ("there", ["--ray"])):
        done = run(command(texts, tiny, tmp_path / f"{name}.tsv", tmp_path / name, *more))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "here.tsv").read_bytes() == (tmp_path / "there.tsv").read_bytes()


@pytest.mark.slow
def test_an_index_says_its_recall(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    done = run(command(texts, tiny, tmp_path / "out.tsv", tmp_path / "store", "--index", "HNSW16"))
    assert done.returncode == 0, done.stderr
    assert "index HNSW16: finds " in done.stdout
    assert len(rows(tmp_path / "out.tsv")) > 15


@pytest.mark.slow
def test_an_adapter_of_another_store(
    texts: tuple[Path, Path], study_file: Callable[..., Path], data_root: Path, tmp_path: Path, tiny: Path
) -> None:
    """By its folder, with what it stands on; it changes the vectors, and so the pairs."""
    trained = Workspace(tmp_path / "trained", data_root)
    changed = {"intermediates": ["mnli"], "targets": ["udpos"], "methods": [{"kind": "bottleneck", "reduction": 4}]}
    study = expand.expand(config.load(study_file(**changed, swap="off")), trained)
    run_plan(study, trained, device="cpu")
    (upper,) = (p for p in study.order() if isinstance(p, TrainPhase) and p.task == "udpos")
    workspace, bare, adapted = Workspace(tmp_path / "store"), tmp_path / "bare.tsv", tmp_path / "adapted.tsv"
    mine(*texts, bare, settings(tiny), workspace, device="cpu")
    folder = trained.store.entry_folder(upper.key)
    mine(*texts, adapted, settings(tiny, adapter=str(folder)), workspace, device="cpu")
    assert len(workspace.store.keys()) == 2
    assert rows(adapted) != rows(bare)
    again = tmp_path / "again.tsv"
    mine(*texts, again, settings(tiny, adapter=upper.key[:10]), workspace, device="cpu")
    assert again.read_bytes() == adapted.read_bytes()
    with pytest.raises(ConfigError, match="--adapter 'abc': no such entry"):
        mine(*texts, again, settings(tiny, adapter="abc"), workspace, device="cpu")


def test_what_is_refused(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    workspace, out = Workspace(tmp_path / "store"), tmp_path / "out.tsv"
    out.write_text("before", encoding="utf-8")
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good\n\xff\n")
    with pytest.raises(DataError, match=r"bad.txt:2: not UTF-8"):
        mine(bad, texts[1], out, settings(tiny), workspace, device="cpu")
    bad.write_bytes(b"\n \n")
    with pytest.raises(DataError, match="2 lines and no sentence"):
        mine(texts[0], bad, out, settings(tiny), workspace, device="cpu")
    with pytest.raises(ConfigError, match="--layer 9: the model has hidden states 0 to 4"):
        mine(*texts, out, settings(tiny, layer=9), workspace, device="cpu")
    with pytest.raises(ConfigError, match="in an existing folder"):
        mine(*texts, tmp_path / "no" / "out.tsv", settings(tiny), workspace, device="cpu")
    with pytest.raises(ConfigError, match="is one of the inputs"):
        mine(*texts, texts[1], settings(tiny), workspace, device="cpu")
    assert out.read_text(encoding="utf-8") == "before"
    assert np.all([path.exists() for path in texts])
    with pytest.raises(ConfigError, match="expected a file name"):
        mine(*texts, Path("/dev/null"), settings(tiny), workspace, device="cpu")
    with pytest.raises(ConfigError, match="--max-length 129: the model takes at most 128 tokens"):
        mine(*texts, out, settings(tiny, max_length=129), workspace, device="cpu")
    for threshold in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=r"--threshold (nan|inf): expected a score"):
            mine(*texts, out, settings(tiny, threshold=threshold), workspace, device="cpu")
    with pytest.raises(ConfigError, match="device 'nowhere': expected cpu, or cuda"):
        mine(*texts, out, settings(tiny), workspace, device="nowhere")
    assert not list(workspace.store.vectors.glob("*"))


def test_an_index_that_cannot_be_meant_is_refused_before_anything_is_encoded(
    texts: tuple[Path, Path], tiny: Path, tmp_path: Path
) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    workspace = Workspace(tmp_path / "store")
    with pytest.raises(ConfigError, match="could not parse"):
        mine(*texts, tmp_path / "out.tsv", settings(tiny, index="nonsense"), workspace, device="cpu")
    assert not list(workspace.store.vectors.glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["foreign-000001.*.npy", "english-000000.*.cut", "k4/000000-000001-ahead.*.npz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_what_is_damaged_is_made_again(
    pattern: str, damage: str, texts: tuple[Path, Path], tiny: Path, tmp_path: Path
) -> None:
    workspace, out = Workspace(tmp_path / "store"), tmp_path / "out.tsv"
    mine(*texts, out, settings(tiny), workspace, device="cpu")
    before = out.read_bytes()
    (held,) = (path for path in workspace.store.vectors.glob("*") if list(path.glob("english-*")))
    (path,) = held.glob(pattern)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-40] if damage == "cut" else content[:-40] + bytes(b ^ 255 for b in content[-40:]))
    found = mine(*texts, out, settings(tiny), workspace, device="cpu")
    assert out.read_bytes() == before
    assert path.read_bytes() == content
    assert found.truncated == (0, 0)


def test_a_file_that_was_mined_with_another_is_not_encoded_again(
    texts: tuple[Path, Path], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, other, encoded = Workspace(tmp_path / "store"), tmp_path / "other.txt", []
    mine(*texts, tmp_path / "one.tsv", settings(tiny), workspace, device="cpu")
    other.write_text("the old cat likes the sun\n", encoding="utf-8")
    monkeypatch.setattr(vectors_module, "encode", lambda *given: encoded.append(len(given[1])) or encode(*given))
    mine(other, texts[1], tmp_path / "two.tsv", settings(tiny), workspace, device="cpu")
    assert encoded == [1]


def test_a_threshold_below_zero(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    """Distances can be negative: they are left out where nothing is said, and there where a threshold lets them in."""
    workspace, out = Workspace(tmp_path / "store"), tmp_path / "out.tsv"
    usual = mine(*texts, out, settings(tiny, margin="distance"), workspace, device="cpu")
    assert all(float(row[0]) >= 0 for row in rows(out))
    every = mine(*texts, out, settings(tiny, margin="distance", threshold=-1.0), workspace, device="cpu")
    assert every.pairs == every.candidates > usual.pairs
    some = mine(*texts, out, settings(tiny, margin="distance", threshold=-0.001), workspace, device="cpu")
    assert usual.pairs <= some.pairs <= every.pairs
    assert any(float(row[0]) < 0 for row in rows(out)) == (some.pairs > usual.pairs)


def test_the_key_has_the_precision_that_is_used(
    texts: tuple[Path, Path], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may be seen by machines with and without bf16."""
    workspace = Workspace(tmp_path / "store")
    used = []
    for has in (False, True, True):
        monkeypatch.setattr("adaptstilts.runtime.hardware._cpu_has_bf16", lambda has=has: has)
        found = mine(*texts, tmp_path / "out.tsv", settings(tiny, precision="auto"), workspace, device="cpu")
        used.append(found.precision)
    assert used == ["fp32", "bf16", "bf16"]
    kept = [path for path in workspace.store.vectors.glob("*") if list(path.glob("english-*"))]
    assert len(kept) == 2


@pytest.mark.slow
def test_an_interruption_is_told(texts: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    out, store = tmp_path / "out.tsv", tmp_path / "store"
    program = (
        "import os, signal; from adaptstilts.retrieval import shards;"
        " shards.failpoint = lambda name: os.kill(os.getpid(), signal.{name}); from adaptstilts.cli import main; main()"
    )
    for name in ("SIGINT", "SIGTERM"):
        told = command(texts, tiny, out, store)
        told[2] = program.format(name=name)
        stopped = run(told)
        assert stopped.returncode == 130, stopped.stderr
        assert stopped.stderr.splitlines()[-1] == "interrupted; the same command continues"
        assert not list((store / "leases").iterdir())
        assert not out.exists()
