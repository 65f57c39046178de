"""Fixtures that all tests share; what they are made of is in ``support.inputs``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny models gain nothing from more, busy machines lose

from support.inputs import STUDY, make_data, make_encoder

settings.register_profile("calm", deadline=None, derandomize=bool(os.environ.get("CI")))  # machines may be busy
settings.load_profile("calm")

# real public data and small real encoders, beside the checkout unless the environment says where
TEST_DATA = Path(os.environ.get("ADAPTSTILTS_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real public data and a real small encoder; tests that read them are skipped where they are not."""
    if not (TEST_DATA / "hub").is_dir():
        pytest.skip(f"no real data: {TEST_DATA} has no folder hub; ADAPTSTILTS_TEST_DATA names another place")
    return TEST_DATA


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XLM-R encoder of 4 layers x 32, random weights, with a unigram tokenizer trained on a few words."""
    return make_encoder(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See :func:`make_data`; shared by all tests, so do not change it."""
    return make_data(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def study_file(tmp_path: Path, tiny: Path) -> Callable[..., Path]:
    """Writes a study (as JSON, which is YAML) with the given keys changed; returns its path."""

    def write(**changed: Any) -> Path:
        path = tmp_path / f"study{len(list(tmp_path.glob('study*')))}.yaml"
        held = {**STUDY, "model": str(tiny), **changed}
        path.write_text(json.dumps(held, indent=1), encoding="utf-8")
        return path

    return write
