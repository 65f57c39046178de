"""BitFit (Ben Zaken et al. 2022, arXiv 2106.10199): only the biases are trained.

Every bias ``b`` of a layer (of its six linear layers and two layer normalisations) acts as ``b + sum over active names
of d``. Biases outside the layers, those of the embeddings' normalisation, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.methods import _offsets as with_offsets
from adaptstilts.methods.base import AdapterMethod, ascending

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

_PLACES = 8


class BitFit(AdapterMethod):
    """Offsets of the biases of a frozen encoder.

    Attributes:
        leave_out: indices of layers whose biases stay, 0 the lowest.
    """

    kind: Literal["bitfit"] = "bitfit"
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    default_lr: ClassVar[float] = 1e-3

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * (7 h + i)``, with ``i`` the inner size of the feed-forward block."""
        return len(self.layers(shape["layers"])) * (7 * shape["hidden"] + shape["intermediate"])

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach new offsets, all zero."""
        with_offsets.attach(trunk, name, self.layers(len(trunk.encoder.layer)), _moved)

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Add up the offsets of ``names``."""
        with_offsets.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach offsets."""
        with_offsets.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Offsets by the name of their bias in a plain encoder."""
        return with_offsets.tensors(trunk, name)

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers in which every bias has an offset of this name."""
        return with_offsets.attached_layers(trunk, name, _PLACES)

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """``names``, unless some bias has one of them and does not use it, or uses another one."""
        return with_offsets.active(trunk, names)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``."""
        with_offsets.save(self, self.tensors(trunk, name), folder)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> BitFit:
        """Recognise offsets of biases."""
        return with_offsets.read_config(cls, folder)


def _moved(module: nn.Module) -> tuple[str, ...]:
    from torch import nn

    return ("bias",) if isinstance(module, nn.Linear | nn.LayerNorm) else ()
