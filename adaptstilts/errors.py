"""The errors of this package. Each has an exit code and one clear line: where, what was expected, what to do."""

from __future__ import annotations


class AdaptstiltsError(Exception):
    """Base class of every error that this package raises on purpose.

    Attributes:
        exit_code: what the command line returns.
    """

    exit_code = 1


class ConfigError(AdaptstiltsError):
    """A usage mistake: an invalid study file, option or override."""

    exit_code = 2


class DataError(AdaptstiltsError):
    """A data set that is missing, malformed or not what its task declares."""

    exit_code = 3


class ArtifactError(AdaptstiltsError):
    """A stored or imported artifact (adapter, head, encoder, entry) that fails verification."""

    exit_code = 4


class ResourceError(AdaptstiltsError):
    """A problem of the environment: disk, memory, network, or a missing optional package."""

    exit_code = 5


class OutOfMemory(ResourceError):
    """Memory that a computation needs and that is not there."""


class DivergedError(AdaptstiltsError):
    """A training run whose loss, gradient or weights are not finite."""

    exit_code = 6


class PhasesFailed(AdaptstiltsError):
    """A run in which some phases finished and others failed or were blocked."""

    exit_code = 7


class Interrupted(AdaptstiltsError):
    """A run stopped by a signal after a checkpoint; the same command continues it."""

    exit_code = 130


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, torch or FAISS says that memory could not be allocated."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
