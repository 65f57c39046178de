"""Settings of a study that would change nothing: each is a mistake, because whoever wrote it expects an effect."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from adaptstilts import languages, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.models.locate import BUILTIN
from adaptstilts.plan.validation import Findings, compositions_with_places
from adaptstilts.study import Part, Place, Problems, Study


def check_effects(study: Study, findings: Findings) -> None:
    """Note settings without effect.

    A setting for the whole study is right if one phase could use it. What the file says beside members that an override
    replaced is no mistake.

    Args:
        study: the study, as far as it could be read.
        findings: what is noted.
    """
    problems = findings.problems
    _check_revision(study, problems)
    _check_repeats(study, problems)
    if not findings.is_complete("targets", "intermediates", "methods", "compositions"):
        return
    for part in study.targets:
        _check_target(part, problems)
    for key, reason in _idle_defaults(study):
        place = study.place.at(key)
        if not problems.are_in(place) and (_is_override(place) or not _has_overridden_members(study)):
            problems.add(place, reason)
    for part in study.intermediates:
        if part.task == "none" and part.train:
            problems.add(part.place.at("train"), "none trains nothing")
        if part.swap_only and not _is_swapped_or_merged(part, study) and not _has_overridden_members(study):
            problems.add(part.place.at("swap_only"), f"{part.label}: nothing uses it without swap: all")


def _check_revision(study: Study, problems: Problems) -> None:
    """Note a revision of a model that has none."""
    if study.revision is None or study.models:
        return
    if study.model.startswith(BUILTIN) or Path(study.model).expanduser().is_dir():
        problems.add(study.place.at("revision"), f"{study.model} is not a model on the hub, so it has no revisions")


def _check_repeats(study: Study, problems: Problems) -> None:
    """Note members of lists that repeat an earlier one."""
    if isinstance(study.languages, tuple):
        _check_list(_codes(study.languages), study.place.at("languages"), problems)
    _check_list(study.compositions, study.place.at("compositions"), problems)
    for arm in study.methods:
        _check_list(arm.compositions, arm.place.at("compositions"), problems)
    for composition, place in compositions_with_places(study):
        _check_list(composition.of, place.at("of"), problems)
    for part in (*study.intermediates, *study.targets):
        if part.merge:
            _check_list(part.merge.of, part.place.at("merge", "of"), problems)
        if part.rows:
            place = part.place.at("rows")
            _check_list(_codes(part.rows.languages), place.at("languages"), problems)
            _check_list(part.rows.k, place.at("k"), problems)
            _check_list(part.rows.after, place.at("after"), problems)


def _check_list(members: Sequence[Hashable], place: Place, problems: Problems) -> None:
    for number, member in enumerate(members):
        if member in members[:number]:
            problems.add(place.at(number), f"is the same as member {members.index(member)}; keep one")


def _codes(names: object) -> list[str]:
    """Return the codes of languages, so that a code and a name can be compared; unknown names as they are."""
    codes = []
    for name in names if isinstance(names, tuple) else ():
        try:
            codes.append(languages.resolve(name).code)
        except ConfigError:
            codes.append(name)
    return codes


def _check_target(part: Part, problems: Problems) -> None:
    """Note settings of a target that is searched and never trained, or not evaluated on rows."""
    task = tasks.get(part.task)
    if part.train and not _is_trained(part):
        problems.add(part.place.at("train"), f"{part.task} is only searched and never trained")
    if part.evaluate and task.retrieval:
        problems.add(part.place.at("evaluate"), f"{part.task} is only searched; its settings are those under retrieve")


def _idle_defaults(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the settings for the whole study that no phase can use, each with the reason."""
    if "compositions" in study.model_fields_set and all(arm.compositions for arm in study.methods):
        yield "compositions", "every method of this study has compositions of its own"
    if study.steps != "own" and all(part.task == "none" for part in study.intermediates):
        yield "steps", "no intermediate of this study is trained"
    if study.swap != "off" and all(tasks.get(part.task).retrieval for part in study.targets):
        yield "swap", "no target of this study has an adapter that could be swapped"


def _is_trained(target: Part) -> bool:
    """Return whether a target has a training phase of its own; most of those that are searched have none."""
    task = tasks.get(target.task)
    return not task.retrieval or bool(task.train_from)


def _is_swapped_or_merged(part: Part, study: Study) -> bool:
    """Return whether a study uses an intermediate over which no target is trained."""
    if study.swap == "all" or any(tasks.get(target.task).retrieval for target in study.targets):
        return True
    return any(part.label in other.merge.of for other in study.intermediates if other.merge)


def _is_override(place: Place) -> bool:
    """Return whether a value, or a part of it, comes from an override."""
    keys = place.keys
    return any(path[: len(keys)] == keys[: len(path)] for path, _ in place.origin.overrides)


def _has_overridden_members(study: Study) -> bool:
    """Return whether overrides chose other targets, methods, intermediates or compositions than the file has."""
    sections = ("targets", "methods", "intermediates", "compositions", "swap")
    return any(len(path) < 3 and path[0] in sections for path, _ in study.place.origin.overrides)
