"""Writes the files of the sample: ``python -m adaptstilts.sample.generate FOLDER``. The same files every time.

Items are drawn once, in no language (``items``), and then said in each language (``lexicon``): so row ``i`` of a test
split is the same item everywhere.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from adaptstilts.errors import DataError
from adaptstilts.sample import items, lexicon
from adaptstilts.sample.grammar import Clause, Lexicon, Sentence, ask, state, table

REPO = "adaptstilts/sample"
SIZES = {"train": 1500, "validation": 200, "test": 180}
CHOICE_SIZES = {"train": 1536, "validation": 256, "test": 256}  # whole rounds over the pairs
RETRIEVED = 104  # statements; the sentences of the causal pairs come on top
GOLD, ALONE = 70, 110  # sentences of a mining split with a translation, and without one, a side
T = TypeVar("T")
Row = dict[str, Any]
Rows = list[Row]
Files = Iterator[tuple[str, str, Rows]]


def check(lexicons: Sequence[Lexicon]) -> None:
    """Every lexicon has the same ids in the same order, and they are those that items are made of.

    Raises:
        DataError: names the language, the table and the ids.
    """
    known = {
        "people": items.PEOPLE,
        "events": tuple(items.EVENTS),
        "places": items.PLACES,
        "times": items.TIMES,
        "pairs": tuple(table(lexicons[0].pairs)),
    }
    for held in lexicons:
        for name, ids in known.items():
            found = tuple(table(getattr(held, name)))
            if found != ids:
                odd = sorted(set(found) ^ set(ids)) or ["none missing, but the order differs"]
                raise DataError(f"the {name} of the sample's lexicon {held.code!r}: {', '.join(odd)}")
        for name, text in table(held.pairs).items():
            if len(text.split(" | ")) != 2:
                raise DataError(f"the pair {name} of the sample's lexicon {held.code!r}: expected cause | effect")


def nli(held: Lexicon, drawn: Sequence[items.Nli], split: str) -> Rows:
    """Premise, hypothesis and label."""
    return [
        {
            "id": f"{split}-{i}",
            "premise": state(held, *item.premise).text,
            "hypothesis": state(held, item.hypothesis).text,
            "label": item.label,
        }
        for i, item in enumerate(drawn)
    ]


def qa(held: Lexicon, drawn: Sequence[items.Qa], split: str) -> Rows:
    """Question, context, and the answer with its place in the context."""
    rows = []
    for i, item in enumerate(drawn):
        said = [state(held, clause) for clause in item.context]
        begin, end = said[item.at].spans[item.what]
        shift = sum(len(sentence.text) + len(held.blank) for sentence in said[: item.at])
        context = held.blank.join(sentence.text for sentence in said)
        answer = {"text": [context[shift + begin : shift + end]], "answer_start": [shift + begin]}
        question = ask(held, item.what, item.context[item.at]).text
        rows.append({"id": f"{split}-{i}", "question": question, "context": context, "answers": answer})
    return rows


def choice(held: Lexicon, drawn: Sequence[items.Choice], split: str) -> Rows:
    """Context (a sentence and the question for its cause or effect), two choices and which is right."""
    pairs = {name: text.split(" | ") for name, text in table(held.pairs).items()}
    rows = []
    for i, item in enumerate(drawn):
        asked = 0 if item.asks == "cause" else 1
        choices = [pairs[item.of][asked], pairs[item.other][asked]]
        context = pairs[item.of][1 - asked] + held.blank + held.asks[asked]
        choices = choices[:: -1 if item.label else 1]
        rows.append({"id": f"{split}-{i}", "context": context, "choices": choices, "label": item.label})
    return rows


def tagging(held: Lexicon, drawn: Sequence[tuple[Clause, ...]], split: str) -> Rows:
    """Words and their universal part-of-speech tags, by name."""
    said = [state(held, *clauses) for clauses in drawn]
    return [
        {"id": f"{split}-{i}", "tokens": [word for word, _ in one.words], "tags": [tag for _, tag in one.words]}
        for i, one in enumerate(said)
    ]


def plain(held: Lexicon, clauses: Sequence[Clause]) -> list[str]:
    """The sentences of the causal pairs, then those of some clauses."""
    pairs = [sentence for text in table(held.pairs).values() for sentence in text.split(" | ")]
    return [*pairs, *(state(held, clause).text for clause in clauses)]


def trained(lexicons: Sequence[Lexicon]) -> Files:
    """The four tasks with training rows: English in all splits, the other languages in the test split."""
    pairs = tuple(table(lexicons[0].pairs))
    seen: dict[str, items.Seen] = {name: set() for name in ("nli", "qa", "choice", "tagging")}
    for split in SIZES:
        draw = {name: random.Random(f"{name} {split}") for name in seen}
        count = SIZES[split]
        entailed = items.nli(draw["nli"], seen["nli"], count)
        asked = items.qa(draw["qa"], seen["qa"], count)
        chosen = items.choice(draw["choice"], seen["choice"], pairs, CHOICE_SIZES[split])
        tagged = _tagged(draw["tagging"], seen["tagging"], count)
        for held in lexicons if split == "test" else lexicons[:1]:
            yield f"nli.{held.code}", split, nli(held, _mixed(entailed, split), split)
            yield f"qa.{held.code}", split, qa(held, _mixed(asked, split), split)
            yield f"choice.{held.code}", split, choice(held, _mixed(chosen, split), split)
            yield f"tagging.{held.code}", split, tagging(held, tagged, split)


def _tagged(generator: random.Random, seen: items.Seen, count: int) -> list[tuple[Clause, ...]]:
    """Two statements of three stand alone, the third is joined with another one."""
    single = items.statements(generator, seen, count)
    second = items.statements(generator, set(), count)
    second = second[7:] + second[:7]  # another person and another thing
    return [(one, two) if i % 3 == 2 else (one,) for i, (one, two) in enumerate(zip(single, second, strict=True))]


def _mixed(drawn: Sequence[T], split: str) -> list[T]:
    """In an order that says nothing about labels; the same for every language."""
    return random.Random(f"order {split}").sample(list(drawn), len(drawn))


def retrieval(lexicons: Sequence[Lexicon]) -> Files:
    """Aligned sentences: a foreign one and the English one."""
    clauses = items.statements(random.Random("retrieval"), set(), RETRIEVED)
    english = plain(lexicons[0], clauses)
    for held in lexicons[1:]:
        rows = [{"foreign": f, "english": e} for f, e in zip(plain(held, clauses), english, strict=True)]
        yield f"retrieval.{held.code}", "test", rows


def mining(lexicons: Sequence[Lexicon]) -> Files:
    """Two lists of sentences of which some are translations of each other, and the pairs of their ids."""
    splits = ("train", "test")
    clauses = items.statements(random.Random("mining"), set(), len(splits) * (GOLD + 2 * ALONE))
    english = state_all(lexicons[0], clauses)
    for held in lexicons[1:]:
        foreign = state_all(held, clauses)
        for n, split in enumerate(splits):
            order = random.Random(f"mining {split}")
            here = order.sample(range(n, len(clauses), len(splits)), len(clauses) // len(splits))
            gold, mine, theirs = here[:GOLD], here[GOLD : GOLD + ALONE], here[GOLD + ALONE :]
            sides = {}
            for code, texts, alone in ((held.code, foreign, mine), ("en", english, theirs)):
                mixed = order.sample(gold + alone, GOLD + ALONE)
                sides[code] = {at: f"{code}-{i:09d}" for i, at in enumerate(mixed, 1)}
                rows = [{"id": sides[code][at], "sentence": texts[at].text} for at in mixed]
                yield f"mining.{held.code}-en.{code}", split, rows
            found = [{"source_id": sides[held.code][at], "target_id": sides["en"][at]} for at in gold]
            yield f"mining.{held.code}-en.gold", split, sorted(found, key=lambda row: row["source_id"])


def state_all(held: Lexicon, clauses: Sequence[Clause]) -> list[Sentence]:
    """Every clause as a sentence of its own."""
    return [state(held, clause) for clause in clauses]


def files() -> Files:
    """Every (config, split, rows) of the sample."""
    lexicons = [lexicon.get(code) for code in lexicon.CODES]
    check(lexicons)
    for make in (trained, retrieval, mining):
        yield from make(lexicons)


def write(folder: Path) -> list[Path]:
    """Write the repository under a folder laid out like the hub; the card is this package's README.

    Raises:
        DataError: a lexicon is not complete, or two rows of a split are the same.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = []
    configs: dict[str, list[str]] = {}
    for config, split, rows in files():
        contents = [repr({name: value for name, value in row.items() if name != "id"}) for row in rows]
        if len(set(contents)) < len(contents):
            twice = next(row for row in contents if contents.count(row) > 1)
            raise DataError(f"sample {config} {split}: a row is there twice: {twice}")
        path = folder / REPO / config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", compression_level=19, use_dictionary=False)
        configs.setdefault(config, []).append(split)
        written.append(path)
    card = folder / REPO / "README.md"
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    card.write_text(_front(configs) + text, encoding="utf-8", newline="\n")
    return [*written, card]


def _front(configs: dict[str, list[str]]) -> str:
    """The front matter of the card: what the hub and ``load_dataset`` read."""
    lines = ["---", "license: apache-2.0", f"language: [{', '.join(lexicon.CODES)}]", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    return "\n".join([*lines, "---", ""])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m adaptstilts.sample.generate FOLDER")
    print(f"{len(write(Path(sys.argv[1])))} files under {sys.argv[1]}")
