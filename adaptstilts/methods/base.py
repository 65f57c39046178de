"""What a method is: settings, what follows from them, and for adapters how they attach to an encoder.

A method says what it *can do*, and all other code asks for that, never for a kind by name:

* ``trains_encoder``: a training phase changes the encoder's own weights and leaves a new encoder (full fine-tuning);
* :class:`AdapterMethod`: a training phase leaves the encoder as it is and attaches named modules to it;
* neither: only the task's head is trained.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from adaptstilts.io.json import read_object

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adaptstilts.methods.host import Host, ModuleNames


def ascending(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Return layer indices in the one order that content keys have, each once."""
    return tuple(sorted(set(indices)))


NAME_IN_KEYS = "adapter"  # what an adapter is called in the keys of its own tensors, whatever it is called elsewhere
LayerIndices = Annotated[tuple[int, ...], Field(strict=False), AfterValidator(ascending)]


class Method(BaseModel):
    """How a training phase adapts the encoder; known without importing torch.

    Subclasses that give ``kind`` a default are the members of the ``kind:`` union in study files.

    Attributes:
        kind: the word for the method in study files and content keys.
        trains_encoder: whether a phase trains the encoder's own weights, so that later phases start from a new encoder.
        attaches: whether a phase attaches an adapter; true of every :class:`AdapterMethod`.
        default_lr: learning rate if a study gives none.
        decayed: whether weight decay applies to the matrices in the encoder.
        flops_per_weight: floating-point operations of a training step for one weight of the encoder and one token: 2
            for the forward pass, 2 for the gradients of activations, 2 for those of weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: str
    trains_encoder: ClassVar[bool] = False
    attaches: ClassVar[bool] = False
    default_lr: ClassVar[float] = 1e-4
    decayed: ClassVar[bool] = True
    flops_per_weight: ClassVar[int] = 4

    def identity(self) -> dict[str, Any]:
        """Return the part of content keys: the kind and the fields that differ from their defaults."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}

    @property
    def label(self) -> str:
        """Return a short name for tables: the kind and the settings that differ from their defaults."""
        changed = {key: value for key, value in self.identity().items() if key != "kind"}
        return self.kind + "".join(f" {key}={value}" for key, value in changed.items())

    @property
    def below(self) -> Method:
        """Return the method of the intermediate phases under a target of this method: by default the same."""
        return self

    @property
    def changes_encoder(self) -> bool:
        """Return whether training changes what the encoder computes, and not the task's head alone."""
        return self.trains_encoder or self.attaches

    @property
    def is_reference(self) -> bool:
        """Return whether tables compare the other methods of a study with this one."""
        return False

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Return why these settings make no sense on an encoder; None if they do.

        Args:
            shape: sizes of the encoder, see :class:`adaptstilts.models.locate.Model`.
        """
        depth = shape["layers"]
        missing = [layer for layer in getattr(self, "leave_out", ()) if not 0 <= layer < depth]
        if missing:
            return f"the model has no layer {missing[0]}, its {depth} layers are counted from 0"
        if self.changes_encoder and not self.layers(depth):
            return "leaves out every layer of the model"
        return None

    def why_not_for(self, names: ModuleNames) -> str | None:
        """Return why the method does not work on encoders of an architecture; None if it does.

        Args:
            names: what the architecture's modules are called.
        """
        return None

    def why_not_stackable(self) -> str | None:
        """Return why two adapters with these settings cannot act one over the other; None if they can."""
        return None

    def why_not_above(self) -> str | None:
        """Return why an adapter with these settings cannot act over another one; None if it can."""
        return None

    def why_not_mergeable(self) -> str | None:
        """Return why adapters with these settings have no weighted sum of the same form; None if they have one."""
        return None if self.changes_encoder else "it does not train the encoder"

    def why_not_fusable(self) -> str | None:
        """Return why AdapterFusion cannot combine adapters with these settings; None if it can."""
        return "it attends over the outputs of bottleneck adapters, and this method has none"

    @property
    def merge_settings(self) -> dict[str, Any]:
        """Return the settings that adapters must share to have a weighted sum."""
        return {key: value for key, value in self.identity().items() if key != "leave_out"}

    @classmethod
    def merged_method(cls, methods: Sequence[Method]) -> Method:
        """Return the method of a weighted sum of adapters; it leaves out the layers that all of them leave out.

        Args:
            methods: methods of the adapters, all of this class and with equal :attr:`merge_settings`.
        """
        first = methods[0]
        if "leave_out" not in cls.model_fields:
            return first
        left_out = set.intersection(*(set(getattr(method, "leave_out", ())) for method in methods))
        return first.model_copy(update={"leave_out": ascending(tuple(left_out))})

    def layers(self, depth: int) -> tuple[int, ...]:
        """Return the indices of the layers that this method changes in an encoder of ``depth`` layers."""
        left_out = set(getattr(self, "leave_out", ()))
        return tuple(i for i in range(depth) if i not in left_out)

    def lowest(self, depth: int) -> int:
        """Return the lowest layer whose output the method changes, or ``depth`` if it changes none."""
        return min(self.layers(depth), default=depth)

    @property
    def spares_attention(self) -> bool:
        """Return whether the attention block of the lowest changed layer is unchanged."""
        return False

    def lowest_block(self, depth: int) -> int:
        """Return the lowest block whose output changes: ``2 i`` attention, ``2 i + 1`` feed-forward of layer ``i``."""
        lowest = self.lowest(depth)
        return 2 * lowest + (self.spares_attention and lowest < depth)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return the number of trainable parameters in the encoder.

        Args:
            shape: sizes of the encoder, see :class:`adaptstilts.models.locate.Model`.
        """
        raise NotImplementedError

    def frozen_modules(self, host: Host) -> list[nn.Module]:
        """Return the modules that stay frozen if the method trains the encoder's own weights."""
        return []


@runtime_checkable
class MergesIntoEncoder(Protocol):
    """A method whose adapters can become part of the encoder's weights, which then take no longer to run."""

    def merge_into(self, host: Host) -> None:
        """Merge the adapters that act into the weights of the encoder, which are changed for good.

        Args:
            host: the encoder.
        """


class AdapterMethod(Method):
    """A method that attaches named modules to an encoder whose own weights stay as they are.

    Attributes:
        backend: what changes the encoder's modules: ``adapters`` or ``peft`` for these libraries, ``plain`` for none.
            One encoder object has one backend for life, because the libraries silently undo each other's changes.
    """

    attaches: ClassVar[bool] = True
    backend: ClassVar[str] = "plain"

    def prepare(self, host: Host) -> None:
        """Make a plain encoder ready for this method's backend; called once, before the first adapter."""

    @abstractmethod
    def add(self, host: Host, name: str) -> None:
        """Attach a new adapter, initialised from torch's global generator.

        Args:
            host: the encoder.
            name: name of the adapter.
        """

    @abstractmethod
    def activate(self, host: Host, names: Sequence[str]) -> None:
        """Make exactly these adapters active.

        Args:
            host: the encoder.
            names: names of attached adapters, the first lowest; empty for the bare encoder.
        """

    @abstractmethod
    def remove(self, host: Host, name: str) -> None:
        """Detach an adapter.

        Args:
            host: the encoder.
            name: name of the adapter.
        """

    @abstractmethod
    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return an adapter's parameters by their key in the library's own file format.

        Args:
            host: the encoder.
            name: name of the adapter on this encoder; in keys it is ``NAME_IN_KEYS``, whatever it is here.
        """

    def present_keys(self, stored: Collection[str], expected: Collection[str]) -> dict[str, str]:
        """Return the key that :meth:`tensors` has today for every key of a file; one that fits nothing stays as it is.

        Args:
            stored: keys of the file, as of the encoder alone.
            expected: keys of :meth:`tensors`.
        """
        return {key: key for key in stored}

    @abstractmethod
    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the indices of the layers in which the encoder has all modules of an adapter.

        Args:
            host: the encoder.
            name: name of the adapter.
        """

    @abstractmethod
    def active(self, host: Host, names: Sequence[str]) -> tuple[str, ...]:
        """Return ``names`` if exactly these are active, in order; else those active in the first layer that differs.

        Args:
            host: the encoder.
            names: names of the adapters that should be active, the first lowest.
        """

    @abstractmethod
    def save(self, host: Host, name: str, folder: Path) -> None:
        """Write an adapter in the library's own format, with its weights as safetensors.

        Args:
            host: the encoder.
            name: name of the adapter.
            folder: where the files go; created if missing.
        """

    @classmethod
    @abstractmethod
    def read_config(cls, folder: Path, depth: int, names: ModuleNames) -> AdapterMethod:
        """Return the method that a folder in the library's own format describes.

        Args:
            folder: folder with the adapter's files.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.

        Raises:
            ArtifactError: the config has a key or a value that this method does not implement.
        """

    @classmethod
    def merged_tensors(
        cls, parts: Sequence[tuple[Method, Mapping[str, Tensor]]], weights: Sequence[float]
    ) -> dict[str, Tensor]:
        """Return the tensors of a weighted sum of adapters; a tensor that an adapter lacks counts as zeros.

        Args:
            parts: method and tensors of each adapter, by the keys of :meth:`tensors`.
            weights: one for each; they need not sum to one and may be negative.
        """
        total: dict[str, Tensor] = {}
        for (_, tensors), weight in zip(parts, weights, strict=True):
            for key, value in tensors.items():
                total[key] = total[key] + weight * value if key in total else weight * value
        return total


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a config file of an adapter.

    Raises:
        ArtifactError: the file is missing, unreadable, or holds anything but an object.
    """
    return read_object(path, "adapter config")


def write_adapter(
    folder: Path,
    config: str,
    tensors: Mapping[str, Tensor],
    weights_name: str,
    config_name: str = "adapter_config.json",
) -> None:
    """Write an adapter's folder.

    Args:
        folder: created if missing.
        config: text of the config file.
        tensors: by key.
        weights_name: name of the safetensors file.
        config_name: name of the config file.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / config_name).write_text(config, encoding="utf-8")
    contiguous = {key: value.detach().contiguous() for key, value in tensors.items()}
    save_file(contiguous, str(folder / weights_name), metadata={"format": "pt"})
