"""A prediction file beside its label file, and the result of comparing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.leniency import Leniencies
from adaptstilts.io.wording import counted
from adaptstilts.metrics.scores import Metric
from adaptstilts.metrics.xtreme import TaskFormat


@dataclass(frozen=True)
class FileScore:
    """Metrics of one task in one language.

    Attributes:
        metrics: metric -> points.
        n: number of examples.
        notes: remarks for the user.
    """

    metrics: Mapping[str, float]
    n: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilePair:
    """A prediction file and its label file.

    Attributes:
        task: the task that both belong to.
        code: language of both.
        predicted: the prediction file.
        gold: the label file.
        leniencies: where defects that do not prevent a score are noted.
    """

    task: TaskFormat
    code: str
    predicted: Path
    gold: Path
    leniencies: Leniencies

    def check_same_number(self, have: int, want: int, noun: str = "line") -> None:
        """Raise if the files have different numbers of examples.

        Args:
            have: number of predictions.
            want: number of labels.
            noun: what is counted.
        """
        if have != want:
            raise DataError(f"{self.predicted}: expected {counted(want, noun)}, as many as {self.gold}, found {have}")


def file_score(metrics: Mapping[str, Metric], n: int, notes: Sequence[str] = ()) -> FileScore:
    """Return the values of metrics as a score.

    Args:
        metrics: metric -> its statistics.
        n: number of examples.
        notes: remarks for the user.
    """
    return FileScore({name: metric.value for name, metric in metrics.items()}, n, tuple(notes))
