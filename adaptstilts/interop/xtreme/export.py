"""XTREME's prediction folders written from a finished study, and folders with the matching labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts import languages, tasks
from adaptstilts.data.examples import read
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.interop.xtreme.rows import LINED, TaskRows, format_of, label_text, prediction_text
from adaptstilts.io.folders import publishing
from adaptstilts.io.wording import counted
from adaptstilts.metrics.xtreme import FOLDERS
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase
from adaptstilts.store import entries
from adaptstilts.store.contents import LanguageScores
from adaptstilts.tasks import Task, kind_specs
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.data.examples import Examples
    from adaptstilts.runtime.context import Runtime

_SHOWN = 8  # results that an error message lists
TestPhase = EvaluatePhase | RetrievePhase


@dataclass(frozen=True)
class _Filters:
    """Filters for the results of a study; None accepts any. See :func:`export`."""

    method: str | None
    trained_on: str | None
    over: str | None
    seed: int | None

    def accept(self, cell: Cell, kinds: Mapping[str, str]) -> bool:
        """Return whether a result is wanted; ``kinds`` has the kind of every method by label."""
        return (
            self.method in (None, cell.method, kinds.get(cell.method))
            and self.trained_on in (None, cell.trained_on)
            and self.over in (None, cell.over)
            and self.seed in (None, cell.seed)
        )


def export(
    plan: Plan,
    workspace: Workspace,
    folder: str | Path,
    method: str | None = None,
    trained_on: str | None = None,
    over: str | None = None,
    seed: int | None = None,
) -> list[Path]:
    """Write the predictions of a finished study as XTREME's ``evaluate.py`` reads them.

    Args:
        plan: the plan of the study; tasks that XTREME does not have are left out.
        workspace: store and data.
        folder: a new or empty folder, which appears when it is complete.
        method: only this method, by kind or label.
        trained_on: only what was trained on this intermediate task (or ``none``).
        over: only what was evaluated over this intermediate task (or ``none``).
        seed: only this seed.

    Returns:
        The files that were written.

    Raises:
        ConfigError: the filters leave no result or several for a task, the result is not computed yet, or the study
            did not evaluate the whole test set; or the folder is not empty.
        DataError: rows that have no prediction.
    """
    check_empty(Path(folder))
    kinds = {arm.method.label: arm.method.kind for arm in plan.study.methods}
    filters = _Filters(method, trained_on, over, seed)
    cells = [cell for cell in plan.cells if filters.accept(cell, kinds)]
    files: dict[str, str] = {}
    for task in exported_tasks(plan):
        phase = _computed_phase(plan, _select_cell(task, cells, plan), workspace)
        files |= _prediction_files(task, phase, workspace)
    return _write(Path(folder), files)


def _prediction_files(task: Task, phase: TestPhase, workspace: Workspace) -> dict[str, str]:
    """Return the files of one task: path below the folder -> content."""
    entry = workspace.store.entry(phase.key)
    for code, scores in entries.SCORES.read(entry).items():
        _check_all_rows(task, code, scores)
    files = {}
    for code, rows, _ in _test_rows(task, phase, workspace):
        predictions = entries.predictions(code).read(entry)
        if predictions["ids"] != rows.predicted.ids:
            raise DataError(f"{task.name}: {code}: the predictions are not of these rows; run the study again")
        files[_file_name(task, code)] = prediction_text(rows, predictions["predictions"])
    return files


def export_labels(plan: Plan, workspace: Workspace, folder: str | Path) -> list[Path]:
    """Write the labels of a study's tasks in the same layout; scoring an export against them gives the study's scores.

    Gold pairs of mining are those that the study counts: one for each pair of texts, with the first ids of the texts.

    Args:
        plan: the plan of the study; tasks that XTREME does not have are left out.
        workspace: store and data.
        folder: a new or empty folder, which appears when it is complete.

    Returns:
        The files that were written.

    Raises:
        ConfigError: the study has no task of XTREME or evaluated another split, or the folder is not empty.
    """
    check_empty(Path(folder))
    files: dict[str, str] = {}
    for task in exported_tasks(plan):
        phase = _phase(plan, next(cell for cell in plan.cells if cell.task == task.name))
        _check_split(task, phase)
        for code, rows, gold in _test_rows(task, phase, workspace):
            files[_file_name(task, code)] = label_text(rows, gold)
    return _write(Path(folder), files)


def exported_tasks(plan: Plan) -> list[Task]:
    """Return the tasks of a study that XTREME has.

    Raises:
        ConfigError: there is none, or two of them are the same task of XTREME.
    """
    names = dict.fromkeys(cell.task for cell in plan.cells if cell.task in FOLDERS)
    if not names:
        raise ConfigError(f"no target of this study is a task of XTREME; its tasks are {', '.join(FOLDERS)}")
    owners: dict[str, str] = {}
    for name in names:
        other = owners.setdefault(FOLDERS[name], name)
        if other != name:
            raise ConfigError(f"{other} and {name} are both {FOLDERS[name]} in XTREME; leave one out of targets")
    return [tasks.get(name) for name in names]


def _select_cell(task: Task, cells: Sequence[Cell], plan: Plan) -> Cell:
    """Return the one result of a task; results that share a phase (retrieval without an intermediate) are one.

    Args:
        task: the task.
        cells: the results that the filters accept.
        plan: the plan of the study, whose results are suggested if none is accepted.

    Raises:
        ConfigError: there is no result, or several.
    """
    matches = {cell.phase: cell for cell in cells if cell.task == task.name}
    if len(matches) == 1:
        return next(iter(matches.values()))
    candidates = list(matches.values()) or [cell for cell in plan.cells if cell.task == task.name]
    described = [
        f"method {cell.method!r} trained_on {cell.trained_on} over {cell.over} seed {cell.seed}"
        for cell in candidates[:_SHOWN]
    ]
    if len(candidates) > _SHOWN:
        described.append(f"and {len(candidates) - _SHOWN} more")
    problem = f"{len(matches)} results fit" if matches else "no result fits"
    raise ConfigError(
        f"{task.name}: {problem}, expected one; choose by method, trained_on, over and seed among:"
        f" {'; '.join(described)}"
    )


def _computed_phase(plan: Plan, cell: Cell, workspace: Workspace) -> TestPhase:
    """Return the phase of a result; raise unless it is computed and on the test split."""
    phase = _phase(plan, cell)
    _check_split(tasks.get(cell.task), phase)
    if not workspace.store.has(cell.phase):
        raise ConfigError(f"{phase.title}: not computed yet; run the study first: adaptstilts run")
    return phase


def _phase(plan: Plan, cell: Cell) -> TestPhase:
    phase = plan.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase | RetrievePhase)  # noqa: S101
    return phase


def _check_split(task: Task, phase: TestPhase) -> None:
    if isinstance(phase, EvaluatePhase) and phase.settings.split != "test":
        raise ConfigError(f"{task.name}: evaluate.split is {phase.settings.split!r}; XTREME needs predictions on test")


def _check_all_rows(task: Task, code: str, scores: LanguageScores) -> None:
    """Raise if a language was not evaluated on its whole test set."""
    if scores["n"] < scores["rows"]:
        raise ConfigError(
            f"{task.name}: {code}: only {scores['n']} of {scores['rows']} rows were evaluated; remove"
            f" evaluate.examples from the study and run it again"
        )
    dropped = sum(scores.get("dropped", {}).values())
    if dropped and format_of(task).form in LINED:
        raise DataError(
            f"{task.name}: {code}: {counted(dropped, 'row')} without a gold label, hence without a prediction"
        )


def _test_rows(task: Task, phase: TestPhase, workspace: Workspace) -> Iterator[tuple[str, TaskRows, list[Any]]]:
    """Yield code, test rows and gold of every language; gold is in the form of predictions."""
    from adaptstilts.phases import ranking_rows
    from adaptstilts.runtime.context import Runtime

    runtime = Runtime(workspace, None, device="cpu")
    if kind_specs.get(task.kind).shares_pool:
        assert isinstance(phase, EvaluatePhase)  # noqa: S101
        loaded = ranking_rows.load(phase, runtime)
        for code in phase.languages:
            yield code, TaskRows(task, {"": loaded.queries[code]}), list(loaded.targets[code])
        return
    for code in phase.languages:
        rows = TaskRows(task, _row_sets(task, phase, code, runtime))
        yield code, rows, _gold(rows)


def _row_sets(task: Task, phase: TestPhase, code: str, runtime: Runtime) -> dict[str, Examples]:
    """Return the test rows of one language by row set."""
    from adaptstilts import kinds

    kind = kinds.get(task.kind)
    row_sets = {}
    for place, source in task.reads("test", languages.resolve(code)).items():
        part, _, name = place.removeprefix(code).removeprefix(".").partition(".")
        if part in ("", "test"):
            split = runtime.split(task, source, phase.data[place])
            row_sets[name] = read(split, task.row_set(name), kind.check)
    return row_sets


def _gold(rows: TaskRows) -> list[Any]:
    """Return the labels in the form of predictions."""
    from adaptstilts import kinds

    if rows.task.retrieval:
        return kinds.searchable(rows.task.kind).gold(rows.sets)
    return kinds.trainable(rows.task.kind).gold(rows.predicted.rows, rows.task)


def _file_name(task: Task, code: str) -> str:
    """Return the path of the file of a language below the folder."""
    task_format = format_of(task)
    if code not in task_format.languages:
        raise ConfigError(f"{task.name}: XTREME does not have this task in {code}; leave {code} out of languages")
    return f"{task_format.name}/{task_format.file(code)}"


def _write(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write all files into a folder that appears in one step; return their paths."""
    with publishing(folder) as staging:
        for name, text in files.items():
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_bytes(text.encode("utf-8"))
    return [folder / name for name in files]


def check_empty(*folders: Path) -> None:
    """Raise if a folder exists and is not empty, or if two folders are the same.

    Raises:
        ConfigError: names the folder.
    """
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder}: already exists; choose another folder or remove it")
    if len(set(map(os.path.abspath, folders))) < len(folders):
        raise ConfigError(f"{folders[0]}: predictions and labels need different folders")
