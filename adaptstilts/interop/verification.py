"""Check an exported adapter before its folder appears: the plain library must compute from it what we compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.models.building import load_encoder
from adaptstilts.models.locate import Model
from adaptstilts.models.seeds import generator
from adaptstilts.models.weights import quiet
from adaptstilts.plan.phases import WeightsPhase, phase_of
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store

_TOLERANCE = 1e-5  # relative difference of the states; the libraries add float32 numbers in different orders
_SEQUENCES, _TOKENS = 2, 8
_CPU = torch.device("cpu")


def check(entry: Entry, store: Store, model: Model, format_name: str, adapters: Sequence[Path], out: Path) -> None:
    """Load exported adapters in their plain library and compare the encoder's states with ours.

    Args:
        entry: the exported adapter.
        store: has it and those below it.
        model: the base model.
        format_name: a key of :data:`LOADERS`.
        adapters: folders of the exported adapters, the lowest first.
        out: where they will be, for messages.

    Raises:
        ArtifactError: the states differ, or the library cannot load a folder.
    """
    library = "adapters" if format_name == "adapterhub" else format_name
    refusal = f"{out}: not written, because the plain {library} library"
    advice = f"--format own keeps the adapter (entry {entry.key[:12]}) as it is"
    expected = _our_states(entry, store, model)
    plain = load_encoder(model.checked_folder())
    try:
        with quiet(), generator("export"):
            plain = LOADERS[format_name](plain, model, adapters).eval()
            actual = _states(plain)
    except Exception as error:  # whatever a library raises, the folder is of no use
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{refusal} cannot load the adapter ({reason}); {advice}") from error
    difference = float((actual - expected).norm() / expected.norm())
    if not difference <= _TOLERANCE:
        raise ArtifactError(f"{refusal} computes something else from it (states differ by {difference:.2g}); {advice}")


def _our_states(entry: Entry, store: Store, model: Model) -> Tensor:
    """Return the states of the encoder with an entry's adapter over those below it."""
    pool = AdapterPool(store, model, _CPU)
    encoder = pool.encoder(None, (*phase_of(entry, WeightsPhase).stack, entry.key))
    with quiet():
        return _states(encoder.trunk)


def _states(encoder: Any) -> Tensor:
    """Return an encoder's last hidden states for a few tokens from all over its vocabulary."""
    ids = torch.linspace(0, encoder.config.vocab_size - 1, _SEQUENCES * _TOKENS).long().reshape(_SEQUENCES, _TOKENS)
    with torch.no_grad():
        states: Tensor = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    return states


def _load_with_adapters(encoder: Any, model: Model, folders: Sequence[Path]) -> Any:
    """Return an encoder with adapters that the ``adapters`` library loaded and stacked.

    Args:
        encoder: a plain model of ``transformers``.
        model: the base model, whose architecture the library may not know.
        folders: folders of the adapters, the lowest first.
    """
    import adapters

    interface = model.architecture.names.interface
    adapters.init(encoder, interface=interface and adapters.AdapterModelInterface(**interface))
    names = [encoder.load_adapter(str(folder), use_safetensors=True) for folder in folders]
    encoder.set_active_adapters(adapters.Stack(*names))
    return encoder


def _load_with_peft(encoder: Any, model: Model, folders: Sequence[Path]) -> Any:
    """Return an encoder with adapters that ``peft`` loaded and lets act together; arguments as above."""
    from peft import PeftModel

    names = [f"a{i}" for i in range(len(folders))]
    wrapped = PeftModel.from_pretrained(encoder, str(folders[0]), adapter_name=names[0])
    for name, folder in zip(names[1:], folders[1:], strict=True):
        wrapped.load_adapter(str(folder), name)
    if len(names) > 1:
        wrapped.base_model.set_adapter(names)
    return wrapped


LOADERS: dict[str, Callable[[Any, Model, Sequence[Path]], Any]] = {
    "adapterhub": _load_with_adapters,
    "peft": _load_with_peft,
}
