"""Folders that are damaged, hostile or of something else: one clear line, nothing run, nothing left in the store."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.command_line import call
from support.foreign_adapters import CASES, write

from adaptstilts import methods
from adaptstilts.errors import ArtifactError
from adaptstilts.formats import adapterhub, recognize
from adaptstilts.formats import tensors as tensorfile
from adaptstilts.interop import adapters as exchange
from adaptstilts.models.locate import Model, locate
from adaptstilts.workspace import Workspace

BY_NAME = {case.name: case for case in CASES}
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Callable[[str, str, Path], Path]:
    """Copies an adapter of the plain library to a folder; each is made once."""
    made: dict[tuple[str, str], Path] = {}

    def copy(name: str, form: str, target: Path) -> Path:
        if (name, form) not in made:
            made[name, form] = tmp_path_factory.mktemp("written")
            write(BY_NAME[name], tiny, made[name, form], form)
        target.mkdir(exist_ok=True)
        for path in made[name, form].iterdir():
            (target / path.name).write_bytes(path.read_bytes())
        return target

    return copy


def config(folder: Path, **changes: Any) -> None:
    """Change fields of ``config`` in an AdapterHub folder; None takes one away, a leading underscore: of the top."""
    path = folder / "adapter_config.json"
    held = json.loads(path.read_text())
    for key, value in changes.items():
        part, key = (held, key[1:]) if key.startswith("_") else (held["config"], key)
        if value is None:
            part.pop(key, None)
        else:
            part[key] = value
    path.write_text(json.dumps(held))


def flat(folder: Path, **changes: Any) -> None:
    """Change fields of a peft config."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change the tensors of a folder, whichever file they are in."""
    for path in folder.iterdir():
        if path.suffix == ".safetensors":
            held = load_file(str(path))
            change(held)
            save_file(held, str(path))
        elif path.suffix == ".bin" and "head" not in path.name:
            held = torch.load(path, weights_only=True)
            change(held)
            torch.save(held, path)


class Evil:
    """What a pickle may hold to run a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("the pickle ran",))


def told(folder: Path, tiny: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of the command line, which must end with exit code 4 and leave no entry."""
    code = call("import-adapter", folder, "--model", tiny, "--store", store, "--offline")
    shown = capsys.readouterr()
    assert "the pickle ran" not in shown.out + shown.err
    assert code == 4, shown.err
    assert shown.err.startswith("error: "), shown.err
    assert shown.err.count("\n") == 1, shown.err
    assert str(folder) in shown.err
    assert len(shown.err) < 1500
    assert not list(store.glob("entries/*/*"))
    assert not list(store.glob("staging/*"))
    return shown.err


def nan(held: dict[str, torch.Tensor]) -> None:
    first = sorted(held)[0]
    held[first] = torch.full_like(held[first], float("nan"))


def wide(held: dict[str, torch.Tensor]) -> None:
    first = sorted(held)[0]
    held[first] = torch.zeros(3, *held[first].shape)


def other_name(held: dict[str, torch.Tensor]) -> None:
    first = sorted(held)[0]
    held[first.replace("layer.0", "layer.9")] = held.pop(first)


def two_names(held: dict[str, torch.Tensor]) -> None:
    for key in list(held):
        held[key.replace(".theirs.", ".yours.")] = held[key].clone()


def whole(held: dict[str, torch.Tensor]) -> None:
    held[sorted(held)[0]] = torch.zeros(4, dtype=torch.int64)


DAMAGED: dict[str, tuple[str, Change, str]] = {
    "missing tensor": ("seq", lambda f: tensors(f, lambda held: held.pop(sorted(held)[0])), r"\(missing\)"),
    "another layer": ("seq", lambda f: tensors(f, other_name), "tensors? do(es)? not fit"),
    "a foreign tensor": ("seq", lambda f: tensors(f, lambda h: h.update(x=torch.zeros(1))), r"x \(unexpected\)"),
    "another shape": ("seq", lambda f: tensors(f, wide), "expected "),
    "not finite": ("seq", lambda f: tensors(f, nan), "not finite"),
    "whole numbers": ("seq", lambda f: tensors(f, whole), "int64; expected float32"),
    "two adapters": ("seq", lambda f: tensors(f, two_names), "expected the tensors of one adapter, found those of th"),
    "named otherwise": ("seq", lambda f: config(f, _name="mine"), "tensors of 'theirs', the config names 'mine'"),
    "missing lora": ("lora", lambda f: tensors(f, lambda held: held.pop(sorted(held)[0])), r"\(missing\)"),
    "nan lora": ("lora", lambda f: tensors(f, nan), "not finite"),
    "more layers": ("lora", lambda f: tensors(f, other_name), "tensors? do(es)? not fit"),
}


@pytest.mark.parametrize("form", ["safetensors", pytest.param("pickle", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors(
    written: Any, tiny: Path, tmp_path: Path, name: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    case, change, line = DAMAGED[name]
    folder = written(case, form, tmp_path / "theirs")
    change(folder)
    assert re.search(line, told(folder, tiny, tmp_path / "store", capsys))


@pytest.mark.parametrize("kept", [0, 7, 0.5, 0.99])
@pytest.mark.parametrize("form", ["safetensors", "pickle"])
@pytest.mark.parametrize("case", ["seq", "lora"])
def test_truncated_files(
    written: Any, tiny: Path, tmp_path: Path, case: str, form: str, kept: float, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(case, form, tmp_path / "theirs")
    path = next(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin"))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])
    line = told(folder, tiny, tmp_path / "store", capsys)
    assert "not a safetensors file" in line if form == "safetensors" else "it contains more than tensors" in line


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def squeezed() -> bytes:
    """A pickle in torch's container, compressed: small here, large unpacked."""
    buffer = io.BytesIO()
    plain = io.BytesIO(saved({"x": torch.zeros(100_000)}))
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item))
    return buffer.getvalue()


PICKLES = {
    "code": pickle.dumps({"x": Evil()}),
    "code in torch's container": saved({"x": Evil()}),
    "code beside tensors": saved({"x": torch.zeros(2), "y": Evil()}),
    "a list": saved([torch.zeros(2)]),
    "a nested mapping": saved({"x": {"y": torch.zeros(2)}}),
    "a number": saved({"x": 3}),
    "a key that is no text": saved({3: torch.zeros(2)}),
    "a view that claims more": saved({"x": torch.zeros(1).expand(10_000, 10_000)}),
    "a sparse tensor": saved({"x": torch.zeros(3, 3).to_sparse()}),
    "compressed": squeezed(),
    "something else": b"#!/bin/sh\necho the pickle ran\n",
    "a whole model": saved(torch.nn.Linear(2, 2)),
}


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("case", ["seq", "lora"])
def test_hostile_pickles(
    written: Any, tiny: Path, tmp_path: Path, case: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(case, "pickle", tmp_path / "theirs")
    path = folder / ("pytorch_adapter.bin" if case == "seq" else "adapter_model.bin")
    assert path.is_file()
    path.write_bytes(PICKLES[name])
    line = told(folder, tiny, tmp_path / "store", capsys)
    assert str(path) in line


def test_a_pickle_called_safetensors(
    written: Any, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written("seq", "safetensors", tmp_path / "theirs")
    (folder / "adapter.safetensors").write_bytes(PICKLES["code"])
    assert "not a safetensors file" in told(folder, tiny, tmp_path / "store", capsys)
    (folder / "adapter.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert "not a safetensors file" in told(folder, tiny, tmp_path / "store", capsys)


CONFIGS: dict[str, tuple[str, Change, str]] = {
    "no json": ("seq", lambda f: (f / "adapter_config.json").write_text("{"), "not a readable adapter config"),
    "a list": ("seq", lambda f: (f / "adapter_config.json").write_text("[]"), "expected a JSON object"),
    "deep": ("seq", lambda f: (f / "adapter_config.json").write_text("[" * 100_000), "not a readable adapter config"),
    "large": ("seq", lambda f: (f / "adapter_config.json").write_text(" " * 2_000_000), "larger than"),
    "infinite": (
        "seq",
        lambda f: (f / "adapter_config.json").write_text('{"config": {"reduction_factor": 1e999}}'),
        "not a JSON number",
    ),
    "nothing known": ("seq", lambda f: (f / "adapter_config.json").write_text("{}"), "neither AdapterHub's format"),
    "another hidden size": ("seq", lambda f: config(f, _hidden_size=768), "of hidden size 768, this one"),
    "another model type": ("seq", lambda f: config(f, _model_type="bert"), "of model type bert"),
    "scaling": ("seq", lambda f: config(f, scaling=2.0), "scaling=2.0 is not what"),
    "activation": ("seq", lambda f: config(f, non_linearity="gelu"), "non_linearity='gelu'"),
    "gating": ("seq", lambda f: config(f, use_gating=True), "use_gating=True"),
    "architecture": ("seq", lambda f: config(f, architecture="reft"), "architecture 'reft' is not supported"),
    "unhashable architecture": ("seq", lambda f: config(f, architecture=["lora"]), "is not supported"),
    "an unknown field": ("seq", lambda f: config(f, whole_new=True), "config has 'whole_new'"),
    "no reduction": ("seq", lambda f: config(f, reduction_factor=None), "config has no 'reduction_factor'"),
    "a path as reduction": ("seq", lambda f: config(f, reduction_factor="../x"), "not the config of a bottleneck"),
    "mixed reductions": ("seq", lambda f: config(f, reduction_factor={"default": 4, "1": 2}), "not the config of"),
    "zero": ("seq", lambda f: config(f, reduction_factor=0), "not the config of a bottleneck"),
    "layers": ("seq", lambda f: config(f, leave_out="all"), "leave_out 'all'|leave_out all"),
    "an unknown id": (
        "seq",
        lambda f: flat(f, config="no_such"),
        "config 'no_such' is not an id of the",
    ),
    "a path as id": ("seq", lambda f: flat(f, config="../../etc/passwd"), "is not an id of the adapters library"),
    "a path as name": ("seq", lambda f: config(f, _name="../../evil"), "is not an adapter's name"),
    "a list as name": ("seq", lambda f: config(f, _name=["a"]), "is not an adapter's name"),
    "ia3 of adapters": ("lora of adapters", lambda f: config(f, composition_mode="scale"), "composition_mode='scale'"),
    "matrices": ("lora of adapters", lambda f: config(f, attn_matrices=["o"]), "attn_matrices"),
    "rank": ("lora of adapters", lambda f: config(f, r="4"), "not the config of a LoRA"),
    "peft type": ("lora", lambda f: flat(f, peft_type="VERA"), "peft_type 'VERA' is not supported; LORA and IA3 are"),
    "unhashable type": ("lora", lambda f: flat(f, peft_type=["LORA"]), "is not supported"),
    "pissa": ("lora", lambda f: flat(f, init_lora_weights="pissa"), "init_lora_weights='pissa'"),
    "a pattern": ("lora", lambda f: flat(f, target_modules="(.*)*x"), "patterns are not supported"),
    "a layer pattern": ("lora", lambda f: flat(f, layers_pattern="(.*)*"), "layers_pattern"),
    "ranks": ("lora", lambda f: flat(f, rank_pattern={"query": 4}), "rank_pattern="),
    "bias": ("lora", lambda f: flat(f, bias="all"), "bias='all'"),
    "another module": ("lora", lambda f: flat(f, target_modules=["word_embeddings"]), "same linear layers"),
    "layer 9": ("lora", lambda f: flat(f, layers_to_transform=[9]), "layers_to_transform"),
    "saved modules": ("lora", lambda f: flat(f, modules_to_save=["embeddings"]), "only heads can be left out"),
    "tokens": ("lora", lambda f: flat(f, trainable_token_indices=[1]), "trainable_token_indices="),
    "a new variant": ("lora", lambda f: flat(f, use_brand_new=True), "use_brand_new' is unknown to the installed peft"),
    "other scales": ("ia3", lambda f: flat(f, target_modules=["key", "value", "output.dense"]), "attention.output"),
    "own, unknown": ("lora", lambda f: (f / "adapter_config.json").write_text('{"kind": "no"}'), "no method of ours"),
    "own, odd": ("lora", lambda f: (f / "adapter_config.json").write_text('{"kind": "bitfit", "x": 1}'), "bitfit"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_hostile_configs(
    written: Any, tiny: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    case, change, line = CONFIGS[name]
    folder = written(case, "safetensors", tmp_path / "theirs")
    change(folder)
    assert re.search(line, told(folder, tiny, tmp_path / "store", capsys))


def test_folders(written: Any, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which file is meant is never guessed, except that safetensors goes before a pickle of the same."""
    both = written("seq", "safetensors", tmp_path / "both")
    (both / "adapter_model.safetensors").write_bytes((both / "adapter.safetensors").read_bytes())
    assert "weights of two formats" in told(both, tiny, tmp_path / "store", capsys)
    none = written("seq", "safetensors", tmp_path / "none")
    (none / "adapter.safetensors").rename(none / "weights.safetensors")
    assert "no weights: its adapter_config.json is of the format adapterhub" in told(none, tiny, tmp_path / "s", capsys)
    crossed = written("seq", "safetensors", tmp_path / "crossed")
    (crossed / "adapter.safetensors").rename(crossed / "adapter_model.safetensors")
    assert "expected adapter.safetensors" in told(crossed, tiny, tmp_path / "s", capsys)
    words = written("seq", "safetensors", tmp_path / "words")
    (words / "embedding.pt").write_bytes(b"x")
    assert "embeddings of its own" in told(words, tiny, tmp_path / "s", capsys)
    above = tmp_path / "above"
    above.mkdir()
    written("seq", "safetensors", above / "de")
    written("seq", "safetensors", above / "sw")
    assert "folders in it that have one: de, sw" in told(above, tiny, tmp_path / "s", capsys)
    record = written("seq", "safetensors", tmp_path / "record")
    (record / "adaptstilts.json").write_text("[")
    assert "not a readable" in told(record, tiny, tmp_path / "s", capsys)


def test_what_is_beside_an_adapter_is_told(written: Any, tiny: Path, tmp_path: Path) -> None:
    folder = written("seq head", "safetensors", tmp_path / "theirs")
    (folder / "pytorch_adapter.bin").write_bytes(PICKLES["code"])
    entry = exchange.import_adapter(str(folder), str(tiny), Workspace(tmp_path / "store"))
    notes = " | ".join(entry.json("result.json")["notes"])
    assert "a head of the adapters library is beside it and was not read" in notes
    assert "pytorch_adapter.bin is there too and was not read" in notes
    lora = written("lora head", "safetensors", tmp_path / "lora")
    entry = exchange.import_adapter(str(lora), str(tiny), Workspace(tmp_path / "store"))
    assert "a head (classifier) is among its tensors and was left out" in " | ".join(entry.json("result.json")["notes"])


# What is only said in another way, or came later than the file, is read.


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return locate(str(tiny))


SEQ = {"kind": "bottleneck", "reduction": 4}
SAME: dict[str, tuple[str, Change, dict[str, Any]]] = {
    "an old config": (
        "seq",
        lambda f: (f / "adapter_config.json").write_text(
            json.dumps(
                {
                    "config": {
                        "adapter_residual_before_ln": False,
                        "attention_type": "sent-lvl-dynamic",
                        "invertible_adapter": {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2},
                        "ln_after": False,
                        "ln_before": False,
                        "mh_adapter": False,
                        "new_attention_norm": False,
                        "non_linearity": "relu",
                        "original_ln_after": True,
                        "original_ln_before": True,
                        "output_adapter": True,
                        "reduction_factor": 4,
                        "residual_before_ln": True,
                    },
                    "config_id": "9076f36a74755ac4",
                    "hidden_size": 32,
                    "model_class": "XLMRobertaModel",
                    "model_name": "xlm-roberta-base",
                    "model_type": "xlm-roberta",
                    "name": "theirs",
                    "type": "text_task",
                }
            )
        ),
        SEQ,
    ),
    "metadata": ("seq", lambda f: config(f, _label2id={"a": 1}, _extra="x", _version="adapters.9.0"), SEQ),
    "dropout and start": (
        "seq",
        lambda f: config(f, dropout=0.3, init_weights="mam_adapter", init_weights_seed=3),
        SEQ,
    ),
    "one reduction for all": ("seq", lambda f: config(f, reduction_factor={"default": 4.0}), SEQ),
    "layers beyond": ("seq", lambda f: config(f, leave_out=[11, 12]), SEQ),
    "another name for silu": (
        "double",
        lambda f: config(f, non_linearity="silu"),
        {"kind": "bottleneck", "placement": "double", "reduction": 4},
    ),
    "old names of tensors": (
        "seq",
        lambda f: tensors(
            f,
            lambda held: [
                held.update({key.replace(".output.adapters.", ".output.layer_text_task_adapters."): held.pop(key)})
                for key in list(held)
            ],
        ),
        SEQ,
    ),
    "half precision": ("seq", lambda f: tensors(f, lambda h: h.update({k: v.half() for k, v in h.items()})), SEQ),
    "an old LoRA": (
        "lora of adapters",
        lambda f: config(f, _version="adapters.1.0.1"),  # whose scale was 1 whatever alpha said
        {"kind": "lora", "rank": 4, "alpha": 4, "targets": ["query", "value", "intermediate", "output"]},
    ),
    "settings of training": (
        "lora",
        lambda f: flat(
            f, lora_dropout=0.5, init_lora_weights="gaussian", future_thing=None, base_model_name_or_path="x"
        ),
        {"kind": "lora", "rank": 2, "alpha": 3},
    ),
    "whole names": (
        "lora",
        lambda f: flat(
            f, target_modules=[f"encoder.layer.{i}.attention.self.{n}" for i in range(4) for n in ("query", "value")]
        ),
        {"kind": "lora", "rank": 2, "alpha": 3},
    ),
    "with the model's name": (
        "lora",
        lambda f: flat(
            f,
            target_modules=[
                f"roberta.encoder.layer.{i}.attention.self.{n}" for i in range(4) for n in ("query", "value")
            ],
        ),
        {"kind": "lora", "rank": 2, "alpha": 3},
    ),
}


@pytest.mark.parametrize("form", ["safetensors", pytest.param("pickle", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SAME)
def test_other_spellings(written: Any, tiny: Path, tmp_path: Path, model: Model, name: str, form: str) -> None:
    case, change, expected = SAME[name]
    folder = written(case, form, tmp_path / "theirs")
    change(folder)
    found = recognize.read(str(folder), model)
    assert found.method == methods.parse(expected)
    entry = exchange.import_adapter(str(folder), str(tiny), Workspace(tmp_path / "store"))
    held = next((entry.folder / "adapter").glob("*.safetensors"))
    values = [value.flatten().sort().values for value in load_file(str(held)).values()]
    before = next(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin"))
    given = [value.flatten().sort().values for value in tensorfile.read(before).values()]
    assert sorted(map(float, torch.cat(values))) == sorted(map(float, torch.cat(given)))


@pytest.mark.parametrize("name", ["pfeiffer", "houlsby", "seq_bn", "double_seq_bn", "par_bn", "seq_bn_inv"])
def test_ids_of_the_library(tmp_path: Path, model: Model, name: str) -> None:
    """By the library's own table; the methods are those of its presets."""
    (tmp_path / "adapter_config.json").write_text(json.dumps({"config": name, "name": "x", "version": "adapters.1.3"}))
    save_file({"x": torch.zeros(1)}, str(tmp_path / "adapter.safetensors"))
    expected = {
        "pfeiffer": {"reduction": 16},
        "seq_bn": {"reduction": 16},
        "houlsby": {"placement": "double", "reduction": 16},
        "double_seq_bn": {"placement": "double", "reduction": 16},
        "par_bn": {"placement": "parallel", "reduction": 2},
        "seq_bn_inv": {"reduction": 16, "invertible": True},
    }[name]
    assert recognize.read(str(tmp_path), model).method == methods.parse({"kind": "bottleneck", **expected})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("compacter", {"kind": "compacter", "placement": "double"}),
        ("compacter++", {"kind": "compacter"}),
        ("prefix_tuning", {"kind": "prefix"}),
        ("lora", {"kind": "lora", "rank": 8, "alpha": 8}),
    ],
)
def test_ids_of_other_methods(tmp_path: Path, model: Model, name: str, expected: dict[str, Any]) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"config": name, "version": "adapters.1.3"}))
    save_file({"x": torch.zeros(1)}, str(tmp_path / "adapter.safetensors"))
    assert recognize.read(str(tmp_path), model).method == methods.parse(expected)


@pytest.mark.parametrize("name", ["mam", "unipelt", "loreft", "ia3", "dora", "vera", "prompt_tuning", "scaled_par_bn"])
def test_ids_of_what_is_not_read(tmp_path: Path, model: Model, name: str) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"config": name}))
    save_file({"x": torch.zeros(1)}, str(tmp_path / "adapter.safetensors"))
    with pytest.raises(ArtifactError, match=r"adapter_config\.json: "):
        recognize.read(str(tmp_path), model)


def test_copies_of_a_shared_network_must_agree(written: Any, tmp_path: Path) -> None:
    folder = written("prefix", "pickle", tmp_path / "theirs")
    held = tensorfile.read(folder / "pytorch_adapter.bin")
    assert len(adapterhub.normalize_names(held, "theirs", "roberta", "x")) == 5
    assert len(held) > 5
    last = sorted(key for key in held if "layer.3" in key)[0] if any("layer.3" in k for k in held) else sorted(held)[-1]
    held[last] = held[last] + 1
    with pytest.raises(ArtifactError, match="is not the same as"):
        adapterhub.normalize_names(held, "theirs", "roberta", "x")


def test_the_cases_are_of_every_method_with_a_library() -> None:
    """A method that is added with a library's format needs a case here."""
    kinds = {kind for kind, method in methods.known().items() if getattr(method, "backend", "plain") != "plain"}
    assert {case.method["kind"] for case in CASES} >= kinds
