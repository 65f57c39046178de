"""A study and its parts: intermediates, methods, compositions, targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from adaptstilts import tasks
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.composition_kinds import CompositionKind
from adaptstilts.study.messages import near
from adaptstilts.study.settings import Evaluate, Measure, Retrieve, StrictModel
from adaptstilts.tasks.base import NAME, REPO


class Mixture(StrictModel):
    """Several tasks in one training phase: every optimizer step is one task's, drawn at random.

    Attributes:
        tasks: the tasks, each with a head of its own.
        sampling: ``proportional`` to the number of training rows, ``uniform``, or ``temperature``: proportional to
            that number to the power of 1 / ``temperature``.
        cap: largest number of rows that counts for a task (2^17, as in Phang et al. 2020); None for no cap.
        temperature: used by the sampling of that name.
    """

    tasks: tuple[str, ...] = Field(min_length=2)
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    cap: int | None = Field(2**17, ge=1)
    temperature: float = Field(1.0, ge=1)


class TextSource(StrictModel):
    """A split whose text is read, on the hub or under the data root.

    Attributes:
        repo: owner and name of the data set.
        config: config of the data set.
        split: split of the config.
        format: ``text`` reads plain files, one text per line, whose column is called ``text``.
    """

    repo: str = Field(pattern=REPO)
    config: str = "default"
    split: str = "train"
    format: Literal["parquet", "text"] = "parquet"


class Masked(StrictModel):
    """Masked language modelling beside a task, so that the encoder keeps what it was pretrained for.

    Attributes:
        ratio: share of the optimizer steps; the task keeps as many as it has without.
        text: text in any languages; all of it is one set of rows.
        column: name of the column that holds the text.
        examples: rows of it that are used, drawn once at random; None for all.
    """

    ratio: float = Field(0.2, gt=0, lt=1)
    text: tuple[TextSource, ...] = Field(min_length=1)
    column: str = "text"
    examples: int | None = Field(None, ge=1)


class Chain(StrictModel):
    """Intermediate tasks one after the other.

    Attributes:
        tasks: the tasks in the order in which they are trained.
        composition: ``continue`` trains one adapter on all of them in turn, each with a new head; ``stack`` leaves
            each task's adapter frozen under the next one's. With full fine-tuning both are the former.
    """

    tasks: tuple[str, ...] = Field(min_length=2)
    composition: Literal["continue", "stack"] = "continue"


class Merge(StrictModel):
    """A weighted sum of other intermediates' adapters (or, relative to the base model, encoders); nothing is trained.

    Attributes:
        of: names of intermediates of the same study.
        weights: one per intermediate, which may be negative (task arithmetic: Ilharco et al. 2023, arXiv 2212.04089);
            None for the average.
        leave_out: layers that are left out of the sum.
    """

    of: tuple[str, ...] = Field(min_length=1)
    weights: tuple[float, ...] | None = None
    leave_out: tuple[int, ...] = ()


class Composition(StrictModel):
    """How targets use their intermediates.

    Attributes:
        kind: ``none``: not at all; ``stack``: a new target adapter on the frozen intermediate one; ``continue``: the
            target adapter starts as the intermediate one; ``fuse``: AdapterFusion over several, learned on the target;
            ``merge``: the weighted sum of the intermediate adapter and a target adapter that was trained alone;
            ``merge_then_stack``: a new target adapter on the weighted sum of several.
        of: names of intermediates; if empty, all of the study's except ``none``.
        weights: for ``merge`` of the intermediate and the target, for ``merge_then_stack`` of each intermediate; None
            for equal weights that sum to one.
    """

    kind: CompositionKind
    of: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None


After = Literal["english", "none"]


class TargetRows(StrictModel):
    """Training rows in test languages: a few, drawn several times.

    Every draw is trained with every seed of the study and evaluated in the language of its rows. A draw depends on its
    number alone. Its ``k`` rows are among those of a larger ``k``, and each label has its share of them.

    Attributes:
        languages: whose rows are used, each on its own.
        k: how many rows.
        draws: how many times they are drawn.
        after: ``english`` trains the target further that was trained on English rows, ``none`` trains it on these rows
            alone, over the same intermediate; a list for both.
        train: training settings on these rows, beside those of the target.
    """

    languages: tuple[str, ...] = Field(min_length=1)
    k: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    draws: int = Field(5, ge=1)
    after: tuple[After, ...] = Field(("english",), min_length=1)
    train: dict[str, Any] = Field(default_factory=dict)

    @field_validator("after", mode="before")
    @classmethod
    def _list_after(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class Retention(StrictModel):
    """Scores of the intermediate tasks before, after and beyond their own training.

    Attributes:
        probe: training settings of the probes, new heads on the frozen encoder, beside those of the study.
        scored_as: intermediate task -> the task whose test rows its head is scored on, such as ``mnli: xnli``; others
            are scored on their own.
    """

    probe: dict[str, Any] = Field(default_factory=dict)
    scored_as: dict[str, str] = Field(default_factory=dict)


class Part(StrictModel):
    """One task of a study, with training settings of its own. ``task: none`` stands for no intermediate phase.

    Attributes:
        task: name of the task; for a mixture, chain, merge or adapter, the name that tables give it.
        mixture: several tasks at once instead of one (intermediates only).
        chain: several tasks one after the other (intermediates only).
        merge: a weighted sum of other intermediates (intermediates only).
        masked: steps of masked language modelling beside it (intermediates only).
        placebo: train on labels that are permuted among the training rows, as a control (intermediates only).
        swap_only: no target is trained over it; it is only swapped in (intermediates only).
        adapter: folder of an adapter that somebody else trained, or ``owner/name[:folder][@revision]`` on the hub; it
            is used as it is (intermediates only).
        rows: training rows in test languages (targets only).
        train: training settings for it alone.
        evaluate: evaluation settings for it alone (targets only).
    """

    task: str = Field(pattern=NAME)
    mixture: Mixture | None = None
    chain: Chain | None = None
    merge: Merge | None = None
    masked: Masked | None = None
    placebo: bool = False
    swap_only: bool = False
    adapter: str | None = Field(None, min_length=1)
    rows: TargetRows | None = None
    train: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name that tables give it."""
        suffixes = [name for name, is_on in (("masked", self.masked), ("placebo", self.placebo)) if is_on]
        return "+".join([self.task, *suffixes])


class Arm(StrictModel):
    """One method of a study, with training settings of its own.

    Attributes:
        train: training settings for this method alone.
        language_adapters: train task adapters on top of the study's language adapters.
        compositions: how targets use the intermediates, instead of the study's setting.
    """

    method: SerializeAsAny[Method]
    train: dict[str, Any] = Field(default_factory=dict)
    language_adapters: bool = False
    compositions: tuple[Composition, ...] = ()

    @property
    def label(self) -> str:
        """The name that tables give it."""
        suffix = " on language adapters" if self.language_adapters else ""
        return f"{self.method.label}{suffix}"


class LanguageAdapters(StrictModel):
    """An adapter for each language, trained by masked language modelling on text in that language alone.

    Task adapters are trained over the English one and evaluated over each language's own (MAD-X: Pfeiffer et al. 2020,
    arXiv 2005.00052).

    Attributes:
        text: language code -> splits whose text is read; English must be there.
        method: settings of the language adapters, which are bottlenecks.
        column: name of the column that holds the text.
        examples: rows of each language that are used, drawn once at random; None for all.
        train: training settings of the language adapters.
    """

    text: dict[str, Annotated[tuple[TextSource, ...], Field(min_length=1)]] = Field(min_length=1)
    method: Bottleneck = Bottleneck(reduction=2, invertible=True)
    column: str = "text"
    examples: int | None = Field(None, ge=1)
    train: dict[str, Any] = Field(default_factory=dict)


class Study(StrictModel):
    """One experiment: everything that expands into a plan.

    Attributes:
        name: name of the study, shown above its tables.
        model: base model: ``builtin:NAME``, or the folder or hub id of an encoder of a known architecture. Give either
            this or ``models``.
        models: several base models instead; the study runs with each, and tables say which. A hub id may end in
            ``@REVISION``.
        revision: commit, branch or tag of ``model`` on the hub.
        intermediates: intermediate tasks; ``none`` trains targets directly.
        targets: target tasks; retrieval tasks among them are evaluated straight after the intermediate phase.
        methods: how the encoder is adapted; every target is trained by each.
        compositions: how targets use the intermediates, with one result for each.
        language_adapters: for the methods that ask for them.
        seeds: everything is trained once per seed.
        languages: test languages, as codes or names; ``xtreme-r`` for those of XTREME-R, None for those of XTREME.
        missing: what to do if the data lack a language: stop, or leave it out and say so.
        steps: ``equal`` trains every intermediate for the same number of optimizer steps, which ``train.steps`` gives;
            a chain divides them equally among its tasks.
        swap: ``all`` also evaluates every target adapter over every other intermediate adapter.
        recipe: ``xtreme`` or ``x-stilts``: train each task as that benchmark's own scripts do, unless the study says
            otherwise; ``plan`` says where it does.
        train: settings for every training phase; those of a method and of a task take precedence.
        evaluate: settings for every evaluation; those of a target take precedence.
        retrieve: how sentences are encoded and searched.
        measure: also measure what running each trained target takes; None to measure nothing.
        question: what the study is to answer, such as ``scaling``; reports answer it, ``rehearse`` tries it first.
        retention: also score the intermediate tasks after the targets were trained.
    """

    name: str = Field(pattern=NAME)
    model: str = Field(min_length=1)
    models: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    revision: str | None = None
    intermediates: tuple[Part, ...] = Field((Part(task="none"),), min_length=1)
    targets: tuple[Part, ...] = Field(min_length=1)
    methods: tuple[Arm, ...] = Field(min_length=1)
    compositions: tuple[Composition, ...] = Field((Composition(kind="stack"),), min_length=1)
    language_adapters: LanguageAdapters | None = None
    seeds: tuple[int, ...] = Field((1,), min_length=1)
    languages: tuple[str, ...] | Literal["xtreme", "xtreme-r"] | None = None
    missing: Literal["error", "skip"] = "error"
    steps: Literal["own", "equal"] = "own"
    swap: Literal["off", "all"] = "off"
    recipe: str | None = Field(None, min_length=1)
    train: dict[str, Any] = Field(default_factory=dict)
    evaluate: Evaluate = Evaluate()
    retrieve: Retrieve = Retrieve()
    measure: Measure | None = None
    question: str | None = Field(None, min_length=1)
    retention: Retention | None = None

    @field_validator("recipe")
    @classmethod
    def _check_recipe(cls, value: str | None) -> str | None:
        known = {name for task in tasks.known().values() for name in task.recipes}
        if value is not None and value not in known:
            raise ValueError(f"unknown recipe {value!r}{near(value, known)}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _name_first_model(cls, data: Any) -> Any:
        """Let the first of several models stand for all where one is expected."""
        if not isinstance(data, Mapping) or "models" not in data:
            return data
        models = data["models"]
        is_list = isinstance(models, tuple | list) and len(models) > 0 and isinstance(models[0], str)
        return {"model": models[0] if is_list else "unknown", **data}  # what is no list is refused as `models`

    def each(self) -> list[Study]:
        """Return one study for each base model, whose phases have the same keys as if it were alone."""
        if not self.models:
            return [self]
        return [self._with_model(number) for number in range(len(self.models))]

    def _with_model(self, number: int) -> Study:
        name, sign, revision = self.models[number].rpartition("@")
        is_revision = bool(sign) and re.fullmatch(REPO, name) is not None
        change = {"model": name, "revision": revision} if is_revision else {"model": self.models[number]}
        study = self.model_copy(update={**change, "models": ()})
        study.set_place(self.place.respelled(("model",), ("models", number)))
        return study
