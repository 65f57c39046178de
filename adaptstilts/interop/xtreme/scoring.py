"""XTREME's prediction folders: scoring them as its ``evaluate.py`` does, and writing them from a finished study.

``<folder>/<task>/test-<language>.<suffix>`` holds predictions, a second folder of the same layout the labels. Scores
are those of Hu et al. 2020 (arXiv 2003.11080) and Ruder et al. 2021 (arXiv 2104.07412): a task is the plain mean over
its languages, English included; a benchmark is the plain mean over its tasks. A mean over fewer languages or tasks
than the benchmark has is marked, and a total that lacks a task is not made.

LAReQA has no file in XTREME: here ``lareqa/test-<language>.json`` is question id -> ranked ids, as for Mewsli-X.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.export import check_empty, export, export_labels
from adaptstilts.interop.xtreme.forms import Scored, score_file
from adaptstilts.io import markdown
from adaptstilts.metrics.xtreme import BENCHMARKS, FOLDERS, FORMATS, Benchmark, Format, Mean, means

__all__ = [
    "FOLDERS", "Mean", "Report", "TaskScore", "Totals", "check_empty", "export", "export_labels", "render", "score",
]  # fmt: skip

Missing = Literal["error", "skip"]


@dataclass(frozen=True)
class TaskScore:
    """One task: metric -> language -> points, and examples per language."""

    metrics: Mapping[str, Mapping[str, float]]
    n: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """One benchmark: its tasks, with every metric averaged over their languages, its groups and its total."""

    tasks: Mapping[str, Mean]
    metrics: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, Mean]
    total: Mean


@dataclass(frozen=True)
class Report:
    """Scores of a prediction folder, and what must be said beside them."""

    tasks: Mapping[str, TaskScore]
    benchmarks: Mapping[str, Totals]
    notes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def score(folder: str | Path, labels: str | Path, missing: Missing = "error") -> Report:
    """Score a folder of predictions.

    Args:
        folder: predictions, with one folder per task. Tasks that are not there are left out of groups and totals.
        labels: the labels in the same layout; questions and answers as SQuAD files or as id -> list of answers.
        missing: what to do about languages that only one side has: refuse, or leave them out and mark the mean.

    Raises:
        DataError: a file or a language is missing or is not what XTREME expects; names file and line.
    """
    folder, labels = Path(folder), Path(labels)
    for path in (folder, labels):
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; expected <task>/test-<language>.<suffix> in it")
    there = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    notes = [_unknown_task(folder / name) for name in there if name not in FORMATS]
    tasks: dict[str, TaskScore] = {}
    for name in FORMATS:
        if name in there:
            found = _score_task(FORMATS[name], folder / name, labels / name, missing, notes)
            if found is not None:
                tasks[name] = found
    if not tasks:
        raise DataError(f"{folder}: nothing to score; expected one or more folders of {', '.join(FORMATS)}")
    return Report(tasks, {held.name: _totals(held, tasks) for held in BENCHMARKS}, tuple(notes))


def _unknown_task(path: Path) -> str:
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", path.name.lower()), FORMATS, n=1, cutoff=0.5)
    return f"{path}: not a task of XTREME, not scored" + (f"; is it {near[0]}?" if near else "")


def _score_task(held: Format, folder: Path, labels: Path, missing: Missing, notes: list[str]) -> TaskScore | None:
    """The task in every language that both sides have; None when there is none (and that may be skipped)."""
    want, have = _codes(held, labels, notes), _codes(held, folder, notes)
    for path, absent in ((folder, [c for c in want if c not in have]), (labels, [c for c in have if c not in want])):
        if absent:
            told = f"{path}: no {held.file('<language>')} for {', '.join(absent)}"
            if missing == "error":
                raise DataError(f"{told}; add them, or give --missing skip to average over the others")
            notes.append(f"{told}, not in the mean")
    both = [code for code in want if code in have]
    scored = {code: score_file(held, code, folder / held.file(code), labels / held.file(code)) for code in both}
    if not scored:
        if not want and not have:
            raise DataError(f"{folder}: no file; expected {held.file('<language>')} for {', '.join(held.languages)}")
        return None
    notes += [note for one in scored.values() for note in one.notes]
    return _task_score(scored)


def _codes(held: Format, folder: Path, notes: list[str]) -> list[str]:
    """The languages that a folder has files of, in the order of the benchmark."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else set()
    known = {held.file(code): code for code in held.languages}
    notes += [f"{folder / name}: not a file of {held.name}, not scored" for name in sorted(names - set(known))]
    return [code for name, code in known.items() if name in names]


def _task_score(scored: Mapping[str, Scored]) -> TaskScore:
    names = next(iter(scored.values())).metrics
    return TaskScore(
        {name: {code: one.metrics[name] for code, one in scored.items()} for name in names},
        {code: one.n for code, one in scored.items()},
    )


def _totals(held: Benchmark, tasks: Mapping[str, TaskScore]) -> Totals:
    metrics = {name: _metrics(tasks.get(name), codes) for name, codes in held.languages.items()}
    found = means(held, {name: _scores(name, task) for name, task in tasks.items()})
    return Totals(found.tasks, {name: values for name, values in metrics.items() if values}, found.groups, found.total)


def _scores(name: str, task: TaskScore) -> dict[str, float]:
    """The score of every language: the mean of the headline metrics."""
    names = FORMATS[name].headline
    return {code: sum(task.metrics[metric][code] for metric in names) / len(names) for code in task.n}


def _metrics(task: TaskScore | None, codes: Sequence[str]) -> dict[str, float]:
    """Every metric, averaged over those of the languages that are there."""
    if task is None:
        return {}
    values = {name: [of[code] for code in codes if code in of] for name, of in task.metrics.items()}
    return {name: sum(found) / len(found) for name, found in values.items() if found}


def render(report: Report) -> str:
    """A report as Markdown: languages by tasks, then groups and totals, then remarks."""
    codes = sorted({code for task in report.tasks.values() for code in task.n}, key=lambda code: (code != "en", code))
    rows = [[code, *(_cell(name, task, code) for name, task in report.tasks.items())] for code in codes]
    for name, totals in report.benchmarks.items():
        rows.append([f"**{name}**", *(_mean_cell(task, totals) for task in report.tasks)])
    groups = list(dict.fromkeys(group for totals in report.benchmarks.values() for group in totals.groups))
    summary = [[group, *(_total(t.groups[group]) for t in report.benchmarks.values())] for group in groups]
    summary.append(["**total**", *(_total(totals.total) for totals in report.benchmarks.values())])
    parts = [
        markdown.table(["language", *report.tasks], rows),
        markdown.table(["", *report.benchmarks], summary),
    ]
    told = [
        f"{name}: no total without {', '.join(totals.total.missing)}"
        for name, totals in report.benchmarks.items()
        if totals.total.missing
    ]
    if any(len(FORMATS[name].headline) > 1 for name in report.tasks):
        told.append("questions: F1 / exact match; the score is the mean of both")
    notes = "\n".join(f"- {note}" for note in (*told, *report.notes))
    return "\n\n".join([*parts, *([notes] if notes else [])]) + "\n"


def _total(mean: Mean) -> str:
    return "-" if mean.value is None else mean.marked


def _cell(name: str, task: TaskScore, code: str) -> str:
    if code not in task.n:
        return "-"
    return " / ".join(f"{task.metrics[metric][code]:.1f}" for metric in FORMATS[name].headline)


def _mean_cell(name: str, totals: Totals) -> str:
    if name not in totals.metrics:
        return "-"
    mean = totals.tasks[name]
    told = " / ".join(f"{totals.metrics[name][metric]:.1f}" for metric in FORMATS[name].headline)
    return told + (f" ({mean.have}/{mean.of})" if mean.have < mean.of else "")
