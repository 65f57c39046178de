"""A corpus phase: text in; a tokenizer, the tokenized text and counts of omitted text out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adaptstilts.errors import Interrupted
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.pretrain import corpus as texts
from adaptstilts.pretrain import encoded, vocabulary
from adaptstilts.pretrain.corpus import Corpus
from adaptstilts.pretrain.plan import CorpusPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries


def corpus(phase: CorpusPhase, runtime: Runtime, staging: Path) -> None:
    """Read, clean and filter the text, train the tokenizer, tokenize; writes the tokenizer, arrays and counts.

    Args:
        phase: names the text and the evaluation sets.
        runtime: reads the data, and says whether to stop.
        staging: folder of the entry's files.

    Raises:
        DataError: see :func:`adaptstilts.pretrain.corpus.read` and :func:`adaptstilts.pretrain.vocabulary.train`.
        Interrupted: the runtime asked to stop, which is checked between two steps; the next run starts over.
    """
    recipe = phase.recipe
    _begin_step(phase, runtime, "reading")
    text = texts.read(phase, runtime.workspace)
    sentences = _by_language(text, recipe.languages)
    _begin_step(phase, runtime, f"tokenizer over {sum(map(len, sentences.values())):,} sentences")
    sample = vocabulary.sample(sentences, recipe.vocabulary.sentences)
    vocabulary.train(sample, recipe.vocabulary, recipe.positions, staging / entries.TOKENIZER)
    _begin_step(phase, runtime, "tokenizing")
    tokenizer = Tokenizer(staging / entries.TOKENIZER)
    tokens: Counter[str] = Counter()
    parts = (("train", entries.TRAIN_TEXT, text.groups), ("held-out", entries.HELD_OUT_TEXT, text.held_out))
    for name, file, groups in parts:
        tokenized = encoded.encode(groups, recipe.languages, tokenizer)
        tokenized.save(staging / file)
        tokens[name] = len(tokenized.tokens)
    entries.CORPUS_RESULT.write(
        staging,
        {
            "languages": list(recipe.languages),
            "rows": dict(text.rows),
            "sentences": {code: len(texts) for code, texts in sentences.items()},
            "groups": len(text.groups),
            "held_out_groups": len(text.held_out),
            "tokens": dict(tokens),
            "removed": {"total": text.removed.total(), **dict(text.removed)},
            "dropped": dict(text.dropped),
            "not_looked_at": list(phase.absent),
        },
    )


def _by_language(text: Corpus, languages: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the training sentences of every language."""
    sentences: dict[str, list[str]] = {code: [] for code in languages}
    for group in text.groups:
        for code, sentence in group.items():
            sentences[code].append(sentence)
    return sentences


def _begin_step(phase: CorpusPhase, runtime: Runtime, doing: str) -> None:
    """Report a step, unless the runtime asks to stop.

    Args:
        phase: the phase that has the step.
        runtime: receives the report.
        doing: description of the step; its first word names it.

    Raises:
        Interrupted: the runtime asked to stop.
    """
    if runtime.stop():
        raise Interrupted(f"{phase.title}: stopped before {doing.split()[0]}; the same command starts the phase over")
    runtime.report(f"{phase.title}: {doing}", 0, 0)
