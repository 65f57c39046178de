"""One suite for every kind: rows become features, features a finite loss, outputs one prediction per row."""

from __future__ import annotations

import json
import math
import pkgutil
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.inputs import WORDS, sentence
from torch import Tensor

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.sources import Sources
from adaptstilts.errors import ConfigError
from adaptstilts.kinds import heads, span
from adaptstilts.kinds.sentence_search import SentenceVectors, sentence_features
from adaptstilts.metrics.answer_text import SQUAD
from adaptstilts.models.batching import IGNORE, Feature, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.runtime.inference import predict
from adaptstilts.study import Retrieve

CPU = torch.device("cpu")
TRAINED = ["mnli", "social_i_qa", "squad", "udpos", "stsb", "lareqa", "masakhaner_x"]
ALONE = [name for name in TRAINED if not kinds.get(tasks.get(name).kind).joint]


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> Encoder:
    return Encoder(tiny)


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


def rows_of(name: str, n: int = 10, seed: int = 1) -> list[dict[str, Any]]:
    """Examples of one task, of varied length."""
    generator = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for i in range(n):
        words = sentence(generator, 3 + 3 * i).split()
        if name == "mnli":
            rows.append({"text_a": " ".join(words), "text_b": sentence(generator), "label": i % 3})
        elif name == "stsb":
            rows.append({"text_a": " ".join(words), "text_b": sentence(generator), "label": i % 5 + 0.5})
        elif name == "lareqa":
            texts = {"query": sentence(generator), "text": " ".join(words), "context": sentence(generator)}
            rows.append({"id": f"q{i}", "candidate": None, **texts})
        elif name == "social_i_qa":
            choices = [sentence(generator) for _ in range(2 + i % 3)]
            rows.append({"context": " ".join(words), "choices": choices, "label": i % len(choices)})
        elif name == "masakhaner_x":
            place = {"starts": [0], "ends": [len(words[0])], "labels": [i % 4]}
            rows.append({"text": " ".join(words), **place})
        elif name == "squad":
            answers = {"text": [words[1]], "answer_start": [len(words[0]) + 1]}
            rows.append({"id": f"q{i}", "question": "the cat ?", "context": " ".join(words), "answers": answers})
        else:
            rows.append({"tokens": words, "tags": [WORDS.index(word) % 17 for word in words]})
    return rows


def loss_of(encoder: Encoder, head: torch.nn.Module, features: list[Feature], kind: Any) -> tuple[Tensor, Tensor]:
    batch = collate(features, 1, CPU)
    return kind.loss(head, encoder.states(batch.ids, batch.mask), batch)


@pytest.mark.parametrize("max_length", [16, 48])
@pytest.mark.parametrize("name", TRAINED)
def test_from_rows_to_scores(encoder: Encoder, tokenizer: Tokenizer, name: str, max_length: int) -> None:
    task = tasks.get(name)
    kind = kinds.get(task.kind)
    rows = rows_of(name)
    assert [kind.check(row, task) for row in rows] == [None] * len(rows)
    features = kind.features(rows, tokenizer, task, max_length)
    assert {item.example for item in features.items} == set(range(len(rows)))
    assert max(features.lengths) <= max_length
    assert all(ids[0] == tokenizer.begin and ids[-1] == tokenizer.end for f in features.items for ids in f.sequences)
    head = heads.new(encoder, task, 1)
    loss, terms = loss_of(encoder, head, features.items, kind)
    assert math.isfinite(loss.item())
    assert loss.item() > 0
    assert int(terms) >= len(rows)
    loss.backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in head.parameters())
    outputs = predict(encoder, head, kind, features, tokenizer.pad, bf16=False)
    predictions = kind.decode(outputs, features, rows, task)
    gold = kind.gold(rows, task)
    assert len(predictions) == len(gold) == len(rows)
    scores = {key: metric.value for key, metric in kind.score(predictions, gold, task, "en").items()}
    assert set(task.headline) <= set(scores)
    assert all((-100 if task.kind == "regression" else 0) <= value <= 100 for value in scores.values())
    perfect = [answers[0] for answers in gold] if task.kind == "span" else gold
    assert all(metric.value == pytest.approx(100) for metric in kind.score(perfect, gold, task, "en").values())


@pytest.mark.parametrize("name", ALONE)
def test_loss_is_the_sum_over_features(encoder: Encoder, tokenizer: Tokenizer, name: str) -> None:
    task = tasks.get(name)
    kind = kinds.get(task.kind)
    features = kind.features(rows_of(name), tokenizer, task, 32).items
    head = heads.new(encoder, task, 1).eval()
    whole, terms = loss_of(encoder, head, features, kind)
    parts = [loss_of(encoder, head, [feature], kind) for feature in features]
    assert whole.item() == pytest.approx(sum(loss.item() for loss, _ in parts), rel=1e-4)
    assert int(terms) == sum(int(n) for _, n in parts)


@pytest.mark.parametrize("name", TRAINED)
def test_predictions_do_not_depend_on_the_batch(encoder: Encoder, tokenizer: Tokenizer, name: str) -> None:
    task = tasks.get(name)
    kind = kinds.get(task.kind)
    rows = rows_of(name)
    features = kind.features(rows, tokenizer, task, 32)
    head = heads.new(encoder, task, 1)
    whole = kind.decode(predict(encoder, head, kind, features, 1, False), features, rows, task)
    single = [predict(encoder, head, kind, Features([item]), 1, False)[0] for item in features.items]
    assert kind.decode(single, features, rows, task) == (pytest.approx(whole) if task.kind == "regression" else whole)


@pytest.mark.parametrize("name", [name for name in TRAINED if name != "lareqa"])  # its head is one number
def test_every_kind_learns_its_rows(encoder: Encoder, tokenizer: Tokenizer, name: str) -> None:
    """Targets and outputs mean the same thing: a head fitted to the targets decodes to the gold answers."""
    task = tasks.get(name)
    kind = kinds.get(task.kind)
    rows = rows_of(name, 6)
    features = kind.features(rows, tokenizer, task, 32)
    batch = collate(features.items, 1, CPU)
    with torch.no_grad():
        held = encoder.states(batch.ids, batch.mask)
    head = heads.new(encoder, task, 1).eval()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    scores: dict[str, float] = {}
    for step in range(1, 1501):
        loss, terms = kind.loss(head, held, batch)
        optimizer.zero_grad()
        (loss / terms).backward()
        optimizer.step()
        if step % 100 == 0:
            predictions = kind.decode(kind.predict(head, held, batch), features, rows, task)
            found = kind.score(predictions, kind.gold(rows, task), task, "en")
            scores = {key: metric.value for key, metric in found.items()}
            if min(scores.values()) > 95:
                break
    assert min(scores.values()) > 95, scores


# Tagging


@settings(max_examples=150, deadline=None)
@given(data=st.data(), max_length=st.integers(8, 24))
def test_every_word_keeps_one_prediction(tokenizer: Tokenizer, data: st.DataObject, max_length: int) -> None:
    word = st.sampled_from([*WORDS, "", " ", "caTdOgxq", "treestonebirdhouseruns" * 3, "猫", "unseen"])
    tokens = data.draw(st.lists(word, min_size=1, max_size=40))
    tags = [i % 17 for i in range(len(tokens))]
    task = tasks.get("udpos")
    kind = kinds.get("tagging")
    features = kind.features([{"tokens": tokens, "tags": tags}], tokenizer, task, max_length)
    assert max(features.lengths) <= max_length
    targets = [[t for t in item.target if t != IGNORE] for item in features.items]
    assert [tag for part in targets for tag in part] == tags
    assert all(len(item.place) == len(part) > 0 for item, part in zip(features.items, targets, strict=True))
    assert all(len(item.target) == len(item.sequences[0]) for item in features.items)
    decoded = kind.decode(targets, features, [{"tokens": tokens, "tags": tags}], task)
    assert decoded == [[task.labels[tag] for tag in tags]]
    longest = max(len(ids) for ids in tokenizer.words(tokens))
    assert features.truncated == (longest > max_length - 2)
    pieces = sum(min(len(ids), max_length - 2) for ids in tokenizer.words(tokens))
    assert sum(item.length - 2 for item in features.items) == pieces


def test_split_sentence_keeps_all_pieces_in_order(tokenizer: Tokenizer) -> None:
    tokens = ["cat", "dog", "tree", "house", "river"] * 8
    kind = kinds.get("tagging")
    rows = [{"tokens": tokens, "tags": [0] * len(tokens)}, {"tokens": ["sun"], "tags": [3]}]
    features = kind.features(rows, tokenizer, tasks.get("udpos"), 12)
    split = [item for item in features.items if item.example == 0]
    assert len(split) > 2
    joined = [piece for item in split for piece in item.sequences[0][1:-1]]
    assert joined == [piece for ids in tokenizer.words(tokens) for piece in ids]
    assert features.truncated == 0


def test_words_without_pieces_are_predicted(encoder: Encoder, tokenizer: Tokenizer) -> None:
    task = tasks.get("udpos")
    kind = kinds.get("tagging")
    rows = [{"tokens": ["", "cat", " ", ""], "tags": [1, 2, 3, 4]}]
    features = kind.features(rows, tokenizer, task, 32)
    assert features.items[0].sequences[0].count(tokenizer.unknown) >= 2
    outputs = predict(encoder, heads.new(encoder, task, 1), kind, features, 1, False)
    assert [len(tags) for tags in kind.decode(outputs, features, rows, task)] == [4]


# Choice


def test_any_number_of_choices_in_one_batch(encoder: Encoder, tokenizer: Tokenizer) -> None:
    task = tasks.get("social_i_qa")
    kind = kinds.get("choice")
    rows = [{"context": "the cat", "choices": WORDS[3 : 3 + n], "label": n - 1} for n in (2, 5, 3, 7)]
    features = kind.features(rows, tokenizer, task, 32)
    assert features.sizes == [2, 5, 3, 7]
    head = heads.new(encoder, task, 1).eval()
    batch = collate(features.items, 1, CPU)
    assert batch.ids.shape[0] == 17
    with torch.no_grad():
        held = encoder.states(batch.ids, batch.mask)
        flat = head(held).squeeze(-1)
    groups = flat.split([2, 5, 3, 7])
    expected = sum(float(-group.log_softmax(0)[len(group) - 1]) for group in groups)
    loss, terms = kind.loss(head, held, batch)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert int(terms) == 4
    assert kind.predict(head, held, batch) == [int(group.argmax()) for group in groups]


def test_choice_loses_the_beginning_of_the_context(tokenizer: Tokenizer) -> None:
    kind = kinds.get("choice")
    row = {"context": " ".join(WORDS * 3), "choices": ["cat", "dog"], "label": 0}
    features = kind.features([row], tokenizer, tasks.get("social_i_qa"), 16)
    context, choice = tokenizer.ids([row["context"], "cat"])
    first = features.items[0].sequences[0]
    kept = 16 - 4 - len(choice)
    assert first == [0, *context[-kept:], 2, 2, *choice, 2]
    assert features.truncated == 1


# Spans


def gold_text(feature: Feature, row: dict[str, Any]) -> str:
    """What the target tokens of a window decode to."""
    begin, _, _ = feature.place
    first, last = feature.target
    alone = Features([replace(feature, example=0)])
    return kinds.get("span").decode([(1.0, first - begin, last - begin)], alone, [row], tasks.get("squad"))[0]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), max_length=st.integers(8, 48))
def test_windows_cover_every_token_and_targets_decode_back(
    tokenizer: Tokenizer, data: st.DataObject, max_length: int
) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
    at = data.draw(st.integers(0, len(words) - 1))
    context = " ".join(words)
    start = len(" ".join(words[:at])) + (at > 0)
    row = {"question": "the cat sees ?", "context": context, "answers": {"text": [words[at]], "answer_start": [start]}}
    features = kinds.get("span").features([row], tokenizer, tasks.get("squad"), max_length)
    assert max(features.lengths) <= max_length
    ids, spans = tokenizer.spans([context])[0]
    seen: set[int] = set()
    for item in features.items:
        begin, first, here = item.place
        assert item.sequences[0][begin : begin + len(here)] == ids[first : first + len(here)]
        assert here == spans[first : first + len(here)]
        seen |= set(range(first, first + len(here)))
        if item.target != (0, 0):
            assert gold_text(item, row) == words[at]
            assert begin <= item.target[0] <= item.target[1] < begin + len(here)
    assert seen == set(range(len(ids)))
    found = any(item.target != (0, 0) for item in features.items)
    question = len(tokenizer.ids([row["question"]])[0]) > min(64, max_length // 3)
    assert features.truncated == (question or not found)
    room = max_length - features.items[0].place[0] - 1
    longest = len([i for i, (a, b) in enumerate(spans) if a < start + len(words[at]) and b > start])
    if longest <= room // 2:
        assert found


@pytest.mark.parametrize("offset", [-3, 0, 2, 40, 10_000])
def test_wrong_offsets_are_located_again(tokenizer: Tokenizer, offset: int) -> None:
    context = "the cat runs . the dog sees the cat . the cat eats"
    start = context.index("cat", 20)
    row = {"question": "?", "context": context, "answers": {"text": ["cat"], "answer_start": [start + offset]}}
    features = kinds.get("span").features([row], tokenizer, tasks.get("squad"), 100)
    (item,) = features.items
    assert gold_text(item, row) == "cat"
    begin, _, spans = item.place
    found = spans[item.target[0] - begin][0]
    places = [i for i in range(len(context)) if context.startswith("cat", i)]
    assert found == min(places, key=lambda place: abs(place - start - offset))
    assert features.truncated == 0
    assert features.counts == ({span.MOVED: 1} if offset else {})


@pytest.mark.parametrize("text", ["elephant", ""])
def test_answer_that_is_not_there_is_counted(tokenizer: Tokenizer, text: str) -> None:
    row = {"question": "?", "context": "the cat runs", "answers": {"text": [text], "answer_start": [4]}}
    features = kinds.get("span").features([row], tokenizer, tasks.get("squad"), 32)
    assert [item.target for item in features.items] == [(0, 0)]
    assert features.counts == {span.UNUSABLE: 1}
    assert features.truncated == 0


def test_empty_context_gives_an_empty_answer(encoder: Encoder, tokenizer: Tokenizer) -> None:
    task = tasks.get("squad")
    kind = kinds.get("span")
    rows = [
        {"question": "cat ?", "context": "", "answers": {"text": ["a"], "answer_start": [0]}},
        {"question": "cat ?", "context": "the dog", "answers": {"text": ["dog"], "answer_start": [4]}},
    ]
    features = kind.features(rows, tokenizer, task, 32)
    outputs = predict(encoder, heads.new(encoder, task, 1), kind, features, 1, False)
    found = kind.decode(outputs, features, rows, task)
    assert found[0] == ""
    assert found[1]
    assert found[1] in "the dog"


def test_best_span_equals_a_search_over_all(encoder: Encoder, tokenizer: Tokenizer) -> None:
    task = tasks.get("squad")
    kind = kinds.get("span")
    rows = rows_of("squad", 8)
    features = kind.features(rows, tokenizer, task, 40)
    head = heads.new(encoder, task, 1)
    batch = collate(features.items, 1, CPU)
    with torch.no_grad():
        held = encoder.states(batch.ids, batch.mask)
        logits = head(held)
        outputs = kind.predict(head, held, batch)
    best: dict[int, tuple[float, str]] = {}
    for i, item in enumerate(features.items):
        begin, _, spans = item.place
        options = [
            (float(logits[i, begin + a, 0] + logits[i, begin + b, 1]), a, b)
            for a in range(len(spans))
            for b in range(a, min(a + span.ANSWER_TOKENS, len(spans)))
        ]
        score, a, b = max(options, key=lambda option: option[0])
        assert outputs[i] == (pytest.approx(score), a, b)
        text = rows[item.example]["context"][spans[a][0] : spans[b][1]]
        best[item.example] = max(best.get(item.example, (-math.inf, "")), (score, text), key=lambda pair: pair[0])
    assert kind.decode(outputs, features, rows, task) == [best[i][1] for i in range(len(rows))]


@pytest.mark.parametrize("code", ["en", "ar", "de", "hi", "ru", "th", "tr", "vi", "zh"])
def test_gold_tokens_of_real_questions_decode_to_the_answer(shared: Path, code: str) -> None:
    task = tasks.get("xquad")
    tokenizer = Tokenizer(shared / "models" / "mini")
    assert task.test is not None
    split = Sources(shared / "hub").find(task.test.at(languages.resolve(code)))
    if split is None:
        pytest.skip(f"no rows in {code}")
    kind = kinds.get("span")
    rows = read(split, task, kind.check, 200).rows
    features = kind.features(rows, tokenizer, task, 250)
    held = equal = 0
    for i, row in enumerate(rows):
        texts = [gold_text(item, row) for item in features.items if item.example == i and item.target != (0, 0)]
        gold = SQUAD.normalize(row["answers"]["text"][0])
        held += any(gold in SQUAD.normalize(text) for text in texts)
        equal += any(gold == SQUAD.normalize(text) for text in texts)
    print(f"{code}: {len(rows)} rows, {held / len(rows):.3f} hold the answer, {equal / len(rows):.3f} equal it")
    assert held == len(rows)
    assert equal >= (0.9 if code == "th" else 0.99) * len(rows)


# What is wrong with a row


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("mnli", {"text_b": None}, "text_b"),
        ("mnli", {"text_a": 3}, "text_a"),
        ("social_i_qa", {"choices": ["one"]}, "choices"),
        ("social_i_qa", {"choices": ["one", None]}, "choices"),
        ("social_i_qa", {"label": 7}, "label"),
        ("social_i_qa", {"label": -1}, "label"),
        ("social_i_qa", {"label": None}, "label"),
        ("social_i_qa", {"context": None}, "context"),
        ("squad", {"answers": {"text": [], "answer_start": []}}, "answers"),
        ("squad", {"answers": {"text": ["a"], "answer_start": []}}, "answers"),
        ("squad", {"answers": None}, "answers"),
        ("squad", {"answers": {"text": [None], "answer_start": [0]}}, "answers"),
        ("squad", {"answers": {"text": ["a"], "answer_start": [None]}}, "answers"),
        ("squad", {"context": None}, "context"),
        ("udpos", {"tokens": [], "tags": []}, "tokens"),
        ("udpos", {"tokens": ["a", None], "tags": [1, 2]}, "tokens"),
        ("udpos", {"tags": [1]}, "tags"),
        ("udpos", {"tags": None}, "tags"),
    ],
)
def test_bad_rows_are_told(name: str, change: dict[str, Any], field: str) -> None:
    task = tasks.get(name)
    kind = kinds.get(task.kind)
    row = rows_of(name, 1)[0]
    assert kind.check(row, task) is None
    assert (kind.check({**row, **change}, task) or "").startswith(f"{field}:")


# Retrieval

RETRIEVED = ["tatoeba", "ntrex_mining", "bucc_sample"]


def retrieval_rows(task: tasks.Task, n: int = 8) -> dict[str, Examples]:
    """Rows of one language in which sentence ``i`` is the translation of sentence ``i``."""
    kind = kinds.searchable(task.kind)
    values = {
        "foreign": lambda i, name: f"die {WORDS[i]}" if not name else f"de-{i}",
        "english": lambda i, name: f"the {WORDS[i]}" if not name else f"en-{i}",
        "id": lambda i, name: f"{'de' if name.endswith('foreign') else 'en'}-{i}",
        "text": lambda i, name: f"{'die' if name.endswith('foreign') else 'the'} {WORDS[i]}\n",
    }
    rows: dict[str, Examples] = {}
    for place in task.reads("test", languages.resolve("de")):
        name = place.removeprefix("de").removeprefix(".")
        own = task.row_set(name.partition(".")[2])
        made = [{field: values[field](i, name) for field in own.columns} for i in range(n)]
        assert [kind.check(row, own) for row in made] == [None] * n
        rows[name] = Examples(made, list(range(n)), n)
    return rows


def test_every_kind_is_in_the_suite() -> None:
    every = {kinds.get(name).name for name in kinds.known()}
    shared = {"base", "heads", "sentence_search"}
    found = {module.name.removesuffix("_lm") for module in pkgutil.iter_modules(kinds.__path__)} - shared
    assert every == found
    assert {name for name, spec in kinds.known().items() if spec.searches} == {"bitext", "mining"}
    assert {tasks.get(name).kind for name in TRAINED + RETRIEVED} == every - {"masked"}, "masked has tests of its own"
    assert {tasks.get(name).kind for name in RETRIEVED} == {"bitext", "mining"}


@pytest.mark.parametrize("name", RETRIEVED)
def test_from_vectors_to_scores(name: str) -> None:
    """Vectors of translations that are equal give full marks, and those of other sentences none."""
    task = tasks.get(name)
    kind = kinds.searchable(task.kind)
    rows = retrieval_rows(task)
    assert kind.problem(rows) is None
    sentences = kind.sentences(rows)
    assert not any(text.endswith("\n") for texts in sentences.values() for text in texts)
    held = np.eye(8, dtype=np.float32)
    for shift, value in ((0, 100), (1, 0)):
        sides = {}
        for side, texts in sentences.items():
            places = np.roll(np.arange(8), shift if side.endswith("english") else 0)
            sides[side] = SentenceVectors(held, places, np.arange(len(texts)) < 2, np.ones(len(texts), bool))
        found = kind.search(rows, sides, Retrieve())
        assert len(found.predictions) == len(found.gold) == len(found.ids) == found.total == 8
        assert found.counts["truncated"] >= 2
        json.dumps([found.predictions, found.gold, found.counts], allow_nan=False)
        metrics_of = kind.score(found.predictions, found.gold, task, "de")
        assert set(task.headline) <= set(metrics_of)
        assert [metric.value for metric in metrics_of.values()] == [value] * len(metrics_of)
        assert all(len(metric.stats) == 8 for metric in metrics_of.values())


@pytest.mark.parametrize("name", RETRIEVED)
def test_retrieval_kinds_are_not_trained(tokenizer: Tokenizer, name: str) -> None:
    task = tasks.get(name)
    features = sentence_features(["the cat", ""], tokenizer, 16)
    assert [item.sequences[0] for item in features.items] == [[0, *tokenizer.ids(["the cat"])[0], 2], [0, 2]]
    assert sentence_features([" ".join(WORDS)], tokenizer, 16).truncated == 1
    with pytest.raises(ConfigError, match="retrieval task"):
        kinds.trainable(task.kind)
    with pytest.raises(ConfigError, match="retrieval task"):
        heads.new(cast(Any, None), task)


def test_bitext_takes_the_newline_off() -> None:
    task = tasks.get("tatoeba")
    kind = kinds.get("bitext")
    row = {"foreign": " die Katze \r\n", "english": "the cat\n"}
    assert kind.check(row, task) is None
    assert row == {"foreign": " die Katze ", "english": "the cat"}
    assert kind.check({"foreign": None, "english": "x"}, task) is not None


@pytest.mark.parametrize("name", ["nothing", "base.Kind", "../span", "base"])
def test_unknown_kind_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown task kind"):
        kinds.get(name)


def test_collate_pads_to_the_longest_or_to_a_width() -> None:
    features = [Feature(0, ([0, 5, 2],), 0), Feature(1, ([0, 2], [0, 5, 6, 2]), 1)]
    batch = collate(features, 1, CPU)
    assert batch.ids.tolist() == [[0, 5, 2, 1], [0, 2, 1, 1], [0, 5, 6, 2]]
    assert batch.mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert collate(features, 1, CPU, 9).ids.shape == (3, 9)
