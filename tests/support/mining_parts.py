"""Small mining sets with known pairs."""

from __future__ import annotations

import random
from pathlib import Path

from support.inputs import sentence, write_split

REPO = "local/ntrex-bucc"
Rows = list[dict[str, str]]


def write_part(
    root: Path, code: str, split: str, seed: int, pairs: int = 6, alone: int = 8, repo: str = REPO
) -> dict[str, Rows]:
    """Write one part of a mining set: translations are copies, the other sentences have none; orders are random."""
    generator = random.Random(seed)
    drawn: set[str] = set()
    while len(drawn) < pairs + 2 * alone:
        drawn.add(sentence(generator, 9))
    texts = sorted(drawn)
    generator.shuffle(texts)
    sides = {code: texts[: pairs + alone], "en": [*texts[:pairs], *texts[pairs + alone :]]}
    rows: dict[str, Rows] = {}
    for name, side in sides.items():
        generator.shuffle(side)
        rows[name] = [{"id": f"{name}-{i:03}", "sentence": text} for i, text in enumerate(side)]
    at = {row["sentence"]: row["id"] for row in rows["en"]}
    rows["gold"] = [
        {"source_id": row["id"], "target_id": at[row["sentence"]]} for row in rows[code] if row["sentence"] in at
    ]
    for name, held_rows in rows.items():
        write_split(root, repo, f"{code}-en.{name}", split, held_rows)
    return rows
