"""Folders of models as people have them: one tiny encoder in every form in which weights and tokenizers come."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.tiny_encoders import make_tiny_encoder

WEIGHTS = "model.safetensors"


def make_bert(folder: Path) -> Path:
    """Write a BERT encoder without head, with ``tokenizer.json`` and a ``vocab.txt`` of the same pieces."""
    import torch
    from safetensors.torch import load_file, save_file

    make_tiny_encoder(folder, "bert", num_hidden_layers=2)
    tensors = load_file(folder / WEIGHTS)
    encoder = {key.removeprefix("bert."): value for key, value in tensors.items() if key.startswith("bert.")}
    save_file(encoder, folder / WEIGHTS, metadata={"format": "pt"})
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    assert all(isinstance(value, torch.Tensor) for value in encoder.values())
    return folder


def tensors_of(folder: Path) -> dict[str, Any]:
    """Return the tensors of a single file."""
    from safetensors.torch import load_file

    return dict(load_file(folder / WEIGHTS))


def write_tensors(folder: Path, tensors: dict[str, Any]) -> None:
    """Write tensors as a single file."""
    from safetensors.torch import save_file

    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def shard(folder: Path, suffix: str = ".safetensors") -> None:
    """Divide the weights among two shards, as safetensors or (``.bin``) as pickles."""
    import torch
    from safetensors.torch import save_file

    tensors = tensors_of(folder)
    (folder / WEIGHTS).unlink()
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    weight_map = {}
    for number in (1, 2):
        name = f"{stem}-0000{number}-of-00002{suffix}"
        part = {key: value for place, (key, value) in enumerate(sorted(tensors.items())) if place % 2 == number - 1}
        if suffix == ".safetensors":
            save_file(part, folder / name, metadata={"format": "pt"})
        else:
            torch.save(part, folder / name)
        weight_map.update(dict.fromkeys(part, name))
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))


def to_binary(folder: Path, legacy: bool = False) -> None:
    """Replace the weights by a pickle, in torch's archive or its earlier format."""
    import torch

    tensors = tensors_of(folder)
    (folder / WEIGHTS).unlink()
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)


class _Program:
    """Pickled, this would make a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def to_program(folder: Path) -> None:
    """Replace the weights by a pickle that runs a program."""
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Program()}, protocol=2))


def to_dtype(folder: Path, dtype: str) -> None:
    """Store the weights in another type."""
    import torch

    write_tensors(folder, {key: value.to(getattr(torch, dtype)) for key, value in tensors_of(folder).items()})


def add_head(folder: Path) -> None:
    """Make the weights those of a classifier: with a prefix, a pooler and a head."""
    import torch

    tensors = {f"bert.{key}": value for key, value in tensors_of(folder).items()}
    tensors |= {"bert.pooler.dense.weight": torch.zeros(32, 32), "classifier.weight": torch.zeros(3, 32)}
    write_tensors(folder, {**tensors, "classifier.bias": torch.zeros(3)})


def add_pooler(folder: Path) -> None:
    """Add a pooler to the encoder."""
    import torch

    write_tensors(folder, {**tensors_of(folder), "pooler.dense.weight": torch.zeros(32, 32)})


def to_sentence_transformers(folder: Path, mode: str = "pooling_mode_cls_token", older: bool = False) -> None:
    """Add what sentence-transformers writes; in its older layout the encoder has a folder of its own."""
    modules = [
        ("Transformer", "0_Transformer" if older else ""),
        ("Pooling", "1_Pooling"),
        ("Normalize", "2_Normalize"),
    ]
    if older:
        (folder / "0_Transformer").mkdir()
        for path in [path for path in folder.iterdir() if path.is_file()]:
            path.rename(folder / "0_Transformer" / path.name)
    listed = []
    for number, (kind, path) in enumerate(modules):
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    modes = {f"pooling_mode_{name}": False for name in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes, mode: True}))


def remove(folder: Path, *names: str) -> None:
    """Remove files."""
    for name in names:
        (folder / name).unlink()


def set_config(folder: Path, **changed: Any) -> None:
    """Change fields of the config."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def put_nan(folder: Path) -> None:
    """Make one weight not a number."""
    tensors = tensors_of(folder)
    tensors["encoder.layer.0.output.dense.bias"][3] = float("nan")
    write_tensors(folder, tensors)


def changed_copy(source: Path, target: Path, *changes: Callable[[Path], None]) -> Path:
    """Copy a folder and change the copy."""
    shutil.copytree(source, target)
    for change in changes:
        change(target)
    return target
