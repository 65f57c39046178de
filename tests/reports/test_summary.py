"""One sentence on what a study shows, made from its records alone."""

from __future__ import annotations

from typing import Any

from adaptstilts.metrics.bootstrap import Difference
from adaptstilts.reports.records import Record
from adaptstilts.reports.summary import sentence
from adaptstilts.reports.tables import render


def record(method: str, over: str = "none", **values: Any) -> Record:
    held = {"trained_on": over, "complete": True, "trainable": 1000, "others": 50.0, "task": "xnli", **values}
    return Record(method=method, over=over, seeds=(1,), phases=("x",), **held)


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


def test_intervals_decide() -> None:
    better, worse, open_ = Difference(2.0, 1.0, 3.0), Difference(-2.0, -3.0, -1.0), Difference(1.0, -1.0, 3.0)
    found = [record("full", "mnli", vs_none=held) for held in (better, worse, open_, open_)]
    assert "an intermediate task improves 1 of 4 target scores and lowers 1 (95 % intervals)" in sentence(found)
    found = [record("full", "mnli", vs_none=worse, trainable=None, task="tatoeba")]
    assert "an intermediate task lowers the retrieval score (95 % intervals)" in sentence(found)


def test_one_score_is_improved_lowered_or_neither() -> None:
    for difference, text in (
        (Difference(2.0, 1.0, 3.0), "improves the target score"),
        (Difference(-2.0, -3.0, -1.0), "lowers the target score"),
        (Difference(1.0, -1.0, 3.0), "does not clearly change the target score"),
    ):
        assert f"an intermediate task {text} (95 % intervals)." in sentence(
            [record("full", "mnli", vs_none=difference)]
        )


def test_targets_and_retrieval_are_counted_apart() -> None:
    better = Difference(2.0, 1.0, 3.0)
    found = [record("full", "mnli", vs_none=better, trainable=size) for size in (1, 1, None, None)]
    assert (
        "improves 2 of 2 target scores and lowers none, and improves 2 of 2 retrieval scores and lowers none (95 %"
        in sentence(found)
    )


def test_a_head_alone_trains_no_part_of_the_encoder() -> None:
    head = record("head", trainable=0, others=40.0)
    alone = "What it shows: without an intermediate task, head scores 40.0 on xnli in the languages other than English."
    assert sentence([head]) == alone
    assert sentence([head, record("full")]).endswith("head scores 40.0 without training the encoder.")


def test_two_heads_have_no_ratio_of_sizes() -> None:
    text = sentence([record("head", trainable=0), record("head on language adapters", trainable=0, others=41.0)])
    assert text.endswith("English and head on language adapters scores 41.0.")


def test_swaps() -> None:
    found = [record("bottleneck", "squad", trained_on="none", vs_trained=Difference(-4.0, -5.0, -3.0))]
    assert "swapping the intermediate adapter without retraining changes 1 score by -4.0 points." in sentence(found)


def test_nothing_done_says_nothing() -> None:
    assert sentence([]) == ""
    assert sentence([record("full", complete=False)]) == ""


def test_it_ends_the_tables() -> None:
    found = [record("full", n=(3, 3), languages={"de": 50.0}, metrics={"accuracy": 50.0})]
    assert render(found, "md").rstrip().endswith(sentence(found))
    assert "What it shows" not in render(found, "latex")
