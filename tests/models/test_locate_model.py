"""Base models: what is accepted as one, and what makes two of them the same."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from adaptstilts.errors import AdaptstiltsError, ArtifactError, ConfigError, ResourceError
from adaptstilts.models import locate as source
from adaptstilts.models.headers import tensor_shapes
from adaptstilts.models.locate import check_same, locate


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny encoder, to be changed."""
    return shutil.copytree(tiny, tmp_path / "copy")


def change(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.marker),))


def test_locate(tiny: Path) -> None:
    model = locate(str(tiny))
    assert (model.folder, model.name) == (tiny, "tiny")
    vocabulary = json.loads((tiny / "config.json").read_text())["vocab_size"]
    sizes = {"hidden": 32, "layers": 4, "heads": 4, "intermediate": 64, "vocabulary": vocabulary, "positions": 130}
    assert {key: model.shape[key] for key in sizes} == sizes
    assert model.fingerprint.architecture == "xlm-roberta"
    assert json.loads(model.fingerprint.shape) == sizes
    assert str(tiny) not in json.dumps(model.fingerprint.identity())


def test_parameters_are_those_of_the_encoder(tiny: Path) -> None:
    from transformers import XLMRobertaModel

    encoder = XLMRobertaModel.from_pretrained(tiny, add_pooling_layer=False)
    assert locate(str(tiny)).shape["parameters"] == sum(p.numel() for p in encoder.parameters())


def test_the_mini_model_is_one(shared: Path) -> None:
    model = locate(str(shared / "models/mini"))
    assert model.name == "mini"
    assert model.shape["parameters"] > model.shape["vocabulary"] * model.shape["hidden"] > 0


def test_the_folder_is_no_part_of_the_fingerprint(tiny: Path, copy: Path) -> None:
    os.utime(copy / source.WEIGHTS, (1, 1))
    assert locate(str(copy)).fingerprint == locate(str(tiny)).fingerprint


def test_notes_beside_a_model_are_no_part_of_the_fingerprint(tiny: Path, copy: Path) -> None:
    (copy / "README.md").write_text("# notes")
    change(copy, transformers_version="0", _name_or_path="/home/somebody")
    assert locate(str(copy)).fingerprint == locate(str(tiny)).fingerprint


def test_weights_change_the_fingerprint(tiny: Path, copy: Path) -> None:
    data = bytearray((copy / source.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / source.WEIGHTS).write_bytes(bytes(data))
    one, other = locate(str(tiny)).fingerprint, locate(str(copy)).fingerprint
    assert one.weights != other.weights
    assert (one.architecture, one.shape, one.tokenizer) == (other.architecture, other.shape, other.tokenizer)


def test_the_tokenizer_changes_the_fingerprint(tiny: Path, copy: Path) -> None:
    path = copy / "tokenizer.json"
    held = json.loads(path.read_text())
    held["model"]["vocab"][10][1] -= 0.5
    path.write_text(json.dumps(held))
    one, other = locate(str(tiny)).fingerprint, locate(str(copy)).fingerprint
    assert one.tokenizer != other.tokenizer
    assert one.weights == other.weights


@pytest.mark.parametrize("field", ["hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"])
def test_the_shape_changes_the_fingerprint(tiny: Path, copy: Path, tmp_path: Path, field: str) -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    change(copy, **{field: 200})
    with pytest.raises(ArtifactError, match=f"{field} is 200, its weights have"):
        locate(str(copy))
    config = XLMRobertaConfig.from_pretrained(copy)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(copy)
    assert locate(str(copy)).fingerprint.shape != locate(str(tiny)).fingerprint.shape


def test_files_that_change_after_the_plan_are_seen(copy: Path) -> None:
    model = locate(str(copy))
    assert model.checked_folder() == copy
    change(copy, hidden_act="relu")
    with pytest.raises(ArtifactError, match=r"config.json: changed after the plan was made; run the command again"):
        model.checked_folder()


def test_an_artifact_of_another_base_is_refused(tiny: Path, tmp_path: Path) -> None:
    ours = locate(str(tiny)).fingerprint.identity()
    check_same(ours, dict(ours), "adapter x")
    with pytest.raises(ArtifactError) as caught:
        check_same(ours, {**ours, "weights": "0" * 64, "tokenizer": "1" * 64}, "adapter x")
    assert str(caught.value).startswith("adapter x belongs to another base model: tokenizer ")
    assert f"weights {ours['weights'][:12]}... expected, 000000000000... found" in str(caught.value)
    with pytest.raises(ArtifactError, match=r"weights .* expected, nothing found"):
        check_same(ours, {key: value for key, value in ours.items() if key != "weights"}, "adapter x")


# Refusals


def test_a_pickle_is_not_opened(copy: Path, tmp_path: Path) -> None:
    (copy / source.WEIGHTS).unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "marker")))
    with pytest.raises(ArtifactError, match=r"pytorch_model.bin: refused, because it contains more than tensors"):
        locate(str(copy))
    assert not (tmp_path / "marker").exists()


def test_a_pickle_under_the_name_of_safetensors(copy: Path, tmp_path: Path) -> None:
    (copy / source.WEIGHTS).write_bytes(pickle.dumps(Evil(tmp_path / "marker")))
    with pytest.raises(ArtifactError, match=r"not a safetensors file .* pickles are not accepted"):
        locate(str(copy))
    assert not (tmp_path / "marker").exists()


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        header(b""),
        header(b"{", 1),
        header(b"[]"),
        header(b"3"),
        header(b'"text"'),
        header(b'{"a": 3}'),
        header(b'{"a": {}}'),
        header(b'{"a": []}'),
        header(b'{"a": {"shape": 3}}'),
        header(b'{"a": {"shape": ["x"]}}'),
        header(b'{"a": {"shape": [1.5]}}'),
        header(b'{"a": {"shape": [-1]}}'),
        header(b'{"a": {"shape": [true]}}'),
        header(b"\xff\xfe"),
        header(b"{}", 2**40),
        header(b"{}", 2**63),
        header(b"[" * 100_000),
    ],
)
def test_a_header_that_is_not_one(copy: Path, data: bytes) -> None:
    (copy / source.WEIGHTS).write_bytes(data)
    with pytest.raises(ArtifactError, match="not a safetensors file"):
        locate(str(copy))


def test_tensor_shapes_reads_the_header_alone(tiny: Path, copy: Path) -> None:
    shapes = tensor_shapes(tiny / source.WEIGHTS)
    assert shapes["embeddings.position_embeddings.weight"] == (130, 32)
    assert "__metadata__" not in shapes
    data = (copy / source.WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    (copy / source.WEIGHTS).write_bytes(data[: 8 + size])
    assert tensor_shapes(copy / source.WEIGHTS) == shapes


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"auto_map": {"AutoModel": "mine.Model"}}, "'auto_map' is refused: a model's config may not name code"),
        ({"model_type": "gpt2"}, "model type 'gpt2' is not supported"),
        ({"model_type": None}, "model type None is not supported"),
        ({"model_type": ["xlm-roberta"]}, "is not supported"),
        ({"quantization_config": {"load_in_4bit": True}}, "'quantization_config' is refused"),
        ({"attn_implementation": "somebody/kernel"}, "attention implementation 'somebody/kernel' is refused"),
        ({"_attn_implementation": "flash_attention_2"}, "is refused"),
        ({"hidden_size": "32"}, "expected whole numbers for hidden_size"),
        ({"hidden_size": None, "vocab_size": 1.5}, "expected whole numbers for hidden_size, vocab_size"),
    ],
)
def test_a_config_that_is_refused(copy: Path, changed: dict[str, Any], words: str) -> None:
    change(copy, **changed)
    with pytest.raises(ArtifactError) as caught:
        locate(str(copy))
    assert str(copy / "config.json") in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"null", b"\xff", b"[" * 100_000])
def test_a_config_that_is_not_one(copy: Path, data: bytes) -> None:
    (copy / "config.json").write_bytes(data)
    with pytest.raises(ArtifactError, match="not a readable model config"):
        locate(str(copy))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", source.WEIGHTS])
def test_a_file_that_is_not_there(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        locate(str(copy))


@pytest.mark.parametrize(
    "name", ["", "../model", "/absent/folder", "a/b/c", "no-owner", "o/n ame", "-o/n", "o/../n", "o\\n"]
)
def test_neither_a_folder_nor_a_hub_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, ArtifactError)) as caught:
        locate(name, offline=True)
    assert isinstance(caught.value, AdaptstiltsError)
    assert repr(name) in str(caught.value) or name == ""


def test_offline_a_model_must_be_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ResourceError, match="model owner/name-absent-here: not in the local cache, and --offline forbids"
    ):
        locate("owner/name-absent-here", offline=True)
