"""Descriptions of architectures: everything that the toolkit must know about one, without importing torch.

All other code asks the description: loading, tokenizing, position limits, hidden states by layer, methods, language
modelling, pretraining, imports and exports of adapters. So an architecture is one file with a subclass of
:class:`Architecture` and one instance of it, in this folder, in a plug-in (entry points of the group
``adaptstilts.architectures``) or given to :func:`adaptstilts.models.architectures.add`.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adaptstilts.errors import ConfigError
from adaptstilts.methods.host import Host, ModuleNames, module_at
from adaptstilts.models.architectures.fields import IGNORED, SETTINGS, ConfigField

if TYPE_CHECKING:
    from torch import nn

SIZES: Mapping[str, str] = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
}
EMBEDDINGS: Mapping[str, str] = {
    "vocab_size": "word_embeddings.weight",
    "max_position_embeddings": "position_embeddings.weight",
    "type_vocab_size": "token_type_embeddings.weight",
}


@dataclass(frozen=True)
class TextFormat:
    """How texts become sequences: ``begin a end``, and ``begin a between b end`` for a pair.

    Attributes:
        begin: first token, whose hidden state stands for the sequence.
        end: last token.
        between: tokens between two texts.
        pad: fills up a batch.
        unknown: a word without pieces.
        mask: a hidden token of masked language modelling.
        token_types: whether the tokens of ``b`` and the last ``end`` have another type (1) than those before (0).
        spaced_words: whether a word has other pieces after a blank than at the beginning of a text. A word of a
            sentence then gets those that it has after a blank.
    """

    begin: str
    end: str
    between: tuple[str, ...]
    pad: str
    unknown: str
    mask: str
    token_types: bool = False
    spaced_words: bool = False

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return the special tokens that a tokenizer must have."""
        return self.begin, self.end, *self.between, self.pad, self.unknown


@dataclass(frozen=True)
class LanguageModelLayout:
    """The head for masked tokens: a dense layer, GELU, a normalisation, and the word embeddings as output weights.

    Attributes:
        module: its name in a masked language model of ``transformers``.
        prefix: prefix of its keys in a weights file.
        keys: parameter of our head -> key after the prefix.
        tied: keys of a weights file that repeat other weights.
        epsilon: epsilon of the normalisation, or the field of the config that has it.
    """

    module: str
    prefix: str
    keys: Mapping[str, str]
    tied: frozenset[str]
    epsilon: float | str


class Architecture(ABC):
    """An architecture; the defaults are those of most encoders of the BERT family.

    Attributes:
        name: ``model_type`` in a model's ``config.json``.
        model_class: the class of the encoder without a head, in ``transformers``.
        masked_model_class: the class with a masked-language-model head.
        load_options: arguments with which a model is built: what is left out, and how attention is computed.
        names: what its modules are called.
        text_format: special tokens of its tokenizers, and how they stand around texts.
        other_formats: those of tokenizers that do not have the tokens of ``text_format``.
        sizes: size -> its field in the config.
        embeddings: field of the config -> end of the key of the weights whose first dimension it is.
        settings: other fields of the config that change what is computed.
        ignored: fields of the config that do not, and why; the library never gets them. Any other field is part of a
            model's identity, as it stands.
        pads_positions: whether positions are counted over tokens that are not ``pad_token_id``.
        dropout: the field of the config with the dropout probability of hidden states.
        language_model: layout of the language-model head; None if its heads are not supported.
        published: hub id -> sizes, for plans without the model at hand.
    """

    name: ClassVar[str]
    model_class: ClassVar[str]
    masked_model_class: ClassVar[str | None] = None
    load_options: ClassVar[Mapping[str, Any]] = {"add_pooling_layer": False, "attn_implementation": "sdpa"}
    names: ClassVar[ModuleNames]
    text_format: ClassVar[TextFormat]
    other_formats: ClassVar[tuple[TextFormat, ...]] = ()
    sizes: ClassVar[Mapping[str, str]] = SIZES
    embeddings: ClassVar[Mapping[str, str]] = EMBEDDINGS
    settings: ClassVar[Mapping[str, ConfigField]] = SETTINGS
    ignored: ClassVar[Mapping[str, str]] = IGNORED
    pads_positions: ClassVar[bool] = False
    dropout: ClassVar[str] = "hidden_dropout_prob"
    language_model: ClassVar[LanguageModelLayout | None] = None
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {}

    def why_not(self, config: Mapping[str, Any]) -> str | None:
        """Return why a model with this config is not supported; None if it is."""
        missing = [name for name in self.sizes.values() if type(config.get(name)) is not int]
        if missing:
            return f"expected whole numbers for {', '.join(missing)}"
        for name in self.sizes.values():
            if config[name] < 1:
                return f"{name} is {config[name]}, expected 1 or more"
        hidden, heads = self.sizes["hidden"], self.sizes["heads"]
        if config[hidden] % config[heads]:
            return f"{hidden} is {config[hidden]}, expected a multiple of {heads} ({config[heads]})"
        return self._why_not_settings(config)

    def _why_not_settings(self, config: Mapping[str, Any]) -> str | None:
        """Return the problem with fields other than sizes; None if there is none."""
        for name, field in self.settings.items():
            if name in config and not field.is_valid(config[name]):
                return f"{name} is {str(config[name])[:60]!r}, expected {field.expected}"
        pad, vocabulary = config.get("pad_token_id"), config[self.sizes["vocabulary"]]
        if type(pad) is int and pad >= vocabulary:
            return f"pad_token_id is {pad}, expected a number below vocab_size ({vocabulary})"
        return None

    def why_not_weights(self, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> str | None:
        """Return the size in which a config and its weights differ; None if they agree.

        Args:
            config: config of the model, without objections by :meth:`why_not`.
            shapes: shapes of the tensors in its weights file, by key.
        """
        for name, size in self._sizes_of(shapes).items():
            if name in config and (type(config[name]) is not int or config[name] != size):
                return f"{name} is {str(config[name])[:60]}, its weights have {size}"
        return None

    def _sizes_of(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """Return the sizes of the weights by the names of a config, if tensors with the usual names show them."""
        in_layer = re.compile(rf"(?:{re.escape(self.names.prefix)}\.)?{re.escape(self.names.layers)}\.(\d+)\.(.*)")
        output = f"{self.names.linear.get('output')}.weight"
        sizes: dict[str, int] = {}
        layers = set()
        for key, shape in shapes.items():
            if match := in_layer.fullmatch(key):
                layers.add(match[1])
                if match[2] == output and len(shape) == 2:
                    sizes[self.sizes["hidden"]], sizes[self.sizes["intermediate"]] = shape
        for field, end in self.embeddings.items():
            sizes.update((field, shape[0]) for key, shape in shapes.items() if key.endswith(f".{end}") and shape)
        return {**sizes, self.sizes["layers"]: len(layers)}

    def identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a config beyond sizes in which it differs from published models.

        Args:
            config: config of a model, without objections by :meth:`why_not`.

        Returns:
            Field -> value: fields that change what is computed, and unknown fields.
        """
        values = {name: config.get(name, field.absent) for name, field in self.settings.items()}
        special = {name: value for name, value in values.items() if value != self.settings[name].usual}
        known = {"model_type", *self.sizes.values(), *self.embeddings, *self.settings, *self.ignored}
        return {**special, **{name: value for name, value in config.items() if name not in known}}

    def library_fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a config that the library gets."""
        return {name: value for name, value in config.items() if name not in self.ignored and name != "model_type"}

    def shape(self, config: Mapping[str, Any]) -> dict[str, int]:
        """Return the sizes that a config gives, by the names that all architectures share."""
        return {size: int(config[name]) for size, name in self.sizes.items()}

    def format_of(self, tokens: Collection[str]) -> TextFormat:
        """Return the text format of a tokenizer; the usual one if it has the tokens of none."""
        formats = (self.text_format, *self.other_formats)
        return next((form for form in formats if set(form.tokens) <= set(tokens)), self.text_format)

    def max_tokens(self, positions: int) -> int:
        """Return the largest number of tokens per sequence, special ones included, for so many position embeddings."""
        return positions

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor in a weights file belongs to a pooler or language-model head, not to the encoder."""
        head = self.language_model is not None and self.language_model.prefix in key
        return head or "pooler." in key or key.endswith("position_ids")

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters of an encoder with these sizes.

        Word, position and type embeddings and their normalisation; in every layer four projections of the attention
        block, two of the feed-forward block, and two normalisations.
        """
        hidden, inner = shape["hidden"], shape["intermediate"]
        layer = 4 * hidden * hidden + 2 * hidden * inner + 9 * hidden + inner
        types = 2 if self.text_format.token_types else 1
        return (shape["vocabulary"] + shape["positions"] + types + 2) * hidden + shape["layers"] * layer

    def host(self, model: Any) -> Host:
        """Return an encoder as methods see it."""
        return Host(model, self.names, int(getattr(model.config, self.sizes["hidden"])))

    def tap(self, model: Any, layer: int) -> tuple[nn.Module, bool]:
        """Return the module at which a hidden state can be read, and whether it is its output or its first input.

        Args:
            model: the encoder.
            layer: 0 for the input of the lowest layer, n for the output of the n-th; that of the last one is normalised
                where the architecture has a normalisation after it.
        """
        if self.names.final and layer == getattr(model.config, self.sizes["layers"]):
            return module_at(model, self.names.final), True
        if layer:
            return module_at(model, self.names.layers)[layer - 1], True
        return module_at(model, self.names.layers.rpartition(".")[0]), False

    def new_masked_model(self, shape: Mapping[str, int], special_ids: Mapping[str, int]) -> Any:
        """Return a masked language model of ``transformers`` with random weights and without dropout, to pretrain.

        Args:
            shape: sizes by the names of ``sizes``, but ``positions`` as the most tokens of a sequence.
            special_ids: ids of the tokens ``begin``, ``end`` and ``pad``.

        Raises:
            ConfigError: the architecture does not say how.
        """
        raise ConfigError(f"{self.name}: encoders of this architecture cannot be pretrained here")
