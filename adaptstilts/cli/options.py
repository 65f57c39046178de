"""Options that several verbs share, each with one help text, and how they become a workspace and a plan.

A verb is a plain function. Options that go together are a dataclass: a verb that has a parameter of such a type gets
all its options, and :func:`with_shared_options` hands them over as one value.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from adaptstilts.plan.expand import Plan
    from adaptstilts.study import Study
    from adaptstilts.workspace import Workspace

DEFAULT_STORE = Path("store")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
Mode = Literal["create", "existing", "preview", "outline"]


def _check_backend(name: str) -> str:
    """Return the name of a search backend.

    Raises:
        typer.BadParameter: no backend has it.
    """
    from adaptstilts import search

    if reason := search.why_not_known(name):
        raise typer.BadParameter(reason)
    return name


StoreOption = Annotated[
    Path, typer.Option("--store", envvar="ADAPTSTILTS_STORE", help="Folder with everything that was computed.")
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        envvar="ADAPTSTILTS_DATA_ROOT",
        help="Local folder with the data sets, laid out like the Hugging Face hub.",
        show_default="the hub itself",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Open no network connection.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="Torch device, such as cpu or cuda:1.", show_default="the GPU if there is one"),
]
CheckpointOption = Annotated[
    int | None,
    typer.Option(
        "--checkpoint-every", help="Training steps between checkpoints.", min=1, show_default="one every minute"
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        callback=_check_backend,
        help="Search backend: auto (the fastest), numpy, faiss, faiss-float16, one-pass, or that of a plug-in. All give"
        " the same results.",
    ),
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        help="Logger that also receives the training curves. May be repeated.",
        show_default="log.jsonl alone",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", help="md, csv, latex, json, or a format that a plug-in adds.", show_default="by --out, else md"
    ),
]
MethodOption = Annotated[
    str | None, typer.Option("--method", help="Only this method, by its kind or its label.", show_default="all")
]
TrainedOnOption = Annotated[
    str | None,
    typer.Option("--trained-on", help="Only targets that were trained on this intermediate task.", show_default="all"),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Only this seed.", show_default="all")]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to keys of the file, as key.path=value.", show_default="the file as it is"),
]


@dataclass(frozen=True, kw_only=True)
class WorkspaceOptions:
    """Where a verb finds its store and its data."""

    store: StoreOption = DEFAULT_STORE
    data_root: RootOption = None
    offline: OfflineOption = False

    def open(self, create: bool = True) -> Workspace:
        """Return the workspace; without ``create``, a store that does not exist is not created."""
        return open_workspace(self.store, self.data_root, self.offline, create)

    def open_existing(self) -> Workspace:
        """Return the workspace of a verb that reads a store.

        Raises:
            ConfigError: there is no store in the folder.
        """
        from adaptstilts.store.store import Store
        from adaptstilts.workspace import Workspace

        return Workspace(Store.open_existing(self.store), self.data_root, self.offline)


@dataclass(frozen=True, kw_only=True)
class StudyOptions(WorkspaceOptions):
    """A study file, the overrides of its keys, and where it runs."""

    config: Annotated[Path, typer.Argument(help="Study file (YAML).", show_default=False)]
    overrides: OverridesArgument = None

    def load(self, workspace: Workspace) -> Study:
        """Return the study with its overrides applied; report every mistake in it at once."""
        from adaptstilts import questions
        from adaptstilts.plan.expand import load_study

        study = load_study(self.config, self.overrides or (), workspace)
        if study.question is not None:
            questions.of_study(study)
        return study

    def plans(self, mode: Mode = "create") -> tuple[Workspace, list[Plan]]:
        """Return the workspace, and the plan of the study for each of its models.

        Args:
            mode: ``create`` the store if it does not exist, require an ``existing`` one, write nothing unless it
                exists (``preview``), or do without data and weights (``outline``).
        """
        from adaptstilts.plan.expand import expand_each

        workspace = self._workspace(mode)
        return workspace, expand_each(self.load(workspace), workspace)

    def plan(self, mode: Mode = "create") -> tuple[Workspace, Plan]:
        """Return the workspace, and the plan of a study of one model; see :meth:`plans`.

        Raises:
            ConfigError: the study has several models.
        """
        from adaptstilts.errors import ConfigError

        workspace, plans = self.plans(mode)
        if len(plans) > 1:
            models = ", ".join(plan.study.model for plan in plans)
            raise ConfigError(f"{self.config}: this command works on one model at a time; add model=... ({models})")
        return workspace, plans[0]

    def _workspace(self, mode: Mode) -> Workspace:
        from adaptstilts.plan.outline import Outline

        if mode == "outline":
            return Outline(self.store)
        if mode == "existing":
            return self.open_existing()
        return self.open(create=mode == "create")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How sentences are encoded, searched and scored."""

    layer: Annotated[
        int | None, typer.Option("--layer", help="Hidden state to pool.", min=0, show_default="two thirds of the depth")
    ] = None
    pooling: Annotated[
        Literal["mean", "max", "idf", "cls", "own"],
        typer.Option(
            "--pooling",
            help="How token vectors become a sentence vector: mean, max, idf, cls, or the model's own (own).",
        ),
    ] = "mean"
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option("--precision", help="Precision of the encoder: auto, bf16 or fp32."),
    ] = "auto"
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            help="Maximum number of tokens per sentence.",
            min=8,
            show_default="256, or less if the model takes less",
        ),
    ] = None
    margin: Annotated[
        Literal["ratio", "distance", "absolute"],
        typer.Option("--margin", help="Margin that scores pairs in mining and xSIM: ratio, distance or absolute."),
    ] = "ratio"
    k: Annotated[int, typer.Option("--k", help="Neighbours of a sentence that the margin averages over.", min=1)] = 4
    retrieval: Annotated[
        Literal["max", "intersect", "forward", "backward"],
        typer.Option(
            "--retrieval",
            help="Whose choices mining accepts: of either side (max), both (intersect), or one (forward, backward).",
        ),
    ] = "max"
    backend: BackendOption = "auto"
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", help='Text before every sentence, such as "query: " for E5 models.', show_default="none"
        ),
    ] = None
    foreign_prefix: Annotated[
        str | None,
        typer.Option("--foreign-prefix", help="Prefix of the foreign sentences.", show_default="--prefix"),
    ] = None
    english_prefix: Annotated[
        str | None,
        typer.Option("--english-prefix", help="Prefix of the English sentences.", show_default="--prefix"),
    ] = None


def open_workspace(store: Path, data_root: Path | None, offline: bool, create: bool = True) -> Workspace:
    """Return the workspace of a verb that has only some of :class:`WorkspaceOptions`.

    Args:
        store: folder of the store.
        data_root: local folder with the data; None for the hub.
        offline: open no network connection.
        create: create the store if it does not exist.
    """
    from adaptstilts.workspace import Workspace

    return Workspace(store, data_root, offline, create)


def with_shared_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb as the command line calls it: groups of options spelled out, and ``--debug`` added.

    Arguments come first, then the options of the verb itself, then those that it shares with others.
    """
    types = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in types.items() if is_dataclass(kind)}
    signature = inspect.signature(verb)
    parameters = [_parameter(name, types[name], signature) for name in signature.parameters if name not in groups]
    for group in groups.values():
        parameters += _options(group)
    parameters.append(inspect.Parameter("debug", _KEYWORD, annotation=DebugOption, default=False))
    parameters.sort(key=lambda parameter: not _is_argument(parameter))

    @functools.wraps(verb)
    def command(debug: bool, **values: Any) -> None:  # debug is for main(), which reports errors
        for name, group in groups.items():
            options = {option.name: values.pop(option.name) for option in fields(group)}
            values[name] = group(**options)
        verb(**values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _options(group: Any) -> list[inspect.Parameter]:
    """Return the options of a dataclass, one parameter per field."""
    types = get_type_hints(group, include_extras=True)
    signature = inspect.signature(group)
    return [_parameter(name, types[name], signature) for name in signature.parameters]


def _parameter(name: str, annotation: Any, signature: inspect.Signature) -> inspect.Parameter:
    """Return a keyword parameter with its default from a signature, and with checks of its value."""
    default = signature.parameters[name].default
    kind, details = annotation.__origin__, copy.copy(annotation.__metadata__[0])
    if kind is Path or Path in get_args(kind):
        details.parser = _parse_path
        if isinstance(details, typer.models.OptionInfo):  # messages call an argument by this word
            details.metavar = details.metavar or "<path>"
    elif details.callback is None:
        details.callback = _check_value
    return inspect.Parameter(name, _KEYWORD, annotation=Annotated[kind, details], default=default)


def _parse_path(text: str | Path) -> Path:
    """Return the path that a text names, even if there is no such file.

    Raises:
        typer.BadParameter: no file can have this path, or it cannot be reached.
    """
    if not str(text):
        raise typer.BadParameter("expected a path, found an empty one.")
    if reason := _why_not_text(str(text)):
        raise typer.BadParameter(f"{str(text)!a}: {reason}; rename the file or folder.")
    if any(unicodedata.category(char) == "Cc" for char in str(text)):  # it would break lines of text and of tables
        raise typer.BadParameter(f"{str(text)!a}: has a line break or control character; rename it.")
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        pass  # the verb says so, if it minds
    except OSError as error:
        raise typer.BadParameter(f"{text}: {error.strerror}; give another path.") from None
    return Path(text)


def _check_value(value: Any) -> Any:
    """Return the value of an option or argument.

    Raises:
        typer.BadParameter: it is an empty text, a text that is not UTF-8, or a number that is not finite.
    """
    for one in value if isinstance(value, list) else [value]:
        if one == "":
            raise typer.BadParameter("expected a value, found an empty one.")
        if isinstance(one, str) and (reason := _why_not_text(one)):
            raise typer.BadParameter(f"{one!a}: {reason}.")
        if isinstance(one, float) and not math.isfinite(one):
            raise typer.BadParameter(f"expected a finite number, found {one}.")
    return value


def _why_not_text(value: str) -> str | None:
    """Return why a word of the command line cannot be written to UTF-8 files; None if it can."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"not UTF-8 text (character {error.start + 1})"
    return None


def _is_argument(parameter: inspect.Parameter) -> bool:
    """Tell whether the command line takes a parameter by its place and not by its name."""
    details = getattr(parameter.annotation, "__metadata__", ())
    return any(isinstance(detail, typer.models.ArgumentInfo) for detail in details)
