"""A result is what its key says: what of a model's folder is part of its identity, and that nothing else is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.config_fields import Outcome, change, outcomes
from support.outside_architectures import ERNIE, make_outside_encoder
from support.tiny_encoders import NAMES, make_tiny_encoder

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures
from adaptstilts.models.architectures import fields
from adaptstilts.models.building import load_encoder, model_class
from adaptstilts.models.locate import SHIPPED, builtin_names, check_same, locate
from adaptstilts.models.weights import read_language_model_head


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny encoder, to be changed."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(architectures.REGISTRY, "_added", {})
    architectures.add(ERNIE)
    return make_outside_encoder(tmp_path / "ernie")


# What the key says

KEY = {
    "num_attention_heads", "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps",
    "position_embedding_type", "is_decoder", "pruned_heads", "a_new_field",
}  # fmt: skip
REFUSED = {
    "model_type", "hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size", "max_position_embeddings",
    "type_vocab_size", "add_cross_attention",
}  # fmt: skip


BEYOND_WEIGHTS = {  # sizes that no tensor of the weights has
    "deberta-v2": ("max_position_embeddings",),
    "modernbert": ("max_position_embeddings",),
}


def by_result(folder: Path) -> dict[str, set[str]]:
    results: dict[str, set[str]] = {"key": set(), "refused": set(), "ignored": set()}
    for outcome in outcomes(folder):
        results[outcome.result].add(outcome.field)
        assert outcome.why not in ("", "NO REASON"), outcome
    return results


def test_every_field_changes_the_key_or_has_a_reason_not_to(tiny: Path) -> None:
    results = by_result(tiny)
    assert results["key"] == KEY
    assert results["refused"] == {*REFUSED, "pad_token_id"}
    assert results["ignored"] == set(fields.IGNORED)


def test_every_field_of_an_architecture_from_outside(outside: Path) -> None:
    results = by_result(outside)
    assert results["key"] >= KEY | {"task_type_vocab_size", "use_task_id", "pad_token_id"}
    assert results["refused"] == REFUSED
    assert results["ignored"] == set(fields.IGNORED)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_an_architecture_has_a_reason(name: str, tmp_path: Path) -> None:
    """Sizes and weights that do not fit are refused, settings are in the key, and the rest is ignored for a reason."""
    folder = make_tiny_encoder(tmp_path / name, name)
    architecture = architectures.get(name)
    results = by_result(folder)
    assert results["ignored"] == set(architecture.ignored)
    heads, sizes = architecture.sizes["heads"], set(architecture.sizes.values())
    assert results["refused"] >= {"model_type", *sizes} - {heads, *BEYOND_WEIGHTS.get(name, ())}
    assert "a_new_field" in results["key"]


def test_an_ignored_field_never_reaches_the_library(copy: Path) -> None:
    """The model is the same object in every setting, so no number can differ."""
    before = load_encoder(copy)
    config = json.loads((copy / "config.json").read_text())
    values: dict[str, Any] = dict.fromkeys(fields.IGNORED, 7)
    values |= {
        "attn_implementation": "eager",
        "_attn_implementation": "eager",
        "num_labels": 10**9,
        "torchscript": True,
    }
    (copy / "config.json").write_text(json.dumps({**values, **{k: v for k, v in config.items() if k not in values}}))
    after = load_encoder(copy)
    assert after.config.to_dict() == before.config.to_dict()
    assert vars(after.config) == vars(before.config)
    assert all(torch.equal(one, other) for one, other in zip(before.parameters(), after.parameters(), strict=True))


def test_published_settings_add_nothing(tmp_path: Path) -> None:
    """Keys of stores that were written before settings were part of them."""
    for name in builtin_names():
        assert set(locate(name).fingerprint.identity()) == {"architecture", "shape", "tokenizer", "weights"}
    folder = shutil.copytree(SHIPPED / "nano", tmp_path / "nano")
    expected = locate("builtin:nano").fingerprint
    path = folder / "config.json"
    config = json.loads(path.read_text())
    # the rest of https://huggingface.co/FacebookAI/xlm-roberta-base/blob/main/config.json
    path.write_text(json.dumps({**config, "output_past": True, "transformers_version": "4.17.0.dev0"}))
    assert locate(str(folder)).fingerprint == expected
    usual = {name: field.usual for name, field in architectures.get("xlm-roberta").settings.items()}
    path.write_text(json.dumps({**config, **usual}))
    assert locate(str(folder)).fingerprint == expected


@pytest.mark.slow
def test_a_missing_field_counts_as_what_the_library_takes_for_it(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED / "nano", tmp_path / "nano")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name, field in architectures.get("xlm-roberta").settings.items():
        path.write_text(json.dumps({key: value for key, value in config.items() if key != name}))
        missing = locate(str(folder)).fingerprint
        assert getattr(load_encoder(folder).config, name) == field.absent
        path.write_text(json.dumps({**config, name: field.absent}))
        assert locate(str(folder)).fingerprint == missing
        assert (missing == locate("builtin:nano").fingerprint) == (field.absent == field.usual)


def test_an_artifact_of_other_settings_is_refused_both_ways(tiny: Path, copy: Path) -> None:
    change(copy, "hidden_act", "relu")
    ours, theirs = locate(str(tiny)).fingerprint.identity(), locate(str(copy)).fingerprint.identity()
    for one, other in ((ours, theirs), (theirs, ours)):
        with pytest.raises(
            ArtifactError, match=r'settings .*expected, .*"hidden_act":"relu"|"hidden_act":"relu".*found'
        ):
            check_same(one, other, "adapter x")


# Nothing else is read


@pytest.mark.parametrize("beside", ["an adapter", "an adapter of another folder", "a pickle", "other weights"])
def test_files_beside_a_model_are_not_opened(copy: Path, tiny: Path, tmp_path: Path, beside: str) -> None:
    from peft import LoraConfig, get_peft_model

    expected = load_encoder(tiny).state_dict()
    adapted = get_peft_model(load_encoder(tiny), LoraConfig(r=2, target_modules=["query"], init_lora_weights=False))
    if beside in ("an adapter", "an adapter of another folder"):
        adapted.save_pretrained(str(copy))
    if beside == "an adapter of another folder":
        other = shutil.copytree(tiny, tmp_path / "other")
        tensors = load_file(other / "model.safetensors")
        save_file({k: v + 1 for k, v in tensors.items()}, other / "model.safetensors", metadata={"format": "pt"})
        path = copy / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": str(other)}))
    if beside == "a pickle":
        adapted.save_pretrained(str(copy))
        (copy / "adapter_model.safetensors").unlink()
        (copy / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    if beside == "other weights":
        tensors = {key: torch.zeros_like(value) for key, value in expected.items()}
        save_file(tensors, copy / "model-00001-of-00001.safetensors", metadata={"format": "pt"})
        index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "model-00001-of-00001.safetensors")}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))
        torch.save(tensors, copy / "pytorch_model.bin")
    assert locate(str(copy)).fingerprint == locate(str(tiny)).fingerprint
    state = load_encoder(copy).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", [*builtin_names(), *NAMES, "tiny", "half"])
def test_an_encoder_is_the_one_that_the_library_loads(name: str, tiny: Path, copy: Path, tmp_path: Path) -> None:
    """Weights, buffers, settings and the state of the random generator, to the bit."""
    if name in NAMES:
        folder = make_tiny_encoder(tmp_path / name, name)
    else:
        folder = {"tiny": tiny, "half": copy}.get(name) or locate(name).folder
    if name == "half":
        tensors = {key: value.half() for key, value in load_file(copy / "model.safetensors").items()}
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    architecture = locate(str(folder)).architecture if name not in builtin_names() else locate(name).architecture
    before = torch.get_rng_state()
    ours = load_encoder(folder)
    assert torch.equal(torch.get_rng_state(), before)
    theirs = model_class(architecture).from_pretrained(str(folder), dtype=torch.float32, **architecture.load_options)
    for one, other in (
        (ours.named_parameters(), theirs.named_parameters()),
        (ours.named_buffers(), theirs.named_buffers()),
    ):
        mine, expected = dict(one), dict(other)
        assert list(mine) == list(expected)
        for key, value in expected.items():
            assert torch.equal(mine[key], value)
            assert (mine[key].dtype, mine[key].stride()) == (value.dtype, value.stride())
            assert mine[key].requires_grad == value.requires_grad
    notes = {"_name_or_path", "architectures", "model_type", "transformers_version", *architecture.ignored}
    ours_config, their_config = (
        {key: value for key, value in vars(model.config).items() if key not in notes} for model in (ours, theirs)
    )
    assert ours_config == their_config
    assert ours.training is theirs.training is False


# What does not fit is one line


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("num_hidden_layers", 1_000_000_000, "num_hidden_layers is 1000000000, its weights have 4"),
        ("vocab_size", 2**40, "vocab_size is 1099511627776, its weights have"),
        ("vocab_size", -1, "vocab_size is -1, expected 1 or more"),
        ("num_attention_heads", 0, "num_attention_heads is 0, expected 1 or more"),
        ("num_attention_heads", True, "expected whole numbers for num_attention_heads"),
        ("num_attention_heads", 5, "hidden_size is 32, expected a multiple of num_attention_heads (5)"),
        ("type_vocab_size", 2**40, "type_vocab_size is 1099511627776, its weights have 1"),
        ("type_vocab_size", True, "type_vocab_size is True, its weights have 1"),
        ("pad_token_id", 10**9, "pad_token_id is '1000000000', expected 0 or 1"),
        ("pad_token_id", -1, "pad_token_id is '-1', expected 0 or 1"),
        ("pad_token_id", None, "pad_token_id is 'None', expected 0 or 1"),
        ("pad_token_id", 0, "<pad> has the number 1, config.json has pad_token_id 0; expected the same"),
        ("hidden_act", "os.system", "hidden_act is 'os.system', expected one of gelu, "),
        ("hidden_act", ["gelu"], "expected one of gelu, "),
        ("hidden_dropout_prob", "0.1", "hidden_dropout_prob is '0.1', expected a number from 0 to below 1"),
        ("hidden_dropout_prob", True, "hidden_dropout_prob is 'True', expected a number from 0 to below 1"),
        ("attention_probs_dropout_prob", 1, "expected a number from 0 to below 1"),
        ("layer_norm_eps", -1e-5, "layer_norm_eps is '-1e-05', expected a number from 0 to 1"),
        ("layer_norm_eps", float("nan"), "NaN is not a JSON number"),
        ("position_embedding_type", "none", "expected one of absolute, relative_key, relative_key_query"),
        ("is_decoder", 1, "is_decoder is '1', expected true or false"),
        ("add_cross_attention", True, "add_cross_attention is 'True', expected false"),
        ("pruned_heads", {"x": [0]}, "expected the numbers of heads by the number of a layer"),
    ],
)
def test_a_field_that_does_not_fit(copy: Path, name: str, value: Any, words: str) -> None:
    change(copy, name, value)
    with pytest.raises(ArtifactError) as caught:
        locate(str(copy))
    assert words in str(caught.value)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("pruned_heads", {"0": [0]}), ("to_dict", 3), ("position_embedding_type", "relative_key"), ("x y", 1)],
)
def test_a_config_that_no_encoder_can_be_built_from(copy: Path, name: str, value: Any) -> None:
    change(copy, name, value)
    with pytest.raises(ArtifactError, match=str(copy)):
        load_encoder(copy)


def test_names_of_activations_are_those_of_the_library() -> None:
    from transformers.activations import ACT2FN

    assert set(fields.ACTIVATIONS) <= set(ACT2FN)
    assert not any(list(ACT2FN[name].parameters()) for name in fields.ACTIVATIONS)


def change_tokenizer(folder: Path, **changed: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


WORD = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"added_tokens": [{"id": 10**6, "content": "x", **WORD}]},
            "the token 'x' has the number 1000000, the encoder",
        ),
        ({"added_tokens": [{"id": -1, "content": "x", **WORD}]}, "not a tokenizer (the token 'x' has the number -1)"),
        ({"added_tokens": 3}, "not a tokenizer (TypeError in its vocabulary)"),
        ({"model": {"type": "WordPiece", "vocab": {"[CLS]": 0, "a": 1}}, "added_tokens": []}, "has no <s> token"),
        ({"model": {"type": "Unigram"}}, "not a tokenizer (KeyError in its vocabulary)"),
        ({"model": {"type": "WordLevel", "vocab": {"a": "0"}}}, "the token 'a' has the number '0'"),
    ],
)
def test_a_tokenizer_that_does_not_fit(copy: Path, changed: dict[str, Any], words: str) -> None:
    change_tokenizer(copy, **changed)
    with pytest.raises(ArtifactError) as caught:
        locate(str(copy))
    assert str(caught.value).startswith(str(copy / "tokenizer.json"))
    assert words in str(caught.value)


def test_a_header_of_blanks_is_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    blanks = b" " * 99_000_000
    path.write_bytes((size + len(blanks)).to_bytes(8, "little") + data[8 : 8 + size] + blanks + data[8 + size :])
    with pytest.raises(ArtifactError, match=r"not a safetensors file .header length out of range"):
        locate(str(copy))


@pytest.mark.parametrize("by", [-4, 4])
def test_weights_of_another_length_are_seen_before_anything_is_built(copy: Path, by: int) -> None:
    path = copy / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:by] if by < 0 else data + b"0" * by)
    with pytest.raises(ArtifactError, match=r"its header says \d+; copy the file again"):
        locate(str(copy))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_head_with_values_that_are_not_finite(copy: Path, value: float) -> None:
    tensors = load_file(copy / "model.safetensors")
    tensors["lm_head.dense.bias"] = torch.full((32,), value)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=r"lm_head\.dense\.bias has values that are not finite"):
        read_language_model_head(copy, architectures.get("xlm-roberta"))


def test_the_table_is_complete(tiny: Path) -> None:
    assert all(isinstance(outcome, Outcome) for outcome in outcomes(tiny))
    from transformers import XLMRobertaConfig

    names = {name for name in vars(XLMRobertaConfig()) if not name.startswith("_")}
    assert names <= {outcome.field for outcome in outcomes(tiny)}
