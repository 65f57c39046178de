"""XTREME and XTREME-R: their tasks, files, languages and groups, and how they aggregate scores.

From ``evaluate.py`` of google-research/xtreme (2023-01). Where that script leaves XTREME-R unfinished, this follows
the paper (Ruder et al. 2021, arXiv 2104.07412): LAReQA has the eleven languages of XQuAD-R and counts as retrieval,
and XCOPA counts once, beside XNLI. The score of a task is the plain mean over its languages, English included; that
of a group or a benchmark is the plain mean over its tasks. A mean over fewer languages or tasks than the benchmark
has is marked, and a benchmark without all its tasks has no total.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

FileForm = Literal["labels", "tags", "pairs", "places", "answers", "choices", "rankings"]
SUFFIX: dict[FileForm, str] = {
    "labels": "tsv",
    "tags": "tsv",
    "pairs": "tsv",
    "places": "tsv",
    "answers": "json",
    "choices": "jsonl",
    "rankings": "json",
}


@dataclass(frozen=True)
class TaskFormat:
    """The files of one task, and the metrics that score them.

    Attributes:
        name: name of the folder.
        form: what a file contains.
        headline: metrics whose mean is the score of the task.
        languages: codes in the order of XTREME, then those that only XTREME-R has.
        labels: the lines that are allowed, for forms with a fixed set.
    """

    name: str
    form: FileForm
    headline: tuple[str, ...]
    languages: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def file(self, code: str) -> str:
        """Return the name of the file of a language."""
        return f"test-{code}.{SUFFIX[self.form]}"


@dataclass(frozen=True)
class Mean:
    """A mean over languages or tasks, some of which may be missing.

    Attributes:
        value: in points; None if it cannot be computed without what is missing.
        have: number of languages or tasks in it.
        of: number that the benchmark has.
        missing: names of the missing ones.
        partial: tasks in it that lack languages, as ``xnli 7/15``.
    """

    value: float | None
    have: int
    of: int
    missing: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()

    @property
    def marked(self) -> str:
        """The value as text, followed by how much it covers unless it covers everything."""
        if self.value is None:
            return f"- (without {', '.join(self.missing)})" if self.have else "-"
        marks = list(self.partial)
        if self.have < self.of:
            marks.insert(0, f"{self.have}/{self.of}")
        return f"{self.value:.1f} ({', '.join(marks)})" if marks else f"{self.value:.1f}"

    @property
    def is_complete(self) -> bool:
        """Whether no language and no task is missing."""
        return self.have == self.of and not self.partial


@dataclass(frozen=True)
class BenchmarkMeans:
    """The means of one benchmark.

    Attributes:
        tasks: task -> mean over its languages.
        groups: group -> mean over its tasks.
        total: mean over all tasks.
    """

    tasks: Mapping[str, Mean]
    groups: Mapping[str, Mean]
    total: Mean


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: the languages of its tasks, and the tasks of its groups."""

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]


_LANGUAGES = {
    "xnli": "ar bg de el en es fr hi ru sw th tr ur vi zh",
    "pawsx": "de en es fr ja ko zh",
    "xcopa": "et ht id it qu sw ta th tr vi zh",
    "udpos": "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh",
    "panx": "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw yo my"
    " zh kk tr et fi hu",
    "xquad": "en es de el ru tr ar vi th zh hi",
    "mlqa": "en es de ar hi vi zh",
    "tydiqa": "en ar bn fi id ko ru sw te",
    "bucc2018": "de fr ru zh",
    "tatoeba": "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh kk tr"
    " et fi hu",
    "lareqa": "ar de el en es hi ru th tr vi zh",
    "mewslix": "ar de en es fa ja pl ro ta tr uk",
}
_MORE = {"udpos": "lt pl uk wo ro", "panx": "qu pl uk az lt pa gu ro", "tatoeba": "az lt pl uk ro", "xquad": "ro"}
_RENAMED = {"paws_x": "pawsx", "bucc": "bucc2018", "mewsli_x": "mewslix", "tatoeba_r": "tatoeba"}
_UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X _"  # _: a word without a tag


def _formats(*formats: TaskFormat) -> dict[str, TaskFormat]:
    return {task_format.name: task_format for task_format in formats}


def _format(name: str, form: FileForm, headline: str, labels: str = "") -> TaskFormat:
    codes = f"{_LANGUAGES[name]} {_MORE.get(name, '')}".split()
    return TaskFormat(name, form, tuple(headline.split()), tuple(codes), tuple(labels.split()))


FORMATS = _formats(
    _format("xnli", "labels", "accuracy", "entailment neutral contradiction"),
    _format("pawsx", "labels", "accuracy", "0 1"),
    _format("xcopa", "choices", "accuracy"),
    _format("udpos", "tags", "f1", _UPOS),
    _format("panx", "tags", "f1", "O B-PER I-PER B-ORG I-ORG B-LOC I-LOC"),
    _format("xquad", "answers", "f1 exact_match"),
    _format("mlqa", "answers", "f1 exact_match"),
    _format("tydiqa", "answers", "f1 exact_match"),
    _format("bucc2018", "pairs", "f1"),
    _format("tatoeba", "places", "accuracy"),
    _format("lareqa", "rankings", "map@20"),
    _format("mewslix", "rankings", "map@20"),
)

FOLDERS = {name: name for name in FORMATS} | _RENAMED  # task of this package -> folder


def _benchmark(name: str, groups: Mapping[str, str], more: Mapping[str, str]) -> Benchmark:
    """Return a benchmark.

    Args:
        name: its name.
        groups: group -> its tasks.
        more: task -> languages that XTREME does not have.
    """
    members = {group: tuple(tasks.split()) for group, tasks in groups.items()}
    languages = {}
    for task in " ".join(groups.values()).split():
        languages[task] = tuple(f"{_LANGUAGES[task]} {more.get(task, '')}".split())
    return Benchmark(name, languages, members)


BENCHMARKS: tuple[Benchmark, ...] = (
    _benchmark(
        "XTREME",
        {
            "sentence pair": "xnli pawsx",
            "structured": "udpos panx",
            "question answering": "xquad mlqa tydiqa",
            "retrieval": "bucc2018 tatoeba",
        },
        {},
    ),
    _benchmark(
        "XTREME-R",
        {
            "sentence pair": "xnli xcopa",
            "structured": "udpos panx",
            "question answering": "xquad mlqa tydiqa",
            "retrieval": "tatoeba lareqa mewslix",
        },
        _MORE,
    ),
)


def means(benchmark: Benchmark, scores: Mapping[str, Mapping[str, float]]) -> BenchmarkMeans:
    """Aggregate scores as a benchmark does.

    Args:
        benchmark: the benchmark.
        scores: task (by the name of its folder) -> language -> points.
    """
    tasks = {name: _over_languages(scores.get(name, {}), codes) for name, codes in benchmark.languages.items()}
    groups = {group: _over_tasks(members, tasks) for group, members in benchmark.groups.items()}
    total = _over_tasks(tasks, tasks)
    if total.missing:
        total = replace(total, value=None)
    return BenchmarkMeans(tasks, groups, total)


def _over_languages(scores: Mapping[str, float], codes: Sequence[str]) -> Mean:
    values = [scores[code] for code in codes if code in scores]
    missing = tuple(code for code in codes if code not in scores)
    return Mean(_average(values), len(values), len(codes), missing)


def _over_tasks(names: Iterable[str], tasks: Mapping[str, Mean]) -> Mean:
    values: list[float] = []
    missing, partial = [], []
    for name in names:
        mean = tasks[name]
        if mean.value is None:
            missing.append(name)
            continue
        values.append(mean.value)
        if mean.have < mean.of:
            partial.append(f"{name} {mean.have}/{mean.of}")
    return Mean(_average(values), len(values), len(values) + len(missing), tuple(missing), tuple(partial))


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
