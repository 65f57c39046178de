"""Wrong keys and values in plain words: what was expected, and what was found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adaptstilts import study as config
from adaptstilts.errors import ConfigError

BASE: dict[str, Any] = {"name": "toy", "model": "some/model", "targets": ["xnli"], "methods": ["lora"]}


def message(**changed: Any) -> str:
    """Return the error of the base study with some keys changed."""
    with pytest.raises(ConfigError) as caught:
        config.parse(json.dumps({**BASE, **changed}), "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"seeds": 3}, "seeds: expected a list such as [3], found 3"),
        ({"seeds": "one"}, "seeds: expected a list such as ['one'], found 'one'"),
        ({"seeds": {}}, "seeds: expected a list, found a mapping"),
        ({"seeds": []}, "seeds: needs 1 member or more, found 0"),
        ({"seeds": [True]}, "seeds.0: expected a whole number, found true"),
        ({"seeds": [1, None]}, "seeds.1: expected a whole number, found nothing"),
        ({"name": 3}, "name: expected text, found 3"),
        ({"name": "a b"}, "name: expected a name of at most 96 letters, digits, dots, dashes and underscores"),
        ({"model": ""}, "model: expected text that is not empty, found ''"),
        ({"swap": "yes"}, "swap: expected one of off, all, found 'yes'"),
        ({"swap": True}, "swap: expected one of off, all, found true"),
        ({"missing": "skipp"}, "missing: expected one of error, skip, found 'skipp'; did you mean skip?"),
        ({"evaluate": {"split": "tst"}}, "evaluate.split: expected one of test, dev, found 'tst'; did you mean test?"),
        ({"evaluate": 3}, "evaluate: expected a mapping of keys to values, found 3"),
        ({"train": "fast"}, "train: expected a mapping of keys to values, found 'fast'"),
        ({"train": {"epochs": 1.5}}, "train.epochs: expected a whole number, found 1.5"),
        ({"train": {"epochs": 0}}, "train.epochs: must be at least 1, found 0"),
        ({"train": {"lr": 0}}, "train.lr: must be greater than 0, found 0"),
        ({"train": {"warmup": 1.0}}, "train.warmup: must be less than 1, found 1.0"),
        ({"train": {"warmup_steps": 0}}, "train.warmup_steps: must be at least 1, found 0"),
        ({"train": {"warmup_steps": 0.1}}, "train.warmup_steps: expected a whole number, found 0.1"),
        ({"train": {"warmup": 0.1, "warmup_steps": 9}}, "train: warmup and warmup_steps both say how long the rate"),
        (
            {"train": {"warmup_steps": 500, "max_steps": 500}},
            "train: warmup_steps must be less than max_steps, which is 500, found 500",
        ),
        (
            {"train": {"steps": 9, "max_steps": 9}},
            "train: steps and max_steps both set the number of steps; give one of",
        ),
        (
            {"train": {"warmup_steps": 9, "steps": 9}},
            "train: warmup_steps must be less than steps, which is 9, found 9",
        ),
        ({"train": {"warmup_rule": "later"}}, "train.warmup_rule: expected one of trainer, earlier, found 'later'"),
        ({"train": {"keep": "first"}}, "train.keep: expected one of best, last, found 'first'"),
        ({"train": {"keep": "last", "patience": 2}}, "train: patience waits for a better dev score, and keep: last"),
        ({"train": {"eval_every": 0}}, "train.eval_every: must be at least 1, found 0"),
        (
            {"language_adapters": {"text": {"en": [{"repo": "a/b"}]}, "train": {"epochs": 0}}},
            "language_adapters.train.epochs: must be at least 1, found 0",
        ),
        ({"train": {"lr": "high"}}, "train.lr: expected a number, found 'high'"),
        ({"train": {"cache": 1}}, "train.cache: expected true or false, found 1"),
        ({"train": {"Epochs": 1}}, "train.Epochs: unknown key; did you mean epochs"),
        ({"languages": 3}, "languages: expected a list such as [3] or one of xtreme, xtreme-r, found 3"),
        (
            {"languages": "xtrem"},
            "languages: expected a list such as ['xtrem'] or one of xtreme, xtreme-r, found 'xtrem'",
        ),
        ({"languages": ["en", 3]}, "languages.1: expected text, found 3"),
        (
            {"retrieve": {"layers": [4, -1]}},
            "retrieve.layers: expected all, or numbers of hidden states such as [4, 6, 8]",
        ),
        ({"methods": [{"kind": "lora", "rank": "two"}]}, "methods.0.rank: expected a whole number, found 'two'"),
        ({"methods": [{"kind": "lora", "rnk": 2}]}, "methods.0.rnk: unknown key; did you mean rank?"),
        ({"methods": "lora"}, "methods: expected a list of methods, found 'lora'"),
        ({"compositions": ["stak"]}, "compositions.0.kind: expected one of none, stack, continue, fuse, merge,"),
        (
            {"targets": [{"task": "xnli", "evaluate": {"examples": 0}}]},
            "evaluate.examples: must be at least 1, found 0",
        ),
        ({"targets": [{}]}, "targets.0.task: is required"),
        ({"intermediates": [{"task": "m", "mixture": {"tasks": ["mnli"]}}]}, "mixture.tasks: needs 2 members or more"),
        (
            {"intermediates": [{"task": "t", "masked": {"text": [{"repo": "no-owner"}]}}]},
            "intermediates.0.masked.text.0.repo: expected owner/name, found 'no-owner'",
        ),
    ],
)
def test_plain_words(changed: dict[str, Any], expected: str) -> None:
    assert expected in message(**changed)


PLACES = [
    "name", "model", "revision", "intermediates", "targets", "methods", "compositions", "language_adapters", "seeds",
    "languages", "missing", "swap", "train", "evaluate", "retrieve", "train.lr", "train.epochs", "train.cache",
    "train.padding", "evaluate.examples", "retrieve.layer", "retrieve.layers", "retrieve.margin", "targets.0.train",
    "targets.0.evaluate", "methods.0.rank", "methods.0.train", "methods.0.compositions", "methods.0.language_adapters",
]  # fmt: skip
VALUES = ["", "3", "-1", "1.5", "true", "word", "[]", "[3]", "[[]]", "{}", "{x: 1}", "1e999"]
JARGON = [
    "input should",
    "Input should",
    "tuple",
    "literal[",
    "dictionary",
    "instance",
    "valid ",
    "function-",
    "model_",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_value_gives_a_message_in_the_words_of_a_library(place: str) -> None:
    refused = 0
    for value in VALUES:
        override = f"{place}={value}"
        try:
            config.parse(json.dumps(BASE), "s.yaml", [override])
        except ConfigError as error:
            refused += 1
            lines = str(error).splitlines()
            assert all(line.startswith(f"override {override!r}: {place}") for line in lines), lines
            assert not [line for line in lines for word in JARGON if word in line]
    assert refused > 0
