"""What is wrong with the rows of each kind: plain functions, so that rows can be checked while planning.

Each takes an example, a row by the fields of its kind, and the task; it returns what is wrong, beginning with the
field, or None. It may tidy the example in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptstilts.tasks.base import Task

Example = dict[str, Any]
LONGEST_TEXT = 1_000_000  # characters; the tokens of a longer text take gigabytes
RowCheck = Callable[[Example, "Task"], "str | None"]


def length_problem(example: Example) -> str | None:
    """Return that a text of an example is too long, if one is."""
    for name, value in example.items():
        length = _longest(value)
        if length > LONGEST_TEXT:
            return f"{name}: expected at most {LONGEST_TEXT:,} characters, found {length:,}"
    return None


def _longest(value: Any) -> int:
    """Return the length of the longest text in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 0
    return max(map(_longest, value), default=0)


def text_problem(example: Example, *names: str) -> str | None:
    """Return what is wrong with fields that must be text; None if nothing is.

    Args:
        example: the example.
        *names: the fields.
    """
    for name in names:
        if not isinstance(example.get(name), str):
            return f"{name}: expected text, found {example.get(name)!r}"
    return None


def classification(example: Example, task: Task) -> str | None:
    """Check that texts are text."""
    return text_problem(example, *(name for name in ("text_a", "text_b") if name in task.columns))


def regression(example: Example, task: Task) -> str | None:
    """Check that texts are text and the label is a finite number."""
    label = example["label"]
    if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
        return f"label: expected a number, found {label!r}"
    return classification(example, task)


def choice(example: Example, task: Task) -> str | None:
    """Check that there are two or more choices, all text, and that the label is among them."""
    choices, label = example["choices"], example["label"]
    if not isinstance(choices, list) or len(choices) < 2:
        return f"choices: expected a list of two or more texts, found {choices!r}"
    if not _are_texts(choices):
        return f"choices: expected texts, found {choices!r}"
    if not _is_whole(label) or not 0 <= label < len(choices):
        return f"label: expected 0 to {len(choices) - 1}, found {label!r}"
    return text_problem(example, "context")


def tagging(example: Example, task: Task) -> str | None:
    """Check that there are as many tags as words, and at least one."""
    tokens, tags = example["tokens"], example["tags"]
    if not isinstance(tokens, list) or not _are_texts(tokens) or not tokens:
        return f"tokens: expected a list of words, found {tokens!r}"
    if not isinstance(tags, list) or len(tags) != len(tokens):
        return f"tags: expected {len(tokens)} of them, one per word, found {tags!r}"
    return None


def entities(example: Example, task: Task) -> str | None:
    """Check that there is a word in the text, and that entities lie in the text and do not overlap."""
    text = example["text"]
    if not isinstance(text, str) or not text.strip():
        return f"text: expected text, found {text!r}"
    starts, ends, labels = example["starts"], example["ends"], example["labels"]
    if not len(starts) == len(ends) == len(labels):
        return f"starts: expected as many as ends and labels, found {len(starts)}, {len(ends)} and {len(labels)}"
    if not all(map(_is_whole, [*starts, *ends])):
        return f"starts: expected whole numbers as starts and ends, found {starts!r} and {ends!r}"
    after = 0
    for start, end in sorted(zip(starts, ends, strict=True)):
        if not after <= start < end <= len(text):
            return f"starts: expected entities apart from each other within the text, found one from {start} to {end}"
        after = end
    return None


def span(example: Example, task: Task) -> str | None:
    """Check that texts are text and every answer has a place."""
    answers = example["answers"]
    if not isinstance(answers, dict) or not {"text", "answer_start"} <= set(answers):
        return f"answers: expected text and answer_start, found {answers!r}"
    texts, starts = answers["text"], answers["answer_start"]
    if len(texts) != len(starts) or not (texts or task.unanswerable):
        return f"answers: expected one or more texts with a start each, found {answers!r}"
    if not _are_texts(texts):
        return f"answers: expected texts, found {texts!r}"
    if not all(map(_is_whole, starts)):
        return f"answers: expected whole numbers as starts, found {starts!r}"
    return text_problem(example, "question", "context")


def bitext(example: Example, task: Task) -> str | None:
    """Check that both sides are text, and take off the newline that the hub's copies keep at the end."""
    problem = text_problem(example, "foreign", "english")
    if problem is None:
        example.update(foreign=example["foreign"].rstrip("\r\n"), english=example["english"].rstrip("\r\n"))
    return problem


def mining(example: Example, task: Task) -> str | None:
    """Check that fields are text, and take off a newline at the end."""
    problem = text_problem(example, *example)
    if problem is None and "text" in example:
        example["text"] = example["text"].rstrip("\r\n")
    return problem


def ranking(example: Example, task: Task) -> str | None:
    """Check that fields are text or None, and that the row is a query, a candidate or a pair."""
    present = [name for name in task.columns if example[name] is not None]
    if "query" not in present and "text" not in present:
        return f"query: expected a query or the text of a candidate, found {example['query']!r}"
    if "candidate" not in present and not {"query", "text"} <= set(present):
        return f"candidate: expected the id of a candidate, found {example['candidate']!r}"
    return text_problem(example, *present)


def masked(example: Example, task: Task) -> str | None:
    """Check that it is text."""
    return text_problem(example, "text")


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_whole(value: object) -> bool:
    """Return whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)
