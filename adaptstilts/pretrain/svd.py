"""Starting vectors of tokens from aligned text alone: tokens that occur in the same groups get similar vectors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adaptstilts.models.encoder import seeded
from adaptstilts.pretrain.encoded import Encoded

ROUNDS = 4


def idf(corpus: Encoded, vocabulary: int) -> Tensor:
    """(vocabulary,) log of (sentences / sentences that hold the token), 0 where none does."""
    pairs = _pairs(np.repeat(np.arange(len(corpus)), corpus.lengths), corpus.tokens)
    counts = torch.from_numpy(np.bincount(pairs[1], minlength=vocabulary)).float()
    return torch.where(counts > 0, torch.log(len(corpus) / counts.clamp(min=1)), torch.zeros(()))


def token_vectors(corpus: Encoded, vocabulary: int, size: int, seed: int) -> Tensor:
    """Left singular vectors of the token-by-group matrix, scaled by the square roots of the singular values.

    An entry is idf(token) * sqrt(times that the token occurs in the group), columns of unit length; translations share
    a column, as in cross-language latent semantic indexing (Dumais et al. 1997). Randomised subspace iteration
    (Halko et al. 2011, arXiv 0909.4061, algorithm 4.4) finds the truncated decomposition.

    Args:
        corpus: tokenized groups.
        vocabulary: rows of the result.
        size: columns of the result.
        seed: of the random start.

    Returns:
        (vocabulary, size) float32; zero for tokens that never occur, mean row length of the others 1.
    """
    matrix = _matrix(corpus, vocabulary)
    transposed = matrix.transpose(0, 1).to_sparse_csr()
    matrix = matrix.to_sparse_csr()
    generator = torch.Generator().manual_seed(seeded("svd", seed))
    wide = min(size + 32, vocabulary, matrix.shape[1])
    basis = torch.linalg.qr(matrix @ torch.randn(matrix.shape[1], wide, generator=generator))[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(matrix @ torch.linalg.qr(transposed @ basis)[0])[0]
    small = transposed @ basis
    values, turned = torch.linalg.eigh(small.T @ small)
    order = torch.argsort(values, descending=True)[:size]
    vectors = (basis @ turned[:, order]) * values[order].clamp(min=0).pow(0.25)
    occurs = torch.from_numpy(np.bincount(corpus.tokens, minlength=vocabulary) > 0)
    found = torch.zeros(vocabulary, size)
    found[:, : vectors.shape[1]] = vectors * occurs[:, None]  # rounding leaves traces in empty rows
    lengths = found.norm(dim=1)
    scaled: Tensor = found / lengths[lengths > 0].mean()
    return scaled


def _matrix(corpus: Encoded, vocabulary: int) -> Tensor:
    columns = np.repeat(corpus.group, corpus.lengths)
    at, counts = _pairs_counted(columns, corpus.tokens)
    values = idf(corpus, vocabulary)[torch.from_numpy(at[1])] * torch.from_numpy(counts).float().sqrt()
    groups = int(corpus.group[-1]) + 1
    lengths = torch.zeros(groups).index_add_(0, torch.from_numpy(at[0]), values.square()).sqrt()
    values = values / lengths[torch.from_numpy(at[0])].clamp(min=1e-9)
    return torch.sparse_coo_tensor(torch.from_numpy(at[::-1].copy()), values, (vocabulary, groups)).coalesce()


def _pairs(columns: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return _pairs_counted(columns, tokens)[0]


def _pairs_counted(columns: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (column, token) pairs as (2, pairs), and how often each occurs."""
    codes, counts = np.unique(columns.astype(np.int64) << 20 | tokens, return_counts=True)
    return np.stack([codes >> 20, codes & ((1 << 20) - 1)]), counts
