"""Write the chapter on study files from the models that read them.

``python -m adaptstilts.guide.study_file`` writes ``study-file.md`` anew; a test compares the file with it.
"""

from __future__ import annotations

import re
import textwrap
import types
from collections.abc import Sequence
from inspect import cleandoc
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from adaptstilts import methods
from adaptstilts.guide import FOLDER
from adaptstilts.methods import Method
from adaptstilts.study import schema, settings

PATH = FOLDER / "study-file.md"
SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("The study", "", schema.Study),
    ("Intermediates and targets", "A name stands for `{task: NAME}`.", schema.Part),
    ("Methods", "A kind stands for `{kind: KIND}`. The settings of each kind are below.", schema.Arm),
    ("Compositions", "A kind stands for `{kind: KIND}`. See `adaptstilts guide methods`.", schema.Composition),
    ("`train:`", "For the whole study, a method, an intermediate or a target; the last one wins.", settings.Train),
    ("`evaluate:`", "For the whole study or a target.", settings.Evaluate),
    ("`retrieve:`", "", settings.Retrieve),
    ("`measure:`", "Time and memory of running targets; see `adaptstilts guide protocol`.", settings.Measure),
    ("`rows:`", "Training rows in test languages; see `adaptstilts guide methods`.", schema.TargetRows),
    (
        "`retention:`",
        "Scores of the intermediate tasks before, after and beyond their training; for `question: retention`.",
        schema.Retention,
    ),
    ("`mixture:`", "", schema.Mixture),
    ("`chain:`", "", schema.Chain),
    ("`merge:`", "", schema.Merge),
    ("`masked:`", "", schema.Masked),
    ("`language_adapters:`", "", schema.LanguageAdapters),
    ("`text:`", "An item of the `text:` of `masked` and `language_adapters`.", schema.TextSource),
)
HEAD = """# The study file

Every key of a study file, with its type, its default and what it means. This chapter is generated from the models that
read the file.

```yaml
name: example
model: builtin:nano                  # builtin:NAME, a folder or a hub id
intermediates: [none, sample_nli]    # none: the target is trained directly
targets:
  - sample_choice
  - task: sample_tagging
    train: {epochs: 2}               # settings for this task alone
  - {task: sample_nli, evaluate: {examples: 50}}
  - sample_retrieval                 # evaluated straight after the intermediate phase
methods:
  - full
  - {kind: bottleneck, reduction: 16, leave_out: [0]}
  - {kind: lora, rank: 8, train: {lr: 5.0e-4}}
seeds: [1, 2, 3]
swap: all                            # every target adapter over every other intermediate adapter
languages: [en, de, sw, zh]          # XTREME's languages of each task when not given
train: {examples: 200, epochs: 3}    # for every training phase
evaluate: {split: test}
retrieve: {layer: 1}
```

`models: [builtin:nano, builtin:micro]` instead of `model` runs the same study with each model, and shares entries with
studies of one model. Every command handles all of them, except that `export-adapter` and `export-predictions` need one:
add `model=builtin:nano`.

Unknown keys, unknown tasks, values of the wrong type and settings that contradict each other are reported before
anything is computed, all at once, each with file, line and key. Any key can be overridden on the command line:
`method.reduction=8`, `methods.lora.rank=4`, `targets.sample_tagging.train.epochs=5`, `seeds=[1,2,3]`.
"""


def text() -> str:
    """Return the whole chapter as Markdown."""
    parts = [HEAD]
    for title, remark, model in SECTIONS:
        parts.append("\n".join([f"## {title}", "", *([remark, ""] if remark else []), *_table(model)]))
        if model is schema.Arm:
            parts += [_method_section(method) for _, method in sorted(methods.known().items()) if _is_shipped(method)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _is_shipped(method: type[Method]) -> bool:
    return method.__module__.startswith(methods.__name__)


def _method_section(method: type[Method]) -> str:
    """Return what a method is, and the table of its settings."""
    summary = _plain(cleandoc(method.__doc__ or "").split("\n\n")[0].replace("\n", " "))
    rate = f"Learning rate unless given: {method.default_lr:g}."
    has_settings = len(method.model_fields) > 1
    table = ["", *_table(method)] if has_settings else []
    return "\n".join(
        [f"### `{method.model_fields['kind'].default}`", "", textwrap.fill(f"{summary}. {rate}", 120), *table]
    )


def _table(model: type[BaseModel]) -> list[str]:
    """Return the table of a model's keys."""
    meanings = _meanings(model)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name == "kind" and issubclass(model, Method):
            continue
        if model is schema.Arm and name == "method":
            rows.append("| `kind` | name of a method | required | with the settings of that method beside it |")
            continue
        rows.append(f"| `{name}` | {_type(field)} | {_default(field)} | {meanings[name]} |")
    return rows


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what a model's docstring says of each field, in one line.

    Raises:
        KeyError: a field is not documented.
    """
    _, _, attributes = cleandoc(model.__doc__ or "").partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    meanings = {name: re.sub(r"\s+", " ", meaning) for name, meaning in found}
    meanings = {name: _plain(meaning) for name, meaning in meanings.items()}
    missing = model.model_fields.keys() - meanings.keys() - ({"kind"} if issubclass(model, Method) else {"method"})
    if missing:
        raise KeyError(f"{model.__name__}: no word on {', '.join(sorted(missing))} under Attributes")
    return meanings


def _plain(meaning: str) -> str:
    """Return a line of a docstring as Markdown for a table."""
    meaning = re.sub(r":\w+:`([^`]*)`", r"`\1`", meaning).replace("``", "`").replace("|", "\\|")
    return meaning.rstrip(".").replace(" None ", " none ").replace("; None ", "; none ")


def _type(field: FieldInfo) -> str:
    bounds = filter(None, (_bound(rule) for rule in field.metadata))
    return f"{_type_name(field.annotation)} {' and '.join(bounds)}".rstrip()


def _type_name(annotation: Any) -> str:
    """Return what people call a type."""
    while get_origin(annotation) is Annotated:
        annotation = annotation.__origin__
    names = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in names:
        return names[annotation]
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(each) for each in arguments if each is not type(None))
    if origin is tuple:
        return f"list of {_plural(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, Method):
        return "method"
    return "mapping"


def _plural(annotation: Any) -> str:
    while get_origin(annotation) is Annotated:
        annotation = annotation.__origin__
    if get_origin(annotation) is Literal:
        return _type_name(annotation)
    names: dict[Any, str] = {str: "names", int: "whole numbers", float: "numbers"}
    return names.get(annotation, "mappings")


def _bound(rule: Any) -> str:
    """Return what a constraint of pydantic says."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for name, word in words.items():
        if (value := getattr(rule, name, None)) is not None:
            return f"{word} {value:g}"
    return ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    return _value(value)


def _value(value: Any) -> str:
    """Return a default as one writes it in YAML."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, BaseModel):
        changed = value.model_dump(mode="json", exclude_defaults=True)
        return f"`{changed}`".replace("'", "").replace("True", "true") if changed else "see below"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "`[" + ", ".join(_item(item) for item in value) + "]`"
    if value == {}:
        return "`{}`"
    return f"`{value}`" if value != "" else '`""`'


def _item(value: Any) -> str:
    if isinstance(value, schema.Part):
        return value.task
    if isinstance(value, schema.Composition):
        return value.kind
    return str(value)


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
