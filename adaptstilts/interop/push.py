"""Upload an exported folder with the hub's own client; the token comes from the environment or a login."""

from __future__ import annotations

import re
from pathlib import Path

from adaptstilts.errors import ConfigError, ResourceError
from adaptstilts.formats.locate import CONFIG
from adaptstilts.interop.export import CARD
from adaptstilts.study import REPO

_FILES = ["*.json", "*.safetensors", CARD]
_REFUSED = {
    401: "the hub does not accept the token; create a new one, or log in again",
    403: "the token may not write there; use one with write access to that owner",
}


def push(folder: Path, repo: str, private: bool = False, offline: bool = False) -> str:
    """Upload what :func:`adaptstilts.interop.export.write` wrote, and create the repository if it does not exist.

    Args:
        folder: folder with the adapter and its card.
        repo: ``owner/name`` on the hub.
        private: create a private repository.
        offline: refuse to upload.

    Returns:
        Address of the commit.

    Raises:
        ConfigError: the folder is not such a folder, or the repository is not a hub id.
        ResourceError: offline, no token, a token that may not write there, or a hub that cannot be reached.
    """
    if not re.fullmatch(REPO, repo):
        raise ConfigError(f"{repo!r}: expected a hub id of the form owner/name")
    missing = [name for name in (CONFIG, CARD) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder}: no {missing[0]}; push a folder that `adaptstilts export-adapter` wrote")
    if offline:
        raise ResourceError(f"{repo}: --offline forbids uploading")
    import huggingface_hub

    if not huggingface_hub.get_token():
        raise ResourceError(f"{repo}: no hub token; set HF_TOKEN to one that may write, or run `hf auth login`")
    try:
        huggingface_hub.create_repo(repo, private=private, exist_ok=True)
        commit = huggingface_hub.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=_FILES, commit_message="Upload adapter with adaptstilts"
        )
    except Exception as error:
        raise _translated(error, repo) from None
    return str(commit.commit_url)


def _translated(error: Exception, repo: str) -> Exception:
    """Translate an error of the hub's client into one of ours; return an unexpected error as it is."""
    from huggingface_hub.errors import HfHubHTTPError

    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code if error.response is not None else 0
        return ResourceError(f"{repo}: {_REFUSED.get(status, f'the hub refused the upload ({reason})')}")
    if isinstance(error, OSError):  # connection errors of the client are among these
        return ResourceError(f"{repo}: the hub cannot be reached ({reason})")
    if isinstance(error, ValueError):
        return ConfigError(f"{repo}: the hub refused the card or the name ({reason})")
    return error
