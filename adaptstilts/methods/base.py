"""What every method has: a frozen config that knows its own label, size and how it attaches to a trunk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from adaptstilts.errors import ArtifactError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import XLMRobertaModel


ANY = "any"


class Method(BaseModel):
    """How a training phase adapts the encoder. Subclasses are the members of the ``kind:`` union in study files.

    A method that trains a *delta* (anything but full fine-tuning) attaches named modules to a trunk whose weights
    stay as they are; its functions below do so with the library that the method uses. One trunk object belongs to
    one ``backend`` for its whole life, because the libraries silently undo each other's changes; a method without
    modules has the backend :data:`ANY`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: str
    backend: ClassVar[str] = "plain"
    stackable: ClassVar[bool] = False
    default_lr: ClassVar[float] = 1e-4
    decayed: ClassVar[bool] = True  # whether weight decay may pull its matrices to zero

    def identity(self) -> dict[str, Any]:
        """What enters content keys: the kind and the fields that differ from their defaults."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}

    @property
    def label(self) -> str:
        """Short name for tables: the kind and what differs from its defaults."""
        changed = {k: v for k, v in self.identity().items() if k != "kind"}
        return self.kind + "".join(f" {key}={value}" for key, value in changed.items())

    @property
    def below(self) -> Method:
        """The method of the intermediate phases that a target of this method stands on: its own."""
        return self

    @property
    def refusal(self) -> str:
        """Why two adapters with these settings cannot act one over the other; empty where they can."""
        return ""

    @property
    def spares_attention(self) -> bool:
        """Whether the attention block of its lowest layer gives what it gives without the adapter."""
        return False

    @property
    def lowest_only(self) -> str:
        """Why such an adapter can only be the lowest of a stack; empty where it can be any."""
        return ""

    @property
    def unmergeable(self) -> str:
        """Why adapters with these settings have no weighted sum of the same form; empty where they have one."""
        return "nothing of the encoder is trained" if self.backend == ANY else ""

    @property
    def form(self) -> dict[str, Any]:
        """The settings that adapters must share to have a weighted sum."""
        return {key: value for key, value in self.identity().items() if key != "leave_out"}

    @classmethod
    def summed(cls, methods: Sequence[Method]) -> Method:
        """The method of a weighted sum of adapters; layers that all of them leave out are left out."""
        first = methods[0]
        if "leave_out" not in cls.model_fields:
            return first
        left = set.intersection(*(set(getattr(method, "leave_out", ())) for method in methods))
        return first.model_copy(update={"leave_out": ascending(tuple(left))})

    @classmethod
    def merged(cls, held: Sequence[tuple[Method, Mapping[str, Tensor]]], weights: Sequence[float]) -> dict[str, Tensor]:
        """The tensors of a weighted sum of adapters; one that an adapter does not have counts as zeros there.

        Args:
            held: method and tensors of each; keys without the adapter's name.
            weights: one for each; they need not sum to one and may be negative.
        """
        total: dict[str, Tensor] = {}
        for (_, tensors), weight in zip(held, weights, strict=True):
            for key, value in tensors.items():
                total[key] = total[key] + weight * value if key in total else weight * value
        return total

    def layers(self, depth: int) -> tuple[int, ...]:
        """Indices of the layers that hold a module of this method in an encoder of ``depth`` layers."""
        left_out = set(getattr(self, "leave_out", ()))
        return tuple(i for i in range(depth) if i not in left_out)

    def lowest(self, depth: int) -> int:
        """The lowest layer whose output such an adapter changes: ``depth`` where it changes nothing."""
        return min(self.layers(depth), default=depth)

    def lowest_block(self, depth: int) -> int:
        """The lowest block whose output it changes: ``2 i`` attention, ``2 i + 1`` feed-forward of layer ``i``."""
        lowest = self.lowest(depth)
        return 2 * lowest + (self.spares_attention and lowest < depth)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Trainable parameters of the encoder part, from the encoder's shape (see ``models.source``)."""
        raise NotImplementedError

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Make a plain trunk ready for this method's backend."""

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new delta called ``name``, initialised from torch's global generator."""
        raise NotImplementedError

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Make exactly ``names`` act, the first lowest; an empty sequence gives the bare encoder."""
        raise NotImplementedError

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach a delta."""
        raise NotImplementedError

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """The delta's parameters by the key under which the library's own file format stores them."""
        raise NotImplementedError

    def found(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Indices of the layers in which modules called ``name`` really exist."""
        raise NotImplementedError

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """``names`` if exactly they act, in order, wherever they have modules; else what acts where it differs."""
        raise NotImplementedError

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write the delta in the library's own format, weights as safetensors."""
        raise NotImplementedError

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Method:
        """The method described by a folder in the library's own format, for an encoder of ``depth`` layers.

        Raises:
            ArtifactError: the config holds a key or a value that this method does not implement.
        """
        raise NotImplementedError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of an adapter's folder.

    Raises:
        ArtifactError: missing, unreadable or something else than an object.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable adapter config ({error})") from None
    if not isinstance(held, dict):
        raise ArtifactError(f"{path}: not an adapter config: expected a JSON object, found {type(held).__name__}")
    return held


def write_files(
    folder: Path, config: str, name: str, tensors: Mapping[str, Tensor], config_name: str = "adapter_config.json"
) -> None:
    """Write an adapter's folder: its config, and the tensors under ``name``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / config_name).write_text(config, encoding="utf-8")
    held = {key: value.detach().contiguous() for key, value in tensors.items()}
    save_file(held, str(folder / name), metadata={"format": "pt"})


def ascending(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Layer indices in the one order that files keep, each once."""
    return tuple(sorted(set(indices)))
