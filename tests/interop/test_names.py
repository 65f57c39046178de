"""What a task is called never touches the keys of tensors: any name trains, is stored, read, exported and imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.attaching import CASES, saved, states, weights
from support.foreign_adapters import CASES as FOREIGN
from support.foreign_adapters import write
from support.name_field import CLOSE, NAMES, REFUSED, study_of, whole_way
from support.sampling import sampled

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.formats import adapterhub
from adaptstilts.interop import adapters, export
from adaptstilts.methods._adapters_library import name_in, with_name
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.workspace import Workspace

NASTIEST = """
1 self query layer train keys adapters lora_A invertible_adapters layer_text_task_adapters a.b prefix_tunings
""".split()
METHODS = ("bottleneck", "lora", "ia3", "prefix")
ONE_EACH = [("train", "bottleneck"), ("keys", "ia3")]


def check_way(name: str, method: str, tiny: Path, folder: Path) -> None:
    steps = whole_way(name, method, tiny, folder)
    assert steps.pop("effect") > 1e-2
    assert len(steps) >= 2
    assert max(steps.values()) <= CLOSE, steps


@pytest.mark.parametrize(("name", "method"), ONE_EACH)
def test_a_name_goes_the_whole_way(tiny: Path, tmp_path: Path, name: str, method: str) -> None:
    check_way(name, method, tiny, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), sampled(NASTIEST, METHODS, (), step=2))
def test_names_like_parts_of_keys(tiny: Path, tmp_path: Path, name: str, method: str) -> None:
    check_way(name, method, tiny, tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_no_study_accepts(tiny: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a name of at most 96 letters, digits") as refused:
        study_of(name, "lora", tiny)
    assert len(str(refused.value).splitlines()) == 1


def damaged(folder: Path, name: str) -> None:
    """Rewrite the keys as version 0.1.0 did: without every part of a key that is the adapter's name."""
    path, start = weights(folder), "base_model.model."
    tensors = {}
    for key, value in load_file(path).items():
        stem, _, last = key.removeprefix(start).rpartition(".")
        tensors[start + f"{stem}.{name}.{last}".replace(f".{name}.", ".")] = value
    save_file(tensors, path)


@pytest.mark.parametrize("name", ["1", "self", "query", "layer", "output", "dense", "lora_A", "weight"])
def test_damaged_keys_of_old_stores_are_read(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = saved(tiny, tmp_path, CASES["lora-six"])
    encoder = Encoder(tiny, "peft")
    encoder.load("whole", CASES["lora-six"], folder)
    before = load_file(weights(folder))
    damaged(folder, name)
    assert (load_file(weights(folder)).keys() == before.keys()) == (name in ("lora_A", "weight"))
    encoder.load("again", CASES["lora-six"], folder)
    encoder.compose(["whole"])
    expected = states(encoder)
    encoder.compose(["again"])
    assert torch.equal(states(encoder), expected)


def test_keys_that_two_modules_would_have_are_refused(tiny: Path, tmp_path: Path) -> None:
    """Without ``attention``, the output of the attention block has the key of the layer's output."""
    folder = saved(tiny, tmp_path, CASES["lora-six"])
    damaged(folder, "attention")
    with pytest.raises(ArtifactError, match=rf"{folder}: \d+ tensors do not fit, first base_model") as refused:
        Encoder(tiny, "peft").load("x", CASES["lora-six"], folder)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["xnli", "adapter_down", "invertible_adapters", "prefix_tunings", "roberta", "0"])
@pytest.mark.parametrize("case", ["seq-invertible", "compacter", "prefix"])
@pytest.mark.parametrize("prefix", ["", pytest.param("roberta.", marks=pytest.mark.slow)])
def test_stores_with_names_in_their_keys_are_read(
    tiny: Path, tmp_path: Path, case: str, name: str, prefix: str
) -> None:
    folder = saved(tiny, tmp_path, CASES[case])
    encoder = Encoder(tiny, "adapters")
    encoder.load("whole", CASES[case], folder)
    path = weights(folder)
    save_file({prefix + with_name(key, name): value for key, value in load_file(path).items()}, path)
    assert all(parts[i] == name for parts, i in map(name_in, load_file(path)))  # type: ignore[misc]
    encoder.load("again", CASES[case], folder)
    for key, value in encoder.delta("whole").items():
        assert torch.equal(encoder.delta("again")[key], value)


@pytest.mark.parametrize("task", NAMES)
def test_names_in_the_library(task: str) -> None:
    from torch import nn

    name = adapterhub.library_name(task)
    assert adapterhub.library_name(name) == name
    nn.ModuleDict({name: nn.Identity()})
    nn.ParameterDict({name: nn.Parameter(torch.zeros(1))})
    taken = {*dir(nn.ModuleDict()), *dir(nn.ParameterDict())}
    if task.replace("_", "").isalnum() and task not in taken and not task.endswith("_adapters"):
        assert name == task


def rename_keys(change: Callable[[str], str]) -> Callable[..., None]:
    """Return an exporter's writing that then damages the keys."""
    write_adapter = export._Exporter.write

    def damaging(self: Any, entry: Any, folder: Path, name: str) -> None:
        write_adapter(self, entry, folder, name)
        path = weights(folder)
        save_file({change(key): value for key, value in load_file(path).items()}, path)

    return damaging


@pytest.mark.parametrize(
    ("case", "form", "change", "told"),
    [
        ("lora", "peft", lambda key: key.replace(".self.", "."), "plain peft library computes something else"),
        ("seq", "adapterhub", lambda key: key.replace("adapter_up", "up"), "plain adapters library computes something"),
        ("lora of adapters", "adapterhub", lambda key: key.replace(".loras.", "."), "plain adapters library computes"),
    ],
)  # fmt: skip
def test_an_export_that_the_library_does_not_read_is_not_written(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, form: str, change: Any, told: str
) -> None:
    write(next(one for one in FOREIGN if one.name == case), tiny, tmp_path / "theirs")
    workspace = Workspace(tmp_path / "store")
    entry = adapters.import_adapter(str(tmp_path / "theirs"), str(tiny), workspace)
    monkeypatch.setattr(export._Exporter, "write", rename_keys(change))
    with pytest.raises(ArtifactError, match=told) as refused:
        export.write(entry, workspace.store, locate(str(tiny)), form, tmp_path / "out")
    assert len(str(refused.value).splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"theirs", "store"}
