"""Every architecture with every method and composition, compared with formulas on plain models of ``transformers``.

Encoders are tiny and have random weights. A cell is the largest difference between the last hidden states of the
package's encoder, with adapters whose weights no initialisation gives, and those of a plain model that is changed by
:mod:`conformance_formulas`; or the reason for which the study is refused when it is planned. Prefixes are compared with
the plain ``adapters`` library instead. A second table compares hidden states by layer, the logits of every kind of
head, and the loss of the language-model head.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, arguments, heading, output_file, write
from conformance_encoders import SETTINGS, Inputs, make_encoder, make_inputs, plain_model
from conformance_formulas import PLACES, Fused, Part, apply, summed
from conformance_heads import head_differences, state_differences
from torch import Tensor

from adaptstilts import study
from adaptstilts.errors import ConfigError
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.full import Full
from adaptstilts.methods.fusion import Place
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan import expand
from adaptstilts.plan.outline import Outline

BAR = 1e-5
PAIR, TWO = (0.7, -0.4), (0.5, -1.5)  # weights of the intermediate and the target, and of two intermediates
OF = {"of": ["mnli", "squad"]}
COMPOSITIONS: Mapping[str, dict[str, Any]] = {
    "none": {"kind": "none"},
    "stack": {"kind": "stack", "of": ["mnli"]},
    "continue": {"kind": "continue", "of": ["mnli"]},
    "fuse": {"kind": "fuse", **OF},
    "merge": {"kind": "merge", "of": ["mnli"], "weights": PAIR},
    "merge_then_stack": {"kind": "merge_then_stack", "weights": TWO, **OF},
}
COLUMNS = (*COMPOSITIONS, "stack on language", "fuse on language")
METHODS: Mapping[str, Method] = {
    "full": Full(),
    "bottleneck": Bottleneck(reduction=4),
    "bottleneck, some layers": Bottleneck(reduction=5, leave_out=(0, 2)),
    "bottleneck double": Bottleneck(reduction=4, placement="double"),
    "bottleneck parallel": Bottleneck(reduction=4, placement="parallel"),
    "bottleneck invertible": Bottleneck(reduction=4, invertible=True),
    "compacter": Compacter(reduction=4),
    "lora": Lora(rank=2),
    "lora feed-forward": Lora(rank=3, alpha=5, targets=("attention_output", "output"), rank_stabilized=True),
    "dora": Lora(rank=2, targets=("attention_output", "output"), dora=True),
    "ia3": Ia3(),
    "bitfit": BitFit(),
    "layernorm": LayerNorm(leave_out=(0,)),
    "prefix": Prefix(length=3, inner=8),
}
QUICK_ARCHITECTURES, QUICK_METHODS = ("bert", "modernbert"), ("bottleneck", "lora feed-forward", "prefix")
LANGUAGE = Bottleneck(reduction=2)


class Cells:
    """The cells of one architecture.

    Args:
        name: model type.
        folder: for the encoder and adapters.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.model = make_encoder(folder / "model", name)
        self.inputs = make_inputs(name)
        self.workspace = Outline(folder / "store")

    def row(self, method: Method) -> dict[str, dict[str, Any]]:
        """Return the cells of a method."""
        return {column: self.cell(method, column) for column in COLUMNS}

    def cell(self, method: Method, column: str) -> dict[str, Any]:
        """Return the difference of one cell, or why it is refused."""
        kind, _, language = column.partition(" on ")
        try:
            expand.check(self.study(method, COMPOSITIONS[kind], bool(language)), self.workspace)
        except ConfigError as error:
            line = str(error).splitlines()[0]
            return {"refused": line.rpartition(": ")[2]}
        if isinstance(method, Full):
            return {"difference": self.full()} if kind == "none" else {"refused": "not an adapter: see the tests"}
        assert isinstance(method, AdapterMethod)
        return {"difference": Composed(self, method).difference(kind, bool(language))}

    def study(self, method: Method, composition: dict[str, Any], language: bool) -> study.Study:
        """Return a study with one cell."""
        content: dict[str, Any] = {
            "name": "cell",
            "model": str(self.model),
            "intermediates": ["mnli", "squad"],
            "targets": ["udpos"],
            "languages": ["en", "de"],
            "compositions": [composition],
            "methods": [{**method.identity(), "language_adapters": language}],
            "train": {"max_length": 48, "max_steps": 1},
        }
        if language:
            text = {code: [{"repo": "local/lines", "config": code}] for code in ("en", "de")}
            content["language_adapters"] = {"text": text, "method": LANGUAGE.identity()}
        return study.parse(json.dumps(content))

    def full(self) -> float:
        """Compare a changed encoder with what ``transformers`` loads from its folder."""
        encoder = Encoder(self.model)
        perturb(encoder.trunk.parameters(), seed=1)
        encoder.save_trunk(self.folder / "full")
        plain = plain_model(self.folder / "full", self.name)
        return largest(self.states(encoder), self.plain_states(plain))

    def states(self, encoder: Encoder) -> Tensor:
        """Return the last hidden states of the package's encoder."""
        encoder.trunk.eval()  # modules that the adapters library adds may be in training mode
        with torch.no_grad():
            return encoder.states(**self.inputs.ours())[self.inputs.mask.bool()]

    def plain_states(self, model: Any) -> Tensor:
        """Return those of a model of ``transformers``."""
        return states_of(model, self.inputs, self.name)


class Composed:
    """Adapters of one method on an encoder: two intermediates, a target and a language."""

    def __init__(self, cells: Cells, method: AdapterMethod) -> None:
        self.cells, self.method = cells, method
        self.encoder = Encoder(cells.model, method.backend)
        self.parts: dict[Place, Part | Fused] = {}

    def difference(self, kind: str, language: bool) -> float:
        """Return the largest difference from the formula."""
        for seed, name in enumerate(("mnli", "squad", "target")):
            self.add(name, self.method, seed)
        below: list[Place] = []
        if language:
            self.add("language", LANGUAGE, seed=7)
            below = ["language"]
        places, parts = self.composed(kind)
        self.encoder.compose([*below, *places])
        actual = self.cells.states(self.encoder)
        if isinstance(self.method, Prefix):
            return largest(actual, self.library_states(places))
        plain = plain_model(self.cells.model, self.cells.name)
        apply(plain, PLACES[self.cells.name], [*(self.parts[place] for place in below), *parts])
        return largest(actual, self.cells.plain_states(plain))

    def composed(self, kind: str) -> tuple[list[Place], list[Part | Fused]]:
        """Return the places on the package's encoder, and the parts of the formula."""
        first, second, target = (self.parts[name] for name in ("mnli", "squad", "target"))
        assert isinstance(first, Part)
        assert isinstance(second, Part)
        assert isinstance(target, Part)
        if kind == "continue":
            self.encoder.fill("target", self.encoder.delta("mnli"))
            return ["target"], [first]
        if kind == "stack":
            return ["mnli", "target"], [first, target]
        if kind == "fuse":
            return [("mnli", "squad")], [self.fuse([first, second])]
        if kind == "merge":
            self.merge((first, target), PAIR)
            return ["sum"], [*summed((first, target), PAIR)]
        if kind == "merge_then_stack":
            self.merge((first, second), TWO)
            return ["sum", "target"], [*summed((first, second), TWO), target]
        return ["target"], [target]

    def add(self, name: str, method: AdapterMethod, seed: int) -> None:
        """Attach an adapter, and keep its weights for the formula."""
        self.encoder.add(name, method, name)
        perturb(self.encoder.delta(name).values(), seed)
        self.parts[name] = Part(method, copied(self.encoder.delta(name)))

    def fuse(self, members: list[Part]) -> Fused:
        """Attach a fusion of the two intermediates."""
        place = ("mnli", "squad")
        self.encoder.fuse(place, 1)
        perturb(self.encoder.delta(place).values(), seed=5)
        return Fused(members, copied(self.encoder.delta(place)))

    def merge(self, parts: Sequence[Part], weights: Sequence[float]) -> None:
        """Attach the weighted sum of adapters as the package computes it."""
        total = self.method.merged_tensors([(part.method, part.tensors) for part in parts], weights)
        whole = self.method.merged_method([part.method for part in parts])
        assert isinstance(whole, AdapterMethod)
        self.encoder.add("sum", whole, "sum")
        self.encoder.fill("sum", {key: total[key] for key in self.encoder.delta("sum")})

    def library_states(self, places: Sequence[Place]) -> Tensor:
        """Return what the plain ``adapters`` library computes with the saved adapters."""
        import adapters

        plain = plain_model(self.cells.model, self.cells.name)
        adapters.init(plain)
        names = []
        for number, place in enumerate(places):
            folder = Path(tempfile.mkdtemp(dir=self.cells.folder))
            self.encoder.save(place, folder)
            names.append(plain.load_adapter(str(folder), load_as=f"a{number}", use_safetensors=True))
        plain.set_active_adapters(adapters.composition.Stack(*names))
        return self.cells.plain_states(plain.eval())


def silence() -> None:
    """Turn off the remarks of the libraries on poolers that are new, and on adapters that are not active."""
    for name in ("transformers", "adapters"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning)


def states_of(model: Any, inputs: Inputs, name: str) -> Tensor:
    """Return the last hidden states of a model of ``transformers`` at the tokens.

    Args:
        model: the model, without a head.
        inputs: token ids.
        name: model type.
    """
    with torch.no_grad():
        states: Tensor = model(**inputs.plain(name)).last_hidden_state
    return states[inputs.mask.bool()]


def perturb(values: Any, seed: int) -> None:
    """Give weights values that no initialisation gives."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in values:
            value.add_(0.1 * torch.randn(value.shape, generator=noise))


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies without gradients."""
    return {key: value.detach().clone() for key, value in tensors.items()}


def largest(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors."""
    return float((one - other).abs().max())


# Results


def table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], first: str, reasons: dict[str, int]) -> str:
    """Format cells for people; reasons are numbered.

    Args:
        rows: row -> column -> cell.
        first: heading of the first column.
        reasons: reason -> number; grows.
    """
    columns = next(iter(rows.values()))
    lines = [f"| {first} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, cells in rows.items():
        texts = []
        for cell in cells.values():
            why = cell.get("refused")
            texts.append(f"[{reasons.setdefault(why, len(reasons) + 1)}]" if why else f"{cell['difference']:.1e}")
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def measured(rows: Any, pick: Callable[[dict[str, Any]], bool]) -> list[float]:
    """Return the differences of all cells in nested mappings that a function picks."""
    if "difference" in rows:
        return [rows["difference"]] if pick(rows) else []
    return [value for inner in rows.values() if isinstance(inner, dict) for value in measured(inner, pick)]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print tables, write JSON; the exit status is 1 if a difference is above the bar."""
    default = RESULTS / "conformance.json"
    options = arguments("Architectures, methods and compositions against plain formulas", default).parse_args(argv)
    torch.set_num_threads(1)
    silence()
    names = QUICK_ARCHITECTURES if options.quick else tuple(SETTINGS)
    methods = {name: METHODS[name] for name in (QUICK_METHODS if options.quick else METHODS)}
    began, first_keys = time.process_time(), heading("conformance", options)
    cells: dict[str, dict[str, Any]] = {}
    heads: dict[str, dict[str, Any]] = {}
    reasons: dict[str, int] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            of_model = Cells(name, Path(folder))
            cells[name] = {title: of_model.row(method) for title, method in methods.items()}
            heads[name] = {**state_differences(of_model.model, name), **head_differences(of_model.model, name)}
        print(f"\n{name}\n\n{table(cells[name], 'method', reasons)}", flush=True)
    print(f"\nhidden states and heads\n\n{table(heads, 'architecture', reasons)}\n")
    print("\n".join(f"[{number}] {why}" for why, number in reasons.items()))
    differences = measured({"cells": cells, "heads": heads}, lambda cell: True)
    worst = {"cells": len(differences), "difference": max(differences), "bar": BAR, "met": max(differences) <= BAR}
    print(f"\n{len(differences)} cells, largest difference {max(differences):.1e} (bar {BAR:.0e})")
    result = {**first_keys, "largest": worst, "cells": cells, "heads": heads}
    write({**result, "cpu_seconds": time.process_time() - began}, output_file(options, default))
    return 0 if worst["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
