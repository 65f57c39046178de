"""XTREME's prediction folders: scored as its ``evaluate.py`` does, at commit 838c13b with seqeval 0.0.12.

``<folder>/<task>/test-<language>.<suffix>`` has the predictions, a second folder of the same layout the labels. Scores
are those of Hu et al. 2020 (arXiv 2003.11080) and Ruder et al. 2021 (arXiv 2104.07412); how they are aggregated is in
:mod:`adaptstilts.metrics.xtreme`.

Input that the script scores although it is probably a mistake is scored in the same way and listed (:mod:`.leniency`);
``strict`` refuses it. Links that lead out of a folder, devices and pipes are never read.

LAReQA has no file in XTREME: here ``lareqa/test-<language>.json`` is question id -> ranked ids, as for Mewsli-X.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.export import check_empty, export, export_labels
from adaptstilts.interop.xtreme.file_pair import FilePair, FileScore
from adaptstilts.interop.xtreme.files import check_inside
from adaptstilts.interop.xtreme.forms import score_file
from adaptstilts.interop.xtreme.leniency import Leniencies, Leniency
from adaptstilts.io import markdown
from adaptstilts.io.wording import counted
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
    """Scores of a prediction folder, and remarks for the user.

    Attributes:
        tasks: the tasks that have scores.
        benchmarks: their means.
        notes: remarks.
        leniencies: defects that ``evaluate.py`` accepts too.
        failed: task -> why it has no score.
    """

    tasks: Mapping[str, TaskScore]
    benchmarks: Mapping[str, BenchmarkScore]
    notes: tuple[str, ...] = ()
    leniencies: tuple[Leniency, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def score(folder: str | Path, labels: str | Path, missing: Missing = "error", strict: bool = False) -> FolderScore:
    """Score a folder of predictions.

    Args:
        folder: predictions, with one folder per task. Tasks that are missing are left out of groups and totals.
        labels: the labels in the same layout; questions and answers as SQuAD files or as id -> list of answers.
        missing: what to do about languages that only one side has: ``error``, or ``skip`` them and mark the mean.
        strict: refuse input that ``evaluate.py`` accepts although it is probably a mistake, and stop at the first task
            that cannot be scored. Otherwise both are listed, and the other tasks are scored.

    Raises:
        DataError: nothing can be scored or, with ``strict``, something cannot; names file and line.
    """
    folder, labels = Path(folder), Path(labels)
    for path in (folder, labels):
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; expected <task>/test-<language>.<suffix> in it")
    folders = [path for path in folder.iterdir() if path.is_dir()]
    names = sorted(path.name for path in folders if not path.name.startswith("."))
    notes = [_unknown_task_note(folder / name) for name in names if name not in FORMATS]
    tasks: dict[str, TaskScore] = {}
    leniencies: list[Leniency] = []
    failed: dict[str, str] = {}
    for name in (name for name in FORMATS if name in names):
        accepted = Leniencies(strict)
        try:
            task_score = _score_task(FORMATS[name], folder, labels, missing, accepted, notes)
        except DataError as error:
            if strict:
                raise
            failed[name] = str(error)
            continue
        leniencies += accepted.accepted
        if task_score.n:
            tasks[name] = task_score
    if not tasks:
        raise DataError(_nothing_to_score(folder, failed, leniencies))
    benchmarks = {benchmark.name: _benchmark_score(benchmark, tasks) for benchmark in BENCHMARKS}
    return FolderScore(tasks, benchmarks, tuple(notes), tuple(leniencies), failed)


def _nothing_to_score(folder: Path, failed: Mapping[str, str], leniencies: Sequence[Leniency]) -> str:
    """Return the reason why no task has a score.

    Args:
        folder: the predictions.
        failed: task -> why it has no score.
        leniencies: label folders that are missing, if no task failed.
    """
    reasons = list(failed.values()) or [leniency.text for leniency in leniencies]
    if not reasons:
        return f"{folder}: nothing to score; expected one or more folders of {', '.join(FORMATS)}"
    others = len(reasons) - 1
    return f"{reasons[0]} (and {counted(others, 'other task')} without a score)" if others else reasons[0]


def _score_task(
    task: TaskFormat, folder: Path, labels: Path, missing: Missing, leniencies: Leniencies, notes: list[str]
) -> TaskScore:
    """Score one task; without a language if it has no labels.

    Args:
        task: the task.
        folder: the predictions of all tasks.
        labels: the labels of all tasks.
        missing: what to do about languages that only one side has.
        leniencies: where defects are noted.
        notes: remarks, to which this adds.
    """
    if not leniencies.strict and not (labels / task.name).is_dir():
        problem = f"no such folder, and {folder / task.name} has predictions"
        leniencies.accept("no labels", labels / task.name, None, problem)
        return TaskScore({}, {})
    scores = {}
    for code in _codes(task, folder / task.name, labels / task.name, missing, notes):
        predicted, gold = folder / task.name / task.file(code), labels / task.name / task.file(code)
        check_inside(predicted, folder)
        check_inside(gold, labels)
        scores[code] = score_file(FilePair(task, code, predicted, gold, leniencies))
    return _task_score(scores, notes)


def _unknown_task_note(path: Path) -> str:
    note = f"{path}: not a task of XTREME, not scored"
    similar = nearest(re.sub(r"[^a-z0-9]", "", path.name.lower()), FORMATS)
    return f"{note}; did you mean {similar[0]}?" if similar else note


def _codes(task: TaskFormat, folder: Path, labels: Path, missing: Missing, notes: list[str]) -> list[str]:
    """Return the languages that have both predictions and labels.

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
    return [code for code in want if code in have]


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
    """Return scores as Markdown: languages by tasks, groups and totals, remarks, and what strict rules refuse."""
    parts = [_language_table(result), _group_table(result)]
    remarks = [*_remarks(result), *map(markdown.escape, result.notes)]
    if remarks:
        parts.append(_bullets(remarks))
    if result.leniencies:
        parts.append("Accepted as XTREME's evaluate.py accepts it; `--strict` refuses it:")
        parts.append(_bullets([markdown.escape(leniency.remark) for leniency in result.leniencies]))
    if result.failed:
        parts.append("Without a score:")
        parts.append(_bullets([f"{name}: {markdown.escape(reason)}" for name, reason in result.failed.items()]))
    return "\n\n".join(parts) + "\n"


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


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
