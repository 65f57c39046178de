"""Fetch splits from the Hugging Face hub through its own client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.data.cards import CARD
from adaptstilts.data.pins import Pins
from adaptstilts.errors import DataError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.tasks.base import Source

FileChooser = Callable[[Source, str, Iterable[str]], list[str]]


class Unreadable(ResourceError):
    """A repository that exists but cannot be read; raised only if no mirror works."""


@dataclass(frozen=True)
class Fetched:
    """Files of a split in the hub's cache.

    Attributes:
        files: paths in order; empty if there is no such repository, config or split.
        origin: what a pin records of their origin: the commit, and names.
    """

    files: tuple[Path, ...]
    origin: dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit: their names, and the text of its card."""

    commit: str
    names: tuple[str, ...]
    card: str


class Hub:
    """Fetches splits; lists every repository once.

    Args:
        offline: open no socket; only what was fetched before is used.
        pins: record of the commits and file names of earlier loads.
        memory: remembered file hashes.
        choose: function from a source, the card and all file names of its repository to the names of its files.
    """

    def __init__(self, offline: bool, pins: Pins, memory: hashing.Digests, choose: FileChooser) -> None:
        self.offline, self.pins, self.memory, self.choose = offline, pins, memory, choose
        self._listings: dict[tuple[str, str | None], Listing] = {}

    def fetch(self, source: Source) -> Fetched:
        """Return the files of a source, without its mirrors.

        Raises:
            DataError: the repository does not have the revision.
            ResourceError: there is no connection, or the download is damaged.
            Unreadable: the repository is gated or disabled, or offline and not in the cache.
        """
        from huggingface_hub import errors

        try:
            fetched = self._fetch(source)
        except errors.RevisionNotFoundError:
            raise DataError(self._no_revision(source)) from None
        except (errors.GatedRepoError, errors.DisabledRepoError):
            raise Unreadable(
                f"{source}: the repository is gated or disabled; accept its terms on the hub and log in"
                f" (`hf auth login`), or put its files into a folder laid out like the hub and give it as --data-root"
            ) from None
        except errors.RepositoryNotFoundError:
            return Fetched((), {})
        except (errors.HfHubHTTPError, OSError, ValueError) as error:
            if self.offline and isinstance(error, errors.LocalEntryNotFoundError):
                raise _not_cached(source) from None
            raise ResourceError(
                f"{source}: cannot be fetched from the hub ({_reason(error)}); put its files into a folder laid out"
                f" like the hub and give it as --data-root"
            ) from None
        for path in fetched.files:
            hashing.check_download(path, self.memory)
        return fetched

    def _fetch(self, source: Source) -> Fetched:
        from huggingface_hub import hf_hub_download

        pinned = self.pins.get(source)
        if "files" in pinned and "revision" in pinned:
            commit, names = pinned["revision"], [name for name, _ in pinned["files"]]
        elif self.offline:
            raise _not_cached(source)
        else:
            listing = self._listing(source.repo, source.revision or pinned.get("revision"))
            commit, names = listing.commit, self._chosen(source, listing)
        files = [
            hf_hub_download(source.repo, name, repo_type="dataset", revision=commit, local_files_only=self.offline)
            for name in names
        ]
        return Fetched(tuple(map(Path, files)), {"revision": commit, "files": [[name, ""] for name in names]})

    def _chosen(self, source: Source, listing: Listing) -> list[str]:
        try:
            return self.choose(source, listing.card, listing.names)
        except DataError as error:
            raise DataError(f"{source.repo}/{error}") from None

    def _listing(self, repo: str, revision: str | None) -> Listing:
        from huggingface_hub import HfApi, hf_hub_download

        if (repo, revision) not in self._listings:
            info = HfApi().dataset_info(repo, revision=revision)
            names = tuple(file.rfilename for file in info.siblings or ())
            card = ""
            if CARD in names:
                card = read_card(Path(hf_hub_download(repo, CARD, repo_type="dataset", revision=info.sha)))
            self._listings[repo, revision] = Listing(str(info.sha), names, card)
        return self._listings[repo, revision]

    def _no_revision(self, source: Source) -> str:
        revision, remedy = source.revision, "name a commit, branch or tag that it has"
        pinned = self.pins.get(source)
        if "revision" in pinned:
            revision = pinned["revision"]
            remedy = f"it was first loaded at that one; delete {self.pins.path(source)} to accept its present state"
        return (
            f"{source}: {source.repo} has no revision {revision!r} on the hub; {remedy}, or put the files into a folder"
            f" laid out like the hub and give it as --data-root"
        )


def read_card(path: Path) -> str:
    """Return the text of a repository's card.

    Raises:
        DataError: the card is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def _not_cached(source: Source) -> Unreadable:
    return Unreadable(
        f"{source}: not in the local cache, and --offline forbids fetching it; run once without --offline"
        f" or give a local folder as --data-root"
    )


def _reason(error: Exception) -> str:
    """Return the first line of an error, or of its cause if the client only says that it failed."""
    cause: BaseException = error
    if type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__:
        cause = error.__cause__
    lines = str(cause).splitlines()
    return lines[0] if lines else type(cause).__name__
