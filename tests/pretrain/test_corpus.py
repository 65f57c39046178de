"""The text: aligned, cleaned, freed of evaluated sentences, and the same arrays every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.aligned_text import cipher, make_text, write_recipe
from support.inputs import write_split

from adaptstilts import pretrain as recipes
from adaptstilts.errors import ArtifactError, DataError, Interrupted
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.phases.corpus import corpus as run_phase
from adaptstilts.pretrain import PretrainPlan, corpus, encoded, svd, vocabulary
from adaptstilts.pretrain.evaluated import fingerprint
from adaptstilts.pretrain.recipe import Vocabulary
from adaptstilts.runtime.context import Runtime
from adaptstilts.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("text")
    return Workspace(folder / "store", make_text(folder / "hub"))


@pytest.fixture(scope="module")
def plan(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> PretrainPlan:
    return recipes.expand(recipes.load(write_recipe(tmp_path_factory.mktemp("recipe"))), workspace)


@pytest.fixture(scope="module")
def found(plan: PretrainPlan, workspace: Workspace) -> corpus.Corpus:
    return corpus.read(plan.corpus, workspace)


@pytest.fixture(scope="module")
def entry(plan: PretrainPlan, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entry")
    run_phase(plan.corpus, Runtime(workspace, None, device="cpu"), folder)
    return folder


def test_translations_stand_together(found: corpus.Corpus) -> None:
    assert len(found.groups) > 200
    for group in [*found.groups, *found.held_out]:
        assert all(cipher(group["en"], code) == text for code, text in group.items())


def test_evaluated_sentences_are_removed_and_counted(found: corpus.Corpus, workspace: Workspace) -> None:
    assert workspace.sources.root is not None
    evaluated = set()
    for path in workspace.sources.root.glob("google/xtreme/tatoeba.*/*.parquet"):
        for row in pq.read_table(path).to_pylist():
            evaluated |= {fingerprint(row["source_sentence"]), fingerprint(row["target_sentence"])}
    said = {fingerprint(text) for group in [*found.groups, *found.held_out] for text in group.values()}
    assert not said & evaluated
    assert found.removed["en"] >= 10  # five of each language, and whatever repeats them
    assert found.removed["de"] >= 5 <= found.removed["zh"]


def test_documents_are_left_out(found: corpus.Corpus) -> None:
    assert found.rows == {"toy/pairs": 300, "toy/aligned": 60}  # one document of four is not read


def test_held_out_groups_are_not_trained_on(found: corpus.Corpus) -> None:
    trained = {text for group in found.groups for code, text in group.items() if code != "en"}
    held = [text for group in found.held_out for code, text in group.items() if code != "en"]
    assert len(held) == 24
    kept_apart = [text for text in held if text not in trained]
    assert len(kept_apart) >= 23  # a sentence of three words may be said twice


def test_fingerprint_ignores_form_alone() -> None:
    assert fingerprint("Ça va ?") == fingerprint("ça VA!")
    assert fingerprint("कि") != fingerprint("का")
    assert fingerprint("schön") != fingerprint("schon")


def test_phase_gives_the_same_files_again(
    plan: PretrainPlan, workspace: Workspace, entry: Path, tmp_path: Path
) -> None:
    run_phase(plan.corpus, Runtime(workspace, None, device="cpu"), tmp_path)
    files = sorted(path.relative_to(entry) for path in entry.rglob("*") if path.is_file())
    assert [str(path) for path in files if "tokenizer.json" in path.name]
    for path in files:
        assert (entry / path).read_bytes() == (tmp_path / path).read_bytes(), path


def test_counts(entry: Path, found: corpus.Corpus) -> None:
    result = json.loads((entry / "result.json").read_text(encoding="utf-8"))
    assert result["groups"] == len(found.groups)
    assert result["removed"]["total"] == found.removed.total()
    assert result["not_looked_at"] == []
    assert sum(result["sentences"].values()) == sum(map(len, found.groups))


def test_tokenizer_is_one_of_the_family(entry: Path) -> None:
    from transformers import AutoTokenizer

    ours, theirs = Tokenizer(entry / "tokenizer"), AutoTokenizer.from_pretrained(str(entry / "tokenizer"))
    text = "the  cat ﬁnds a\u3000dog"
    assert ours.ids([text])[0] == theirs(text, add_special_tokens=False)["input_ids"]
    assert theirs("a", "b")["input_ids"].count(theirs.sep_token_id) == 3
    assert theirs.mask_token_id == len(theirs) - 1
    assert theirs("the <mask> cat")["input_ids"].count(theirs.mask_token_id) == 1
    assert theirs.decode(ours.ids(["the cat likes a dog"])[0]) == "the cat likes a dog"


def test_arrays_hold_the_text(entry: Path, found: corpus.Corpus) -> None:
    held, tokenizer = encoded.load(entry / "train.safetensors"), Tokenizer(entry / "tokenizer")
    texts = [group[code] for group in found.groups for code in group]
    assert [held.ids(i) for i in range(5)] == tokenizer.ids(texts[:5])
    assert len(held) == len(texts)
    assert held.bounds[-1] == len(held)
    with pytest.raises(ArtifactError, match="not a tokenized corpus"):
        encoded.load(entry / "result.json")


def test_singular_vectors_bring_translations_together(entry: Path) -> None:
    held, tokenizer = encoded.load(entry / "train.safetensors"), Tokenizer(entry / "tokenizer")
    vectors = svd.token_vectors(held, 100, 16, seed=1)
    assert torch.equal(vectors, svd.token_vectors(held, 100, 16, seed=1))
    weights = svd.idf(held, 100)
    kept = encoded.load(entry / "held-out.safetensors")
    sums = torch.stack([(vectors[kept.ids(i)] * weights[kept.ids(i)][:, None]).sum(0) for i in range(len(kept))])
    sums = torch.nn.functional.normalize(sums - sums.mean(0), dim=1)
    english = np.flatnonzero(kept.language == 0)
    others = np.flatnonzero(kept.language != 0)
    near = (sums[others] @ sums[english].T).argmax(1)
    right = (kept.group[english][near.numpy()] == kept.group[others]).mean()
    assert right > 0.7  # by chance: below 0.1
    assert tokenizer.ids(["the"])[0]


def test_singular_vectors_equal_those_of_the_full_decomposition() -> None:
    random = np.random.default_rng(1)
    tokens = random.integers(4, 40, 600).astype(np.int32)
    held = encoded.TokenizedCorpus(
        tokens,
        np.arange(0, 601, 6).astype(np.int32),
        np.arange(100).astype(np.int32) // 2,
        np.arange(100).astype(np.int32) % 2,
    )
    ours = svd.token_vectors(held, 40, 8, seed=1)
    matrix = svd._matrix(held, 40).to_dense()
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    exact = left[:, :8] * values[:8].sqrt()
    exact = exact / exact.norm(dim=1)[np.unique(tokens)].mean()
    torch.testing.assert_close(ours @ ours.T, exact @ exact.T, rtol=1e-3, atol=1e-3)


def test_losses_are_counted(found: corpus.Corpus, workspace: Workspace) -> None:
    assert found.dropped["evaluated translation"] >= 20  # one side was evaluated, the other one goes with it
    total = sum(map(len, [*found.groups, *found.held_out]))
    lost = found.removed.total() + found.dropped.total()
    # a row of pairs has two sentences, of which equal English ones are one
    assert total + lost <= 2 * 300 + 60
    assert total + lost >= 2 * 300 + 60 - 10


def test_changed_files_are_refused(tmp_path: Path) -> None:
    root = make_text(tmp_path / "hub")
    plan = recipes.expand(recipes.load(write_recipe(tmp_path)), Workspace(tmp_path / "store", root))
    other = Workspace(tmp_path / "other", make_text(tmp_path / "hub2", seed=4))
    with pytest.raises(DataError, match="changed since the plan was made"):
        corpus.read(plan.corpus, other)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"foreign": "a b", "english": None}], "row 0: english: expected text, found None"),
        ([{"foreign": "a b", "english": "c"}, {"foreign": None, "english": "d"}], "row 1: foreign: expected text"),
        ([{"foreign": "a b", "text": "c"}], "no column 'english'; found foreign, text"),
    ],
)
def test_bad_rows_are_told(tmp_path: Path, rows: list[dict[str, str | None]], told: str) -> None:
    root = make_text(tmp_path / "hub")
    write_split(root, "toy/pairs", "zh", "train", rows)
    workspace = Workspace(tmp_path / "store", root)
    plan = recipes.expand(recipes.load(write_recipe(tmp_path)), workspace)
    with pytest.raises(DataError, match=told):
        corpus.read(plan.corpus, workspace)


def test_no_column_of_documents(tmp_path: Path) -> None:
    root = make_text(tmp_path / "hub")
    write_split(root, "toy/docs", "docs", "test", [{"document": "d1"}])
    workspace = Workspace(tmp_path / "store", root)
    plan = recipes.expand(recipes.load(write_recipe(tmp_path)), workspace)
    with pytest.raises(DataError, match="no column 'doc'; found document"):
        corpus.read(plan.corpus, workspace)


def test_a_text_too_small_for_its_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be trained on this text"):
        vocabulary.train(["a b c"], Vocabulary(size=500), 64, tmp_path)


def test_a_stop_is_heard(plan: PretrainPlan, workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="starts the phase over"):
        run_phase(plan.corpus, Runtime(workspace, None, device="cpu", stop=lambda: True), tmp_path)
