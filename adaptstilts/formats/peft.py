"""peft's format: LoRA (with its variants) and (IA)3 as ``PeftModel.save_pretrained`` writes them.

Which layers a config means is worked out here by peft's own rule, the end of a module's name, without its regular
expressions; then the config is written anew in the one form that our methods know. A head among the tensors
(``modules_to_save``) is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.host import ModuleNames

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {"LORA": "lora", "IA3": "ia3"}
_SCALED = ("key", "value", "output")  # roles of the linear layers that (IA)3 scales
# of the output nothing depends on these: training, where the base model was, and settings of what is off
_FREE = """
auto_mapping base_model_name_or_path revision task_type inference_mode peft_version lora_dropout megatron_config
megatron_core qalora_group_size runtime_config init_ia3_weights init_lora_weights modules_to_save
""".split()
_STARTS = (True, False, "gaussian", "orthogonal", "eva")  # other ones change the base model's weights
_HEADS = ("classifier", "score", "qa_outputs", "lm_head", "pooler")


def describes(config: Mapping[str, Any]) -> bool:
    """Whether an ``adapter_config.json`` is of this format."""
    return "peft_type" in config


def complete(held: Mapping[str, Any], depth: int, names: ModuleNames, path: str) -> dict[str, Any]:
    """Return the config in the form that our methods read.

    Args:
        held: the config.
        depth: number of layers of the encoder.
        names: of its modules.
        path: the file that messages name.

    Raises:
        ArtifactError: another kind of adapter, a variant, or layers that our methods cannot name.
    """
    kind = held.get("peft_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArtifactError(f"{path}: peft_type {str(kind)[:60]!r} is not read; {' and '.join(KINDS)} are")
    start = held.get("init_lora_weights", True)
    if start not in _STARTS:
        raise ArtifactError(f"{path}: init_lora_weights={str(start)[:60]!r} belongs to changed weights of a base model")
    heads = held.get("modules_to_save") or []
    if not isinstance(heads, list) or not set(map(str, heads)) <= set(_HEADS):
        raise ArtifactError(f"{path}: modules_to_save {str(heads)[:80]!r}; only heads can be left out")
    fields = _fields(kind)
    unknown = sorted(key for key, value in held.items() if key not in {*fields, *_FREE} and value not in (None, False))
    unknown = [key for key in unknown if held[key] not in ([], {}, "")]
    if unknown:
        raise ArtifactError(f"{path}: {unknown[0][:60]!r} is unknown to the peft that is installed")
    made = {key: value for key, value in held.items() if key in fields and key not in _FREE}
    return {**made, **(_lora if kind == "LORA" else _ia3)(held, depth, names, path)}


def without_heads(tensors: Mapping[str, Tensor], prefix: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the encoder's tensors, and the names of the heads beside them; ``prefix`` as in ``ModuleNames``."""
    found, heads = {}, set()
    for key, value in tensors.items():
        first = key.removeprefix("base_model.model.").removeprefix(f"{prefix}.").partition(".")[0]
        if first in _HEADS:
            heads.add(first)
        else:
            found[key] = value
    return found, sorted(heads)


def _fields(kind: str) -> set[str]:
    import peft

    config = {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[kind]
    return {field.name for field in dataclasses.fields(config)}


def _lora(held: Mapping[str, Any], depth: int, names: ModuleNames, path: str) -> dict[str, Any]:
    placed = _placed(held, depth, names, path)
    layers = sorted({layer for layer, _ in placed})
    roles = [role for role in names.linear if any(role == other for _, other in placed)]
    if not placed or len(placed) != len(layers) * len(roles):
        raise ArtifactError(f"{path}: expected the same linear layers in each layer of the encoder that has any")
    whole = len(layers) == depth
    return {
        "target_modules": sorted(names.peft_name(role) for role in roles),
        "exclude_modules": names.taken_for(roles) or None,
        "layers_to_transform": None if whole else layers,
        "layers_pattern": None if whole else names.layer_list,
    }


def _ia3(held: Mapping[str, Any], depth: int, names: ModuleNames, path: str) -> dict[str, Any]:
    placed = _placed(held, depth, names, path)
    inner = _placed({**held, "target_modules": held.get("feedforward_modules")}, depth, names, path)
    layers = sorted({layer for layer, _ in placed})
    expected = {(i, role) for i in layers for role in _SCALED}
    if not placed or placed != expected or not {(i, "output") for i in layers} <= inner:
        odd = sorted({names.linear[role] for _, role in placed ^ expected}) or ["feedforward_modules"]
        raise ArtifactError(
            f"{path}: an (IA)3 adapter of keys, values and the feed-forward block's output is read, this one differs"
            f" in {', '.join(odd)}"
        )
    forward = [names.in_layer(i, "output") for i in layers]
    attention = [names.in_layer(i, role) for i in layers for role in ("key", "value")]
    return {"target_modules": [*attention, *forward], "feedforward_modules": forward}


def _placed(held: Mapping[str, Any], depth: int, names: ModuleNames, path: str) -> set[tuple[int, str]]:
    """Return the (layer, role) of every linear layer that the config means."""
    targets = held.get("target_modules")
    if targets == "all-linear":
        targets = list(names.linear.values())
    wanted = _names(targets, "target_modules", names.prefix, path)
    excluded = _names(held.get("exclude_modules") or [], "exclude_modules", names.prefix, path)
    pattern = held.get("layers_pattern")
    if pattern not in (None, [], names.layer_list, [names.layer_list]):
        raise ArtifactError(f"{path}: layers_pattern {str(pattern)[:60]!r}; expected {names.layer_list}")
    kept = held.get("layers_to_transform")
    kept = list(range(depth)) if kept in (None, []) else [kept] if type(kept) is int else kept
    if not isinstance(kept, list) or not all(type(i) is int and 0 <= i < depth for i in kept):
        raise ArtifactError(f"{path}: layers_to_transform {str(kept)[:60]!r}; the model has layers 0 to {depth - 1}")
    placed = set()
    for i in kept:
        for role, name in names.linear.items():
            full = f"{names.layers}.{i}.{name}"
            if _meant(full, wanted) and not _meant(full, excluded):
                placed.add((i, role))
    return placed


def _names(value: Any, key: str, prefix: str, path: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ArtifactError(f"{path}: {key} {str(value)[:60]!r}; expected a list of names (patterns are not read)")
    return [item.removeprefix("base_model.model.").removeprefix(f"{prefix}.") for item in value]


def _meant(full: str, names: list[str]) -> bool:
    return any(full == name or full.endswith(f".{name}") for name in names)
