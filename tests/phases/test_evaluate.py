"""Evaluation: scores that anyone can recompute from predictions and gold, over exactly the adapters asked for."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.inputs import STUDY, make_encoder, write_split

from adaptstilts import kinds, languages, study, tasks
from adaptstilts.errors import ArtifactError, DataError, Interrupted
from adaptstilts.kinds import heads
from adaptstilts.metrics import scores as metrics
from adaptstilts.metrics.answer_text import SQUAD
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.run import perform, run_plan
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import predict
from adaptstilts.store.entries import Entry
from adaptstilts.workspace import Workspace

METHODS = [{"kind": "bottleneck", "reduction": 4}, {"kind": "lora", "rank": 2}]


class Done:
    """A study that was run."""

    def __init__(self, model: Path, data: Path, store: Path, **changed: Any) -> None:
        held = {**STUDY, "model": str(model), "methods": METHODS, "targets": ["xnli", "udpos", "xcopa", "xquad"]}
        held["intermediates"] = ["none", "social_i_qa"]
        held["train"] = {**STUDY["train"], "precision": "fp32", "lr": 0.03, "max_steps": 8}
        self.data, self.model = data, model
        self.workspace = Workspace(store, data)
        self.study = study.parse(json.dumps({**held, **changed}))
        self.plan: Plan = expand.expand(self.study, self.workspace)

    def entry(self, cell: Cell) -> Entry:
        return self.workspace.store.entry(cell.phase)

    def cells(self, task: str, method: str = "bottleneck") -> list[Cell]:
        return [cell for cell in self.plan.cells if cell.task == task and cell.method.startswith(method)]

    def runtime(self, **options: Any) -> Runtime:
        return Runtime(self.workspace, self.plan.model, device="cpu", **options)

    def phase(self, cell: Cell) -> EvaluatePhase:
        phase = self.plan.phases[cell.phase]
        assert isinstance(phase, EvaluatePhase)
        return phase


@pytest.fixture(scope="module")
def done(tiny: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Two methods, two intermediates, four targets, every swap."""
    held = Done(tiny, data_root, tmp_path_factory.mktemp("evaluated") / "store")
    run_plan(held.plan, held.workspace, device="cpu")
    return held


def table(data: Path, repo: str, name: str, split: str) -> list[dict[str, Any]]:
    return pq.read_table(data / repo / name / f"{split}-00000-of-00001.parquet").to_pylist()


def gold_of(data: Path, task: str, code: str) -> list[Any]:
    """Gold answers straight from the files."""
    if task == "xnli":
        return [r["gold_label"] for r in table(data, "google/xtreme", "XNLI", "test") if r["language"] == code]
    if task == "xcopa":
        return [row["label"] for row in table(data, "cambridgeltl/xcopa", code, "test")]
    if task == "xquad":
        return [row["answers"]["text"] for row in table(data, "google/xtreme", f"XQuAD.{code}", "validation")]
    name = {"en": "English", "de": "German"}[code]
    labels = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
    return [[labels[i] for i in r["pos_tags"]] for r in table(data, "google/xtreme", f"udpos.{name}", "test")]


def share(hits: list[bool]) -> float:
    return 100 * sum(hits) / len(hits)


LANGUAGES = {"xnli": ["de", "en", "zh"], "udpos": ["de", "en"], "xcopa": ["id", "zh"], "xquad": ["de", "en"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bottleneck", "lora"])
@pytest.mark.parametrize("task", LANGUAGES)
def test_scores_follow_from_predictions_and_gold(done: Done, task: str, method: str) -> None:
    cells = done.cells(task, method)
    assert len(cells) == 4
    for cell in cells:
        entry = done.entry(cell)
        scores = entry.json("scores.json")
        assert sorted(scores) == LANGUAGES[task]
        for code, score in scores.items():
            held = entry.json(f"predictions/{code}.json")
            gold = gold_of(done.data, task, code)
            assert held["ids"] == list(range(len(gold)))
            assert score["n"] == score["rows"] == len(gold)
            found = held["predictions"]
            if task in ("xnli", "xcopa"):
                expected = {"accuracy": share([a == b for a, b in zip(found, gold, strict=True)])}
            elif task == "udpos":
                words = [x == y for a, b in zip(found, gold, strict=True) for x, y in zip(a, b, strict=True)]
                expected = {"token_accuracy": share(words), "f1": metrics.chunk_f1(found, gold).value}
            else:
                clean = [SQUAD.normalize(text) for text in found]
                texts = [[SQUAD.normalize(text) for text in texts] for texts in gold]
                exact = [a in b for a, b in zip(clean, texts, strict=True)]
                expected = {"exact_match": share(exact), "f1": metrics.answer_f1(found, gold).value}
            assert score["values"] == pytest.approx(expected)
            for name, stats in entry.json("stats.json")[code].items():
                sums = [sum(column) for column in zip(*stats["stats"], strict=True)]
                assert metrics.measure(stats["measure"], sums) == score["values"][name]
                assert len(stats["stats"]) == len(gold)


@pytest.mark.slow
@pytest.mark.parametrize("task", LANGUAGES)
def test_predictions_have_the_form_of_answers(done: Done, task: str) -> None:
    entry = done.entry(done.cells(task)[0])
    for code in LANGUAGES[task]:
        found = entry.json(f"predictions/{code}.json")["predictions"]
        if task == "xquad":
            contexts = [row["context"] for row in table(done.data, "google/xtreme", f"XQuAD.{code}", "validation")]
            assert all(answer and answer in text for answer, text in zip(found, contexts, strict=True))
        elif task == "xcopa":
            assert set(found) <= {0, 1}
        else:
            labels = {tag for tags in found for tag in tags} if task == "udpos" else set(found)
            assert labels <= set(tasks.get(task).labels)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bottleneck", "lora"])
@pytest.mark.parametrize("task", ["xnli", "xcopa", "udpos"])
def test_swapped_evaluation_equals_composing_by_hand(done: Done, task: str, method: str) -> None:
    store, runtime = done.workspace.store, done.runtime()
    declared = tasks.get(task)
    kind = kinds.get(declared.kind)
    for cell in (cell for cell in done.cells(task, method) if cell.swapped):
        phase = done.phase(cell)
        target = store.entry(phase.target)
        trained_on = target.spec.get("stack", [])
        assert list(phase.stack) != trained_on
        encoder = Encoder(done.model, phase.method.backend)
        for name, key in (*((f"under{i}", key) for i, key in enumerate(phase.stack)), ("over", phase.target)):
            encoder.load(name, phase.method, store.entry(key).folder / "adapter")
        encoder.compose(list(encoder.methods))
        head = heads.load(encoder, declared, target.folder / "head")
        for code, digest in phase.data.items():
            source = declared.test.at(languages.resolve(code))
            examples, features = runtime.rows(declared, source, digest, 48)
            outputs = predict(encoder, head, kind, features, 1, False)
            expected = kind.decode(outputs, features, examples.rows, declared)
            assert done.entry(cell).json(f"predictions/{code}.json")["predictions"] == expected


@pytest.mark.slow
def test_swapping_changes_what_the_model_says(done: Done) -> None:
    """Otherwise the comparison above would hold for an adapter that is not there."""
    found = {}
    for cell in done.cells("udpos"):
        if cell.trained_on == "social_i_qa":
            found[cell.over] = done.entry(cell).json("predictions/en.json")["predictions"]
    assert set(found) == {"none", "social_i_qa"}
    assert found["social_i_qa"] != found["none"]


@pytest.mark.slow
def test_swapping_trains_nothing(done: Done) -> None:
    trained = [phase for phase in done.plan.order() if phase.kind == "train"]
    chains = 2 * (1 + 1 + 2 + 1) - 1  # social_i_qa, the first half of xcopa over none, is an intermediate phase too
    assert len(trained) == 2 * (1 + chains)
    evaluated = [phase for phase in done.plan.order() if phase.kind == "evaluate"]
    assert len(evaluated) == 2 * 4 * 4


def content(entry: Entry) -> dict[str, bytes]:
    return {name: (entry.folder / name).read_bytes() for name in entry.manifest["files"]}


def copied(done: Done, folder: Path, keys: set[str]) -> Workspace:
    """A store that has some entries of another one."""
    workspace = Workspace(folder, done.data)
    for key in keys:
        workspace.store.adopt(done.workspace.store.entry(key).folder)
    return workspace


@pytest.fixture
def again(done: Done, tmp_path: Path) -> Callable[..., Entry]:
    """Performs an evaluate phase once more in a store that has only its parents."""

    def run(cell: Cell, **options: Any) -> Entry:
        phase = done.phase(cell)
        workspace = copied(done, tmp_path / "again", set(phase.parents))
        runtime = Runtime(workspace, done.plan.model, device="cpu", **options)
        perform(phase, runtime)
        return workspace.store.entry(phase.key)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("task", LANGUAGES)
def test_interrupted_evaluation_gives_the_same_bits(done: Done, again: Callable[..., Entry], task: str) -> None:
    cell = next(cell for cell in done.cells(task) if cell.swapped and cell.over != "none")
    lines: list[tuple[int, int]] = []
    with pytest.raises(Interrupted, match="after 0 languages"):
        again(cell, stop=lambda: True)
    with pytest.raises(Interrupted, match=r"after 1 language$"):
        again(cell, stop=lambda: any(n for n, _ in lines), report=lambda line, n, total: lines.append((n, total)))
    entry = again(cell, report=lambda line, n, total: lines.append((n, total)))
    assert content(entry) == content(done.entry(cell))
    assert lines[-1] == (len(LANGUAGES[task]), len(LANGUAGES[task]))


@pytest.mark.slow
def test_evaluating_again_gives_the_same_bits(done: Done, again: Callable[..., Entry]) -> None:
    cell = done.cells("udpos", "lora")[3]
    assert content(again(cell)) == content(done.entry(cell))


@pytest.mark.slow
def test_another_base_model_is_refused(done: Done, tmp_path: Path) -> None:
    phase = done.phase(done.cells("xnli")[0])
    other = locate(str(make_encoder(tmp_path / "other", seed=5)))
    runtime = Runtime(done.workspace, other, device="cpu")
    with pytest.raises(ArtifactError, match=r"another base model: .*weights"):
        perform(dataclasses.replace(phase, model=other.fingerprint), runtime)


@pytest.mark.slow
def test_adapter_on_another_trunk_is_refused(done: Done, tiny: Path, tmp_path: Path) -> None:
    """A target over the base model cannot be evaluated over the encoder of a full fine-tuning phase."""
    resident = AdapterPool(done.workspace.store, done.plan.model, done.runtime().device)
    changed = {"methods": ["full"], "swap": "off", "intermediates": ["mnli"], "targets": ["udpos"]}
    full = Done(tiny, done.data, tmp_path / "store", **changed)
    run_plan(full.plan, full.workspace, device="cpu")
    key = next(phase.key for phase in full.plan.order() if phase.kind == "train")
    done.workspace.store.adopt(full.workspace.store.entry(key).folder)
    target = done.phase(done.cells("xnli")[0]).target
    with pytest.raises(ArtifactError, match="another encoder"):
        resident.encoder(key, (target,))


@pytest.fixture
def small(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., Done]:
    """Studies of one target without intermediates, and one short training phase."""

    def make(data: Path = data_root, **changed: Any) -> Done:
        train = {**STUDY["train"], "max_steps": 1, "precision": "fp32"}
        held = {"methods": METHODS[:1], "intermediates": ["none"], "swap": "off", "targets": ["xnli"], "train": train}
        return Done(tiny, data, tmp_path / "store", **{**held, **changed})

    return make


def copied_data(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def test_withheld_labels_are_refused(
    small: Callable[..., Done], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = copied_data(data_root, tmp_path / "hub")
    rows = [
        {"language": code, "sentence1": "the cat", "sentence2": "a dog", "gold_label": label}
        for code in ("en", "de")
        for i in range(60)
        for label in ["neutral" if code == "de" else ["neutral", "entailment"][i % 2]]
    ]
    write_split(data, "google/xtreme", "XNLI", "test", rows)
    held = small(data)
    expected = r"test: de: every gold label is 'neutral'; the labels look withheld"
    with pytest.raises(DataError, match=expected):
        run_plan(held.plan, held.workspace, device="cpu")
    assert list(held.workspace.store.keys()) == []
    monkeypatch.setattr("adaptstilts.run.check_rows", lambda phases, workspace: [])
    with pytest.raises(Exception, match=expected) as caught:
        run_plan(held.plan, held.workspace, device="cpu")
    assert caught.value.exit_code == 7
    (phase,) = [phase for phase in held.plan.order() if phase.kind == "evaluate"]
    with pytest.raises(DataError, match="withheld"):
        perform(phase, held.runtime())
    assert not held.workspace.store.has(phase.key)


@pytest.mark.slow
def test_withheld_choices_are_refused(small: Callable[..., Done], data_root: Path, tmp_path: Path) -> None:
    data = copied_data(data_root, tmp_path / "hub")
    rows = table(data, "cambridgeltl/xcopa", "id", "test")
    write_split(data, "cambridgeltl/xcopa", "id", "test", [{**row, "label": 0} for row in rows * 6])
    held = small(data, targets=["xcopa"], languages=["id"])
    with pytest.raises(Exception, match="labels look withheld"):
        run_plan(held.plan, held.workspace, device="cpu")


def test_subset_is_the_same_in_every_language_and_run(small: Callable[..., Done]) -> None:
    held = small(evaluate={"examples": 5})
    run_plan(held.plan, held.workspace, device="cpu")
    (cell,) = held.plan.cells
    ids = [held.entry(cell).json(f"predictions/{code}.json")["ids"] for code in ("de", "en", "zh")]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0]) == len(set(ids[0])) == 5
    assert ids[0] != [0, 1, 2, 3, 4]
    score = held.entry(cell).json("scores.json")["de"]
    assert (score["n"], score["rows"]) == (5, 18)


def test_dev_split_and_other_length(small: Callable[..., Done]) -> None:
    held = small(evaluate={"split": "dev", "max_length": 8})
    run_plan(held.plan, held.workspace, device="cpu")
    (cell,) = held.plan.cells
    entry = held.entry(cell)
    assert entry.json("scores.json")["en"]["truncated"] > 0
    rows = [r for r in table(held.data, "google/xtreme", "XNLI", "validation") if r["language"] == "en"]
    hits = [a == b["gold_label"] for a, b in zip(entry.json("predictions/en.json")["predictions"], rows, strict=True)]
    assert entry.json("scores.json")["en"]["values"]["accuracy"] == pytest.approx(share(hits))
