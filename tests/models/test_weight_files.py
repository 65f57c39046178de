"""Weights in every form that they come in: the same model whatever the form, and one line for what does not fit."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support import model_folders as folders
from support.model_folders import changed_copy

from adaptstilts.errors import ArtifactError
from adaptstilts.io.hashing import Digests, of_file
from adaptstilts.models.building import load_encoder
from adaptstilts.models.joint_digest import joint_digest
from adaptstilts.models.locate import locate
from adaptstilts.models.weights import read_language_model_head

FORMS: dict[str, Callable[[Path], None]] = {
    "sharded": folders.shard,
    "bin": folders.to_binary,
    "earlier bin": lambda folder: folders.to_binary(folder, legacy=True),
    "sharded bin": lambda folder: folders.shard(folder, ".bin"),
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make_bert(tmp_path_factory.mktemp("bert") / "bert")


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = load_encoder(one).state_dict(), load_encoder(other).state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_the_same_in_every_form(bert: Path, tmp_path: Path, form: str) -> None:
    folder = changed_copy(bert, tmp_path / "model", FORMS[form])
    model = locate(str(folder), cache=tmp_path / "cache")
    assert model.fingerprint == locate(str(bert)).fingerprint
    assert (model.name, model.source) == ("model", folder)
    assert same_weights(model.checked_folder(), bert)
    assert (model.folder == folder) == (form == "sharded")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened(bert: Path, tmp_path: Path, dtype: str) -> None:
    folder = changed_copy(bert, tmp_path / "half", lambda folder: folders.to_dtype(folder, dtype))
    expected = {key: value.float() for key, value in folders.tensors_of(folder).items()}
    loaded = load_encoder(folder).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())
    assert locate(str(folder)).fingerprint != locate(str(bert)).fingerprint
    folders.to_binary(folder)
    binary = load_encoder(locate(str(folder)).folder).state_dict()
    assert all(torch.equal(binary[key], value) for key, value in expected.items())


def test_a_pickle_is_converted_once(bert: Path, tmp_path: Path) -> None:
    folder = changed_copy(bert, tmp_path / "model", folders.to_binary)
    first = locate(str(folder), cache=tmp_path / "cache").folder
    assert first.parent == tmp_path / "cache"
    written = (first / "model.safetensors").stat().st_mtime_ns
    assert locate(str(folder), cache=tmp_path / "cache").folder == first
    assert (first / "model.safetensors").stat().st_mtime_ns == written
    damaged = bytearray((first / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (first / "model.safetensors").write_bytes(damaged)
    again = locate(str(folder), cache=tmp_path / "cache")
    assert again.fingerprint == locate(str(bert)).fingerprint
    folders.set_config(folder, hidden_act="relu")
    assert locate(str(folder), cache=tmp_path / "cache").folder != first


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    """A masked language model's state has its embeddings twice; ``transformers`` writes them once."""
    from support.tiny_encoders import make_tiny_encoder
    from transformers import BertForMaskedLM

    folder = make_tiny_encoder(tmp_path / "bert", "bert", num_hidden_layers=2)
    expected = locate(str(folder)).fingerprint
    head = read_language_model_head(folder, locate(str(folder)).architecture)
    state = BertForMaskedLM.from_pretrained(folder).state_dict()
    assert "cls.predictions.decoder.weight" in state
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    model = locate(str(folder))
    assert model.fingerprint == expected
    converted = read_language_model_head(model.folder, model.architecture)
    assert all(torch.equal(converted[key], value) for key, value in head.items())


def test_the_digest_of_shards_is_that_of_one_file(tmp_path: Path) -> None:
    tensors = {
        "b": torch.arange(6.0).view(2, 3),
        "a": torch.arange(5, dtype=torch.int64),
        "é": torch.ones(3, dtype=torch.bfloat16),
        "h": torch.ones(1, dtype=torch.float16),
        "d": torch.ones(2, dtype=torch.float64),
        "n": torch.zeros(0, 4),
        "t": torch.tensor([True, False]),
        "u": torch.tensor([1, 2], dtype=torch.uint8),
        "i": torch.tensor([1, 2], dtype=torch.int32),
    }
    save_file(tensors, tmp_path / "one", metadata={"format": "pt"})
    parts = [tmp_path / f"part{number}" for number in range(3)]
    for number, part in enumerate(parts):
        save_file({key: value for i, (key, value) in enumerate(tensors.items()) if i % 3 == number}, part)
    assert joint_digest(parts) == of_file(tmp_path / "one")
    memory = Digests(None)
    assert memory.of_files(parts, joint_digest) == of_file(tmp_path / "one")
    assert memory.of_files(parts, lambda paths: "computed again") == of_file(tmp_path / "one")
    save_file(tensors, parts[2])
    assert memory.of_files(parts, lambda paths: "computed again") == "computed again"


@pytest.mark.parametrize("form", ["one file", "bin"])
def test_a_task_head_and_a_pooler_are_left_out(bert: Path, tmp_path: Path, form: str) -> None:
    changes = [folders.add_head] if form == "one file" else [folders.add_head, folders.to_binary]
    model = locate(str(changed_copy(bert, tmp_path / "classifier", *changes)))
    assert model.remarks == ["classifier: only the encoder is used; left out of its weights: classifier, pooler"]
    assert same_weights(model.folder, bert)
    assert model.shape == locate(str(bert)).shape
    assert locate(str(bert)).remarks == []


def test_a_tensor_beside_an_encoder_without_prefix_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = changed_copy(bert, tmp_path / "model")
    folders.write_tensors(folder, {**folders.tensors_of(folder), "classifier.weight": torch.zeros(3, 32)})
    with pytest.raises(ArtifactError, match=r"unexpected \['classifier.weight'\]"):
        load_encoder(folder)


def edit_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
WORDS = "embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / SECOND).unlink(), f"{SECOND}: this shard is missing"),
        (
            lambda f: (f / "model-00003-of-00003.safetensors").write_bytes(b""),
            "model-00003-of-00003.safetensors: model.safetensors.index.json does not name this shard",
        ),
        (
            lambda f: edit_index(f, lambda m: m.update(extra=FIRST)),
            f"{FIRST}: extra is missing; .* lists it in this file",
        ),
        (lambda f: edit_index(f, lambda m: m.pop(WORDS)), f": has {WORDS}, which .* does not list in this file"),
        (lambda f: edit_index(f, lambda m: m.update({WORDS: "../x.safetensors"})), "expected a .safetensors file"),
        (lambda f: edit_index(f, lambda m: m.update({WORDS: "/etc/passwd"})), "expected a .safetensors file"),
        (lambda f: edit_index(f, lambda m: m.update({WORDS: 3})), "expected a .safetensors file beside it"),
        (lambda f: edit_index(f, lambda m: m.clear()), "expected weight_map with the shard of every tensor"),
        (lambda f: (f / FIRST).write_bytes((f / FIRST).read_bytes()[:-4]), f"{FIRST}: has .* it is not complete"),
        (lambda f: (f / FIRST).write_bytes(pickle.dumps({})), f"{FIRST}: not a safetensors file"),
    ],
    ids=[
        "missing",
        "extra",
        "tensor missing",
        "tensor extra",
        "outside",
        "absolute",
        "number",
        "empty",
        "short",
        "pickle",
    ],
)
def test_shards_that_do_not_fit(bert: Path, tmp_path: Path, change: Callable[[Path], None], words: str) -> None:
    folder = changed_copy(bert, tmp_path / "model", folders.shard, change)
    with pytest.raises(ArtifactError, match=words) as caught:
        locate(str(folder))
    assert "\n" not in str(caught.value)


def compress(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


BINARY = "pytorch_model.bin"
NAN = torch.full((68, 32), float("nan"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: compress(f / BINARY), "it is compressed"),
        (lambda f: (f / BINARY).write_bytes((f / BINARY).read_bytes()[:-99]), "refused, because"),
        (lambda f: (f / BINARY).write_bytes(b""), "refused, because"),
        (lambda f: torch.save([1], f / BINARY), "expected tensors by name, found list"),
        (lambda f: torch.save({"a": 1}, f / BINARY), "'a' is int; expected tensors by name"),
        (lambda f: torch.save({"state_dict": {"a": torch.ones(1)}}, f / BINARY), "'state_dict' is dict"),
        (lambda f: torch.save({WORDS: torch.zeros(1).expand(2**40, 32)}, f / BINARY), "claims more values"),
        (lambda f: torch.save({WORDS: torch.zeros(7, 32)}, f / BINARY), "its weights have 7; expected the weights of"),
        (lambda f: torch.save({**torch.load(f / BINARY), WORDS: NAN}, f / BINARY), f"{WORDS} has values that are not"),
    ],
    ids=["compressed", "short", "empty", "list", "number", "nested", "stretched", "other sizes", "nan"],
)
def test_pickles_that_are_refused(bert: Path, tmp_path: Path, change: Callable[[Path], None], words: str) -> None:
    folder = changed_copy(bert, tmp_path / "model", folders.to_binary, change)
    with pytest.raises(ArtifactError, match=words) as caught:
        locate(str(folder), cache=tmp_path / "cache")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "cache").glob("*"))
