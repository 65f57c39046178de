"""Studies with ranking tasks: from the files of LAReQA and Mewsli-X to scores, recomputed by slow definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import write_split
from support.ranking import LAREQA, MEWSLI, jsonl_file, squad_file, write_lareqa, write_mewsli

from adaptstilts import kinds, tasks
from adaptstilts import study as config
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.kinds import heads
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.phases.rank import CHUNK, rank
from adaptstilts.phases.ranking_rows import load
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import EvaluatePhase, TrainPhase
from adaptstilts.reports import records, tables
from adaptstilts.run import run_plan
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.runtime.context import Runtime
from adaptstilts.workspace import Workspace

Made = Callable[..., tuple[Plan, Workspace]]
METHODS = ["full", {"kind": "bottleneck", "reduction": 4}]
TRAIN = {"max_steps": 4, "batch_size": 8, "max_length": 64, "lr": 0.001, "precision": "fp32", "dev_examples": 12}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of both tasks; shared by all tests, so do not change them."""
    folder = tmp_path_factory.mktemp("ranked")
    write_lareqa(folder)
    write_mewsli(folder)
    return folder


@pytest.fixture
def made(tiny: Path, root: Path, tmp_path: Path) -> Made:
    """Expands a small study."""

    def expanded(data: Path = root, store: str = "store", **changed: Any) -> tuple[Plan, Workspace]:
        held: dict[str, Any] = {
            "name": "r",
            "model": str(tiny),
            "methods": ["full"],
            "targets": ["lareqa"],
            "missing": "skip",
            "train": TRAIN,
        }
        workspace = Workspace(tmp_path / store, data)
        return expand.expand(config.parse(json.dumps({**held, **changed})), workspace), workspace

    return expanded


def evaluated(study: Plan) -> EvaluatePhase:
    """The only evaluate phase of a study."""
    (phase,) = (phase for phase in study.phases.values() if isinstance(phase, EvaluatePhase))
    return phase


def slow_map(rankings: list[list[str]], gold: list[set[str]]) -> float:
    """Mean average precision at 20 from its definition: precision at the place of each hit, over min(targets, 20)."""
    total = 0.0
    for ranked, wanted in zip(rankings, gold, strict=True):
        hits = [place for place in range(1, min(20, len(ranked)) + 1) if ranked[place - 1] in wanted]
        precisions = [sum(hit <= place for hit in hits) / place for place in hits]
        total += sum(precisions) / min(len(wanted), 20)
    return 100 * total / len(rankings)


def vector(encoder: Encoder, ids: list[int]) -> np.ndarray:
    """The first token's vector of one sequence at unit length, in float64."""
    import torch

    with torch.inference_mode():
        found = encoder.states(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))[0, 0].double().numpy()
    return np.asarray(found / np.linalg.norm(found))


class Lareqa:
    """XQuAD-R straight from its files."""

    def __init__(self, root: Path, codes: tuple[str, ...]) -> None:
        self.candidates: dict[str, tuple[str, str]] = {}
        self.questions: dict[str, list[tuple[str, str]]] = {code: [] for code in codes}
        self.gold: dict[str, set[str]] = {}
        for code in codes:
            text = (root / LAREQA / "xquad-r" / f"{code}.json").read_text(encoding="utf-8")
            held = [paragraph for article in json.loads(text)["data"] for paragraph in article["paragraphs"]]
            for number, paragraph in enumerate(held, 1):
                for i, (begin, end) in enumerate(paragraph["sentence_breaks"]):
                    name = f"{code}_{number}_{i}"
                    self.candidates[name] = (paragraph["context"][begin:end], paragraph["context"])
                    for question in paragraph["qas"]:
                        if begin <= question["answers"][0]["answer_start"] < end:
                            self.gold.setdefault(question["id"], set()).add(name)
                self.questions[code] += [(question["id"], question["question"]) for question in paragraph["qas"]]


def check_ranked(
    encoder: Encoder, queries: list[list[int]], pool: dict[str, list[int]], found: list[list[str]]
) -> None:
    """The products of what was found are the 20 largest, in order; as texts are padded in batches, not to the bit."""
    vectors = {name: vector(encoder, ids) for name, ids in pool.items()}
    for ids, ranked in zip(queries, found, strict=True):
        own = vector(encoder, ids)
        products = {name: float(own @ held) for name, held in vectors.items()}
        best = sorted(products.values(), reverse=True)[:20]
        assert len(set(ranked)) == len(ranked)
        assert [products[name] for name in ranked] == pytest.approx(best, abs=1e-6)
        assert max(best) - min(best) > 3e-5, "more than rounding"


@pytest.mark.parametrize("method", [METHODS[0], pytest.param(METHODS[1], marks=pytest.mark.slow)])
def test_a_study_with_lareqa(made: Made, root: Path, tiny: Path, method: Any) -> None:
    study, workspace = made(methods=[method])
    run_plan(study, workspace, device="cpu")
    (cell,) = study.cells
    assert cell.missing == tuple("ar el es hi ru th tr vi".split())
    entry = workspace.store.entry(cell.phase)
    found = entry.json("scores.json")
    assert list(found) == ["de", "en", "zh"]
    held, tokenizer = Lareqa(root, ("de", "en", "zh")), Tokenizer(tiny)
    phase = evaluated(study)
    resident = AdapterPool(workspace.store, study.model, Runtime(workspace, study.model, device="cpu").device)
    full = method == "full"
    encoder = resident.encoder(phase.target, ()) if full else resident.encoder(None, (phase.target,))
    encoder.trunk.eval()
    texts = {name: tokenizer.ids(pair) for name, pair in held.candidates.items()}
    pool = {name: tokenizer.pair(*ids, 64).ids for name, ids in texts.items()}
    for code, score in found.items():
        predictions = entry.json(f"predictions/{code}.json")["predictions"]
        questions = [tokenizer.single(ids, 64).ids for ids in tokenizer.ids([text for _, text in held.questions[code]])]
        check_ranked(encoder, questions, pool, predictions)
        gold = [held.gold[key] for key, _ in held.questions[code]]
        assert all(len(wanted) == 3 for wanted in gold), "one sentence in every language"
        assert score["values"] == {"map": pytest.approx(slow_map(predictions, gold))}
        assert (score["n"], score["rows"], score["dropped"]) == (8, 8, {})
        assert score["pool"]["candidates"] == len(held.candidates)
        assert (score["pool"]["languages"], score["pool"]["of"]) == (3, 11)
        assert 0 < score["values"]["map"] < 100
    (record,) = records.records(study, workspace.store)
    assert record.mean == pytest.approx(np.mean([score["values"]["map"] for score in found.values()]))
    text = tables.render([record], "md")
    assert "### lareqa: map" in text
    assert f"ranked against {len(held.candidates)} candidates in 3 of 11 languages" in text
    assert "pool" in tables.render([record], "json")


@pytest.mark.slow
def test_a_study_with_mewsli_x(made: Made, root: Path, tiny: Path) -> None:
    study, workspace = made(targets=["mewsli_x"], methods=METHODS)
    run_plan(study, workspace, device="cpu")
    folder, tokenizer = root / MEWSLI / "dataset", Tokenizer(tiny)
    articles = [json.loads(line) for line in (folder / "wikinews_mentions-test.jsonl").read_text().splitlines()]
    held = [json.loads(line) for line in (folder / "candidate_set_entities.jsonl").read_text().splitlines()]
    for cell in study.cells:
        assert cell.missing == tuple("ar es fa ja pl ro tr uk".split())
        entry = workspace.store.entry(cell.phase)
        for code, score in entry.json("scores.json").items():
            gold = [m["entity_id"] for a in articles if a["context"]["language"] == code for m in a["mentions"]]
            predictions = entry.json(f"predictions/{code}.json")["predictions"]
            places = [
                ranked.index(key) + 1 if key in ranked else 0 for ranked, key in zip(predictions, gold, strict=True)
            ]
            expected = 100 * sum(1 / place for place in places if place) / len(places)
            assert score["values"] == {"map": pytest.approx(expected)}
            assert all(len(ranked) == len(set(ranked)) == 20 for ranked in predictions)
            assert score["pool"] == {"candidates": 30, "truncated": 0}
    resident = AdapterPool(workspace.store, study.model, Runtime(workspace, study.model, device="cpu").device)
    phase = study.phases[study.cells[0].phase]
    assert isinstance(phase, EvaluatePhase)
    encoder = resident.encoder(phase.target, ())
    encoder.trunk.eval()
    pool = {
        row["entity_id"]: tokenizer.single(ids, 64).ids
        for row, ids in zip(held, described(held, tokenizer), strict=True)
    }
    asked = [row["query"] for row in load(phase, Runtime(workspace, study.model)).queries["ta"].rows]
    queries = [tokenizer.single(ids, 64).ids for ids in tokenizer.ids(asked)]
    found = workspace.store.entry(phase.key).json("predictions/ta.json")["predictions"]
    check_ranked(encoder, queries, pool, found)
    (record, *_) = records.records(study, workspace.store)
    assert "_ranked against 30 candidates_" in tables.render([record], "md")


def described(entities: list[dict[str, Any]], tokenizer: Tokenizer) -> list[list[int]]:
    return tokenizer.ids([" ".join(row["description"].split()) for row in entities])


@pytest.mark.slow
def test_training_learns_and_its_batches_are_whole(made: Made) -> None:
    """The loss is that of whole batches, whatever fits into one forward pass, and falls."""
    logs = []
    for size in (64, 100_000):
        train = {**TRAIN, "micro_tokens": size, "max_steps": 30, "lr": 0.003}
        study, workspace = made(store=f"store{size}", train=train)
        run_plan(study, workspace, device="cpu")
        (phase,) = (phase for phase in study.phases.values() if isinstance(phase, TrainPhase))
        lines = (workspace.store.entry(phase.key).folder / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line) for line in lines])
        result = workspace.store.entry(phase.key).json("result.json")
        assert result["head"] == 1
        assert set(result["dev"]) == {"map"}
        assert result["dev_examples"] == 12
    assert logs[0] == logs[1]
    losses = [line["loss"] for line in logs[0] if "loss" in line]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def alike(a: list[str], b: list[str]) -> bool:
    """Whether two rankings are the same but for neighbours that are equally near: batches round differently."""
    both = set(a) & set(b)
    return len(both) >= len(a) - 1 and all(abs(a.index(name) - b.index(name)) <= 1 for name in both)


def test_the_subset_is_of_queries(made: Made, root: Path) -> None:
    """Candidates stay, and so do the right answers of the other languages."""
    whole, workspace = made()
    run_plan(whole, workspace, device="cpu")
    part, _ = made(evaluate={"examples": 3})
    run_plan(part, workspace, device="cpu")
    held = Lareqa(root, ("de", "en", "zh"))
    every = workspace.store.entry(evaluated(whole).key)
    some = workspace.store.entry(evaluated(part).key)
    for code in ("de", "en", "zh"):
        a, b = (entry.json(f"predictions/{code}.json") for entry in (every, some))
        at = [a["ids"].index(number) for number in b["ids"]]
        assert len(at) == 3
        assert all(alike(a["predictions"][i], ranked) for i, ranked in zip(at, b["predictions"], strict=True))
        score = some.json("scores.json")[code]
        assert (score["n"], score["rows"]) == (3, 8)
        gold = [held.gold[held.questions[code][i][0]] for i in at]
        assert score["values"]["map"] == pytest.approx(slow_map(b["predictions"], gold))


def test_fewer_languages_have_a_smaller_pool(made: Made, root: Path) -> None:
    study, workspace = made(languages=["de"])
    run_plan(study, workspace, device="cpu")
    entry = workspace.store.entry(evaluated(study).key)
    held = Lareqa(root, ("de",))
    assert entry.json("scores.json")["de"]["pool"]["candidates"] == len(held.candidates)
    predictions = entry.json("predictions/de.json")["predictions"]
    assert {name for ranked in predictions for name in ranked} <= set(held.candidates)
    assert entry.json("scores.json")["de"]["values"]["map"] == pytest.approx(
        slow_map(predictions, [held.gold[key] for key, _ in held.questions["de"]])
    )


def test_dev_rows_are_ranked_against_one_another(made: Made) -> None:
    study, workspace = made(evaluate={"split": "dev"}, languages=["en"])
    run_plan(study, workspace, device="cpu")
    score = workspace.store.entry(evaluated(study).key).json("scores.json")["en"]
    assert (score["n"], score["pool"]["candidates"]) == (16, 16)
    assert score["values"]["map"] > 0


# Skipped, missing, changed and wrong rows


def change(root: Path, code: str, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Edit the first paragraph of a language."""
    path = root / LAREQA / "xquad-r" / f"{code}.json"
    held = [paragraph for article in json.loads(path.read_text())["data"] for paragraph in article["paragraphs"]]
    edit(held[0])
    return squad_file(path, held)


def test_questions_without_a_sentence_are_counted(made: Made, tmp_path: Path) -> None:
    write_lareqa(tmp_path / "hub")
    change(tmp_path / "hub", "de", lambda held: held["qas"][1]["answers"][0].update(answer_start=9999))
    study, workspace = made(tmp_path / "hub")
    run_plan(study, workspace, device="cpu")
    found = workspace.store.entry(evaluated(study).key).json("scores.json")
    assert found["de"]["dropped"] == {"the answer begins in no sentence": 1}
    assert [found[code]["n"] for code in found] == [7, 8, 8]
    targets = load(evaluated(study), Runtime(workspace, study.model)).targets
    assert sorted(len(wanted) for wanted in targets["en"]) == [2] + [3] * 7
    (record,) = records.records(study, workspace.store)
    assert record.dropped == 1


def test_every_file_is_in_the_key(made: Made, tmp_path: Path) -> None:
    write_lareqa(tmp_path / "hub")
    write_mewsli(tmp_path / "hub")
    keys = []
    for store in "abc":
        study, _ = made(tmp_path / "hub", store, targets=["lareqa", "mewsli_x"])
        keys.append({phase.task: phase for phase in study.phases.values() if isinstance(phase, EvaluatePhase)})
        if store == "a":
            change(tmp_path / "hub", "zh", lambda held: held["qas"].pop())
        if store == "b":
            path = tmp_path / "hub" / MEWSLI / "dataset" / "candidate_set_entities.jsonl"
            path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    first, second, third = keys
    assert first["mewsli_x"].key == second["mewsli_x"].key != third["mewsli_x"].key
    assert first["lareqa"].key != second["lareqa"].key == third["lareqa"].key
    assert set(first["lareqa"].data) == {"de", "en", "zh"}
    assert set(first["mewsli_x"].data) == {"de", "en", "ta", "pool"}


def test_candidates_that_are_not_there(made: Made, tmp_path: Path) -> None:
    write_mewsli(tmp_path / "hub")
    path = tmp_path / "hub" / MEWSLI / "dataset" / "candidate_set_entities.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    jsonl_file(path, rows[:3])
    study, workspace = made(tmp_path / "hub", targets=["mewsli_x"])
    with pytest.raises(DataError, match=r"wikinews_mentions-test.jsonl: example \d+: candidate: expected one of the 3"):
        load(evaluated(study), Runtime(workspace, study.model))
    path.unlink()
    with pytest.raises(DataError, match=r"no split 'candidate_set_entities' of config 'dataset'.*\.jsonl"):
        made(tmp_path / "hub", "other", targets=["mewsli_x"])


def test_ids_that_are_not_of_one_candidate_or_query(made: Made, tmp_path: Path) -> None:
    write_mewsli(tmp_path / "hub")
    path = tmp_path / "hub" / MEWSLI / "dataset" / "candidate_set_entities.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    jsonl_file(path, [*rows, rows[0]])
    study, workspace = made(tmp_path / "hub", targets=["mewsli_x"])
    assert len(load(evaluated(study), Runtime(workspace, study.model)).pool) == 30
    jsonl_file(path, [*rows, {**rows[0], "description": rows[1]["description"]}])
    study, workspace = made(tmp_path / "hub", "b", targets=["mewsli_x"])
    with pytest.raises(DataError, match=r"candidate_set_entities.jsonl: candidate 'Q0' has two texts"):
        load(evaluated(study), Runtime(workspace, study.model))
    write_lareqa(tmp_path / "hub")
    change(tmp_path / "hub", "de", lambda held: held["qas"][1].update(id=held["qas"][0]["id"]))
    study, workspace = made(tmp_path / "hub", "c")
    with pytest.raises(
        DataError, match=r"de.json: example \d+: id: expected one that no other query has, found 'q0-0'"
    ):
        load(evaluated(study), Runtime(workspace, study.model))


def test_training_rows_whose_answer_crosses_a_break_are_counted(made: Made, tmp_path: Path) -> None:
    write_lareqa(tmp_path / "hub")
    good = {"id": "a", "title": "t", "context": "The cat runs. The dog eats.", "question": "the cat"}
    rows = [
        {**good, "id": str(i), "answers": {"text": [text], "answer_start": [good["context"].index(text)]}}
        for i, text in enumerate(["cat", "runs. The", "dog", "cat runs."])
    ]
    write_split(tmp_path / "hub", "rajpurkar/squad", "plain_text", "train", rows)
    study, workspace = made(tmp_path / "hub")
    run_plan(study, workspace, device="cpu")
    (phase,) = (phase for phase in study.phases.values() if isinstance(phase, TrainPhase))
    result = workspace.store.entry(phase.key).json("result.json")
    assert result["dropped"] == {"the answer crosses a sentence break": 1}
    assert result["examples"] == 3


def test_it_stops_when_asked_to(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    study, workspace = made()
    phase, task = evaluated(study), tasks.get("lareqa")
    encoder = Encoder(study.model.folder)
    monkeypatch.setattr("adaptstilts.phases.rank.CHUNK", 5)
    for calls, told in ((0, 0), (1, 5), (7, 33)):
        asked = iter([False] * calls + [True])
        runtime = Runtime(workspace, study.model, stop=lambda answers=asked: next(answers), device="cpu")  # type: ignore[misc]
        with pytest.raises(Interrupted, match=rf"evaluate lareqa .*: stopped after {told} of 57 texts"):
            rank(phase, runtime, encoder, heads.new(encoder, task, 1), 64)


def test_chunks_change_nothing(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    study, workspace = made()
    phase, task = evaluated(study), tasks.get("lareqa")
    encoder = Encoder(study.model.folder)
    head = heads.new(encoder, task, 1)
    lines: list[tuple[int, int]] = []
    runtime = Runtime(workspace, study.model, lambda line, done, total: lines.append((done, total)), device="cpu")
    whole = rank(phase, runtime, encoder, head, 64)
    assert CHUNK > 1000
    monkeypatch.setattr("adaptstilts.phases.rank.CHUNK", 5)
    parts = rank(phase, runtime, encoder, head, 64)
    for code, found in parts.items():
        pairs = zip(found.predictions, whole[code].predictions, strict=True)
        assert all(alike(a, b) for a, b in pairs)
        assert replace(found, predictions=[]) == replace(whole[code], predictions=[])
    counts = [(done, total) for done, total in lines if total]  # the others are remarks
    assert counts[1] == counts[-1] == (counts[-1][1], counts[-1][1])


def test_long_texts_are_counted(made: Made) -> None:
    study, workspace = made(evaluate={"max_length": 10})
    run_plan(study, workspace, device="cpu")
    (record,) = records.records(study, workspace.store)
    assert record.pool["truncated"] == record.pool["candidates"]
    assert 0 < record.truncated <= 1
    assert f"{record.pool['truncated']} of them cut to the maximum length" in tables.render([record], "md")


def test_the_kind_has_no_threshold(made: Made) -> None:
    assert not tasks.get("lareqa").sets
    assert kinds.get("ranking").joint


def test_a_language_in_which_nothing_can_be_asked(made: Made, tmp_path: Path) -> None:
    write_lareqa(tmp_path / "hub", paragraphs=1)

    def spoil(held: dict[str, Any]) -> None:
        for question in held["qas"]:
            question["answers"][0]["answer_start"] = 9999

    path = change(tmp_path / "hub", "de", spoil)
    study, workspace = made(tmp_path / "hub")
    with pytest.raises(DataError) as caught:
        load(evaluated(study), Runtime(workspace, study.model))
    assert str(caught.value).startswith(f"{path}: no query of ")
