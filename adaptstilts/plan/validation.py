"""Combinations in a study that no single key shows to be wrong."""

from __future__ import annotations

from adaptstilts import languages, search, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.models.locate import Model
from adaptstilts.study import Arm, Part, Study

ENGLISH = "en"


def check(study: Study, model: Model) -> None:
    """Refuse what cannot be meant.

    Raises:
        ConfigError: the first such combination.
    """
    held = [tasks.get(part.task) for part in study.targets]
    known = {code for task in held for code in (*task.languages, *task.more_languages)}
    named = study.languages if isinstance(study.languages, tuple) else ()
    for code in named:
        if languages.resolve(code).code not in known:
            raise ConfigError(f"languages: no target of this study has {code!r}")
    for name in ("intermediates", "targets", "methods", "seeds"):
        items = [_name(item) for item in getattr(study, name)]
        if len(items) != len(set(items)):
            raise ConfigError(f"{name}: {', '.join(map(str, items))} holds the same one twice")
    check_language_adapters(study)
    check_compositions(study)
    check_sizes(study, model)
    for arm in study.methods:
        below = arm.method.below
        if not below.changes_encoder and any(part.task != "none" for part in study.intermediates):
            raise ConfigError(
                f"method {arm.method.label}: an intermediate task would change nothing, because nothing of the encoder"
                f" is trained; say what is trained with it (over: bottleneck), or give intermediates=[none]"
            )
    if study.swap == "all":
        if all(arm.method.below.trains_encoder for arm in study.methods):
            raise ConfigError("swap: full fine-tuning has no intermediate adapter to swap; add an adapter method")
        if len(study.intermediates) < 2 or not _kinds(study) & {"stack", "merge_then_stack"}:
            raise ConfigError("swap: needs two or more intermediates and the composition stack")
    if study.retrieve.layer is not None and study.retrieve.layer > model.shape["layers"]:
        raise ConfigError(f"retrieve.layer: the model has hidden states 0 to {model.shape['layers']}")
    if reason := search.why_not_known(study.retrieve.backend):
        raise ConfigError(f"retrieve.backend: {reason}")


def check_sizes(study: Study, model: Model) -> None:
    """Refuse methods, and settings of them, that make no sense on the model.

    Raises:
        ConfigError: the first such method.
    """
    used = [arm.method.below for arm in study.methods]
    if study.language_adapters is not None:
        used.append(study.language_adapters.method)
    for method in used:
        if reason := method.why_not_for(model.architecture.names) or method.why_not_on(model.shape):
            raise ConfigError(f"method {method.label}: {reason}")


def _name(item: Part | Arm | int) -> object:
    if isinstance(item, Part):
        return item.label
    return item.label if isinstance(item, Arm) else item


def blended(study: Study) -> bool:
    """Whether adapters are continued or summed, not only stacked."""
    summed = any(part.merge for part in study.intermediates)
    return summed or bool(_kinds(study) & {"continue", "merge", "merge_then_stack"})


def _kinds(study: Study) -> set[str]:
    """The compositions that are used: a method's own, or the study's."""
    return {held.kind for arm in study.methods for held in arm.compositions or study.compositions}


def check_compositions(study: Study) -> None:
    """Refuse what a composition of its kind does not read.

    Raises:
        ConfigError: weights or intermediates of one that has none.
    """
    for held in (*study.compositions, *(own for arm in study.methods for own in arm.compositions)):
        if held.weights is not None and held.kind not in ("merge", "merge_then_stack"):
            raise ConfigError(f"compositions: {held.kind} has no weights; merge and merge_then_stack have")
        if held.of and held.kind == "none":
            raise ConfigError("compositions: none is over no intermediate; leave out of=[...]")


def check_language_adapters(study: Study) -> None:
    """What no single key of a study's language adapters shows.

    Raises:
        ConfigError: English is missing, or a method is none that can stand on them.
    """
    held = study.language_adapters
    if held is not None and ENGLISH not in held.text:
        raise ConfigError(f"language_adapters.text: no {ENGLISH}, over whose adapter the tasks are trained")
    if held is not None and not any(arm.language_adapters for arm in study.methods):
        raise ConfigError("language_adapters: no method asks for them; give it language_adapters: true")
    for code in held.text if held is not None else ():
        if (known := languages.resolve(code).code) != code:
            raise ConfigError(f"language_adapters.text: write {code} as {known}, or its adapter would not be found")
    for arm in study.methods:
        below = arm.method.below
        if arm.language_adapters and held is not None:
            alike = below.kind == held.method.kind
            told = held.method.why_not_stackable() or below.why_not_stackable() or below.why_not_above()
            told = told if alike else f"they are of another kind ({held.method.kind})"
            if told:
                raise ConfigError(f"method {arm.label}: cannot stand on language adapters: {told}")
