"""The phases of the study files that ship with the package, with or without their data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from adaptstilts import pretrain, study
from adaptstilts.plan.expand import expand_each
from adaptstilts.plan.outline import Outline
from adaptstilts.plan.phases import Phase
from adaptstilts.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((ROOT / "tests" / "plan" / "golden_keys.json").read_text(encoding="utf-8"))
GOLDEN_EARLIER = json.loads((ROOT / "tests" / "plan" / "golden_keys_earlier.json").read_text(encoding="utf-8"))
OVERRIDES = {"configs/mini.yaml": ["model=builtin:small"]}


def phases_of(case: str, tmp_path: Path, request: pytest.FixtureRequest, overrides: Sequence[str] = ()) -> list[Phase]:
    """Return every phase of a shipped file.

    Args:
        case: the file, and whether it is planned with ``shared`` data, with those ``inside`` the package or as an
            ``outline``.
        tmp_path: where the store is made.
        request: gives the fixture of the shared data.
        overrides: of a study.
    """
    name, where = case.split()
    path = ROOT / name
    if where == "outline":
        workspace: Workspace = Outline(tmp_path / "store")
    else:
        root = request.getfixturevalue("shared") / "hub" if where == "shared" else None
        workspace = Workspace(tmp_path / "store", root, offline=True)
    if "pretrain" in name:
        return pretrain.expand(pretrain.load(path, ()), workspace, ()).order()
    phases: list[Phase] = []
    for plan in expand_each(study.load(path, [*OVERRIDES.get(name, []), *overrides]), workspace):
        phases += plan.order()
    return phases
