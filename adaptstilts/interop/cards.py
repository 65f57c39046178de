"""The card of an exported adapter: what it is, what it was trained on, what it scores, and how to load it.

Everything that comes from data, a study or a folder's name goes through a YAML writer or :func:`_cell`, so that it can
end neither the front matter nor a table.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from adaptstilts import languages, tasks
from adaptstilts.io import markdown
from adaptstilts.plan.phases import ImportPhase, TrainPhase, WeightsPhase
from adaptstilts.tasks import Source, Task

_LIBRARY = {"adapterhub": "adapter-transformers", "peft": "peft", "own": "adaptstilts"}
_LICENCE = {
    "MIT": "mit", "Apache-2.0": "apache-2.0", "BSD 2-clause": "bsd-2-clause", "CC BY 4.0": "cc-by-4.0",
    "CC BY-SA 3.0": "cc-by-sa-3.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0",
}  # fmt: skip
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_NOT_ON_THE_HUB = ("local/", "adaptstilts/")
_MARKUP = "\\`|<>[]"


@dataclass(frozen=True)
class LanguageScore:
    """Metric values of one language over ``n`` examples."""

    language: str
    values: Mapping[str, float]
    n: int


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        key: key of the entry.
        phase: the phase that trained, merged or imported the adapter.
        format_name: name of the format of the folder.
        model: name of the base model.
        result: the entry's ``result.json``.
        scores: by language; empty for an intermediate, or if it was not evaluated.
        over: the intermediate that the scores were measured over.
        below: folders of the adapters below it, the lowest first.
        interface: what the ``adapters`` library must be told of the base model; None if it knows the architecture.
        has_head: whether our own head is beside it.
        sources: where its training rows come from.
    """

    key: str
    phase: WeightsPhase
    format_name: str
    model: str
    result: Mapping[str, Any]
    scores: Sequence[LanguageScore] = ()
    over: str = "none"
    below: Sequence[str] = ()
    interface: Mapping[str, Any] | None = None
    has_head: bool = False
    sources: Sequence[Source] = ()


def card(facts: CardFacts) -> str:
    """Return the text of the card."""
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True).rstrip("\n"),
            "---",
            f"# {_cell(facts.phase.task)}: {_cell(facts.phase.method.label)}",
            "",
            *_about(facts),
            "",
            "## Load it",
            "",
            *_loading(facts),
            "",
            "## Training",
            "",
            *_table(("setting", "value"), _training(facts)),
            "",
            "## Scores",
            "",
            *_scores(facts),
            "",
            "## Base model",
            "",
            "An adapter belongs to the weights it was trained on. Fingerprint of this adapter's base model:",
            "",
            *_table(("part", "value"), list(facts.phase.model.identity().items())),
            "",
        ]
    )


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """Return the machine-readable head of the card, without fields that are not known."""
    licences = sorted({task.licence for task in _tasks(facts.phase) if task.licence})
    known = _LICENCE.get(licences[0]) if len(licences) == 1 else None
    repos = sorted({source.repo for source in facts.sources if not source.repo.startswith(_NOT_ON_THE_HUB)})
    codes = {"en", *(score.language for score in facts.scores)} if facts.sources else set()
    library = _LIBRARY[facts.format_name]
    tags = ["adaptstilts", facts.phase.model.architecture, facts.phase.method.kind, library]
    fields = {
        "library_name": library,
        "base_model": facts.model if _HUB_ID.fullmatch(facts.model) else None,
        "tags": list(dict.fromkeys(tags)),
        "datasets": repos,
        "language": sorted(codes & languages.LANGUAGES.keys()),
        "license": known or ("other" if licences else None),
        "license_name": None if known or not licences else "of-the-training-data",
    }
    return {key: value for key, value in fields.items() if value}


def _about(facts: CardFacts) -> list[str]:
    """Return sentences about the content of the folder."""
    parameters = facts.result.get("trainable")
    size = f" {parameters:,} parameters." if isinstance(parameters, int) else ""
    licences = sorted({f"{task.name}: {task.licence}" for task in _tasks(facts.phase) if task.licence})
    lines = [f"An adapter ({_cell(facts.phase.method.label)}) for the encoder {_cell(facts.model)}.{size}"]
    if isinstance(facts.phase, ImportPhase):
        lines.append(f"It was imported from the {_cell(facts.result.get('format', '?'))} format and not trained here.")
    if licences:
        lines.append(f"Licences of the data it was trained on: {_cell('; '.join(licences))}.")
    if facts.below:
        lines.append(
            f"It was trained over other adapters, which are in {_cell(', '.join(facts.below))}, and needs them."
        )
    if facts.has_head:
        lines.append("The task's head is in `head/`, in adaptstilts' own format; the library does not load it.")
    else:
        lines.append("It comes without a head.")
    return lines


def _loading(facts: CardFacts) -> list[str]:
    """Return a code block that loads the adapter, with those below it, from ``FOLDER``."""
    if facts.format_name == "own":
        return ["```", f"adaptstilts import-adapter FOLDER --model {shlex.quote(_line(facts.model))}", "```"]
    paths = [*(json.dumps(f"FOLDER/{name}") for name in facts.below), '"FOLDER"']
    base = json.dumps(facts.model)
    if facts.format_name == "adapterhub":
        load = _load_with_adapters(base, paths, facts.interface)
    else:
        load = _load_with_peft(base, paths)
    return ["```python", "from transformers import AutoModel", *load, "```"]


def _load_with_adapters(base: str, paths: Sequence[str], interface: Mapping[str, Any] | None) -> list[str]:
    """Return Python code that stacks adapters with the ``adapters`` library.

    Args:
        base: the base model, as a string literal.
        paths: folders of the adapters as literals, the lowest first.
        interface: see :class:`CardFacts`.
    """
    told = ""
    if interface:
        told = f", interface=adapters.AdapterModelInterface(**{dict(interface)!r})"
    return [
        "import adapters",
        f"model = AutoModel.from_pretrained({base})",
        f"adapters.init(model{told})",
        f"names = [model.load_adapter(path, use_safetensors=True) for path in [{', '.join(paths)}]]",
        "model.set_active_adapters(adapters.Stack(*names))",
    ]


def _load_with_peft(base: str, paths: Sequence[str]) -> list[str]:
    """Return Python code that stacks adapters with ``peft``.

    Args:
        base: the base model, as a string literal.
        paths: folders of the adapters as literals, the lowest first.
    """
    lines = ["from peft import PeftModel", f"model = AutoModel.from_pretrained({base})"]
    lines.append(f'model = PeftModel.from_pretrained(model, {paths[0]}, adapter_name="a0")')
    names = [f"a{i}" for i in range(len(paths))]
    lines += [f'model.load_adapter({path}, "{name}")' for name, path in zip(names[1:], paths[1:], strict=True)]
    if len(paths) > 1:
        lines.append(f"model.base_model.set_adapter({json.dumps(names)})")
    return lines


def _training(facts: CardFacts) -> list[tuple[str, object]]:
    """Return (setting, value) of everything that the training depended on."""
    phase = facts.phase
    rows: list[tuple[str, object]] = [("task", phase.task)]
    if isinstance(phase, TrainPhase) and phase.rows != phase.task:
        rows.append(("training rows of", phase.rows))
    rows += [(f"data read: {source.repo}", f"{source.config}, {source.split}") for source in facts.sources]
    rows += [(f"sha256 of {name}", value) for name, value in phase.data.items()]
    rows += [(f"method: {key}", value) for key, value in phase.method.model_dump(mode="json").items()]
    if isinstance(phase, TrainPhase):
        rows += _settings(phase)
    rows += [(f"dev {name}", f"{value:.2f}") for name, value in facts.result.get("dev", {}).items()]
    return [*rows, ("entry", facts.key)]


def _settings(phase: TrainPhase) -> list[tuple[str, object]]:
    """Return (setting, value) of the settings of a training phase."""
    rows: list[tuple[str, object]] = [*phase.settings.identity().items(), ("seed", phase.seed)]
    if phase.mixture:
        rows.append(("mixture", phase.mixture.identity()))
    if phase.masked:
        rows.append(("masked", phase.masked))
    return rows


def _scores(facts: CardFacts) -> list[str]:
    """Return a table of the scores with one row per language."""
    if not facts.scores:
        return ["This adapter has no scores of its own: it is an intermediate, or was not evaluated."]
    names = list(facts.scores[0].values)
    rows = []
    for score in facts.scores:
        values = [f"{score.values[name]:.2f}" for name in names]
        rows.append((_language(score.language), *values, score.n))
    over = (
        f"Measured by adaptstilts, zero-shot in all languages but English, over the intermediate {_cell(facts.over)}."
    )
    return [over, "", *_table(("language", *names, "n"), rows)]


def _language(code: str) -> str:
    """Return the name of a language with its code."""
    known = languages.LANGUAGES.get(code)
    return f"{known.name} ({code})" if known else code


def _tasks(phase: WeightsPhase) -> list[Task]:
    """Return the tasks whose rows a phase trained on; none if that is not known."""
    names: list[str] = []
    if isinstance(phase, TrainPhase):
        names = [phase.rows, *(stream.rows for stream in phase.streams)]
    elif not isinstance(phase, ImportPhase):  # the name of an import says nothing about its data
        names = [phase.task]
    known = tasks.known()
    return [known[name] for name in names if name in known]


def sources(phase: WeightsPhase) -> list[Source]:
    """Return where the training rows of a phase come from, as its tasks declare it."""
    declared: list[Source] = []
    for task in _tasks(phase):
        if task.train:
            declared += [task.train, *task.train.more]
    return declared


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a Markdown table with every cell escaped."""
    escaped = [list(map(_cell, row)) for row in rows]
    return markdown.table(list(map(_cell, header)), escaped, padded=False).splitlines()


def _line(value: object) -> str:
    """Return a value as text on one line."""
    return "".join(character if character.isprintable() else " " for character in str(value))


def _cell(value: object) -> str:
    """Return a value as text without markup that could end a line, a table's cell or a code span."""
    text = _line(value)
    for character in _MARKUP:
        text = text.replace(character, f"\\{character}")
    return text
