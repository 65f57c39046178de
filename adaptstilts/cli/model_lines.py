"""Describe a model, and say what works with it, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptstilts import methods
from adaptstilts.io.json import read_object
from adaptstilts.io.wording import counted, short_count
from adaptstilts.models import tokenizer_files, weight_files
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.headers import describe
from adaptstilts.models.locate import Model
from adaptstilts.models.sentence_transformers import transformer_folder
from adaptstilts.models.tensor_names import encoder_names
from adaptstilts.models.tokenizer_files import TOKENIZER

_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_SIZES = ("layers", "hidden", "heads", "intermediate", "vocabulary")


def model_lines(model: Model) -> Iterator[str]:
    """Yield a description of a model, after checking its weights.

    Args:
        model: a model whose files fit each other, as :func:`adaptstilts.models.locate.locate` checks.

    Raises:
        ArtifactError: a weight is missing, unexpected or not finite.
    """
    from adaptstilts.models.building import check_encoder

    check_encoder(model.folder)
    architecture = model.architecture
    yield f"model {model.name}: architecture {architecture.name} ({_description(architecture)})"
    yield f"folder: {model.source}"
    yield f"weights: {_weights(model)}, all finite, {short_count(model.shape['parameters'])} parameters"
    yield f"left out of the weights: {', '.join(model.left_out) or 'nothing'}"
    yield f"sizes: {', '.join(f'{name} {model.shape[name]}' for name in _SIZES)}"
    yield f"longest sequence: {model.max_tokens:,} tokens, special tokens included"
    yield f"tokenizer: {_tokenizer(model)}"
    yield f"language-model head: {_language_model_head(model)}"
    yield f"own pooling: {_pooling(model)}"
    yield from method_support(architecture, model.shape)


def method_support(architecture: Architecture, shape: Mapping[str, int] | None = None) -> Iterator[str]:
    """Yield the methods that work on an architecture, and those that do not, with the reason.

    Args:
        architecture: the architecture.
        shape: sizes of a model, which can rule out further methods; None for the architecture in general.
    """
    reasons: dict[str, list[str]] = {}
    supported = []
    for kind, cls in sorted(methods.known().items()):
        method = cls(kind=kind)
        reason = method.why_not_for(architecture.names) or (method.why_not_on(shape) if shape else None)
        if reason is None:
            supported.append(kind)
        else:
            reasons.setdefault(reason, []).append(kind)
    yield f"methods: {', '.join(supported)}"
    for reason, kinds in reasons.items():
        yield f"not with default settings: {', '.join(kinds)} ({reason})"


def _description(architecture: Architecture) -> str:
    return (type(architecture).__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _weights(model: Model) -> str:
    """Return the format and the number types of the weights."""
    files = weight_files.find(model.folder)
    descriptions = {}
    for part in files.parts:
        descriptions.update(describe(part)[0])
    names = encoder_names(descriptions.keys(), model.architecture)
    types = sorted({_TYPES.get(descriptions[name]["dtype"], descriptions[name]["dtype"]) for name in names})
    original = weight_files.find(transformer_folder(model.source))
    shards = f"{counted(len(original.parts), 'shard')} of " if original.index else ""
    form = "safetensors" if original.is_safe else "pytorch_model.bin, converted to safetensors"
    return f"{shards}{form}, {' and '.join(types)}"


def _tokenizer(model: Model) -> str:
    files = tokenizer_files.find(transformer_folder(model.source))
    vocabulary = read_object(model.tokenizer_folder / TOKENIZER, "tokenizer")["model"]
    origin = f", built from {' and '.join(path.name for path in files.paths)}" if files.is_built else ""
    return f"{vocabulary.get('type', 'WordPiece')}, {counted(len(vocabulary['vocab']), 'piece')}{origin}"


def _language_model_head(model: Model) -> str:
    layout = model.architecture.language_model
    if layout is None:
        return "not supported for this architecture, so it cannot be trained on text"
    names: set[str] = set()
    for part in weight_files.find(model.folder).parts:
        names.update(describe(part)[0])
    is_there = all(layout.prefix + key in names for key in layout.keys.values())
    return "in the weights" if is_there else "not in the weights; training on text starts with a new one"


def _pooling(model: Model) -> str:
    if model.pooling is None:
        return "none (no modules.json)"
    if model.pooling.reason:
        return f"cannot be used: {model.pooling.reason}"
    return f"{model.pooling.name} (select it with pooling: own)"
