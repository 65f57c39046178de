"""The encoder: one trunk, one backend, and named deltas on it, with a guard after every change.

The libraries underneath change or skip things silently: a name that does not exist, weights that are not in the
file, a frozen adapter that is unfrozen by activating another one. Hence every load is strict, and after every
composition :meth:`Encoder.compose` checks what the model has really become.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods import AdapterMethod, fusion
from adaptstilts.methods.fusion import Place
from adaptstilts.models.locate import WEIGHTS
from adaptstilts.models.partial import ended, lowest_parts, resumed, truncated
from adaptstilts.models.weights import HEAD_PREFIX, fill, load_trunk, quiet, read_tensors, renamed, weights_of

if TYPE_CHECKING:
    from transformers import XLMRobertaModel


def seeded(*parts: object) -> int:
    """A 63-bit seed that depends on all parts and on nothing else."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextlib.contextmanager
def generator(*parts: object) -> Iterator[None]:
    """Run a block with torch's global generator seeded by ``parts``, and put the generator back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seeded(*parts))
        yield


class Encoder:
    """An XLM-R encoder without pooler, and the adapters attached to it.

    Args:
        folder: holds ``config.json`` and ``model.safetensors``.
        backend: of the methods to be attached: ``plain``, ``adapters`` or ``peft``; fixed for life.
        device: where it runs.
        name: what exported adapters say their base model is called.
    """

    def __init__(
        self, folder: Path, backend: str = "plain", device: str | torch.device = "cpu", name: str = ""
    ) -> None:
        self.folder = folder
        self.trunk: XLMRobertaModel = load_trunk(folder)
        self.trunk.config._name_or_path = name
        self.backend = backend
        self.methods: dict[str, AdapterMethod] = {}
        self.acting: tuple[str, ...] = ()
        self.fusions: list[tuple[str, ...]] = []
        self.device = torch.device(device)
        self._prepared = False
        self._all: list[nn.Parameter] = []
        self.trunk.to(self.device).eval()
        self._changed()

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.trunk.encoder.layer)

    @property
    def kind(self) -> str | None:
        """The one kind of the adapters attached; None while there are none."""
        return next((method.kind for method in self.methods.values()), None)

    @property
    def hidden(self) -> int:
        """Hidden size."""
        return int(self.trunk.config.hidden_size)

    @property
    def dropout(self) -> float:
        """Dropout probability of the encoder, which heads share."""
        return float(self.trunk.config.hidden_dropout_prob)

    @property
    def words(self) -> nn.Parameter:
        """(vocabulary, hidden) word embeddings."""
        weight: nn.Parameter = self.trunk.embeddings.word_embeddings.weight
        return weight

    def language_model_head(self) -> dict[str, Tensor]:
        """The weights of the language-model head in the encoder's file, without its prefix; none where it has none."""
        from safetensors import safe_open

        with safe_open(str(self.folder / WEIGHTS), "pt") as held:
            keys = [key for key in held.keys() if key.startswith(HEAD_PREFIX)]  # noqa: SIM118 (not a dict)
            return {key.removeprefix(HEAD_PREFIX): held.get_tensor(key).float() for key in keys}

    def add(self, name: str, method: AdapterMethod, *seed: object) -> None:
        """Attach a new delta whose initial weights depend on ``seed`` alone.

        Raises:
            ConfigError: the name is taken, or the method has another backend than this encoder or is of another kind
                than what is attached.
        """
        if name in self.methods:
            raise ConfigError(f"adapter {name!r} is attached already; remove it first")
        if method.backend != self.backend:
            raise ConfigError(
                f"{method.label} needs the backend {method.backend!r}, this encoder has {self.backend!r}; one"
                f" encoder has one backend, because the libraries undo each other's changes"
            )
        if self.kind not in (None, method.kind):
            raise ConfigError(f"{method.label} cannot be beside {self.kind}: one encoder has adapters of one kind")
        with generator(*seed), quiet():
            if not self._prepared:
                method.prepare(self.trunk)
                self._prepared = True
                torch.manual_seed(seeded(*seed))
            method.add(self.trunk, name)
        self.trunk.to(self.device)
        self.methods[name] = method
        self._changed()

    def load(self, name: str, method: AdapterMethod, folder: Path) -> None:
        """Attach a delta from a folder in its library's format. Strict: config, keys, shapes and values are checked.

        Raises:
            ArtifactError: the folder does not hold exactly the weights of ``method`` on this encoder.
        """
        found = method.read_config(folder, self.depth)
        if found.identity() != method.identity():
            raise ArtifactError(f"{folder}: holds {found.label}, expected {method.label}")
        held = read_tensors(weights_of(folder))
        self.add(name, method, "load")
        expected = method.tensors(self.trunk, name)
        try:
            fill(renamed(held, name, expected, folder), expected, folder)
        except ArtifactError:
            self.remove(name)
            raise

    def fuse(self, members: tuple[str, ...], *seed: object) -> None:
        """Attach a new fusion of attached adapters, whose initial weights depend on ``seed`` alone.

        Raises:
            ConfigError: fewer than two members, unknown ones, or adapters that cannot be fused.
        """
        unknown = [name for name in members if name not in self.methods]
        if unknown or len(set(members)) < 2 or members in self.fusions:
            raise ConfigError(f"a new fusion needs two or more attached adapters, found {', '.join(members)}")
        if told := fusion.why_not_together([self.methods[name] for name in members]):
            raise ConfigError(f"{', '.join(self.methods[name].label for name in members)} cannot be fused: {told}")
        with generator(*seed), quiet():
            fusion.add(self.trunk, members)
        self.trunk.to(self.device)
        self.fusions.append(members)
        self._changed()

    def load_fusion(self, members: tuple[str, ...], folder: Path) -> None:
        """Attach a fusion from a folder that :meth:`save` wrote; strict, as :meth:`load`."""
        fusion.check(folder, len(members))
        held = read_tensors(folder / fusion.WEIGHTS)
        self.fuse(members, "load")
        try:
            fill(held, self.delta(members), folder)
        except ArtifactError:
            self.remove(members)
            raise

    def save(self, name: Place, folder: Path) -> None:
        """Write a delta in its library's format, or a fusion."""
        with quiet():
            if isinstance(name, tuple):
                fusion.save(self.delta(name), len(name), folder)
            else:
                self.methods[name].save(self.trunk, name, folder)

    def remove(self, name: Place) -> None:
        """Detach a delta or a fusion; none is active afterwards."""
        self.compose(())
        if isinstance(name, str):
            for members in [members for members in self.fusions if name in members]:
                self.remove(members)
        with quiet():
            if isinstance(name, tuple):
                self.fusions.remove(name)
                fusion.remove(self.trunk, name)
            else:
                self.methods.pop(name).remove(self.trunk, name)
        self._changed()

    def compose(self, places: Sequence[Place], train: Place | None = None) -> None:
        """Make adapters act, the lowest first, and only ``train`` (or nothing) trainable.

        Args:
            places: names of adapters; several in one place (a tuple of names) act through their fusion.
            train: one of ``places``.

        Raises:
            ConfigError: an unknown name, the same name twice, or methods that cannot be stacked.
            ArtifactError: the model is not what was asked for; never expected, always checked.
        """
        fused = [place for place in places if isinstance(place, tuple)]
        if any(place not in self.fusions for place in fused):
            raise ConfigError(f"no fusion of {', '.join(fused[0])}; attach it first")
        names = [name for place in places for name in (place if isinstance(place, tuple) else (place,))]
        unknown = [name for name in names if name not in self.methods]
        if unknown:
            raise ConfigError(f"no adapter called {unknown[0]!r}; attached are {', '.join(self.methods) or 'none'}")
        if len(set(names)) != len(names):
            raise ConfigError(f"an adapter cannot be stacked on itself: {', '.join(names)}")
        for height, name in enumerate(names if len(names) > 1 else ()):
            method = self.methods[name]
            if reason := method.why_not_stackable() or (method.why_not_above() if height else None):
                raise ConfigError(f"{method.label} cannot be stacked: {reason}")
        with quiet():
            for method in {type(m): m for m in self.methods.values()}.values():
                method.activate(self.trunk, [name for name in names if type(self.methods[name]) is type(method)])
            if fused:
                fusion.activate(self.trunk, places)
        self.acting = tuple(names)
        for parameter in self._all:
            parameter.requires_grad = False
        if train is not None:
            for parameter in self.delta(train).values():
                parameter.requires_grad = True
        self.check(places, train)

    def _changed(self) -> None:
        """Modules came or went: nothing acts, nothing trains, and the list of parameters is made anew."""
        self._all = list(self.trunk.parameters())
        self.compose(())

    def train_all(self, frozen: Sequence[nn.Module] = ()) -> None:
        """Make every weight of the trunk trainable but those of the ``frozen`` parts: full fine-tuning."""
        if self.methods:
            raise ConfigError("full fine-tuning is for an encoder without adapters")
        self.trunk.requires_grad_(True)
        for part in frozen:
            part.requires_grad_(False)

    def check(self, places: Sequence[Place], train: Place | None) -> None:
        """The guard: what acts, where, and what trains, compared with what was asked for."""
        names = [name for place in places for name in (place if isinstance(place, tuple) else (place,))]
        if len(names) != len(places) and (held := fusion.active(self.trunk)) != tuple(places):
            raise ArtifactError(f"active adapters are {list(held)}, expected {list(places)}")
        for name in names:
            method = self.methods[name]
            found, expected = method.attached_layers(self.trunk, name), set(method.layers(self.depth))
            if found != expected:
                raise ArtifactError(f"adapter {name!r}: modules in layers {sorted(found)}, expected {sorted(expected)}")
        for kind in {type(method): method for method in self.methods.values()}.values():
            own = tuple(name for name in names if type(self.methods[name]) is type(kind))
            active = kind.active(self.trunk, own)
            if active != own and len(names) == len(places):
                raise ArtifactError(f"active adapters are {list(active)}, expected {list(own)}")
        wanted = set() if train is None else {id(p) for p in self.delta(train).values()}
        here = self._all if train is None else self.trunk.parameters()
        trainable = {id(p) for p in here if p.requires_grad}
        if trainable != wanted:
            raise ArtifactError(f"{len(trainable)} tensors would be trained, expected {len(wanted)} of {train!r}")

    def delta(self, name: Place) -> dict[str, nn.Parameter]:
        """Parameters of a delta, or of a fusion, by their key in the library's file format."""
        if isinstance(name, tuple):
            return fusion.tensors(self.trunk, name)
        return self.methods[name].tensors(self.trunk, name)

    def fill(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Give a delta weights, by keys with another name in the place of its own."""
        expected = self.delta(name)
        fill(renamed(tensors, name, expected, self.folder), expected, self.folder)

    def inverted(self, states: Tensor) -> Tensor:
        """Last hidden states through the inverse of what the lowest adapter does to the embeddings.

        A language-model head needs it, whose output weights are the embeddings (Pfeiffer et al. 2020, arXiv
        2005.00052). Without an invertible part that acts, the states as they are.
        """
        if not any(getattr(method, "invertible", False) for method in self.methods.values()):
            return states
        found: Tensor = self.trunk.invertible_adapters_forward(states, rev=True)
        return found

    def parameters(self) -> dict[str, nn.Parameter]:
        """Trainable parameters of the trunk by name."""
        return {key: value for key, value in self.trunk.named_parameters() if value.requires_grad}

    def first_active_layer(self) -> int:
        """The lowest layer that an acting adapter or a trainable weight changes; below it is the bare, frozen trunk."""
        return self.first_active_block() // 2

    def first_active_block(self) -> int:
        """The lowest block that they change: ``2 i`` the attention of layer ``i``, ``2 i + 1`` its feed-forward."""
        if self.methods:
            return min((self.methods[name].lowest_block(self.depth) for name in self.acting), default=2 * self.depth)
        parts = (self.trunk.embeddings, *self.trunk.encoder.layer)
        trained = (max(i - 1, 0) for i, part in enumerate(parts) if any(p.requires_grad for p in part.parameters()))
        return 2 * min(trained, default=self.depth)

    def below(self, ids: Tensor, mask: Tensor, block: int) -> Tensor:
        """Hidden states that go into a block, (sequences, tokens, hidden): without dropout and without gradient."""
        for part in lowest_parts(self.trunk, block):
            part.eval()
        with torch.no_grad(), ended(self.trunk, block):
            return self.states(ids, mask)

    def states(self, ids: Tensor, mask: Tensor, start: tuple[int, Tensor] | None = None) -> Tensor:
        """Last hidden states: (sequences, tokens, hidden).

        Args:
            ids: (sequences, tokens).
            mask: (sequences, tokens), 1 where there is a token.
            start: a block and what :meth:`below` gives for it, to go on from there.
        """
        with quiet(), resumed(self.trunk, *start) if start else contextlib.nullcontext():
            states: Tensor = self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        return states

    def truncated(self, layers: int) -> contextlib.AbstractContextManager[None]:
        """Within the block the encoder ends after ``layers`` layers; the ones above are not computed."""
        return truncated(self.trunk, layers)

    def save_trunk(self, folder: Path) -> None:
        """Write config and weights of the trunk, loadable here and by plain transformers."""
        from safetensors.torch import save_file

        if self.methods:
            raise ConfigError("a trunk with adapters on it is not an encoder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        config = copy.deepcopy(self.trunk.config)
        config.architectures = ["XLMRobertaModel"]
        text = json.dumps({**json.loads(config.to_json_string()), "_name_or_path": ""}, indent=1)
        (folder / "config.json").write_text(text, encoding="utf-8")
        held = {key: value.detach().cpu().contiguous() for key, value in self.trunk.state_dict().items()}
        save_file(held, str(folder / WEIGHTS), metadata={"format": "pt"})


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of each sequence, in float32.

    Args:
        states: (sequences, tokens, hidden).
        mask: (sequences, tokens), 1 where there is a token.

    Returns:
        (sequences, hidden).
    """
    weight = mask[:, :, None].float()
    mean: Tensor = (states.float() * weight).sum(1) / weight.sum(1)
    return mean
