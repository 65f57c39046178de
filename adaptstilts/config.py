"""What a study file says: pydantic models, read from strict YAML, with dotted overrides from the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from adaptstilts import methods, strictyaml, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method

Precision = Literal["auto", "bf16", "fp32"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
REPO = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"


class Frozen(BaseModel):
    """Immutable; unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The fields that differ from their defaults: a new field leaves old content keys unchanged."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Train(Frozen):
    """Budget and optimisation of one training phase.

    Attributes:
        examples: training rows used, drawn once at random (seeded by the phase); None for all.
        epochs: passes over them.
        max_steps: optimizer steps at most.
        batch_size: examples per optimizer step.
        max_length: tokens per sequence, special tokens included.
        lr: peak learning rate; None takes the method's default.
        warmup: share of the steps over which the rate rises linearly; it falls linearly to zero afterwards.
        weight_decay: of matrices; biases and LayerNorm weights have none.
        clip: largest norm of the gradient.
        dev_examples: rows of the English dev set used for selection; None for all.
        eval_every: steps between two evaluations on dev; None for once per epoch.
        patience: evaluations without gain before training stops; None to never stop early.
        precision: ``auto`` uses bf16 autocast where the hardware has it.
        padding: ``bucket`` groups rows of like length; ``fixed`` draws rows at random and pads to ``max_length``.
        micro_tokens: padded tokens per forward pass at most; larger batches are split and accumulated.
    """

    examples: int | None = Field(None, ge=1)
    epochs: int = Field(3, ge=1)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(32, ge=1)
    max_length: int = Field(128, ge=8)
    lr: float | None = Field(None, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    dev_examples: int | None = Field(500, ge=1)
    eval_every: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)
    precision: Precision = "auto"
    padding: Literal["bucket", "fixed"] = "bucket"
    micro_tokens: int = Field(8192, ge=64)


class Evaluate(Frozen):
    """What an evaluate phase reads.

    Attributes:
        split: ``test``, or ``dev`` (the split that the paper's tables of the intermediate tasks report).
        examples: rows per language, the same random subset in every run; None for all.
        max_length: tokens per sequence; None takes what the target phase was trained with.
        precision: float32 unless said otherwise, so that scores do not depend on how rows are batched.
    """

    split: Literal["test", "dev"] = "test"
    examples: int | None = Field(None, ge=1)
    max_length: int | None = Field(None, ge=8)
    precision: Precision = "fp32"


class Retrieve(Frozen):
    """How sentences are encoded for retrieval.

    Attributes:
        layer: hidden state that is pooled, 0 the embeddings; None takes two thirds of the depth.
        max_length: tokens per sentence, special tokens included.
        precision: of the encoder; the search itself is float32.
    """

    layer: int | None = Field(None, ge=0)
    max_length: int = Field(256, ge=8)
    precision: Precision = "auto"


class Mixture(Frozen):
    """Several tasks in one training phase: every optimizer step is one task's, drawn at random.

    Attributes:
        tasks: each with a head of its own.
        sampling: ``proportional`` to the number of training rows, ``uniform``, or ``temperature``: proportional to
            that number to the power of 1 / ``temperature``.
        cap: largest number of rows that counts for a task (2^17, as in Phang et al. 2020); None for no cap.
        temperature: of the sampling of that name.
    """

    tasks: tuple[str, ...] = Field(min_length=2)
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    cap: int | None = Field(2**17, ge=1)
    temperature: float = Field(1.0, ge=1)


class Text(Frozen):
    """A split whose text is read, on the hub or under the data root.

    Attributes:
        format: ``text`` reads plain files, a text a line, whose column is called ``text``.
    """

    repo: str = Field(pattern=REPO)
    config: str = "default"
    split: str = "train"
    format: Literal["parquet", "text"] = "parquet"


class Masked(Frozen):
    """Masked language modelling beside a task, so that the encoder keeps what it was pretrained for.

    Attributes:
        ratio: share of the optimizer steps; the task keeps as many as it has without.
        text: in any languages; all of it is one set of rows.
        column: of the rows, which has the text.
        examples: rows used of it, drawn once at random; None for all.
    """

    ratio: float = Field(0.2, gt=0, lt=1)
    text: tuple[Text, ...] = Field(min_length=1)
    column: str = "text"
    examples: int | None = Field(None, ge=1)


class Part(Frozen):
    """One task of a study, with training settings of its own. ``task: none`` stands for no intermediate phase.

    Attributes:
        task: its name; of a mixture the name that tables give it.
        mixture: several tasks instead of one (intermediates only).
        masked: masked language modelling beside it (intermediates only).
        train: settings for it alone.
        evaluate: the same, of its evaluation (targets only).
    """

    task: str = Field(pattern=NAME)
    mixture: Mixture | None = None
    masked: Masked | None = None
    train: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tables call it."""
        return f"{self.task}+masked" if self.masked else self.task


class Arm(Frozen):
    """One method of a study, with training settings of its own."""

    method: SerializeAsAny[Method]
    train: dict[str, Any] = Field(default_factory=dict)


class Study(Frozen):
    """One experiment: everything that expands into a plan.

    Attributes:
        model: a local folder or a hub id of an XLM-R encoder.
        intermediates: intermediate tasks; ``none`` trains targets directly.
        targets: target tasks; retrieval tasks among them are evaluated straight after the intermediate phase.
        compositions: ``stack`` puts a new target adapter on the frozen intermediate one; ``none`` ignores it.
        languages: test languages as codes; ``xtreme-r`` for those that XTREME-R has, None for XTREME's.
        missing: what to do about a language that the data does not have.
        swap: ``all`` evaluates every target adapter over every intermediate adapter as well.
        train: settings for every training phase; those of a method and of a task go before them.
    """

    name: str = Field(pattern=NAME)
    model: str = Field(min_length=1)
    revision: str | None = None
    intermediates: tuple[Part, ...] = Field((Part(task="none"),), min_length=1)
    targets: tuple[Part, ...] = Field(min_length=1)
    methods: tuple[Arm, ...] = Field(min_length=1)
    compositions: tuple[Literal["stack", "none"], ...] = Field(("stack",), min_length=1)
    seeds: tuple[int, ...] = Field((1,), min_length=1)
    languages: tuple[str, ...] | Literal["xtreme", "xtreme-r"] | None = None
    missing: Literal["error", "skip"] = "error"
    swap: Literal["off", "all"] = "off"
    train: dict[str, Any] = Field(default_factory=dict)
    evaluate: Evaluate = Evaluate()
    retrieve: Retrieve = Retrieve()


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply ``key.path=value`` overrides.

    Raises:
        ConfigError: names file, line and key of *every* mistake found, with a suggestion where one is near.
    """
    return parse(read_text(path, "study"), str(path), overrides)


def read_text(path: str | Path, what: str) -> str:
    """The text of a config file.

    Raises:
        ConfigError: it is not there, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such {what} file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def parse(text: str, name: str = "study", overrides: Sequence[str] = ()) -> Study:
    """Read a study from text; see :func:`load`."""
    document = strictyaml.parse(text, name)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{name}: expected a mapping with the keys of a study, found {_kind(document.data)}")
    data = _lists(document.data)
    for override in overrides:
        _apply(data, override)
    return _study(data, document, name)


def train_settings(study: Study, arm: Arm, part: Part, task: str | None) -> Train:
    """The settings of one training phase: task defaults, then study, method and part, the last one winning."""
    defaults = tasks.get(task).defaults if task else {}
    merged = {**defaults, **study.train, **arm.train, **part.train}
    settings = Train.model_validate(merged)
    return settings if settings.lr is not None else settings.model_copy(update={"lr": arm.method.default_lr})


def evaluate_settings(study: Study, part: Part) -> Evaluate:
    """The settings of a target's evaluation: those of the study, then its own."""
    return Evaluate.model_validate({**study.evaluate.model_dump(), **part.evaluate})


def _lists(data: dict[str, Any]) -> dict[str, Any]:
    """The shorthands of a study file, written out: ``method: x``, bare task and method names."""
    data = dict(data)
    if "method" in data and "methods" not in data:
        data["methods"] = [data.pop("method")]
    for key in ("intermediates", "targets"):
        if isinstance(data.get(key), list):
            data[key] = [{"task": part} if isinstance(part, str) else part for part in data[key]]
    if isinstance(data.get("methods"), list):
        data["methods"] = [{"kind": arm} if isinstance(arm, str) else arm for arm in data["methods"]]
    return data


def _apply(data: dict[str, Any], override: str) -> None:
    keys, value = split_override(override)
    if keys[0] == "method" and "methods" in data:
        _apply_to_methods(data["methods"], keys[1:], value, override)
        return
    override_key(data, keys, value, override, Study.model_fields)
    data.update(_lists(data))


def split_override(override: str) -> tuple[list[str], Any]:
    """``key.path=value`` as keys and value.

    Raises:
        ConfigError: it has another form.
    """
    path, sign, text = override.partition("=")
    if not sign or not path:
        raise ConfigError(f"override {override!r}: expected key.path=value")
    return path.split("."), strictyaml.parse(text, f"override {override!r}").data


def override_key(data: dict[str, Any], keys: list[str], value: Any, override: str, fields: Iterable[str]) -> None:
    """Set one value in the data of a config file; ``fields`` are its top-level keys.

    Raises:
        ConfigError: there is no such key.
    """
    if keys[0] not in fields:
        raise ConfigError(f"override {override!r}: no key {keys[0]!r}{near(keys[0], fields)}")
    _set(data, keys, value, override)


def _apply_to_methods(arms: Any, keys: list[str], value: Any, override: str) -> None:
    """``method.x=v`` sets x of every method of the study that has it."""
    arms = [arm for arm in arms if isinstance(arm, dict)] if isinstance(arms, list) else []
    fields = {id(arm): methods.get(str(arm.get("kind", ""))).model_fields for arm in arms}
    fitting = [arm for arm in arms if keys and (keys[0] in fields.get(id(arm), {}) or keys[0] == "train")]
    if not fitting:
        names = {name for known in fields.values() for name in known}
        raise ConfigError(f"override {override!r}: no method of this study has that key{near('.'.join(keys), names)}")
    for arm in fitting:
        _set(arm, keys, value, override)


def _set(data: Any, keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        data = _member(data, key, override) if isinstance(data, list) else data.setdefault(key, {})
        if not isinstance(data, dict | list):
            raise ConfigError(f"override {override!r}: {key!r} is a value, not a part that has keys")
    if isinstance(data, list):
        wanted = _member(data, keys[-1], override)
        at = int(keys[-1]) if keys[-1].isdecimal() else next(i for i, item in enumerate(data) if item is wanted)
        data[at] = value
    else:
        data[keys[-1]] = value


def _member(items: list[Any], key: str, override: str) -> Any:
    names = {str(i): item for i, item in enumerate(items)}
    names |= {str(item.get("kind", item.get("task"))): item for item in items if isinstance(item, dict)}
    if key not in names:
        raise ConfigError(f"override {override!r}: no member {key!r}{near(key, names)}")
    return names[key]


def _study(data: dict[str, Any], document: strictyaml.Document, name: str) -> Study:
    problems: list[str] = []

    def note(path: strictyaml.Path, message: str) -> None:
        if path[:2] == ("methods", 0) and isinstance(document.data, dict) and "methods" not in document.data:
            line = document.line(("method", *path[2:]))
        else:
            line = document.line(path)
        where = f"{name}:{line}" if line and _given(document.data, path) else name
        dotted = ".".join(map(str, path))
        problems.append(f"{where}: {dotted}: {message}" if dotted else f"{where}: {message}")

    arms = _arms(data.get("methods"), note)
    study = None
    try:
        known = {key: value for key, value in data.items() if key != "methods"}
        study = Study.model_validate(
            {**as_tuples(known), "methods": arms or (Arm(method=methods.parse({"kind": "full"})),)}
        )
    except ValidationError as error:
        explain(error, Study, (), note)
    if not data.get("methods") and not isinstance(data.get("methods"), int | float | bool | str):
        note(("methods",), "is required: a list of methods, for example [full, bottleneck]")
    _check_parts(data, note)
    if problems or study is None:
        raise ConfigError("\n".join(problems))
    return study


def _arms(entries: Any, note: Any) -> tuple[Arm, ...]:
    found = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        path: strictyaml.Path = ("methods", i)
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
            note(path, "expected the name of a method, or a mapping with `kind:`")
            continue
        train = entry.get("train", {})
        cls: type[Method] = Method
        try:
            cls = methods.get(entry["kind"])
            fields = {key: value for key, value in entry.items() if key != "train"}
            found.append(Arm(method=cls.model_validate(fields), train=train))
        except ValidationError as error:
            explain(error, cls, path, note)
        except ConfigError as error:
            note((*path, "kind"), str(error))
    if entries is not None and not isinstance(entries, list):
        note(("methods",), f"expected a list of methods, found {_kind(entries)}")
    return tuple(found)


def _check_parts(data: dict[str, Any], note: Any) -> None:
    """What no single field shows: unknown tasks, tasks in the wrong role, partial training settings."""
    places: list[strictyaml.Path] = [()]
    for key in ("methods", "intermediates", "targets"):
        parts = data.get(key)
        places += [(key, i) for i in range(len(parts) if isinstance(parts, list) else 0)]
    for path in places:
        part: Any = data
        for step in path:
            part = part[step]
        if not isinstance(part, dict):
            continue
        if path and path[0] != "methods" and isinstance(part.get("task"), str):
            _check_task(path, part, note)
        settings: tuple[tuple[str, type[Frozen]], ...] = (("train", Train),)
        if path and path[0] == "targets":
            settings += (("evaluate", Evaluate),)
        for key, model in settings:
            try:
                if isinstance(part.get(key), dict):
                    model.model_validate(part[key])
            except ValidationError as error:
                explain(error, model, (*path, key), note)


def _check_task(path: strictyaml.Path, part: Mapping[str, Any], note: Any) -> None:
    """The task of a part, or the tasks of its mixture."""
    mixture = part.get("mixture")
    named = mixture.get("tasks") if isinstance(mixture, dict) else None
    for key in ("mixture", "masked"):
        if part.get(key) is not None and (path[0] != "intermediates" or part["task"] == "none"):
            note((*path, key), "only an intermediate task can have it")
    if part.get("evaluate") is not None and path[0] != "targets":
        note((*path, "evaluate"), "only a target can have it")
    if mixture is None:
        named = [part["task"]]
    elif part["task"] in tasks.known() or part["task"] == "none":
        note((*path, "task"), f"{part['task']} is a task; give the mixture a name of its own")
    for name in named if isinstance(named, list) else ():
        try:
            if isinstance(name, str):
                _check_role(str(path[0]), name, mixture is not None)
        except ConfigError as error:
            note((*path, "mixture", "tasks") if mixture else (*path, "task"), str(error))
    if mixture and isinstance(named, list) and len({str(name) for name in named}) != len(named):
        note((*path, "mixture", "tasks"), "holds the same task twice")


def _check_role(key: str, name: str, mixed: bool = False) -> None:
    if name == "none":
        if key == "targets" or mixed:
            raise ConfigError(f"none is not a {'target task' if key == 'targets' else 'task to mix'}")
        return
    task = tasks.get(name)
    if key == "intermediates" and not task.intermediate:
        raise ConfigError(f"{task.name} ({task.kind}) cannot be an intermediate task: it has no training set")


def explain(error: ValidationError, model: type[BaseModel], prefix: strictyaml.Path, note: Any) -> None:
    """Tell ``note(path, message)`` every mistake that pydantic found."""
    for item in error.errors(include_url=False):
        path = (*prefix, *item["loc"])
        if item["type"] == "extra_forbidden":
            fields = _fields(model, item["loc"][:-1])
            note(path, f"unknown key{near(str(item['loc'][-1]), fields)}")
        elif item["type"] == "missing":
            note(path, f"is required; give it in the file or as {'.'.join(map(str, path))}=VALUE")
        else:
            note(path, f"{item['msg'].lower()}, found {item['input']!r}")


def _fields(model: type[BaseModel], loc: Iterable[str | int]) -> Iterable[str]:
    found: type[BaseModel] | None = model
    for step in loc:
        if isinstance(step, str) and found is not None:
            inner = found.model_fields.get(step)
            args = (inner.annotation, *getattr(inner.annotation, "__args__", ())) if inner else ()
            found = next((a for a in args if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return found.model_fields if found else ()


def near(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the known words like this one, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known here: {', '.join(sorted(known))}"


def as_tuples(value: Any) -> Any:
    """Lists as tuples: the strict models hold tuples, YAML gives lists."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def _given(data: Any, path: strictyaml.Path) -> bool:
    if not path:
        return True
    first = path[0]
    return isinstance(data, Mapping) and (first in data or (first == "methods" and "method" in data))


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
