"""An exported folder to the hub, through the hub's own client. The token comes from the environment or a login."""

from __future__ import annotations

import re
from pathlib import Path

from adaptstilts.errors import AdaptstiltsError, ConfigError, ResourceError
from adaptstilts.formats.locate import CONFIG
from adaptstilts.interop.export import CARD
from adaptstilts.study import REPO

_FILES = ["*.json", "*.safetensors", CARD]


def push(folder: Path, repo: str, private: bool = False, offline: bool = False) -> str:
    """Upload what :func:`adaptstilts.interop.export.write` wrote, making the repository where there is none.

    Returns:
        Address of the commit.

    Raises:
        ConfigError: not such a folder, or no hub id.
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
        raise ResourceError(f"{repo}: no token of the hub; set HF_TOKEN to one that may write, or `hf auth login`")
    try:
        huggingface_hub.create_repo(repo, private=private, exist_ok=True)
        done = huggingface_hub.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=_FILES, commit_message="Upload adapter with adaptstilts"
        )
    except Exception as error:
        raise _told(error, repo) from None
    return str(done.commit_url)


def _told(error: Exception, repo: str) -> Exception:
    """What went wrong, as one of ours; anything unexpected as it is."""
    from huggingface_hub.errors import HfHubHTTPError

    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    found: AdaptstiltsError
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code if error.response is not None else 0
        told = {
            401: "the hub does not accept the token; make a new one, or log in again",
            403: "the token may not write there; use one with write access to that owner",
        }
        found = ResourceError(f"{repo}: {told.get(status, f'the hub refused the upload ({reason})')}")
    elif isinstance(error, OSError):  # connection errors of the client are among these
        found = ResourceError(f"{repo}: the hub cannot be reached ({reason})")
    elif isinstance(error, ValueError):
        found = ConfigError(f"{repo}: the hub refused the card or the name ({reason})")
    else:
        return error
    return found
