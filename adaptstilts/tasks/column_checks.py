"""Whole columns at once: whether the checks of single rows (:mod:`adaptstilts.tasks.row_checks`) would find nothing.

That takes a hundredth of the time. Each function takes a table with the columns of a task that does not adapt its rows,
and the task. True means that every row is right, apart from its label; False means that the rows must be checked one by
one, which then says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adaptstilts.tasks.row_checks import LONGEST_TEXT

if TYPE_CHECKING:
    from adaptstilts.tasks.base import Task

Table = Any  # of pyarrow, which has no types
Column = Any
ColumnCheck = Callable[[Table, "Task"], bool]


def texts(table: Table, task: Task) -> bool:
    """Return whether all columns but that of a label are texts."""
    return all(_is_text(table[column]) for name, column in task.columns.items() if name != "label")


def tagging(table: Table, task: Task) -> bool:
    """Return whether all rows have words, and as many tags."""
    import pyarrow.compute as pc

    words, tags = table[task.columns["tokens"]], table[task.columns["tags"]]
    if not _is_list_of(words, _is_text) or not _is_list_of(tags, _has_no_null):
        return False
    lengths = pc.list_value_length(words)
    return _all(pc.equal(lengths, pc.list_value_length(tags))) and _all(pc.greater(lengths, 0))


def span(table: Table, task: Task) -> bool:
    """Return whether all rows have a question, a context and answers with a place each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    answers = table[task.columns["answers"]]
    names = ("text", "answer_start")
    is_struct = pa.types.is_struct(answers.type)
    if not is_struct or answers.null_count or any(answers.type.get_field_index(name) < 0 for name in names):
        return False
    answer_texts, starts = (pc.struct_field(answers, [name]) for name in names)
    if not _is_list_of(answer_texts, _is_text) or not _is_list_of(starts, _is_whole):
        return False
    lengths = pc.list_value_length(answer_texts)
    has_answers = task.unanswerable or _all(pc.greater(lengths, 0))
    are_texts = all(_is_text(table[task.columns[name]]) for name in ("question", "context"))
    return are_texts and has_answers and _all(pc.equal(lengths, pc.list_value_length(starts)))


def _is_text(column: Column) -> bool:
    import pyarrow as pa

    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return is_text and _has_no_null(column) and _is_short(column)


def _is_short(column: Column) -> bool:
    """Return whether no text has more bytes than a text may have characters."""
    import pyarrow.compute as pc

    return (pc.max(pc.binary_length(column)).as_py() or 0) <= LONGEST_TEXT


def _is_whole(column: Column) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(column.type) and _has_no_null(column)


def _has_no_null(column: Column) -> bool:
    return not column.null_count


def _is_list_of(column: Column, check: Callable[[Column], bool]) -> bool:
    """Return whether a column has lists in every row whose values pass a check."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    return is_list and _has_no_null(column) and check(pc.list_flatten(column))


def _all(values: Column) -> bool:
    """Return whether all values are true; so are none."""
    import pyarrow.compute as pc

    return len(values) == 0 or bool(pc.all(values).as_py())
