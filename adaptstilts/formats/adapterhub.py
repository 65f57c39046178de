"""AdapterHub's format: what the ``adapters`` library writes, in the forms that its versions gave it since 2020.

A config is completed to the one that the installed library would write: fields that came later get their defaults,
those that cannot change an output the value that our methods have, and whatever else is unknown is refused. LoRA, which
we keep in peft's format, is translated: ``loras.<name>.lora_A`` is peft's ``lora_A.weight``, and the scale of both is
``alpha / r``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import Method
from adaptstilts.methods.host import ModuleNames
from adaptstilts.methods.lora import Lora

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "base_model.model."  # of the tensors in peft's files
_LEGACY = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
_NAMED = re.compile(
    r"(?:^|\.)(?:adapters|invertible_adapters|prefix_tunings|loras|shared_parameters|prefix_gates)\.([^.]+)\."
)
_NAME = re.compile(r"[^./\\\x00-\x1f]{1,200}")
# of the output nothing depends on these: how weights began, and what is random in training only
_FREE = ("dropout", "init_weights", "init_weights_seed", "phm_c_init", "phm_init_range", "hypercomplex_nonlinearity")
_OBSOLETE = ("attention_type", "config_id", "architecture")  # of fusion, or names of what the other fields say
_RENAMED = {"gelu": "gelu_new", "gelu_orig": "gelu"}  # before configs had a version
_MATRICES = {"q": "query", "k": "key", "v": "value"}
_ROLES = (*_MATRICES.values(), "intermediate", "output")  # of the linear layers that the library can adapt


def describes(config: Mapping[str, Any]) -> bool:
    """Whether an ``adapter_config.json`` is of this format."""
    return "peft_type" not in config and "config" in config


def complete(held: Mapping[str, Any], depth: int, path: str) -> dict[str, Any]:
    """The mapping under ``config`` as the installed library would write it, for an encoder of ``depth`` layers.

    Raises:
        ArtifactError: an unknown id, an unknown field, or a field that must be there and is not.
    """
    given = _given(held, path)
    library, preset = _library(given, path)
    fields = {field.name: _default(field) for field in dataclasses.fields(library)}
    unknown = sorted(key for key in given if key not in fields and not _harmless(key, given[key]))
    if unknown:
        raise ArtifactError(f"{path}: config has {unknown[0][:60]!r}, which no known version of the library has")
    made = {**fields, **{key: value for key, value in given.items() if key in fields}}
    missing = sorted(key for key, value in made.items() if value is dataclasses.MISSING)
    if missing:
        raise ArtifactError(f"{path}: config has no {missing[0]!r}, which says what the adapter computes")
    made |= {key: preset[key] for key in _idle(made) if key in made}
    leave_out = made["leave_out"]
    if not isinstance(leave_out, list) or not all(type(i) is int for i in leave_out):
        raise ArtifactError(f"{path}: leave_out {str(leave_out)[:60]!r}; expected a list of layers")
    made["leave_out"] = sorted({i for i in leave_out if 0 <= i < depth})
    return made


def _given(held: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The settings themselves: by the library's own id, or written out; old spellings as the new ones."""
    from adapters.configuration.adapter_config import ADAPTER_CONFIG_MAP

    config = held.get("config")
    if isinstance(config, str):
        if config not in ADAPTER_CONFIG_MAP:
            known = ", ".join(sorted(ADAPTER_CONFIG_MAP))
            raise ArtifactError(f"{path}: config {config[:60]!r} is no id of the adapters library; known are {known}")
        config = ADAPTER_CONFIG_MAP[config].to_dict()
    if not isinstance(config, dict):
        raise ArtifactError(f"{path}: no mapping under config, and no id of one")
    given = dict(config)
    activation = given.get("non_linearity")
    if "version" not in held and isinstance(activation, str):
        activation = _RENAMED.get(activation, activation)
    if activation is not None:
        given["non_linearity"] = "swish" if activation == "silu" else activation
    factor = given.get("reduction_factor")
    if isinstance(factor, dict) and factor and len({str(value) for value in factor.values()}) == 1:
        given["reduction_factor"] = next(iter(factor.values()))
    inner = given.pop("invertible_adapter", None)
    if isinstance(inner, dict) and held.get("type") != "text_task":  # task adapters of old named one and had none
        given |= {"inv_adapter": inner.get("block_type"), "inv_adapter_reduction_factor": inner.get("reduction_factor")}
    return given


def _library(given: Mapping[str, Any], path: str) -> tuple[Any, Any]:
    """The library's class of such a config, and a config whose idle fields are those of our methods."""
    import adapters

    architecture = given.get("architecture")
    if architecture == "prefix_tuning":
        return adapters.PrefixTuningConfig, adapters.PrefixTuningConfig()
    if architecture == "lora":
        return adapters.LoRAConfig, adapters.LoRAConfig()
    if architecture is not None:
        raise ArtifactError(
            f"{path}: architecture {str(architecture)[:60]!r} is not read; bottleneck adapters, compacters,"
            f" prefix_tuning and lora are"
        )
    return adapters.BnConfig, adapters.ParBnConfig() if given.get("is_parallel") else adapters.SeqBnConfig()


def _default(field: Any) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _idle(made: Mapping[str, Any]) -> set[str]:
    """Fields that nothing depends on, given the others."""
    found = set(_FREE)
    if not made.get("phm_layer"):
        found |= {key for key in made if "phm" in key and key != "phm_layer"}
    if not made.get("ln_after"):
        found.add("adapter_residual_before_ln")
    if not made.get("original_ln_before"):
        found.add("residual_before_ln")
    if made.get("inv_adapter") is None:
        found.add("inv_adapter_reduction_factor")
    return found


def _harmless(key: str, value: Any) -> bool:
    return key in _OBSOLETE or value in (None, False, [], {})


def single(tensors: Mapping[str, Tensor], name: object, prefix: str, path: str) -> dict[str, Tensor]:
    """The tensors of one adapter under the names that the library gives them now.

    Raises:
        ArtifactError: they are of several adapters, or not of the one that the config names.
    """
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        for old, new in _LEGACY.items():
            key = key.replace(f"{old}.", f"{new}.")
        key = key.removeprefix(f"{prefix}.")  # of a model with a head
        if key in found:
            raise ArtifactError(f"{path}: holds {key[:200]} twice")
        found[key] = value
    names = {match.group(1) for key in found if (match := _NAMED.search(key))}
    if len(names) != 1:
        told = ", ".join(sorted(names)[:5]) or "none"
        raise ArtifactError(f"{path}: expected the tensors of one adapter, found those of {told}")
    if name is not None and names != {name}:
        raise ArtifactError(f"{path}: tensors of {next(iter(names))!r}, the config names {name!r}")
    return _shared_once(found, path)


def called(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of an adapter under another name of it."""
    return {
        _NAMED.sub(lambda m: m.group(0)[: m.start(1) - m.start()] + f"{name}.", key, count=1): value
        for key, value in tensors.items()
    }


def check_name(name: object, path: str) -> None:
    """Refuse a name that the library could not have given, such as a path."""
    if name is not None and (not isinstance(name, str) or not _NAME.fullmatch(name)):
        raise ArtifactError(f"{path}: name {str(name)[:60]!r} is no adapter's name")


def _shared_once(tensors: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """A prefix's network is written once for each layer that shares it; the copies must be the same."""
    import torch

    found: dict[str, Tensor] = {}
    first: dict[str, str] = {}
    for key in sorted(tensors, key=_by_layer):
        _, mark, tail = key.partition("prefix_tunings.")
        if mark and tail in first:
            if not torch.equal(tensors[first[tail]], tensors[key]):
                raise ArtifactError(f"{path}: {key} is not the same as {first[tail]}, which shares it")
            continue
        if mark:
            first[tail] = key
        found[key] = tensors[key]
    return found


def _by_layer(key: str) -> tuple[int, str]:
    match = re.search(r"\.(\d{1,4})\.", key)
    return (int(match.group(1)) if match else 10_000, key)


def to_peft(config: Mapping[str, Any], version: object, depth: int, names: ModuleNames, path: str) -> dict[str, Any]:
    """Return a LoRA's settings as peft's.

    Args:
        config: completed, see :func:`complete`.
        version: of the library that wrote it.
        depth: number of layers of the encoder.
        names: of its modules.
        path: the file that messages name.

    Raises:
        ArtifactError: a variant that peft computes otherwise.
    """
    wanted = {"composition_mode": "add", "use_gating": False, "use_dora": False, "vera_d": None, "vera_b": None}
    wrong = [key for key, value in wanted.items() if config[key] != value]
    if wrong:
        raise ArtifactError(
            f"{path}: {wrong[0]}={config[wrong[0]]!r} is computed otherwise by peft, which computes LoRA here; not read"
        )
    matrices = config["attn_matrices"] if config["selfattn_lora"] else []
    if not isinstance(matrices, list) or not all(name in _MATRICES for name in map(str, matrices)):
        raise ArtifactError(f"{path}: attn_matrices {str(matrices)[:60]!r}; expected some of q, k and v")
    roles = [_MATRICES[name] for name in matrices]
    roles += [role for role in ("intermediate", "output") if config[f"{role}_lora"]]
    rank, kept = config["r"], [i for i in range(depth) if i not in config["leave_out"]]
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank if _faulty(version) else config["alpha"],
        "target_modules": [names.linear[role] for role in roles],
        "exclude_modules": names.taken_for(roles) or None,
        "layers_to_transform": None if len(kept) == depth else kept,
    }


def _faulty(version: object) -> bool:
    """Before 1.1 the library scaled by 1 whatever ``alpha`` said, and it still reads such files so."""
    match = re.match(r"adapters\.(\d+)\.(\d+)", str(version))
    return match is not None and (int(match.group(1)), int(match.group(2))) < (1, 1)


def lora_to_peft(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A LoRA's tensors under peft's names."""
    return {PREFIX + re.sub(r"\.loras\.[^.]+\.(lora_[AB])$", r".\1.weight", key): v for key, v in tensors.items()}


def lora_from_peft(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The other way round."""
    return {
        re.sub(r"\.(lora_[AB])\.weight$", rf".loras.{name}.\1", key.removeprefix(PREFIX)): value
        for key, value in tensors.items()
    }


def lora_config(method: Method) -> dict[str, Any] | None:
    """Return the library's config of a LoRA; None if the method is another one or the library computes it otherwise."""
    if not isinstance(method, Lora) or method.dora or method.rank_stabilized or not set(method.targets) <= set(_ROLES):
        return None
    if not float(method.alpha).is_integer():
        return None
    import adapters

    matrices = [short for short, name in _MATRICES.items() if name in method.targets]
    config = adapters.LoRAConfig(
        selfattn_lora=bool(matrices),
        intermediate_lora="intermediate" in method.targets,
        output_lora="output" in method.targets,
        attn_matrices=matrices,
        r=method.rank,
        alpha=int(method.alpha),
        leave_out=list(method.leave_out),
    )
    found: dict[str, Any] = config.to_dict()
    return found
