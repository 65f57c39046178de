"""XTREME's prediction folders: scored as its ``evaluate.py`` does.

``<folder>/<task>/test-<language>.<suffix>`` has the predictions, a second folder of the same layout the labels. Scores
are those of Hu et al. 2020 (arXiv 2003.11080) and Ruder et al. 2021 (arXiv 2104.07412); how they are aggregated is in
:mod:`adaptstilts.metrics.xtreme`.

LAReQA has no file in XTREME: here ``lareqa/test-<language>.json`` is question id -> ranked ids, as for Mewsli-X.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.export import check_empty, export, export_labels
from adaptstilts.interop.xtreme.forms import FilePair, FileScore, score_file
from adaptstilts.io import markdown
from adaptstilts.metrics.xtreme import BENCHMARKS, FOLDERS, FORMATS, Benchmark, Mean, TaskFormat, means
from adaptstilts.registry import nearest

__all__ = [
    "FOLDERS", "BenchmarkScore", "FolderScore", "Mean", "TaskScore", "check_empty", "export", "export_labels", "render",
    "score",
]  # fmt: skip

Missing = Literal["error", "skip"]


@dataclass(frozen=True)
class TaskScore:
    """One task: metric -> language -> points, and the number of examples per language."""

    metrics: Mapping[str, Mapping[str, float]]
    n: Mapping[str, int]


@dataclass(frozen=True)
class BenchmarkScore:
    """One benchmark.

    Attributes:
        tasks: task -> mean score over its languages.
        metrics: task -> metric -> mean over its languages.
        groups: group -> mean score over its tasks.
        total: mean score over all tasks.
    """

    tasks: Mapping[str, Mean]
    metrics: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, Mean]
    total: Mean


@dataclass(frozen=True)
class FolderScore:
    """Scores of a prediction folder, and remarks for the user."""

    tasks: Mapping[str, TaskScore]
    benchmarks: Mapping[str, BenchmarkScore]
    notes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def score(folder: str | Path, labels: str | Path, missing: Missing = "error") -> FolderScore:
    """Score a folder of predictions.

    Args:
        folder: predictions, with one folder per task. Tasks that are missing are left out of groups and totals.
        labels: the labels in the same layout; questions and answers as SQuAD files or as id -> list of answers.
        missing: what to do about languages that only one side has: ``error``, or ``skip`` them and mark the mean.

    Raises:
        DataError: a file or a language is missing or is not what XTREME expects; names file and line.
    """
    folder, labels = Path(folder), Path(labels)
    for path in (folder, labels):
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; expected <task>/test-<language>.<suffix> in it")
    folders = [path for path in folder.iterdir() if path.is_dir()]
    names = sorted(path.name for path in folders if not path.name.startswith("."))
    notes = [_unknown_task_note(folder / name) for name in names if name not in FORMATS]
    tasks: dict[str, TaskScore] = {}
    for name, task in FORMATS.items():
        if name in names:
            pairs = _file_pairs(task, folder / name, labels / name, missing, notes)
            scores = {pair.code: score_file(pair) for pair in pairs}
            if scores:
                tasks[name] = _task_score(scores, notes)
    if not tasks:
        raise DataError(f"{folder}: nothing to score; expected one or more folders of {', '.join(FORMATS)}")
    benchmarks = {benchmark.name: _benchmark_score(benchmark, tasks) for benchmark in BENCHMARKS}
    return FolderScore(tasks, benchmarks, tuple(notes))


def _unknown_task_note(path: Path) -> str:
    note = f"{path}: not a task of XTREME, not scored"
    similar = nearest(re.sub(r"[^a-z0-9]", "", path.name.lower()), FORMATS)
    return f"{note}; did you mean {similar[0]}?" if similar else note


def _file_pairs(task: TaskFormat, folder: Path, labels: Path, missing: Missing, notes: list[str]) -> list[FilePair]:
    """Return the prediction and label files of all languages that have both.

    Args:
        task: the task.
        folder: its predictions.
        labels: its labels.
        missing: what to do about languages that only one side has.
        notes: remarks, to which this adds.

    Raises:
        DataError: a language is missing, or there is no file at all.
    """
    want, have = _languages(task, labels, notes), _languages(task, folder, notes)
    if not want and not have:
        expected = ", ".join(task.languages)
        raise DataError(f"{folder}: no file; expected {task.file('<language>')} for {expected}")
    _check_missing(task, folder, [code for code in want if code not in have], missing, notes)
    _check_missing(task, labels, [code for code in have if code not in want], missing, notes)
    both = [code for code in want if code in have]
    return [FilePair(task, code, folder / task.file(code), labels / task.file(code)) for code in both]


def _check_missing(task: TaskFormat, folder: Path, codes: Sequence[str], missing: Missing, notes: list[str]) -> None:
    """Raise, or add a note, if files of languages are missing.

    Args:
        task: the task.
        folder: the folder that lacks them.
        codes: the languages.
        missing: whether they may be skipped.
        notes: remarks, to which this adds.
    """
    if not codes:
        return
    problem = f"{folder}: no {task.file('<language>')} for {', '.join(codes)}"
    if missing == "error":
        raise DataError(f"{problem}; add these files, or use --missing skip to average over the other languages")
    notes.append(f"{problem}, not in the mean")


def _languages(task: TaskFormat, folder: Path, notes: list[str]) -> list[str]:
    """Return the languages that a folder has files of, in the order of the benchmark; note other files."""
    names = {path.name for path in folder.glob("[!.]*")}
    known = {task.file(code): code for code in task.languages}
    for name in sorted(names - set(known)):
        notes.append(f"{folder / name}: not a file of {task.name}, not scored")
    return [code for name, code in known.items() if name in names]


def _task_score(scores: Mapping[str, FileScore], notes: list[str]) -> TaskScore:
    """Return the score of a task from those of its languages, and add their notes."""
    metrics: dict[str, dict[str, float]] = {}
    for code, file_score in scores.items():
        notes += file_score.notes
        for name, value in file_score.metrics.items():
            metrics.setdefault(name, {})[code] = value
    return TaskScore(metrics, {code: file_score.n for code, file_score in scores.items()})


def _benchmark_score(benchmark: Benchmark, tasks: Mapping[str, TaskScore]) -> BenchmarkScore:
    metrics = {name: _mean_metrics(tasks[name], codes) for name, codes in benchmark.languages.items() if name in tasks}
    scores = {name: _language_scores(name, task) for name, task in tasks.items()}
    result = means(benchmark, scores)
    present = {name: values for name, values in metrics.items() if values}
    return BenchmarkScore(result.tasks, present, result.groups, result.total)


def _language_scores(name: str, task: TaskScore) -> dict[str, float]:
    """Return the score of every language: the mean of the headline metrics."""
    scores = {}
    for code in task.n:
        values = [task.metrics[metric][code] for metric in FORMATS[name].headline]
        scores[code] = sum(values) / len(values)
    return scores


def _mean_metrics(task: TaskScore, codes: Sequence[str]) -> dict[str, float]:
    """Return every metric averaged over those of the languages that are present."""
    result = {}
    for name, by_language in task.metrics.items():
        values = [by_language[code] for code in codes if code in by_language]
        if values:
            result[name] = sum(values) / len(values)
    return result


def render(result: FolderScore) -> str:
    """Return scores as Markdown: languages by tasks, then groups and totals, then remarks."""
    parts = [_language_table(result), _group_table(result)]
    remarks = [*_remarks(result), *result.notes]
    if remarks:
        parts.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts) + "\n"


def _language_table(result: FolderScore) -> str:
    codes: set[str] = set()
    for task in result.tasks.values():
        codes |= task.n.keys()
    rows = []
    for code in sorted(codes, key=lambda code: (code != "en", code)):
        cells = [_cell(name, task, code) for name, task in result.tasks.items()]
        rows.append([code, *cells])
    for name, benchmark in result.benchmarks.items():
        cells = [_mean_cell(task, benchmark) for task in result.tasks]
        rows.append([f"**{name}**", *cells])
    return markdown.table(["language", *result.tasks], rows)


def _group_table(result: FolderScore) -> str:
    groups: dict[str, None] = {}
    for benchmark in result.benchmarks.values():
        groups |= dict.fromkeys(benchmark.groups)
    rows = []
    for group in groups:
        means_of_group = [benchmark.groups[group] for benchmark in result.benchmarks.values()]
        rows.append([group, *map(_mean_text, means_of_group)])
    rows.append(["**total**", *(_mean_text(benchmark.total) for benchmark in result.benchmarks.values())])
    return markdown.table(["", *result.benchmarks], rows)


def _remarks(result: FolderScore) -> list[str]:
    remarks = []
    for name, benchmark in result.benchmarks.items():
        if benchmark.total.missing:
            remarks.append(f"{name}: no total without {', '.join(benchmark.total.missing)}")
    if any(len(FORMATS[name].headline) > 1 for name in result.tasks):
        remarks.append("questions: F1 / exact match; the score is the mean of both")
    return remarks


def _mean_text(mean: Mean) -> str:
    return "-" if mean.value is None else mean.marked


def _cell(name: str, task: TaskScore, code: str) -> str:
    """Return the headline metrics of a task in one language."""
    if code not in task.n:
        return "-"
    return " / ".join(f"{task.metrics[metric][code]:.1f}" for metric in FORMATS[name].headline)


def _mean_cell(name: str, benchmark: BenchmarkScore) -> str:
    """Return the headline metrics of a task, averaged over the languages of a benchmark."""
    if name not in benchmark.metrics:
        return "-"
    mean = benchmark.tasks[name]
    text = " / ".join(f"{benchmark.metrics[name][metric]:.1f}" for metric in FORMATS[name].headline)
    return f"{text} ({mean.have}/{mean.of})" if mean.have < mean.of else text
