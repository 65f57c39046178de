"""One sentence on what a study shows, made from its records alone."""

from __future__ import annotations

from typing import Any

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.records import Record
from adaptstilts.reports.summary import sentence
from adaptstilts.reports.tables import render


def record(method: str, over: str = "none", **values: Any) -> Record:
    held = {"trained_on": over, "complete": True, "trainable": 1000, "others": 50.0, "task": "xnli", "seeds": (1,)}
    return Record(method=method, over=over, phases=("x",), **(held | values))


def difference(value: float, holm: float, seeds: int = 3, family: int = 12) -> Difference:
    return Difference(value, value - 1, value + 1, seeds, 0.5, 4.0, holm if seeds > 1 else None, family)


BETTER, WORSE, OPEN = difference(2.0, 0.01), difference(-2.0, 0.04), difference(1.5, 0.051)


def test_methods_are_compared_without_an_intermediate() -> None:
    found = [record("full"), record("bottleneck", trainable=25, others=48.0), record("full", "mnli", others=99.0)]
    told = sentence(found)
    assert "full scores 50.0 on xnli in the languages other than English and bottleneck scores 48.0 with" in told
    assert "with 2.5 % as many trained parameters" in told
    assert "99" not in told


def test_a_method_that_lacks_a_target_is_not_compared() -> None:
    found = [record("full"), record("full", task="udpos"), record("lora", others=90.0)]
    assert "lora" not in sentence(found)
    assert "on average over 2 targets" in sentence(found)


def test_what_survives_the_correction_decides() -> None:
    """The interval of ``OPEN`` excludes 0, and yet nothing is claimed of it."""
    assert OPEN.low > 0
    found = [record("full", "mnli", vs_none=held) for held in (BETTER, WORSE, OPEN, OPEN)]
    assert (
        "an intermediate task improves 1 of 4 target scores and lowers 1 (at 5 % over 12 comparisons together, Holm)."
        in sentence(found)
    )
    found = [record("full", "mnli", vs_none=WORSE, trainable=None, task="tatoeba")]
    assert "an intermediate task lowers the retrieval score (at 5 % over 12 comparisons" in sentence(found)


def test_one_score_is_improved_lowered_or_neither() -> None:
    for found, text in (
        (BETTER, "improves the target score"),
        (WORSE, "lowers the target score"),
        (OPEN, "is not shown to change the target score"),
    ):
        told = sentence([record("full", "mnli", vs_none=found)])
        assert f"an intermediate task {text} (at 5 % over 12 comparisons together, Holm)." in told


def test_targets_and_retrieval_are_counted_apart() -> None:
    found = [record("full", "mnli", vs_none=BETTER, trainable=size) for size in (1, 1, None, None)]
    assert (
        "improves 2 of 2 target scores and lowers none, and improves 2 of 2 retrieval scores and lowers none (at 5 %"
        in sentence(found)
    )


def test_of_one_seed_nothing_is_claimed() -> None:
    alone = difference(9.0, 0.0, seeds=1)
    found = [
        record("full"),
        record("full", "mnli", vs_none=alone),
        record("lora", vs_reference=alone),
        record("lora", "none", trained_on="mnli", vs_trained=alone),
        record("lora", "x", vs_none=Difference(0.0, 0.0, 0.0, 1, 0.0, 1.0)),  # the same score: no comparison
    ]
    told = sentence(found, "study.yaml")
    assert told.endswith(
        "; with one seed none of 3 differences is claimed: `adaptstilts run study.yaml seeds=[1,2,3,4,5]` adds seeds."
    )
    assert not any(word in told for word in ("improves", "lowers", "changes"))


def test_the_command_keeps_the_seeds_of_the_study() -> None:
    found = [record("full", "mnli", vs_none=difference(9.0, 0.0, seeds=1), seeds=(42,))]
    assert "seeds=[42,43,44,45,46]` adds seeds" in sentence(found)


def test_a_head_alone_trains_no_part_of_the_encoder() -> None:
    head = record("head", trainable=0, others=40.0)
    alone = "What it shows: without an intermediate task, head scores 40.0 on xnli in the languages other than English."
    assert sentence([head]) == alone
    assert sentence([head, record("full")]).endswith("head scores 40.0 without training the encoder.")


def test_two_heads_have_no_ratio_of_sizes() -> None:
    text = sentence([record("head", trainable=0), record("head on language adapters", trainable=0, others=41.0)])
    assert text.endswith("English and head on language adapters scores 41.0.")


def test_swaps() -> None:
    found = [record("bottleneck", "squad", trained_on="none", vs_trained=held) for held in (WORSE, WORSE, OPEN)]
    assert (
        "swapping the intermediate adapter without retraining lowers 2 of 3 scores and improves none (at 5 % over 12"
        " comparisons together, Holm)." in sentence(found)
    )


def test_nothing_done_says_nothing() -> None:
    assert sentence([]) == ""
    assert sentence([record("full", complete=False)]) == ""


def test_it_ends_the_tables() -> None:
    found = [record("full", n=(3, 3), languages={"de": 50.0}, metrics={"accuracy": 50.0})]
    assert render(found, "md").rstrip().endswith(sentence(found))
    assert "What it shows" not in render(found, "latex")
