"""Low-rank adaptation (Hu et al. 2022, arXiv 2106.09685) and two variants, through ``peft`` on the bare encoder.

A target linear layer computes ``W x + b + sum over active names of s B A x``: two stacked LoRA adapters act as the sum
of their deltas, in any order. The scale ``s`` is ``alpha / rank``, rank-stabilized ``alpha / sqrt(rank)``
(Kalajdzievski 2023, arXiv 2312.03732). DoRA (Liu et al. 2024, arXiv 2402.09353) has a magnitude ``m`` for every output:
``m / |W + s B A| (W + s B A) x + b``, the norm taken by row and constant in the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods import _peft_library as with_peft
from adaptstilts.methods.base import AdapterMethod, Method, ascending, read_json

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import XLMRobertaModel

Linear = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
_LARGEST_RANK = 1024
_MODULE: dict[Linear, str] = {
    "query": "query",
    "key": "key",
    "value": "value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


def _ordered(targets: tuple[Linear, ...]) -> tuple[Linear, ...]:
    return tuple(name for name in _MODULE if name in targets)


class Lora(AdapterMethod):
    """Low-rank updates of the linear layers of a frozen encoder.

    Attributes:
        rank: inner dimension of each update.
        alpha: the update is scaled by ``alpha / rank``.
        targets: which linear layers: of the attention block ``query``, ``key``, ``value`` and ``attention_output``, of
            the feed-forward block ``intermediate`` and ``output``.
        rank_stabilized: scale by ``alpha / sqrt(rank)`` instead.
        dora: train a magnitude for every output as well; such adapters cannot be stacked.
        leave_out: indices of layers without an update, 0 the lowest.
    """

    kind: Literal["lora"] = "lora"
    rank: int = Field(8, ge=1, le=_LARGEST_RANK)
    alpha: float = Field(16.0, gt=0)
    targets: Annotated[tuple[Linear, ...], AfterValidator(_ordered)] = Field(
        ("query", "value"), strict=False, min_length=1
    )
    rank_stabilized: bool = False
    dora: bool = False
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "peft"
    default_lr: ClassVar[float] = 3e-4

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a rank above that of the weights themselves."""
        full_rank = min(min(_sides(target, shape)) for target in self.targets)
        if self.rank > full_rank:
            return f"rank {self.rank} is more than the weights of the model have; give at most {full_rank}"
        return super().why_not_on(shape)

    def why_not_stackable(self) -> str | None:
        """Refuse DoRA: peft normalises by the base model's weights, whatever acts below."""
        return "DoRA scales whole weights, so two of them have no sum of deltas" if self.dora else None

    def why_not_mergeable(self) -> str | None:
        """Refuse DoRA: its magnitudes belong to its own directions."""
        return self.why_not_stackable()

    @property
    def merge_settings(self) -> dict[str, Any]:
        """Return the linear layers: updates of any ranks and scales have a sum."""
        return {"kind": self.kind, "targets": self.targets}

    @property
    def scale(self) -> float:
        """What an update is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)

    @classmethod
    def merged_method(cls, methods: Sequence[Method]) -> Method:
        """Ranks add up, and the scale is one."""
        first = super().merged_method(methods)
        rank = sum(getattr(method, "rank", 0) for method in methods)
        if rank > _LARGEST_RANK:
            raise ConfigError(
                f"method {first.label}: ranks add up when adapters are merged, and {rank} is more than {_LARGEST_RANK};"
                f" give smaller ranks or merge fewer adapters"
            )
        alpha = rank**0.5 if getattr(first, "rank_stabilized", False) else float(rank)
        return first.model_copy(update={"rank": rank, "alpha": alpha})

    @classmethod
    def merged_tensors(
        cls, parts: Sequence[tuple[Method, Mapping[str, Tensor]]], weights: Sequence[float]
    ) -> dict[str, Tensor]:
        """The exact sum of the scaled updates, ``[B_1 .. B_n] [w_1 s_1 A_1; .. ; w_n s_n A_n]``.

        Averaging ``A`` and ``B`` one by one is something else.
        """
        import torch

        updates = [(method, tensors) for method, tensors in parts if isinstance(method, Lora)]
        total = {}
        for key in dict.fromkeys(key for _, tensors in updates for key in tensors):
            down, like = "lora_A" in key, next(tensors[key] for _, tensors in updates if key in tensors)
            blocks = []
            for (method, tensors), weight in zip(updates, weights, strict=True):
                size = (method.rank, like.shape[1]) if down else (like.shape[0], method.rank)
                own = tensors.get(key, like.new_zeros(size))
                blocks.append(weight * method.scale * own if down else own)
            total[key] = torch.cat(blocks, 0 if down else 1)
        return total

    @property
    def spares_attention(self) -> bool:
        """All targets are of the feed-forward block."""
        return set(self.targets) <= {"intermediate", "output"}

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * sum over targets of rank (in + out)``, and ``out`` more for each with DoRA."""
        one_layer = 0
        for target in self.targets:
            inputs, outputs = _sides(target, shape)
            one_layer += self.rank * (inputs + outputs) + self.dora * outputs
        return len(self.layers(shape["layers"])) * one_layer

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new update to every target."""
        with_peft.attach(trunk, name, self._library_config(len(trunk.encoder.layer)))

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Sum the updates of ``names``."""
        with_peft.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an update."""
        with_peft.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names that a saved ``PeftModel`` gives them; it writes magnitudes without ``.weight``."""
        own = {
            key.replace(f".{name}.", "."): value
            for key, value in trunk.named_parameters()
            if any(f".{part}.{name}." in key for part in self._parts)
        }
        return {with_peft.PREFIX + key.replace("_vector.weight", "_vector"): value for key, value in own.items()}

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers in which every target has this name."""
        return with_peft.attached_layers(trunk, name, self._parts, len(self.targets))

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """``names``, unless some target has one of them and does not use it, or uses another one."""
        return with_peft.active(trunk, names)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does."""
        config = self._library_config(len(trunk.encoder.layer))
        with_peft.save(trunk, config, self.tensors(trunk, name), folder)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Lora:
        """Recognise a LoRA; any variant this class would compute otherwise is refused."""
        path = folder / "adapter_config.json"
        held = read_json(path)
        try:
            kept = held["layers_to_transform"]
            method = cls(
                rank=held["r"],
                alpha=held["lora_alpha"],
                targets=_targets(held["target_modules"], held.get("exclude_modules")),
                rank_stabilized=held.get("use_rslora", False),
                dora=held.get("use_dora", False),
                leave_out=() if kept is None else tuple(i for i in range(depth) if i not in kept),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of a LoRA adapter ({error})") from None
        with_peft.check_config(held, method._library_config(depth), path, "a LoRA on these linear layers")
        return method

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("lora_A", "lora_B", "lora_magnitude_vector") if self.dora else ("lora_A", "lora_B")

    def _library_config(self, depth: int) -> Any:
        from peft import LoraConfig

        kept = list(self.layers(depth)) if self.leave_out else None
        # peft goes by the end of a module's name, and the attention block's ends like the feed-forward block's
        alone = "output" in self.targets and "attention_output" not in self.targets
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            target_modules=sorted(_MODULE[name] for name in self.targets),
            exclude_modules=[_MODULE["attention_output"]] if alone else None,
            lora_dropout=0.0,
            bias="none",
            use_rslora=self.rank_stabilized,
            use_dora=self.dora,
            layers_to_transform=kept,
            layers_pattern="layer" if kept is not None else None,
        )


def _sides(target: Linear, shape: Mapping[str, int]) -> tuple[int, int]:
    """Return how many inputs and outputs a target has."""
    hidden, inner = shape["hidden"], shape["intermediate"]
    sides: dict[Linear, tuple[int, int]] = {"intermediate": (hidden, inner), "output": (inner, hidden)}
    return sides.get(target, (hidden, hidden))


def _targets(modules: Any, excluded: Any) -> tuple[Linear, ...]:
    """Our names of peft's target modules; what they leave unsaid the comparison with our own config finds."""
    return tuple(name for name, module in _MODULE.items() if module in modules and module not in (excluded or ()))
