"""A tiny encoder of every architecture of the package: random weights, and a tokenizer of the architecture's kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.inputs import WORDS, make_encoder

_BERT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
_CONFIGS: Mapping[str, tuple[str, str | None, dict[str, Any]]] = {  # model type -> config and model class, settings
    "bert": ("BertConfig", "BertForMaskedLM", {**_BERT, "max_position_embeddings": 64}),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", {**_BERT, "max_position_embeddings": 66, "type_vocab_size": 1}),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        {"dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64},
    ),
    "electra": ("ElectraConfig", "ElectraForMaskedLM", {**_BERT, "embedding_size": 16, "max_position_embeddings": 64}),
    "rembert": (
        "RemBertConfig",
        "RemBertForMaskedLM",
        {**_BERT, "input_embedding_size": 16, "output_embedding_size": 24, "max_position_embeddings": 64},
    ),
    "deberta-v2": (
        "DebertaV2Config",
        "DebertaV2ForMaskedLM",
        {
            **_BERT,
            "max_position_embeddings": 64,
            "relative_attention": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "pos_att_type": "p2c|c2p",
            "type_vocab_size": 0,
        },
    ),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertForMaskedLM",
        {**_BERT, "max_position_embeddings": 64, "local_attention": 8, "reference_compile": False},
    ),
    "xlm-roberta-xl": (
        "XLMRobertaXLConfig",
        "XLMRobertaXLForMaskedLM",
        {**_BERT, "max_position_embeddings": 66, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
    ),
}
NAMES = tuple(_CONFIGS)
_BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
TEXTS = [" ".join(WORDS), "Was? Где? 什么 answer question . , !"]


def make_tiny_encoder(folder: Path, name: str, **settings: Any) -> Path:
    """Write a tiny encoder, with the heads that a masked language model of ``transformers`` has.

    Args:
        folder: where the files go.
        name: model type.
        **settings: fields of the config.
    """
    import torch
    import transformers

    folder.mkdir(parents=True)
    special = _TOKENIZERS[name](folder)
    size = len(_vocabulary(folder))
    config_class, model_class, sizes = _CONFIGS[name]
    config = getattr(transformers, config_class)(**{**sizes, **special, **settings, "vocab_size": size})
    config._attn_implementation = "eager"
    torch.manual_seed(3)
    model = getattr(transformers, str(model_class))(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
            elif key.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def _vocabulary(folder: Path) -> Mapping[str, int]:
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    return vocabulary


def _word_pieces(folder: Path) -> dict[str, int]:
    write_word_pieces(folder)
    return {"pad_token_id": 0}


def write_word_pieces(folder: Path) -> int:
    """Write a tokenizer of word pieces as BERT has it; return how many there are."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    letters = sorted(set("".join(WORDS)))
    pieces = [*_BERT_TOKENS, *WORDS, *letters, *(f"##{letter}" for letter in letters), *"?.,!"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(_BERT_TOKENS))
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(vocabulary)


def _bytes(folder: Path, tokens: tuple[str, ...]) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def _bytes_of_roberta(folder: Path) -> dict[str, int]:
    _bytes(folder, _ROBERTA_TOKENS)
    return {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}


def _bytes_of_modernbert(folder: Path) -> dict[str, int]:
    _bytes(folder, _BERT_TOKENS)
    return {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


def _unigrams_of_xlmr(folder: Path) -> dict[str, int]:
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as other:
        made = make_encoder(Path(other) / "tiny", seed=1)
        shutil.copy(made / "tokenizer.json", folder)
    return {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}


def _unigrams_of_deberta(folder: Path) -> dict[str, int]:
    _unigrams_of_xlmr(folder)
    path = folder / "tokenizer.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    names = dict(zip(_ROBERTA_TOKENS, ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), strict=True))
    for entry in saved["model"]["vocab"]:
        entry[0] = names.get(entry[0], entry[0])
    for token in saved["added_tokens"]:
        token["content"] = names[token["content"]]
    path.write_text(json.dumps(saved), encoding="utf-8")
    return {"pad_token_id": 1}


_TOKENIZERS: Mapping[str, Callable[[Path], dict[str, int]]] = {
    "bert": _word_pieces,
    "distilbert": _word_pieces,
    "electra": _word_pieces,
    "rembert": _word_pieces,
    "roberta": _bytes_of_roberta,
    "modernbert": _bytes_of_modernbert,
    "deberta-v2": _unigrams_of_deberta,
    "xlm-roberta-xl": _unigrams_of_xlmr,
}
