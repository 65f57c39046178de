"""The peer of the training benchmark: ``AdapterTrainer`` of the ``adapters`` library, with its defaults."""

from __future__ import annotations

import logging
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import LABELS, Size, now
from transformers import TrainerCallback, TrainingArguments, XLMRobertaTokenizerFast


class Turns(TrainerCallback):  # type: ignore[misc]
    """Notes the seconds of each step of the peer, lets the others do one batch, and starts the clock again."""

    def __init__(self, others: Callable[[int], None], device: torch.device) -> None:
        self.others, self.device = others, device
        self.seconds: list[float] = []
        self.steps = 0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.start = now(self.device)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the seconds of the step, unless it is the first, which is the warm-up."""
        seconds = now(self.device) - self.start
        if self.steps:
            self.seconds.append(seconds)
            self.others(self.steps - 1)
        self.steps += 1
        self.start = now(self.device)


@dataclass
class Peer:
    """An ``AdapterTrainer``, and the widths of the batches that it has seen."""

    trainer: Any
    widths: list[int]

    def run(self, others: Callable[[int], None]) -> list[float]:
        """Train, and return the seconds of each step but the first."""
        turns = Turns(others, self.trainer.args.device)
        self.trainer.add_callback(turns)
        self.trainer.train()
        return turns.seconds


def make_peer(size: Size, work: Path, features: Sequence[Any], device: str) -> Peer:
    """Return the peer with a new adapter and head, on the same token ids as ours.

    Args:
        size: batch size and number of steps.
        work: folder with the model.
        features: rows of our training phase.
        device: torch device.
    """
    from adapters import AdapterTrainer, AutoAdapterModel
    from transformers.trainer_callback import PrinterCallback

    for name in ("transformers", "adapters"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.manual_seed(1)
    model = AutoAdapterModel.from_pretrained(str(work / "model"))
    model.add_classification_head("mnli", num_labels=len(LABELS))
    model.add_adapter("mnli", config="seq_bn")
    model.train_adapter("mnli")
    arguments = TrainingArguments(
        output_dir=str(work / "peer"),
        per_device_train_batch_size=size.batch,
        max_steps=1 + size.rounds * size.batches,
        use_cpu=device == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    rows = [{"input_ids": f.sequences[0], "labels": f.target} for f in features]
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
    tokenizer = XLMRobertaTokenizerFast(tokenizer_file=str(work / "model" / "tokenizer.json"))
    trainer = AdapterTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    return Peer(trainer, _note_widths(trainer))


def _note_widths(trainer: Any) -> list[int]:
    widths: list[int] = []
    collate = trainer.data_collator

    def noting(rows: list[Any]) -> Any:
        batch = collate(rows)
        widths.append(int(batch["input_ids"].shape[1]))
        return batch

    trainer.data_collator = noting
    return widths


def random_width(lengths: Sequence[int], batch: int) -> float:
    """Return the mean width of batches in random order, over many orders.

    Args:
        lengths: tokens of each row.
        batch: rows of a batch.
    """
    generator = random.Random(3)
    return statistics.mean(max(generator.sample(list(lengths), batch)) for _ in range(4000))
