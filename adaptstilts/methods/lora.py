"""Low-rank adaptation (Hu et al. 2022, arXiv 2106.09685), through ``peft`` on the bare encoder.

A target linear layer computes ``W x + sum over active names of (alpha / rank) B A x``: two stacked LoRA adapters act
as the sum of their deltas, in any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import Method, ascending, read_json

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

Linear = Literal["query", "key", "value"]
_LINEAR: tuple[Linear, ...] = ("query", "key", "value")
_PREFIX = "base_model.model."
_NOT_COMPARED = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "revision",
    "task_type",
}


def _ordered(targets: tuple[Linear, ...]) -> tuple[Linear, ...]:
    return tuple(name for name in _LINEAR if name in targets)


_MODULES: WeakKeyDictionary[Any, list[tuple[int, Any]]] = WeakKeyDictionary()


class Lora(Method):
    """Low-rank updates of attention projections of a frozen encoder.

    Attributes:
        rank: inner dimension of each update.
        alpha: the update is scaled by ``alpha / rank``.
        targets: which projections of the attention block.
        leave_out: indices of layers without an update, 0 the lowest.
    """

    kind: Literal["lora"] = "lora"
    rank: int = Field(8, ge=1, le=1024)
    alpha: float = Field(16.0, gt=0)
    targets: Annotated[tuple[Linear, ...], AfterValidator(_ordered)] = Field(
        ("query", "value"), strict=False, min_length=1
    )
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "peft"
    stackable: ClassVar[bool] = True
    default_lr: ClassVar[float] = 3e-4

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * targets * rank * 2 h``."""
        return len(self.layers(shape["layers"])) * len(self.targets) * self.rank * 2 * shape["hidden"]

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new update to every target projection."""
        from peft import inject_adapter_in_model

        depth = len(trunk.encoder.layer)
        inject_adapter_in_model(self._library_config(depth), trunk, adapter_name=name)
        _MODULES.pop(trunk, None)

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Sum the updates of ``names``."""
        for _, module in _modules(trunk):
            here = [name for name in names if name in module.lora_A]
            # set_adapter would also walk every adapter to set requires_grad, which the encoder does in one place
            module._disable_adapters = not here
            module._active_adapter = here

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an update."""
        for _, module in _modules(trunk):
            if name in module.lora_A:
                module.delete_adapter(name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names that a saved ``PeftModel`` gives them."""
        return {
            _PREFIX + key.replace(f".{name}.", "."): value
            for key, value in trunk.named_parameters()
            if f".lora_A.{name}." in key or f".lora_B.{name}." in key
        }

    def found(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers in which every target projection has this name."""
        count: dict[int, int] = {}
        for index, module in _modules(trunk):
            count[index] = count.get(index, 0) + (name in module.lora_A and name in module.lora_B)
        return {index for index, n in count.items() if n == len(self.targets)}

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """``names``, unless some projection has one of them and does not use it, or uses another one."""
        for _, module in _modules(trunk):
            off = module.disable_adapters or module.merged
            acting = () if off else tuple(module.active_adapters)
            if acting != tuple(name for name in names if name in module.lora_A):
                return acting
        return tuple(names)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config = self._library_config(len(trunk.encoder.layer))
        config.inference_mode = True
        config.base_model_name_or_path = trunk.config._name_or_path or None
        fields = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
        text = json.dumps(fields, indent=2, sort_keys=True)
        (folder / "adapter_config.json").write_text(text, encoding="utf-8")
        held = {key: value.detach().contiguous() for key, value in self.tensors(trunk, name).items()}
        save_file(held, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Lora:
        """Recognise a plain LoRA; any variant this class would compute otherwise is refused."""
        path = folder / "adapter_config.json"
        held = read_json(path)
        try:
            targets = tuple(name for name in _LINEAR if name in held["target_modules"])
            kept = held["layers_to_transform"]
            left_out = () if kept is None else tuple(i for i in range(depth) if i not in kept)
            method = cls(rank=held["r"], alpha=held["lora_alpha"], targets=targets, leave_out=left_out)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of a LoRA adapter ({error})") from None
        expected = method._library_config(depth).to_dict()
        given = {key: value for key, value in held.items() if key not in _NOT_COMPARED}
        wrong = sorted(key for key, value in given.items() if _plain(expected.get(key)) != _plain(value))
        if wrong:
            raise ArtifactError(
                f"{path}: {', '.join(f'{key}={held.get(key)!r}' for key in wrong)} is not what a plain LoRA on"
                f" the attention projections has; variants are not read"
            )
        return method

    def _library_config(self, depth: int) -> Any:
        from peft import LoraConfig

        kept = list(self.layers(depth)) if self.leave_out else None
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            target_modules=sorted(self.targets),
            lora_dropout=0.0,
            bias="none",
            layers_to_transform=kept,
            layers_pattern="layer" if kept is not None else None,
        )


def _plain(value: Any) -> Any:
    if isinstance(value, set | tuple | list):
        return sorted(value, key=str)
    return {} if value is None else value


def _modules(trunk: XLMRobertaModel) -> list[tuple[int, Any]]:
    """(layer, module) of every projection that has low-rank updates; walking the trunk is what swapping would pay."""
    if trunk not in _MODULES:
        from peft.tuners.lora import LoraLayer

        _MODULES[trunk] = [
            (index, module)
            for index, layer in enumerate(trunk.encoder.layer)
            for module in layer.modules()
            if isinstance(module, LoraLayer)
        ]
    return _MODULES[trunk]
