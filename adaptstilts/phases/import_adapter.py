"""An import phase: somebody else's adapter in, an entry like that of a training phase out. Nothing is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.formats import recognize
from adaptstilts.methods.base import NAME_IN_KEYS
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan.phases import ImportPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries
from adaptstilts.store.contents import ImportResult, MeasuredCost


def import_adapter(phase: ImportPhase, runtime: Runtime, staging: Path) -> None:
    """Check an adapter on its base model and write it in the format of its method.

    Args:
        phase: names the adapter, its method and the digest of its files.
        runtime: the base model.
        staging: folder of the entry's files.

    Raises:
        ArtifactError: it changed since the plan was made, or is not exactly an adapter of its method on this model.
    """
    runtime.adapter_pool.drop()
    adapter = recognize.read(phase.place, runtime.model, runtime.workspace.offline)
    if adapter.digest != phase.data["adapter"]:
        raise ArtifactError(f"adapter {phase.place}: changed since the plan was made; run the command again")
    encoder = Encoder(runtime.model.checked_folder(), phase.method.backend, runtime.device, runtime.model.name)
    scratch = staging / "clean"
    notes = [*adapter.notes, *recognize.clean(adapter, scratch)]
    try:
        encoder.load(NAME_IN_KEYS, phase.method, scratch)
    except (ArtifactError, ConfigError) as error:
        message = str(error).replace(f"{scratch}:", f"{adapter.weights}:")
        raise ArtifactError(message.replace(str(scratch), str(adapter.source.folder))) from None
    encoder.save(NAME_IN_KEYS, staging / entries.ADAPTER)
    shutil.rmtree(scratch)
    delta = encoder.delta(NAME_IN_KEYS)
    result: ImportResult = {
        "format": adapter.format_name,
        "name": adapter.name,
        "file": adapter.weights.name,
        "revision": adapter.source.revision,
        "tensors": len(delta),
        "trainable": sum(value.numel() for value in delta.values()),
        "notes": notes,
    }
    entries.IMPORT_RESULT.write(staging, result)
    nothing: MeasuredCost = {"seconds": 0.0, "cpu_seconds": 0.0, "peak_bytes": 0, "examples_per_second": 0.0}
    entries.COST.write(staging, nothing)
