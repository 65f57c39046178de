"""Tokenizers of every family, in six scripts: words have pieces, and tokens have the characters of answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from adaptstilts.models import architectures
from adaptstilts.models.tokenizer import Tokenizer

ANSWERS = [  # a text, and an answer in it
    ("The Broncos won Super Bowl 50 (2016) in Santa Clara.", "2016"),
    ("Команда из Денвера победила со счётом 24:10 в 2016 году.", "счётом 24:10"),
    ("فاز فريقُ دنفر في المباراةِ عام 2016.", "المباراةِ"),
    ("डेनवर ने फ़रवरी में हिन्दी में मैच जीता।", "हिन्दी"),
    ("ทีมเดนเวอร์ชนะที่นี่ในปี 2559", "ที่นี่"),
    ("丹佛野马队在２０１６年以 24 次擒杀获胜。", "24 次"),
]
TEXTS = [text for text, _ in ANSWERS]
BERT = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
XLMR = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
GEMMA = ("<bos>", "<pad>", "<eos>", "<unk>", "<mask>")


def word_pieces(lower: bool) -> Library:
    tokenizer = Library(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return trained(tokenizer, trainers.WordPieceTrainer(vocab_size=300, special_tokens=[*BERT], show_progress=False))


def byte_pieces() -> Library:
    tokenizer = Library(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[*XLMR], initial_alphabet=letters, show_progress=False)
    return trained(tokenizer, trainer)


def unigrams(special: tuple[str, ...], *normalizer: normalizers.Normalizer) -> Library:
    tokenizer = Library(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([*normalizer, normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250, special_tokens=[*special], unk_token=special[3], show_progress=False
    )
    return trained(tokenizer, trainer)


def blanks_replaced() -> Library:
    tokenizer = Library(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=[*GEMMA], max_token_length=8, show_progress=False)
    return trained(tokenizer, trainer)


def trained(tokenizer: Library, trainer: trainers.Trainer) -> Library:
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


FAMILIES: dict[str, tuple[str, Callable[[], Library]]] = {
    "cased word pieces": ("bert", lambda: word_pieces(lower=False)),
    "word pieces in lower case": ("bert", lambda: word_pieces(lower=True)),
    "bytes": ("roberta", byte_pieces),
    "unigrams of XLM-R": ("xlm-roberta", lambda: unigrams(XLMR)),
    "unigrams of DeBERTa": ("deberta-v2", lambda: unigrams(BERT, normalizers.Strip())),
    "blanks replaced": ("modernbert", blanks_replaced),
}


@pytest.fixture(params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> Tokenizer:
    architecture, make = FAMILIES[request.param]
    make().save(str(tmp_path / "tokenizer.json"))
    return Tokenizer(tmp_path, architectures.get(architecture))


def test_every_word_has_a_first_piece_that_is_known(tokenizer: Tokenizer) -> None:
    words = " ".join(TEXTS).split()
    pieces = tokenizer.words(words)
    assert len(pieces) == len(words)
    assert [word for word, ids in zip(words, pieces, strict=True) if not ids or ids[0] == tokenizer.unknown] == []


@pytest.mark.parametrize(("text", "answer"), ANSWERS)
def test_the_tokens_of_an_answer_have_its_characters(tokenizer: Tokenizer, text: str, answer: str) -> None:
    ((ids, spans),) = tokenizer.spans([text])
    assert len(ids) == len(spans)
    begin = text.index(answer)
    end = begin + len(answer)
    inside = [(first, after) for first, after in spans if first < end and after > begin]
    covered = {at for first, after in inside for at in range(first, after)}
    visible = {at for at in range(begin, end) if not text[at].isspace()}
    assert visible <= covered
    assert len(spans) > len(inside), "tokens of the rest of the text are not of the answer"
