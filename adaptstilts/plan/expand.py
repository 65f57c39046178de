"""Expand a study into a plan: which phases train and evaluate what, and which cell of the results each one fills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adaptstilts import study as studies
from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.plan.builder import PlanBuilder
from adaptstilts.plan.effects import check_effects
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.intermediates import Intermediates, lower_arm
from adaptstilts.plan.measures import add_measures
from adaptstilts.plan.stacking import BASE_MODEL, Foundation
from adaptstilts.plan.training import Trainings
from adaptstilts.plan.validation import (
    Findings,
    check_combinations,
    check_sizes,
)
from adaptstilts.study import Arm, Problems, Study, StudyError
from adaptstilts.workspace import Workspace

__all__ = ["Cell", "Plan", "expand", "expand_each"]


def expand(study: Study, workspace: Workspace) -> Plan:
    """Expand a study of one base model.

    Args:
        study: what to plan.
        workspace: store, data and models.

    Raises:
        ConfigError: the study has several models, which :func:`expand_each` expands.
        ConfigError: one line for every combination of the study that cannot be planned; no data was read.
        DataError: data is missing or unreadable.
    """
    if len(study.models) > 1:
        raise StudyError(study.place.at("models"), f"one plan has one model, not {len(study.models)}; use expand_each")
    check(study, workspace)
    (study,) = study.each()
    plan = Plan(study, workspace.model(study))
    builder = PlanBuilder(plan, workspace)
    for seed in study.seeds:
        for arm in study.methods:
            builder.add_method(arm, seed)
    with builder.problems.collecting(study.place):
        add_measures(plan, builder.rows)
    builder.problems.raise_all()
    workspace.memory.save()
    return plan


def expand_each(study: Study, workspace: Workspace) -> list[Plan]:
    """Expand a study into one plan for each base model; see :func:`expand` for the arguments and errors.

    The phases of a plan have the same keys as in a study of that model alone.
    """
    check(study, workspace)
    return [expand(single, workspace) for single in study.each()]


def encodings(study: Study, workspace: Workspace, remedy: str = "") -> Plan:
    """Plan the retrieval targets of a study with the base model as it is, one phase each; nothing is trained.

    Args:
        study: only its retrieval targets count.
        workspace: store and data.
        remedy: what to do about missing data, for a command without a study file; empty for the advice for studies.

    Raises:
        ConfigError, DataError: as :func:`expand`.
    """
    findings = Findings(Problems())
    check_combinations(study, findings)  # not check(), which plans the training of every target
    check_sizes(study, workspace.model(study), findings)
    findings.problems.raise_all()
    plan = Plan(study, workspace.model(study))
    builder = PlanBuilder(plan, workspace, remedy=remedy)
    for part in study.targets:
        builder.add_retrieval(part, study.methods[0], BASE_MODEL, BASE_MODEL, study.seeds[0])
    builder.problems.raise_all()
    workspace.memory.save()
    return plan


def intermediates(plan: Plan, workspace: Workspace, arm: Arm, seed: int) -> dict[str, Foundation]:
    """Add the intermediates of a study to a plan.

    Args:
        plan: that grows.
        workspace: store and data.
        arm: a method of the targets.
        seed: seed of the phases.

    Returns:
        What targets can be trained on, by the name that tables give it.
    """
    problems = Problems()
    foundations = Intermediates(Trainings(plan, workspace, problems)).add(lower_arm(arm, plan.study), seed)
    problems.raise_all()
    return foundations.by_name


def load_study(path: str | Path, overrides: tuple[str, ...] | list[str], workspace: Workspace) -> Study:
    """Read a study file; if anything in it is wrong, report what :func:`expand` would find wrong as well.

    Args:
        path: a YAML file.
        overrides: ``key.path=value``, applied in order.
        workspace: store, data and models.

    Raises:
        ConfigError: one line for every wrong key, value and combination, with file, line and key.
    """
    draft = studies.draft(path, overrides)
    if draft.problems and draft.study is not None:
        _find_problems(
            draft.study, workspace, Findings(draft.problems, draft.incomplete, can_be_planned=draft.can_be_planned)
        )
    draft.problems.raise_all()
    assert draft.study is not None  # noqa: S101
    return draft.study


def check(study: Study, workspace: Workspace) -> None:
    """Raise if a study has combinations that cannot be planned; no data is read.

    Args:
        study: what to check.
        workspace: the models, and adapters that somebody else trained.

    Raises:
        ConfigError: one line for each combination.
    """
    findings = Findings(Problems())
    _find_problems(study, workspace, findings)
    findings.problems.raise_all()


def _find_problems(study: Study, workspace: Workspace, findings: Findings) -> None:
    """Note every combination that cannot be planned, by making a plan without data and throwing it away."""
    check_combinations(study, findings)
    check_effects(study, findings)
    if findings.is_complete("model", "models", "revision"):
        for single in study.each():
            _find_problems_with_model(single, workspace, findings)


def _find_problems_with_model(study: Study, workspace: Workspace, findings: Findings) -> None:
    problems, findings = findings.problems, replace(findings, unusable=set(findings.unusable))
    try:
        model = workspace.model(study)
    except ConfigError as error:
        problems.add(study.place.at("model"), str(error))
        return
    except AdaptstiltsError:
        problems.raise_all()
        raise
    check_sizes(study, model, findings)
    if not findings.can_be_planned:
        return
    plan = Plan(_without_problems(study, problems), model)
    builder = PlanBuilder(plan, workspace.without_data(), findings)
    for arm in study.methods:
        if arm.label not in findings.unusable:
            builder.add_method(arm, study.seeds[0])


def _without_problems(study: Study, problems: Problems) -> Study:
    """Return a study without the values that are already noted as wrong and would give the same message again."""
    changes: dict[str, object] = {}
    place = study.place.at("languages")
    if isinstance(study.languages, tuple) and problems.are_in(place):
        right = [name for number, name in enumerate(study.languages) if not problems.are_in(place.at(number))]
        changes["languages"] = tuple(right) or None
    if problems.are_in(study.place.at("swap")):
        changes["swap"] = "off"
    return study.model_copy(update=changes)
