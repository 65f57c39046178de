"""Toy rows of the two ranking tasks, in the files and schemas of the originals."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from support.inputs import WORDS, write_split

LAREQA = "google-research-datasets/lareqa"
MEWSLI = "google-research/mewsli-x"


def lines(generator: random.Random, count: int) -> list[str]:
    """Sentences of six different words, the first of them in capitals."""
    return [f"The {' '.join(generator.sample(WORDS[2:], 6))}." for _ in range(count)]


def paragraph(generator: random.Random, count: int = 3) -> tuple[str, list[list[int]], list[str]]:
    """Return a paragraph, its sentence breaks and its sentences."""
    sentences = lines(generator, count)
    breaks, at = [], 0
    for text in sentences:
        breaks.append([at, at + len(text)])
        at += len(text) + 1
    return " ".join(sentences), breaks, sentences


def question(generator: random.Random, key: str, sentences: list[str], at: int) -> dict[str, Any]:
    """Return a question for sentence ``at`` of a paragraph, which has its words; the answer is the third of them."""
    words = sentences[at][4:-1].split()
    start = len(" ".join(sentences[:at])) + (at > 0) + sentences[at].index(f" {words[2]}") + 1
    answer = {"text": words[2], "answer_start": start}
    return {"id": key, "question": " ".join(generator.sample(words, 4)), "answers": [answer]}


def squad_file(path: Path, paragraphs: list[dict[str, Any]]) -> Path:
    """Write paragraphs, two to an article."""
    articles = [{"title": f"t{i}", "paragraphs": paragraphs[i : i + 2]} for i in range(0, len(paragraphs), 2)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "1.1", "data": articles}, ensure_ascii=False), encoding="utf-8")
    return path


def jsonl_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write one object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_lareqa(root: Path, codes: tuple[str, ...] = ("de", "en", "zh"), paragraphs: int = 4, seed: int = 1) -> None:
    """SQuAD pairs in English, and XQuAD-R: the questions of a paragraph have the same ids in every language."""
    generator = random.Random(seed)
    for split, count in (("train", 40), ("validation", 16)):
        rows = []
        for i in range(count):
            context, _, sentences = paragraph(generator)
            asked = question(generator, f"{split}{i}", sentences, i % 3)
            answers = {name: [asked["answers"][0][name]] for name in ("text", "answer_start")}
            rows.append({"id": asked["id"], "title": "t", "context": context, "question": asked["question"]})
            rows[-1]["answers"] = answers
        write_split(root, "rajpurkar/squad", "plain_text", split, rows)
    for code in codes:
        articles = []
        for i in range(paragraphs):
            context, breaks, sentences = paragraph(generator, 2 + i % 3)
            asked = [question(generator, f"q{i}-{j}", sentences, (i + j) % len(sentences)) for j in range(2)]
            articles.append({"context": context, "sentence_breaks": breaks, "sentences": sentences, "qas": asked})
        squad_file(root / LAREQA / "xquad-r" / f"{code}.json", articles)


def entity(generator: random.Random, key: str, title: str) -> dict[str, Any]:
    """Return an entity whose description begins with its title."""
    description = f"{title} is {' '.join(generator.sample(WORDS, 5))} .\n{' '.join(generator.sample(WORDS, 3))} ."
    first = description.index("\n")
    spans = [{"start": 0, "end": first}, {"start": first + 1, "end": len(description)}]
    return {
        "entity_id": key,
        "title": title,
        "description": description,
        "sentence_spans": spans,
        "description_language": "en",
        "description_url": f"https://example.org/{key}",
    }


def article(generator: random.Random, code: str, key: str, entities: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a text with one sentence for each entity, which mentions it."""
    text, spans, mentions = "", [], []
    for i, target in enumerate(entities):
        start = len(text)
        before = " ".join(generator.sample(WORDS, 3)) + " "
        text += f"{before}{target['title']} {' '.join(generator.sample(WORDS, 2))} .\n"
        spans.append({"start": start, "end": len(text) - 1})
        begin = start + len(before)
        span = {"start": begin, "end": begin + len(target["title"]), "text": target["title"]}
        mention = {"example_id": f"{key}-{i}", "mention_span": span, "entity_id": target["entity_id"]}
        mentions.append({**mention, "metadata": {"bin_name": "bin0"}} if i else mention)
    context = {"document_title": "t", "document_url": "u", "document_id": key, "language": code, "text": text}
    return {"context": {**context, "sentence_spans": spans}, "mentions": mentions}


def write_mewsli(root: Path, codes: tuple[str, ...] = ("de", "en", "ta"), entities: int = 30, seed: int = 1) -> None:
    """Pairs in English, articles in several languages, and the candidates of all."""
    generator = random.Random(seed)
    titles = [" ".join(generator.sample(WORDS, 3)) for _ in range(entities)]
    entities = [entity(generator, f"Q{i}", title) for i, title in enumerate(titles)]
    folder = root / MEWSLI / "dataset"
    for split, count in (("train", 40), ("dev", 16)):
        pairs = []
        for i in range(count):
            of = generator.choice(entities)
            page = article(generator, "en", f"{split}{i}", [of])
            pairs.append({"contextual_mention": {"context": page["context"], "mention": page["mentions"][0]}})
            pairs[-1]["entity"] = of
        jsonl_file(folder / f"wikipedia_pairs-{split}.jsonl", pairs)
    articles = [
        article(generator, code, f"{code}-{i}", generator.sample(entities, 2)) for code in codes for i in range(3)
    ]
    generator.shuffle(articles)
    jsonl_file(folder / "wikinews_mentions-test.jsonl", articles)
    jsonl_file(folder / "candidate_set_entities.jsonl", entities)
