"""The table of a benchmark: its tasks, its groups and its total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from adaptstilts.metrics import xtreme
from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import points

FEWEST_TASKS = 3  # of a benchmark, for a table of it
MARK = "*"


def table(benchmark: xtreme.Benchmark, records: Sequence[Record]) -> Table | None:
    """Return the means of every intermediate and method; None if the study has only a task or two of the benchmark.

    Args:
        benchmark: which tasks and languages belong to it.
        records: results of a study, none of them swapped.
    """
    folders = _folders(benchmark, records)
    names = {folder: task for task, folder in folders.items()}
    shown = [folder for folder in benchmark.languages if folder in names]
    if len(shown) < FEWEST_TASKS:
        return None
    means: dict[tuple[str, str], xtreme.BenchmarkMeans] = {}
    for key, group in _by_combination(records).items():
        scores = {folders[record.task]: record.languages for record in group if record.task in folders}
        means[key] = xtreme.means(benchmark, scores)
    rows = tuple((*key, *_cells(mean, shown)) for key, mean in means.items())
    header = ("intermediate", "method", *(names[folder] for folder in shown), *benchmark.groups, "total")
    notes = (
        *_gaps(benchmark, names, list(means.values())),
        *_other_splits([record for record in records if record.task in folders]),
    )
    return Table(f"{benchmark.name}: means over languages, groups and total", header, rows, notes)


def _folders(benchmark: xtreme.Benchmark, records: Sequence[Record]) -> dict[str, str]:
    """Return the benchmark's name of every task of the study that belongs to it."""
    folders: dict[str, str] = {}
    for record in records:
        folder = xtreme.FOLDERS.get(record.task)
        if folder is not None and folder in benchmark.languages:
            folders[record.task] = folder
    if "tatoeba_r" in folders:  # XTREME-R's Tatoeba has more languages than XTREME's
        folders.pop("tatoeba_r" if benchmark.name == "XTREME" else "tatoeba", None)
    return folders


def _by_combination(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    """Group records by intermediate and method."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.trained_on, record.method), []).append(record)
    return groups


def _cells(means: xtreme.BenchmarkMeans, shown: Sequence[str]) -> list[str]:
    row = [*(means.tasks[folder] for folder in shown), *means.groups.values(), means.total]
    return [_cell(mean) for mean in row]


def _cell(mean: xtreme.Mean) -> str:
    if mean.value is None or mean.is_complete:
        return points(mean.value)
    return points(mean.value) + MARK


def _gaps(benchmark: xtreme.Benchmark, names: Mapping[str, str], means: Sequence[xtreme.BenchmarkMeans]) -> list[str]:
    """Say which languages and tasks are missing."""
    partial = sorted(set(chain.from_iterable(_partial(mean, names) for mean in means)))
    absent = [folder for folder in benchmark.languages if folder not in names]
    notes = []
    if partial or absent:
        notes.append(f"{MARK} over fewer languages or tasks than {benchmark.name} has")
    if partial:
        notes.append(f"languages: {', '.join(partial)}")
    if absent:
        notes.append(f"no {', '.join(absent)}, hence no total")
    return notes


def _partial(means: xtreme.BenchmarkMeans, names: Mapping[str, str]) -> list[str]:
    return [f"{names[folder]} {mean.have}/{mean.of}" for folder, mean in means.tasks.items() if 0 < mean.have < mean.of]


def _other_splits(records: Sequence[Record]) -> list[str]:
    splits = {record.task: record.split for record in records if record.split != "test"}
    if not splits:
        return []
    return [f"not the test rows: {', '.join(f'{task} ({split})' for task, split in splits.items())}"]
