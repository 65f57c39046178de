"""An adapter that somebody else made, from a folder or the hub: which format, which method, and its tensors.

Nothing of it is believed: the config must be one that a method of ours computes exactly, a pickle may hold tensors
alone, and the tensors must be those of the method on the base model, no more and no fewer. What is written from it is
a clean folder in the library's own format, and that is what an encoder loads.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adaptstilts import methods
from adaptstilts.errors import ArtifactError
from adaptstilts.formats import adapterhub, locate, peft
from adaptstilts.formats import tensors as tensorfile
from adaptstilts.io import hashing
from adaptstilts.io.json import read_object, write_json
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.host import ModuleNames
from adaptstilts.models.locate import Model, check_same

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["adapterhub", "peft", "own"]
_WEIGHTS: dict[Form, tuple[str, ...]] = {
    "adapterhub": ("adapter.safetensors", "pytorch_adapter.bin"),
    "peft": ("adapter_model.safetensors", "adapter_model.bin"),
    "own": ("adapter_model.safetensors",),
}
_BESIDE = {
    "head_config.json": "a head of the adapters library is beside it and was not read",
    "adapter_fusion_config.json": "a fusion layer is beside it and was not read",
}
_LARGEST = 2**20  # bytes of a config; real ones have a few thousand


@dataclass(frozen=True)
class Adapter:
    """An adapter that was recognised; its tensors are not read yet.

    Attributes:
        found: where it is.
        form: the format.
        method: what it computes.
        weights: the file with its tensors.
        config: its config in the form that ``method`` reads.
        given: its ``adapter_config.json`` as it is.
        digest: of config and weights.
        notes: what was there and not read, and what could not be checked.
    """

    found: locate.AdapterFolder
    form: Form
    method: AdapterMethod
    weights: Path
    config: dict[str, Any]
    given: dict[str, Any]
    digest: str
    notes: tuple[str, ...]
    prefix: str

    @property
    def name(self) -> str:
        """A name for tables: its own, or that of its folder."""
        own = self.given.get("name")
        return str(own) if isinstance(own, str) else self.found.folder.name


def read(place: str, model: Model, offline: bool = False) -> Adapter:
    """Recognise an adapter of ``FOLDER`` or ``owner/name[:folder][@revision]`` for a base model.

    Raises:
        ArtifactError: not an adapter of a known format, of a method that is not ours, or of another base model.
        ConfigError, ResourceError: see :func:`fetch.locate`.
    """
    found = locate.locate(place, offline)
    path = found.folder / locate.CONFIG
    given = _config(path)
    form = _form(given, path)
    weights, notes = _weights(found.folder, form)
    depth, names = model.shape["layers"], model.architecture.names
    config = _completed(given, form, depth, names, path)
    method = _method(config, form, depth, names, path)
    notes += _check_base(found.folder, given, model, method)
    parts = {file.name: hashing.of_file(file) for file in (path, weights)}
    return Adapter(found, form, method, weights, config, given, hashing.of(parts), tuple(notes), names.prefix)


def clean(adapter: Adapter, folder: Path) -> list[str]:
    """Write the adapter as its method's library would, with safetensors; returns what was left out.

    Raises:
        ArtifactError: the weights are not tensors of one adapter alone.
    """
    tensors, notes = tensorfile.read(adapter.weights), []
    if adapter.form == "adapterhub":
        tensors = adapterhub.single(tensors, adapter.given.get("name"), adapter.prefix, str(adapter.weights))
        if adapter.method.backend == "peft":
            tensors = adapterhub.lora_to_peft(tensors)
    elif adapter.form == "peft":
        tensors, heads = peft.without_heads(tensors, adapter.prefix)
        notes = [f"a head ({', '.join(heads)}) is among its tensors and was left out"] if heads else []
    _write(adapter.config, adapter.method.backend, tensors, folder)
    return notes


def _write(config: dict[str, Any], backend: str, tensors: dict[str, Tensor], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / locate.CONFIG, config, ascii_only=True)
    tensorfile.write(
        tensors, folder / ("adapter.safetensors" if backend == "adapters" else "adapter_model.safetensors")
    )


def _config(path: Path) -> dict[str, Any]:
    return read_object(path, "adapter config", max_bytes=_LARGEST, finite=True)


def _form(given: dict[str, Any], path: Path) -> Form:
    if peft.describes(given):
        return "peft"
    if adapterhub.describes(given):
        return "adapterhub"
    if isinstance(given.get("kind"), str):
        return "own"
    raise ArtifactError(f"{path}: neither AdapterHub's format (config), nor peft's (peft_type), nor our own (kind)")


def _weights(folder: Path, form: Form) -> tuple[Path, list[str]]:
    """The file with the tensors; a pickle only where there is no safetensors file."""
    known = [folder / name for name in (*locate.SAFE, *locate.PICKLED)]
    there = [path for path in known if path.is_file()]
    own = [path for path in there if path.name in _WEIGHTS[form]]
    if not own:
        expected = " or ".join(_WEIGHTS[form])
        raise ArtifactError(f"{folder}: no weights: its {locate.CONFIG} is of the format {form}, expected {expected}")
    other = [path.name for path in there if path not in own]
    if other:
        raise ArtifactError(
            f"{folder}: holds {own[0].name} and {other[0]}, weights of two formats; keep one adapter in one folder"
        )
    if (folder / "embedding.pt").exists():
        raise ArtifactError(f"{folder}: has embeddings of its own (embedding.pt); such adapters are not read")
    notes = [note for name, note in _BESIDE.items() if (folder / name).is_file()]
    return own[0], notes + [f"{path.name} is there too and was not read" for path in own[1:]]


def _completed(given: dict[str, Any], form: Form, depth: int, names: ModuleNames, path: Path) -> dict[str, Any]:
    if form == "peft":
        return peft.complete(given, depth, names, str(path))
    if form == "own":
        return given
    adapterhub.check_name(given.get("name"), str(path))
    config = adapterhub.complete(given, depth, str(path))
    if config.get("architecture") != "lora":
        return {"config": config}
    translated = adapterhub.to_peft(config, given.get("version"), depth, names, str(path))
    return peft.complete(translated, depth, names, str(path))


def _method(config: dict[str, Any], form: Form, depth: int, names: ModuleNames, path: Path) -> AdapterMethod:
    """The one method that computes what the config says; what the likeliest one objects to where none does."""
    with tempfile.TemporaryDirectory() as scratch:
        write_json(Path(scratch) / locate.CONFIG, config, ascii_only=True)
        refused = None
        for method in _likely(config, form):
            try:
                return method.read_config(Path(scratch), depth, names)
            except ArtifactError as error:
                lines = [line.strip() for line in str(error).splitlines() if "further information" not in line]
                refused = refused or " ".join(lines).replace(f"{scratch}/{locate.CONFIG}", str(path))
        raise ArtifactError(refused or f"{path}: no method of ours computes this adapter; see `adaptstilts methods`")


def _likely(config: dict[str, Any], form: Form) -> list[type[AdapterMethod]]:
    """Return the methods whose config this may be, the likeliest first.

    Args:
        config: completed, see :func:`_completed`.
        form: the format.
    """
    known = {kind: method for kind, method in methods.known().items() if issubclass(method, AdapterMethod)}
    if form == "own":
        return [method for kind, method in known.items() if kind == config["kind"]]
    if "peft_type" in config:
        first, backend = peft.KINDS[config["peft_type"]], "peft"
    else:
        inner, backend = config["config"], "adapters"
        first = "prefix" if inner.get("architecture") else "compacter" if inner.get("phm_layer") else "bottleneck"
    others = [method for kind, method in known.items() if method.backend == backend and kind != first]
    return [known[first], *others]


def _check_base(folder: Path, given: dict[str, Any], model: Model, method: AdapterMethod) -> list[str]:
    """Compare what the folder says about its base model; returns what could not be compared."""
    path = folder / locate.CONFIG
    for key, name, expected in (
        ("hidden_size", "hidden size", model.shape["hidden"]),
        ("model_type", "model type", model.fingerprint.architecture or None),
    ):
        if None not in (given.get(key), expected) and given[key] != expected:
            raise ArtifactError(
                f"{path}: made for a model of {name} {str(given[key])[:60]}, this one ({model.name}) has {expected}"
            )
    record = _config(folder / locate.RECORD) if (folder / locate.RECORD).is_file() else {}
    if isinstance(record.get("model"), dict) and model.fingerprint.weights:
        check_same(model.fingerprint.identity(), record["model"], f"{folder}: the adapter")
        below = record.get("below")
        return [f"it was trained over {', '.join(map(str, below))}"] if isinstance(below, list) and below else []
    told = given.get("model_name") or given.get("base_model_name_or_path")
    said = f"the folder names {str(told)[:100]!r}" if told else "the folder names none"
    return [f"that it was trained on the weights of {model.name} cannot be checked; {said}"]
