"""The card of a pretrained encoder: what it is, its text and licences, recipe, held-out scores and limits."""

from __future__ import annotations

from typing import Any

from adaptstilts import languages
from adaptstilts.io import markdown
from adaptstilts.pretrain.plan import PretrainPhase
from adaptstilts.pretrain.recipe import Recipe
from adaptstilts.store.contents import CorpusResult, PretrainResult


def card(phase: PretrainPhase, recipe: Recipe, result: PretrainResult, corpus: CorpusResult) -> str:
    """Return the card of an encoder as Markdown with a YAML header.

    Args:
        phase: names the encoder and its shape.
        recipe: names the text and its licences.
        result: what the phase reported.
        corpus: what the corpus phase reported.
    """
    shape = phase.shape
    names = ", ".join(f"{languages.resolve(code).name} ({code})" for code in recipe.languages)
    shares = ", ".join(f"{name} {share:g}" for name, share in shape.objectives.model_dump().items() if share)
    tokens = ", ".join(f"{name} {count:,}" for name, count in result["tokens"].items())
    removed = corpus["removed"]["total"]
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

{_text_table(recipe, corpus)}

{sum(corpus["sentences"].values()):,} sentences were used. {removed:,} were removed because they are in an evaluation
set (exact match without case, punctuation and blanks), together with the translations of the English ones among them.
The dev and test sets of these tasks were searched: {", ".join(recipe.exclude) or "none"};
{len(corpus["not_looked_at"])} of their language parts were not available.

## Recipe

Tokenizer: sentencepiece unigram, {recipe.vocabulary.size:,} pieces. {_start(phase, result)} Then
{shape.steps:,} steps of about {shape.tokens:,} tokens; shares of the steps: {shares}; tokens read: {tokens}; ranking
loss on hidden state {shape.middle}, temperature {shape.temperature:g}; AdamW, learning rate {shape.lr:g} (embeddings
{shape.lr * shape.embedding_lr:g}), linear decay, {result["precision"]}. It took {result["seconds"]:,.0f} seconds.

## Held-out translations

{_held_out(result["held_out"])}
## Limits

It has read a few million tokens, mostly short sentences: it is meant for development, for teaching and for studies of
transfer over model sizes, not for use on people's texts. Errors and biases of its text are in the model, too.
"""


def _text_table(recipe: Recipe, corpus: CorpusResult) -> str:
    rows = []
    for text in recipe.text:
        rows.append((text.source or text.repo, text.licence or "not stated", f"{corpus['rows'][text.repo]:,}"))
    return markdown.table(("collection", "licence", "rows read"), rows)


def _start(phase: PretrainPhase, result: PretrainResult) -> str:
    """Return the sentences on the starting weights."""
    source = "singular vectors of the token-by-aligned-sentence matrix" if phase.shape.svd else "random vectors"
    sentences = f"Embeddings start from {source}."
    for stage in _earlier_stages(result):
        sentences += f" {stage['steps']:,} steps ({stage['seconds']:,.0f} seconds) came before."
    return sentences


def _earlier_stages(result: PretrainResult) -> list[PretrainResult]:
    """Return the stages that an encoder was continued from, the first one first."""
    start = result.get("start")
    return [*_earlier_stages(start), start] if start else []


def _held_out(scores: dict[str, Any]) -> str:
    if not scores:
        return "No text was set aside.\n"
    rows = []
    for code, shares in [*scores["retrieval"].items(), ("mean", scores["mean"])]:
        rows.append((code, *(f"{100 * share:.1f}" for share in shares)))
    header = ("", *map(str, range(len(scores["mean"]))))
    return (
        f"English sentences whose nearest neighbour is their translation, per cent, by hidden state; masked-token loss"
        f" {scores['masked_loss']:.2f}. The best is hidden state {scores['layer']}.\n\n"
        f"{markdown.table(header, rows)}\n"
    )
