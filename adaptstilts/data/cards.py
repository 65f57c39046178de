"""Which files of a repository make up a split: those that ``datasets`` takes for the same card, or a refusal.

A card (the repository's README) may list ``configs`` with their files in its front matter. Patterns are matched as
``fsspec`` matches them, so ``*`` stays within a folder and hidden files have to be asked for. Without a list, the usual
names of the hub are looked for: ``<config>/<split>-00000-of-00001.parquet``, ``<config>/<split>/*.parquet`` and
``<config>/<split>.parquet``. Every message begins with a path inside the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import yaml

from adaptstilts.errors import DataError
from adaptstilts.io.wording import counted

CARD = "README.md"
BOM = "\ufeff"
STANDALONE = ".huggingface.yaml"  # a second place for what a card says, which nobody here reads
OTHER_DATA = re.compile(r"\.(parquet|csv|tsv|jsonl?|ndjson|arrow|txt|xml)(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)
SHARD = re.compile(r"(?P<stem>.*?)-(?P<number>\d{4,6})-of-(?P<total>\d{4,6})(-[0-9a-f]{16})?(?P<rest>\..*)?$")
COPY = re.compile(r"( \(\d+\)| - Copy| copy)( \d+)?(?=\.[^.]+$)")  # what browsers and file managers add to a name

Patterns = dict[str, list[str]]


def files_of(card: str, names: Iterable[str], config: str, split: str, suffix: str = ".parquet") -> list[str]:
    """List the files of one split, in the order in which their rows follow one another.

    Args:
        card: text of the repository's README; empty if there is none.
        names: paths of all files, relative to the repository.
        config: name of the config.
        split: name of the split.
        suffix: how the names of its files end; ``.*`` stands for any ending.

    Returns:
        Paths relative to the repository; empty if the repository has no such split.

    Raises:
        DataError: the card cannot be followed, its patterns are ambiguous, or shards are missing or too many.
    """
    names = sorted(names)
    configs = _configs(card)
    if configs is None:
        files = _usual(names, config, split, suffix)
    elif STANDALONE in names:
        raise DataError(f"{STANDALONE}: not supported beside {CARD}; move what it says into {CARD}")
    else:
        files = _listed(configs.get(config), names, split, suffix)
    _check_copies(files)
    _check_shards(files)
    return files


def listed(card: str, config: str, split: str) -> str:
    """Say what a card lists instead of a split that it lacks, and what to do; empty if it lists nothing.

    Args:
        card: text of the repository's README.
        config: name of the config.
        split: name of the split.
    """
    configs = _configs(card)
    if configs is None:
        return ""
    if config not in configs:
        return f"{CARD} lists only the config {_some(configs)}; list it there as well"
    data_files = configs[config].get("data_files")
    splits = _patterns(data_files) if data_files else {}
    if split in splits:
        return f"{CARD} lists {_some(splits[split])}, and no such file is there; copy or fetch it"
    return f"{CARD} lists only the split {_some(splits)} of this config; list it there as well" if splits else ""


def _some(names: Iterable[str]) -> str:
    """Return names as one text; only the first of many."""
    every = [repr(name) for name in names]
    return ", ".join(every[:5]) + (", ..." if len(every) > 5 else "")


def _listed(entry: dict[str, Any] | None, names: Sequence[str], split: str, suffix: str) -> list[str]:
    """List the files that a card's entry gives to a split."""
    if entry is None:
        return []
    base = posixpath.normpath(str(entry.get("data_dir") or "."))
    patterns = _patterns(entry["data_files"]) if entry.get("data_files") else _default_patterns(base, names)
    listed: list[str] = []
    missing: list[str] = []
    for pattern in patterns.get(split, []):
        matches = _matching(posixpath.normpath(posixpath.join(base, pattern)), pattern, names)
        listed += matches or []
        missing += [pattern] if matches is None else []
    files = [name for name in listed if _ends(name, suffix)]
    if files and missing:
        raise DataError(f"{CARD}: the split {split!r} has {missing[0]!r}, which is not there; copy or fetch it")
    others = [name for name in listed if name not in files and OTHER_DATA.search(name)]
    if files and others:
        raise DataError(f"{CARD}: the split {split!r} has files of several formats: {files[0]}, {others[0]}")
    twice = sorted({name for name in files if files.count(name) > 1})
    if twice:
        raise DataError(f"{CARD}: the split {split!r} has {twice[0]} twice, so its rows would count twice")
    return files


def _matching(path: str, pattern: str, names: Sequence[str]) -> list[str] | None:
    """List the files that one pattern of a card stands for; None if it names a single file that is not there."""
    from fsspec.core import has_magic
    from fsspec.utils import glob_translate

    if path.startswith(("../", "/")) or "//" in pattern or "::" in pattern:
        raise DataError(f"{CARD}: expected a path inside the repository, found {pattern!r}")
    if not has_magic(path):
        return [path] if path in names else None
    try:
        matcher = re.compile(glob_translate(path))
    except ValueError as error:
        raise DataError(f"{CARD}: {pattern!r} is not a pattern ({error})") from None
    return [name for name in names if matcher.match(name) and not _unasked(name, path)]


def _unasked(name: str, pattern: str) -> bool:
    """Tell whether a name has a hidden part, or lies in a special folder, that its pattern does not write out."""

    def hidden(path: str) -> int:
        return sum(part.startswith(".") for part in PurePosixPath(path).parts)

    def special(path: str) -> int:
        return sum(part.startswith("__") for part in PurePosixPath(path).parent.parts)

    return hidden(name) != hidden(pattern) or special(name) != special(pattern)


def _patterns(data_files: Any) -> Patterns:
    """Return the patterns of every split from what a card has under ``data_files``."""
    if isinstance(data_files, str):
        return {"train": [data_files]}
    if not isinstance(data_files, list):
        raise DataError(f"{CARD}: data_files: expected a path or a list, found {data_files!r}")
    if all(isinstance(item, str) for item in data_files):
        return {"train": data_files}
    patterns: Patterns = {}
    for item in data_files:
        path = item.get("path") if isinstance(item, dict) else None
        paths = [path] if isinstance(path, str) else path
        is_split = isinstance(item, dict) and set(item) == {"split", "path"} and isinstance(item["split"], str)
        if not is_split or not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
            raise DataError(f"{CARD}: data_files: expected a split and its path, found {item!r}")
        if item["split"] in patterns:
            raise DataError(f"{CARD}: data_files: the split {item['split']!r} is listed twice")
        patterns[item["split"]] = paths
    return patterns


def _default_patterns(base: str, names: Sequence[str]) -> Patterns:
    """Return what ``datasets`` looks for in a folder whose files the card does not list."""
    from uuid import uuid4

    from datasets.data_files import EmptyDatasetError, get_data_patterns
    from fsspec.implementations.memory import MemoryFileSystem

    root = f"/adaptstilts-{uuid4().hex}"
    memory = MemoryFileSystem()
    for name in names:
        memory.pipe_file(f"{root}/{name}", b"")
    try:
        patterns = get_data_patterns(f"memory:/{root}/{base}" if base != "." else f"memory:/{root}")
    except (EmptyDatasetError, FileNotFoundError):
        return {}
    finally:
        memory.rm(root, recursive=True)
    return {str(split): list(paths) for split, paths in patterns.items()}


def _usual(names: Sequence[str], config: str, split: str, suffix: str) -> list[str]:
    """List the files of a split by the usual names of the hub."""
    folders = [f"{config}/", "data/", ""] if config == "default" else [f"{config}/"]
    places = []
    for folder in folders:
        files = [name for name in names if name.startswith(folder + split) and _ends(name, suffix)]
        files = [name for name in files if not _is_hidden(name, folder)]
        inside = [name for name in files if name.startswith(f"{folder}{split}/")]
        beside = [name for name in files if re.match(re.escape(folder + split) + "[-. (]", name)]
        odd = [name for name in beside if not _is_usual(name.removeprefix(folder + split), suffix)]
        if odd:
            raise DataError(
                f"{odd[0]}: looks like a copy or a leftover among the files of {split!r}; remove it, or list the files"
                f" of the split in {CARD}"
            )
        places += [place for place in (*_numbered_and_whole(beside, suffix), inside) if place]
    if len(places) > 1:
        raise DataError(f"{places[1][0]}: {places[0][0]} could be the split {split!r} as well; remove one of them")
    return places[0] if places else []


def _is_hidden(name: str, folder: str) -> bool:
    """Tell whether a file below a folder is hidden or lies in a special folder, such as ``__pycache__``."""
    path = PurePosixPath(name.removeprefix(folder))
    return path.name.startswith(".") or any(part.startswith((".", "__")) for part in path.parent.parts)


def _numbered_and_whole(names: Sequence[str], suffix: str) -> tuple[list[str], list[str]]:
    """Tell files with a number apart from whole ones; of endings that differ, all belong together."""
    numbered = [name for name in names if re.search(r"-\d+\.[^.]+$", name) or SHARD.fullmatch(name)]
    if suffix == ".*":
        return list(names), []
    return numbered, [name for name in names if name not in numbered]


def _is_usual(rest: str, suffix: str) -> bool:
    """Tell whether what follows the split in a name is an optional number of a shard and the ending."""
    ending = r"\.[^.]+" if suffix == ".*" else re.escape(suffix)
    return re.fullmatch(rf"(-\d+(-of-\d+(-[0-9a-f]{{16}})?)?)?{ending}", rest) is not None


def _check_copies(files: Sequence[str]) -> None:
    """Raise if a file is there twice: as it was, and under the name that a second download or a copy gets."""
    for name in files:
        original = COPY.sub("", name)
        if original != name and original in files:
            raise DataError(f"{name}: looks like a copy of {original}; remove it")


def _check_shards(files: Sequence[str]) -> None:
    """Raise unless the numbered shards of a split are complete, and nothing else is among them."""
    by_stem: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    plain = []
    for name in files:
        shard = SHARD.fullmatch(name)
        if shard:
            by_stem[shard["stem"]][name] = (int(shard["number"]), int(shard["total"]))
        else:
            plain.append(name)
    for stem, shards in by_stem.items():
        _check_set(stem, shards)
        beside = [name for name in plain if PurePosixPath(name).parent == PurePosixPath(stem).parent]
        if beside:
            raise DataError(f"{beside[0]}: lies among the numbered shards of {stem}; remove it")


def _check_set(stem: str, shards: dict[str, tuple[int, int]]) -> None:
    """Raise unless shards of one name are there from the first to the last, once each.

    Args:
        stem: what their names have in common.
        shards: path -> its number and how many there are.
    """
    listing = ", ".join(PurePosixPath(name).name for name in list(shards)[:6]) + (", ..." if len(shards) > 6 else "")
    totals = sorted({total for _, total in shards.values()})
    if len(totals) > 1:
        raise DataError(f"{stem}: shards of several sets lie side by side: {listing}; remove those that do not belong")
    numbers = {number for number, _ in shards.values()}
    missing = [number for number in range(totals[0]) if number not in numbers]
    if missing:
        remedy = f"number {missing[0]} is missing: copy or fetch it"
    elif len(shards) > totals[0]:
        remedy = "remove the extra ones"
    else:
        return
    raise DataError(f"{stem}: expected {counted(totals[0], 'shard')}, found {len(shards)} ({listing}); {remedy}")


def _ends(name: str, suffix: str) -> bool:
    return PurePosixPath(name).suffix != "" if suffix == ".*" else name.endswith(suffix)


@lru_cache(maxsize=64)
def _configs(card: str) -> dict[str, dict[str, Any]] | None:
    """Return the configs that a card's front matter lists, by name; None if it lists none.

    Raises:
        DataError: the front matter cannot be read, or is not of the hub's form.
    """
    front = re.match(r"\s*---[\r\n]+(.*?)[\r\n]+---(\r\n|\r|\n|\Z)", card.removeprefix(BOM), re.DOTALL)
    if front is None:
        return None
    entries = _entries(front.group(1), card[: front.start(1)].count("\n") + 1)
    if entries is not None and card.startswith(BOM):
        raise DataError(
            f"{CARD}: begins with a byte-order mark, so the hub's tools skip its configs; save it without one"
        )
    return entries


def _entries(front: str, first: int) -> dict[str, dict[str, Any]] | None:
    """Return the configs that front matter lists, by name; None if it lists none.

    Args:
        front: the front matter.
        first: number of its first line, for messages.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(front, Loader=loader)  # noqa: S506 (a safe loader, the C one where it exists)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = first + (mark.line if mark else 0)
        reason = getattr(error, "problem", None) or _first_line(error)
        raise DataError(f"{CARD}:{line}: the front matter is not YAML ({reason}); correct or remove it") from None
    entries = data.get("configs") if isinstance(data, dict) else None
    if not entries:
        return None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "config_name" in e for e in entries):
        raise DataError(f"{CARD}: configs: expected a list of mappings with a config_name, as on the hub")
    return {str(entry["config_name"]): entry for entry in entries}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
