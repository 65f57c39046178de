"""Starting vectors of tokens from aligned text alone: tokens that occur in the same groups get similar vectors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adaptstilts.models.seeds import seeded
from adaptstilts.pretrain.encoded import TokenizedCorpus

ROUNDS = 4  # steps of the subspace iteration
OVERSAMPLING = 32  # further columns of the subspace iteration
TOKEN_BITS = 20  # bits of the token in a (column, token) pair, packed into one integer


def idf(corpus: TokenizedCorpus, vocabulary: int) -> Tensor:
    """Return (vocabulary,) log of (sentences / sentences with the token), 0 for tokens that never occur.

    Args:
        corpus: tokenized groups.
        vocabulary: number of tokens.
    """
    sentences = np.repeat(np.arange(len(corpus)), corpus.lengths)
    tokens = _count_pairs(sentences, corpus.tokens)[0][1]
    counts = torch.from_numpy(np.bincount(tokens, minlength=vocabulary)).float()
    return torch.where(counts > 0, torch.log(len(corpus) / counts.clamp(min=1)), torch.zeros(()))


def token_vectors(corpus: TokenizedCorpus, vocabulary: int, size: int, seed: int) -> Tensor:
    """Return the left singular vectors of the token-by-group matrix, scaled by the roots of the singular values.

    An entry is idf(token) * sqrt(times that the token occurs in the group), columns of unit length; translations share
    a column, as in cross-language latent semantic indexing (Dumais et al. 1997). Randomised subspace iteration
    (Halko et al. 2011, arXiv 0909.4061, algorithm 4.4) computes the truncated decomposition.

    Args:
        corpus: tokenized groups.
        vocabulary: rows of the result.
        size: columns of the result.
        seed: seed of the random start.

    Returns:
        (vocabulary, size) float32; zero for tokens that never occur, mean length of the other rows 1.
    """
    matrix = _matrix(corpus, vocabulary)
    transposed = matrix.transpose(0, 1).to_sparse_csr()
    matrix = matrix.to_sparse_csr()
    generator = torch.Generator().manual_seed(seeded("svd", seed))
    wide = min(size + OVERSAMPLING, vocabulary, matrix.shape[1])
    basis = torch.linalg.qr(matrix @ torch.randn(matrix.shape[1], wide, generator=generator))[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(matrix @ torch.linalg.qr(transposed @ basis)[0])[0]
    small = transposed @ basis
    values, turned = torch.linalg.eigh(small.T @ small)
    order = torch.argsort(values, descending=True)[:size]
    vectors = (basis @ turned[:, order]) * values[order].clamp(min=0).pow(0.25)
    occurs = torch.from_numpy(np.bincount(corpus.tokens, minlength=vocabulary) > 0)
    result = torch.zeros(vocabulary, size)
    result[:, : vectors.shape[1]] = vectors * occurs[:, None]  # rounding leaves traces in empty rows
    lengths = result.norm(dim=1)
    scaled: Tensor = result / lengths[lengths > 0].mean()
    return scaled


def _matrix(corpus: TokenizedCorpus, vocabulary: int) -> Tensor:
    """Return the sparse (vocabulary, groups) matrix."""
    columns = np.repeat(corpus.group, corpus.lengths)
    pairs, counts = _count_pairs(columns, corpus.tokens)
    column, token = torch.from_numpy(pairs[0]), torch.from_numpy(pairs[1])
    values = idf(corpus, vocabulary)[token] * torch.from_numpy(counts).float().sqrt()
    groups = int(corpus.group[-1]) + 1
    lengths = torch.zeros(groups).index_add_(0, column, values.square()).sqrt()
    values = values / lengths[column].clamp(min=1e-9)
    return torch.sparse_coo_tensor(torch.stack([token, column]), values, (vocabulary, groups)).coalesce()


def _count_pairs(columns: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct (column, token) pairs as (2, pairs), and how often each occurs.

    Args:
        columns: (tokens,) column of each token.
        tokens: (tokens,) ids.
    """
    codes, counts = np.unique(columns.astype(np.int64) << TOKEN_BITS | tokens, return_counts=True)
    return np.stack([codes >> TOKEN_BITS, codes & ((1 << TOKEN_BITS) - 1)]), counts
