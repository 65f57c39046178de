"""A corpus phase: text in; a tokenizer, the tokenized text and the counts of what was left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adaptstilts.errors import Interrupted
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.pretrain import corpus as texts
from adaptstilts.pretrain import encoded, vocabulary
from adaptstilts.pretrain.recipe import CorpusPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries
from adaptstilts.store.entries import CorpusResult


def corpus(phase: CorpusPhase, runtime: Runtime, staging: Path) -> None:
    """Read, clean, exclude, train the tokenizer, tokenize; writes ``tokenizer/``, the arrays and ``result.json``.

    Raises:
        DataError: see :func:`adaptstilts.pretrain.corpus.read` and :func:`adaptstilts.pretrain.vocabulary.train`.
        Interrupted: asked to stop, heard between two of these steps; the next run begins anew.
    """
    recipe = phase.recipe
    _step(phase, runtime, "reading")
    found = texts.read(phase, runtime.workspace)
    sentences: dict[str, list[str]] = {code: [] for code in recipe.languages}
    for group in found.groups:
        for code, sentence in group.items():
            sentences[code].append(sentence)
    _step(phase, runtime, f"tokenizer over {sum(map(len, sentences.values())):,} sentences")
    drawn = vocabulary.drawn(sentences, recipe.vocabulary.sentences)
    vocabulary.train(drawn, recipe.vocabulary, recipe.positions, staging / entries.TOKENIZER)
    tokenizer = Tokenizer(staging / entries.TOKENIZER)
    _step(phase, runtime, "tokenizing")
    tokens: Counter[str] = Counter()
    parts = (("train", entries.TRAIN_TEXT, found.groups), ("held-out", entries.HELD_OUT_TEXT, found.held_out))
    for name, file, groups in parts:
        made = encoded.encode(groups, recipe.languages, tokenizer)
        made.save(staging / file)
        tokens[name] = len(made.tokens)
    result: CorpusResult = {
        "languages": list(recipe.languages),
        "rows": dict(found.rows),
        "sentences": {code: len(own) for code, own in sentences.items()},
        "groups": len(found.groups),
        "held_out_groups": len(found.held_out),
        "tokens": dict(tokens),
        "removed": {"total": found.removed.total(), **dict(found.removed)},
        "dropped": dict(found.dropped),
        "not_looked_at": list(phase.absent),
    }
    entries.CORPUS_RESULT.write(staging, result)


def _step(phase: CorpusPhase, runtime: Runtime, doing: str) -> None:
    if runtime.stop():
        raise Interrupted(f"{phase.title}: stopped before {doing.split()[0]}; the same command begins it anew")
    runtime.report(f"{phase.title}: {doing}", 0, 0)
