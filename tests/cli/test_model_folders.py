"""`adaptstilts doctor --model`: what is said about each kind of folder that people have, and the exit code."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import model_folders as folders
from support.command_line import call
from support.model_folders import changed_copy


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make_bert(tmp_path_factory.mktemp("bert") / "bert")


def nothing(folder: Path) -> None:
    """Leave the folder as it is."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of folder, its exit code, and words of what is printed."""

    change: Callable[[Path], object]
    code: int
    words: tuple[str, ...]


KINDS = {
    "one safetensors file": Kind(
        nothing, 0, ("weights: safetensors, float32, all finite", "left out of the weights: nothing")
    ),
    "sharded": Kind(folders.shard, 0, ("weights: 2 shards of safetensors, float32",)),
    "pytorch_model.bin": Kind(folders.to_binary, 0, ("weights: pytorch_model.bin, converted to safetensors, float32",)),
    "sharded .bin": Kind(lambda f: folders.shard(f, ".bin"), 0, ("2 shards of pytorch_model.bin, converted",)),
    "task head": Kind(folders.add_head, 0, ("left out of the weights: classifier, pooler",)),
    "pooler": Kind(folders.add_pooler, 0, ("left out of the weights: pooler",)),
    "fp16": Kind(lambda f: folders.to_dtype(f, "float16"), 0, ("weights: safetensors, float16",)),
    "bf16": Kind(lambda f: folders.to_dtype(f, "bfloat16"), 0, ("weights: safetensors, bfloat16",)),
    "sentence-transformers": Kind(
        folders.to_sentence_transformers, 0, ("own pooling: cls (select it with pooling: own)",)
    ),
    "vocab.txt alone": Kind(lambda f: folders.remove(f, "tokenizer.json"), 0, ("WordPiece, ", "built from vocab.txt")),
    "no tokenizer": Kind(
        lambda f: folders.remove(f, "tokenizer.json", "vocab.txt"), 4, ("no tokenizer.json; expected it",)
    ),
    "shard missing": Kind(
        lambda f: (folders.shard(f), folders.remove(f, "model-00002-of-00002.safetensors")),
        4,
        ("model-00002-of-00002.safetensors: this shard is missing",),
    ),
    "auto_map": Kind(
        lambda f: folders.set_config(f, auto_map={"AutoModel": "mine.Model"}), 4, ("'auto_map' is refused",)
    ),
    "another architecture": Kind(lambda f: folders.set_config(f, model_type="gpt2"), 4, ("model type 'gpt2' is not",)),
    "NaN": Kind(folders.put_nan, 4, ("encoder.layer.0.output.dense.bias has values that are not finite",)),
    "a program": Kind(
        folders.to_program, 4, ("pytorch_model.bin: refused, because it contains", "it calls posix.mkdir")
    ),
    "weights of another framework": Kind(
        lambda f: (f / "model.safetensors").rename(f / "tf_model.h5"), 4, ("no model.safetensors; expected that file",)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_doctor_says(bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    folder = changed_copy(bert, tmp_path / "model", KINDS[kind].change)
    code = call("doctor", "--model", folder, "--store", tmp_path / "store")
    shown = capsys.readouterr()
    assert code == KINDS[kind].code, shown.err
    for words in KINDS[kind].words:
        assert words in (shown.err if code else shown.out)
    if code:
        assert shown.out == ""
        assert len(shown.err.splitlines()) == 1
    else:
        assert "model model: architecture bert (BERT base and large" in shown.out
        assert "methods: bitfit, bottleneck, " in shown.out
    assert not (tmp_path / "store").exists()


def test_sentence_pieces_alone(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mini"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "sentencepiece.bpe.model"):
        shutil.copyfile(shared / "models" / "mini" / name, folder / name)
    assert call("doctor", "--model", folder, "--store", tmp_path / "store") == 0
    assert "tokenizer: Unigram, 15,997 pieces, built from sentencepiece.bpe.model" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        ("xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
        ("xlm-roberta-large", "FacebookAI/xlm-roberta-large"),
        ("bert-base-multilingual-cased", "google-bert/bert-base-multilingual-cased"),
        ("mdeberta-v3-base", "microsoft/mdeberta-v3-base"),
        ("xlm-roberta-bas", "FacebookAI/xlm-roberta-base"),
    ],
)
def test_a_hub_id_without_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, hub_id: str) -> None:
    assert call("doctor", "--model", name, "--store", tmp_path / "store", "--offline") == 2
    assert f"did you mean {hub_id}" in capsys.readouterr().err
