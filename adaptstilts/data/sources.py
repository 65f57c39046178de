"""From a ``Source`` to parquet files: a local folder laid out like the hub, or the hub itself.

Both ways share one rule for which files a split has (the ``configs`` of the repository's card, else the usual names)
and give the same files, whose sha256 is the identity of the data. The first load of a split is recorded as its pin:
if the same repository later gives other bytes, that is an error and never silently another result.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from adaptstilts import digests
from adaptstilts.errors import DataError, ResourceError
from adaptstilts.files import replace_text
from adaptstilts.tasks.base import Source

CARD = "README.md"
PACKAGED = Path(__file__).resolve().parents[1] / "sample" / "hub"  # laid out like any data root


@dataclass(frozen=True)
class Split:
    """One split at hand: its parquet files in order, and the digest of their contents."""

    source: Source
    files: tuple[Path, ...]
    digest: str

    def identity(self, version: int) -> str:
        """What content keys hold of a split: its content, and the version of the task that reads it."""
        return digests.of([self.digest, version])


class Sources:
    """Finds, fetches and pins splits.

    A repository that ships with the package is read from there, whatever the data root, and also offline.

    Args:
        root: local data root (``<root>/<owner>/<name>/...``), used instead of the hub; None for the hub.
        offline: never open a socket: only what the hub's cache already has is used.
        pins: folder in which first loads are recorded; None to record nothing.
        memory: remembered file hashes.
    """

    def __init__(
        self,
        root: Path | None = None,
        offline: bool = False,
        pins: Path | None = None,
        memory: digests.Digests | None = None,
    ) -> None:
        if root is not None and not root.is_dir():
            raise DataError(f"{root}: the data root is not a folder; expected <owner>/<name>/... as on the hub")
        self.root, self.offline, self.pins = root, offline, pins
        self.memory = memory or digests.Digests(None)
        self._found: dict[Source, Split | None] = {}
        self._listings: dict[Path, tuple[str, ...]] = {}

    def find(self, source: Source) -> Split | None:
        """The split, fetched if need be; None when neither the repository nor a mirror has it."""
        bare = replace(source, where=None)
        if bare not in self._found:
            self._found[bare] = self._find(bare)
        split = self._found[bare]
        if split is not None and source.where is not None:
            column, value = source.where
            if not any(value in _values(path, column, self.memory.of_file(path)) for path in split.files):
                return None
        return split and replace(split, source=source)

    def get(self, source: Source) -> Split:
        """The split.

        Raises:
            DataError: nobody has it, a file is not parquet, or its content is not what it was at first load.
            ResourceError: offline or no connection, and it is not in the cache.
        """
        split = self.find(source)
        if split is None:
            place = f"under {self.root}" if self.root else "on the hub"
            names = " or ".join((source.repo, *source.mirrors))
            raise DataError(f"no split {source.split!r} of config {source.config!r} in {names} {place}")
        return split

    def _find(self, source: Source) -> Split | None:
        unknown: ResourceError | None = None
        for repo in (source.repo, *source.mirrors):
            here = replace(source, repo=repo)
            try:
                root = PACKAGED if (PACKAGED / repo).is_dir() else self.root
                files = self._local(root, here) if root else self._hub(here)
            except ResourceError as error:
                if not self.offline:
                    raise
                unknown, files = unknown or error, []
            if files:
                for path in files:
                    rows(path)
                hashes = [self.memory.of_file(path) for path in files]
                self._pin(here, hashes)
                return Split(source, tuple(files), digests.of(hashes))
        if unknown is not None:
            raise unknown
        return None

    def _local(self, root: Path, source: Source) -> list[Path]:
        folder = root / source.repo
        if folder not in self._listings:
            self._listings[folder] = _listing(folder)
        names = self._listings[folder]
        text = _read_card(folder / CARD) if CARD in names else ""
        return [folder / name for name in match(text, names, source.config, source.split)]

    def _hub(self, source: Source) -> list[Path]:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

        pinned = self._pinned(source)
        revision = source.revision or (pinned or {}).get("revision")
        try:
            if pinned and "files" in pinned and "revision" in pinned:
                names = [name for name, _ in pinned["files"]]
            elif self.offline:
                return self._not_cached(source)
            else:
                info = HfApi().dataset_info(source.repo, revision=revision)
                revision = info.sha
                listing = [file.rfilename for file in info.siblings or ()]
                card = ""
                if CARD in listing:
                    path = hf_hub_download(source.repo, CARD, repo_type="dataset", revision=revision)
                    card = _read_card(Path(path))
                names = match(card, listing, source.config, source.split)
            paths = [
                Path(
                    hf_hub_download(
                        source.repo,
                        name,
                        repo_type="dataset",
                        revision=revision,
                        local_files_only=self.offline,
                    )
                )
                for name in names
            ]
        except RepositoryNotFoundError:
            return []
        except (HfHubHTTPError, OSError) as error:
            if self.offline and isinstance(error, LocalEntryNotFoundError):
                return self._not_cached(source)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ResourceError(
                f"{source}: cannot be fetched from the hub ({reason}); put its files under a folder laid out"
                f" like the hub and give it as --data-root"
            ) from None
        for path in paths:
            digests.check_download(path, self.memory)
        self._record(source, {"revision": revision, "files": [[name, ""] for name in names]}, names)
        return paths

    def _not_cached(self, source: Source) -> list[Path]:
        raise ResourceError(
            f"{source}: not in the local cache, and --offline forbids fetching it; run once without --offline"
            f" or give a local folder as --data-root"
        )

    def _pin_file(self, source: Source) -> Path | None:
        if self.pins is None:
            return None
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", f"{source.config}--{source.split}")
        return self.pins / source.repo.replace("/", "--") / f"{safe}.json"

    def _pinned(self, source: Source) -> dict[str, Any] | None:
        path = self._pin_file(source)
        if path is None or not path.is_file():
            return None
        try:
            held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(held, dict) or not {"sha256", "revision"} & set(held):
                raise ValueError("expected a JSON object")
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a readable pin of {source} ({error}); delete it to pin anew") from None
        return held

    def _record(self, source: Source, pin: dict[str, Any], names: Sequence[str]) -> None:
        path = self._pin_file(source)
        if path is not None and not path.exists() and names:
            replace_text(path, json.dumps(pin))

    def _pin(self, source: Source, hashes: list[str]) -> None:
        path, pinned = self._pin_file(source), self._pinned(source)
        if path is None:
            return
        if pinned and "sha256" in pinned:
            if pinned["sha256"] != hashes:
                raise DataError(
                    f"{source}: the content is not what it was when it was first loaded (sha256"
                    f" {pinned['sha256'][0][:12]}..., now {hashes[0][:12]}...); restore it, or delete {path} to"
                    f" accept the new data"
                )
            return
        replace_text(path, json.dumps({**(pinned or {}), "sha256": hashes}))


def match(card: str, names: Iterable[str], config: str, split: str) -> list[str]:
    """Which of a repository's files belong to one split.

    Args:
        card: text of the repository's README, whose front matter may list ``configs``.
        names: paths of all files, relative to the repository.
        config: config name.
        split: split name.

    Returns:
        Paths of parquet files in order; empty when there are none.
    """
    names = sorted(name for name in names if name.endswith(".parquet"))
    patterns = _card_patterns(card).get((config, split))
    if patterns is None:
        patterns = (f"{config}/{split}-*.parquet", f"{config}/{split}/*.parquet", f"{config}/{split}.parquet")
        if config == "default":
            patterns += (f"data/{split}-*.parquet", f"{split}-*.parquet")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


@lru_cache(maxsize=64)
def _card_patterns(card: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """(config, split) -> file patterns, from the YAML front matter of a data card."""
    found = re.match(r"---\s*\n(.*?\n)---\s*\n", card, re.DOTALL)
    if not found:
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        front = yaml.load(found.group(1), Loader=loader)  # noqa: S506 (a safe loader, the C one where it exists)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return {}
    patterns: dict[tuple[str, str], tuple[str, ...]] = {}
    for config in _members(front, "configs"):
        for files in _members(config, "data_files"):
            if isinstance(files, dict):
                path = files.get("path")
                key = (str(config.get("config_name")), str(files.get("split")))
                patterns[key] = tuple(map(str, path)) if isinstance(path, list) else (str(path),)
    return patterns


def _members(part: Any, key: str) -> list[Any]:
    """The list under a key of a card that anybody may have written; empty when it is another thing."""
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []


def _read_card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def _listing(folder: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@lru_cache(maxsize=256)
def _values(path: Path, column: str, digest: str) -> frozenset[str]:
    """The values of a column that tells rows of a shared file apart; remembered by the file's digest."""
    import pyarrow.parquet

    try:
        return frozenset(pyarrow.parquet.read_table(path, columns=[column])[column].unique().to_pylist())
    except (KeyError, OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: the column {column!r} cannot be read ({error})") from None


def rows(path: Path) -> int:
    """Number of rows of a parquet file, from its footer.

    Raises:
        DataError: the file is truncated or not parquet.
    """
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        count: int = pyarrow.parquet.read_metadata(path).num_rows
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: not a readable parquet file ({reason}); copy or fetch it again") from None
    return count
