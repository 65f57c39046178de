"""The tokenizer: a sentencepiece unigram model over all languages, written as a fast tokenizer of the XLM-R family."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from adaptstilts.errors import DataError, ResourceError
from adaptstilts.io.json import write_json
from adaptstilts.models.architectures import PRETRAINED
from adaptstilts.pretrain.recipe import Vocabulary

FORMAT = PRETRAINED.text_format
BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = (FORMAT.begin, FORMAT.pad, FORMAT.end, FORMAT.unknown)  # by their ids
BETWEEN = [SPECIAL.index(token) for token in FORMAT.between]
MASK = FORMAT.mask
SMOOTHING = 0.5  # a language's share grows with this power of its number of sentences
SENTENCEPIECE_SPECIAL = 3  # tokens of its own, which are not written


def sample(sentences: Mapping[str, Sequence[str]], total: int) -> list[str]:
    """Draw the sentences that the tokenizer is trained on.

    Args:
        sentences: language -> all its sentences.
        total: number of sentences to draw; a language gets a share by the square root of what it has.
    """
    weights = {code: len(texts) ** SMOOTHING for code, texts in sentences.items() if texts}
    chosen: list[str] = []
    for code in sorted(weights):
        count = min(len(sentences[code]), round(total * weights[code] / sum(weights.values())))
        chosen += random.Random(f"vocabulary-{code}").sample(list(sentences[code]), count)
    return chosen


def train(sentences: Sequence[str], settings: Vocabulary, max_length: int, folder: Path) -> None:
    """Train the tokenizer and write its files, which ``transformers`` reads too.

    Kudo 2018, arXiv 1804.10959, in sentencepiece's implementation; one thread, so that the pieces are the same again.

    Args:
        sentences: cleaned (NFKC, single blanks).
        settings: size and coverage.
        max_length: what ``model_max_length`` says, in tokens.
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
            vocab_size=settings.size - len(SPECIAL) - 1 + SENTENCEPIECE_SPECIAL,
            character_coverage=settings.coverage,
            normalization_rule_name="identity",
            num_threads=1,
            max_sentence_length=16384,
            train_extremely_large_corpus=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"the tokenizer cannot be trained on this text ({reason}); give more text or a smaller vocabulary.size"
        ) from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    numbers = range(SENTENCEPIECE_SPECIAL, processor.get_piece_size())
    _write([(processor.id_to_piece(i), processor.get_score(i)) for i in numbers], max_length, folder)


def _write(pieces: Sequence[tuple[str, float]], max_length: int, folder: Path) -> None:
    """Write pieces with their scores as a fast tokenizer, special tokens around them."""
    import tokenizers
    from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = [(token, 0.0) for token in SPECIAL] + list(pieces) + [(MASK, 0.0)]
    tokenizer = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FORMAT.begin} $A {FORMAT.end}",
        pair=f"{FORMAT.begin} $A {' '.join(FORMAT.between)} $B {FORMAT.end}",
        special_tokens=[(FORMAT.begin, BEGIN), (FORMAT.end, END)],
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.add_special_tokens([AddedToken(MASK, lstrip=True, normalized=False)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    names = {"bos_token": FORMAT.begin, "cls_token": FORMAT.begin, "eos_token": FORMAT.end, "sep_token": FORMAT.end}
    names |= {"pad_token": FORMAT.pad, "unk_token": FORMAT.unknown, "mask_token": MASK}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length, **names}
    write_json(folder / "tokenizer_config.json", config, indent=1, end="\n")
    write_json(folder / "special_tokens_map.json", names, indent=1, end="\n")
