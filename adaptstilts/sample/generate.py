"""Write the files of the sample suite: ``python -m adaptstilts.sample.generate FOLDER``. They are always the same.

Items are drawn once, without a language (``items``), and then put into words in each language (``lexicon``), so row
``i`` of a test split is the same item everywhere.
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
CHOICE_SIZES = {"train": 1536, "validation": 256, "test": 256}  # full rounds over the pairs
RETRIEVED = 104  # statements, in addition to the sentences of the causal pairs
GOLD, ALONE = 70, 110  # sentences per side of a mining split, with and without a translation
T = TypeVar("T")
Row = dict[str, Any]
SampleRows = list[Row]
Files = Iterator[tuple[str, str, SampleRows]]  # config, split, rows


def check(lexicons: Sequence[Lexicon]) -> None:
    """Raise unless every lexicon has the ids of the items, in the same order.

    Raises:
        DataError: the message has the language, the table and the ids.
    """
    known = {
        "people": items.PEOPLE,
        "events": tuple(items.EVENTS),
        "places": items.PLACES,
        "times": items.TIMES,
        "pairs": tuple(table(lexicons[0].pairs)),
    }
    for language in lexicons:
        for name, ids in known.items():
            present = tuple(table(getattr(language, name)))
            if present != ids:
                odd = sorted(set(present) ^ set(ids)) or ["none missing, but the order differs"]
                raise DataError(f"the {name} of the sample's lexicon {language.code!r}: {', '.join(odd)}")
        for name, text in table(language.pairs).items():
            if len(text.split(" | ")) != 2:
                raise DataError(f"the pair {name} of the sample's lexicon {language.code!r}: expected cause | effect")


def nli(language: Lexicon, drawn: Sequence[items.NliItem], split: str) -> SampleRows:
    """Write inference items as rows: premise, hypothesis and label.

    Args:
        language: the lexicon to write in.
        drawn: the items.
        split: name of the split, for the ids.
    """
    return [
        {
            "id": f"{split}-{i}",
            "premise": state(language, *item.premise).text,
            "hypothesis": state(language, item.hypothesis).text,
            "label": item.label,
        }
        for i, item in enumerate(drawn)
    ]


def qa(language: Lexicon, drawn: Sequence[items.QaItem], split: str) -> SampleRows:
    """Write questions as rows: question, context, and the answer with its place in the context.

    Args:
        language: the lexicon to write in.
        drawn: the items.
        split: name of the split, for the ids.
    """
    rows = []
    for i, item in enumerate(drawn):
        sentences = [state(language, clause) for clause in item.context]
        begin, end = sentences[item.at].spans[item.what]
        shift = sum(len(sentence.text) + len(language.blank) for sentence in sentences[: item.at])
        context = language.blank.join(sentence.text for sentence in sentences)
        answer = {"text": [context[shift + begin : shift + end]], "answer_start": [shift + begin]}
        question = ask(language, item.what, item.context[item.at]).text
        rows.append({"id": f"{split}-{i}", "question": question, "context": context, "answers": answer})
    return rows


def choice(language: Lexicon, drawn: Sequence[items.ChoiceItem], split: str) -> SampleRows:
    """Write choices as rows: a sentence, the question for its cause or effect, two choices, and the label.

    Args:
        language: the lexicon to write in.
        drawn: the items.
        split: name of the split, for the ids.
    """
    pairs = {name: text.split(" | ") for name, text in table(language.pairs).items()}
    rows = []
    for i, item in enumerate(drawn):
        asked = 0 if item.asks == "cause" else 1
        choices = [pairs[item.of][asked], pairs[item.other][asked]]
        context = pairs[item.of][1 - asked] + language.blank + language.asks[asked]
        choices = choices[:: -1 if item.label else 1]
        rows.append({"id": f"{split}-{i}", "context": context, "choices": choices, "label": item.label})
    return rows


def tagging(language: Lexicon, drawn: Sequence[tuple[Clause, ...]], split: str) -> SampleRows:
    """Write clauses as tagging rows: words and the names of their universal part-of-speech tags.

    Args:
        language: the lexicon to write in.
        drawn: the clauses of each sentence.
        split: name of the split, for the ids.
    """
    rows = []
    for i, clauses in enumerate(drawn):
        words = state(language, *clauses).words
        rows.append({"id": f"{split}-{i}", "tokens": [word for word, _ in words], "tags": [tag for _, tag in words]})
    return rows


def plain(language: Lexicon, clauses: Sequence[Clause]) -> list[str]:
    """Return the sentences of the causal pairs, then those of some clauses."""
    sentences: list[str] = []
    for text in table(language.pairs).values():
        sentences += text.split(" | ")
    return [*sentences, *(state(language, clause).text for clause in clauses)]


def trained(lexicons: Sequence[Lexicon]) -> Files:
    """Yield the four tasks with training rows: English in all splits, the other languages in the test split.

    Choices also have validation rows in every language, of which targets can be trained on a few.
    """
    pairs = tuple(table(lexicons[0].pairs))
    seen: dict[str, items.Seen] = {name: set() for name in ("nli", "qa", "choice", "tagging")}
    for split in SIZES:
        draw = {name: random.Random(f"{name} {split}") for name in seen}
        count = SIZES[split]
        entailed = items.nli(draw["nli"], seen["nli"], count)
        asked = items.qa(draw["qa"], seen["qa"], count)
        chosen = items.choice(draw["choice"], seen["choice"], pairs, CHOICE_SIZES[split])
        tagged = _tagged(draw["tagging"], seen["tagging"], count)
        for language in lexicons if split == "test" else lexicons[:1]:
            yield f"nli.{language.code}", split, nli(language, _mixed(entailed, split), split)
            yield f"qa.{language.code}", split, qa(language, _mixed(asked, split), split)
            yield f"choice.{language.code}", split, choice(language, _mixed(chosen, split), split)
            yield f"tagging.{language.code}", split, tagging(language, tagged, split)
        for language in lexicons[1:] if split == "validation" else ():
            yield f"choice.{language.code}", split, choice(language, _mixed(chosen, split), split)


def _tagged(generator: random.Random, seen: items.Seen, count: int) -> list[tuple[Clause, ...]]:
    """Return sentences of one statement; every third joins it with another one."""
    single = items.statements(generator, seen, count)
    second = items.statements(generator, set(), count)
    second = second[7:] + second[:7]  # another person and another event
    return [(one, two) if i % 3 == 2 else (one,) for i, (one, two) in enumerate(zip(single, second, strict=True))]


def _mixed(drawn: Sequence[T], split: str) -> list[T]:
    """Shuffle items, so that their order does not depend on labels; it is the same for every language."""
    return random.Random(f"order {split}").sample(list(drawn), len(drawn))


def retrieval(lexicons: Sequence[Lexicon]) -> Files:
    """Yield aligned sentences: a foreign one and the English one."""
    clauses = items.statements(random.Random("retrieval"), set(), RETRIEVED)
    english = plain(lexicons[0], clauses)
    for language in lexicons[1:]:
        rows = [{"foreign": f, "english": e} for f, e in zip(plain(language, clauses), english, strict=True)]
        yield f"retrieval.{language.code}", "test", rows


def mining(lexicons: Sequence[Lexicon]) -> Files:
    """Yield two lists of sentences, of which some are translations of each other, and the id pairs of these."""
    splits = ("train", "test")
    clauses = items.statements(random.Random("mining"), set(), len(splits) * (GOLD + 2 * ALONE))
    english = state_all(lexicons[0], clauses)
    for language in lexicons[1:]:
        foreign = state_all(language, clauses)
        for n, split in enumerate(splits):
            order = random.Random(f"mining {split}")
            numbers = order.sample(range(n, len(clauses), len(splits)), len(clauses) // len(splits))
            gold, only_foreign, only_english = numbers[:GOLD], numbers[GOLD : GOLD + ALONE], numbers[GOLD + ALONE :]
            sides = {}
            for code, texts, alone in ((language.code, foreign, only_foreign), ("en", english, only_english)):
                mixed = order.sample(gold + alone, GOLD + ALONE)
                sides[code] = {at: f"{code}-{i:09d}" for i, at in enumerate(mixed, 1)}
                rows = [{"id": sides[code][at], "sentence": texts[at].text} for at in mixed]
                yield f"mining.{language.code}-en.{code}", split, rows
            pairs = [{"source_id": sides[language.code][at], "target_id": sides["en"][at]} for at in gold]
            yield f"mining.{language.code}-en.gold", split, sorted(pairs, key=lambda row: row["source_id"])


def state_all(language: Lexicon, clauses: Sequence[Clause]) -> list[Sentence]:
    """Write every clause as its own sentence."""
    return [state(language, clause) for clause in clauses]


def files() -> Files:
    """Yield every (config, split, rows) of the sample suite."""
    lexicons = [lexicon.get(code) for code in lexicon.CODES]
    check(lexicons)
    for make in (trained, retrieval, mining):
        yield from make(lexicons)


def write(folder: Path) -> list[Path]:
    """Write the repository into a folder laid out like the hub; its card is the README beside this module.

    Raises:
        DataError: a lexicon is incomplete, or two rows of a split are the same.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = []
    configs: dict[str, list[str]] = {}
    for config, split, rows in files():
        contents = [repr({name: value for name, value in row.items() if name != "id"}) for row in rows]
        if len(set(contents)) < len(contents):
            twice = next(row for row in contents if contents.count(row) > 1)
            raise DataError(f"sample {config} {split}: two rows are the same: {twice}")
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
    """Return the front matter of the card, which the hub and ``load_dataset`` read."""
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
