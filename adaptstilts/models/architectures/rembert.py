"""RemBERT (Chung et al. 2021, arXiv 2010.12821): wide layers over narrow embeddings, in 110 languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adaptstilts.methods.host import ModuleNames, module_at
from adaptstilts.models.architectures.base import SIZES, Architecture
from adaptstilts.models.architectures.bert import INTERFACE, LINEAR, PEFT, TEXT_FORMAT

if TYPE_CHECKING:
    from torch import nn

_PROJECTION = "encoder.embedding_hidden_mapping_in"
_WORDS = ".word_embeddings.weight"
_HEAD = "of a head that is not part of the encoder"


class RemBert(Architecture):
    """RemBERT. Its language-model head has output embeddings of its own and is not supported."""

    name = "rembert"
    model_class = "RemBertModel"
    masked_model_class = "RemBertForMaskedLM"
    load_options: ClassVar[Mapping[str, Any]] = {"add_pooling_layer": False, "attn_implementation": "eager"}
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings", _PROJECTION),
        linear=LINEAR,
        peft=PEFT,
        prefix="rembert",
        adapters=frozenset({"bottleneck"}),
        interface=INTERFACE,
    )
    text_format = TEXT_FORMAT
    sizes: ClassVar[Mapping[str, str]] = {**SIZES, "embedding": "input_embedding_size"}
    ignored: ClassVar[Mapping[str, str]] = {
        **Architecture.ignored,
        **dict.fromkeys(("output_embedding_size", "classifier_dropout_prob"), _HEAD),
    }
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "google/rembert": {
            "hidden": 1152,
            "layers": 32,
            "heads": 18,
            "intermediate": 4608,
            "vocabulary": 250_300,
            "positions": 512,
            "embedding": 256,
        },
    }

    def _sizes_of(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        sizes = super()._sizes_of(shapes)
        sizes.update(("input_embedding_size", shape[1]) for key, shape in shapes.items() if key.endswith(_WORDS))
        return sizes

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor is of a pooler or of the language-model head."""
        return super().is_unused(key) or key.startswith("cls.")

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters, with the projection of the embeddings to the width of the layers."""
        hidden, width = shape["hidden"], shape["embedding"]
        inputs = shape["vocabulary"] + shape["positions"] + 2 + 2
        return super().parameters(shape) - inputs * hidden + inputs * width + (width + 1) * hidden

    def tap(self, model: Any, layer: int) -> tuple[nn.Module, bool]:
        """Return the module at which a hidden state can be read, see the base class."""
        if layer == 0:
            return module_at(model, _PROJECTION), True
        return super().tap(model, layer)


ARCHITECTURE = RemBert()
