"""The ``config.json`` of a model: read and checked, without importing torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object
from adaptstilts.models import architectures

CONFIG = "config.json"
_LARGEST = 10_000_000  # bytes; a published one has less than a thousand
_ATTENTION = ("eager", "sdpa")


def read_config(folder: Path) -> dict[str, Any]:
    """Read the ``config.json`` of a model, which must not ask for code, and be of a supported architecture.

    Raises:
        ArtifactError: names the file, the key and what is expected.
    """
    path = folder / CONFIG
    config = read_object(path, "model config", max_bytes=_LARGEST, finite=True)
    for key in ("auto_map", "_attn_implementation_internal", "quantization_config"):
        if config.get(key):
            raise ArtifactError(f"{path}: {key!r} is refused: a model's config may not name code to load")
    attention = config.get("_attn_implementation", config.get("attn_implementation"))
    if attention is not None and attention not in _ATTENTION:
        raise ArtifactError(f"{path}: attention implementation {attention!r} is refused; only eager and sdpa are")
    kind, known = config.get("model_type"), architectures.known()
    if not isinstance(kind, str) or kind not in known:
        raise ArtifactError(f"{path}: model type {kind!r} is not supported; supported: {', '.join(known)}")
    if reason := known[kind].why_not(config):
        raise ArtifactError(f"{path}: {reason}")
    return config
