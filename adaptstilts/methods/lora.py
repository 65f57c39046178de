"""Low-rank adaptation (Hu et al. 2022, arXiv 2106.09685) and two variants, through ``peft`` on the bare encoder.

A target linear layer computes ``W x + b`` plus ``s B A x`` for every active adapter: stacked LoRA adapters act as the
sum of their updates, in any order. The scale ``s`` is ``alpha / rank``, rank-stabilized ``alpha / sqrt(rank)``
(Kalajdzievski 2023, arXiv 2312.03732). DoRA (Liu et al. 2024, arXiv 2402.09353) has a magnitude ``m`` for every output:
``m / |W + s B A| (W + s B A) x + b``, the norm taken by row and constant in the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field

from adaptstilts.errors import ConfigError
from adaptstilts.methods._peft_library import PeftMethod
from adaptstilts.methods.base import LayerIndices, Method

if TYPE_CHECKING:
    from torch import Tensor

    from adaptstilts.methods.host import ModuleNames

Linear = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
_LARGEST_RANK = 1024


def _in_order(targets: tuple[Linear, ...]) -> tuple[Linear, ...]:
    """Return targets in the one order that content keys have, each once."""
    return tuple(name for name in get_args(Linear) if name in targets)


class Lora(PeftMethod):
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
    targets: Annotated[tuple[Linear, ...], AfterValidator(_in_order)] = Field(
        ("query", "value"), strict=False, min_length=1
    )
    rank_stabilized: bool = False
    dora: bool = False
    leave_out: LayerIndices = ()
    default_lr: ClassVar[float] = 3e-4
    noun: ClassVar[str] = "a LoRA adapter"

    @property
    def scale(self) -> float:
        """Return the factor of the update."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a rank above that of the weights themselves."""
        full_rank = min(min(_sides(target, shape)) for target in self.targets)
        if self.rank > full_rank:
            return f"rank {self.rank} is more than the weights of the model have; give at most {full_rank}"
        return super().why_not_on(shape)

    def why_not_stackable(self) -> str | None:
        """Refuse DoRA: peft normalises by the base model's weights, whatever acts below."""
        return "DoRA rescales whole weights, so the deltas of two adapters do not add up" if self.dora else None

    def why_not_mergeable(self) -> str | None:
        """Refuse DoRA: its magnitudes belong to its own directions."""
        return self.why_not_stackable()

    @property
    def merge_settings(self) -> dict[str, Any]:
        """Return the targets alone: updates can be summed whatever their ranks and scales."""
        return {"kind": self.kind, "targets": self.targets}

    @classmethod
    def merged_method(cls, methods: Sequence[Method]) -> Method:
        """Return a LoRA whose rank is the sum of all ranks and whose scale is one.

        Args:
            methods: methods of the adapters.

        Raises:
            ConfigError: the rank would be too large.
        """
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
        """Return the exact sum of the scaled updates, ``[B_1 .. B_n] [w_1 s_1 A_1; .. ; w_n s_n A_n]``.

        Averaging ``A`` and ``B`` separately would give another sum.

        Args:
            parts: method and tensors of each adapter.
            weights: one for each.
        """
        import torch

        updates = [(method, tensors) for method, tensors in parts if isinstance(method, Lora)]
        keys = dict.fromkeys(key for _, tensors in updates for key in tensors)
        return {key: torch.cat(_blocks(updates, weights, key), 0 if _is_down(key) else 1) for key in keys}

    @property
    def spares_attention(self) -> bool:
        """Return whether all targets are of the feed-forward block."""
        return set(self.targets) <= {"intermediate", "output"}

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``layers * sum over targets of rank (in + out)``, and ``out`` more for each with DoRA."""
        one_layer = 0
        for target in self.targets:
            inputs, outputs = _sides(target, shape)
            one_layer += self.rank * (inputs + outputs) + self.dora * outputs
        return len(self.layers(shape["layers"])) * one_layer

    @property
    def variant(self) -> str:
        """Return what messages call a LoRA on these layers."""
        return "a LoRA on these linear layers"

    @property
    def parts(self) -> tuple[str, ...]:
        """Return both matrices, and the magnitudes of DoRA."""
        return ("lora_A", "lora_B", "lora_magnitude_vector") if self.dora else ("lora_A", "lora_B")

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the targets."""
        return self.targets

    def library_config(self, depth: int, names: ModuleNames) -> Any:
        """Return peft's config for an encoder.

        Args:
            depth: number of layers.
            names: what its modules are called.
        """
        from peft import LoraConfig

        layers = list(self.layers(depth)) if self.leave_out else None
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            target_modules=sorted(names.peft_name(role) for role in self.targets),
            exclude_modules=names.taken_for(self.targets) or None,
            lora_dropout=0.0,
            bias="none",
            use_rslora=self.rank_stabilized,
            use_dora=self.dora,
            layers_to_transform=layers,
            layers_pattern=None if layers is None else names.layer_list,
        )

    @classmethod
    def from_library(cls, config: Mapping[str, Any], depth: int, names: ModuleNames) -> Lora:
        """Return the LoRA of a config.

        Args:
            config: a file's settings.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.
        """
        layers = config["layers_to_transform"]
        left_out = () if layers is None else tuple(i for i in range(depth) if i not in layers)
        return cls(
            rank=config["r"],
            alpha=config["lora_alpha"],
            targets=_targets(config["target_modules"], config.get("exclude_modules") or (), names),
            rank_stabilized=config.get("use_rslora", False),
            dora=config.get("use_dora", False),
            leave_out=left_out,
        )


def _is_down(key: str) -> bool:
    """Return whether a tensor is the matrix ``A`` that maps to the rank."""
    return "lora_A" in key


def _blocks(updates: Sequence[tuple[Lora, Mapping[str, Tensor]]], weights: Sequence[float], key: str) -> list[Tensor]:
    """Return every update's share of one matrix of the sum; zeros if it has no such matrix.

    Args:
        updates: settings and tensors of each.
        weights: one for each; they are part of ``A``, and ``B`` stays as it is.
        key: key of the matrix.
    """
    like = next(tensors[key] for _, tensors in updates if key in tensors)
    blocks = []
    for (method, tensors), weight in zip(updates, weights, strict=True):
        size = (method.rank, like.shape[1]) if _is_down(key) else (like.shape[0], method.rank)
        block = tensors.get(key, like.new_zeros(size))
        blocks.append(weight * method.scale * block if _is_down(key) else block)
    return blocks


def _sides(target: Linear, shape: Mapping[str, int]) -> tuple[int, int]:
    """Return the number of inputs and of outputs of a target.

    Args:
        target: a linear layer.
        shape: sizes of the encoder.
    """
    hidden, inner = shape["hidden"], shape["intermediate"]
    if target == "intermediate":
        return hidden, inner
    return (inner, hidden) if target == "output" else (hidden, hidden)


def _targets(modules: Any, excluded: Any, names: ModuleNames) -> tuple[Linear, ...]:
    """Return our names for peft's target modules; modules of other kinds are left out.

    Args:
        modules: ``target_modules`` of a config.
        excluded: its ``exclude_modules``.
        names: what the encoder's modules are called.
    """
    targets = []
    for role in get_args(Linear):
        if role in names.linear and names.peft_name(role) in modules and names.peft_name(role) not in excluded:
            targets.append(role)
    return tuple(targets)
