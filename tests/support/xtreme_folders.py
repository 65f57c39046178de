"""Random prediction folders as careless people leave them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from adaptstilts.metrics.xtreme import FORMATS

WORDS = "a the red Cat! dog, ein Hund der 红楼 梦 ال-قط un gato của mèo".split(" ")
END = ["\n", "\n", "\r\n", "\r"]
ODD = {"labels": ["contradictory", "", "2"], "tags": ["B-MISC", "NOUN VERB", "E-PER"], "places": ["003", "977", "x"]}


def write_random_folder(root: Path, generator: random.Random) -> list[tuple[str, str]]:
    """Write predictions and labels of some tasks, with defects; return (task, language) of every file."""
    written = []
    for task in generator.sample([name for name in FORMATS if name != "lareqa"], 3):
        for code in generator.sample(FORMATS[task].languages, 2):
            texts = _texts(task, code, generator)
            for side, text in zip(("predicted", "labels"), texts, strict=True):
                path = root / side / task / FORMATS[task].file(code)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="")
            written.append((task, code))
    return written


def _texts(task: str, code: str, generator: random.Random) -> tuple[str, str]:
    form, n = FORMATS[task].form, generator.randint(3, 12)
    if form == "tags":
        return _tag_files(task, n, generator)
    if form == "pairs":
        return _pair_files(code, n, generator)
    if form in ("labels", "places"):
        known = [*FORMATS[task].labels] or [str(row) for row in range(n)]
        gold = [generator.choice(known) for _ in range(n)]
        return _spoilt(gold, known + ODD[form], generator), "\n".join(gold) + generator.choice(["", "\n"])
    if form == "choices":
        gold_rows = [json.dumps({"label": generator.randint(0, 1)}) for _ in range(n)]
        rows = [json.dumps({"label": generator.choice([0, 1, True, 2, "1", 1.0, None])}) for _ in range(n)]
        return "\n".join(rows), "\n".join(gold_rows) + "\n"
    keys = [f"q{number}" for number in range(n)]
    answered = [*generator.sample(keys, n - 1), *generator.sample(keys, 2), "unknown"]
    if form == "rankings":
        ids = [f"Q{number}" for number in range(25)]
        rankings = {key: [f"{generator.choice(ids)} "] for key in keys}
        items = [f"{json.dumps(key)}: {json.dumps(generator.sample(ids, 22))}" for key in answered]
        return f"{{{', '.join(items)}}}", json.dumps(rankings)
    questions = [{"id": key, "answers": [{"text": _phrase(generator)} for _ in range(2)]} for key in keys]
    articles = [{"paragraphs": [{"context": "", "qas": [*questions, *questions[:1]]}]}]
    items = [f"{json.dumps(key)}: {json.dumps(_phrase(generator))}" for key in answered]
    return f"{{{', '.join(items)}}}", json.dumps(generator.choice([articles, {"data": articles}]))


def _phrase(generator: random.Random) -> str:
    return " ".join(generator.choice(WORDS) for _ in range(generator.randint(1, 4)))


def _spoilt(lines: list[str], known: list[str], generator: random.Random, end: str = "") -> str:
    """Return lines of which some are others, with blanks and a line end of any kind, perhaps after a mark."""
    spoilt = []
    mark = "" if end else generator.choice(["", "", "\ufeff"])
    end = end or generator.choice(END)
    for line in lines:
        text = line if generator.random() < 0.6 else generator.choice(known)
        blanks = generator.choice(["", "", "", " ", "\t", "\u00a0"])
        spoilt.append(f"{blanks}{text}{blanks}{end}")
    return mark + "".join(spoilt)


def _tag_files(task: str, n: int, generator: random.Random) -> tuple[str, str]:
    known = [*FORMATS[task].labels]
    predicted, gold, end = "", "", generator.choice(END)
    for _ in range(n):
        tags = [generator.choice(known[:4]) for _ in range(generator.randint(1, 6))]
        cut = tags[: generator.choice([len(tags), len(tags), len(tags), 1])]
        gold += "".join(f"{tag}\n" for tag in tags) + "\n"
        predicted += _spoilt(cut, known + ODD["tags"], generator, end) + end
    return predicted, gold


def _pair_files(code: str, n: int, generator: random.Random) -> tuple[str, str]:
    gold = [f"{code}-{number:09}\ten-{number:09}" for number in range(n)]
    odd = [f"{gold[0]}\t1.07", "en-1\tde-1", "", "de-1"]
    return _spoilt(gold, gold + odd, generator), "\n".join(gold) + generator.choice(["\n", "\n\n"])
