"""Rehearse a study before it is run: simulate it many times on its own grid, and see how often the answer is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adaptstilts import languages, tasks
from adaptstilts.plan.graph import Plan
from adaptstilts.questions.base import ENGLISH, MARGIN, Design, Findings, Noise, Question, Scenario
from adaptstilts.questions.outcomes import arm_of, encoder_size
from adaptstilts.reports.formats import Document, Table
from adaptstilts.reports.page.model import Verdict
from adaptstilts.reports.page.parts.chance import chance_level
from adaptstilts.reports.records import model_name

RUNS = 200
ITEMS = 400  # test items of a language, where nobody says how many
_UNKNOWN_LANGUAGES = ("de", "ru", "sw", "zh")  # simulated where the plan does not name test languages


@dataclass(frozen=True)
class Rehearsal:
    """What came out of the simulated studies of one scenario.

    Attributes:
        scenario: what was planted.
        runs: number of simulated studies.
        refused: how many of them gave no main number.
        verdicts: how many gave each verdict.
        covered: how many intervals hold the truth.
        bias: mean of the main number minus the truth; None if all were refused.
        width: mean width of the intervals.
    """

    scenario: Scenario
    runs: int
    refused: int
    verdicts: Mapping[Verdict, int]
    covered: int
    bias: float | None
    width: float | None

    @property
    def answered(self) -> int:
        """How many gave a main number."""
        return self.runs - self.refused

    def share(self, count: int) -> float:
        """Return a number of studies in percent of those that were answered."""
        return 100 * count / self.answered if self.answered else math.nan

    @property
    def claims(self) -> float:
        """Return how many percent claimed an effect."""
        return self.share(self.verdicts.get("effect", 0))

    @property
    def coverage(self) -> float:
        """Return how many percent of the intervals hold the truth."""
        return self.share(self.covered)


def rehearse(
    question: Question,
    design: Design,
    noise: Noise,
    runs: int = RUNS,
    margin: float = MARGIN,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[Rehearsal]:
    """Simulate a study under every scenario of its question, and answer each simulated study as if it were real.

    Args:
        question: question of the study.
        design: design of the study.
        noise: that its results are expected to have.
        runs: simulated studies of each scenario.
        margin: as in the analysis of the study.
        progress: called with the name of a scenario, the studies that are done and those that there are.
    """
    results = []
    scenarios = question.scenarios(design, noise)
    for number, scenario in enumerate(scenarios):
        answers = []
        for run in range(runs):
            progress(scenario.name, number * runs + run, len(scenarios) * runs)
            outcomes = question.simulate(design, noise, scenario, seed=1000 * number + run)
            answers.append(question.analyse(outcomes, margin))
        results.append(_summary(scenario, answers))
    return results


def design_of(plans: Sequence[Plan], items: int) -> Design:
    """Return the grid of a study.

    Args:
        plans: plans of the study, one for each model.
        items: test items of a language, which plans do not know.
    """
    cells = [*plans[0].cells, *plans[0].row_cells]
    trained = [cell for cell in cells if not cell.swapped and cell.training]
    shots = [cell.shots for cell in trained if cell.shots is not None]
    targets = list(dict.fromkeys(cell.task for cell in trained))
    return Design(
        sizes={model_name(plan.study): encoder_size(plan.model) for plan in plans},
        tasks=targets,
        arms=list(dict.fromkeys(arm_of(cell, plans[0].study) for cell in trained)),
        languages=_languages(plans[0], targets, [each.language for each in shots]),
        seeds=len(plans[0].study.seeds),
        row_languages=list(dict.fromkeys(each.language for each in shots)),
        draws=max([each.draw for each in shots], default=1),
        items=items,
        chance=max([chance_level(task) or 0.0 for task in targets], default=0.0),
    )


def document(name: str, question: Question, rehearsals: Sequence[Rehearsal], design: Design, noise: Noise) -> Document:
    """Return what a rehearsal says, for the table formats.

    Args:
        name: name of the study.
        question: question of the study.
        rehearsals: from :func:`rehearse`.
        design: that was simulated.
        noise: that was assumed.
    """
    rows, flat = [], []
    for each in rehearsals:
        truth = "refuse" if each.scenario.is_refused else f"{each.scenario.effect:+.2f}"
        percent = ("-", "-") if not each.answered else (f"{each.coverage:.1f}", f"{each.claims:.1f}")
        bias = "-" if each.bias is None else f"{each.bias:+.2f}"
        width = "-" if each.width is None else f"{each.width:.2f}"
        rows.append((each.scenario.name, truth, *percent, bias, width, f"{100 * each.refused / each.runs:.1f}"))
        flat.append(_flat(each))
    header = ("scenario", "truth", "in 95 % interval (%)", "effect claimed (%)", "bias", "width", "refused (%)")
    notes = (
        f"{rehearsals[0].runs} simulated studies a scenario; {len(design.sizes)} models, {design.seeds} seeds,"
        f" {len(design.languages)} languages of {design.items} items.",
        f"Assumed standard deviations: {noise.seed:g} points between seeds, {noise.model:g} between models.",
    )
    columns = ("scenario", "truth", "coverage", "claims", "bias", "width", "refused")
    table = Table(f"{name}: rehearsal of the question {question.name}", header, tuple(rows), notes)
    data = {
        "study": name,
        "question": question.name,
        "scenarios": [dict(zip(columns, row, strict=True)) for row in flat],
    }
    return Document(tables=[table], summary=_sentence(rehearsals), columns=columns, rows=flat, data=data)


def _flat(each: Rehearsal) -> list[str | float | None]:
    shares = (each.coverage, each.claims) if each.answered else (None, None)
    return [each.scenario.name, each.scenario.effect, *shares, each.bias, each.width, 100 * each.refused / each.runs]


def _sentence(rehearsals: Sequence[Rehearsal]) -> str:
    null, *others = rehearsals
    if not null.answered:
        return "This study gives no answer: its question is refused even where it could be answered."
    power = [each for each in others if each.scenario.effect and not each.scenario.is_refused and each.answered]
    text = f"Where there is nothing, such a study claims something in {null.claims:.1f} % of cases"
    if power:
        weakest = min(power, key=lambda each: each.claims)
        text += f"; an effect of {weakest.scenario.effect:+.2f} it finds in {weakest.claims:.0f} %"
    return f"{text}."


def _summary(scenario: Scenario, answers: Sequence[Findings]) -> Rehearsal:
    numbers = [findings.main for findings in answers if findings.main is not None and findings.main.seeds > 1]
    verdicts: dict[Verdict, int] = {}
    for findings in answers:
        if findings.main is not None and findings.main.seeds > 1:
            verdicts[findings.verdict] = verdicts.get(findings.verdict, 0) + 1
    count = len(numbers)
    return Rehearsal(
        scenario=scenario,
        runs=len(answers),
        refused=len(answers) - count,
        verdicts=verdicts,
        covered=sum(number.low <= scenario.effect <= number.high for number in numbers),
        bias=sum(number.value for number in numbers) / count - scenario.effect if count else None,
        width=sum(number.high - number.low for number in numbers) / count if count else None,
    )


def _languages(plan: Plan, targets: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return the test languages, English first; those of rows are among them."""
    names: Sequence[str] = plan.study.languages if isinstance(plan.study.languages, tuple) else ()
    codes = [languages.resolve(name).code for name in names]
    if not codes and targets:
        codes = [*tasks.get(targets[0]).languages] or [*_UNKNOWN_LANGUAGES]
    return list(dict.fromkeys([ENGLISH, *codes, *more]))
