"""Download a model from the hub: only the files that are read, with the weights in one format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from adaptstilts.errors import ConfigError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.models import architectures, sentence_transformers, tokenizer_files
from adaptstilts.models.config import CONFIG
from adaptstilts.models.weight_files import BINARY, BINARY_INDEX, INDEX, WEIGHTS
from adaptstilts.registry import nearest

_SMALL = (CONFIG, *tokenizer_files.NAMES)
_WEIGHTS = (  # in the order in which they are looked for
    (WEIGHTS,),
    (INDEX, "model-*-of-*.safetensors"),
    (BINARY,),
    (BINARY_INDEX, "pytorch_model-*-of-*.bin"),
)


def fetch(name: str, revision: str | None, offline: bool, memory: hashing.Digests) -> Path:
    """Download a model from the hub, or find it in the hub's cache.

    Args:
        name: ``owner/name``.
        revision: commit, branch or tag; None for the default branch.
        offline: use the cache alone.
        memory: digests of files that were hashed before.

    Returns:
        Its folder in the hub's cache.

    Raises:
        ConfigError: the name is not a hub id.
        ResourceError: the model must be downloaded and cannot be, or a download is damaged.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"{name!r} is neither the folder of a model nor a hub id of the form owner/name{_hint(name)}")
    small = [*_anywhere(_SMALL), *sentence_transformers.NAMES]
    folder = _download(name, revision, [*small, *_anywhere(_WEIGHTS[0])], offline)
    for number, names in enumerate(_WEIGHTS):
        if number:
            folder = _download(name, folder.name, _anywhere(names), offline)
        if any((place / names[0]).is_file() for place in (folder, folder / sentence_transformers.TRANSFORMER)):
            break
    for path in folder.rglob("*"):
        if path.is_file():
            hashing.check_download(path, memory)
    return folder


def _anywhere(names: Sequence[str]) -> list[str]:
    """Return the names for a model's folder and for its ``0_Transformer``."""
    return [*names, *(f"{sentence_transformers.TRANSFORMER}/{name}" for name in names)]


def _download(name: str, revision: str | None, patterns: list[str], offline: bool) -> Path:
    """Download the files of a model that have certain names."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=offline)
    except LocalEntryNotFoundError:
        why = "--offline forbids fetching it" if offline else "the hub cannot be reached"
        raise ResourceError(f"model {name}: not in the local cache, and {why}; give a local folder") from None
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResourceError(f"model {name}: cannot be fetched from the hub ({reason})") from None
    return Path(folder)


def _hint(name: str) -> str:
    """Return the end of the message for an unknown name: the hub ids that may be meant."""
    published: dict[str, str] = {}
    for architecture in architectures.known().values():
        published.update((hub_id.partition("/")[2], hub_id) for hub_id in architecture.published)
    near = [name] if name in published else nearest(name, published)
    if not near or "/" in name:
        return ""
    return f"; did you mean {' or '.join(published[one] for one in near)}?"
