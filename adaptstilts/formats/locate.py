"""Find an adapter's files: in a local folder, or in a repository of the hub, of which only they are downloaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import hashing

CONFIG = "adapter_config.json"
RECORD = "adaptstilts.json"  # in our own exports: what the adapter was trained on
SAFE = ("adapter.safetensors", "adapter_model.safetensors")
PICKLED = ("pytorch_adapter.bin", "adapter_model.bin")
IGNORED = ("head_config.json", "adapter_fusion_config.json")  # files whose presence is noted, never read
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PLACE = re.compile(rf"({_PART}/{_PART})(?::({_PART}(?:/{_PART})*))?(?:@({_PART}(?:/{_PART})*))?")
_LISTED = 5  # folders that a message suggests


@dataclass(frozen=True)
class AdapterFolder:
    """A folder with an adapter's files.

    Attributes:
        folder: where they are.
        place: as the user named it, for messages.
        revision: commit of the hub's repository; empty for a local folder.
    """

    folder: Path
    place: str
    revision: str = ""


def is_place(text: str) -> bool:
    """Return whether a text may name an adapter: an existing folder, or something of the form of a hub id."""
    return Path(text).expanduser().is_dir() or _PLACE.fullmatch(text) is not None


def locate(place: str, offline: bool = False) -> AdapterFolder:
    """Return the folder of an adapter, downloaded if needed.

    Args:
        place: ``FOLDER`` or ``owner/name[:folder][@revision]``; an existing folder is preferred.
        offline: use only the local cache of the hub.

    Raises:
        ConfigError: neither, or the hub has no such repository or revision.
        ResourceError: it must be downloaded and cannot be.
        ArtifactError: the folder has no adapter.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise ArtifactError(f"{place}: no {CONFIG} in it{_suggestion(_subfolders(folder))}")
        return AdapterFolder(folder, place)
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ConfigError(f"adapter {place!r}: neither a folder nor a hub id, owner/name[:folder][@revision]")
    repo, subfolder, revision = match.groups()
    return _download(_HubAdapter(place, repo, subfolder or "", revision), offline)


@dataclass(frozen=True)
class _HubAdapter:
    """What a place on the hub says.

    Attributes:
        place: the whole text.
        repo: ``owner/name``.
        subfolder: subfolder of the repository; empty for its root.
        revision: commit, branch or tag; None for the default branch.
    """

    place: str
    repo: str
    subfolder: str
    revision: str | None


def _download(source: _HubAdapter, offline: bool) -> AdapterFolder:
    """Download an adapter's files and nothing else, and compare them with the hub's sums."""
    from huggingface_hub import snapshot_download

    names = [CONFIG, RECORD, *SAFE, *PICKLED, *IGNORED]
    if source.subfolder:
        names = [f"{source.subfolder}/{name}" for name in names]
    try:
        snapshot = snapshot_download(
            source.repo, revision=source.revision, allow_patterns=names, local_files_only=offline
        )
    except Exception as error:
        raise _translated(error, source, offline) from None
    root = Path(snapshot)
    folder = root / source.subfolder
    if not (folder / CONFIG).is_file():
        others = [] if offline else _hub_folders(source.repo, root.name)
        raise ArtifactError(f"adapter {source.place}: no {CONFIG} there{_suggestion(others)}")
    for path in folder.iterdir():
        if path.is_file():
            hashing.check_download(path, hashing.Digests(None))
    return AdapterFolder(folder, source.place, root.name)


def _translated(error: Exception, source: _HubAdapter, offline: bool) -> Exception:
    """Translate an error of the hub's client into one of ours; return an unexpected error as it is."""
    from huggingface_hub import errors

    what, repo = f"adapter {source.place}", source.repo
    if isinstance(error, errors.GatedRepoError):
        return ResourceError(f"{what}: {repo} is gated; accept its terms on the hub and log in")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ConfigError(f"{what}: the hub has no repository {repo} (or it is private: log in for it)")
    if isinstance(error, errors.RevisionNotFoundError):
        return ConfigError(f"{what}: {repo} has no revision {source.revision!r}; name a commit, branch or tag of it")
    if isinstance(error, errors.LocalEntryNotFoundError):
        reason = "--offline forbids fetching it" if offline else "the hub cannot be reached"
        return ResourceError(f"{what}: not in the local cache, and {reason}; give a local folder")
    if isinstance(error, errors.HfHubHTTPError | OSError | ValueError):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return ResourceError(f"{what}: cannot be fetched from the hub ({reason})")
    return error


def _hub_folders(repo: str, revision: str) -> list[str]:
    """Return the folders of a repository that have an adapter; none if the hub does not answer.

    The list is only a suggestion in a message, so no error is raised.
    """
    from huggingface_hub import HfApi

    try:
        names = [file.rfilename for file in HfApi().model_info(repo, revision=revision).siblings or ()]
    except Exception:
        return []
    return sorted(name.removesuffix(f"/{CONFIG}") for name in names if name.endswith(f"/{CONFIG}"))


def _subfolders(folder: Path) -> list[str]:
    """Return the folders directly below that have an adapter."""
    return sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))


def _suggestion(names: list[str]) -> str:
    """Return the end of a message about a folder without an adapter."""
    if not names:
        return "; expected a folder as the adapters library or peft writes it"
    listed = ", ".join(names[:_LISTED])
    more = ", ..." if len(names) > _LISTED else ""
    return f"; folders in it that have one: {listed}{more}; name one of them"
