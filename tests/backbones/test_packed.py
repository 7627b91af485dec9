"""The packed encoder equals the Hugging Face forward."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from adapterx.backbones.attention import mix
from adapterx.backbones.blocks import MAX_BLOCKS
from adapterx.backbones.forward_pass import ForwardPass, Unadapted
from adapterx.backbones.layout import Blocks, PackedBatch, Sequences, pack
from adapterx.backbones.modules import Module
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.products import Joint, Reordered
from adapterx.backbones.shape import Shape
from adapterx.methods.lora.layers import LoraAdapters, parameters
from adapterx.methods.lora.spec import Lora
from adapterx.methods.rows import CellDropout
from tests.models import encoder
from tests.support.present import present

SHAPES = [
    pytest.param("xlm-roberta", {"hidden": 32, "layers": 3, "heads": 4}, id="xlm-r-small"),
    pytest.param("xlm-roberta", {"hidden": 96, "layers": 1, "heads": 2}, id="xlm-r-one-layer"),
    pytest.param("xlm-roberta", {"hidden": 128, "layers": 6, "heads": 8}, id="xlm-r-deeper"),
    pytest.param("xlm-roberta-xl", {"hidden": 64, "layers": 4, "heads": 4}, id="xl"),
]
LENGTHS = [1, 2, 3, 5, 7, 7, 7, 13, 31, 64, 65, 127, 512]


def batch_of(
    lengths: list[int], reads: list[int] | None = None, seed: int = 0
) -> tuple[NDArray[np.int32], PackedBatch]:
    """Random tokens of sequences of these lengths, and their batch, in which all rows or these are read."""
    tokens = np.random.default_rng(seed).integers(3, 120, size=sum(lengths)).astype(np.int32)
    rows = np.arange(len(tokens)) if reads is None else np.array(reads)
    return tokens, pack(Sequences(tokens, np.array(lengths), rows, [len(lengths)], [len(rows)]))


def reference(model: PreTrainedModel, tokens: NDArray[np.int32], lengths: list[int]) -> list[Tensor]:
    """Hidden states of each sequence, run padded as usual."""
    ids = torch.full((len(lengths), max(lengths)), 1)
    mask = torch.zeros_like(ids)
    for row, part in enumerate(np.split(tokens, np.cumsum(lengths)[:-1])):
        ids[row, : len(part)] = torch.as_tensor(part)
        mask[row, : len(part)] = 1
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return [hidden[row, :length] for row, length in enumerate(lengths)]


@pytest.mark.parametrize(("architecture", "sizes"), SHAPES)
def test_every_row_equals_the_hugging_face_forward(architecture: str, sizes: dict[str, int]) -> None:
    model = encoder(architecture, **sizes)
    tokens, batch = batch_of(LENGTHS)
    expected = torch.cat(reference(model, tokens, LENGTHS))
    with torch.no_grad():
        torch.testing.assert_close(PackedEncoder(model)(batch), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("architecture", "sizes"), SHAPES)
def test_reading_first_tokens_only_changes_nothing(architecture: str, sizes: dict[str, int]) -> None:
    model = encoder(architecture, **sizes)
    starts = np.concatenate([[0], np.cumsum(LENGTHS)[:-1]])
    tokens, batch = batch_of(LENGTHS, reads=list(starts))
    expected = torch.stack([hidden[0] for hidden in reference(model, tokens, LENGTHS)])
    with torch.no_grad():
        torch.testing.assert_close(PackedEncoder(model)(batch), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("targets", [("query", "value"), ("value", "output"), ("query", "key")])
def test_without_a_gradient_few_reads_give_the_same_states(
    architecture: str, targets: tuple[Module, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells with adapters of their own; only where the keys are adapted are they computed for all rows."""
    packed = PackedEncoder(encoder(architecture, layers=2))
    lengths, reads = [40, 30, 64, 9, 50], [0, 40, 70, 75, 134, 143]
    tokens = np.random.default_rng(3).integers(3, 120, size=sum(lengths)).astype(np.int32)
    batch = pack(Sequences(tokens, np.array(lengths), np.array(reads), [2, 3], [2, 4]))
    method = Lora(rank=4, alpha=8, target_modules=targets)
    specs = parameters(method, Shape(hidden=packed.hidden, intermediate=packed.config.intermediate_size, layers=2))
    generator = torch.Generator().manual_seed(1)
    slot = {spec.name: torch.randn((2, *spec.shape), generator=generator) * 0.2 for spec in specs}
    adapted = LoraAdapters([(method, slot)], CellDropout(0.0, (0, 0)))
    mixed = []

    def noted(*args: Any) -> Tensor:
        mixed.append(mix(*args))
        return mixed[-1]

    monkeypatch.setattr("adapterx.backbones.mixed_context.mix", noted)
    expected = packed(batch, adapted).detach()
    assert not mixed
    with torch.no_grad():
        torch.testing.assert_close(packed(batch, adapted), expected, atol=2e-5, rtol=0)
    assert len(mixed) == (0 if "key" in targets else 1)


def test_sequences_may_be_read_at_several_places() -> None:
    model = encoder("xlm-roberta")
    lengths, reads = [4, 1, 6], [1, 2, 3, 4, 5, 10]
    tokens, batch = batch_of(lengths, reads)
    expected = torch.cat(reference(model, tokens, lengths))[reads]
    with torch.no_grad():
        torch.testing.assert_close(PackedEncoder(model)(batch), expected, atol=1e-5, rtol=0)


def test_what_is_not_finite_stays_in_its_sequence() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    lengths = [5, 3, 4]
    _, batch = batch_of(lengths)
    embedded = packed.embed(batch)
    embedded[:5] = torch.nan
    embedded.requires_grad_()
    forward = ForwardPass(batch, Unadapted())
    hidden = packed.layer(1, packed.layer(0, embedded, forward), forward)
    assert hidden[:5].isnan().all() and hidden[5:].isfinite().all()
    torch.autograd.backward(hidden[5:].sum())
    assert present(embedded.grad)[5:].isfinite().all()


def test_gradients_of_the_inputs_equal_the_hugging_face_ones() -> None:
    model = encoder("xlm-roberta")
    packed = PackedEncoder(model)
    lengths = [3, 9, 1, 17, 4, 4]
    _, batch = batch_of(lengths)
    weight = torch.randn(sum(lengths), 32)
    leaf = packed.embed(batch).detach().requires_grad_()
    hidden = leaf
    for index in range(len(packed.layers)):
        hidden = packed.layer(index, hidden, ForwardPass(batch, Unadapted()))
    torch.autograd.backward((hidden * weight).sum())

    grads = []
    for start, length in zip(np.cumsum([0, *lengths[:-1]]), lengths, strict=True):
        part = leaf.detach()[start : start + length][None].requires_grad_()
        state = part
        for layer in cast(Any, model).encoder.layer:
            out = layer(state)
            state = out[0] if isinstance(out, tuple) else out
        torch.autograd.backward((state[0] * weight[start : start + length]).sum())
        grads.append(present(part.grad)[0])
    torch.testing.assert_close(leaf.grad, torch.cat(grads), atol=1e-5, rtol=1e-4)


def test_the_projections_stay_the_models_own() -> None:
    model = encoder("xlm-roberta")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    packed = PackedEncoder(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    joint = packed.products[0]["query", "key", "value"]
    assert isinstance(joint, Joint | Reordered)
    assert packed.layers[0].attention.self.key.weight.data_ptr() == joint.weight[32:].data_ptr()
    assert not any(tensor.requires_grad for tensor in model.parameters())


def test_few_blocks_and_little_padding() -> None:
    lengths = np.random.default_rng(1).lognormal(3.4, 0.5, size=400).astype(int).clip(1, 128)
    _, batch = batch_of(list(lengths))
    assert isinstance(batch.attention, Blocks)
    blocks = batch.attention.blocks
    assert len(blocks) <= MAX_BLOCKS
    assert sum(block.sequences for block in blocks) == 400
    for block in blocks[:-1]:
        real = block.sequences * block.keys if block.mask is None else int(block.mask.sum())
        assert real >= 0.88 * block.sequences * block.keys


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 5, but there are 4 tokens"):
        pack(Sequences(np.zeros(4, dtype=np.int32), np.array([2, 3]), np.array([0]), [2], [1]))
    with pytest.raises(ValueError, match="sequence 1 is never read"):
        pack(Sequences(np.zeros(4, dtype=np.int32), np.array([2, 2]), np.array([0]), [2], [1]))
