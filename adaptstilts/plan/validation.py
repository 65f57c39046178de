"""Checks of combinations: a study's values may be right one by one and wrong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from adaptstilts import languages, search, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method
from adaptstilts.models.locate import Model
from adaptstilts.plan.retrieval_settings import why_not_own
from adaptstilts.study import Arm, Composition, Place, Problems, Study

ENGLISH = "en"
RETENTION = "retention"  # the one question for which intermediate tasks are scored again


@dataclass
class Findings:
    """What the checks of a study found besides its problems, so that later checks do not repeat them.

    Attributes:
        problems: where mistakes are noted.
        incomplete: top-level keys of which a part is missing, because it could not be read; see
            :class:`adaptstilts.study.Draft`.
        unusable: labels of methods that cannot be planned.
        can_be_planned: whether targets and methods are left, so that a plan can show further mistakes.
    """

    problems: Problems
    incomplete: frozenset[str] = frozenset()
    unusable: set[str] = field(default_factory=set)
    can_be_planned: bool = True

    def is_complete(self, *sections: str) -> bool:
        """Return whether everything under some top-level keys could be read."""
        return not self.incomplete & set(sections)


def check_combinations(study: Study, findings: Findings) -> None:
    """Note combinations that are wrong with any base model.

    Args:
        study: as far as it could be read.
        findings: what is noted.
    """
    _check_languages(study, findings)
    _check_duplicates(study, findings)
    _check_methods(study, findings)
    _check_language_adapters(study, findings)
    _check_compositions(study, findings)
    if study.swap == "all":
        _check_swap(study, findings)
    if study.retention is not None and study.question != RETENTION and findings.is_complete("question"):
        findings.problems.add(study.place.at("retention"), f"is used by question: {RETENTION} alone; add that")
    reason = search.why_not_known(study.retrieve.backend)
    if reason:
        findings.problems.add(study.place.at("retrieve", "backend"), reason)


def check_sizes(study: Study, model: Model, findings: Findings) -> None:
    """Note settings that make no sense on the base model.

    Args:
        study: as far as it could be read.
        model: the base model.
        findings: what is noted.
    """
    problems, layers = findings.problems, model.shape["layers"]
    for arm in study.methods:
        method = arm.method.below
        reason = _why_not_for(method, model)
        if reason:
            findings.unusable.add(arm.label)
            place = arm.place
            if method is arm.method:
                place = setting_to_blame(method, place, lambda changed: _why_not_for(changed, model))
            problems.add(place, f"method {method.label}: {reason}")
    if study.language_adapters is not None:
        method = study.language_adapters.method
        reason = _why_not_for(method, model)
        if reason:
            findings.unusable |= {arm.label for arm in study.methods if arm.language_adapters}
            place = study.language_adapters.place.at("method")
            place = setting_to_blame(method, place, lambda changed: _why_not_for(changed, model))
            problems.add(place, f"method {method.label}: {reason}")
    settings, place = study.retrieve, study.place.at("retrieve")
    if reason := why_not_own(settings, model):
        problems.add(place.at("pooling"), reason)
    if settings.layer is not None and settings.layer > layers:
        problems.add(place.at("layer"), f"the model has hidden states 0 to {layers}, found {settings.layer}")
    highest = max(settings.further_layers(layers), default=0)
    if highest > layers:
        problems.add(place.at("layers"), f"no layer {highest}; the model has hidden states 0 to {layers}")


def check_length(tokens: int, model: Model, place: Place, problems: Problems, source: str = "") -> None:
    """Note sequences that are longer than the model allows.

    Args:
        tokens: the longest sequence of a phase, special tokens included.
        model: the base model.
        place: where the study says so.
        problems: where it is noted.
        source: whose default it is, for a value that the study does not give.
    """
    limit = model.max_tokens
    if tokens <= limit:
        return
    if source:
        words, key = f"max_length {tokens}, {source},", "train.max_length"
    else:
        words, key = f"max_length {tokens}", place.name
    problems.add(place, f"{words} is more than the {limit} positions of the model; give {key}={limit}")


def setting_to_blame(method: Method, place: Place, why_not: Callable[[Method], str | None]) -> Place:
    """Return the place of the setting for which a method is refused; that of the method if no single one is the cause.

    Args:
        method: the method with its settings.
        place: where the study names it.
        why_not: returns why a method is refused.
    """
    reason = why_not(method)
    if reason is None:
        return place
    for name, setting in type(method).model_fields.items():
        if name != "kind" and name in method.model_fields_set:
            changed = method.model_copy(update={name: setting.get_default()})
            if why_not(changed) != reason:
                return place.at(name)
    return place


def stacking_to_blame(arm: Arm) -> Place:
    """Return the place of the setting for which an adapter cannot act over others; else that of the method."""
    return setting_to_blame(arm.method, arm.place, lambda method: method.why_not_stackable() or method.why_not_above())


def _why_not_for(method: Method, model: Model) -> str | None:
    """Return why a method, with its settings, makes no sense on a model; None if it does."""
    return method.why_not_for(model.architecture.names) or method.why_not_on(model.shape)


def blends_adapters(study: Study) -> bool:
    """Return whether adapters are continued or merged, not only stacked, so that they must have equal settings."""
    has_merge = any(part.merge for part in study.intermediates)
    return has_merge or bool(_composition_kinds(study) & {"continue", "merge", "merge_then_stack"})


def compositions_with_places(study: Study) -> Iterator[tuple[Composition, Place]]:
    """Yield every composition of a study and of its methods, with its place."""
    for number, composition in enumerate(study.compositions):
        yield composition, study.place.at("compositions", number)
    for arm in study.methods:
        for number, composition in enumerate(arm.compositions):
            yield composition, arm.place.at("compositions", number)


def _composition_kinds(study: Study) -> set[str]:
    """Return the compositions that are used: those of each method, or else the study's."""
    used = (arm.compositions or study.compositions for arm in study.methods)
    return {composition.kind for composition in chain.from_iterable(used)}


def _check_languages(study: Study, findings: Findings) -> None:
    """Note languages that are unknown, or that no target has.

    English is right for every target that searches: it is the other side of the pairs.
    """
    if study.languages == ():
        place = study.place.at("languages")
        findings.problems.add(place, "names no language; leave it out for those of XTREME")
    if not isinstance(study.languages, tuple):
        return
    known = _languages_of_targets(study) if findings.is_complete("targets") else None
    for number, name in enumerate(study.languages):
        place = study.place.at("languages", number)
        with findings.problems.collecting(place):
            code = languages.resolve(name).code
            if known is not None and code not in known:
                findings.problems.add(place, f"no target of this study has {name!r}")


def _languages_of_targets(study: Study) -> set[str]:
    """Return the languages that any target can be evaluated in."""
    known: set[str] = set()
    for part in study.targets:
        task = tasks.get(part.task)
        known |= {*task.languages, *task.more_languages}
        if task.retrieval:
            known.add(ENGLISH)
    return known


def _check_duplicates(study: Study, findings: Findings) -> None:
    labels = {
        "intermediates": [part.label for part in study.intermediates],
        "targets": [part.label for part in study.targets],
        "methods": [arm.label for arm in study.methods],
        "seeds": [str(seed) for seed in study.seeds],
        "models": list(study.models),
    }
    for section, names in labels.items():
        if not findings.is_complete(section):
            continue
        for number, name in enumerate(names):
            if name in names[:number]:
                findings.problems.add(study.place.at(section, number), f"{name} is listed twice")


def _check_methods(study: Study, findings: Findings) -> None:
    """Note methods that cannot be trained over language adapters, and those whose intermediates would train nothing."""
    has_intermediates = any(part.task != "none" for part in study.intermediates)
    for arm in study.methods:
        reason = _why_not_on_language_adapters(arm, study)
        if reason:
            message = f"method {arm.label}: cannot be trained over language adapters: {reason}"
        elif has_intermediates and not arm.method.below.changes_encoder:
            message = (
                f"method {arm.method.label}: an intermediate task would change nothing, because the encoder is not"
                f" trained; name a method for it (over: bottleneck), or give intermediates=[none]"
            )
        else:
            continue
        findings.unusable.add(arm.label)
        findings.problems.add(arm.place, message)


def _check_compositions(study: Study, findings: Findings) -> None:
    """Note keys that a composition of its kind does not use."""
    for composition, place in compositions_with_places(study):
        kind = composition.kind
        if composition.weights is not None and kind not in ("merge", "merge_then_stack"):
            findings.problems.add(place.at("weights"), f"{kind} takes no weights; only merge and merge_then_stack do")
        if composition.of and kind == "none":
            findings.problems.add(place.at("of"), "none uses no intermediate; leave out of=[...]")


def _check_swap(study: Study, findings: Findings) -> None:
    place = study.place.at("swap")
    is_full = all(arm.method.below.trains_encoder for arm in study.methods)
    if is_full and findings.is_complete("methods"):
        findings.problems.add(place, "full fine-tuning has no intermediate adapter to swap; add an adapter method")
        return
    if not findings.is_complete("intermediates", "compositions", "methods"):
        return
    if len(study.intermediates) < 2 or not _composition_kinds(study) & {"stack", "merge_then_stack"}:
        findings.problems.add(place, "needs two or more intermediates and the composition stack")


def _check_language_adapters(study: Study, findings: Findings) -> None:
    """Note language adapters without English or without a use."""
    adapters, problems = study.language_adapters, findings.problems
    if adapters is None:
        return
    place = adapters.place if adapters.place.keys else study.place.at("language_adapters")
    count = len(problems)
    if ENGLISH not in adapters.text:
        problems.add(place.at("text"), f"{ENGLISH} is missing, over whose adapter tasks are trained")
    if not any(arm.language_adapters for arm in study.methods) and findings.is_complete("methods"):
        problems.add(place, "no method uses them; set language_adapters: true for one")
    for name in adapters.text:
        with problems.collecting(place.at("text", name)):
            code = languages.resolve(name).code
            if code != name:
                raise ConfigError(f"write {name} as {code}, or its adapter would not be found")
    for key in _dev_settings(adapters.train):
        problems.add(
            place.at("train", key), "text has no dev rows to choose by, so the last weights are kept; remove it"
        )
    if len(problems) > count:
        findings.unusable |= {arm.label for arm in study.methods if arm.language_adapters}


def _dev_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return the training settings given that need dev rows."""
    given = [key for key in ("patience", "eval_every", "dev_examples") if settings.get(key) is not None]
    return [*given, "keep"] if settings.get("keep") == "best" else given


def _why_not_on_language_adapters(arm: Arm, study: Study) -> str | None:
    """Return why a method cannot be trained over the language adapters of a study; None if it can."""
    adapters, below = study.language_adapters, arm.method.below
    if adapters is None or not arm.language_adapters:
        return None
    if below.kind != adapters.method.kind:
        return f"they are of another kind ({adapters.method.kind})"
    return adapters.method.why_not_stackable() or below.why_not_stackable() or below.why_not_above()
