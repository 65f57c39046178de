"""The keys of every phase of every shipped study, held to those of this version and of the first one."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from support.shipped import GOLDEN, GOLDEN_EARLIER, ROOT, phases_of

from adaptstilts.plan.phases import EvaluatePhase, Phase, RetrievePhase


def summary(phases: Iterable[Phase]) -> dict[str, list[object]]:
    """Number of phases and digest of their sorted keys, by kind."""
    keys = defaultdict(list)
    for phase in phases:
        if phase.is_portable:
            keys[phase.kind].append(phase.key)
    return {
        kind: [len(of_kind), hashlib.sha256("\n".join(sorted(of_kind)).encode()).hexdigest()]
        for kind, of_kind in sorted(keys.items())
    }


@pytest.mark.parametrize("case", GOLDEN)
def test_keys_are_pinned(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert summary(phases_of(case, tmp_path, request)) == GOLDEN[case]


def first_version(phase: Phase) -> Phase:
    """The phase as it was when mining left no sentence out, and answers could be cut within a character."""
    return replace(phase, kind_version=1) if isinstance(phase, EvaluatePhase | RetrievePhase) else phase


@pytest.mark.parametrize("case", GOLDEN_EARLIER)
def test_keys_are_those_of_the_first_version_with_its_warm_up(
    case: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing but the rule of the warm-up, what mining leaves out, and the edges of answers changed any result."""
    overrides = [] if "pretrain" in case else ["train.warmup_rule=earlier"]
    phases = map(first_version, phases_of(case, tmp_path, request, overrides))
    assert summary(phases) == GOLDEN_EARLIER[case]


def test_every_shipped_file_is_held() -> None:
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    assert shipped == {case.split()[0] for case in GOLDEN}
