"""Writing XTREME's prediction folders from a finished study, and the labels that belong to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts import languages, tasks
from adaptstilts.data.examples import read
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.interop.xtreme.rows import LINED, Rows, examined, format_of, gold_text, predicted_text
from adaptstilts.io.folders import publishing
from adaptstilts.metrics.xtreme import FOLDERS
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase
from adaptstilts.store import entries
from adaptstilts.tasks import Task, kind_specs
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.runtime.context import Runtime

_SHOWN = 8
Tested = EvaluatePhase | RetrievePhase


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
        plan: of the study; its tasks that XTREME does not have are left out.
        workspace: store and data.
        folder: new, or empty; it appears when it is whole.
        method: only this method, by kind or label.
        trained_on: only what was trained on this intermediate task (or ``none``).
        over: only what was evaluated over this intermediate task (or ``none``).
        seed: only this seed.

    Returns:
        The files that were written.

    Raises:
        ConfigError: the filters leave no result or several for a task, it is not computed yet, or the study
            evaluated other rows than the whole test set; or the folder is not empty.
        DataError: rows that have no prediction.
    """
    check_empty(Path(folder))
    kinds = {arm.method.label: arm.method.kind for arm in plan.study.methods}
    wanted = {"trained_on": trained_on, "over": over, "seed": seed}
    fits = [
        cell
        for cell in plan.cells
        if method in (None, cell.method, kinds.get(cell.method))
        and all(value in (None, getattr(cell, name)) for name, value in wanted.items())
    ]
    files: dict[str, str] = {}
    for task in exported(plan):
        phase = _tested(plan, _one(task, fits, plan), workspace)
        entry = workspace.store.entry(phase.key)
        for code, score in entries.SCORES.read(entry).items():
            _check_whole(task, code, score)
        for code, rows, _ in _tests(task, phase, workspace):
            held = entries.predictions(code).read(entry)
            if held["ids"] != examined(rows).ids:
                raise DataError(f"{task.name}: {code}: the predictions are not of these rows; run the study again")
            files[_place(task, code)] = predicted_text(task, rows, held["predictions"])
    return _write(Path(folder), files)


def export_labels(plan: Plan, workspace: Workspace, folder: str | Path) -> list[Path]:
    """Write the labels of a study's tasks in the same layout, so that scoring an export gives the study's scores.

    Mining: gold pairs are those that the study counts, one for each pair of texts, by the first row of a text.

    Raises:
        ConfigError: the study has no task of XTREME or evaluated another split, or the folder is not empty.
    """
    check_empty(Path(folder))
    files: dict[str, str] = {}
    for task in exported(plan):
        phase = _phase(plan, next(cell for cell in plan.cells if cell.task == task.name))
        _check_split(task, phase)
        for code, rows, gold in _tests(task, phase, workspace):
            files[_place(task, code)] = gold_text(task, rows, gold)
    return _write(Path(folder), files)


def exported(plan: Plan) -> list[Task]:
    """The tasks of a study that XTREME has.

    Raises:
        ConfigError: there is none, or two are the same task of XTREME.
    """
    names = dict.fromkeys(cell.task for cell in plan.cells)
    found = [tasks.get(name) for name in names if name in FOLDERS]
    if not found:
        raise ConfigError(f"no target of this study is a task of XTREME; they are {', '.join(FOLDERS)}")
    held: dict[str, str] = {}
    for task in found:
        other = held.setdefault(FOLDERS[task.name], task.name)
        if other != task.name:
            raise ConfigError(f"{other} and {task.name} are both {FOLDERS[task.name]} there; leave one out of targets")
    return found


def _one(task: Task, fits: Iterable[Cell], plan: Plan) -> Cell:
    """The one result of a task; cells that share a phase (retrieval without an intermediate) are one."""
    found = {cell.phase: cell for cell in fits if cell.task == task.name}
    if len(found) == 1:
        return next(iter(found.values()))
    held = list(found.values()) or [cell for cell in plan.cells if cell.task == task.name]
    told = [f"method {c.method!r} trained_on {c.trained_on} over {c.over} seed {c.seed}" for c in held[:_SHOWN]]
    more = f"; and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    what = f"{len(found)} results fit" if found else "no result fits"
    raise ConfigError(
        f"{task.name}: {what}, expected one; choose by method, trained_on, over and seed among: {'; '.join(told)}{more}"
    )


def _tested(plan: Plan, cell: Cell, workspace: Workspace) -> Tested:
    """The phase of a cell, which must be computed, on the test split."""
    phase = _phase(plan, cell)
    _check_split(tasks.get(cell.task), phase)
    if not workspace.store.has(cell.phase):
        raise ConfigError(f"{phase.title}: not computed yet; run the study first: adaptstilts run")
    return phase


def _phase(plan: Plan, cell: Cell) -> Tested:
    phase = plan.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase | RetrievePhase)  # noqa: S101
    return phase


def _check_split(task: Task, phase: Tested) -> None:
    if isinstance(phase, EvaluatePhase) and phase.settings.split != "test":
        raise ConfigError(f"{task.name}: evaluate.split is {phase.settings.split!r}; XTREME has predictions of test")


def _check_whole(task: Task, code: str, score: Mapping[str, Any]) -> None:
    if score["n"] < score["rows"]:
        raise ConfigError(
            f"{task.name}: {code}: only {score['n']} of {score['rows']} rows were evaluated; take evaluate.examples"
            f" out of the study and run it again"
        )
    without = sum(score.get("dropped", {}).values())
    if without and format_of(task).form in LINED:
        raise DataError(f"{task.name}: {code}: {without} rows have no gold label and so no prediction")


def _tests(task: Task, phase: Tested, workspace: Workspace) -> Iterator[tuple[str, Rows, list[Any]]]:
    """Code, test rows and gold of every language; gold is in the form of predictions."""
    from adaptstilts.phases import rank
    from adaptstilts.runtime.context import Runtime

    runtime = Runtime(workspace, None, device="cpu")
    if kind_specs.get(task.kind).shares_pool:
        assert isinstance(phase, EvaluatePhase)  # noqa: S101
        held = rank.load(phase, runtime)
        for code in phase.languages:
            yield code, {"": held.queries[code]}, list(held.targets[code])
        return
    for code in phase.languages:
        rows = _rows(task, phase, code, runtime)
        yield code, rows, _gold(task, rows)


def _rows(task: Task, phase: Tested, code: str, runtime: Runtime) -> Rows:
    """The test rows of one language, by row set; ``""`` where a split is one table."""
    from adaptstilts import kinds

    kind = kinds.get(task.kind)
    found = {}
    for place, source in task.reads("test", languages.resolve(code)).items():
        part, _, name = place.removeprefix(code).removeprefix(".").partition(".")
        if part in ("", "test"):
            found[name] = read(runtime.split(task, source, phase.data[place]), task.row_set(name), kind.check)
    return found


def _gold(task: Task, rows: Rows) -> list[Any]:
    """Gold in the form of predictions; a sentence's translation is in its own row, and pairs are a row set."""
    from adaptstilts import kinds

    if task.retrieval:
        return kinds.searchable(task.kind).gold(rows)
    return kinds.trainable(task.kind).gold(rows[""].rows, task)


def _place(task: Task, code: str) -> str:
    """Where the file of a language is in the folder."""
    held = format_of(task)
    if code not in held.languages:
        raise ConfigError(f"{task.name}: XTREME does not have it in {code}; leave that out of languages")
    return f"{held.name}/{held.file(code)}"


def _write(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write all files into a folder that appears by one rename; returns their paths."""
    with publishing(folder) as staging:
        for name, text in files.items():
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_bytes(text.encode("utf-8"))
    return [folder / name for name in files]


def check_empty(*folders: Path) -> None:
    """Refuse folders that have something in them, and the same one twice.

    Raises:
        ConfigError: names the folder.
    """
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder}: already there; choose another folder or remove it")
    if len(set(map(os.path.abspath, folders))) < len(folders):
        raise ConfigError(f"{folders[0]}: predictions and labels need a folder each")
