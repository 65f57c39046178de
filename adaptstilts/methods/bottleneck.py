"""Bottleneck adapters (Houlsby et al. 2019; Pfeiffer et al. 2021), through the ``adapters`` library.

With ``h`` the output of a layer's feed-forward block before its residual ``x``, an adapter adds
``up(relu(down(LayerNorm(h + x))))`` to ``h`` (Pfeiffer et al. 2021, arXiv 2005.00247); two stacked adapters do so
one after the other. Placement ``double`` adds a second module after the attention block (Houlsby et al. 2019,
arXiv 1902.00751).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import Method, ascending, read_json

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


class Bottleneck(Method):
    """A small two-layer network in every layer of a frozen encoder.

    Attributes:
        placement: ``seq`` (after the feed-forward block) or ``double`` (after attention as well).
        reduction: hidden size divided by the size of the bottleneck.
        leave_out: indices of layers without an adapter, 0 the lowest.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    placement: Literal["seq", "double"] = "seq"
    reduction: int = Field(16, ge=1, le=1024)
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "adapters"
    stackable: ClassVar[bool] = True
    default_lr: ClassVar[float] = 1e-4

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * modules * (2 h b + b + h)`` with ``b = h // reduction``, one at least."""
        hidden, bottleneck = shape["hidden"], max(shape["hidden"] // self.reduction, 1)
        one = 2 * hidden * bottleneck + bottleneck + hidden
        return len(self.layers(shape["layers"])) * one * (2 if self.placement == "double" else 1)

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Give every layer the places where adapters go; without one the outputs stay bit-equal."""
        import adapters

        adapters.init(trunk)

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new adapter."""
        trunk.add_adapter(name, config=self._library_config())

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Stack ``names``, the first lowest."""
        from adapters.composition import Stack

        trunk.set_active_adapters(Stack(*names) if names else None)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an adapter; nothing is active afterwards."""
        trunk.set_active_adapters(None)
        trunk.delete_adapter(name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names the library gives them in its files."""
        mark = f".adapters.{name}."
        return {key: value for key, value in trunk.named_parameters() if mark in key}

    def found(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers whose slots hold this name at every place the placement asks for."""
        wanted = {"output"} | ({"attention"} if self.placement == "double" else set())
        places: dict[int, set[str]] = {}
        for index, place, names in _slots(trunk):
            if name in names:
                places.setdefault(index, set()).add(place)
        return {index for index, found in places.items() if found == wanted}

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """The members of the active stack; any other setup by its own notation, which is no adapter's name."""
        from adapters.composition import Stack

        setup = trunk.adapters_config.active_setup
        if setup is None:
            return ()
        plain = isinstance(setup, Stack) and all(isinstance(child, str) for child in setup.children)
        return tuple(setup.children) if plain else (repr(setup),)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors``, as the library does."""
        folder.mkdir(parents=True, exist_ok=True)
        trunk.save_adapter(str(folder), name, with_head=False, use_safetensors=True)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Bottleneck:
        """Recognise a bottleneck adapter; anything this class would compute otherwise is refused."""
        path = folder / "adapter_config.json"
        held = read_json(path).get("config")
        if not isinstance(held, dict):
            raise ArtifactError(f"{path}: not the config of a bottleneck adapter: no mapping under config")
        try:
            method = cls(
                placement="double" if held["mh_adapter"] else "seq",
                reduction=int(held["reduction_factor"]),
                leave_out=tuple(held["leave_out"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of a bottleneck adapter ({error})") from None
        expected = method._library_config().to_dict()
        wrong = sorted(key for key in {*held, *expected} if held.get(key) != expected.get(key))
        if wrong:
            raise ArtifactError(
                f"{path}: {', '.join(f'{key}={held.get(key)!r}' for key in wrong)} is not what a"
                f" {method.placement} bottleneck has; only placements seq and double are read"
            )
        return method

    def _library_config(self) -> Any:
        from adapters import DoubleSeqBnConfig, SeqBnConfig

        config = SeqBnConfig if self.placement == "seq" else DoubleSeqBnConfig
        return config(reduction_factor=self.reduction, leave_out=list(self.leave_out))


def _slots(trunk: XLMRobertaModel) -> Iterator[tuple[int, str, set[str]]]:
    for index, layer in enumerate(trunk.encoder.layer):
        yield index, "output", set(layer.output.adapters)
        yield index, "attention", set(layer.attention.output.adapters)
