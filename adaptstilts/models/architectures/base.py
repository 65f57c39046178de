"""What the toolkit must know of an architecture: one description each, and none needs torch to be imported.

Everything else asks the description: loading, tokenizing, position limits, hidden states by layer, methods, language
modelling, pretraining, imports and exports of adapters. So an architecture is one file with a subclass of
:class:`Architecture` and one instance of it, in this folder, in a plug-in (entry points of the group
``adaptstilts.architectures``) or given to :func:`adaptstilts.models.architectures.add`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adaptstilts.errors import ConfigError
from adaptstilts.methods.host import Host, ModuleNames, module_at

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
    """

    begin: str
    end: str
    between: tuple[str, ...]
    pad: str
    unknown: str
    mask: str
    token_types: bool = False


@dataclass(frozen=True)
class LanguageModelLayout:
    """The head for masked tokens: a dense layer, GELU, a normalisation, and the word embeddings as output weights.

    Attributes:
        module: its name in a masked language model of ``transformers``.
        prefix: of its keys in a weights file.
        keys: parameter of our head -> key after the prefix.
        tied: keys of a weights file that repeat other weights.
        epsilon: of the normalisation.
    """

    module: str
    prefix: str
    keys: Mapping[str, str]
    tied: frozenset[str]
    epsilon: float


class Architecture(ABC):
    """An architecture; the defaults are those of most encoders of the BERT family.

    Attributes:
        name: ``model_type`` in a model's ``config.json``.
        model_class: the class of the encoder without a head, in ``transformers``.
        masked_model_class: the class with a masked-language-model head.
        load_options: arguments of ``from_pretrained``: what is left out, and how attention is computed.
        names: what its modules are called.
        text_format: special tokens of its tokenizers, and how they stand around texts.
        sizes: size -> its field in the config.
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
    sizes: ClassVar[Mapping[str, str]] = SIZES
    dropout: ClassVar[str] = "hidden_dropout_prob"
    language_model: ClassVar[LanguageModelLayout | None] = None
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {}

    def why_not(self, config: Mapping[str, Any]) -> str | None:
        """Return why a model with this config is not supported; None if it is."""
        missing = [name for name in self.sizes.values() if type(config.get(name)) is not int]
        return f"expected whole numbers for {', '.join(missing)}" if missing else None

    def shape(self, config: Mapping[str, Any]) -> dict[str, int]:
        """Return the sizes that a config gives, by the names that all architectures share."""
        return {size: int(config[name]) for size, name in self.sizes.items()}

    def max_tokens(self, positions: int) -> int:
        """Return the most tokens of a sequence, special tokens included, with so many position embeddings."""
        return positions

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor of a weights file is not part of the encoder: a pooler or a language-model head."""
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
        """Return the module at which a hidden state can be read, and whether as its output (else as its first input).

        Args:
            model: the encoder.
            layer: 0 for the input of the lowest layer, n for the output of the n-th.
        """
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
