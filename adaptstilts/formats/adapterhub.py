"""AdapterHub's format: what the ``adapters`` library writes, as its versions since 2020 did.

A config is completed to what the installed library would write. Fields that were added later get their defaults, fields
without effect on the output get the value that our methods have, and anything else that is unknown is refused. LoRA,
which we keep in peft's format, is translated: ``loras.<name>.lora_A`` is peft's ``lora_A.weight``, and the scale of
both is ``alpha / r``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import Method
from adaptstilts.methods._adapters_library import name_in
from adaptstilts.methods.lora import Lora
from adaptstilts.models.locate import Model

if TYPE_CHECKING:
    from torch import Tensor

_PEFT_PREFIX = "base_model.model."  # prefix of the tensors' names in peft's files
_OLD_NAMES = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
_VALID_NAME = re.compile(r"[^./\\\x00-\x1f]{1,200}")
# the output does not depend on these: how weights were initialized, and what is random in training only
_WITHOUT_EFFECT = (
    "dropout",
    "init_weights",
    "init_weights_seed",
    "phm_c_init",
    "phm_init_range",
    "hypercomplex_nonlinearity",
)
_OBSOLETE = ("attention_type", "config_id", "architecture")  # fields of fusion, or fields that repeat others
_RENAMED_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}  # configs without a version are older
_MATRICES = {"q": "query", "k": "key", "v": "value"}
_ROLES = (*_MATRICES.values(), "intermediate", "output")  # names of the linear layers that the library can adapt
_LISTED = 5  # names that a message lists
_WITHOUT_LAYER = 10_000  # sorts after every layer


def describes(config: Mapping[str, Any]) -> bool:
    """Return whether an ``adapter_config.json`` has this format."""
    return "peft_type" not in config and "config" in config


def likely_kind(settings: Mapping[str, Any]) -> str:
    """Return the kind of our method that most likely computes completed settings."""
    if settings.get("architecture"):
        return "prefix"
    return "compacter" if settings.get("phm_layer") else "bottleneck"


def complete(config: Mapping[str, Any], depth: int, path: str) -> dict[str, Any]:
    """Return the mapping under ``config`` as the installed library would write it.

    Args:
        config: an ``adapter_config.json``.
        depth: number of layers of the encoder.
        path: the file that messages name.

    Raises:
        ArtifactError: an unknown id or field, or a field that is missing.
    """
    settings = _read_settings(config, path)
    library_class, preset = _library_config(settings, path)
    fields = {field.name: _default(field) for field in dataclasses.fields(library_class)}
    for key in sorted(settings):
        if key not in fields and not _is_harmless(key, settings[key]):
            raise ArtifactError(f"{path}: config has {key[:60]!r}, which no known version of the library has")
    completed = {**fields, **{key: value for key, value in settings.items() if key in fields}}
    for key in sorted(completed):
        if completed[key] is dataclasses.MISSING:
            raise ArtifactError(f"{path}: config has no {key!r}, which defines what the adapter computes")
    completed |= {key: preset[key] for key in _without_effect(completed) if key in completed}
    leave_out = completed["leave_out"]
    if not isinstance(leave_out, list) or not all(type(layer) is int for layer in leave_out):
        raise ArtifactError(f"{path}: leave_out {str(leave_out)[:60]!r}; expected a list of layers")
    completed["leave_out"] = sorted({layer for layer in leave_out if 0 <= layer < depth})
    return completed


def _read_settings(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the settings in a config, which lists them or names an id of the library, in today's spelling."""
    settings = _listed_settings(config, path)
    activation = settings.get("non_linearity")
    if "version" not in config and isinstance(activation, str):
        activation = _RENAMED_ACTIVATIONS.get(activation, activation)
    if activation is not None:
        settings["non_linearity"] = "swish" if activation == "silu" else activation
    factor = settings.get("reduction_factor")
    if isinstance(factor, dict) and len({str(value) for value in factor.values()}) == 1:
        settings["reduction_factor"] = next(iter(factor.values()))
    invertible = settings.pop("invertible_adapter", None)
    # old task adapters named an invertible part that they did not have
    if isinstance(invertible, dict) and config.get("type") != "text_task":
        settings["inv_adapter"] = invertible.get("block_type")
        settings["inv_adapter_reduction_factor"] = invertible.get("reduction_factor")
    return settings


def _listed_settings(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the mapping under ``config``, looked up if it is an id of the library."""
    from adapters.configuration.adapter_config import ADAPTER_CONFIG_MAP

    settings = config.get("config")
    if isinstance(settings, str):
        if settings not in ADAPTER_CONFIG_MAP:
            known = ", ".join(sorted(ADAPTER_CONFIG_MAP))
            raise ArtifactError(
                f"{path}: config {settings[:60]!r} is not an id of the adapters library; known are {known}"
            )
        settings = ADAPTER_CONFIG_MAP[settings].to_dict()
    if not isinstance(settings, dict):
        raise ArtifactError(f"{path}: config is neither a mapping nor an id of the library")
    return dict(settings)


def _library_config(settings: Mapping[str, Any], path: str) -> tuple[Any, Any]:
    """Return the library's class for these settings, and a config of our methods that fills fields without effect."""
    import adapters

    architecture = settings.get("architecture")
    if architecture == "prefix_tuning":
        return adapters.PrefixTuningConfig, adapters.PrefixTuningConfig()
    if architecture == "lora":
        return adapters.LoRAConfig, adapters.LoRAConfig()
    if architecture is not None:
        raise ArtifactError(
            f"{path}: architecture {str(architecture)[:60]!r} is not supported; bottleneck adapters, compacters,"
            f" prefix_tuning and lora are"
        )
    return adapters.BnConfig, adapters.ParBnConfig() if settings.get("is_parallel") else adapters.SeqBnConfig()


def _default(field: Any) -> Any:
    """Return the default of a dataclass field; ``MISSING`` if it has none."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _without_effect(settings: Mapping[str, Any]) -> set[str]:
    """Return the fields that do not change the output, given the others."""
    fields = set(_WITHOUT_EFFECT)
    if not settings.get("phm_layer"):
        fields |= {key for key in settings if "phm" in key and key != "phm_layer"}
    if not settings.get("ln_after"):
        fields.add("adapter_residual_before_ln")
    if not settings.get("original_ln_before"):
        fields.add("residual_before_ln")
    if settings.get("inv_adapter") is None:
        fields.add("inv_adapter_reduction_factor")
    return fields


def _is_harmless(key: str, value: Any) -> bool:
    """Return whether an unknown field can be ignored, because it is obsolete or empty."""
    return key in _OBSOLETE or value in (None, False, [], {})


def normalize_names(tensors: Mapping[str, Tensor], name: object, prefix: str, path: str) -> dict[str, Tensor]:
    """Return the tensors of one adapter under the names that the library gives them today.

    Args:
        tensors: tensors of a file.
        name: the adapter's name in the config; None if it has none.
        prefix: the encoder's name in a model with a head.
        path: the file that messages name.

    Raises:
        ArtifactError: they are of several adapters, or not of the one in the config.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in tensors.items():
        key = _present_key(key.removeprefix(f"{prefix}."))
        if key in renamed:
            raise ArtifactError(f"{path}: has {key[:200]} twice")
        renamed[key] = value
    names = {parts[index] for parts, index in filter(None, map(name_in, renamed))}
    if len(names) != 1:
        listed = ", ".join(sorted(names)[:_LISTED]) or "none"
        raise ArtifactError(f"{path}: expected the tensors of one adapter, found those of {listed}")
    if name is not None and names != {name}:
        raise ArtifactError(f"{path}: tensors of {next(iter(names))!r}, the config names {name!r}")
    return _without_copies(renamed, path)


def _present_key(key: str) -> str:
    """Return a key with the library's present name of a dictionary of adapters, the first one in it."""
    parts = key.split(".")
    for index, part in enumerate(parts):
        if part in _OLD_NAMES or part in _OLD_NAMES.values():
            return ".".join([*parts[:index], _OLD_NAMES.get(part, part), *parts[index + 1 :]])
    return key


def library_name(task: str) -> str:
    """Return what an adapter is called in the library's files, where not every name of a task can be read.

    The library keeps adapters as attributes of a module, so a name has no dot and is not that of a method, and it reads
    its old names of dictionaries anywhere in a key.

    Args:
        task: task of the adapter.
    """
    from torch import nn

    name = re.sub(r"[^A-Za-z0-9_-]", "_", task)
    for old in _OLD_NAMES:
        name = name.replace(old, old.replace("_", "-"))
    return f"{name}_adapter" if any(hasattr(made(), name) for made in (nn.ModuleDict, nn.ParameterDict)) else name


def check_name(name: object, path: str) -> None:
    """Raise if the library could not have given an adapter this name, for example a path.

    Args:
        name: in a config; None if it has none.
        path: the file that messages name.
    """
    if name is not None and (not isinstance(name, str) or not _VALID_NAME.fullmatch(name)):
        raise ArtifactError(f"{path}: name {str(name)[:60]!r} is not an adapter's name")


def _without_copies(tensors: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """Keep one copy of a prefix's network; files repeat it for each layer, and the copies must be equal."""
    import torch

    kept: dict[str, Tensor] = {}
    first: dict[str, str] = {}
    for key in sorted(tensors, key=_by_layer):
        parts, index = name_in(key) or ([], 1)
        if parts[index - 1 : index] != ["prefix_tunings"]:
            kept[key] = tensors[key]
            continue
        tail = ".".join(parts[index:])
        if not torch.equal(tensors[first.setdefault(tail, key)], tensors[key]):
            raise ArtifactError(f"{path}: {key} is not the same as {first[tail]}, which shares it")
        if first[tail] == key:
            kept[key] = tensors[key]
    return kept


def _by_layer(key: str) -> tuple[int, str]:
    """Return a sort key by which the tensors of lower layers come first."""
    match = re.search(r"\.(\d{1,4})\.", key)
    return (int(match.group(1)) if match else _WITHOUT_LAYER, key)


def to_peft(settings: Mapping[str, Any], version: object, model: Model, path: str) -> dict[str, Any]:
    """Return a LoRA's settings as peft's.

    Args:
        settings: completed, see :func:`complete`.
        version: version of the library that wrote them.
        model: the base model.
        path: the file that messages name.

    Raises:
        ArtifactError: a variant that peft computes differently.
    """
    names, depth = model.architecture.names, model.shape["layers"]
    expected = {"composition_mode": "add", "use_gating": False, "use_dora": False, "vera_d": None, "vera_b": None}
    for key, value in expected.items():
        if settings[key] != value:
            raise ArtifactError(
                f"{path}: {key}={settings[key]!r} is not supported; LoRA is computed by peft here, which has {value!r}"
            )
    roles = _adapted_roles(settings, path)
    layers = [layer for layer in range(depth) if layer not in settings["leave_out"]]
    return {
        "peft_type": "LORA",
        "r": settings["r"],
        "lora_alpha": settings["r"] if _ignores_alpha(version) else settings["alpha"],
        "target_modules": [names.linear[role] for role in roles],
        "exclude_modules": names.taken_for(roles) or None,
        "layers_to_transform": None if len(layers) == depth else layers,
    }


def _adapted_roles(settings: Mapping[str, Any], path: str) -> list[str]:
    """Return the roles of the linear layers that a LoRA adapts."""
    matrices = settings["attn_matrices"] if settings["selfattn_lora"] else []
    if not isinstance(matrices, list) or not all(name in _MATRICES for name in map(str, matrices)):
        raise ArtifactError(f"{path}: attn_matrices {str(matrices)[:60]!r}; expected some of q, k and v")
    roles = [_MATRICES[name] for name in matrices]
    return roles + [role for role in ("intermediate", "output") if settings[f"{role}_lora"]]


def _ignores_alpha(version: object) -> bool:
    """Return whether a version of the library scaled by 1 whatever ``alpha`` was; later ones read its files so too."""
    match = re.match(r"adapters\.(\d+)\.(\d+)", str(version))
    return match is not None and (int(match.group(1)), int(match.group(2))) < (1, 1)


def lora_to_peft(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a LoRA's tensors under peft's names."""
    renamed = {}
    for key, value in tensors.items():
        parts, index = name_in(key) or ([key], 1)
        is_matrix = parts[index - 1 : index] == ["loras"] and parts[index + 1 :] in (["lora_A"], ["lora_B"])
        own = ".".join([*parts[: index - 1], parts[-1], "weight"]) if is_matrix else key
        renamed[_PEFT_PREFIX + own] = value
    return renamed


def lora_from_peft(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return a LoRA's tensors under the names of the ``adapters`` library.

    Args:
        tensors: as peft names them.
        name: name of the adapter.
    """
    renamed = {}
    for key, value in tensors.items():
        module, part, _ = key.removeprefix(_PEFT_PREFIX).rsplit(".", 2)
        renamed[f"{module}.loras.{name}.{part}"] = value
    return renamed


def lora_config(method: Method) -> dict[str, Any] | None:
    """Return the library's config of a LoRA; None for another method, or if the library computes it differently."""
    if not isinstance(method, Lora) or method.dora or method.rank_stabilized or not set(method.targets) <= set(_ROLES):
        return None
    if not float(method.alpha).is_integer():
        return None
    import adapters

    matrices = [short for short, name in _MATRICES.items() if name in method.targets]
    config: dict[str, Any] = adapters.LoRAConfig(
        selfattn_lora=bool(matrices),
        intermediate_lora="intermediate" in method.targets,
        output_lora="output" in method.targets,
        attn_matrices=matrices,
        r=method.rank,
        alpha=int(method.alpha),
        leave_out=list(method.leave_out),
    ).to_dict()
    return config
