"""A toy world of aligned text: English sentences, and two invented languages that are ciphers of English."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from support.inputs import WORDS, write_split

RECIPE: dict[str, Any] = {
    "name": "toy",
    "languages": ["en", "de", "zh"],
    "positions": 64,
    "held_out": 12,
    "vocabulary": {"size": 100, "coverage": 1.0},
    "text": [
        {
            "repo": "toy/pairs",
            "split": "train",
            "layout": "pairs",
            "columns": ["foreign", "english"],
            "configs": {"de": "de", "zh": "zh"},
            "licence": "made here",
        },
        {
            "repo": "toy/aligned",
            "split": "test",
            "layout": "aligned",
            "columns": ["key", "text"],
            "configs": {"en": "en", "de": "de"},
            "without": {"column": "doc", "of": {"repo": "toy/docs", "config": "docs", "split": "test"}},
        },
    ],
    "exclude": ["tatoeba"],
    "encoders": {
        "wee": {"hidden": 16, "layers": 3, "heads": 2, "steps": 100, "tokens": 512, "lr": 0.01, "precision": "fp32"}
    },
}


def cipher(text: str, code: str) -> str:
    """Translate a sentence into an invented language, word by word."""
    if code == "en":
        return text
    return " ".join(
        (word[::-1] + "en") if code == "de" else "".join(chr(ord(c) + 0x4E00) for c in word) for word in text.split()
    )


def make_text(root: Path, seed: int = 3) -> Path:
    """Aligned text, and a Tatoeba test set that repeats some of it."""
    generator = random.Random(seed)

    def said() -> str:
        return " ".join(generator.choice(WORDS) for _ in range(generator.randint(3, 7)))

    for code in ("de", "zh"):
        english = [said() for _ in range(150)]
        rows = [{"foreign": cipher(text, code), "english": text} for text in english]
        write_split(root, "toy/pairs", code, "train", rows)
        iso3 = {"de": "deu", "zh": "cmn"}[code]
        # the first five English sides and the next five other sides of the text are evaluated
        tests = [{"source_sentence": "nothing here", "target_sentence": f"{text.upper()} !\n"} for text in english[:5]]
        tests += [{"source_sentence": cipher(text, code), "target_sentence": "other words"} for text in english[5:10]]
        rows = [{**row, "source_lang": iso3, "target_lang": "eng"} for row in tests]
        write_split(root, "google/xtreme", f"tatoeba.{iso3}", "validation", rows)
    texts = [said() for _ in range(40)]
    for code in ("en", "de"):
        rows = [{"key": i, "doc": f"d{i // 10}", "text": cipher(text, code)} for i, text in enumerate(texts)]
        write_split(root, "toy/aligned", code, "test", rows)
    write_split(root, "toy/docs", "docs", "test", [{"doc": "d1"}])
    return root


def write_recipe(folder: Path, **changed: Any) -> Path:
    """Write the toy recipe as a file (JSON, which is also YAML)."""
    path = folder / f"recipe{len(list(folder.glob('recipe*')))}.yaml"
    path.write_text(json.dumps({**RECIPE, **changed}, indent=1), encoding="utf-8")
    return path
