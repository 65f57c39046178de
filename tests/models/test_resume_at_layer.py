"""An encoder that goes on from the hidden states of a lower block gives the same bits as one that begins below."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.sampling import parameters
from torch import Tensor

from adaptstilts.methods import Method
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.full import Full
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models.encoder import Encoder

IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()
LOWER = (0, 1)
METHODS: dict[str, Method] = {
    "seq": Bottleneck(reduction=4, leave_out=LOWER),
    "double": Bottleneck(reduction=4, placement="double", leave_out=LOWER),
    "parallel": Bottleneck(reduction=4, placement="parallel", leave_out=LOWER),
    "compacter": Compacter(reduction=4, leave_out=LOWER),
    "lora": Lora(rank=2, leave_out=LOWER),
    "lora-feed-forward": Lora(rank=2, targets=("intermediate", "output"), leave_out=LOWER),
    "dora": Lora(rank=2, dora=True, leave_out=LOWER),
    "ia3": Ia3(leave_out=LOWER),
    "prefix": Prefix(length=3, inner=8, leave_out=LOWER),
    "bitfit": BitFit(leave_out=LOWER),
    "layernorm": LayerNorm(leave_out=LOWER),
}
every_method = pytest.mark.parametrize("method", parameters(METHODS, ("seq", "lora", "ia3", "prefix", "bitfit")))


def made(folder: Path, method: Method, *names: str) -> Encoder:
    """An encoder with adapters that do something, all acting but ``idle``."""
    encoder = Encoder(folder, method.backend)
    noise = torch.Generator().manual_seed(0)
    for name in names:
        encoder.add(name, method, name)
        with torch.no_grad():
            for value in encoder.delta(name).values():
                value.add_(0.1 * torch.randn(value.shape, generator=noise))
    encoder.compose([name for name in names if name != "idle"])
    return encoder


def whole(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return encoder.states(IDS, MASK)


def resumed(encoder: Encoder, block: int, bf16: bool = False) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        below = encoder.below(IDS, MASK, block)
        assert below.dtype == torch.float32
        return encoder.states(IDS, MASK, (block, below))


@every_method
@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=["one", "stack"])
def test_resumed_equals_the_whole_to_the_bit(tiny: Path, method: Method, names: list[str]) -> None:
    if len(names) > 1 and (reason := method.why_not_stackable()):
        pytest.skip(reason)
    encoder = made(tiny, method, *names)
    expected, parts = whole(encoder), list(dict(encoder.trunk.named_modules()))
    assert encoder.first_active_block() // 2 == 2
    lowest = encoder.first_active_block()
    assert lowest == method.lowest_block(4) == 4 + method.spares_attention
    for block in range(lowest + 1):
        assert torch.equal(resumed(encoder, block), expected)
    assert not torch.equal(encoder.below(IDS, MASK, lowest + 1), Encoder(tiny).below(IDS, MASK, lowest + 1))
    assert list(dict(encoder.trunk.named_modules())) == parts
    assert torch.equal(whole(encoder), expected)
    assert not torch.equal(expected, whole(Encoder(tiny)))


@every_method
def test_resumed_equals_the_whole_in_bf16(tiny: Path, method: Method) -> None:
    encoder = made(tiny, method, "a")
    with torch.autocast("cpu", torch.bfloat16):
        expected = whole(encoder)
    assert torch.equal(resumed(encoder, encoder.first_active_block(), bf16=True), expected)


@every_method
def test_lower_part_is_the_bare_trunk_whatever_is_attached(tiny: Path, method: Method) -> None:
    everywhere = method.model_copy(update={"leave_out": ()})
    encoder = Encoder(tiny, method.backend)
    encoder.add("idle", everywhere, 1)
    encoder.add("a", method, 2)
    encoder.compose(["a"])
    plain = Encoder(tiny)
    for block in range(encoder.first_active_block() + 1):
        assert torch.equal(encoder.below(IDS, MASK, block), plain.below(IDS, MASK, block))
    encoder.compose(["idle"])
    assert encoder.first_active_block() // 2 == 0


@every_method
def test_gradients_are_those_of_the_whole(tiny: Path, method: Method) -> None:
    """Without dropout anywhere, training from the states of a layer gives the same gradients to the bit."""
    encoder = made(tiny, method, "a")
    encoder.compose(["a"], train="a")
    encoder.trunk.eval()
    found = []
    lowest = encoder.first_active_block()
    for start in (None, (lowest, encoder.below(IDS, MASK, lowest))):
        for value in encoder.delta("a").values():
            value.grad = None
        encoder.states(IDS, MASK, start)[MASK.bool()].square().sum().backward()
        found.append({key: value.grad for key, value in encoder.delta("a").items()})
    assert found[0].keys() == found[1].keys()
    for key, grad in found[0].items():
        assert torch.equal(grad, found[1][key]), key
        assert grad.abs().max() > 0, key


def test_no_dropout_below_and_dropout_above(tiny: Path) -> None:
    encoder = made(tiny, METHODS["seq"], "a")
    encoder.trunk.train()
    below = [encoder.below(IDS, MASK, 5) for _ in range(2)]
    assert torch.equal(below[0], below[1])
    assert encoder.trunk.encoder.layer[3].training
    assert encoder.trunk.encoder.layer[2].output.training
    above = [encoder.states(IDS, MASK, (5, below[0])) for _ in range(2)]
    assert not torch.equal(above[0], above[1])


def test_padding_may_hold_anything(tiny: Path) -> None:
    """Kept states have zeros where a batch is padded."""
    encoder = made(tiny, METHODS["seq"], "a")
    below = encoder.below(IDS, MASK, 4)
    with torch.no_grad():
        other = encoder.states(IDS, MASK, (4, below * MASK[:, :, None]))
    assert torch.equal(other[MASK.bool()], whole(encoder)[MASK.bool()])


@pytest.mark.parametrize("layer", range(5))
def test_every_layer_of_the_bare_encoder(tiny: Path, layer: int) -> None:
    encoder = Encoder(tiny)
    with torch.no_grad():
        states = encoder.trunk(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    assert torch.equal(encoder.below(IDS, MASK, 2 * layer), states[layer])
    for block in {2 * layer, min(2 * layer + 1, 8)}:
        assert torch.equal(resumed(encoder, block), states[-1])


def test_the_encoder_is_whole_again_after_an_error(tiny: Path) -> None:
    encoder = Encoder(tiny)
    expected = whole(encoder)
    for block in (4, 5):
        with pytest.raises(RuntimeError), torch.no_grad():
            encoder.states(IDS, MASK, (block, torch.zeros(2, 6, 5)))
        assert torch.equal(whole(encoder), expected)


def test_first_active_layer(tiny: Path) -> None:
    encoder = made(tiny, Bottleneck(reduction=4, leave_out=(0,)), "a")
    encoder.add("upper", Bottleneck(reduction=4, leave_out=(0, 1, 2)), 1)
    assert encoder.first_active_block() // 2 == 4
    for names, lowest in ((["upper"], 3), (["a", "upper"], 1), ([], 4)):
        encoder.compose(names)
        assert encoder.first_active_block() // 2 == lowest
    encoder.compose(["upper"], train="upper")
    assert encoder.first_active_block() // 2 == 3


@pytest.mark.parametrize(
    ("method", "lowest"),
    [
        (Full(), 0),
        (Full(freeze_layers=3), 0),
        (Full(freeze_embeddings=True), 0),
        (Full(freeze_embeddings=True, freeze_layers=3), 3),
        (Full(freeze_embeddings=True, freeze_layers=9), 4),
    ],
)
def test_first_active_layer_of_full_fine_tuning(tiny: Path, method: Full, lowest: int) -> None:
    encoder = Encoder(tiny)
    encoder.train_all(method.frozen_modules(encoder.host))
    assert encoder.first_active_block() // 2 == method.lowest(4) == lowest


def test_an_invertible_part_leaves_nothing_below(tiny: Path) -> None:
    encoder = made(tiny, Bottleneck(reduction=4, invertible=True, leave_out=(0, 1)), "a")
    assert encoder.first_active_block() // 2 == 0
