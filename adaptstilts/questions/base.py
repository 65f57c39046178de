"""What a question is: which study it needs, how it is answered, and how its answer is rehearsed.

An analysis sees :class:`Outcome` rows and nothing else. Those of a real study and simulated ones take the same path, so
what ``adaptstilts rehearse`` finds out about simulated studies holds for the real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.model import Fact, Figure, Number, Verdict
from adaptstilts.study import Study

ENGLISH = "en"
NONE = "none"
MARGIN = 1.0  # points
Array = NDArray[np.float64]


How = Literal["task", "placebo", "chain", "stacked chain", "mixture", "merge"]


@dataclass(frozen=True)
class Curriculum:
    """What an intermediate is made of.

    Attributes:
        how: one ``task``, a ``placebo`` of one (with permuted labels), a ``chain`` of tasks one after the other (a
            ``stacked chain`` leaves each adapter under the next one), a ``mixture`` of them at once, or a ``merge`` of
            what they gave.
        tasks: the tasks, in the order in which they are trained.
        groups: what kind of task each of them is, such as ``classification``.
        composition: how targets use it, such as ``stack``.
    """

    how: How
    tasks: tuple[str, ...]
    groups: tuple[str, ...] = ()
    composition: str = "stack"

    @property
    def is_chain(self) -> bool:
        """Whether tasks follow each other."""
        return self.how in ("chain", "stacked chain")


@dataclass(frozen=True)
class Arm:
    """What was done to an encoder before it was scored.

    Attributes:
        method: label of the method; empty where nothing was trained for the target (retrieval).
        intermediate: what the encoder was trained on first; ``none`` for nothing.
        k: training rows of the test language; None for English rows alone.
        after: ``english`` if English rows came before these, else ``none``; empty without them.
        curriculum: what ``intermediate`` is made of; None if unknown. Arms are compared without it.
    """

    method: str
    intermediate: str
    k: int | None = None
    after: str = ""
    curriculum: Curriculum | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Moment:
    """When an intermediate task was scored in a chain, and by which head.

    Attributes:
        stage: what the encoder was trained on last: nothing (``base``), the ``intermediate`` task or the ``target``.
        scorer: the ``head`` of the intermediate phase, or a ``probe``, a new head on the frozen encoder.
        target: the target of the chain.
        is_detachable: whether the target's adapter can be taken off again, which leaves the intermediate as it was.
    """

    stage: str
    scorer: str
    target: str
    is_detachable: bool = False


@dataclass(frozen=True)
class Outcome:
    """The score of one encoder, trained in one way with one seed, on one task in one language.

    Attributes:
        model: name of the encoder.
        size: its parameters without those of embeddings.
        parameters: all of its parameters.
        task: what it is scored on.
        language: code of the test language.
        arm: how it was trained.
        seed: seed of the training.
        draw: draw of the rows of the test language; 0 without them.
        values: the influence value of every test item, in points (see ``metrics.intervals``); their mean is the score.
        items: the number of every test item; those of several languages with one number are translations.
        chance: score of guessing, in points; 0 if unknown.
        costs: name -> what the training of the target cost; empty if nothing was trained.
        group: what kind of task it is, such as ``classification``; empty if unknown.
        moment: when an intermediate task was scored; None for targets.
    """

    model: str
    size: int
    parameters: int
    task: str
    language: str
    arm: Arm
    seed: int
    draw: int
    values: Array
    items: NDArray[np.intp]
    chance: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    moment: Moment | None = None

    @property
    def score(self) -> float:
        """The score in points."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Design:
    """The grid of a study, as far as a simulation needs it.

    Attributes:
        sizes: name of every model -> its parameters without those of embeddings.
        tasks: the targets.
        arms: every way of training.
        languages: test languages, English among them.
        seeds: number of seeds.
        row_languages: test languages of which training rows are used.
        draws: draws of these rows.
        items: test items of a language.
        chance: score of guessing, in points; 0 if unknown.
    """

    sizes: Mapping[str, int]
    tasks: Sequence[str]
    arms: Sequence[Arm]
    languages: Sequence[str]
    seeds: int
    row_languages: Sequence[str] = ()
    draws: int = 1
    items: int = 400
    chance: float = 0.0


@dataclass(frozen=True)
class Noise:
    """How results vary without any effect, in points.

    Attributes:
        seed: standard deviation of a score between seeds.
        model: standard deviation, between models, of what an intermediate task changes.
    """

    seed: float = 1.0
    model: float = 0.3


@dataclass(frozen=True)
class Scenario:
    """A planted truth, under which a question is rehearsed.

    Attributes:
        name: what is planted.
        effect: true value of the question's main number.
        settings: what else the simulation of the question needs.
        is_refused: whether the right answer is that nothing can be said.
    """

    name: str
    effect: float
    settings: Mapping[str, float] = field(default_factory=dict)
    is_refused: bool = False


@dataclass(frozen=True)
class Findings:
    """The answer to a question.

    Attributes:
        sentence: what a reader should take away.
        main: the one number that was fixed before the results were known; None if the study does not give it.
        margin: main numbers up to this size do not matter.
        verdict: on the main number.
        reason: how the verdict follows from it.
        numbers: the main numbers as text, for the answer card.
        refusals: what nothing is concluded from, and why.
        limits: what the results do not say.
        facts: more that decides whether the answer can be trusted.
        tables: the numbers behind the answer.
        figures: the first one shows the answer.
    """

    sentence: str
    main: Difference | None
    margin: float
    verdict: Verdict
    reason: str
    numbers: Sequence[Number] = ()
    refusals: Sequence[str] = ()
    limits: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@runtime_checkable
class Question(Protocol):
    """One question that a study can answer. One file with an object of this shape is a whole question."""

    @property
    def name(self) -> str:
        """Return what ``question:`` in a study file calls it."""

    @property
    def text(self) -> str:
        """Return what is asked, in one sentence."""

    @property
    def unit(self) -> str:
        """Return the unit of its main number."""

    def check(self, study: Study) -> None:
        """Raise :class:`adaptstilts.study.StudyError` if a study cannot answer the question."""

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question.

        Args:
            outcomes: everything that is known; results that are not computed yet are not among them.
            margin: differences up to this many points do not matter.
        """

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the main number that such a study is expected to find in 80 of 100 repetitions; infinite for none.

        Args:
            design: design of the study.
            noise: noise of its results.
        """

    def scenarios(self, design: Design, noise: Noise) -> Sequence[Scenario]:
        """Return the truths to rehearse a study with; the first one has no effect.

        Args:
            design: design of the study.
            noise: that the study is expected to have.
        """

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return the outcomes of one simulated study.

        Args:
            design: design of the study.
            noise: noise of its results.
            scenario: what is true in it.
            seed: seed of the simulation.
        """
