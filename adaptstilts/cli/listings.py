"""What is available, as text: encoders, tasks, their rows, methods, and the installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adaptstilts import methods, tasks
from adaptstilts.cli.columns import aligned, terminal_width
from adaptstilts.cli.model_lines import method_support
from adaptstilts.io import markdown
from adaptstilts.io.files import free_bytes
from adaptstilts.io.wording import joined, short_count, size
from adaptstilts.methods import Method, composition_kinds
from adaptstilts.models import architectures
from adaptstilts.models import locate as models
from adaptstilts.models.weight_files import WEIGHTS
from adaptstilts.tasks import Task
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.reports.data_inventory import Inventory

LIBRARIES = ("adaptstilts", "torch", "transformers", "adapters", "peft", "datasets", "accelerate")
SEARCH_LIBRARIES = ("faiss-cpu", "faiss-gpu")


def model_lines() -> Iterator[str]:
    """Yield the built-in encoders with their sizes."""
    header = ("name", "parameters", "layers", "hidden", "on disk")
    yield from aligned(header, [_model_row(name) for name in models.builtin_names()], header[1:])


def _model_row(name: str) -> tuple[str, ...]:
    model = models.locate(name)
    stored = (model.folder / WEIGHTS).stat().st_size
    shape = model.shape
    return (name, short_count(shape["parameters"]), str(shape["layers"]), str(shape["hidden"]), size(stored))


def architecture_lines() -> Iterator[str]:
    """Yield every architecture with its published models, and what it cannot do, with the reason."""
    for name, architecture in sorted(architectures.known().items()):
        description = (type(architecture).__doc__ or "").strip().partition("\n")[0]
        yield f"{name}: {description}"
        if architecture.published:
            yield f"    published: {', '.join(architecture.published)}"
        for line in method_support(architecture):
            yield f"    {line}"
        yield f"    language-model head: {'no' if architecture.language_model is None else 'yes'}"
        parts = "attention and feed-forward blocks" if architecture.names.attention else "whole layers"
        yield f"    early exit and shared states: {parts}"


def task_lines() -> Iterator[str]:
    """Yield every task with its kind, its roles and its languages."""
    by_kind = sorted(tasks.known().values(), key=lambda task: (task.kind, task.name))
    header = ("task", "kind", "role", "languages")
    yield from aligned(header, [_task_row(task) for task in by_kind], width=terminal_width())


def _task_row(task: Task) -> tuple[str, ...]:
    role = "intermediate, target" if task.intermediate else "target"
    return (task.name, task.kind, role, f"{len(task.languages)}: {' '.join(task.languages)}")


def inventory_lines(workspace: Workspace) -> Iterator[str]:
    """Yield a Markdown table with the rows that the available data has of every task."""
    from adaptstilts.data.agreement import sentences
    from adaptstilts.reports.data_inventory import inventories

    header = ("task", "kind", "train", "dev", "test", "left out", "languages", "metric")
    found = list(inventories(workspace))
    yield from markdown.table(header, [*map(_inventory_row, found)]).splitlines()
    for inventory in found:
        for sentence in sentences(inventory.differs):
            yield f"{inventory.task.name}: {sentence}"


def _inventory_row(inventory: Inventory) -> tuple[str, ...]:
    task = inventory.task
    available, declared = len(inventory.languages), len(task.languages) + len(task.more_languages)
    return (
        task.name,
        task.kind,
        f"from {' then '.join(task.train_from)}" if task.train_from else _rows(inventory.rows, "train"),
        _rows(inventory.rows, "dev"),
        _rows(inventory.rows, "test"),
        f"{inventory.dropped:,}" if inventory.dropped else "-",
        str(declared) if available == declared else f"{available} of {declared}",
        joined(task.headline).replace("_", " "),
    )


def _rows(rows: Mapping[str, int | None], part: str) -> str:
    if part not in rows:
        return "-"
    count = rows[part]
    return "not in the data" if count is None else f"{count:,}"


def method_lines() -> Iterator[str]:
    """Yield every method with its settings, then every composition with the methods that support it."""
    for kind, method in sorted(methods.known().items()):
        yield from _about_method(kind, method)
    yield ""
    yield "compositions, how a target uses its intermediates (in study files, compositions: [stack, merge]):"
    for composition, description in composition_kinds.DESCRIPTIONS.items():
        yield f"{composition}: {description}"
        yield f"    methods: {', '.join(composition_kinds.supporting(composition))}"


def _about_method(kind: str, method: type[Method]) -> Iterator[str]:
    description = (method.__doc__ or "").strip().partition("\n")[0]
    yield f"{kind}: {description}"
    for name, field in method.model_fields.items():
        if name != "kind":
            yield f"    {name} = {field.default!r}"
    yield f"    default learning rate {method.default_lr:g}"


def doctor_lines(store: Path) -> Iterator[str]:
    """Yield the versions, device, precision, search backend and disk space of this installation."""
    import platform

    yield f"python {platform.python_version()} on {platform.system()} {platform.machine()}"
    installed = _versions(LIBRARIES)
    for name in LIBRARIES:
        yield f"{name} {installed.get(name, 'is not installed')}"
    yield from _search_lines()
    yield from _device_lines()
    yield from _store_lines(store)


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the distributions that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _search_lines() -> Iterator[str]:
    installed = _versions(SEARCH_LIBRARIES)
    for name, number in installed.items():
        yield f"{name} {number}"
    if not installed:
        yield "faiss: not installed; numpy and the 8-bit search are used instead (the extra cpu or gpu installs it)"
    if len(installed) == len(SEARCH_LIBRARIES):
        yield "faiss: faiss-cpu and faiss-gpu overwrite each other; uninstall both, then install one"


def _device_lines() -> Iterator[str]:
    import torch

    from adaptstilts.runtime.hardware import half_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    yield f"device {torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu'}"
    yield f"threads {torch.get_num_threads()}, bf16 {'yes' if half_precision('auto', device) else 'no'}"


def _store_lines(store: Path) -> Iterator[str]:
    free = free_bytes(store)
    yield f"store {store}, {'no disk' if free is None else f'{size(free)} free'}"
