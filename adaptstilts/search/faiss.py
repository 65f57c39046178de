"""FAISS indexes: exact ones, in half precision where asked, and approximate ones by factory string.

They only propose rows. What they propose is computed again by :mod:`adaptstilts.search.exact`, so that scores and
the order among equals do not depend on the index; an approximate one may miss rows, and how many is measured.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch  # noqa: F401 (before faiss: their OpenMP runtimes clash in the other order)
from numpy.typing import NDArray

from adaptstilts.errors import ConfigError, DataError, ResourceError

Vectors = NDArray[np.float32]
_BLOCK = 2**16
_TRAINING = 2**18  # vectors that an approximate index is trained on, at most
_PROBES = 16  # one list in so many is searched, where nothing else is asked for


def installed() -> bool:
    """Whether FAISS is."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        return False
    return True


def gpus() -> int:
    """GPUs that FAISS sees; none without FAISS, and with its build for processors."""
    return int(getattr(load(), "get_num_gpus", lambda: 0)()) if installed() else 0


def flat(vectors: Vectors, half: bool = False) -> Any:
    """An exact index by inner product, sharded over all GPUs where there are any.

    Args:
        vectors: (n, d) float32; a file that is mapped is read block by block.
        half: keep them in float16: half the memory, products good to about 1e-3.

    Raises:
        ResourceError: FAISS is not installed.
    """
    faiss = load()
    width = vectors.shape[1]
    if half:
        made: Any = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    else:
        made = faiss.IndexFlatIP(width)
    return _filled(_on_gpus(made, half), vectors)


def approximate(vectors: Vectors, factory: str) -> Any:
    """An approximate index by inner product.

    Args:
        vectors: (n, d) float32, on some of which it is trained.
        factory: FAISS's factory string, with search parameters after a semicolon: ``IVF1024,PQ64;nprobe=32``,
            ``HNSW32;efSearch=128``. Of inverted lists a sixteenth is searched where nothing is said.

    Raises:
        ConfigError: not a factory string, not for this width, or it needs more vectors to be trained on.
        ResourceError: FAISS is not installed.
    """
    made = empty(factory, vectors.shape[1])
    try:
        if not made.is_trained:
            made.train(_some(vectors))
        return _filled(_on_gpus(made, False), vectors)
    except RuntimeError as error:
        raise ConfigError(f"index {factory!r}: FAISS says: {_reason(error)}") from None


def empty(factory: str, width: int) -> Any:
    """The empty index of a factory string, with its search parameters set, which copies of it on GPUs take over.

    Raises:
        ConfigError: not a factory string, or not for this width.
        ResourceError: FAISS is not installed.
    """
    faiss = load()
    name, _, asked = factory.partition(";")
    try:
        made: Any = faiss.index_factory(width, name, faiss.METRIC_INNER_PRODUCT)
        if "IVF" in name and "nprobe" not in asked:
            lists = int(faiss.extract_index_ivf(made).nlist)
            asked = ",".join(filter(None, (asked, f"nprobe={max(1, lists // _PROBES)}")))
        if asked:
            faiss.ParameterSpace().set_index_parameters(made, asked)
        inner = faiss.downcast_index(faiss.try_extract_index_ivf(made) or made)
        for part in (inner, getattr(inner, "pq", inner)):
            if hasattr(part, "cp"):  # FAISS says a line a cluster where vectors are few; recall is measured anyway
                part.cp.min_points_per_centroid = 1
    except RuntimeError as error:
        raise ConfigError(f"index {factory!r}: FAISS says: {_reason(error)}") from None
    return made


def propose(made: Any, queries: Vectors, wide: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Scores and numbers of the rows that an index finds, the best first, -1 where there is none: (m, wide) each."""
    try:
        scores, rows = made.search(np.ascontiguousarray(queries, dtype=np.float32), wide)
    except (AssertionError, RuntimeError) as error:
        raise DataError(f"the search in an index of width {made.d} failed: {_reason(error)}") from None
    return scores, rows.astype(np.int64)


def _filled(made: Any, vectors: Vectors) -> Any:
    for start in range(0, len(vectors), _BLOCK):
        made.add(np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32))
    return made


def _some(vectors: Vectors) -> Vectors:
    """Evenly spread rows to train on."""
    return np.ascontiguousarray(vectors[:: max(1, -(-len(vectors) // _TRAINING))], dtype=np.float32)


def _on_gpus(made: Any, half: bool) -> Any:
    """On every GPU a part of the rows; where FAISS has no GPUs, or not this index on them, as it is."""
    faiss = load()
    if gpus() == 0 or "HNSW" in type(made).__name__:
        return made
    options = faiss.GpuMultipleClonerOptions()
    options.shard, options.useFloat16 = True, half
    return faiss.index_cpu_to_all_gpus(made, co=options)


def load() -> Any:
    """FAISS's module.

    Raises:
        ResourceError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise ResourceError("faiss is not installed; install the extra cpu or gpu, or take another backend") from None
    return faiss


def _reason(error: Exception) -> str:
    """What FAISS's message says, without its source file."""
    told = str(error).strip().splitlines()
    found = re.search(r"\.\w+:\d+: (?:Error: '.*' failed: ?)?(.+)$", told[-1]) if told else None
    return found[1] if found else (told[-1] if told else type(error).__name__)
