"""DeBERTa v2 and v3 (He et al. 2021, arXiv 2006.03654 and 2111.09543), also multilingual: relative positions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from adaptstilts.methods.host import ModuleNames
from adaptstilts.models.architectures.base import SIZES, Architecture
from adaptstilts.models.architectures.bert import TEXT_FORMAT
from adaptstilts.models.architectures.fields import SETTINGS, ConfigField, only, small_number

_HEAD = "of a head that is not part of the encoder"
_BOTH_WAYS = ("p2c|c2p", "c2p|p2c", ["p2c", "c2p"], ["c2p", "p2c"])  # positions attend to content, and the other way

# The library takes content alone for a config without this field, which no published model is.
_ATTENTION_TYPES = ConfigField("p2c|c2p", None, lambda value: value in _BOTH_WAYS, "'p2c|c2p'")


def _required(value: Any) -> ConfigField:
    """Return a field with one supported value, which the library does not take by itself."""
    return replace(only(value), absent=None)


class DebertaV2(Architecture):
    """mDeBERTa v3, DeBERTa v3, and v2 without a convolution."""

    name = "deberta-v2"
    model_class = "DebertaV2Model"
    load_options: ClassVar[Mapping[str, Any]] = {"attn_implementation": "eager"}
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        linear={
            "query": "attention.self.query_proj",
            "key": "attention.self.key_proj",
            "value": "attention.self.value_proj",
            "attention_output": "attention.output.dense",
            "intermediate": "intermediate.dense",
            "output": "output.dense",
        },
        peft={"query": "query_proj", "key": "key_proj", "value": "value_proj"},
        prefix="deberta",
        adapters=frozenset({"bottleneck", "invertible", "compacter", "prefix"}),
        runs_without_layers=False,
    )
    text_format = replace(TEXT_FORMAT, token_types=False)
    sizes: ClassVar[Mapping[str, str]] = {**SIZES, "buckets": "position_buckets"}
    settings: ClassVar[Mapping[str, ConfigField]] = {
        **{name: field for name, field in SETTINGS.items() if name not in ("position_embedding_type", "pruned_heads")},
        "layer_norm_eps": small_number(1e-7, absent=1e-7),
        "relative_attention": _required(True),
        "norm_rel_ebd": _required("layer_norm"),
        "share_att_key": _required(True),
        "position_biased_input": _required(False),
        "pos_att_type": _ATTENTION_TYPES,
        "max_relative_positions": only(-1),
        "conv_kernel_size": only(0),
        "type_vocab_size": only(0),
    }
    ignored: ClassVar[Mapping[str, str]] = {
        **Architecture.ignored,
        **dict.fromkeys(("pooler_dropout", "pooler_hidden_act", "pooler_hidden_size", "legacy"), _HEAD),
    }
    embeddings: ClassVar[Mapping[str, str]] = {"vocab_size": "word_embeddings.weight"}
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "microsoft/mdeberta-v3-base": {
            "hidden": 768,
            "layers": 12,
            "heads": 12,
            "intermediate": 3072,
            "vocabulary": 251_000,
            "positions": 512,
            "buckets": 256,
        },
    }

    def _why_not_settings(self, config: Mapping[str, Any]) -> str | None:
        absent = [name for name, field in self.settings.items() if field.absent is None and name not in config]
        if absent:
            field = self.settings[absent[0]]
            return f"{absent[0]} is missing, expected {field.expected}"
        return super()._why_not_settings(config)

    def _sizes_of(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        sizes = super()._sizes_of(shapes)
        ends = ((key, shape) for key, shape in shapes.items() if key.endswith("encoder.rel_embeddings.weight"))
        sizes.update(("position_buckets", shape[0] // 2) for key, shape in ends)
        return sizes

    def identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a config says beyond sizes and weights; the ways to write both directions are one."""
        return super().identity({**config, "pos_att_type": "p2c|c2p"})

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor is of a pooler, or of a generator's or a discriminator's head."""
        heads = ("lm_predictions.", "mask_predictions.", "cls.")
        return super().is_unused(key) or key.startswith(heads)

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters: relative positions, with a normalisation, instead of absolute ones."""
        hidden = shape["hidden"]
        absolute = (shape["positions"] + 1) * hidden
        return super().parameters(shape) - absolute + (2 * shape["buckets"] + 2) * hidden


ARCHITECTURE = DebertaV2()
