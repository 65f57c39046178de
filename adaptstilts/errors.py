"""One family of errors. Each has an exit code and one clear line: where, what was expected, what to do."""

from __future__ import annotations


class AdaptstiltsError(Exception):
    """Base of every error this package raises on purpose. ``exit_code`` is what the command line returns."""

    exit_code = 1


class ConfigError(AdaptstiltsError):
    """A usage mistake: a study file, an option or an override that cannot be meant."""

    exit_code = 2


class DataError(AdaptstiltsError):
    """A data set that is missing, malformed or not what its task declares."""

    exit_code = 3


class ArtifactError(AdaptstiltsError):
    """A stored or imported artifact (adapter, head, encoder, entry) that fails verification."""

    exit_code = 4


class ResourceError(AdaptstiltsError):
    """The environment: disk, memory, network, a missing optional package."""

    exit_code = 5


class DivergedError(AdaptstiltsError):
    """Training produced a loss, a gradient or a weight that is not finite."""

    exit_code = 6


class PhasesFailed(AdaptstiltsError):
    """Some phases of a plan finished and others failed or were blocked."""

    exit_code = 7


class Interrupted(AdaptstiltsError):
    """Stopped by a signal after a checkpoint; the same command continues."""

    exit_code = 130
