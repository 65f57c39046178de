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
    assert "over its target in the other languages, full scores 50.0 and bottleneck scores 48.0" in told
    assert "with 2.5 % of the trained parameters" in told
    assert "99" not in told


def test_a_method_that_lacks_a_target_is_not_compared() -> None:
    found = [record("full"), record("full", task="udpos"), record("lora", others=90.0)]
    assert "lora" not in sentence(found)
    assert "its 2 targets" in sentence(found)


def test_intervals_decide() -> None:
    better, worse, open_ = Difference(2.0, 1.0, 3.0), Difference(-2.0, -3.0, -1.0), Difference(1.0, -1.0, 3.0)
    found = [record("full", "mnli", vs_none=held) for held in (better, worse, open_, open_)]
    assert "makes 1 of 4 target scores better and 1 worse" in sentence(found)
    found = [record("full", "mnli", vs_none=worse, trainable=None, task="tatoeba")]
    assert "makes 0 of 1 retrieval score better and 1 worse" in sentence(found)


def test_swaps() -> None:
    found = [record("bottleneck", "squad", trained_on="none", vs_trained=Difference(-4.0, -5.0, -3.0))]
    assert "1 swaps of the intermediate adapter, without training, change scores by -4.0 on average" in sentence(found)


def test_nothing_done_says_nothing() -> None:
    assert sentence([]) == ""
    assert sentence([record("full", complete=False)]) == ""


def test_it_ends_the_tables() -> None:
    found = [record("full", n=(3, 3), languages={"de": 50.0}, metrics={"accuracy": 50.0})]
    assert render(found, "md").rstrip().endswith(sentence(found))
    assert "What it shows" not in render(found, "latex")
