"""DistilBERT (Sanh et al. 2019, arXiv 1910.01108): half of BERT's layers, and one type of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from adaptstilts.methods.host import ModuleNames, module_at
from adaptstilts.models.architectures.base import Architecture, LanguageModelLayout
from adaptstilts.models.architectures.bert import TEXT_FORMAT, bert_sizes
from adaptstilts.models.architectures.fields import ACTIVATIONS, ConfigField, flag, one_of, probability, token_id

if TYPE_CHECKING:
    from torch import nn


class DistilBert(Architecture):
    """DistilBERT, in English and multilingual."""

    name = "distilbert"
    model_class = "DistilBertModel"
    masked_model_class = "DistilBertForMaskedLM"
    # With "sdpa", the adapters library adds 1 to the scores of a prefix as soon as a batch has padding.
    load_options: ClassVar[Mapping[str, Any]] = {"attn_implementation": "eager"}
    names = ModuleNames(
        layers="transformer.layer",
        inputs=("embeddings",),
        linear={
            "query": "attention.q_lin",
            "key": "attention.k_lin",
            "value": "attention.v_lin",
            "attention_output": "attention.out_lin",
            "intermediate": "ffn.lin1",
            "output": "ffn.lin2",
        },
        peft={
            "query": "q_lin",
            "key": "k_lin",
            "value": "v_lin",
            "attention_output": "out_lin",
            "intermediate": "lin1",
            "output": "lin2",
        },
        prefix="distilbert",
        adapters=frozenset({"bottleneck", "invertible", "compacter", "prefix"}),
    )
    text_format = replace(TEXT_FORMAT, token_types=False)
    sizes: ClassVar[Mapping[str, str]] = {
        "hidden": "dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "intermediate": "hidden_dim",
        "vocabulary": "vocab_size",
        "positions": "max_position_embeddings",
    }
    embeddings: ClassVar[Mapping[str, str]] = {
        "vocab_size": "word_embeddings.weight",
        "max_position_embeddings": "position_embeddings.weight",
    }
    settings: ClassVar[Mapping[str, ConfigField]] = {
        "activation": one_of("gelu", ACTIVATIONS),
        "dropout": probability(0.1),
        "attention_dropout": probability(0.1),
        "sinusoidal_pos_embds": flag(False),
        "pad_token_id": token_id(0),
    }
    ignored: ClassVar[Mapping[str, str]] = {
        **Architecture.ignored,
        "qa_dropout": "of a head that is not part of the encoder",
        "seq_classif_dropout": "of a head that is not part of the encoder",
        "tie_weights_": "of a head that is not part of the encoder",
        "output_past": "of text generation, which encoders do not do",
    }
    dropout = "dropout"
    language_model: ClassVar[LanguageModelLayout] = LanguageModelLayout(
        module="",
        prefix="vocab_",
        keys={
            "dense.weight": "transform.weight",
            "dense.bias": "transform.bias",
            "layer_norm.weight": "layer_norm.weight",
            "layer_norm.bias": "layer_norm.bias",
            "bias": "projector.bias",
        },
        tied=frozenset({"vocab_projector.weight"}),
        epsilon=1e-12,
    )
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "distilbert/distilbert-base-multilingual-cased": bert_sizes(768, 6, 12, vocabulary=119_547),
        "distilbert/distilbert-base-cased": bert_sizes(768, 6, 12, vocabulary=28_996),
    }

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters: those of BERT without embeddings of token types."""
        return super().parameters(shape) - shape["hidden"]

    def tap(self, model: Any, layer: int) -> tuple[nn.Module, bool]:
        """Return the module at which a hidden state can be read, see the base class."""
        if layer == 0:
            return module_at(model, "embeddings"), True
        return super().tap(model, layer)


ARCHITECTURE = DistilBert()
