"""Files that must be refused: what is not exactly a delta of the method that was asked for, for every method.

One variant of each method takes every file, and the others take some; ADAPTSTILTS_EVERY_PAIR=1 runs the full product.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.attaching import CASES, ONE_OF_EACH, PAIRS, bare, saved, states, weights
from support.sampling import sampled
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.models.encoder import Encoder

# Files that must be refused.


def edited(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    path = weights(folder)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def drop_first(tensors: dict[str, Tensor]) -> None:
    del tensors[sorted(tensors)[0]]


def add_one(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.layer.0.extra.weight"] = torch.zeros(2)


def reshape_one(tensors: dict[str, Tensor]) -> None:
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].reshape(-1)[:-1].clone()


def transpose_one(tensors: dict[str, Tensor]) -> None:
    shaped = [key for key, value in sorted(tensors.items()) if value.ndim == 2 and value.shape[0] != value.shape[1]]
    key = shaped[0] if shaped else sorted(tensors)[0]
    tensors[key] = (tensors[key].T if shaped else tensors[key][:, None]).contiguous()


def poison(tensors: dict[str, Tensor]) -> None:
    tensors[sorted(tensors)[-1]].view(-1)[0] = float("nan")


def integers(tensors: dict[str, Tensor]) -> None:
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].to(torch.int64)


def second_name(tensors: dict[str, Tensor]) -> None:
    """The same tensors once more, as a second adapter (or another prefix) in one file."""
    for key in list(tensors):
        named = key.replace(".adapter.", ".z.")
        tensors[named if named != key else key.replace("encoder.", "roberta.encoder.", 1)] = tensors[key] + 1


CHANGES = (drop_first, add_one, reshape_one, transpose_one, poison, integers, second_name)
REFUSED: dict[str, Callable[..., None]] = {change.__name__: change for change in CHANGES}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "change"), sampled(CASES, REFUSED, ONE_OF_EACH))
def test_wrong_tensors_are_refused(tiny: Path, tmp_path: Path, name: str, change: str) -> None:
    method = CASES[name]
    folder = saved(tiny, tmp_path, method)
    edited(folder, REFUSED[change])
    encoder = Encoder(tiny, method.backend)
    with pytest.raises(ArtifactError, match=str(folder)):
        encoder.load("x", method, folder)
    assert encoder.methods == {}
    assert torch.equal(states(encoder), bare(tiny))
    encoder.add("x", method, 1)
    encoder.compose(["x"], train="x")


DAMAGE = ("pickle", "truncated", "empty", "absent")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), sampled(CASES, DAMAGE, ONE_OF_EACH))
def test_damaged_files_are_refused(tiny: Path, tmp_path: Path, name: str, damage: str) -> None:
    method = CASES[name]
    folder = saved(tiny, tmp_path, method)
    path = weights(folder)
    marker = tmp_path / "marker"
    if damage == "pickle":
        torch.save({"x": Hostile(marker)}, path)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        torch.save({"x": Hostile(marker)}, folder / "pytorch_adapter.bin")
    encoder = Encoder(tiny, method.backend)
    with pytest.raises(ArtifactError, match="pickles are not accepted"):
        encoder.load("x", method, folder)
    assert not marker.exists()
    assert encoder.methods == {}


class Hostile:
    """Unpickling this would leave a mark."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("name", CASES)
def test_mismatched_config_is_refused(tiny: Path, tmp_path: Path, name: str) -> None:
    encoder = Encoder(tiny, CASES[name].backend)
    with pytest.raises(ArtifactError, match="expected"):
        encoder.load("x", PAIRS[name][1], saved(tiny, tmp_path, CASES[name]))
    assert encoder.methods == {}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("seq", "non_linearity", "tanh"),
        ("seq", "scaling", 2.0),
        ("seq", "is_parallel", True),
        ("seq", "original_ln_before", False),
        ("seq", "inv_adapter", "nice"),
        ("seq", "output_adapter", False),
        ("seq", "reduction_factor", {"default": 4}),
        ("double", "residual_before_ln", False),
        ("double", "phm_layer", True),
        ("lora", "use_rslora", "yes"),
        ("lora", "use_dora", None),
        ("lora", "layers_to_transform", 3),
        ("lora", "exclude_modules", ["value"]),
        ("lora-output", "exclude_modules", None),
        ("lora-six", "exclude_modules", ["attention.output.dense"]),
        ("lora", "bias", "all"),
        ("lora", "modules_to_save", ["classifier"]),
        ("lora", "target_modules", ["query", "dense"]),
        ("lora", "target_modules", "query"),
        ("lora", "rank_pattern", {"query": 4}),
        ("lora", "peft_type", "IA3"),
        ("lora", "fan_in_fan_out", True),
        ("lora", "auto_map", {"base_model_class": "os.system"}),
        ("ia3", "target_modules", ["key", "value", "output.dense"]),
        ("ia3", "feedforward_modules", []),
        ("ia3", "target_modules", None),
        ("ia3", "modules_to_save", ["classifier"]),
        ("ia3", "peft_type", "LORA"),
        ("ia3", "init_ia3_weights", False),
    ],
)
def test_variants_are_refused(tiny: Path, tmp_path: Path, name: str, key: str, value: object) -> None:
    method = CASES[name]
    folder = saved(tiny, tmp_path, method)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    (config["config"] if method.backend == "adapters" else config)[key] = value
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        Encoder(tiny, method.backend).load("x", method, folder)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"config": []}', '"lora"'])
@pytest.mark.parametrize("name", ["seq", "lora", "ia3"])
def test_unreadable_config_is_refused(tiny: Path, tmp_path: Path, name: str, text: str | None) -> None:
    method = CASES[name]
    folder = saved(tiny, tmp_path, method)
    path = folder / "adapter_config.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        Encoder(tiny, method.backend).load("x", method, folder)
