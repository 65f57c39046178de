"""Every method with every composition: each cell has the right numbers or is refused.

A cell is a study that is really planned. Every training phase's entry gets weights from here; merges are really run,
and the encoder of the evaluate phase is compared with formulas of the same weights. ``python
tests/support/composition_bench.py`` prints the matrix.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the shared inputs, when run as a script

from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.base import NAME_IN_KEYS
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.full import Full
from adaptstilts.methods.fusion import Place
from adaptstilts.methods.head import Head
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.evaluate import target_encoder
from adaptstilts.phases.setup import build_encoder
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import EvaluatePhase, MergePhase, TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.runtime.context import Runtime
from adaptstilts.workspace import Workspace
from support.attaching import CASES, perturb, reference, states
from support.inputs import make_data, make_encoder, write_split

PAIR, TRIPLE = (0.7, -0.4), (0.5, -1.5)  # weights of a merge with the target, and of the two intermediates
FIRST, SECOND, TARGET = "mnli", "squad", "udpos"
OF: dict[str, Any] = {"of": [FIRST, SECOND]}
COMPOSITIONS: dict[str, dict[str, Any]] = {
    "none": {"kind": "none"},
    "stack": {"kind": "stack", "of": [FIRST]},
    "continue": {"kind": "continue", "of": [FIRST]},
    "fuse": {"kind": "fuse", **OF},
    "merge": {"kind": "merge", "of": [FIRST], "weights": PAIR},
    "merge_then_stack": {"kind": "merge_then_stack", "weights": TRIPLE, **OF},
}
COLUMNS = (*COMPOSITIONS, "stack on language", "fuse on language")
LANGUAGE = Bottleneck(reduction=2, invertible=True)
METHODS: dict[str, Method] = {
    "full": Full(),
    "full-frozen": Full(freeze_embeddings=True, freeze_layers=2),
    **CASES,
    "seq-narrow": Bottleneck(reduction=32),  # one unit; studies refuse a reduction above the width
    "head": Head(),
    "head over full": Head(over=Full()),
    **{f"head over {name}": Head(over=CASES[name]) for name in ("seq", "seq-invertible", "parallel", "compacter")},
    **{f"head over {name}": Head(over=CASES[name]) for name in ("lora", "dora", "ia3", "bitfit", "prefix")},
}


@dataclass(frozen=True)
class Cell:
    """The result of one method under one composition.

    Attributes:
        difference: largest difference between hidden states and the formula; None if the study is refused.
        exact: whether the states have the bits of an encoder with the same adapters put on it by hand.
        start: largest difference between the formula and the encoder with which the target's training starts.
        refused: the reason, if the study is refused.
    """

    difference: float | None = None
    exact: bool = False
    start: float = 0.0
    refused: str = ""

    def __str__(self) -> str:
        return f"refused: {self.refused}" if self.refused else f"right ({self.difference:.0e}{', ='[: 3 * self.exact]})"


class Bench:
    """A base model, data, and studies of one target, whose training phases get weights instead of running."""

    def __init__(self, tiny: Path, data: Path, folder: Path) -> None:
        self.tiny, self.data, self.folder = tiny, data, folder
        self.count = itertools.count()
        for code in ("en", "de"):
            write_split(data, "local/lines", code, "train", [{"text": "the old dog sees a red bird"}] * 4)

    def cell(self, method: Method, column: str) -> Cell:
        """Compute one cell of the matrix."""
        kind, _, language = column.partition(" on ")
        study = self.study(method, COMPOSITIONS[kind], bool(language))
        workspace = Workspace(self.folder / f"store{next(self.count)}", self.data)
        try:
            plan = expand.expand(study, workspace)
        except ConfigError as refused:
            message = str(refused)
            return Cell(refused=message[message.index("method ") :])  # without its place in the file
        return Filled(self.tiny, plan, workspace).cell(kind, "de" if language else "")

    def study(self, method: Method, composition: dict[str, Any], language: bool) -> config.Study:
        """Return the study of one cell."""
        arm = {"kind": method.kind, **method.model_dump(mode="json", exclude_defaults=True)}
        if isinstance(method, Head) and method.over:
            arm["over"] = method.over.identity()
        alone = composition["kind"] == "none" and method.below.kind == "head"
        content: dict[str, Any] = {
            "name": "cell",
            "model": str(self.tiny),
            "intermediates": ["none"] if alone else [FIRST, SECOND],
            "targets": [TARGET],
            "languages": ["en", "de"],
            "compositions": [composition],
            "methods": [{**arm, "language_adapters": language}],
            "train": {"max_length": 48, "max_steps": 1},
        }
        if language:
            text = {code: [{"repo": "local/lines", "config": code}] for code in ("en", "de")}
            content["language_adapters"] = {"text": text, "method": LANGUAGE.identity()}
        return config.parse(json.dumps(content))


class Filled:
    """A plan whose training phases have entries with perturbed weights, and encoders with the same weights."""

    def __init__(self, tiny: Path, plan: Plan, workspace: Workspace) -> None:
        self.tiny, self.plan, self.store = tiny, plan, workspace.store
        self.runtime = Runtime(workspace, plan.model, device="cpu")
        self.resident = AdapterPool(self.store, plan.model, self.runtime.device)
        self.full: dict[str, Encoder] = {}  # by task, of full fine-tuning
        self.encoder: Encoder | None = None  # with every adapter under its task's name
        self.starts: dict[str, Encoder] = {}
        for phase in plan.order():
            if isinstance(phase, TrainPhase):
                self.fill(phase)
            elif isinstance(phase, MergePhase):
                perform(phase, self.runtime)

    def fill(self, phase: TrainPhase) -> None:
        """Write an entry for a training phase, with weights that no other has."""
        self.starts[phase.task] = build_encoder(phase, self.runtime, [])
        with self.store.stage(phase.key) as staging:
            if isinstance(phase.method, Full):
                encoder = self.full[phase.task] = Encoder(self.tiny)
                encoder.train_all(phase.method.frozen_modules(encoder.host))
                noise(list(encoder.parameters().values()), len(self.full))
                encoder.train_all()
                encoder.save_trunk(staging / "encoder")
            elif isinstance(phase.method, AdapterMethod):
                self.adapter(phase, phase.method, staging)
            self.store.commit(phase.key, phase.spec, staging)

    def adapter(self, phase: TrainPhase, method: AdapterMethod, staging: Path) -> None:
        place = self.place(phase)
        if self.encoder is None:
            self.encoder = Encoder(self.tiny, method.backend)
        if isinstance(place, tuple):
            self.encoder.fuse(place, 1)
        else:
            self.encoder.add(place, method, place)
        perturb(self.encoder, place, seed=len(self.encoder.methods) + 10 * len(self.encoder.fusions))
        self.encoder.save(place, staging / ("fusion" if phase.fuse else "adapter"))

    def place(self, phase: TrainPhase) -> Place:
        tasks = {key: other.task for key, other in self.plan.phases.items() if isinstance(other, TrainPhase)}
        return tuple(tasks[key] for key in phase.fuse) or phase.task

    def cell(self, kind: str, language: str) -> Cell:
        """Compare the encoder that is evaluated with the formula."""
        code = language or "en"
        (result,) = [phase for phase in self.plan.order() if isinstance(phase, EvaluatePhase)][:1]
        target = self.store.entry(result.target)
        actual = states(target_encoder(result, target, self.resident, code))
        floor: list[Place] = [f"language-{code}"] if language else []
        expected, by_hand = self.expected(kind, result.method, floor)
        return Cell(
            difference=float((actual - expected).abs().max()),
            exact=by_hand is not None and torch.equal(actual, by_hand),
            start=self.start(kind, ["language-en"] if language else []),
        )

    def start(self, kind: str, floor: list[Place]) -> float:
        """Measure how far the target's training starts from the formula of its composition."""
        if kind not in ("stack", "continue", "merge_then_stack"):
            return 0.0
        actual = states(self.starts[TARGET])
        if self.full:
            parts = {FIRST: TRIPLE[0], SECOND: TRIPLE[1]} if kind == "merge_then_stack" else {FIRST: 1.0}
            return float((actual - reference(moved(self.tiny, self.full, parts), [])).abs().max())
        assert self.encoder is not None
        if kind == "merge_then_stack":  # as what is evaluated
            return 0.0
        started = self.starts[TARGET]
        if TARGET not in self.encoder.methods:  # a head
            return float((actual - reference(self.encoder, [*floor, FIRST])).abs().max())
        with torch.no_grad():  # what it adds at random at the start belongs to it
            fresh = {key: value.clone() for key, value in started.delta(NAME_IN_KEYS).items()}
            if kind == "continue":
                pairs = zip(fresh.values(), self.encoder.delta(FIRST).values(), strict=True)
                return max(float((x - y).abs().max()) for x, y in pairs)
            kept = {key: value.clone() for key, value in self.encoder.delta(TARGET).items()}
            for key, value in self.encoder.delta(TARGET).items():
                value.copy_(fresh[key])
            expected = reference(self.encoder, [*floor, FIRST, TARGET])
            for key, value in self.encoder.delta(TARGET).items():
                value.copy_(kept[key])
        return float((actual - expected).abs().max())

    def expected(self, kind: str, method: Method, floor: list[Place]) -> tuple[Tensor, Tensor | None]:
        """Return states by the formula, and those of an encoder that was composed by hand if nothing is reordered."""
        parts = {"merge": {FIRST: PAIR[0], TARGET: PAIR[1]}, "merge_then_stack": {FIRST: TRIPLE[0], SECOND: TRIPLE[1]}}
        over: list[Place] = [(FIRST, SECOND)] if kind == "fuse" else [FIRST, TARGET] if kind == "stack" else [TARGET]
        if isinstance(method, Full):
            if kind == "merge":
                return reference(moved(self.tiny, self.full, parts[kind]), []), None
            return reference(self.full[TARGET], []), states(self.full[TARGET])
        if self.full:  # a head on a fine-tuned encoder
            trunk = {"none": Encoder(self.tiny), "stack": self.full[FIRST]}.get(kind)
            trunk = trunk or moved(self.tiny, self.full, parts[kind])
            return reference(trunk, []), states(trunk) if kind in ("none", "stack") else None
        self.encoder = self.encoder or Encoder(self.tiny)  # a head on the bare encoder
        if kind in parts:
            over = [*self.summed(parts[kind]), *([TARGET] if kind == "merge_then_stack" else [])]
        over = [place for place in over if place != TARGET or TARGET in self.encoder.methods]
        if kind in parts:
            return reference(self.encoder, [*floor, *over]), None
        self.encoder.compose([*floor, *over])
        return reference(self.encoder, [*floor, *over]), states(self.encoder)

    def summed(self, parts: dict[str, float]) -> list[str]:
        """Return the adapters that act as the weighted sum, by each method's own formula."""
        assert self.encoder is not None
        kind = self.encoder.methods[FIRST].kind
        with torch.no_grad():
            if kind in ("lora", "bitfit", "layernorm"):  # what is summed is what a stack of them sums
                for name, weight in parts.items():
                    for key, value in self.encoder.delta(name).items():
                        value.mul_(1.0 if "lora_A" in key else weight)
                return list(parts)
            self.encoder.add("sum", self.encoder.methods[FIRST], "sum")
            rest = 1.0 if kind == Ia3().kind else 0.0
            weighted = [(list(self.encoder.delta(name).values()), weight) for name, weight in parts.items()]
            for i, value in enumerate(self.encoder.delta("sum").values()):
                value.copy_(rest + sum(weight * (tensors[i] - rest) for tensors, weight in weighted))
        return ["sum"]


def moved(tiny: Path, full: dict[str, Encoder], parts: dict[str, float]) -> Encoder:
    """Compute ``base + sum of w (encoder - base)``."""
    encoder = Encoder(tiny)
    base = {key: value.clone() for key, value in encoder.trunk.named_parameters()}
    with torch.no_grad():
        for key, value in encoder.trunk.named_parameters():
            tensors = {name: dict(full[name].trunk.named_parameters())[key] for name in parts}
            value.copy_(base[key] + sum(weight * (tensors[name] - base[key]) for name, weight in parts.items()))
    return encoder


def noise(values: list[nn.Parameter], seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in values:
            value.add_(0.02 * torch.randn(value.shape, generator=source))


def matrix(bench: Bench) -> dict[str, dict[str, Cell]]:
    """Compute every cell: method -> composition -> cell."""
    return {name: {column: bench.cell(method, column) for column in COLUMNS} for name, method in METHODS.items()}


def markdown(results: dict[str, dict[str, Cell]]) -> str:
    """Format the matrix as a table; the reasons of refusals are numbered below it."""
    reasons: dict[str, int] = {}
    lines = [f"| method | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, cells in results.items():
        texts = []
        for cell in cells.values():
            why = cell.refused.rpartition(": ")[2]
            texts.append(f"refused [{reasons.setdefault(why, len(reasons) + 1)}]" if why else str(cell))
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join([*lines, "", *(f"{number}. {why}" for why, number in reasons.items())])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print(markdown(matrix(Bench(make_encoder(place / "tiny", 1), make_data(place / "data"), place))))
