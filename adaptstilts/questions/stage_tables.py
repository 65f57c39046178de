"""What is left of an intermediate task, as numbers, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptstilts.io.wording import joined, short_count
from adaptstilts.metrics.intervals import Difference
from adaptstilts.questions import contrasts
from adaptstilts.questions.base import ENGLISH, Arm, Outcome
from adaptstilts.questions.contrasts import mean_score
from adaptstilts.questions.retained import Share, share_left
from adaptstilts.questions.wording import sees, with_interval
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.charts.forest import Contrast, Forest
from adaptstilts.reports.page.charts.scatter import Point, Scatter
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.tables.cells import p_value

ALL = "all encoders"
_STAGES = ("base", "intermediate", "target")


@dataclass(frozen=True)
class Chain:
    """An intermediate task, the targets after it, and the method.

    Attributes:
        arm: the method and the intermediate, with its composition.
        task: that is scored.
        targets: trained after it.
    """

    arm: Arm
    task: str
    targets: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.arm.intermediate}, {self.arm.method}"

    @property
    def after(self) -> str:
        """What was trained after it."""
        return joined(self.targets)


@dataclass(frozen=True)
class StageScores:
    """Outcomes at every stage, of a group of languages."""

    probe_before: list[Outcome]
    head_learned: list[Outcome]
    probe_learned: list[Outcome]
    head_after: list[Outcome]
    probe_after: list[Outcome]


@dataclass(frozen=True)
class ChainScores:
    """What is left of an intermediate task.

    Attributes:
        size: of the encoder; for several, of one of them.
        learned: score when it was learned, outside English.
        after: score after the target.
        change: the second minus the first, by the head of the intermediate phase.
        english: the same in English; None without English.
        gain: what its training added, by probes outside English.
        probed: what a probe sees of the change.
        hidden: the change that a probe sees minus the change that the head sees; what a new head brings back.
        left: the share of the gain that probes find after the target; None if it is refused.
        left_english: the same in English.
    """

    size: int
    learned: float
    after: float
    change: Difference
    english: Difference | None
    gain: Difference | None
    probed: Difference | None
    hidden: Difference | None
    left: Share | None
    left_english: Share | None

    @classmethod
    def of(cls, size: int, others: StageScores, english: StageScores) -> ChainScores | None:
        """Return the numbers of one chain; None unless it is scored before and after the target.

        Args:
            size: of the encoder.
            others: outside English.
            english: in English.
        """
        change = contrasts.difference([(1.0, others.head_after), (-1.0, others.head_learned)])
        if change is None:
            return None
        probes = [(1.0, others.probe_after), (-1.0, others.probe_learned)]
        heads = [(-1.0, others.head_after), (1.0, others.head_learned)]
        return cls(
            size=size,
            learned=mean_score(others.head_learned),
            after=mean_score(others.head_after),
            change=change,
            english=contrasts.difference([(1.0, english.head_after), (-1.0, english.head_learned)]),
            gain=contrasts.difference([(1.0, others.probe_learned), (-1.0, others.probe_before)]),
            probed=contrasts.difference(probes),
            hidden=contrasts.difference([*probes, *heads]),
            left=share_left(others.probe_before, others.probe_learned, others.probe_after),
            left_english=share_left(english.probe_before, english.probe_learned, english.probe_after),
        )


Chains = Mapping[Chain, Mapping[str, ChainScores]]


def tables(chains: Chains, family: Mapping[tuple[str, str], Difference], scores: Sequence[Outcome]) -> list[Table]:
    """Return the numbers behind the answer.

    Args:
        chains: for all encoders together, and for each.
        family: everything else that is tested.
        scores: of every moment.
    """
    if not chains:
        return []
    return [_change_table(chains), _share_table(chains), *_family_tables(family), _score_table(scores)]


def _change_table(chains: Chains) -> Table:
    rows = []
    for chain, scores in chains.items():
        for name, one in scores.items():
            size = "-" if name == ALL else short_count(one.size)
            levels = (f"{one.learned:.1f}", f"{one.after:.1f}", with_interval(one.change))
            english = "-" if one.english is None else with_interval(one.english)
            rows.append((chain.name, chain.after, name, size, *levels, english, sees(one.change)))
    header = ("intermediate", "then", "encoder", "size", "before", "after", "change", "change in English", "sees")
    notes = (
        "By the head of the intermediate phase, outside English, with the target's adapter in place.",
        "Sees: the change found in 80 of 100 such studies.",
    )
    return Table("intermediate task before and after the target", header, tuple(rows), notes)


def _share_table(chains: Chains) -> Table:
    rows = []
    for chain, scores in chains.items():
        for name, one in scores.items():
            numbers = ["-" if each is None else with_interval(each) for each in (one.gain, one.probed, one.hidden)]
            shares = ["refused" if each is None else each.text for each in (one.left, one.left_english)]
            rows.append((chain.name, name, *numbers, *shares))
    header = ("intermediate", "encoder", "gain", "change", "hidden", "left", "left in English")
    notes = (
        "By probes, outside English: new heads on the frozen encoder. Gain: what the intermediate phase added.",
        "Hidden: what a new head brings back. Left: share of the gain, with Fieller's interval; refused where the gain"
        " is not above zero.",
    )
    return Table("what probes find of the intermediate task", header, tuple(rows), notes)


def _family_tables(family: Mapping[tuple[str, str], Difference]) -> list[Table]:
    rows = []
    for (what, name), difference in family.items():
        rows.append((what, name, with_interval(difference), p_value(difference), sees(difference)))
    notes = ("One family, corrected by Holm. A doubling is one of the encoder's size.",)
    header = ("what", "intermediate", "difference", "p (Holm)", "sees")
    return [Table("what else is compared", header, tuple(rows), notes)] if rows else []


def _score_table(scores: Sequence[Outcome]) -> Table:
    """Return the score of every stage in every language."""
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    languages = list(dict.fromkeys(each.language for each in scores))
    for each in scores:
        assert each.moment is not None  # noqa: S101
        stage = {"base": "nothing", "intermediate": each.arm.intermediate, "target": each.moment.target}
        moment = (stage[each.moment.stage], each.moment.scorer)
        row: tuple[str, ...] = (each.model, each.arm.method, each.task, *moment)
        groups.setdefault(row, {}).setdefault(each.language, []).append(each.score)
    rows = []
    for names, by_language in groups.items():
        means = [by_language.get(language, []) for language in languages]
        rows.append((*names, *(f"{sum(each) / len(each):.1f}" if each else "-" for each in means)))
    header = ("encoder", "method", "scored", "trained last", "by", *languages)
    return Table("scores of the intermediate task", header, tuple(rows), ("Means over seeds.",))


def figures(chains: Chains, scores: Sequence[Outcome]) -> list[Figure]:
    """Return the figures; the first one shows the answer."""
    if not chains:
        return []
    return [_change_figure(chains), *_stage_figures(scores), *_learning_figures(chains)]


def _change_figure(chains: Chains) -> Figure:
    contrasts_shown = []
    for chain, scores in chains.items():
        for name, one in scores.items():
            for series, value in (("other languages", one.change), ("English", one.english)):
                if value is not None:
                    firm, label = value.seeds > 1, f"{name}, {series}"
                    shown = Contrast(chain.name, label, series, value.value, value.low, value.high, (), firm)
                    contrasts_shown.append(shown)
    chart = Forest(contrasts_shown, "change of the intermediate task (points)", ("other languages", "English"), 1.0)
    text = "Score of the intermediate task after the target minus before it; lines are 95 % intervals."
    return Figure("change", "What the target changes of the intermediate task", text, chart)


def _stage_figures(scores: Sequence[Outcome]) -> list[Figure]:
    """Return the slope chart: every language before and after."""
    points = []
    models = list(dict.fromkeys(each.model for each in scores))
    groups: dict[tuple[str, str, str, int], list[float]] = {}
    for each in scores:
        assert each.moment is not None  # noqa: S101
        if each.moment.scorer == "probe":
            language = "English" if each.language == ENGLISH else "other languages"
            key = (each.arm.method, each.model, language, _STAGES.index(each.moment.stage))
            groups.setdefault(key, []).append(each.score)
    for (method, model, language, stage), values in groups.items():
        points.append(Point(f"{method}, {language}", model, model, float(stage), sum(values) / len(values)))
    if not points:
        return []
    chart = Scatter(points, "trained so far", "score by probe", models, models, False, _STAGES)
    text = "Scores of the intermediate task by new heads on the frozen encoder, at the three stages of a chain."
    return [Figure("stages", "The intermediate task before, after and beyond its training", text, chart)]


def _learning_figures(chains: Chains) -> list[Figure]:
    """Return what was learned against what was forgotten."""
    points = []
    models = list(dict.fromkeys(name for scores in chains.values() for name in scores if name != ALL))
    for chain, scores in chains.items():
        for name, one in scores.items():
            if name != ALL and one.gain is not None:
                points.append(Point("all", chain.name, name, one.gain.value, one.change.value))
    if not points:
        return []
    names = [chain.name for chain in chains]
    chart = Scatter(points, "gain of the intermediate phase (points)", "change by the target", names, models, False)
    text = "What was learned against what the target changed: less to learn is less to forget."
    return [Figure("learned-and-forgotten", "Learning against forgetting", text, chart)]
