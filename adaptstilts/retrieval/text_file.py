"""Text files of one sentence per line, of any length: positions of the distinct sentences, without their text."""

from __future__ import annotations

import hashlib
import mmap
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError
from adaptstilts.models import graphemes

Int64 = NDArray[np.int64]
DIGEST_BYTES = 16
LONGEST = 1_000_000  # bytes of a line; the tokens of a longer one take gigabytes


@dataclass(frozen=True)
class SentenceFile:
    """The distinct sentences of a file, in order; of equal ones the first.

    Attributes:
        path: the file.
        sha256: sha256 of its content.
        numbers: (n,) line number of each sentence, from 1.
        offsets: (n,) position of the first byte of that line.
        stamp: size and modification time of the file when it was read.
        total: lines of the file.
        empty: lines without a visible character.
        repeated: lines whose sentence is on an earlier line.
    """

    path: Path
    sha256: str
    numbers: Int64
    offsets: Int64
    stamp: tuple[int, int]
    total: int
    empty: int
    repeated: int

    def __len__(self) -> int:
        return len(self.numbers)

    def texts(self, which: slice | Sequence[int] | Int64) -> Iterator[str]:
        """Read some of the sentences.

        Args:
            which: their positions among the distinct sentences.

        Raises:
            DataError: the file changed since it was scanned, or cannot be read.
        """
        if not len(self):
            return
        try:
            if _stamp(self.path) != self.stamp:
                raise DataError(f"{self.path}: changed while it was mined; run the same command again")
            with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                for offset in self.offsets[which].tolist():
                    end = content.find(b"\n", offset)
                    yield _sentence(content[offset : end if end >= 0 else None])
        except OSError as error:
            raise DataError(f"{self.path}: can no longer be read ({error.strerror})") from None


def scan(path: Path, one_form: bool = False) -> SentenceFile:
    """Read a file once and remember where its distinct sentences are, in 32 bytes of memory per line.

    A sentence is a line without the white space around it and without a byte order mark.

    Args:
        path: the file.
        one_form: whether composed and decomposed Unicode of a sentence are equal; the first of them counts.

    Raises:
        DataError: no such file, or a line that is not UTF-8 or too long.
    """
    scanner = _Scanner(path, one_form)
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: not a regular file; expected a text file, one sentence per line")
        stamp = _stamp(path)
        with open(path, "rb") as file:
            for line in iter(partial(file.readline, LONGEST + 1), b""):
                scanner.add(line)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected a text file, one sentence per line"
        ) from None
    return scanner.result(stamp)


class _Scanner:
    """Collects the positions and digests of sentences, line by line."""

    def __init__(self, path: Path, one_form: bool) -> None:
        self._path, self._one_form, self._content = path, one_form, hashlib.sha256()
        self._numbers, self._offsets, self._digests = array("q"), array("q"), bytearray()
        self._lines = self._empty = self._offset = 0

    def add(self, line: bytes) -> None:
        """Add the next line.

        Raises:
            DataError: it is not UTF-8, or too long.
        """
        self._lines += 1
        if len(line) > LONGEST:
            raise DataError(
                f"{self._path}:{self._lines}: a line of more than {LONGEST:,} bytes; expected one sentence per line"
            )
        self._content.update(line)
        sentence = self._decode(line)
        if graphemes.has_visible(sentence):
            self._numbers.append(self._lines)
            self._offsets.append(self._offset)
            compared = unicodedata.normalize("NFC", sentence) if self._one_form else sentence
            self._digests += hashlib.blake2b(compared.encode(), digest_size=DIGEST_BYTES).digest()
        else:
            self._empty += 1
        self._offset += len(line)

    def result(self, stamp: tuple[int, int]) -> SentenceFile:
        """Return the distinct sentences of a file with this size and modification time."""
        first = first_of_equal(self._digests)
        numbers = np.frombuffer(self._numbers, np.int64)[first]
        offsets = np.frombuffer(self._offsets, np.int64)[first]
        repeated = len(self._numbers) - len(first)
        digest = self._content.hexdigest()
        return SentenceFile(self._path, digest, numbers, offsets, stamp, self._lines, self._empty, repeated)

    def _decode(self, line: bytes) -> str:
        try:
            return _sentence(line)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self._path}:{self._lines}: not UTF-8 (byte {error.start + 1} of the line); convert the file to UTF-8"
            ) from None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _sentence(line: bytes) -> str:
    return line.decode("utf-8").removeprefix("\ufeff").strip()


def first_of_equal(content: bytes | bytearray) -> Int64:
    """Return the number of the first of equal digests, for each distinct one, ascending.

    Args:
        content: digests of :data:`DIGEST_BYTES` bytes, one after the other.
    """
    digests = np.frombuffer(bytes(content), np.uint64).reshape(-1, 2)
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equal ones the first comes first
    ordered = digests[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first: Int64 = np.sort(order[is_new])
    return first
