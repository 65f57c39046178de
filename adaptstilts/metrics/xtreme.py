"""What XTREME and XTREME-R are made of: tasks, their files and languages, groups; and how scores are aggregated.

From ``evaluate.py`` of google-research/xtreme (2023-01). Where that script leaves XTREME-R unfinished, the paper is
followed (Ruder et al. 2021, arXiv 2104.07412): LAReQA has the eleven languages of XQuAD-R and counts as retrieval,
and XCOPA counts once, beside XNLI. A task is the plain mean over its languages, English included, a group and a
benchmark the plain mean over its tasks. A mean over fewer languages or tasks than the benchmark has says so; a total
over fewer tasks is not made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Form = Literal["labels", "tags", "pairs", "places", "answers", "choices", "rankings"]
SUFFIX: dict[Form, str] = {
    "labels": "tsv",
    "tags": "tsv",
    "pairs": "tsv",
    "places": "tsv",
    "answers": "json",
    "choices": "jsonl",
    "rankings": "json",
}


@dataclass(frozen=True)
class Format:
    """How one task is written down and scored.

    Attributes:
        name: the folder of its files.
        form: what a file holds.
        headline: metrics whose mean is the task's score.
        languages: codes in the order of XTREME, then those that only XTREME-R has.
        labels: what a line may be, for the forms that have a fixed set.
    """

    name: str
    form: Form
    headline: tuple[str, ...]
    languages: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def file(self, code: str) -> str:
        """The name of a language's file in the task's folder."""
        return f"test-{code}.{SUFFIX[self.form]}"


@dataclass(frozen=True)
class Mean:
    """A mean that knows what it is over.

    Attributes:
        value: in points; None where something is missing that it cannot be made without.
        have: languages or tasks that are in it.
        of: how many the benchmark has.
        missing: names of those that are not in it.
        partial: tasks in it that lack languages, as ``xnli 7/15``.
    """

    value: float | None
    have: int
    of: int
    missing: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()

    @property
    def marked(self) -> str:
        """The value, with what it is over unless that is everything."""
        if self.value is None:
            return f"- (without {', '.join(self.missing)})" if self.have else "-"
        marks = [f"{self.have}/{self.of}"] * (self.have < self.of) + list(self.partial)
        return f"{self.value:.1f}" + (f" ({', '.join(marks)})" if marks else "")

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, in any task."""
        return self.have == self.of and not self.partial


@dataclass(frozen=True)
class Means:
    """The means of one benchmark: of its tasks over languages, of its groups and of all over tasks."""

    tasks: Mapping[str, Mean]
    groups: Mapping[str, Mean]
    total: Mean


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its tasks with their languages, and the groups that its tables have."""

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


def _format(name: str, form: Form, headline: str, labels: str = "") -> Format:
    codes = f"{_LANGUAGES[name]} {_MORE.get(name, '')}".split()
    return Format(name, form, tuple(headline.split()), tuple(codes), tuple(labels.split()))


FORMATS: dict[str, Format] = {
    held.name: held
    for held in (
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
}


FOLDERS = {name: name for name in FORMATS} | _RENAMED  # task of this package -> folder


def _benchmark(name: str, groups: Mapping[str, str], more: Mapping[str, str]) -> Benchmark:
    members = {group: tuple(tasks.split()) for group, tasks in groups.items()}
    of = {task: tuple(f"{_LANGUAGES[task]} {more.get(task, '')}".split()) for held in members.values() for task in held}
    return Benchmark(name, of, members)


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


def means(benchmark: Benchmark, scores: Mapping[str, Mapping[str, float]]) -> Means:
    """Aggregate scores as the benchmark does.

    Args:
        benchmark: which.
        scores: task (by its folder's name) -> language -> points.
    """
    tasks = {name: _over_languages(scores.get(name, {}), codes) for name, codes in benchmark.languages.items()}
    groups = {group: _over_tasks(members, tasks) for group, members in benchmark.groups.items()}
    total = _over_tasks(tasks, tasks)
    return Means(tasks, groups, replace(total, value=None) if total.missing else total)


def _over_languages(scores: Mapping[str, float], codes: Iterable[str]) -> Mean:
    codes = tuple(codes)
    held = [scores[code] for code in codes if code in scores]
    absent = tuple(code for code in codes if code not in scores)
    return Mean(sum(held) / len(held) if held else None, len(held), len(codes), absent)


def _over_tasks(members: Iterable[str], tasks: Mapping[str, Mean]) -> Mean:
    held = {name: tasks[name] for name in members}
    values = [mean.value for mean in held.values() if mean.value is not None]
    absent = tuple(name for name, mean in held.items() if mean.value is None)
    partial = tuple(f"{name} {m.have}/{m.of}" for name, m in held.items() if m.value is not None and m.have < m.of)
    return Mean(sum(values) / len(values) if values else None, len(values), len(held), absent, partial)
