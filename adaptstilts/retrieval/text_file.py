"""Text files of one sentence a line, of any length: where the distinct sentences are, without keeping them."""

from __future__ import annotations

import hashlib
import mmap
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError

Rows = NDArray[np.int64]
_BYTES = 16  # of a sentence's digest


@dataclass(frozen=True)
class Lines:
    """The distinct sentences of a file, in its order; of equal ones the first.

    Attributes:
        path: the file.
        sha256: of its content.
        numbers: (n,) line of each sentence, from 1.
        offsets: (n,) first byte of that line.
        stamp: size and time of the file when it was read.
        total: lines of the file.
        empty: lines without a sentence.
        repeated: lines whose sentence is on an earlier line.
    """

    path: Path
    sha256: str
    numbers: Rows
    offsets: Rows
    stamp: tuple[int, int]
    total: int
    empty: int
    repeated: int

    def __len__(self) -> int:
        return len(self.numbers)

    def texts(self, which: slice | Sequence[int] | Rows) -> Iterator[str]:
        """Some of the sentences, one after the other.

        Raises:
            DataError: the file is no longer what it was, or cannot be read.
        """
        if not len(self):
            return
        try:
            if _stamp(self.path) != self.stamp:
                raise DataError(f"{self.path}: changed while it was mined; give the same command again")
            with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                for offset in self.offsets[which].tolist():
                    end = content.find(b"\n", offset)
                    yield _sentence(content[offset : end if end >= 0 else None])
        except OSError as error:
            raise DataError(f"{self.path}: can no longer be read ({error.strerror})") from None


def scan(path: Path) -> Lines:
    """Read a file once: 32 bytes of memory a line.

    A sentence is a line without white space around it; a byte order mark is none of it.

    Raises:
        DataError: no such file, or a line that is not UTF-8.
    """
    content, numbers, offsets, digests = hashlib.sha256(), array("q"), array("q"), bytearray()
    number = empty = offset = 0
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: not a regular file; expected a text file, one sentence a line")
        stamp = _stamp(path)
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                content.update(line)
                sentence = _decoded(path, number, line)
                if sentence:
                    numbers.append(number)
                    offsets.append(offset)
                    digests += hashlib.blake2b(sentence.encode(), digest_size=_BYTES).digest()
                else:
                    empty += 1
                offset += len(line)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected a text file, one sentence a line"
        ) from None
    first = _first(np.frombuffer(bytes(digests), np.uint64).reshape(-1, 2))
    held = np.frombuffer(numbers, np.int64), np.frombuffer(offsets, np.int64)
    repeated = len(numbers) - len(first)
    return Lines(path, content.hexdigest(), held[0][first], held[1][first], stamp, number, empty, repeated)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return _sentence(line)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: not UTF-8 (byte {error.start + 1} of the line); convert the file to UTF-8"
        ) from None


def _sentence(line: bytes) -> str:
    return line.decode("utf-8").removeprefix("\ufeff").strip()


def _first(digests: NDArray[np.uint64]) -> Rows:
    """The first row of each distinct digest, ascending."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equal ones the first comes first
    ranked = digests[order]
    new = np.ones(len(order), bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    first: Rows = np.sort(order[new])
    return first
