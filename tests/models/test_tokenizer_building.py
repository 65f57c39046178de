"""Tokenizers that are built from earlier files give what those of the same model give, characters included."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import model_folders
from support.inputs import WORDS
from support.tiny_encoders import make_tiny_encoder

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures, tokenizer_files
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.models.tokenizer_building import build

TEXTS = [
    "The cat, sat on  the mat.", "", "   leading and  double   blanks ", "Größe Ärger naïve café",
    "猫は座っていました。", "นี่คือประโยคภาษาไทย", "هذه جملة باللغة العربية", "ﬁne ＡＢＣ １２３ ①",
    "emoji 🎉 and \u200d joiner", "tab\tand\nnewline",
    "<s> a <mask> b </s>", "the dog [MASK] runs [SEP]", "`` quoted '' words",
]  # fmt: skip


def built(folder: Path, architecture: str, target: Path) -> Tokenizer:
    """Build the tokenizer of a folder."""
    files = tokenizer_files.find(folder)
    assert files.is_built
    target.mkdir()
    build(files, target / "tokenizer.json")
    return Tokenizer(target, architectures.get(architecture))


def check_equal(ours: Tokenizer, theirs: Tokenizer, texts: list[str] = TEXTS) -> None:
    assert ours.spans(texts) == theirs.spans(texts)
    assert ours.words(WORDS) == theirs.words(WORDS)
    assert (ours.begin, ours.end, ours.pad, ours.unknown, ours.mask, ours.size) == (
        theirs.begin, theirs.end, theirs.pad, theirs.unknown, theirs.mask, theirs.size
    )  # fmt: skip


def test_sentence_pieces_of_xlmr(shared: Path, tmp_path: Path) -> None:
    mini, folder = shared / "models" / "mini", tmp_path / "mini"
    folder.mkdir()
    shutil.copy(mini / "sentencepiece.bpe.model", folder)
    check_equal(built(folder, "xlm-roberta", tmp_path / "built"), Tokenizer(mini))


@pytest.mark.parametrize("lower", [True, False])
def test_word_pieces_of_bert(tmp_path: Path, lower: bool) -> None:
    from transformers import BertTokenizerFast

    folder = tmp_path / "bert"
    folder.mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz.,!?", "##s", "##un"]
    pieces += [] if lower else ["The", "Gr", "##öße"]
    pieces = list(dict.fromkeys(pieces))
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab_file=folder / "vocab.txt", do_lower_case=lower).save_pretrained(tmp_path / "theirs")
    ours, theirs = built(folder, "bert", tmp_path / "built"), Tokenizer(tmp_path / "theirs", architectures.get("bert"))
    check_equal(ours, theirs)
    assert ours.ids(["The"]) == [[pieces.index("the" if lower else "The")]]
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": not lower}))
    assert built(folder, "bert", tmp_path / "other").ids(["The"]) != ours.ids(["The"])


def test_byte_level_pieces_of_roberta(tmp_path: Path) -> None:
    folder = make_tiny_encoder(tmp_path / "roberta", "roberta", num_hidden_layers=1)
    theirs = Tokenizer(folder, architectures.get("roberta"))
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = [" ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    texts = [text for text in TEXTS if "<mask>" not in text]
    check_equal(built(folder, "roberta", tmp_path / "built"), theirs, texts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains a sentencepiece model with special tokens as DeBERTa and RemBERT have them."""
    spm = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text").write_text("\n".join([" ".join(WORDS), *TEXTS] * 30), encoding="utf-8")

    def train(name: str, **settings: Any) -> Path:
        target = folder / name / name
        target.parent.mkdir()
        spm.SentencePieceTrainer.train(
            input=str(folder / "text"), model_prefix=str(target), vocab_size=150, character_coverage=1.0,
            hard_vocab_limit=False, minloglevel=2, **settings,
        )  # fmt: skip
        return target.with_suffix(".model")

    return train


BERT_IDS = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
BERT_PIECES = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}


@pytest.mark.parametrize("architecture", ["deberta-v2", "rembert"])
def test_sentence_pieces_of_deberta_and_rembert(
    trained: Callable[..., Path], tmp_path: Path, architecture: str
) -> None:
    import transformers

    is_deberta = architecture == "deberta-v2"
    more = {} if is_deberta else {"user_defined_symbols": ["[MASK]"]}
    path = trained(architecture, **BERT_IDS, **BERT_PIECES, **more)
    path = path.rename(path.with_name("spm.model" if is_deberta else "sentencepiece.model"))
    ours = built(path.parent, architecture, tmp_path / "built")
    name = "DebertaV2Tokenizer" if is_deberta else "RemBertTokenizer"
    theirs = getattr(transformers, name)(str(path), keep_accents=True)
    texts = [text for text in TEXTS if "[" not in text and "\n" not in text]
    if not is_deberta:  # the fast tokenizer of RemBERT keeps a blank at the end and joins quotes, unlike this slow one
        texts = [text.rstrip() for text in texts if "``" not in text]
    assert ours.ids(texts) == [theirs(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert ours.mask == theirs.mask_token_id


def test_a_folder_with_nothing_but_earlier_files_is_the_same_model(tmp_path: Path) -> None:
    folder = model_folders.make_bert(tmp_path / "bert")
    expected = Tokenizer(folder, architectures.get("bert"))
    (folder / "tokenizer.json").unlink()
    model = locate(str(folder), cache=tmp_path / "cache")
    assert model.tokenizer_folder.parent == tmp_path / "cache"
    check_equal(Tokenizer(model.tokenizer_folder, model.architecture), expected)
    assert locate(str(folder), cache=tmp_path / "cache").fingerprint == model.fingerprint
    (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text().replace("cat\n", "cow\n"))
    assert locate(str(folder), cache=tmp_path / "cache").fingerprint.tokenizer != model.fingerprint.tokenizer


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("sentencepiece.bpe.model", b"", "its unknown token is not in the vocabulary"),
        ("sentencepiece.bpe.model", b"\x0a\xff\xff\xff\x7f", "it ends within a field"),
        ("sentencepiece.bpe.model", b"\x80" * 20, "a number is too long"),
        ("spm.model", b"{}", "not a readable sentencepiece model"),
        ("sentencepiece.model", b"\x12\x02\x18\x02", "expected a unigram model"),
        ("vocab.txt", b"\xff\xfe", "not a readable vocabulary"),
        ("vocab.txt", b"a\nb\n", r"the tokenizer has no \[CLS\] token"),
    ],
)
def test_files_that_no_tokenizer_can_be_built_from(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    folder = model_folders.make_bert(tmp_path / "bert")
    model_folders.remove(folder, "tokenizer.json", "vocab.txt")
    (folder / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=words) as caught:
        locate(str(folder), cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)
