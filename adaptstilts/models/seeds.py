"""Random numbers that depend on named parts alone."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def seeded(*parts: object) -> int:
    """Return a seed of 63 bits that depends on all parts and on nothing else."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextlib.contextmanager
def generator(*parts: object) -> Iterator[None]:
    """Seed torch's global generator with ``parts`` within the context, and restore it afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seeded(*parts))
        yield
