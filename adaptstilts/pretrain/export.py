"""Encoders as folders for people: half-precision weights, tokenizer, a record and a card of how they were made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptstilts import languages
from adaptstilts.errors import ConfigError
from adaptstilts.io import markdown
from adaptstilts.io.folders import publishing
from adaptstilts.io.json import write_json
from adaptstilts.models.locate import WEIGHTS
from adaptstilts.pretrain.recipe import PretrainPhase, PretrainPlan, Recipe
from adaptstilts.store import entries
from adaptstilts.store.entries import CorpusResult
from adaptstilts.store.store import Store

CARD = "README.md"
HISTORY = "pretraining.json"


def export(plan: PretrainPlan, store: Store, folder: Path) -> Iterator[Path]:
    """Write every encoder of a finished plan to ``folder/<name>``, replacing an earlier export; yields the folders.

    Raises:
        ConfigError: a folder of that name is there and is no export.
    """
    for name in plan.encoders:
        if (folder / name).exists() and not (folder / name / HISTORY).is_file():
            raise ConfigError(f"{folder / name} is there and holds no {HISTORY}: it is not replaced; export elsewhere")
    corpus = entries.CORPUS_RESULT.read(store.entry(plan.corpus.key))
    for name, phase in plan.encoders.items():
        entry = store.entry(phase.key)
        target = folder / name
        with publishing(target, replace=True) as staging:
            shutil.copytree(entry.folder / entries.ENCODER, staging, dirs_exist_ok=True)
            _halve(staging / WEIGHTS)
            result = {"name": name, **entries.PRETRAIN_RESULT.read(entry)}
            write_json(staging / HISTORY, result, indent=1, allow_nan=True, end="\n")
            text = card(phase, plan.recipe, result, corpus)
            (staging / CARD).write_text(text, encoding="utf-8")
        yield target


def _halve(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    held = {key: value.half() for key, value in load_file(str(path)).items()}
    save_file(held, str(path), metadata={"format": "pt"})


def _earlier(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages that an encoder was continued from, the first one first."""
    start = result.get("start")
    return [*_earlier(start), start] if start else []


def card(phase: PretrainPhase, recipe: Recipe, result: dict[str, Any], corpus: CorpusResult) -> str:
    """The card of an encoder: what it is, text and licences, recipe, held-out scores, limits."""
    shape = phase.shape
    names = ", ".join(f"{languages.resolve(code).name} ({code})" for code in recipe.languages)
    shares = ", ".join(f"{name} {share:g}" for name, share in shape.objectives.model_dump().items() if share)
    tokens = ", ".join(f"{name} {count:,}" for name, count in result["tokens"].items())
    rows = [(t.source or t.repo, t.licence or "not stated", f"{corpus['rows'][t.repo]:,}") for t in recipe.text]
    text = markdown.table(("collection", "licence", "rows read"), rows)
    removed = corpus["removed"]["total"]
    starts = "singular vectors of the token-by-aligned-sentence matrix" if shape.svd else "random vectors"
    begun = f"Embeddings start from {starts}."
    for stage in _earlier(result):
        begun += f" {stage['steps']:,} steps ({stage['seconds']:,.0f} seconds) came before."
    return f"""---
language: [{", ".join(recipe.languages)}]
library_name: transformers
pipeline_tag: fill-mask
---
# {phase.name}

A small multilingual masked language model with the architecture of XLM-R: {shape.layers} layers, hidden size
{shape.hidden}, {shape.heads} heads, {result["parameters"]:,} parameters without the language-model head, inputs of up
to {phase.positions} tokens, half-precision weights. `AutoModel`, `AutoModelForMaskedLM` and `AutoTokenizer` of
transformers load it.

Languages: {names}.

## Text

{text}

{sum(corpus["sentences"].values()):,} sentences were used. {removed:,} were removed because an evaluation set has them
(exact match without case, punctuation and blanks; with an English sentence go its translations). Looked at were the
dev and test sets of: {", ".join(recipe.exclude) or "none"}; {len(corpus["not_looked_at"])} of their language parts were
not at hand.

## Recipe

Tokenizer: sentencepiece unigram, {recipe.vocabulary.size:,} pieces. {begun} Then
{shape.steps:,} steps of about {shape.tokens:,} tokens; shares of the steps: {shares}; tokens read: {tokens}; ranking
loss on hidden state {shape.middle}, temperature {shape.temperature:g}; AdamW, learning rate {shape.lr:g} (embeddings
{shape.lr * shape.embedding_lr:g}), linear decay, {result["precision"]}. It took {result["seconds"]:,.0f} seconds.

## Held-out translations

{_held_out(result["held_out"])}
## Limits

It has read a few million tokens, mostly short sentences: it is for development, teaching and for studies of transfer
over model sizes, not for use on people's texts. Whatever is wrong or biased in its text is in the model too.
"""


def _held_out(held: dict[str, Any]) -> str:
    if not held:
        return "None were kept aside.\n"
    per_language = [*held["retrieval"].items(), ("mean", held["mean"])]
    rows = [(code, *(f"{100 * value:.1f}" for value in row)) for code, row in per_language]
    header = ("", *map(str, range(len(held["mean"]))))
    return (
        f"English sentences whose nearest neighbour is their translation, per cent, by hidden state; masked-token loss"
        f" {held['masked_loss']:.2f}. Best is hidden state {held['layer']}.\n\n{markdown.table(header, rows)}\n"
    )
