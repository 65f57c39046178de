"""What the tests of kept hidden states share: methods that leave out the lower layers, and a bench to train them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptstilts import study
from adaptstilts.phases.train import Trainer
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import EvaluatePhase, TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.entries import Entry
from adaptstilts.workspace import Workspace
from support.inputs import STUDY

LOWER = [0, 1]
SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4, "leave_out": LOWER}
METHODS: dict[str, Any] = {
    "seq": SEQ,
    "double": {**SEQ, "placement": "double"},
    "parallel": {**SEQ, "placement": "parallel"},
    "compacter": {"kind": "compacter", "reduction": 4, "leave_out": LOWER},
    "lora": {"kind": "lora", "rank": 2, "leave_out": LOWER},
    "dora": {"kind": "lora", "rank": 2, "dora": True, "leave_out": LOWER},
    "ia3": {"kind": "ia3", "leave_out": LOWER},
    "prefix": {"kind": "prefix", "length": 2, "inner": 4, "leave_out": LOWER},
    "bitfit": {"kind": "bitfit", "leave_out": LOWER},
    "layernorm": {"kind": "layernorm", "leave_out": LOWER},
    "head": "head",
    "full": {"kind": "full", "freeze_embeddings": True, "freeze_layers": 2},
}
BUDGET: dict[str, Any] = {**STUDY["train"], "precision": "fp32", "cache": True}
PLAIN = {**BUDGET, "cache": False, "epochs": 1, "lr": 0.03}


class Bench:
    """One store, and the phases of small studies to be performed in it."""

    def __init__(self, model: Path, data: Path, store: Path, gib: float = 1.0) -> None:
        self.model, self.workspace, self.gib = model, Workspace(store, data), gib
        self.lines: list[str] = []

    def plan(self, train: dict[str, Any] | None = None, **changed: Any) -> Plan:
        content = {"name": "t", "model": str(self.model), "methods": [SEQ], "targets": ["mnli"], "missing": "skip"}
        return expand.expand(
            study.parse(json.dumps({**content, "train": {**BUDGET, **(train or {})}, **changed})), self.workspace
        )

    def phases(self, train: dict[str, Any] | None = None, **changed: Any) -> list[TrainPhase]:
        return [phase for phase in self.plan(train, **changed).order() if isinstance(phase, TrainPhase)]

    def runtime(self, **options: Any) -> Runtime:
        def report(line: str, done: int, total: int) -> None:
            self.lines.append(line)

        model = self.workspace.model(self.plan().study)
        return Runtime(self.workspace, model, **{"device": "cpu", "report": report, "cache_gib": self.gib, **options})

    def perform(self, phase: TrainPhase | EvaluatePhase, **options: Any) -> Entry:
        runtime = self.runtime(**options)
        perform(phase, runtime)
        return self.workspace.store.entry(phase.key)

    def trainer(self, phase: TrainPhase, **options: Any) -> Trainer:
        return Trainer(phase, self.runtime(**options))

    @property
    def sets(self) -> list[Path]:
        return sorted(self.workspace.store.states.glob("*"))
