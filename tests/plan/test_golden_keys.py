"""The keys of every phase of every shipped study, held to those of the version that first wrote stores."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from adaptstilts import study
from adaptstilts.plan.expand import expand
from adaptstilts.plan.outline import Outline
from adaptstilts.plan.phases import Phase
from adaptstilts.pretrain import recipe
from adaptstilts.workspace import Workspace

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GOLDEN = json.loads(Path(__file__).with_name("golden_keys.json").read_text(encoding="utf-8"))
OVERRIDES = {"configs/mini.yaml": ["model=builtin:small"]}


def summary(phases: Iterable[Phase]) -> dict[str, list[object]]:
    """Number of phases and digest of their sorted keys, by kind."""
    keys = defaultdict(list)
    for phase in phases:
        keys[phase.kind].append(phase.key)
    return {
        kind: [len(of_kind), hashlib.sha256("\n".join(sorted(of_kind)).encode()).hexdigest()]
        for kind, of_kind in sorted(keys.items())
    }


def phases(name: str, workspace: Workspace) -> list[Phase]:
    """Every phase of a shipped file."""
    path = CONFIGS.parent / name
    if "pretrain" in name:
        return recipe.expand(recipe.load(path, ()), workspace, ()).order()
    return expand(study.load(path, OVERRIDES.get(name, [])), workspace).order()


@pytest.mark.parametrize("case", GOLDEN)
def test_keys_are_those_of_the_first_version(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    name, where = case.split()
    if where == "outline":
        workspace: Workspace = Outline(tmp_path / "store")
    else:
        root = request.getfixturevalue("shared") / "hub" if where == "shared" else None
        workspace = Workspace(tmp_path / "store", root, offline=True)
    assert summary(phases(name, workspace)) == GOLDEN[case]


def test_every_shipped_file_is_held() -> None:
    shipped = {path.relative_to(CONFIGS.parent).as_posix() for path in CONFIGS.rglob("*.yaml")}
    assert shipped == {case.split()[0] for case in GOLDEN}
