"""The card of an exported adapter: what it is, what it was trained on, what it scores, and how to load it.

Everything that comes from data, a study or a folder's name goes through a YAML writer or :func:`_cell`, so that it can
end neither the front matter nor a table.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Score:
    """One result of a target: metric values of one language over ``n`` examples."""

    language: str
    values: Mapping[str, float]
    n: int


@dataclass(frozen=True)
class Facts:
    """What a card tells.

    Attributes:
        key: of the entry.
        phase: that left it.
        form: the format of the folder.
        model: name of the base model.
        result: its ``result.json``.
        scores: by language, where the store has them; empty for an intermediate.
        over: what they were evaluated over, the study's name of it.
        below: folders of the adapters that it acts over, the lowest first.
        head: whether our own head is beside it.
    """

    key: str
    phase: WeightsPhase
    form: str
    model: str
    result: Mapping[str, Any]
    scores: Sequence[Score] = ()
    over: str = "none"
    below: Sequence[str] = ()
    head: bool = False
    sources: Sequence[Source] = field(default_factory=tuple)


def card(facts: Facts) -> str:
    """The text of the card."""
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
            "An adapter belongs to the weights it was trained on. Fingerprint of this one's base model:",
            "",
            *_table(("part", "value"), list(facts.phase.model.identity().items())),
            "",
        ]
    )


def front_matter(facts: Facts) -> dict[str, Any]:
    """The machine-readable head of the card; a field that cannot be told is left out."""
    licences = sorted({task.licence for task in _tasks(facts.phase) if task.licence})
    known = _LICENCE.get(licences[0]) if len(licences) == 1 else None
    repos = sorted({source.repo for source in facts.sources if not source.repo.startswith(_NOT_ON_THE_HUB)})
    told = {"en", *(score.language for score in facts.scores)} if facts.sources else set()
    codes = sorted(told & languages.LANGUAGES.keys())
    found = {
        "library_name": _LIBRARY[facts.form],
        "base_model": facts.model if _HUB_ID.fullmatch(facts.model) else None,
        "tags": ["adaptstilts", facts.phase.model.architecture, facts.phase.method.kind, _LIBRARY[facts.form]],
        "datasets": repos,
        "language": codes,
        "license": known or ("other" if licences else None),
        "license_name": None if known or not licences else "of-the-training-data",
    }
    return {
        key: list(dict.fromkeys(value)) if isinstance(value, list) else value for key, value in found.items() if value
    }


def _about(facts: Facts) -> list[str]:
    size = facts.result.get("trainable")
    told = f" {size:,} parameters." if isinstance(size, int) else ""
    licences = sorted({f"{task.name}: {task.licence}" for task in _tasks(facts.phase) if task.licence})
    lines = [f"An adapter ({_cell(facts.phase.method.label)}) for the encoder {_cell(facts.model)}.{told}"]
    if isinstance(facts.phase, ImportPhase):
        lines.append(f"It was imported from the {_cell(facts.result.get('format', '?'))} format and not trained here.")
    if licences:
        lines.append(f"Licences of the data it was trained on: {_cell('; '.join(licences))}.")
    if facts.below:
        lines.append(
            f"It was trained over other adapters, which are in {_cell(', '.join(facts.below))}, and needs them."
        )
    if facts.head:
        lines.append("The task's head is in `head/`, as safetensors of adaptstilts; the library does not load it.")
    else:
        lines.append("There is no head in it.")
    return lines


def _loading(facts: Facts) -> list[str]:
    base, below = json.dumps(facts.model), [json.dumps(f"FOLDER/{name}") for name in facts.below]
    if facts.form == "own":
        return ["```", f"adaptstilts import-adapter FOLDER --model {shlex.quote(_line(facts.model))}", "```"]
    lines = ["```python", "from transformers import AutoModel"]
    if facts.form == "adapterhub":
        paths = "[" + ", ".join([*below, '"FOLDER"']) + "]"
        lines += [
            "import adapters",
            f"model = AutoModel.from_pretrained({base})",
            "adapters.init(model)",
            f"names = [model.load_adapter(path, use_safetensors=True) for path in {paths}]",
            "model.set_active_adapters(adapters.Stack(*names))",
        ]
    else:
        lines += ["from peft import PeftModel", f"model = AutoModel.from_pretrained({base})"]
        first = [*below, '"FOLDER"']
        lines.append(f'model = PeftModel.from_pretrained(model, {first[0]}, adapter_name="a0")')
        lines += [f'model.load_adapter({path}, "a{i}")' for i, path in enumerate(first[1:], 1)]
        if below:
            lines.append(f"model.base_model.set_adapter({json.dumps([f'a{i}' for i in range(len(first))])})")
    return [*lines, "```"]


def _training(facts: Facts) -> list[tuple[str, object]]:
    phase = facts.phase
    rows: list[tuple[str, object]] = [("task", phase.task)]
    if isinstance(phase, TrainPhase) and phase.rows != phase.task:
        rows.append(("training rows of", phase.rows))
    rows += [(f"data read: {source.repo}", f"{source.config}, {source.split}") for source in facts.sources]
    rows += [(f"sha256 of {name}", value) for name, value in phase.data.items()]
    rows += [(f"method: {key}", value) for key, value in facts.phase.method.model_dump(mode="json").items()]
    if isinstance(phase, TrainPhase):
        rows += list(phase.settings.identity().items())
        rows.append(("seed", phase.seed))
    if isinstance(phase, TrainPhase) and phase.mixture:
        rows.append(("mixture", phase.mixture.identity()))
    if isinstance(phase, TrainPhase) and phase.masked:
        rows.append(("masked", phase.masked))
    rows += [(f"dev {name}", f"{value:.2f}") for name, value in facts.result.get("dev", {}).items()]
    return [*rows, ("entry", facts.key)]


def _scores(facts: Facts) -> list[str]:
    if not facts.scores:
        return ["None were measured of this adapter itself: it is for other tasks to stand on, or was not evaluated."]
    names = list(facts.scores[0].values)
    lines = [f"As measured by adaptstilts, zero-shot but for English, over the intermediate {_cell(facts.over)}.", ""]
    rows = [
        (_language(score.language), *(f"{score.values[name]:.2f}" for name in names), score.n) for score in facts.scores
    ]
    return [*lines, *_table(("language", *names, "n"), rows)]


def _language(code: str) -> str:
    known = languages.LANGUAGES.get(code)
    return f"{known.name} ({code})" if known else code


def _tasks(phase: WeightsPhase) -> list[Task]:
    """Return the tasks whose rows a phase trained on; none if that is not known."""
    names: list[str] = []
    if isinstance(phase, TrainPhase):
        names = [phase.rows, *(stream.rows for stream in phase.streams)]
    elif not isinstance(phase, ImportPhase):  # whose name says nothing about its data
        names = [phase.task]
    known = tasks.known()
    return [known[name] for name in names if name in known]


def sources(phase: WeightsPhase) -> list[Source]:
    """Return where the training rows of a phase come from, as its tasks declare it."""
    found = [task.train for task in _tasks(phase) if task.train]
    return [part for source in found for part in (source, *source.more)]


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> list[str]:
    escaped = [[_cell(value) for value in row] for row in rows]
    return markdown.table([_cell(name) for name in head], escaped, padded=False).splitlines()


def _line(value: object) -> str:
    return "".join(char if char.isprintable() else " " for char in str(value))


def _cell(value: object) -> str:
    """A value as text that cannot end a line, a table's cell or a code span, and holds no markup."""
    text = _line(value)
    for char in "\\`|<>[]":
        text = text.replace(char, f"\\{char}")
    return text
