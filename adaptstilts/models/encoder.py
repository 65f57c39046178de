"""The encoder: one model, one backend, and named adapters on it, checked after every change.

The libraries underneath skip things silently, such as weights that are not in the file. Hence every load is strict, and
after every composition :mod:`adaptstilts.models.guard` compares the model with the request.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io.json import write_json
from adaptstilts.methods import AdapterMethod, fusion
from adaptstilts.methods.fusion import Place
from adaptstilts.models import architectures, guard
from adaptstilts.models.building import load_encoder
from adaptstilts.models.language_model_head import LanguageModelHead
from adaptstilts.models.partial import ended, lowest_parts, resumed, truncated
from adaptstilts.models.seeds import generator, seeded
from adaptstilts.models.weight_files import WEIGHTS
from adaptstilts.models.weights import (
    adapter_weights,
    by_present_keys,
    fill,
    quiet,
    read_language_model_head,
    read_tensors,
)


class Encoder:
    """An encoder without pooler or head, and the adapters attached to it.

    A *place* of a composition is the name of an adapter or, for a fusion, the names of its members.

    Args:
        folder: has ``config.json`` and weights in safetensors.
        backend: backend of the methods to attach: ``plain``, ``adapters`` or ``peft``; it never changes.
        device: where it runs.
        name: what exported adapters call their base model.

    Attributes:
        architecture: its description.
        trunk: the model of ``transformers``.
        host: the model as methods see it.
        methods: method of every attached adapter, by name.
        fusions: members of every attached fusion.
        acting: names of the active adapters, fused ones included, the lowest first.
        listed_parameters: parameters of the trunk when modules were last added or removed.
    """

    def __init__(
        self, folder: Path, backend: str = "plain", device: str | torch.device = "cpu", name: str = ""
    ) -> None:
        self.folder, self.backend, self.device = folder, backend, torch.device(device)
        self.trunk: Any = load_encoder(folder)
        self.trunk.config._name_or_path = name
        self.architecture = architectures.get(self.trunk.config.model_type)
        self.host = self.architecture.host(self.trunk)
        self.methods: dict[str, AdapterMethod] = {}
        self.fusions: list[tuple[str, ...]] = []
        self.acting: tuple[str, ...] = ()
        self._is_prepared = False
        self.listed_parameters: list[nn.Parameter] = []
        self.trunk.to(self.device).eval()
        self._reset()

    @property
    def depth(self) -> int:
        """Return the number of layers."""
        return self.host.depth

    @property
    def hidden(self) -> int:
        """Return the hidden size."""
        return self.host.hidden

    @property
    def kind(self) -> str | None:
        """Return the one kind of the attached adapters; None while there are none."""
        return next((method.kind for method in self.methods.values()), None)

    @property
    def dropout(self) -> float:
        """Return the dropout probability of hidden states, which heads share."""
        return float(getattr(self.trunk.config, self.architecture.dropout))

    @property
    def words(self) -> nn.Parameter:
        """Return the (vocabulary, width) word embeddings; the width is mostly the hidden size."""
        weight: nn.Parameter = self.trunk.get_input_embeddings().weight
        return weight

    def new_language_model_head(self) -> LanguageModelHead:
        """Return a head for masked tokens with random weights, see :meth:`language_model_weights`.

        Raises:
            ConfigError: the architecture has no such head here.
        """
        layout = self.architecture.language_model
        if layout is None:
            raise ConfigError(f"{self.architecture.name}: language-model heads of this architecture are not supported")
        epsilon = layout.epsilon
        if isinstance(epsilon, str):
            epsilon = float(getattr(self.trunk.config, epsilon))
        return LanguageModelHead(self.words, self.hidden, epsilon)

    def language_model_weights(self) -> dict[str, Tensor]:
        """Read the language-model head in the encoder's weights file, by our own names; empty if it has none."""
        return read_language_model_head(self.folder, self.architecture)

    def add(self, name: str, method: AdapterMethod, *seed: object) -> None:
        """Attach a new adapter; no adapter is active afterwards.

        Args:
            name: name of the adapter.
            method: its method.
            seed: parts that its initial weights depend on, and nothing else.

        Raises:
            ConfigError: the name is taken, or the method has another backend than this encoder or is of another kind
                than the attached adapters.
        """
        guard.check_new_adapter(self, name, method)
        with generator(*seed), quiet():
            if not self._is_prepared:
                method.prepare(self.host)
                self._is_prepared = True
                torch.manual_seed(seeded(*seed))
            method.add(self.host, name)
        self.trunk.to(self.device)
        self.methods[name] = method
        self._reset()

    def load(self, name: str, method: AdapterMethod, folder: Path) -> None:
        """Attach an adapter from files; config, keys, shapes and values must be exactly those of its method.

        Args:
            name: name of the adapter on this encoder.
            method: the method that it must have.
            folder: in the format of the method's library.

        Raises:
            ArtifactError: the folder has anything else.
        """
        stored = method.read_config(folder, self.depth, self.host.names)
        if stored.identity() != method.identity():
            raise ArtifactError(f"{folder}: holds {stored.label}, expected {method.label}")
        tensors = read_tensors(adapter_weights(folder))
        self.add(name, method, "load")
        parameters = method.tensors(self.host, name)
        try:
            prefix = self.host.names.prefix
            fill(by_present_keys(tensors, method, parameters.keys(), prefix, folder), parameters, folder)
        except ArtifactError:
            self.remove(name)
            raise

    def fuse(self, members: tuple[str, ...], *seed: object) -> None:
        """Attach a new fusion of attached adapters; no adapter is active afterwards.

        Args:
            members: names of the adapters.
            seed: parts that its initial weights depend on, and nothing else.

        Raises:
            ConfigError: fewer than two members, unknown ones, or adapters that cannot be fused.
        """
        guard.check_new_fusion(self, members)
        with generator(*seed), quiet():
            fusion.add(self.host, members)
        self.trunk.to(self.device)
        self.fusions.append(members)
        self._reset()

    def load_fusion(self, members: tuple[str, ...], folder: Path) -> None:
        """Attach a fusion from files; arguments and errors as of :meth:`load`."""
        fusion.check(folder, len(members))
        tensors = read_tensors(folder / fusion.WEIGHTS)
        self.fuse(members, "load")
        try:
            fill(tensors, self.delta(members), folder)
        except ArtifactError:
            self.remove(members)
            raise

    def save(self, place: Place, folder: Path) -> None:
        """Write an adapter in the format of its library, or a fusion.

        Args:
            place: place of the adapter or fusion.
            folder: where the files go.
        """
        with quiet():
            if isinstance(place, tuple):
                fusion.save(self.delta(place), len(place), folder)
            else:
                self.methods[place].save(self.host, place, folder)

    def remove(self, place: Place) -> None:
        """Detach an adapter and the fusions that contain it, or a fusion; no adapter is active afterwards."""
        self.compose(())
        if isinstance(place, str):
            for members in [members for members in self.fusions if place in members]:
                self.remove(members)
        with quiet():
            if isinstance(place, tuple):
                self.fusions.remove(place)
                fusion.remove(self.host, place)
            else:
                self.methods.pop(place).remove(self.host, place)
        self._reset()

    def compose(self, places: Sequence[Place], train: Place | None = None) -> None:
        """Activate adapters and fusions, and make one of them trainable.

        Args:
            places: the active adapters and fusions, the lowest first; empty for the bare encoder.
            train: one of ``places``, whose weights are trained; None for none.

        Raises:
            ConfigError: an unknown name, the same name twice, or methods that cannot be stacked.
            ArtifactError: the model is not as requested; this is always checked and should never happen.
        """
        guard.check_composition(self, places)
        names = guard.adapter_names(places)
        with quiet():
            for method, of_class in self.by_method_class(names):
                method.activate(self.host, of_class)
            if len(names) != len(places):
                fusion.activate(self.host, places)
        self.acting = tuple(names)
        for parameter in self.listed_parameters:
            parameter.requires_grad = False
        if train is not None:
            for parameter in self.delta(train).values():
                parameter.requires_grad = True
        self.check(places, train)

    def train_all(self, frozen: Sequence[nn.Module] = ()) -> None:
        """Make every weight of the encoder trainable, except those of the ``frozen`` modules: full fine-tuning."""
        if self.methods:
            raise ConfigError("full fine-tuning is for an encoder without adapters")
        self.trunk.requires_grad_(True)
        for part in frozen:
            part.requires_grad_(False)

    def check(self, places: Sequence[Place], train: Place | None) -> None:
        """Check what is active and trainable; see :func:`adaptstilts.models.guard.check_model`."""
        guard.check_model(self, places, train)

    def by_method_class(self, names: Sequence[str]) -> list[tuple[AdapterMethod, list[str]]]:
        """Return one method for each class of the attached adapters, and the given names of that class."""
        methods = {type(method): method for method in self.methods.values()}
        groups: dict[type[AdapterMethod], list[str]] = {cls: [] for cls in methods}
        for name in names:
            groups[type(self.methods[name])].append(name)
        return [(methods[cls], groups[cls]) for cls in methods]

    def delta(self, place: Place) -> dict[str, nn.Parameter]:
        """Return the parameters of an adapter or fusion, by their keys in its library's files and without its name."""
        if isinstance(place, tuple):
            return fusion.tensors(self.host, place)
        return self.methods[place].tensors(self.host, place)

    def fill(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Give an adapter weights.

        Args:
            name: name of the adapter.
            tensors: by the keys of :meth:`delta`.
        """
        fill(tensors, self.delta(name), self.folder)

    def inverted(self, states: Tensor) -> Tensor:
        """Undo in last hidden states what the lowest adapter does to the embeddings.

        A language-model head needs it, because its output weights are the embeddings (Pfeiffer et al. 2020, arXiv
        2005.00052). If no adapter has an invertible part, the states are returned as they are.
        """
        if not any(getattr(method, "invertible", False) for method in self.methods.values()):
            return states
        inverse: Tensor = self.trunk.invertible_adapters_forward(states, rev=True)
        return inverse

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the trainable parameters by name."""
        return {key: value for key, value in self.trunk.named_parameters() if value.requires_grad}

    def first_active_block(self) -> int:
        """Return the lowest block that an active adapter or a trainable weight changes.

        Block ``2 i`` is the attention of layer ``i``, block ``2 i + 1`` its feed-forward; twice the number of layers if
        nothing changes. If layers cannot be divided, it is the first block of the layer.
        """
        if self.methods:
            lowest = [self.methods[name].lowest_block(self.depth) for name in self.acting]
            block = min(lowest, default=2 * self.depth)
        else:
            block = 2 * self._first_trained_layer()
        return block if self.host.names.attention else block - block % 2

    def below(self, ids: Tensor, mask: Tensor, block: int, types: Tensor | None = None) -> Tensor:
        """Compute the input of a block, without dropout and without gradient.

        Args:
            ids: as of :meth:`states`.
            mask: as of :meth:`states`.
            block: at most that of :meth:`first_active_block`.
            types: as of :meth:`states`.

        Returns:
            (sequences, tokens, hidden)
        """
        for part in lowest_parts(self.host, block):
            part.eval()
        with torch.no_grad(), ended(self.host, block):
            return self.states(ids, mask, types=types)

    def states(
        self, ids: Tensor, mask: Tensor, start: tuple[int, Tensor] | None = None, types: Tensor | None = None
    ) -> Tensor:
        """Compute the last hidden states.

        Args:
            ids: (sequences, tokens).
            mask: (sequences, tokens), 1 for tokens and 0 for padding.
            start: a block and its input, as of :meth:`below`, to go on from there.
            types: (sequences, tokens), 1 from the second text of a pair on; None if there are no pairs.

        Returns:
            (sequences, tokens, hidden)
        """
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.architecture.text_format.token_types and types is not None:
            inputs["token_type_ids"] = types
        with quiet(), resumed(self.host, *start) if start else contextlib.nullcontext():
            states: Tensor = self.trunk(**inputs).last_hidden_state
        return states

    def truncated(self, layers: int) -> contextlib.AbstractContextManager[None]:
        """Cut the encoder off after ``layers`` layers within the context; higher layers are not computed."""
        return truncated(self.host, layers)

    def save_trunk(self, folder: Path) -> None:
        """Write config and weights of the encoder itself, in the layout that this package and transformers load.

        Raises:
            ConfigError: adapters are attached.
        """
        from safetensors.torch import save_file

        if self.methods:
            raise ConfigError("an encoder with adapters on it cannot be saved as an encoder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        config = copy.deepcopy(self.trunk.config)
        config.architectures = [self.architecture.model_class]
        settings = {**json.loads(config.to_json_string()), "_name_or_path": ""}
        write_json(folder / "config.json", settings, indent=1, ascii_only=True)
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.trunk.state_dict().items()}
        save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})

    def _reset(self) -> None:
        """Deactivate and freeze everything after modules were added or removed, and list the parameters anew."""
        self.listed_parameters = list(self.trunk.parameters())
        self.compose(())

    def _first_trained_layer(self) -> int:
        """Return the lowest layer that has a trainable weight or follows one; the number of layers if there is none."""
        if any(_is_trained(part) for part in self.host.inputs):
            return 0
        for index, layer in enumerate(self.host.layers):
            if _is_trained(layer):
                return index
        return self.depth


def _is_trained(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())
