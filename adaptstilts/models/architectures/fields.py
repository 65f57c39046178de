"""Fields of a model's ``config.json``: those that change a number, their valid values, and those without effect.

A field that the library gets is part of a model's identity; a field that is not is never passed to the library. So
nothing that changes a number can be left out of a content key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

# Names that `transformers` knows and that need no weights of their own.
ACTIVATIONS = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
    "gelu_pytorch_tanh", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid",
    "silu", "swish", "tanh",
)  # fmt: skip
POSITION_EMBEDDINGS = ("absolute", "relative_key", "relative_key_query")


@dataclass(frozen=True)
class ConfigField:
    """A field that changes what is computed.

    Attributes:
        usual: the value of published models; it adds nothing to a model's identity.
        absent: the value that the library takes if the field is missing.
        is_valid: whether a value is one that the field can have.
        expected: what :attr:`is_valid` accepts, in words.
    """

    usual: Any
    absent: Any
    is_valid: Callable[[Any], bool]
    expected: str

    @classmethod
    def of(cls, usual: Any, is_valid: Callable[[Any], bool], expected: str) -> Self:
        """Return a field whose usual value is also the one it has if it is missing."""
        return cls(usual, usual, is_valid, expected)


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; truth values are none."""
    return type(value) in (int, float)


def probability(usual: float) -> ConfigField:
    """Return the field of a dropout probability."""
    return ConfigField.of(usual, lambda value: is_number(value) and 0 <= value < 1, "a number from 0 to below 1")


def small_number(usual: float, absent: float) -> ConfigField:
    """Return the field of an epsilon.

    Args:
        usual: see :class:`ConfigField`.
        absent: see there.
    """
    return ConfigField(usual, absent, lambda value: is_number(value) and 0 <= value <= 1, "a number from 0 to 1")


def one_of(usual: str, values: Collection[str]) -> ConfigField:
    """Return the field of a name.

    Args:
        usual: see :class:`ConfigField`.
        values: every name.
    """
    return ConfigField.of(usual, lambda value: value in tuple(values), f"one of {', '.join(values)}")


def flag(usual: bool) -> ConfigField:
    """Return the field of a truth value."""
    return ConfigField.of(usual, lambda value: type(value) is bool, "true or false")


def only(usual: Any) -> ConfigField:
    """Return a field with one supported value."""
    return ConfigField.of(usual, lambda value: type(value) is type(usual) and value == usual, f"{usual!r}".lower())


def token_id(usual: int) -> ConfigField:
    """Return the field of a token's number."""
    return ConfigField.of(usual, lambda value: type(value) is int and value >= 0, "a whole number from 0 on")


def _is_pruning(value: Any) -> bool:
    """Return whether a value says which heads of which layers were removed."""
    if not isinstance(value, dict):
        return False
    heads = [head for of_layer in value.values() if isinstance(of_layer, list) for head in of_layer]
    numbers = all(type(head) is int and head >= 0 for head in heads)
    return numbers and all(isinstance(of_layer, list) for of_layer in value.values()) and all(map(str.isdigit, value))


SETTINGS: Mapping[str, ConfigField] = {
    "hidden_act": one_of("gelu", ACTIVATIONS),
    "hidden_dropout_prob": probability(0.1),
    "attention_probs_dropout_prob": probability(0.1),
    "layer_norm_eps": small_number(1e-12, absent=1e-12),
    "position_embedding_type": one_of("absolute", POSITION_EMBEDDINGS),
    "pad_token_id": token_id(0),
    "is_decoder": flag(False),
    "add_cross_attention": only(False),
    "pruned_heads": ConfigField.of({}, _is_pruning, "the numbers of heads by the number of a layer"),
}

_HEADS = "concerns a head that is not part of the encoder"
_OUTPUT = "selects further outputs; the toolkit reads only hidden states"
_GENERATION = "concerns text generation, which encoders do not do"
_TOKENIZER = "concerns the tokenizer, whose only file is tokenizer.json"
_NOTE = "a note"
_ADAPTERS = "concerns adapters in the folder, which are never read; a study says what is attached"
_STORAGE = "says how weights are stored; computation is in float32"

IGNORED: Mapping[str, str] = {
    "_name_or_path": _NOTE,
    "name_or_path": _NOTE,
    "_commit_hash": _NOTE,
    "transformers_version": _NOTE,
    "adapters_version": _NOTE,
    "architectures": "names the class that wrote the file; only the encoder is built",
    "finetuning_task": _NOTE,
    "task_specific_params": _NOTE,
    "problem_type": _HEADS,
    "num_labels": _HEADS,
    "id2label": _HEADS,
    "label2id": _HEADS,
    "classifier_dropout": _HEADS,
    "summary_type": _HEADS,
    "tie_word_embeddings": _HEADS,
    "initializer_range": "concerns new weights; every weight of the encoder comes from the file",
    "initializer_factor": "concerns new weights; every weight of the encoder comes from the file",
    "dtype": _STORAGE,
    "torch_dtype": _STORAGE,
    "use_bfloat16": _STORAGE,
    "attn_implementation": "the toolkit sets it",
    "_attn_implementation": "the toolkit sets it",
    "chunk_size_feed_forward": "computes the same in pieces, to save memory; the toolkit computes it at once",
    "gradient_checkpointing": "computes the same twice, to save memory; the toolkit does not",
    "use_cache": "keeps keys and values for text generation",
    "output_past": _OUTPUT,
    "output_attentions": _OUTPUT,
    "output_hidden_states": _OUTPUT,
    "return_dict": _OUTPUT,
    "torchscript": _OUTPUT,
    "tf_legacy_loss": "of another framework",
    "is_encoder_decoder": "concerns a model with a decoder beside the encoder",
    "tie_encoder_decoder": "concerns a model with a decoder beside the encoder",
    "cross_attention_hidden_size": "concerns a model with a decoder beside the encoder",
    "decoder_start_token_id": _GENERATION,
    "bos_token_id": _TOKENIZER,
    "eos_token_id": _TOKENIZER,
    "sep_token_id": _TOKENIZER,
    "tokenizer_class": _TOKENIZER,
    "prefix": _TOKENIZER,
    "adapters": _ADAPTERS,
    "adapter_fusion": _ADAPTERS,
    "adapter_fusion_models": _ADAPTERS,
    "prediction_heads": _ADAPTERS,
    **dict.fromkeys(
        (
            "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "temperature", "top_k", "top_p",
            "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
            "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
            "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "num_beam_groups",
            "diversity_penalty",
        ),
        _GENERATION,
    ),
}  # fmt: skip
