"""What targets are evaluated on: languages, and the digests of their rows."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstilts import languages, tasks
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.study import Study
from adaptstilts.tasks import Source, Task
from adaptstilts.tasks.base import POOL
from adaptstilts.workspace import Workspace

REMEDY = "add the data, name the languages to evaluate (languages=[...]) or give missing=skip"


@dataclass(frozen=True)
class EvaluationRows:
    """The rows that a target is evaluated on.

    Attributes:
        data: name of what is read -> digest of its content.
        languages: codes, in the order of the task.
        missing: codes of languages without rows.
    """

    data: dict[str, str]
    languages: tuple[str, ...]
    missing: tuple[str, ...]


class RowFinder:
    """Finds the rows that the targets of a study are evaluated on; each split once.

    Args:
        study: names the languages, and says what to do if rows are missing.
        workspace: the data.
        remedy: what to do about missing rows, for messages.
    """

    def __init__(self, study: Study, workspace: Workspace, remedy: str = "") -> None:
        self.study, self.workspace, self.remedy = study, workspace, remedy or REMEDY
        self._rows: dict[tuple[str, str, tuple[str, ...]], EvaluationRows] = {}

    def find(self, task: str, split: str, codes: tuple[str, ...] = ()) -> EvaluationRows:
        """Return the rows of one target.

        Args:
            task: its name.
            split: ``dev`` or ``test``.
            codes: languages; those of the study if empty.

        Raises:
            ConfigError: the task has none of the languages, or no such split in them.
            DataError: rows are missing.
        """
        key = task, split, codes
        if key not in self._rows:
            self._rows[key] = self._find(tasks.get(task), split, codes or tuple(self._codes(tasks.get(task))))
        return self._rows[key]

    def _find(self, task: Task, split: str, codes: tuple[str, ...]) -> EvaluationRows:
        reason = task.why_not_evaluated(split, codes)
        if reason:
            raise ConfigError(reason)
        reads = {code: task.reads(split, languages.resolve(code)) for code in codes}
        missing = tuple(code for code in codes if not self._is_there(reads[code]))
        if missing and (self.study.missing == "error" or len(missing) == len(codes)):
            raise self._missing_rows(task, split, missing, reads[missing[0]])
        present = tuple(code for code in codes if code not in missing)
        data: dict[str, str] = {}
        for code in present:
            for name, source in reads[code].items():
                data[name] = self.workspace.sources.get(source).identity(task.version)
        return EvaluationRows(data, present, missing)

    def _codes(self, task: Task) -> list[str]:
        """Return the languages that a task is evaluated in."""
        chosen, every = self.study.languages, (*task.languages, *task.more_languages)
        if chosen is None or chosen == "xtreme":
            return list(task.languages)
        if chosen == "xtreme-r":
            return list(every)
        wanted = {languages.resolve(name).code for name in chosen}
        codes = [code for code in every if code in wanted]
        if not codes:
            raise ConfigError(f"{task.name} has none of the languages {', '.join(sorted(wanted))}")
        return codes

    def _is_there(self, sources: dict[str, Source]) -> bool:
        """Return whether any of the rows of a language exist; those that all languages share do not count."""
        return any(self.workspace.sources.find(source) for name, source in sources.items() if name != POOL)

    def _missing_rows(self, task: Task, split: str, codes: tuple[str, ...], sources: dict[str, Source]) -> DataError:
        repo = next(iter(sources.values())).repo
        hint = f". {task.hint}" if task.hint else ""
        return DataError(f"{task.name}: no {split} rows for {', '.join(codes)} in {repo}; {self.remedy}{hint}")
