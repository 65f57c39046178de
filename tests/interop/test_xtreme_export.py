"""From a finished study to XTREME's folders: labels and predictions that score as the study does."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import STUDY, make_data, sentence, write_split

from adaptstilts import languages, tasks
from adaptstilts import study as config
from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.interop.xtreme import scoring
from adaptstilts.metrics.xtreme import FORMATS
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.reports import records
from adaptstilts.run import run_plan
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

TARGETS = ["xnli", "paws_x", "udpos", "panx", "xquad", "mlqa", "tydiqa", "xcopa", "tatoeba", "bucc"]
TARGETS += ["lareqa", "mewsli_x"]
METRICS = {"map": "map@20"}


def put(root: Path, source: Source | None, code: str, rows: list[dict[str, Any]]) -> None:
    assert source is not None
    at = source.at(languages.resolve(code))
    write_split(root, at.repo, at.config, at.split, rows)


def pairs(generator: random.Random, n: int) -> list[dict[str, Any]]:
    return [
        {"id": i, "sentence1": sentence(generator), "sentence2": sentence(generator), "label": str(i % 3 % 2)}
        for i in range(n)
    ]


def entities(generator: random.Random, n: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(n):
        tokens = sentence(generator, 8).split()
        found.append({"tokens": tokens, "ner_tags": [generator.choice([0, 0, 1, 2, 5, 6]) for _ in tokens]})
    return found


def questions(generator: random.Random, n: int, prefix: str) -> list[dict[str, Any]]:
    """Questions whose ids are not in order, some with two answers."""
    rows = []
    for i in range(n):
        words = sentence(generator, 20).split()
        answers = {"text": [words[0], " ".join(words[:2])][: 1 + i % 2], "answer_start": [0, 0][: 1 + i % 2]}
        rows.append({"id": f"{prefix}-{99 - i}", "question": "Was?", "context": " ".join(words), "answers": answers})
    return rows


def mining(root: Path, code: str, split: str, seed: int) -> None:
    """Files of a mining set, some of whose sentences are there twice, gold pairs of such ones among them."""
    generator = random.Random(seed)
    texts = sorted({f"{sentence(generator, 9)} {i}" for i in range(16)})
    generator.shuffle(texts)
    sides = {code: [*texts[:10], texts[0], texts[1]], "en": [*texts[:6], *texts[10:], texts[0], texts[2]]}
    at: dict[str, dict[str, list[str]]] = {}
    for name, held in sides.items():
        generator.shuffle(held)
        ids = [f"{name}-{i:09}" for i in range(len(held))]
        at[name] = {}
        for text, key in zip(held, ids, strict=True):
            at[name].setdefault(text, []).append(key)
        lay(root, code, split, name, [f"{key}\t{text}" for key, text in zip(ids, held, strict=True)])
    gold = [f"{at[code][text][-1]}\t{at['en'][text][-1]}" for text in texts[:6]]
    lay(root, code, split, "gold", [*gold, f"{at[code][texts[0]][0]}\t{at['en'][texts[0]][0]}"])


def lay(root: Path, code: str, split: str, name: str, rows: list[str]) -> None:
    path = root / "bucc2018/bucc" / f"{code}-en.{name}" / f"{split}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def paragraphs(root: Path, code: str) -> None:
    """LAReQA: three paragraphs of two sentences, with a question on each, the ids being those of every language."""
    generator, blocks = random.Random(code), []
    for i in range(3):
        first = f"{sentence(generator, 8)}."
        text = f"{first} {sentence(generator, 8)}."
        breaks = [[0, len(first)], [len(first) + 1, len(text)]]
        qas = [
            {"id": f"q{9 - i}{j}", "question": text[a:b], "answers": [{"answer_start": a, "text": text[a : a + 1]}]}
            for j, (a, b) in enumerate(breaks)
        ]
        blocks.append({"context": text, "sentence_breaks": breaks, "qas": qas})
    path = root / f"google-research-datasets/lareqa/xquad-r/{code}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": [{"paragraphs": blocks}]}), encoding="utf-8")


def mentions(root: Path) -> None:
    """Mewsli-X: mentions in two languages, one of them across two sentences, and the entities they may name."""
    generator = random.Random(6)
    entities = {f"Q{i}": sentence(generator, 6) for i in range(6)}

    def entity(key: str) -> dict[str, Any]:
        text = entities[key]
        return {"entity_id": key, "description": text, "sentence_spans": [{"start": 0, "end": len(text)}]}

    def mention(key: str, number: str, middle: int) -> tuple[dict[str, Any], dict[str, Any]]:
        text = f"{entities[key]} {sentence(generator)}"
        spans = [{"start": 0, "end": middle}, {"start": middle, "end": len(text)}]
        span = {"start": 0, "end": 5, "text": text[:5]}
        context = {"text": text, "sentence_spans": spans}
        return context, {"example_id": number, "mention_span": span, "entity_id": key}

    pairs = []
    for i, key in enumerate([*entities] * 3):
        context, held = mention(key, f"p{i}", 8)
        pairs.append({"contextual_mention": {"context": {**context, "language": "en"}, "mention": held}})
        pairs[-1]["entity"] = entity(key)
    articles = []
    for i, key in enumerate([*entities] * 2):
        context, held = mention(key, f"m{99 - i}", 2 if i == 3 else 8)
        articles.append({"context": {**context, "language": ("de", "en")[i % 2]}, "mentions": [held]})
    folder = root / "google-research/mewsli-x/dataset"
    folder.mkdir(parents=True)
    for name, rows in {
        "wikipedia_pairs-train": pairs,
        "wikipedia_pairs-dev": pairs,
        "wikinews_mentions-test": articles,
        "candidate_set_entities": [entity(key) for key in entities],
    }.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def make_xtreme(root: Path) -> Path:
    """The small data root with the other tasks of XTREME added, two or three languages each."""
    make_data(root, seed=3)
    generator = random.Random(4)
    paws, panx, mlqa, tydiqa = (tasks.get(name) for name in ("paws_x", "panx", "mlqa", "tydiqa"))
    put(root, paws.train, "en", pairs(generator, 16))
    put(root, panx.train, "en", entities(generator, 16))
    for code in ("en", "de"):
        put(root, paws.test, code, pairs(generator, 12))
        put(root, panx.test, code, entities(generator, 12))
        put(root, mlqa.test, code, questions(generator, 8, f"m{code}"))
    for task in (paws, panx):
        put(root, task.dev, "en", (pairs if task is paws else entities)(generator, 12))
    rows = [row for name in ("english", "finnish") for row in questions(generator, 8, name)]
    generator.shuffle(rows)
    put(root, tydiqa.train, "en", rows)
    put(root, tydiqa.test, "en", rows)
    for code in ("en", "de"):
        paragraphs(root, code)
    mentions(root)
    for seed, (code, split) in enumerate((c, s) for c in ("de", "fr") for s in ("sample", "training")):
        mining(root, code, split, seed)
    return root


class Done:
    """A study that was run."""

    def __init__(self, model: Path, data: Path, store: Path, **changed: Any) -> None:
        held: dict[str, Any] = {**STUDY, "model": str(model), "methods": ["full"], "intermediates": ["none"]}
        held |= {"targets": TARGETS, "swap": "off"}
        held["train"] = {**STUDY["train"], "precision": "fp32", "lr": 0.02, "max_steps": 4}
        held["retrieve"] = {"max_length": 48, "precision": "fp32"}
        self.workspace = Workspace(store, data)
        self.plan: Plan = expand.expand(config.parse(json.dumps({**held, **changed})), self.workspace)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_xtreme(tmp_path_factory.mktemp("xtreme") / "hub")


@pytest.fixture(scope="module")
def done(tiny: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    held = Done(tiny, root, tmp_path_factory.mktemp("exported") / "store")
    run_plan(held.plan, held.workspace, device="cpu")
    return held


@pytest.fixture(scope="module")
def folders(done: Done, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The study's predictions and labels."""
    folder = tmp_path_factory.mktemp("folders")
    written = scoring.export(done.plan, done.workspace, folder / "p")
    assert written == sorted(written, key=lambda path: TARGETS.index(_task(path)))
    assert {path.relative_to(folder / "p") for path in written} == {
        path.relative_to(folder / "l") for path in scoring.export_labels(done.plan, done.workspace, folder / "l")
    }
    assert sorted(path.name for path in folder.iterdir()) == ["l", "p"]
    return folder / "p", folder / "l"


def _task(path: Path) -> str:
    return next(task for task, folder in scoring.FOLDERS.items() if folder == path.parent.name and task in TARGETS)


@pytest.mark.slow
@pytest.mark.parametrize("task", TARGETS)
def test_scoring_an_export_gives_the_scores_of_the_study(done: Done, folders: tuple[Path, Path], task: str) -> None:
    report = scoring.score(*folders)
    assert report.notes == ()
    name = scoring.FOLDERS[task]
    (cell,) = [cell for cell in done.plan.cells if cell.task == task]
    held = done.workspace.store.entry(cell.phase).json("scores.json")
    assert len(held) >= 2
    found = report.tasks[name].metrics
    for code, score in held.items():
        for metric, value in score["values"].items():
            if METRICS.get(metric, metric) in found:
                assert found[METRICS.get(metric, metric)][code] == pytest.approx(value)
    assert {code for values in found.values() for code in values} == set(held)
    (record,) = [r for r in records.records(done.plan, done.workspace.store) if r.task == task]
    mean = next(t.tasks[name] for t in report.benchmarks.values() if name in t.tasks)
    assert mean.value == pytest.approx(record.mean)
    assert mean.have == len(held)


@pytest.mark.slow
def test_the_study_is_not_perfect_everywhere(folders: tuple[Path, Path]) -> None:
    """Else the round trip would prove little; and labels score 100 against themselves."""
    values = [v for task in scoring.score(*folders).tasks.values() for of in task.metrics.values() for v in of.values()]
    assert len({round(value, 3) for value in values}) > 8
    perfect = scoring.score(*labels_as_predictions(folders[1]))
    for name, task in perfect.tasks.items():
        assert set(task.metrics[FORMATS[name].headline[-1]].values()) == {100.0}, name


def labels_as_predictions(labels: Path) -> tuple[Path, Path]:
    copy = labels.parent / "copy"
    if not copy.exists():
        shutil.copytree(labels, copy)
        for path in [path for task in ("xquad", "mlqa", "tydiqa") for path in (copy / task).iterdir()]:
            qas = [q for part in json.loads(path.read_text())["data"] for p in part["paragraphs"] for q in p["qas"]]
            path.write_text(json.dumps({qa["id"]: qa["answers"][-1]["text"] for qa in qas}))
    return copy, labels


@pytest.mark.slow
def test_tatoeba_goes_by_the_sorted_english_sentences(done: Done, folders: tuple[Path, Path], root: Path) -> None:
    import pyarrow.parquet as pq

    predicted, labels = folders
    (cell,) = [cell for cell in done.plan.cells if cell.task == "tatoeba"]
    found = done.workspace.store.entry(cell.phase).json("predictions/de.json")["predictions"]
    rows = pq.read_table(root / "google/xtreme/tatoeba.deu/validation-00000-of-00001.parquet").to_pylist()
    english = [row["target_sentence"].rstrip("\n") for row in rows]
    assert english != sorted(english)
    gold = [int(line) for line in (labels / "tatoeba/test-de.tsv").read_text().splitlines()]
    assert [english[i] for i in gold] == sorted(english)
    assert [int(line) for line in (predicted / "tatoeba/test-de.tsv").read_text().splitlines()] == [
        found[i] for i in gold
    ]


@pytest.mark.slow
def test_what_the_files_look_like(folders: tuple[Path, Path]) -> None:
    predicted, labels = folders
    texts = {path.relative_to(predicted).as_posix(): path.read_text() for path in predicted.rglob("test-*")}
    assert all(text.endswith("\n") for name, text in texts.items() if not name.startswith("bucc"))
    assert re.fullmatch(r"((entailment|neutral|contradiction)\n){18}", texts["xnli/test-en.tsv"])
    assert re.fullmatch(r"([01]\n){12}", texts["pawsx/test-de.tsv"])
    assert re.fullmatch(r"(([A-Z]+\n)+\n){11}([A-Z]+\n)+", texts["udpos/test-de.tsv"])
    assert re.fullmatch(r'(\{"label": [01]\}\n){12}', texts["xcopa/test-zh.jsonl"])
    assert set(json.loads(texts["tydiqa/test-fi.json"])) == {f"finnish-{99 - i}" for i in range(8)}
    assert re.fullmatch(r"(de-\d{9}\ten-\d{9}\n)+", (labels / "bucc2018/test-de.tsv").read_text())
    held = json.loads((labels / "mlqa/test-de.json").read_text())["data"][0]["paragraphs"][0]["qas"][0]
    assert set(held) == {"id", "question", "answers"}


@pytest.mark.slow
def test_rankings_go_by_the_ids_of_queries(folders: tuple[Path, Path]) -> None:
    """A mention that the study leaves out has no prediction and no label."""
    predicted, labels = (json.loads((folder / "mewslix/test-en.json").read_text()) for folder in folders)
    assert list(predicted) == list(labels) == ["m98", "m94", "m92", "m90", "m88"]
    assert all(sorted(ranking) == [f"Q{i}" for i in range(6)] for ranking in predicted.values())
    held = json.loads((folders[1] / "lareqa/test-de.json").read_text())
    assert list(held) == ["q90", "q91", "q80", "q81", "q70", "q71"]
    assert all(sorted(key[:3] for key in keys) == ["de_", "en_"] for keys in held.values())


@pytest.mark.slow
def test_gold_pairs_of_equal_texts_are_one(folders: tuple[Path, Path], root: Path) -> None:
    raw = (root / "bucc2018/bucc/de-en.gold/training.tsv").read_text().splitlines()
    assert len(raw) == 7
    assert len((folders[1] / "bucc2018/test-de.tsv").read_text().splitlines()) == 6


def study(tiny: Path, root: Path, done: Done, **changed: Any) -> Done:
    """Another study over the same store."""
    return Done(tiny, root, done.workspace.store.folder, **{"targets": ["xnli"], **changed})


def refused(held: Done, folder: Path, **filters: Any) -> str:
    """The one line of a refusal; nothing is written."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(ConfigError) as caught:
        scoring.export(held.plan, held.workspace, folder, **filters)
    assert caught.value.exit_code == 2
    assert sorted(folder.parent.iterdir()) == before
    return str(caught.value)


SWAPPED = {
    "methods": ["full", {"kind": "bottleneck", "reduction": 4}],
    "intermediates": ["none", "mnli"],
    "targets": ["xnli", "tatoeba"],
    "swap": "all",
}


@pytest.fixture(scope="module")
def swapped(tiny: Path, root: Path, done: Done) -> Done:
    held = study(tiny, root, done, **SWAPPED)
    run_plan(held.plan, held.workspace, device="cpu")
    return held


@pytest.mark.slow
def test_candidates_are_listed(swapped: Done, tmp_path: Path) -> None:
    full, adapter = "method 'full'", "method 'bottleneck reduction=4'"
    assert refused(swapped, tmp_path / "p") == (
        "xnli: 6 results fit, expected one; choose by method, trained_on, over and seed among:"
        f" {full} trained_on none over none seed 1; {full} trained_on mnli over mnli seed 1;"
        f" {adapter} trained_on none over none seed 1; {adapter} trained_on mnli over mnli seed 1;"
        f" {adapter} trained_on none over mnli seed 1; {adapter} trained_on mnli over none seed 1"
    )
    assert refused(swapped, tmp_path / "p", method="bottleneck", trained_on="none", over="mnli").startswith(
        "tatoeba: no result fits, expected one; choose by method, trained_on, over and seed among: method 'full'"
    )
    assert "xnli: no result fits" in refused(swapped, tmp_path / "p", seed=7)
    assert "xnli: 4 results fit" in refused(swapped, tmp_path / "p", method="bottleneck")
    assert "xnli: 2 results fit" in refused(swapped, tmp_path / "p", method="full")


@pytest.mark.slow
def test_filters_choose(swapped: Done, done: Done, tmp_path: Path) -> None:
    adapter = "bottleneck reduction=4"
    chosen = {"method": adapter, "trained_on": "mnli", "over": "mnli", "seed": 1}
    scoring.export(swapped.plan, swapped.workspace, tmp_path / "p", **chosen)  # type: ignore[arg-type]
    (cell,) = [
        c for c in swapped.plan.cells if (c.task, c.method, c.trained_on, c.over) == ("xnli", adapter, "mnli", "mnli")
    ]
    held = swapped.workspace.store.entry(cell.phase).json("predictions/en.json")["predictions"]
    assert (tmp_path / "p/xnli/test-en.tsv").read_text().splitlines() == held


@pytest.mark.slow
def test_retrieval_without_an_intermediate_is_one_result(
    swapped: Done, tiny: Path, root: Path, done: Done, tmp_path: Path
) -> None:
    """Every method and seed shares its phase."""
    held = study(tiny, root, done, **{**SWAPPED, "targets": ["tatoeba"], "seeds": [1, 2], "swap": "off"})
    written = scoring.export(held.plan, held.workspace, tmp_path / "p", trained_on="none")
    assert len(written) == 2


@pytest.mark.slow
def test_what_cannot_be_exported(tiny: Path, root: Path, done: Done, tmp_path: Path) -> None:
    missing = study(tiny, root, done, seeds=[9])
    told = refused(missing, tmp_path / "p")
    assert told == "evaluate xnli (full) over none, seed 9: not computed yet; run the study first: adaptstilts run"
    dev = study(tiny, root, done, evaluate={"split": "dev"})
    told = "xnli: evaluate.split is 'dev'; XTREME needs predictions on test"
    assert refused(dev, tmp_path / "p") == told
    with pytest.raises(ConfigError, match=re.escape(told)):
        scoring.export_labels(dev.plan, dev.workspace, tmp_path / "l")
    other = study(tiny, root, done, targets=["sample_nli"])
    told = "no target of this study is a task of XTREME; its tasks are xnli, "
    assert refused(other, tmp_path / "p").startswith(told)


@pytest.mark.slow
def test_a_subset_of_the_rows_is_refused(tiny: Path, root: Path, done: Done, tmp_path: Path) -> None:
    part = study(tiny, root, done, evaluate={"examples": 5})
    run_plan(part.plan, part.workspace, device="cpu")
    assert refused(part, tmp_path / "p") == (
        "xnli: de: only 5 of 18 rows were evaluated; remove evaluate.examples from the study and run it again"
    )
    whole = study(tiny, root, done, evaluate={"examples": 18})
    run_plan(whole.plan, whole.workspace, device="cpu")
    assert len(scoring.export(whole.plan, whole.workspace, tmp_path / "p")) == 3


@pytest.mark.slow
def test_tatoeba_of_both_benchmarks_is_refused(tiny: Path, root: Path, done: Done, tmp_path: Path) -> None:
    both = study(tiny, root, done, targets=["tatoeba", "tatoeba_r"])
    told = "tatoeba and tatoeba_r are both tatoeba in XTREME; leave one out of targets"
    assert refused(both, tmp_path / "p") == told


def test_rows_without_a_label_are_refused(tiny: Path, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "hub"
    shutil.copytree(root, copy)
    rows = [{**row, "label": "NS" if i == 3 else row["label"]} for i, row in enumerate(pairs(random.Random(1), 8))]
    put(copy, tasks.get("paws_x").test, "de", rows)
    held = Done(tiny, copy, tmp_path / "store", targets=["paws_x"], languages=["de"])
    run_plan(held.plan, held.workspace, device="cpu")
    with pytest.raises(DataError, match=r"^paws_x: de: 1 row without a gold label, hence without a prediction$"):
        scoring.export(held.plan, held.workspace, tmp_path / "p")


@pytest.mark.slow
def test_data_that_changed_is_refused(tiny: Path, done: Done, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "hub"
    shutil.copytree(root, copy)
    held = Done(tiny, copy, done.workspace.store.folder, targets=["paws_x"])
    put(copy, tasks.get("paws_x").test, "de", pairs(random.Random(1), 8))
    fresh = Workspace(tmp_path / "store", copy)
    fresh.store = done.workspace.store
    with pytest.raises(DataError, match=r"the files changed since the plan was made; run the command again$"):
        scoring.export(held.plan, fresh, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_question_ids_must_differ(tiny: Path, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "hub"
    shutil.copytree(root, copy)
    rows = questions(random.Random(1), 4, "m")
    put(copy, tasks.get("mlqa").test, "de", [*rows, rows[0]])
    held = Done(tiny, copy, tmp_path / "store", targets=["mlqa"], languages=["de"])
    told = r"^mlqa: two questions have the same id; XTREME's files need distinct ids$"
    with pytest.raises(DataError, match=told):
        scoring.export_labels(held.plan, held.workspace, tmp_path / "l")


@pytest.mark.slow
def test_folders_in_the_way(done: Done, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/x").touch()
    told = f"{tmp_path}/p: already exists; choose another folder or remove it"
    assert refused(done, tmp_path / "p") == told
    (tmp_path / "p/x").unlink()
    written = scoring.export(done.plan, done.workspace, tmp_path / "p")
    assert all(path.is_file() for path in written)
    assert refused(done, tmp_path / "p") == told
    assert refused(done, written[0]) == f"{written[0]}: already exists; choose another folder or remove it"
    with pytest.raises(ConfigError, match="predictions and labels need different folders"):
        scoring.check_empty(tmp_path / "a", tmp_path / "b/../a")
    with pytest.raises(ResourceError, match="cannot be written: Not a directory"):
        scoring.export(done.plan, done.workspace, written[0] / "p")


@pytest.mark.slow
def test_nothing_appears_when_writing_fails(done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match=r"/p: cannot be written: No space left on device \(\d+ MiB free\)$"):
        scoring.export(done.plan, done.workspace, tmp_path / "p")
    assert list(tmp_path.iterdir()) == []
    assert np.unique([path.parent.parent.name[:3] for path in calls]).tolist() == [".p."]
