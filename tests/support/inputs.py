"""Small inputs: a tiny encoder with a tokenizer of its own, a data root laid out like the hub, a study."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = "a the cat dog sun tree river stone bird house runs sees likes eats red old new good not and of in".split()


def ordered(vocabulary: list[tuple[str, float]], special: int) -> list[tuple[str, float]]:
    """Return a trained vocabulary in one order: training leaves pieces of one score in the order of a random hash."""
    pieces = [(piece, round(score, 6)) for piece, score in vocabulary]
    return [*pieces[:special], *sorted(pieces[special:], key=lambda entry: (-entry[1], entry[0]))]


def make_encoder(folder: Path, seed: int, hidden: int = 32, layers: int = 4) -> Path:
    """Write a tiny encoder that loads like a real one."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import XLMRobertaConfig, XLMRobertaModel

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS), "Was? Где? 什么 answer question . , !"] * 20, trainer)
    folder.mkdir(parents=True)
    saved = json.loads(tokenizer.to_str())
    saved["model"]["vocab"] = ordered(saved["model"]["vocab"], len(special))
    (folder / "tokenizer.json").write_text(json.dumps(saved), encoding="utf-8")
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=130,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        type_vocab_size=1,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )
    model = XLMRobertaModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def sentence(generator: random.Random, words: int = 5) -> str:
    """Return a few random words."""
    return " ".join(generator.choice(WORDS) for _ in range(generator.randint(2, words)))


def write_split(root: Path, repo: str, config: str, split: str, rows: list[dict[str, Any]]) -> Path:
    """Write one split as parquet where the hub's layout has it."""
    path = root / repo / config / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def make_data(root: Path, seed: int = 1) -> Path:
    """Write a data root with MNLI, XNLI, UD-POS, SQuAD, XQuAD, Social IQa, COPA, XCOPA and Tatoeba in their schemas."""
    generator = random.Random(seed)
    labels = ["entailment", "neutral", "contradiction"]

    def pair(label: Any) -> dict[str, Any]:
        first = sentence(generator, 8)
        second = first if label in (0, "entailment") else sentence(generator, 8)
        return {"premise": first, "hypothesis": second, "label": label}

    for split, n in (("train", 60), ("validation_matched", 24), ("validation_mismatched", 24)):
        write_split(root, "nyu-mll/glue", "mnli", split, [{**pair(i % 3), "idx": i} for i in range(n)])
    for split in ("validation", "test"):
        rows = []
        for code in ("en", "de", "zh"):
            for i in range(18):
                row = pair(labels[i % 3])
                rows.append(
                    {
                        "language": code,
                        "sentence1": row["premise"],
                        "sentence2": row["hypothesis"],
                        "gold_label": row["label"],
                    }
                )
        write_split(root, "google/xtreme", "XNLI", split, rows)
    for name, splits in (("English", ("train", "validation", "test")), ("German", ("validation", "test"))):
        for split in splits:
            rows = []
            for _ in range(30 if split == "train" else 12):
                tokens = sentence(generator, 7).split()
                rows.append({"tokens": tokens, "pos_tags": [WORDS.index(token) % 17 for token in tokens]})
            write_split(root, "google/xtreme", f"udpos.{name}", split, rows)
    for repo, config, split, n in (
        ("rajpurkar/squad", "plain_text", "train", 20),
        ("rajpurkar/squad", "plain_text", "validation", 8),
        ("google/xtreme", "XQuAD.en", "validation", 8),
        ("google/xtreme", "XQuAD.de", "validation", 8),
    ):
        rows = []
        for i in range(n):
            words = sentence(generator, 20).split()
            at = generator.randrange(len(words))
            start = len(" ".join([*words[:at], ""])) if at else 0
            answers = {"text": [words[at]], "answer_start": [start]}
            rows.append({"id": f"q{i}", "question": f"the {words[at]}", "context": " ".join(words), "answers": answers})
        write_split(root, repo, config, split, rows)
    for split, n in (("train", 24), ("validation", 12)):
        rows = []
        for i in range(n):
            answers = {f"answer{letter}": sentence(generator) for letter in "ABC"}
            rows.append({"context": sentence(generator), "question": "Was?", **answers, "label": str(i % 3 + 1)})
        write_split(root, "allenai/social_i_qa", "default", split, rows)

    def copa(i: int) -> dict[str, Any]:
        choices = {"choice1": sentence(generator), "choice2": sentence(generator)}
        question = ("cause", "effect")[i % 2]
        return {"premise": sentence(generator), **choices, "question": question, "idx": i, "label": i // 2 % 2}

    for split, n in (("train", 20), ("validation", 12)):
        write_split(root, "aps/super_glue", "copa", split, [copa(i) for i in range(n)])
    for code in ("id", "zh"):
        write_split(root, "cambridgeltl/xcopa", code, "test", [copa(i) for i in range(12)])
    for iso3 in ("deu", "cmn"):
        rows = []
        for i in range(20):
            english = f"{WORDS[i]} {sentence(generator)}"
            row = {"source_sentence": english.upper() + "\n", "target_sentence": english + "\n"}
            rows.append({**row, "source_lang": iso3, "target_lang": "eng"})
        write_split(root, "google/xtreme", f"tatoeba.{iso3}", "validation", rows)
    return root


STUDY: dict[str, Any] = {
    "name": "toy",
    "intermediates": ["none", "mnli", "social_i_qa"],
    "targets": ["xnli", "udpos", "xcopa", "tatoeba"],
    "methods": ["full", {"kind": "bottleneck", "reduction": 4}, {"kind": "lora", "rank": 2}],
    "missing": "skip",
    "swap": "all",
    "train": {"epochs": 2, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
    "retrieve": {"max_length": 48},
}
