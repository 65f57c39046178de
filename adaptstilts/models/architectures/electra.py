"""ELECTRA (Clark et al. 2020, arXiv 2003.10555): BERT's layers over embeddings that may have another width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from adaptstilts.methods.host import Host, ModuleNames
from adaptstilts.models.architectures.base import SIZES, Architecture, LanguageModelLayout
from adaptstilts.models.architectures.bert import LINEAR, PEFT, TEXT_FORMAT, bert_sizes

_PROJECTION = "embeddings_project"  # there only if the embeddings have another width than the layers
_WORDS = ".word_embeddings.weight"
_HEAD = "of a head that is not part of the encoder"


class Electra(Architecture):
    """ELECTRA small, base and large. A generator has a language-model head, a discriminator has none."""

    name = "electra"
    model_class = "ElectraModel"
    masked_model_class = "ElectraForMaskedLM"
    load_options: ClassVar[Mapping[str, Any]] = {"attn_implementation": "eager"}
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        attention="attention",
        linear=LINEAR,
        peft=PEFT,
        prefix="electra",
        adapters=frozenset({"bottleneck", "compacter", "prefix"}),  # an invertible part would have another width
    )
    text_format = TEXT_FORMAT
    sizes: ClassVar[Mapping[str, str]] = {**SIZES, "embedding": "embedding_size"}
    ignored: ClassVar[Mapping[str, str]] = {
        **Architecture.ignored,
        **dict.fromkeys(("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"), _HEAD),
    }
    language_model: ClassVar[LanguageModelLayout] = LanguageModelLayout(
        module="",
        prefix="generator_",
        keys={
            "dense.weight": "predictions.dense.weight",
            "dense.bias": "predictions.dense.bias",
            "layer_norm.weight": "predictions.LayerNorm.weight",
            "layer_norm.bias": "predictions.LayerNorm.bias",
            "bias": "lm_head.bias",
        },
        tied=frozenset({"generator_lm_head.weight"}),
        epsilon="layer_norm_eps",
    )
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "google/electra-small-discriminator": {
            **bert_sizes(256, 12, 4, vocabulary=30_522),
            "embedding": 128,
        },
        "google/electra-base-discriminator": {**bert_sizes(768, 12, 12, vocabulary=30_522), "embedding": 768},
        "google/electra-large-discriminator": {**bert_sizes(1024, 24, 16, vocabulary=30_522), "embedding": 1024},
    }

    def _sizes_of(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        sizes = super()._sizes_of(shapes)
        sizes.update(("embedding_size", shape[1]) for key, shape in shapes.items() if key.endswith(_WORDS))
        return sizes

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor is of a pooler, or of a generator's or a discriminator's head."""
        return super().is_unused(key) or key.startswith("discriminator_predictions.")

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters; embeddings of another width have a projection to that of the layers."""
        hidden, width = shape["hidden"], shape["embedding"]
        inputs = shape["vocabulary"] + shape["positions"] + 2 + 2
        projection = (width + 1) * hidden if width != hidden else 0
        return super().parameters(shape) - inputs * hidden + inputs * width + projection

    def host(self, model: Any) -> Host:
        """Return an encoder as methods see it."""
        host = super().host(model)
        if not hasattr(model, _PROJECTION):
            return host
        return replace(host, names=replace(self.names, inputs=("embeddings", _PROJECTION)))


ARCHITECTURE = Electra()
