"""Check the numbers in FAISS's factory strings, some of which would end the process or take all memory."""

from __future__ import annotations

import re

LISTS = 2**20  # inverted lists, or parts of a vector
LINKS = 512  # of a node in a graph
WIDTH = 4096  # entries of a transformed vector: the matrix of a rotation has their square
BITS = 16  # of a code: so many that it has a table of 65,536 rows
WALK = 2**16  # nodes that a search in a graph keeps

_PART = re.compile(r"([A-Za-z]*)_?(-?\d+)((?:x-?\d+)*)")
_GRAPHS = ("HNSW", "NSG", "NNDescent")
_TRANSFORMS = ("", "RR", "PCA", "PCAR", "PCAW", "PCAWR", "ITQ", "Pad")  # "" is the second number of OPQ16_64
_PARAMETERS = {"nprobe": LISTS, "efSearch": WALK, "efConstruction": WALK, "k_factor": WALK}


def why_not(factory: str) -> str | None:
    """Return what is wrong with a number of a factory string; None if FAISS may judge the rest.

    Args:
        factory: parts of an index, and parameters of the search after a semicolon.
    """
    name, _, parameters = factory.partition(";")
    for part, number, bits in _PART.findall(name):
        least, most = _range(part)
        if reason := _why_not_in(f"{part}{number}", int(number), least, most):
            return reason
        for count in bits.split("x")[1:]:
            if reason := _why_not_in(f"{part}{number}{bits}", int(count), 1, BITS):
                return reason
    for setting in filter(None, parameters.split(",")):
        key, _, value = setting.strip().rpartition("=")
        largest = next((most for ending, most in _PARAMETERS.items() if key.endswith(ending)), None)
        if largest and re.fullmatch(r"[-+]?\d+", value) and (reason := _why_not_in(setting, int(value), 1, largest)):
            return reason
    return None


def _range(part: str) -> tuple[int, int]:
    """Return the least and the greatest number that a part of an index may have."""
    if part in _GRAPHS:
        return 2, LINKS
    return (1, WIDTH) if part in _TRANSFORMS else (1, LISTS)


def _why_not_in(where: str, number: int, least: int, most: int) -> str | None:
    """Return that a number is out of range, if it is.

    Args:
        where: the part of the string that has it.
        number: the number.
        least: smallest that is allowed.
        most: largest that is allowed.
    """
    if least <= number <= most:
        return None
    return f"{where}: expected a number from {least:,} to {most:,}, found {number:,}"
