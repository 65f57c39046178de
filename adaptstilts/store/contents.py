"""What the JSON files of entries contain."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class TrainResult(TypedDict):
    """What a training phase reports. Phases of several streams have ``streams`` in place of the counts of rows.

    Attributes:
        steps: optimizer steps taken.
        best_step: step whose weights were kept.
        dev: metric -> best value on the dev rows.
        trainable: trained parameters of the encoder part.
        head: trained parameters of the heads.
        streams: stream -> its steps and counts of rows.
        dropped: reason -> rows left out.
        handled: what was done -> number of rows that were changed, such as moved answers.
        language: language of the training rows, if they are a few rows of a test language.
        rows: the numbers of these rows in their split.
    """

    steps: int
    best_step: int
    dev: dict[str, float]
    trainable: int
    head: int
    streams: NotRequired[dict[str, dict[str, Any]]]
    dev_examples: NotRequired[int]
    examples: NotRequired[int]
    examples_in_split: NotRequired[int]
    truncated: NotRequired[int]
    dropped: NotRequired[dict[str, int]]
    handled: NotRequired[dict[str, int]]
    language: NotRequired[str]
    rows: NotRequired[list[int]]


class MergeResult(TypedDict):
    """What a merge phase reports: nothing was trained; one weight for each part."""

    trainable: int
    head: int
    weights: list[float]


class ImportResult(TypedDict):
    """What an import phase reports about somebody else's adapter.

    Attributes:
        format: ``adapterhub``, ``peft`` or ``own``.
        name: name of the adapter in its files.
        file: name of the weights file.
        revision: commit on the hub; None for a local folder.
        tensors: number of tensors.
        trainable: number of parameters.
        notes: remarks for the user.
    """

    format: str
    name: str
    file: str
    revision: str | None
    tensors: int
    trainable: int
    notes: list[str]


class CorpusResult(TypedDict):
    """What a corpus phase reports.

    Attributes:
        rows: repository -> rows read.
        sentences: language -> sentences used.
        groups: groups of translations.
        held_out_groups: groups set aside for evaluation.
        tokens: ``train`` or ``held-out`` -> tokens.
        removed: evaluation set (or ``total``) -> sentences removed because it contains them.
        dropped: reason -> rows left out.
        not_looked_at: evaluation sets that could not be checked, because the data lack them.
    """

    languages: list[str]
    rows: dict[str, int]
    sentences: dict[str, int]
    groups: int
    held_out_groups: int
    tokens: dict[str, int]
    removed: dict[str, int]
    dropped: dict[str, int]
    not_looked_at: list[str]


class PretrainResult(TypedDict):
    """What a pretraining phase reports.

    Attributes:
        tokens: objective -> tokens read.
        parameters: number of parameters of the encoder, without its language-model head.
        removed: as in :class:`CorpusResult`.
        start: the result of the phase that provided the initial weights; None for random weights.
        held_out: scores on sentences that were set aside: ``retrieval``, ``mean``, ``layer``, ``masked_loss``.
    """

    languages: list[str]
    steps: int
    tokens: dict[str, int]
    seconds: float
    cpu_seconds: NotRequired[float]
    peak_bytes: int
    precision: str
    parameters: int
    removed: dict[str, int]
    start: PretrainResult | None
    held_out: dict[str, Any]


class MeasuredCost(TypedDict):
    """Time that a phase took, and for training also speed, peak memory and precision.

    Attributes:
        seconds: wall time.
        cpu_seconds: CPU time of all threads; entries of before version 0.2 lack it, and their ``peak_bytes`` on the CPU
            is that of the process, which also grew with what had run before.
        examples_per_second: by wall time.
        peak_bytes: peak of the tensors: weights, optimizer state, gradients, activations.
        precision: ``fp32`` or ``bf16``.
    """

    seconds: float
    cpu_seconds: NotRequired[float]
    examples_per_second: NotRequired[float]
    peak_bytes: NotRequired[int]
    precision: NotRequired[str]


class EncodingCost(TypedDict):
    """Time to encode the sentences of a retrieve phase; no speed if all vectors were cached."""

    encoding_seconds: float
    encoded_sentences: int
    sentences_per_second: float | None


class Latency(TypedDict):
    """Milliseconds of single rows, by the clock, and their mean CPU milliseconds."""

    p50: float
    p90: float
    p99: float
    cpu: float


class Measured(TypedDict):
    """What a measure phase reports.

    Attributes:
        load_seconds: by the clock, from files to a model that is ready.
        load_cpu_seconds: of the processor.
        load_bytes: memory of the process that loading added.
        peak_bytes: the most memory that the process added while it loaded and ran.
        single: rows one by one.
        rows_per_second: in batches, by the clock.
        cpu_seconds_per_1000: of 1,000 rows in batches.
        flops_per_row: floating-point operations of a row alone, counted.
        joules_per_1000: of 1,000 rows in batches; None where there is no counter.
        rows: how many there are.
        tokens: of all rows.
        load_average: of the machine when it began.
    """

    load_seconds: float
    load_cpu_seconds: float
    load_bytes: int
    peak_bytes: int
    single: Latency
    rows_per_second: float
    cpu_seconds_per_1000: float
    flops_per_row: float
    joules_per_1000: float | None
    rows: int
    tokens: int
    load_average: float


class LanguageScores(TypedDict):
    """Scores of one language, with the facts that belong beside them.

    Attributes:
        values: metric -> points.
        n: examples that were scored.
        rows: examples in the split.
        truncated: examples that lost tokens to the maximum length.
        dropped: reason -> rows left out.
        handled: what was done -> number of rows that were changed.
        differs: column -> number of rows of the split in which it is not what most languages have for the same item.
        in_training: examples whose input is that of a training row, where these are of the same language.
        sentences: sentences encoded (mining).
        unknown_sentences: sentences of which the tokenizer knows no word (retrieval).
        layer: hidden state that sentences were searched by (retrieval).
        threshold: score threshold chosen on dev (mining).
        oracle_threshold: score threshold chosen on the scored rows themselves (mining).
        dev_f1: F1 on dev at that threshold (mining).
        pool: counts of the candidates (ranking).
    """

    values: dict[str, float]
    n: int
    rows: int
    truncated: NotRequired[int]
    dropped: NotRequired[dict[str, int]]
    handled: NotRequired[dict[str, int]]
    differs: NotRequired[dict[str, int]]
    in_training: NotRequired[int]
    sentences: NotRequired[int]
    unknown_sentences: NotRequired[int]
    layer: NotRequired[int]
    threshold: NotRequired[float]
    oracle_threshold: NotRequired[float]
    dev_f1: NotRequired[float]
    pool: NotRequired[dict[str, int]]


class Predictions(TypedDict):
    """Numbers of the examples of one language, and a prediction for each.

    Attributes:
        ids: row numbers of the examples in the split.
        predictions: one for each.
        items: names of the items that the examples are of, which languages may share; absent for most tasks, and in
            entries of 0.1.0.
    """

    ids: list[int]
    predictions: list[Any]
    items: NotRequired[list[str]]


Scores = dict[str, LanguageScores]  # by language
ScoresByLayer = dict[str, dict[str, dict[str, float]]]  # hidden state -> language -> metric -> points
Predictors = dict[str, float | None]  # None if a predictor does not apply
