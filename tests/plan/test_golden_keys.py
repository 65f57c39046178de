"""The keys of every phase of every shipped study, held to those of the version that first wrote stores."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.shipped import GOLDEN, ROOT, phases_of

from adaptstilts.plan.phases import Phase


def summary(phases: Iterable[Phase]) -> dict[str, list[object]]:
    """Number of phases and digest of their sorted keys, by kind."""
    keys = defaultdict(list)
    for phase in phases:
        keys[phase.kind].append(phase.key)
    return {
        kind: [len(of_kind), hashlib.sha256("\n".join(sorted(of_kind)).encode()).hexdigest()]
        for kind, of_kind in sorted(keys.items())
    }


@pytest.mark.parametrize("case", GOLDEN)
def test_keys_are_those_of_the_first_version(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert summary(phases_of(case, tmp_path, request)) == GOLDEN[case]


def test_every_shipped_file_is_held() -> None:
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    assert shipped == {case.split()[0] for case in GOLDEN}
