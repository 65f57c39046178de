"""The tokenizer: a sentencepiece unigram model over all languages, written as a fast tokenizer of the XLM-R family."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError, ResourceError
from adaptstilts.pretrain.recipe import Vocabulary

BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
SMOOTHING = 0.5


def drawn(sentences: Mapping[str, Sequence[str]], total: int) -> list[str]:
    """Sentences for training: of each language in proportion to the square root of what it has."""
    weight = {code: len(found) ** SMOOTHING for code, found in sentences.items() if found}
    chosen: list[str] = []
    for code in sorted(weight):
        wanted = min(len(sentences[code]), round(total * weight[code] / sum(weight.values())))
        chosen += random.Random(f"vocabulary-{code}").sample(list(sentences[code]), wanted)
    return chosen


def train(sentences: Sequence[str], settings: Vocabulary, longest: int, folder: Path) -> None:
    """Train the tokenizer and write its files, which ``transformers`` reads too.

    Kudo 2018, arXiv 1804.10959, in sentencepiece's implementation; one thread, so that the pieces are the same again.

    Args:
        sentences: cleaned (NFKC, single blanks).
        settings: size and coverage.
        longest: what ``model_max_length`` says, in tokens.
        folder: gets ``tokenizer.json``, ``tokenizer_config.json`` and ``special_tokens_map.json``.

    Raises:
        ResourceError: sentencepiece is not installed.
        DataError: the text is too small for the size.
    """
    try:
        import sentencepiece
    except ImportError:
        raise ResourceError("training a tokenizer needs sentencepiece; install adaptstilts[pretrain]") from None
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="unigram",
            vocab_size=settings.size - len(SPECIAL) - 1 + 3,
            character_coverage=settings.coverage,
            normalization_rule_name="identity",
            num_threads=1,
            max_sentence_length=16384,
            train_extremely_large_corpus=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(f"the tokenizer cannot be trained on this text ({str(error).splitlines()[0]})") from None
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    learned = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(3, pieces.get_piece_size())]
    _write(learned, longest, folder)


def _write(learned: Sequence[tuple[str, float]], longest: int, folder: Path) -> None:
    import tokenizers
    from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = [(token, 0.0) for token in SPECIAL] + list(learned) + [(MASK, 0.0)]
    found = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN, byte_fallback=False))
    found.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    found.decoder = decoders.Metaspace()
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", BEGIN), ("</s>", END)],
    )
    found.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    found.add_special_tokens([AddedToken(MASK, lstrip=True, normalized=False)])
    folder.mkdir(parents=True, exist_ok=True)
    found.save(str(folder / "tokenizer.json"), pretty=False)
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    names |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": MASK}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, **names}
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", names)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
