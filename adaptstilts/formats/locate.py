"""Where an adapter is: a local folder, or a repository of the hub, of which only the few files needed are fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import hashing

CONFIG = "adapter_config.json"
RECORD = "adaptstilts.json"  # of our own exports: what the adapter was made with
SAFE = ("adapter.safetensors", "adapter_model.safetensors")
PICKLED = ("pytorch_adapter.bin", "adapter_model.bin")
BESIDE = ("head_config.json", "adapter_fusion_config.json", "embedding.pt")  # told of, never read
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PLACE = re.compile(rf"({_PART}/{_PART})(?::({_PART}(?:/{_PART})*))?(?:@({_PART}(?:/{_PART})*))?")


@dataclass(frozen=True)
class Found:
    """A folder with an adapter's files.

    Attributes:
        folder: where they are.
        place: as it was asked for, for messages.
        revision: commit of the hub's repository; empty for a local folder.
    """

    folder: Path
    place: str
    revision: str = ""


def is_place(text: str) -> bool:
    """Whether a text can be where an adapter is: a folder that is there, or of the form of a hub id."""
    return Path(text).expanduser().is_dir() or _PLACE.fullmatch(text) is not None


def locate(place: str, offline: bool = False) -> Found:
    """The files of ``FOLDER`` or ``owner/name[:folder][@revision]``; a folder that is there goes first.

    Raises:
        ConfigError: neither, or the hub has no such repository or revision.
        ResourceError: it must be fetched and cannot be.
        ArtifactError: there is no adapter in it.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise ArtifactError(f"{place}: no {CONFIG} in it{_instead(_below(folder))}")
        return Found(folder, place)
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ConfigError(f"adapter {place!r}: neither a folder nor a hub id, owner/name[:folder][@revision]")
    repo, below, revision = match.groups()
    return _fetch(place, repo, below or "", revision, offline)


def _fetch(place: str, repo: str, below: str, revision: str | None, offline: bool) -> Found:
    from huggingface_hub import snapshot_download

    names = [f"{below}/{name}" if below else name for name in (CONFIG, RECORD, *SAFE, *PICKLED, *BESIDE[:2])]
    try:
        root = Path(snapshot_download(repo, revision=revision, allow_patterns=names, local_files_only=offline))
    except Exception as error:
        raise _told(error, place, repo, revision, offline) from None
    found = Found(root / below, place, root.name)
    if not (found.folder / CONFIG).is_file():
        others = [] if offline else _listed(repo, root.name)
        raise ArtifactError(f"adapter {place}: no {CONFIG} there{_instead(others)}")
    for path in found.folder.iterdir():
        if path.is_file():
            hashing.check_download(path, hashing.Digests(None))
    return found


def _told(error: Exception, place: str, repo: str, revision: str | None, offline: bool) -> Exception:
    """What went wrong with the hub, as one of ours; anything unexpected as it is."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return ResourceError(f"adapter {place}: {repo} is gated; accept its terms on the hub and log in")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ConfigError(f"adapter {place}: the hub has no repository {repo} (or it is private: log in for it)")
    if isinstance(error, errors.RevisionNotFoundError):
        return ConfigError(f"adapter {place}: {repo} has no revision {revision!r}; name a commit, branch or tag of it")
    if isinstance(error, errors.LocalEntryNotFoundError):
        why = "--offline forbids fetching it" if offline else "the hub cannot be reached"
        return ResourceError(f"adapter {place}: not in the local cache, and {why}; give a local folder")
    if isinstance(error, errors.HfHubHTTPError | OSError | ValueError):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return ResourceError(f"adapter {place}: cannot be fetched from the hub ({reason})")
    return error


def _listed(repo: str, revision: str) -> list[str]:
    from huggingface_hub import HfApi

    try:
        names = [file.rfilename for file in HfApi().model_info(repo, revision=revision).siblings or ()]
    except Exception:  # only to suggest something; what is wrong is told anyway
        return []
    return sorted(name.removesuffix(f"/{CONFIG}") for name in names if name.endswith(f"/{CONFIG}"))


def _below(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))


def _instead(names: list[str]) -> str:
    if not names:
        return "; expected a folder as the adapters library or peft writes it"
    told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"; folders in it that have one: {told}; name one of them"
