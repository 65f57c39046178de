"""(IA)3 (Liu et al. 2022, arXiv 2205.05638), through ``peft`` on the bare encoder.

Three learned vectors in every layer scale what passes: keys ``l_k * (K x + b)``, values ``l_v * (V x + b)`` and the
inner activations of the feed-forward block, ``W (l_ff * a) + b``. Two stacked ones act as the product of their
vectors, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import _peft_library as with_peft
from adaptstilts.methods.base import AdapterMethod, Method, ascending, read_json

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import XLMRobertaModel

_ATTENTION = ("attention.self.key", "attention.self.value")
_FEEDFORWARD = "output.dense"


class Ia3(AdapterMethod):
    """Learned scales of keys, values and inner activations of a frozen encoder.

    Attributes:
        leave_out: indices of layers without scales, 0 the lowest.
    """

    kind: Literal["ia3"] = "ia3"
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "peft"
    default_lr: ClassVar[float] = 3e-3
    decayed: ClassVar[bool] = False  # scales are at rest at one

    @classmethod
    def merged_tensors(
        cls, parts: Sequence[tuple[Method, Mapping[str, Tensor]]], weights: Sequence[float]
    ) -> dict[str, Tensor]:
        """``1 + sum of w (l - 1)``: scales that are absent are one."""
        offsets = [(method, {key: value - 1 for key, value in tensors.items()}) for method, tensors in parts]
        return {key: 1 + value for key, value in super().merged_tensors(offsets, weights).items()}

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * (2 h + i)``, with ``i`` the inner size of the feed-forward block."""
        return len(self.layers(shape["layers"])) * (2 * shape["hidden"] + shape["intermediate"])

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach new scales, all one."""
        with_peft.attach(trunk, name, self._library_config(len(trunk.encoder.layer)))

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Multiply the scales of ``names``."""
        with_peft.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach scales."""
        with_peft.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names that a saved ``PeftModel`` gives them."""
        end = f".ia3_l.{name}"
        return {
            with_peft.PREFIX + key.removesuffix(f".{name}"): value
            for key, value in trunk.named_parameters()
            if key.endswith(end)
        }

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers in which all three places have this name."""
        return with_peft.attached_layers(trunk, name, ("ia3_l",), len(_ATTENTION) + 1)

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """``names``, unless some place has one of them and does not use it, or uses another one."""
        return with_peft.active(trunk, names)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does."""
        config = self._library_config(len(trunk.encoder.layer))
        with_peft.save(trunk, config, self.tensors(trunk, name), folder)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Ia3:
        """Recognise scales of keys, values and inner activations; scales elsewhere are refused."""
        path = folder / "adapter_config.json"
        held = read_json(path)
        try:
            targets = set(held["target_modules"])
            method = cls(leave_out=tuple(i for i in range(depth) if f"layer.{i}.{_FEEDFORWARD}" not in targets))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of an (IA)3 adapter ({error})") from None
        what = "an (IA)3 adapter of keys, values and inner activations, named layer by layer,"
        with_peft.check_config(held, method._library_config(depth), path, what)
        return method

    def _library_config(self, depth: int) -> Any:
        from peft import IA3Config

        # layer by layer, because peft goes by the end of a module's name and attention.output.dense ends alike
        inner = [f"layer.{i}.{_FEEDFORWARD}" for i in self.layers(depth)]
        attention = [f"layer.{i}.{name}" for i in self.layers(depth) for name in _ATTENTION]
        return IA3Config(target_modules=[*attention, *inner], feedforward_modules=inner)
