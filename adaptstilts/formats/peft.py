"""peft's format: LoRA (with its variants) and (IA)3 as ``PeftModel.save_pretrained`` writes them.

Which linear layers a config means is decided by peft's own rule, the end of a module's name, but without its regular
expressions. The config is then written anew in the one form that our methods read. A head among the tensors
(``modules_to_save``) is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.models.locate import Model

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {"LORA": "lora", "IA3": "ia3"}
_PREFIX = "base_model.model."
_SCALED = ("key", "value", "output")  # roles of the linear layers that (IA)3 scales
# the output does not depend on these: training, where the base model was, and settings of what is off
_WITHOUT_EFFECT = """
auto_mapping base_model_name_or_path revision task_type inference_mode peft_version lora_dropout megatron_config
megatron_core qalora_group_size runtime_config init_ia3_weights init_lora_weights modules_to_save
""".split()
_INITIALIZATIONS = (True, False, "gaussian", "orthogonal", "eva")  # other values change the base model's weights
_HEADS = ("classifier", "score", "qa_outputs", "lm_head", "pooler")
_EMPTY: tuple[Any, ...] = (None, False, [], {}, "")


def describes(config: Mapping[str, Any]) -> bool:
    """Return whether an ``adapter_config.json`` has this format."""
    return "peft_type" in config


def complete(config: Mapping[str, Any], model: Model, path: str) -> dict[str, Any]:
    """Return a config in the form that our methods read.

    Args:
        config: an ``adapter_config.json``.
        model: the base model.
        path: the file that messages name.

    Raises:
        ArtifactError: another kind of adapter, a variant, or linear layers that our methods cannot adapt.
    """
    kind = config.get("peft_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArtifactError(f"{path}: peft_type {str(kind)[:60]!r} is not supported; {' and '.join(KINDS)} are")
    _check_supported(config, path)
    fields = _fields(kind)
    for key in sorted(config):
        if key not in fields and key not in _WITHOUT_EFFECT and config[key] not in _EMPTY:
            raise ArtifactError(f"{path}: {key[:60]!r} is unknown to the installed peft")
    settings = {key: value for key, value in config.items() if key in fields and key not in _WITHOUT_EFFECT}
    rewrite = _rewrite_lora if kind == "LORA" else _rewrite_ia3
    return {**settings, **rewrite(config, model, path)}


def without_heads(tensors: Mapping[str, Tensor], prefix: str) -> tuple[dict[str, Tensor], list[str]]:
    """Separate the encoder's tensors from those of heads.

    Args:
        tensors: tensors of a file.
        prefix: the encoder's name in a model with a head.

    Returns:
        The encoder's tensors, and the names of the heads.
    """
    kept, heads = {}, set()
    for key, value in tensors.items():
        first = key.removeprefix(_PREFIX).removeprefix(f"{prefix}.").partition(".")[0]
        if first in _HEADS:
            heads.add(first)
        else:
            kept[key] = value
    return kept, sorted(heads)


def _check_supported(config: Mapping[str, Any], path: str) -> None:
    """Raise if the base model's weights were changed, or if more than heads was trained beside the adapter."""
    start = config.get("init_lora_weights", True)
    if start not in _INITIALIZATIONS:
        raise ArtifactError(
            f"{path}: init_lora_weights={str(start)[:60]!r} changes the base model's weights, which is not supported"
        )
    heads = config.get("modules_to_save") or []
    if not isinstance(heads, list) or not set(map(str, heads)) <= set(_HEADS):
        raise ArtifactError(f"{path}: modules_to_save {str(heads)[:80]!r}; only heads can be left out")


def _fields(kind: str) -> set[str]:
    """Return the names of a config's fields in the installed library."""
    import peft

    config = {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[kind]
    return {field.name for field in dataclasses.fields(config)}


def _rewrite_lora(config: Mapping[str, Any], model: Model, path: str) -> dict[str, Any]:
    """Return the fields that say which linear layers of which layers are adapted.

    Args:
        config: config of a LoRA.
        model: the base model.
        path: the file that messages name.
    """
    names = model.architecture.names
    places = _adapted_places(config, model, path)
    layers = sorted({layer for layer, _ in places})
    used = {role for _, role in places}
    roles = [role for role in names.linear if role in used]
    if not places or len(places) != len(layers) * len(roles):
        raise ArtifactError(f"{path}: expected the same linear layers in each layer of the encoder that has any")
    in_all_layers = len(layers) == model.shape["layers"]
    return {
        "target_modules": sorted(names.peft_name(role) for role in roles),
        "exclude_modules": names.taken_for(roles) or None,
        "layers_to_transform": None if in_all_layers else layers,
        "layers_pattern": None if in_all_layers else names.layer_list,
    }


def _rewrite_ia3(config: Mapping[str, Any], model: Model, path: str) -> dict[str, Any]:
    """Return the fields that say which linear layers are scaled, named layer by layer.

    Args:
        config: config of an (IA)3 adapter.
        model: the base model.
        path: the file that messages name.
    """
    names = model.architecture.names
    places = _adapted_places(config, model, path)
    inner = _adapted_places({**config, "target_modules": config.get("feedforward_modules")}, model, path)
    layers = sorted({layer for layer, _ in places})
    feedforward = {(layer, "output") for layer in layers}
    expected = feedforward | set(product(layers, _SCALED))
    if not places or places != expected or not feedforward <= inner:
        odd = sorted({names.linear[role] for _, role in places ^ expected}) or ["feedforward_modules"]
        raise ArtifactError(
            f"{path}: (IA)3 adapters of keys, values and the feed-forward block's output are supported, this one"
            f" differs in {', '.join(odd)}"
        )
    outputs = [names.in_layer(layer, "output") for layer in layers]
    attention = [names.in_layer(layer, role) for layer, role in product(layers, ("key", "value"))]
    return {"target_modules": [*attention, *outputs], "feedforward_modules": outputs}


def _adapted_places(config: Mapping[str, Any], model: Model, path: str) -> set[tuple[int, str]]:
    """Return (layer, role) of every linear layer that a config adapts.

    Args:
        config: config with ``target_modules`` and what restricts them.
        model: the base model.
        path: the file that messages name.
    """
    names = model.architecture.names
    targets = config.get("target_modules")
    if targets == "all-linear":
        targets = list(names.linear.values())
    included = _module_names(targets, "target_modules", names.prefix, path)
    excluded = _module_names(config.get("exclude_modules") or [], "exclude_modules", names.prefix, path)
    pattern = config.get("layers_pattern")
    if pattern not in (None, [], names.layer_list, [names.layer_list]):
        raise ArtifactError(f"{path}: layers_pattern {str(pattern)[:60]!r}; expected {names.layer_list}")
    return {
        (layer, role)
        for layer, role, name in _linear_layers(config, model, path)
        if _matches(name, included) and not _matches(name, excluded)
    }


def _linear_layers(config: Mapping[str, Any], model: Model, path: str) -> Iterator[tuple[int, str, str]]:
    """Yield (layer, role, name) of every linear layer in the layers that a config does not leave out.

    Args:
        config: config with ``layers_to_transform``.
        model: the base model.
        path: the file that messages name.
    """
    names, depth = model.architecture.names, model.shape["layers"]
    layers = config.get("layers_to_transform")
    if layers in (None, []):
        layers = list(range(depth))
    elif type(layers) is int:
        layers = [layers]
    if not isinstance(layers, list) or not all(type(layer) is int and 0 <= layer < depth for layer in layers):
        raise ArtifactError(f"{path}: layers_to_transform {str(layers)[:60]!r}; the model has layers 0 to {depth - 1}")
    for layer in layers:
        for role, name in names.linear.items():
            yield layer, role, f"{names.layers}.{layer}.{name}"


def _module_names(value: Any, key: str, prefix: str, path: str) -> list[str]:
    """Return a list of module names as they are in the encoder alone.

    Args:
        value: value in a config.
        key: its name there.
        prefix: the encoder's name in a model with a head.
        path: the file that messages name.
    """
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ArtifactError(f"{path}: {key} {str(value)[:60]!r}; expected a list of names (patterns are not supported)")
    return [name.removeprefix(_PREFIX).removeprefix(f"{prefix}.") for name in value]


def _matches(name: str, ends: list[str]) -> bool:
    """Return whether a module's name is one of these, or ends with a dot and one of them."""
    return any(name == end or name.endswith(f".{end}") for end in ends)
