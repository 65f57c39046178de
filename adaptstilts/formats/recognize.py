"""Recognise an adapter that somebody else trained, from a folder or the hub: its format, its method, its tensors.

Nothing in it is trusted: the config must be one that a method of ours computes exactly, a pickle may contain only
tensors, and the tensors must be exactly those of the method on the base model. The adapter is then written again
in its library's own format, and that clean folder is what an encoder loads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from adaptstilts import methods
from adaptstilts.errors import ArtifactError
from adaptstilts.formats import adapterhub, locate, peft
from adaptstilts.formats import tensors as tensorfile
from adaptstilts.formats.locate import AdapterFolder
from adaptstilts.io import hashing
from adaptstilts.io.json import read_object, write_json
from adaptstilts.methods import AdapterMethod
from adaptstilts.models.locate import Model, check_same

FormatName = Literal["adapterhub", "peft", "own"]
_WEIGHTS: dict[FormatName, tuple[str, ...]] = {
    "adapterhub": ("adapter.safetensors", "pytorch_adapter.bin"),
    "peft": ("adapter_model.safetensors", "adapter_model.bin"),
    "own": ("adapter_model.safetensors",),
}
_IGNORED = {
    "head_config.json": "a head of the adapters library is beside it and was not read",
    "adapter_fusion_config.json": "a fusion layer is beside it and was not read",
}
_MAX_CONFIG_BYTES = 2**20  # real configs have a few thousand


@dataclass(frozen=True)
class ForeignAdapter:
    """An adapter that was recognised; its tensors are not read yet.

    Attributes:
        source: where it is.
        format_name: name of the format of its files.
        method: the method that computes it.
        weights: the file with its tensors.
        config: its config in the form that ``method`` reads.
        original_config: its ``adapter_config.json``.
        digest: digest of config and weights.
        notes: remarks on what was ignored and what could not be checked.
        prefix: the encoder's name in a model with a head, which may be part of its tensors' names.
    """

    source: AdapterFolder
    format_name: FormatName
    method: AdapterMethod
    weights: Path
    config: dict[str, Any]
    original_config: dict[str, Any]
    digest: str
    notes: tuple[str, ...]
    prefix: str

    @property
    def name(self) -> str:
        """Return a name for tables: that in its config, or that of its folder."""
        name = self.original_config.get("name")
        return name if isinstance(name, str) else self.source.folder.name


def read(place: str, model: Model, offline: bool = False) -> ForeignAdapter:
    """Recognise an adapter for a base model.

    Args:
        place: ``FOLDER`` or ``owner/name[:folder][@revision]``.
        model: the base model.
        offline: use only the local cache of the hub.

    Raises:
        ArtifactError: its format or method is not supported, or it belongs to another base model.
        ConfigError, ResourceError: see :func:`adaptstilts.formats.locate.locate`.
    """
    source = locate.locate(place, offline)
    path = source.folder / locate.CONFIG
    original = _read_config(path)
    format_name = _find_format(original, path)
    weights = _find_weights(source.folder, format_name)
    config = _complete(original, format_name, model, path)
    method = _find_method(config, format_name, model, path)
    digests = {file.name: hashing.of_file(file) for file in (path, weights)}
    return ForeignAdapter(
        source=source,
        format_name=format_name,
        method=method,
        weights=weights,
        config=config,
        original_config=original,
        digest=hashing.of(digests),
        notes=(*_ignored_files(source.folder, weights, format_name), *_check_base(source.folder, original, model)),
        prefix=model.architecture.names.prefix,
    )


def clean(adapter: ForeignAdapter, folder: Path) -> list[str]:
    """Write an adapter as its method's library would, with safetensors.

    Args:
        adapter: as :func:`read` recognised it.
        folder: where the files go; created if missing.

    Returns:
        Notes about tensors that were left out.

    Raises:
        ArtifactError: the weights are not the tensors of exactly one adapter.
    """
    tensors, notes = tensorfile.read(adapter.weights), []
    if adapter.format_name == "adapterhub":
        name = adapter.original_config.get("name")
        tensors = adapterhub.normalize_names(tensors, name, adapter.prefix, str(adapter.weights))
        if adapter.method.backend == "peft":
            tensors = adapterhub.lora_to_peft(tensors)
    elif adapter.format_name == "peft":
        tensors, heads = peft.without_heads(tensors, adapter.prefix)
        if heads:
            notes.append(f"a head ({', '.join(heads)}) is among its tensors and was left out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / locate.CONFIG, adapter.config, ascii_only=True)
    weights = "adapter.safetensors" if adapter.method.backend == "adapters" else "adapter_model.safetensors"
    tensorfile.write(tensors, folder / weights)
    return notes


def _read_config(path: Path) -> dict[str, Any]:
    return read_object(path, "adapter config", max_bytes=_MAX_CONFIG_BYTES, finite=True)


def _find_format(config: Mapping[str, Any], path: Path) -> FormatName:
    """Return the format of a config; raise if it is not supported."""
    if peft.describes(config):
        return "peft"
    if adapterhub.describes(config):
        return "adapterhub"
    if isinstance(config.get("kind"), str):
        return "own"
    raise ArtifactError(f"{path}: neither AdapterHub's format (config), nor peft's (peft_type), nor our own (kind)")


def _find_weights(folder: Path, format_name: FormatName) -> Path:
    """Return the file with the tensors, which is a pickle only if there is no safetensors file.

    Raises:
        ArtifactError: there is none, or the folder has more than one adapter.
    """
    present = _weight_files(folder)
    expected = [path for path in present if path.name in _WEIGHTS[format_name]]
    if not expected:
        names = " or ".join(_WEIGHTS[format_name])
        raise ArtifactError(
            f"{folder}: no weights: its {locate.CONFIG} is of the format {format_name}, expected {names}"
        )
    others = [path.name for path in present if path not in expected]
    if others:
        raise ArtifactError(
            f"{folder}: has {expected[0].name} and {others[0]}, weights of two formats; keep one adapter in one folder"
        )
    if (folder / "embedding.pt").exists():
        raise ArtifactError(f"{folder}: has embeddings of its own (embedding.pt); such adapters are not supported")
    return expected[0]


def _weight_files(folder: Path) -> list[Path]:
    """Return the weights in a folder, safetensors first."""
    known = [folder / name for name in (*locate.SAFE, *locate.PICKLED)]
    return [path for path in known if path.is_file()]


def _ignored_files(folder: Path, weights: Path, format_name: FormatName) -> Iterator[str]:
    """Yield a note for every file that was not read although it belongs to an adapter."""
    for name, note in _IGNORED.items():
        if (folder / name).is_file():
            yield note
    for path in _weight_files(folder):
        if path != weights and path.name in _WEIGHTS[format_name]:
            yield f"{path.name} is there too and was not read"


def _complete(config: dict[str, Any], format_name: FormatName, model: Model, path: Path) -> dict[str, Any]:
    """Return a config in the form that our methods read."""
    if format_name == "own":
        return config
    if format_name == "peft":
        return peft.complete(config, model, str(path))
    adapterhub.check_name(config.get("name"), str(path))
    settings = adapterhub.complete(config, model.shape["layers"], str(path))
    if settings.get("architecture") != "lora":
        return {"config": settings}
    return peft.complete(adapterhub.to_peft(settings, config.get("version"), model, str(path)), model, str(path))


def _find_method(config: dict[str, Any], format_name: FormatName, model: Model, path: Path) -> AdapterMethod:
    """Return the method matching a config; else raise the best candidate's objection."""
    objections = []
    with tempfile.TemporaryDirectory() as scratch:
        write_json(Path(scratch) / locate.CONFIG, config, ascii_only=True)
        for candidate in _candidates(config, format_name):
            try:
                return candidate.read_config(Path(scratch), model.shape["layers"], model.architecture.names)
            except ArtifactError as error:
                objections.append(_one_line(error).replace(f"{scratch}/{locate.CONFIG}", str(path)))
    if objections:
        raise ArtifactError(objections[0])
    raise ArtifactError(f"{path}: no method of ours computes this adapter; see `adaptstilts methods`")


def _one_line(error: Exception) -> str:
    """Return a message on one line, without pydantic's links."""
    lines = [line.strip() for line in str(error).splitlines() if "further information" not in line]
    return " ".join(lines)


def _candidates(config: Mapping[str, Any], format_name: FormatName) -> list[type[AdapterMethod]]:
    """Return the methods that may compute a config, the likeliest first.

    Args:
        config: in the form that methods read.
        format_name: name of the format of the adapter.
    """
    known = {kind: method for kind, method in methods.known().items() if issubclass(method, AdapterMethod)}
    if format_name == "own":
        return [method for kind, method in known.items() if kind == config["kind"]]
    if "peft_type" in config:
        first, backend = peft.KINDS[config["peft_type"]], "peft"
    else:
        first, backend = adapterhub.likely_kind(config["config"]), "adapters"
    others = [method for kind, method in known.items() if method.backend == backend and kind != first]
    return [known[first], *others]


def _check_base(folder: Path, config: Mapping[str, Any], model: Model) -> list[str]:
    """Raise if a folder names another base model; return notes about what it does not say."""
    expected = {
        "hidden_size": ("hidden size", model.shape["hidden"]),
        "model_type": ("model type", model.fingerprint.architecture or None),
    }
    for key, (name, value) in expected.items():
        if None not in (config.get(key), value) and config[key] != value:
            raise ArtifactError(
                f"{folder / locate.CONFIG}: for a model of {name} {str(config[key])[:60]}, this one ({model.name}) has"
                f" {value}"
            )
    record = _read_config(folder / locate.RECORD) if (folder / locate.RECORD).is_file() else {}
    if isinstance(record.get("model"), dict) and model.fingerprint.weights:
        check_same(model.fingerprint.identity(), record["model"], f"{folder}: the adapter")
        below = record.get("below")
        return [f"it was trained over {', '.join(map(str, below))}"] if isinstance(below, list) and below else []
    base = config.get("model_name") or config.get("base_model_name_or_path")
    named = f"the folder names {str(base)[:100]!r}" if base else "the folder names none"
    return [f"that it was trained on the weights of {model.name} cannot be checked; {named}"]
