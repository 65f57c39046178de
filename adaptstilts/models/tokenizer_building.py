"""Build ``tokenizer.json`` from a tokenizer's earlier files, as the converters of ``transformers`` do.

They need packages that a plain installation lacks (protobuf), and decide by the class that a config names; here the
name of the file decides, and only the vocabulary and a few settings are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object
from adaptstilts.models import tokenizer_files
from adaptstilts.models.sentencepiece_file import SentencePieces, read_pieces
from adaptstilts.models.tokenizer_files import TokenizerFiles

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LARGEST = 100_000_000  # bytes of a vocabulary
_BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
_BLANK = "▁"

Settings = Mapping[str, Any]


def build(files: TokenizerFiles, target: Path) -> None:
    """Write a ``tokenizer.json``.

    Args:
        files: what it is built from.
        target: the file to write.

    Raises:
        ArtifactError: a file is malformed or of a form that is not supported.
    """
    settings: Settings = {}
    if files.settings:
        settings = read_object(files.settings, "tokenizer config", max_bytes=_LARGEST)
    path = files.paths[0]
    try:
        tokenizer = _BUILDERS[path.name](path, settings)
    except ArtifactError:
        raise
    except Exception as error:  # the library raises its plain Exception for a vocabulary that it does not accept
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{path}: no tokenizer can be built from it ({reason})") from None
    tokenizer.save(str(target), pretty=False)


def _xlmr(path: Path, settings: Settings) -> Tokenizer:
    """Build the tokenizer of XLM-R: fairseq's special tokens come first, and pieces are moved by one."""
    from tokenizers import AddedToken, Regex, normalizers

    vocabulary = read_pieces(path)
    pieces = [(token, 0.0) for token in _ROBERTA_TOKENS] + vocabulary.pieces[3:] + [("<mask>", 0.0)]
    tokenizer = _unigrams(pieces, unknown=3)
    rules = [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), _BLANK)]
    tokenizer.normalizer = normalizers.Sequence([*_character_map(vocabulary), *rules])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in _ROBERTA_TOKENS])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=True)])
    return tokenizer


def _deberta(path: Path, settings: Settings) -> Tokenizer:
    """Build the tokenizer of DeBERTa v2 and v3; a mask that is no piece gets the next number."""
    from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

    vocabulary = read_pieces(path)
    tokenizer = _unigrams(vocabulary.pieces, vocabulary.unknown)
    lower = [normalizers.Lowercase()] if settings.get("do_lower_case", False) else []
    rules = [*lower, normalizers.Strip(), *_character_map(vocabulary), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(rules)
    if settings.get("split_by_punct", False):
        punctuation = pre_tokenizers.Punctuation(behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([punctuation, _metaspace()])
    _add_special(tokenizer, vocabulary)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in _BERT_TOKENS])
    return tokenizer


def _rembert(path: Path, settings: Settings) -> Tokenizer:
    """Build the tokenizer of RemBERT."""
    from tokenizers import AddedToken, Regex, normalizers

    vocabulary = read_pieces(path)
    tokenizer = _unigrams(vocabulary.pieces, vocabulary.unknown)
    rules: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    rules.append(normalizers.Replace(Regex(" {2,}"), " "))
    if not settings.get("keep_accents", True):
        rules += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings.get("do_lower_case", False):
        rules.append(normalizers.Lowercase())
    tokenizer.normalizer = normalizers.Sequence([*rules, *_character_map(vocabulary)])
    _add_special(tokenizer, vocabulary)
    mask = AddedToken("[MASK]", lstrip=True, normalized=False)
    tokenizer.add_special_tokens([*(AddedToken(token, normalized=False) for token in _BERT_TOKENS[:-1]), mask])
    return tokenizer


def _bytes(path: Path, settings: Settings) -> Tokenizer:
    """Build the tokenizer of RoBERTa: byte-level pieces, and the merges that lead to them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    vocabulary = read_object(path, "vocabulary", max_bytes=_LARGEST)
    merges = []
    for line in _lines(path.with_name(tokenizer_files.MERGES)):
        left, blank, right = line.partition(" ")
        if blank and not line.startswith("#version"):
            merges.append((left, right))
    model = models.BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings.get("add_prefix_space", False)))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    special = [AddedToken(token, normalized=False) for token in _ROBERTA_TOKENS if token in vocabulary]
    tokenizer.add_special_tokens([*special, AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def _word_pieces(path: Path, settings: Settings) -> Tokenizer:
    """Build the tokenizer of BERT; unless the settings say so, text is lower-cased if no piece has a capital letter."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = [line.rstrip("\n") for line in _lines(path)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    is_lower = all(piece == piece.lower() for piece in pieces if not piece.startswith("["))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=_BERT_TOKENS[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=settings.get("strip_accents"),
        lowercase=bool(settings.get("do_lower_case", is_lower)),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    special = [token for token in _BERT_TOKENS if token in vocabulary]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


_BUILDERS: Mapping[str, Callable[[Path, Settings], Tokenizer]] = {
    tokenizer_files.XLMR_PIECES: _xlmr,
    tokenizer_files.DEBERTA_PIECES: _deberta,
    tokenizer_files.REMBERT_PIECES: _rembert,
    tokenizer_files.BYTES: _bytes,
    tokenizer_files.WORD_PIECES: _word_pieces,
}


def _unigrams(pieces: list[tuple[str, float]], unknown: int) -> Tokenizer:
    """Return a unigram tokenizer whose pieces begin with a mark for a blank, as those of sentencepiece."""
    from tokenizers import Tokenizer, decoders, models

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = _metaspace()
    tokenizer.decoder = decoders.Metaspace(replacement=_BLANK, prepend_scheme="always")
    return tokenizer


def _metaspace() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Metaspace(replacement=_BLANK, prepend_scheme="always")


def _character_map(vocabulary: SentencePieces) -> list[Any]:
    from tokenizers import normalizers

    return [normalizers.Precompiled(vocabulary.character_map)] if vocabulary.character_map else []


def _add_special(tokenizer: Tokenizer, vocabulary: SentencePieces) -> None:
    """Add the control tokens of a vocabulary, and the tokens that its user defined, which are no special ones."""
    from tokenizers import AddedToken

    for number in vocabulary.special:
        is_control = number in vocabulary.control
        tokenizer.add_tokens([AddedToken(vocabulary.pieces[number][0], normalized=False, special=is_control)])


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file.

    Raises:
        ArtifactError: it is too large or not UTF-8.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable vocabulary ({error})") from None
