"""A tokenizer must fit its encoder, and must not multiply text."""

from __future__ import annotations

import base64
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from adaptstilts.errors import ArtifactError
from adaptstilts.models import locate

LONG = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}


def charsmap(*replacements: str) -> dict[str, Any]:
    """A map of SentencePiece with an empty index; only the replacements matter here."""
    texts = b"\0".join(text.encode() for text in replacements) + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(struct.pack("<I", 0) + texts).decode()}


def sequence(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(parts)}


def located(tiny: Path, folder: Path, normalizer: Any) -> locate.Model:
    """A copy of the tiny encoder whose tokenizer has another normalizer."""
    shutil.copytree(tiny, folder)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "normalizer": normalizer}))
    return locate.locate(str(folder))


@pytest.mark.parametrize(
    ("normalizer", "growth"),
    [
        (sequence(LONG, LONG), "10,000"),
        (sequence({"type": "NFKC"}, sequence(LONG, {"type": "NFD"})), "7,200"),
        ({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "a" * 6000}, "6,001"),
        ({"type": "Prepend", "prepend": "a" * 6000}, "6,001"),
        (charsmap("ab", "c" * 6000), "6,000"),
    ],
)
def test_a_normalizer_that_multiplies_text(tiny: Path, tmp_path: Path, normalizer: Any, growth: str) -> None:
    with pytest.raises(ArtifactError, match=f"its normalizer may replace one character by {growth}; at most 5,000"):
        located(tiny, tmp_path / "model", normalizer)


@pytest.mark.parametrize("normalizer", [None, sequence({"type": "NFKC"}, {"type": "Strip"}), LONG, charsmap("ﬃ")])
def test_usual_normalizers(tiny: Path, tmp_path: Path, normalizer: Any) -> None:
    assert located(tiny, tmp_path / "model", normalizer).shape == locate.locate(str(tiny)).shape


@pytest.mark.parametrize("normalizer", [3, {"type": "Replace"}, sequence(3), {"type": []}, charsmap()])  # type: ignore[arg-type]
def test_what_is_no_normalizer(tiny: Path, tmp_path: Path, normalizer: Any) -> None:
    if normalizer == charsmap():
        normalizer["precompiled_charsmap"] = "?"
    with pytest.raises(ArtifactError, match=r"tokenizer.json: not a tokenizer \(\w+ in its normalizer\)"):
        located(tiny, tmp_path / "model", normalizer)
