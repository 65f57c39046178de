"""What the built-in encoders can do on real data: retrieval by size, transfer against an untrained encoder, retention.

    python benchmarks/encoders.py --data-root FOLDER [--part tatoeba|transfer|retention|sample]

Unlike the other benchmarks this one needs data: a folder laid out like the hub, or the hub itself. With --cards the
Tatoeba scores of the last result go into the encoders' cards.
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
from common import RESULTS, arguments, machine, write
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
from adaptstilts.search.products import normalize
from adaptstilts.study import parse
from adaptstilts.tasks import Task, get
from adaptstilts.workspace import Workspace

PARTS = ("tatoeba", "transfer", "retention", "sample")
LARGEST = "small"
RECIPE = Path(__file__).resolve().parents[1] / "configs" / "pretrain" / "builtin.yaml"
# training budgets for two cores; every encoder and both methods get the same
TRANSFER: dict[str, Any] = {"examples": 4000, "epochs": 2, "max_length": 128, "dev_examples": 300}
ROWS = {"udpos": 500, "panx": 500, "xnli": 2000}  # per language; of XNLI the same ones in all, hence more
INTERMEDIATE: dict[str, Any] = {"examples": 1500, "epochs": 1, "max_length": 128, "dev_examples": 100}
SAMPLE: dict[str, Any] = {"epochs": 4, "batch_size": 16}
METHODS: list[Any] = [
    {"kind": "full", "train": {"lr": 3e-4}},
    {"kind": "bottleneck", "reduction": 4, "train": {"lr": 2e-3}},
]


class Told(Listener):
    """Prints one line a phase."""

    def end(self, phase: Any, seconds: float) -> None:
        """A phase was committed."""
        print(f"  {phase.title}: {seconds:.1f} s", flush=True)


def run(workspace: Workspace, device: str, **study: Any) -> tuple[Plan, list[Record]]:
    """Run a study; returns its plan and records."""
    plan = expand(parse(json.dumps({"name": "encoders", "missing": "skip", **study})), workspace)
    run_plan(plan, workspace, Told(), device=device)
    return plan, records(plan, workspace.store)


def history(name: str) -> dict[str, Any]:
    """What was recorded when a built-in encoder was made."""
    found: dict[str, Any] = json.loads((locate(name).folder / export.RECORD).read_text(encoding="utf-8"))
    return found


def tatoeba(workspace: Workspace, names: Sequence[str], device: str) -> dict[str, Any]:
    """Accuracy per language at the layer chosen on held-out translations, for every size, and of the start alone."""
    found: dict[str, Any] = {}
    for name in names:
        made = history(name)
        layer = made["held_out"]["layer"]
        _, (record,) = run(
            workspace, device, model=name, targets=["tatoeba"], methods=["full"], retrieve={"layer": layer}
        )
        found[name] = {"parameters": made["parameters"], "layer": layer, **means(record.languages, made["languages"])}
    try:
        found["singular vectors alone"] = singular(workspace, history(names[-1])["languages"])
    except AdaptstiltsError as error:
        print(f"  no baseline of singular vectors: {error}")
    return found


def means(values: dict[str, float], own: Iterable[str]) -> dict[str, Any]:
    """Scores with their means over an encoder's own languages and over all."""
    known = [values[code] for code in own if code in values]
    return {
        "own": float(np.mean(known)),
        "own_languages": len(known),
        "all": float(np.mean([*values.values()])),
        "all_languages": len(values),
        "languages": values,
    }


def singular(workspace: Workspace, own: Sequence[str], size: int = 320) -> dict[str, Any]:
    """The baseline: idf-weighted means of the unit singular vectors of the recipe's own text, centred; no training."""
    plan = recipes.expand(recipes.load(RECIPE), workspace, [LARGEST])
    plan.encoders = {}
    run_plan(plan, workspace, Told())
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
        sides = [_means(vectors, tokenizer.ids([row[side] for row in rows])) for side in ("english", "foreign")]
        found, _ = neighbours(*(normalize(side - side.mean(0)) for side in sides), 1)
        values[code] = 100 * float((found.ravel() == np.arange(len(rows))).mean())
    return {"size": size, **means(values, own)}


def _means(vectors: torch.Tensor, ids: list[list[int]]) -> np.ndarray:
    return np.stack([(vectors[own].mean(0) if own else torch.zeros(vectors.shape[1])).numpy() for own in ids])


def transfer(workspace: Workspace, name: str, folder: Path, device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """Zero-shot from English: an encoder against the same architecture with random weights, per language."""
    untrained = random_twin(name, folder)
    tasks_ = [("udpos", "test"), ("panx", "dev"), ("xnli", "test")]
    found: dict[str, Any] = {}
    for task, split in tasks_:
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
            found[task] = _compared(task, split, sides)
    return found


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
    """The same architecture and tokenizer with random weights."""
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


def retention(workspace: Workspace, names: Sequence[str], device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """Tatoeba before and after intermediate training, full and with adapters; differences paired over sentences."""
    found: dict[str, Any] = {}
    for name in names:
        made = history(name)
        own = [code for code in made["languages"] if code in get("tatoeba").languages]
        _, cells = run(
            workspace,
            device,
            model=name,
            intermediates=["none", "mnli", {"task": "squad", "train": {"max_length": 254}}, "social_i_qa"],
            targets=["tatoeba"],
            methods=METHODS,
            train=budget,
            languages=own,
            retrieve={"layer": made["held_out"]["layer"]},
        )
        found[name] = {
            f"{record.method} after {record.over}": {
                "own": record.mean,
                "own_languages": len(record.languages),
                "vs_none": vars(record.vs_none) if record.vs_none else None,
            }
            for record in cells
        }
    return found


def sample(workspace: Workspace, name: str, device: str, budget: dict[str, Any]) -> dict[str, Any]:
    """The sample suite: an encoder fine-tuned on English rows beside the majority baseline, per task and language."""
    found: dict[str, Any] = {}
    for task in (get(f"sample_{kind}") for kind in ("nli", "choice", "qa", "tagging")):
        _, (record,) = run(workspace, device, model=name, targets=[task.name], methods=METHODS[:1], train=budget)
        baseline = {code: majority(workspace, task, code) for code in task.languages}
        found[task.name] = {
            "majority": {**means(baseline, task.languages), "languages": baseline},
            "model": means(record.languages, task.languages),
        }
    return found


def majority(workspace: Workspace, task: Task, code: str) -> float:
    """Score of the most frequent label or tag of English training, of the first choice, or of the whole context."""
    kind = kind_of(task.kind)
    train = read(workspace.split(task.train), task, kind.check).rows  # type: ignore[arg-type]
    rows = read(workspace.split(task.test, code), task, kind.check).rows  # type: ignore[arg-type]
    if task.kind == "classification":
        label = Counter(row["label"] for row in train).most_common(1)[0][0]
        guesses: list[Any] = [task.labels[label]] * len(rows)
    elif task.kind == "tagging":
        tag = Counter(tag for row in train for tag in row["tags"]).most_common(1)[0][0]
        guesses = [[tag] * len(row["tags"]) for row in rows]
    else:
        guesses = [row["context"] if task.kind == "span" else 0 for row in rows]
    if task.kind == "tagging":
        guesses = [[task.labels[tag] for tag in tags] for tags in guesses]
    values = kind.score(guesses, kind.gold(rows, task), task, "en")
    return float(np.mean([values[metric].value for metric in task.headline]))


def write_cards(result: dict[str, Any]) -> None:
    """Put the Tatoeba scores of every encoder into its card, in place of older ones."""
    for name, held in result["tatoeba"].items():
        if not name.startswith(BUILTIN):
            continue
        path = locate(name).folder / export.CARD
        text = path.read_text(encoding="utf-8")
        head, _, rest = text.partition("## Measured\n")
        tail = "## Limits" + (rest or head).partition("## Limits")[2]
        head = head.partition("## Limits")[0]
        row = " | ".join(f"{held['languages'][code]:.1f}" for code in sorted(held["languages"]))
        codes = " | ".join(sorted(held["languages"]))
        section = f"""## Measured

Tatoeba v1 test, accuracy in per cent, English queries against the foreign sentences, mean-pooled hidden state
{held["layer"]} (chosen on the held-out translations). Mean over its {held["own_languages"]} own languages
{held["own"]:.1f}, over all {held["all_languages"]} of XTREME {held["all"]:.1f}.

| {codes} |
|{"---|" * len(held["languages"])}
| {row} |

"""
        path.write_text(head + section + tail, encoding="utf-8")


def main(given: Sequence[str] | None = None) -> int:
    """Run the parts asked for and add them to the result; encoders that were not asked for keep their figures."""
    parser = arguments("What the built-in encoders can do on real data.", RESULTS / "encoders.json")
    parser.add_argument("--data-root", type=Path, help="folder laid out like the hub; the hub when not given")
    parser.add_argument("--store", type=Path, help="folder of phases; a temporary one when not given")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--cards", action="store_true", help="write the last result's scores into the cards, and stop")
    parser.add_argument("--encoder", action="append", help="only this built-in encoder; may be repeated")
    options = parser.parse_args(given)
    names = [BUILTIN + name for name in options.encoder] if options.encoder else builtin_names()
    few = {"examples": 16, "epochs": 1, "max_length": 64, "dev_examples": 8} if options.quick else {}
    out = options.out or (None if options.quick else RESULTS / "encoders.json")
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(options.store or Path(scratch) / "store", options.data_root)
        result: dict[str, Any] = json.loads(out.read_text()) if out and out.is_file() else {}
        if options.cards:
            write_cards(result)
            return 0
        result |= {"benchmark": "encoders", "quick": options.quick, "machine": machine(options.device)}
        for part in options.part or PARTS:
            print(part, flush=True)
            if part == "tatoeba":
                result[part] = {**result.get(part, {}), **tatoeba(workspace, names, options.device)}
            elif part == "transfer":
                largest = BUILTIN + LARGEST if BUILTIN + LARGEST in names else names[-1]
                held = transfer(workspace, largest, Path(scratch), options.device, {**TRANSFER, **few})
                result[part] = {"encoder": largest, "train": {**TRANSFER, **few}, **held}
            elif part == "sample":
                held = sample(workspace, names[-1], options.device, {**SAMPLE, **few})
                result[part] = {"encoder": names[-1], "train": {**SAMPLE, **few}, **held}
            else:
                held = retention(workspace, names, options.device, {**INTERMEDIATE, **few})
                result[part] = {**result.get(part, {}), "train": {**INTERMEDIATE, **few}, **held}
            tell(part, result[part])
            write(result, out)
    return 0


def tell(part: str, held: dict[str, Any]) -> None:
    """Print a part as lines."""
    for name, row in held.items():
        if part == "tatoeba":
            print(f"{name:28} own {row['own']:5.1f} ({row['own_languages']})  all {row['all']:5.1f}")
        elif part == "transfer" and isinstance(row, dict) and "others" in row:
            gain = row["others_difference"]
            told = shown(gain)
            others = ", ".join(f"{label} {value:.1f}" for label, value in row["others"].items())
            print(f"{name:8} others: {others}, {told}")
        elif part == "sample" and isinstance(row, dict) and "majority" in row:
            print(f"{name:16} majority {row['majority']['own']:.1f}, model {row['model']['own']:.1f}")
        elif part == "retention" and name != "train":
            for label, cell in row.items():
                gain = cell["vs_none"]
                told = shown(gain) if gain else ""
                print(f"{name:20} {label:28} own {cell['own']:5.1f}  {told}")


def shown(gain: dict[str, Any]) -> str:
    """Return a difference with its interval, where it has one: with one seed there is none."""
    interval = f" [{gain['low']:+.1f}, {gain['high']:+.1f}]" if "low" in gain else ""
    return f"{gain['value']:+.1f}{interval}"


if __name__ == "__main__":
    raise SystemExit(main())
