"""Measure the built-in encoders on real data: retrieval by size, transfer against an untrained encoder, retention.

    python benchmarks/encoders.py --data-root FOLDER [--part tatoeba|transfer|retention|sample]

Unlike the other benchmarks, this one needs data: a folder laid out like the hub, or the hub itself. ``--cards`` writes
the Tatoeba scores of the last result into the encoders' cards.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, arguments, heading, output_file, write
from encoder_results import show, write_cards
from torch.nn import functional

from adaptstilts import languages
from adaptstilts import pretrain as recipes
from adaptstilts.data.examples import read
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.kinds import get as kind_of
from adaptstilts.metrics.intervals import number_items, paired_difference, values_of
from adaptstilts.models.building import load_encoder
from adaptstilts.models.locate import BUILTIN, builtin_names, locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.pretrain import encoded, export, svd
from adaptstilts.pretrain.model import new_model, save
from adaptstilts.pretrain.recipe import Shape
from adaptstilts.reports.records import Record, records
from adaptstilts.run import Listener, run_plan
from adaptstilts.search import neighbours
from adaptstilts.search.base import Vectors
from adaptstilts.search.products import normalize
from adaptstilts.study import parse
from adaptstilts.tasks import Task, get
from adaptstilts.workspace import Workspace

DEFAULT = RESULTS / "encoders.json"
PARTS = ("tatoeba", "transfer", "retention", "sample")
LARGEST = "small"
RECIPE = Path(__file__).resolve().parents[1] / "configs" / "pretrain" / "builtin.yaml"
# training budgets for two cores; every encoder and both methods get the same
TRANSFER: dict[str, Any] = {"examples": 4000, "epochs": 2, "max_length": 128, "dev_examples": 300}
ROWS = {"udpos": 500, "panx": 500, "xnli": 2000}  # per language; more of XNLI, because its languages share their rows
INTERMEDIATE: dict[str, Any] = {"examples": 1500, "epochs": 1, "max_length": 128, "dev_examples": 100}
SAMPLE: dict[str, Any] = {"epochs": 4, "batch_size": 16}
METHODS: list[Any] = [
    {"kind": "full", "train": {"lr": 3e-4}},
    {"kind": "bottleneck", "reduction": 4, "train": {"lr": 2e-3}},
]


class PhaseLines(Listener):
    """Prints one line per phase."""

    def end(self, phase: Any, seconds: float) -> None:
        """Print the seconds of a phase."""
        print(f"  {phase.title}: {seconds:.1f} s", flush=True)


def run(workspace: Workspace, device: str, **study: Any) -> tuple[Plan, list[Record]]:
    """Run a study, and return its plan and records.

    Args:
        workspace: store and data.
        device: torch device.
        **study: the keys of the study.
    """
    plan = expand(parse(json.dumps({"name": "encoders", "missing": "skip", **study})), workspace)
    run_plan(plan, workspace, PhaseLines(), device=device)
    return plan, records(plan, workspace.store)


def training_record(name: str) -> dict[str, Any]:
    """Return what was recorded when a built-in encoder was trained."""
    record: dict[str, Any] = json.loads((locate(name).folder / export.RECORD).read_text(encoding="utf-8"))
    return record


# Tatoeba


def tatoeba(workspace: Workspace, names: Sequence[str], device: str) -> dict[str, Any]:
    """Score every size on Tatoeba at the layer chosen on held-out translations, and the singular vectors alone.

    Args:
        workspace: store and data.
        names: built-in encoders.
        device: torch device.
    """
    rows: dict[str, Any] = {}
    for name in names:
        trained = training_record(name)
        layer = trained["held_out"]["layer"]
        _, (record,) = run(
            workspace, device, model=name, targets=["tatoeba"], methods=["full"], retrieve={"layer": layer}
        )
        scores = means(record.languages, trained["languages"])
        rows[name] = {"parameters": trained["parameters"], "layer": layer, **scores}
    try:
        rows["singular vectors alone"] = singular(workspace, training_record(names[-1])["languages"])
    except AdaptstiltsError as error:
        print(f"  no baseline of singular vectors: {error}")
    return rows


def means(values: dict[str, float], trained_on: Iterable[str]) -> dict[str, Any]:
    """Return scores with their means over the languages that an encoder was trained on, and over all.

    Args:
        values: language -> score.
        trained_on: codes of the encoder's own languages.
    """
    known = [values[code] for code in trained_on if code in values]
    return {
        "own": float(np.mean(known)),
        "own_languages": len(known),
        "all": float(np.mean([*values.values()])),
        "all_languages": len(values),
        "languages": values,
    }


def singular(workspace: Workspace, trained_on: Sequence[str], size: int = 320) -> dict[str, Any]:
    """Score the baseline without training: centred idf-weighted means of the unit singular vectors of the text.

    Args:
        workspace: store and data.
        trained_on: codes of the languages of the text.
        size: entries of a vector.
    """
    plan = recipes.expand(recipes.load(RECIPE), workspace, [LARGEST])
    plan.encoders = {}
    run_plan(plan, workspace, PhaseLines())
    folder = workspace.store.entry(plan.corpus.key).folder
    corpus, tokenizer = encoded.load(folder / "train.safetensors"), Tokenizer(folder / "tokenizer")
    vocabulary = plan.recipe.vocabulary.size
    vectors = functional.normalize(svd.token_vectors(corpus, vocabulary, size, seed=1), dim=1)
    vectors = vectors * svd.idf(corpus, vocabulary)[:, None]
    task = get("tatoeba")
    values: dict[str, float] = {}
    for code in task.languages:
        split = workspace.sources.find(task.test.at(languages.resolve(code)))  # type: ignore[union-attr]
        if split is None:
            continue
        rows = read(split, task, kind_of(task.kind).check).rows
        english = _sentence_vectors(vectors, tokenizer, [row["english"] for row in rows])
        foreign = _sentence_vectors(vectors, tokenizer, [row["foreign"] for row in rows])
        nearest, _ = neighbours(english, foreign, 1)
        values[code] = 100 * float((nearest.ravel() == np.arange(len(rows))).mean())
    return {"size": size, **means(values, trained_on)}


def _sentence_vectors(vectors: torch.Tensor, tokenizer: Tokenizer, texts: list[str]) -> Vectors:
    """Return the centred means over the tokens of each text, at unit length."""
    empty = torch.zeros(vectors.shape[1])
    rows = [vectors[ids].mean(0) if ids else empty for ids in tokenizer.ids(texts)]
    matrix = torch.stack(rows).numpy()
    return normalize(matrix - matrix.mean(0))


# Transfer


def transfer(workspace: Workspace, name: str, folder: Path, device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """Compare zero-shot scores of an encoder with those of the same architecture with random weights.

    Args:
        workspace: store and data.
        name: a built-in encoder.
        folder: a folder for the untrained encoder.
        device: torch device.
        budget: training settings.
    """
    untrained = random_twin(name, folder)
    compared: dict[str, Any] = {}
    for task, split in (("udpos", "test"), ("panx", "dev"), ("xnli", "test")):
        sides = {}
        for label, model in (("trained", name), ("untrained", str(untrained))):
            try:
                plan, (record,) = run(
                    workspace,
                    device,
                    model=model,
                    targets=[task],
                    methods=METHODS[:1],
                    train=budget,
                    evaluate={"split": split, "precision": "auto", "examples": ROWS[task]},
                )
            except AdaptstiltsError as error:
                print(f"  {task}: {error}")
                break
            stats = workspace.store.peek(plan.cells[0].phase).json("stats.json")
            sides[label] = (record, {code: value for code, value in stats.items() if code != "en"})
        if len(sides) == 2:
            compared[task] = _compared(task, split, sides)
    return compared


def _compared(task: str, split: str, sides: dict[str, Any]) -> dict[str, Any]:
    declared = get(task)
    values = {label: values_of(stats, declared.headline) for label, (_, stats) in sides.items()}
    places = {code: range(len(of_language)) for code, of_language in values["trained"].items()}
    items = number_items(places) if declared.parallel else None
    difference = paired_difference([values["trained"]], [values["untrained"]], items)
    return {
        "split": split,
        "metrics": {label: record.metrics for label, (record, _) in sides.items()},
        "english": {label: record.english for label, (record, _) in sides.items()},
        "others": {label: record.others for label, (record, _) in sides.items()},
        "others_difference": {"value": difference.value, "error": difference.error},
        "languages": {label: record.languages for label, (record, _) in sides.items()},
        "missing": sides["trained"][0].missing,
    }


def random_twin(name: str, folder: Path) -> Path:
    """Write an encoder with the same architecture and tokenizer, but random weights.

    Args:
        name: a built-in encoder.
        folder: where a folder for it is created.
    """
    model = locate(name)
    trunk = load_encoder(model.folder)
    shape = Shape(
        hidden=model.shape["hidden"], layers=model.shape["layers"], heads=trunk.config.num_attention_heads, steps=1
    )
    twin = new_model(shape, model.shape["vocabulary"], model.shape["positions"] - 2)
    target = folder / f"untrained-{model.folder.name}"
    save(twin, target)
    for path in model.folder.glob("*token*.json"):
        shutil.copyfile(path, target / path.name)
    return target


# Retention


def retention(workspace: Workspace, names: Sequence[str], device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """Score Tatoeba before and after intermediate training, full and with adapters; differences are paired.

    Args:
        workspace: store and data.
        names: built-in encoders.
        device: torch device.
        budget: training settings.
    """
    rows: dict[str, Any] = {}
    for name in names:
        trained = training_record(name)
        codes = [code for code in trained["languages"] if code in get("tatoeba").languages]
        _, cells = run(
            workspace,
            device,
            model=name,
            intermediates=["none", "mnli", {"task": "squad", "train": {"max_length": 254}}, "social_i_qa"],
            targets=["tatoeba"],
            methods=METHODS,
            train=budget,
            languages=codes,
            retrieve={"layer": trained["held_out"]["layer"]},
        )
        rows[name] = {
            f"{record.method} after {record.over}": {
                "own": record.mean,
                "own_languages": len(record.languages),
                "vs_none": vars(record.vs_none) if record.vs_none else None,
            }
            for record in cells
        }
    return rows


# The sample suite


def sample(workspace: Workspace, name: str, device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """Compare an encoder fine-tuned on the English rows of the sample suite with the majority baseline.

    Args:
        workspace: store and data.
        name: a built-in encoder.
        device: torch device.
        budget: training settings.
    """
    rows: dict[str, Any] = {}
    for kind in ("nli", "choice", "qa", "tagging"):
        task = get(f"sample_{kind}")
        _, (record,) = run(workspace, device, model=name, targets=[task.name], methods=METHODS[:1], train=budget)
        baseline = {code: majority(workspace, task, code) for code in task.languages}
        rows[task.name] = {
            "majority": {**means(baseline, task.languages), "languages": baseline},
            "model": means(record.languages, task.languages),
        }
    return rows


def majority(workspace: Workspace, task: Task, code: str) -> float:
    """Score the most frequent label or tag of the English training rows, the first choice, or the whole context.

    Args:
        workspace: store and data.
        task: a task of the sample suite.
        code: test language.
    """
    kind = kind_of(task.kind)
    train = read(workspace.split(task.train), task, kind.check).rows  # type: ignore[arg-type]
    rows = read(workspace.split(task.test, code), task, kind.check).rows  # type: ignore[arg-type]
    if task.kind == "classification":
        label = Counter(row["label"] for row in train).most_common(1)[0][0]
        guesses: list[Any] = [task.labels[label]] * len(rows)
    elif task.kind == "tagging":
        counts: Counter[int] = Counter()
        for row in train:
            counts.update(row["tags"])
        tag = task.labels[counts.most_common(1)[0][0]]
        guesses = [[tag] * len(row["tags"]) for row in rows]
    else:
        guesses = [row["context"] if task.kind == "span" else 0 for row in rows]
    values = kind.score(guesses, kind.gold(rows, task), task, "en")
    return float(np.mean([values[metric].value for metric in task.headline]))


# Command line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen parts and add them to the result; encoders that are not chosen keep their figures."""
    parser = arguments("Measure the built-in encoders on real data.", DEFAULT)
    parser.add_argument("--data-root", type=Path, help="folder laid out like the hub; default: the hub itself")
    parser.add_argument("--store", type=Path, help="folder of the store; default: a temporary one")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--cards", action="store_true", help="write the last result's scores into the cards, and stop")
    parser.add_argument("--encoder", action="append", help="only this built-in encoder; may be repeated")
    options = parser.parse_args(argv)
    names = [BUILTIN + name for name in options.encoder] if options.encoder else builtin_names()
    few: dict[str, Any] = (
        {"examples": 16, "epochs": 1, "max_steps": 1, "max_length": 64, "dev_examples": 8} if options.quick else {}
    )
    out = output_file(options, DEFAULT)
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(options.store or Path(scratch) / "store", options.data_root)
        result: dict[str, Any] = json.loads(out.read_text()) if out and out.is_file() else {}
        if options.cards:
            write_cards(result)
            return 0
        result |= heading("encoders", options)
        for part in options.part or PARTS:
            print(part, flush=True)
            if part == "tatoeba":
                result[part] = {**result.get(part, {}), **tatoeba(workspace, names, options.device)}
            elif part == "transfer":
                largest = BUILTIN + LARGEST if BUILTIN + LARGEST in names else names[-1]
                rows = transfer(workspace, largest, Path(scratch), options.device, {**TRANSFER, **few})
                result[part] = {"encoder": largest, "train": {**TRANSFER, **few}, **rows}
            elif part == "sample":
                rows = sample(workspace, names[-1], options.device, {**SAMPLE, **few})
                result[part] = {"encoder": names[-1], "train": {**SAMPLE, **few}, **rows}
            else:
                rows = retention(workspace, names, options.device, {**INTERMEDIATE, **few})
                result[part] = {**result.get(part, {}), "train": {**INTERMEDIATE, **few}, **rows}
            show(part, result[part])
            write(result, out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
