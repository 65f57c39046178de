"""The backends ``faiss`` and ``faiss-float16``, and approximate FAISS indexes by factory string.

FAISS only proposes rows. Their products are computed again in float64, so that scores and the order among equals do not
depend on the index. On GPUs an index is sharded over all of them.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.search import exact, index_strings
from adaptstilts.search.base import Backend, Neighbours, RowNumbers, Vectors
from adaptstilts.search.products import rank, rounding_bound

_BLOCK_ROWS = 2**16
_TRAINING_ROWS = 2**18  # vectors that an approximate index is trained on, at most
_PROBES = 16  # by default one of this many inverted lists is searched
_SPARE = 8  # rows proposed beyond k, to check that no tie was cut off
_SPARE_FLOAT16 = 64
_NOT_INSTALLED = "faiss is not installed; install the extra cpu or gpu, or use another backend"


class Faiss(Backend):
    """Exact search with a flat FAISS index.

    Args:
        name: name of the backend.
        half: keep the index in float16: half the memory, and more proposals, because products are good to about 1e-3.
    """

    def __init__(self, name: str, half: bool) -> None:
        self.name, self.half = name, half

    def neighbours(self, queries: Vectors, index: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest rows of the index for every query.

        A query whose proposals may lack one of its best rows, because more rows than were proposed are about as near
        as the k-th, is searched with numpy.
        """
        spare = _SPARE_FLOAT16 if self.half else _SPARE
        width = min(k + spare, len(index))
        scores, proposed = propose(build_flat(index, self.half), queries, width)
        bound = rounding_bound(index.shape[1], half=self.half)
        is_complete = scores[:, -1] < scores[:, k - 1] - bound
        is_complete |= width == len(index)
        complete, rest = np.flatnonzero(is_complete), np.flatnonzero(~is_complete)
        result = Neighbours.empty(len(queries), k)
        query_rows = np.repeat(np.arange(len(complete)), width)
        result.rows[complete], result.products[complete] = rank(
            queries[complete], index, query_rows, proposed[complete].ravel(), k
        )
        result.rows[rest], result.products[rest] = exact.BACKEND.neighbours(queries[rest], index, k)
        return result

    def why_not_available(self) -> str | None:
        """Return how to install FAISS if it is missing or broken."""
        try:
            load()
        except ResourceError as error:
            return str(error)
        return None

    def priority(self, queries: int, index: int, mutual: bool) -> int | None:
        """Return 30 on GPUs and 10 on a CPU; float16 is only used by its name."""
        if self.half:
            return None
        return 30 if count_gpus() else 10


FLOAT32 = Faiss("faiss", half=False)
FLOAT16 = Faiss("faiss-float16", half=True)


def load() -> Any:
    """Import FAISS, after torch: their OpenMP runtimes clash in the other order.

    Raises:
        ResourceError: it is not installed, or broken.
    """
    import torch  # noqa: F401

    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name == "faiss":
            raise ResourceError(_NOT_INSTALLED) from None
        raise _broken(error) from None
    except Exception as error:  # whatever a library raises that was built for another one
        raise _broken(error) from None
    return faiss


def _broken(error: Exception) -> ResourceError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ResourceError(f"faiss cannot be imported ({reason}); install it again, or use another backend")


def is_installed() -> bool:
    """Return whether FAISS can be imported."""
    return FLOAT32.why_not_available() is None


def count_gpus() -> int:
    """Return how many GPUs FAISS sees: none if it is not installed or was built for CPUs only."""
    if not is_installed():
        return 0
    return int(getattr(load(), "get_num_gpus", lambda: 0)())


def build_flat(vectors: Vectors, half: bool = False) -> Any:
    """Build an exact index by inner product, sharded over all GPUs if there are any.

    Args:
        vectors: (n, d) float32; a memory-mapped file is read block by block.
        half: keep them in float16: half the memory, products good to about 1e-3.

    Raises:
        ResourceError: FAISS is not installed.
    """
    faiss = load()
    width = vectors.shape[1]
    if half:
        index: Any = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    else:
        index = faiss.IndexFlatIP(width)
    return _fill(_move_to_gpus(index, half), vectors)


def build_approximate(vectors: Vectors, factory: str) -> Any:
    """Build an approximate index by inner product.

    Args:
        vectors: (n, d) float32; a sample of them trains the index.
        factory: see :func:`build_empty`.

    Raises:
        ConfigError: not a factory string, not for this width, or it needs more vectors to be trained on.
        ResourceError: FAISS is not installed, or the index does not fit into memory.
    """
    index = build_empty(factory, vectors.shape[1])
    try:
        if not index.is_trained:
            index.train(_training_sample(vectors))
        return _fill(_move_to_gpus(index, False), vectors)
    except MemoryError:
        raise _too_large(factory) from None
    except RuntimeError as error:
        raise ConfigError(f"index {factory!r}: FAISS says: {_reason(error)}") from None


def _too_large(factory: str) -> ResourceError:
    return ResourceError(f"index {factory!r}: out of memory; choose a smaller index")


def build_empty(factory: str, width: int) -> Any:
    """Build an empty index with its search parameters, which its copies on GPUs take over.

    Args:
        factory: FAISS's factory string, with search parameters after a semicolon: ``IVF1024,PQ64;nprobe=32``,
            ``HNSW32;efSearch=128``. Without ``nprobe`` a sixteenth of the inverted lists is searched.
        width: entries of a vector.

    Raises:
        ConfigError: not a factory string, not for this width, or with a number that FAISS cannot be given.
        ResourceError: FAISS is not installed.
    """
    faiss = load()
    if reason := index_strings.why_not(factory):
        raise ConfigError(f"index {factory!r}: {reason}")
    name, _, parameters = factory.partition(";")
    try:
        index: Any = faiss.index_factory(width, name, faiss.METRIC_INNER_PRODUCT)
        if "IVF" in name and "nprobe" not in parameters:
            lists = int(faiss.extract_index_ivf(index).nlist)
            parameters = ",".join(filter(None, (parameters, f"nprobe={max(1, lists // _PROBES)}")))
        if parameters:
            faiss.ParameterSpace().set_index_parameters(index, parameters)
        _silence_training(index)
    except MemoryError:
        raise _too_large(factory) from None
    except RuntimeError as error:
        raise ConfigError(f"index {factory!r}: FAISS says: {_reason(error)}") from None
    return index


def _silence_training(index: Any) -> None:
    """Stop FAISS from printing a line for each cluster with few vectors; recall is measured anyway."""
    faiss = load()
    inner = faiss.downcast_index(faiss.try_extract_index_ivf(index) or index)
    for part in (inner, getattr(inner, "pq", inner)):
        if hasattr(part, "cp"):
            part.cp.min_points_per_centroid = 1


def propose(index: Any, queries: Vectors, width: int) -> tuple[Vectors, RowNumbers]:
    """Search an index.

    Args:
        index: a FAISS index.
        queries: (m, d) float32.
        width: rows to return for each query.

    Returns:
        Scores and row numbers, the best first, (m, width) each; the number is -1 where the index returned no row.

    Raises:
        DataError: FAISS refuses the queries.
    """
    try:
        scores, rows = index.search(np.ascontiguousarray(queries, dtype=np.float32), width)
    except (AssertionError, RuntimeError) as error:
        raise DataError(f"the search in an index of width {index.d} failed: {_reason(error)}") from None
    return scores, rows.astype(np.int64)


def _fill(index: Any, vectors: Vectors) -> Any:
    for start in range(0, len(vectors), _BLOCK_ROWS):
        index.add(np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS], dtype=np.float32))
    return index


def _training_sample(vectors: Vectors) -> Vectors:
    """Return evenly spread rows to train on."""
    step = max(1, -(-len(vectors) // _TRAINING_ROWS))
    return np.ascontiguousarray(vectors[::step], dtype=np.float32)


def _move_to_gpus(index: Any, half: bool) -> Any:
    """Shard an index over all GPUs; return it as it is if FAISS has none, or does not support this index on them."""
    faiss = load()
    if count_gpus() == 0 or "HNSW" in type(index).__name__:
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard, options.useFloat16 = True, half
    return faiss.index_cpu_to_all_gpus(index, co=options)


def _reason(error: Exception) -> str:
    """Return FAISS's message without the source file that it names."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    match = re.search(r"\.\w+:\d+: (?:Error: '.*' failed: ?)?(.+)$", lines[-1])
    return match[1] if match else lines[-1]
