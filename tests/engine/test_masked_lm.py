"""Masked language modelling: what is masked, and that a cell which learns by it is the same in any company."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.masking import SHARE, masked
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from tests.cells import cell
from tests.engine.texts import VOCABULARY, reader, text
from tests.engine.trainings import ARCHITECTURES, assert_same, losses, mixed, packed, slot
from tests.models import encoder

LANGUAGE = Bottleneck(reduction_factor=4.0, invertible="nice")


def test_what_is_masked() -> None:
    data = text(examples=2000, longest=40)
    chosen = np.random.default_rng(0).permutation(2000)[:1000]
    found = masked(data, chosen, VOCABULARY, seed=7)
    starts, stops = data.sequence_offsets[chosen], data.sequence_offsets[chosen + 1]
    tokens = np.concatenate([data.tokens[a:b] for a, b in zip(starts, stops, strict=True)])
    shown, at = found.tokens[found.read_tokens], found.read_tokens
    assert found.ids == [data.ids[place] for place in chosen]
    assert (found.labels == tokens[at]).all() and not np.isin(found.labels, VOCABULARY.special).any()
    untouched = np.ones(len(tokens), bool)
    untouched[at] = False
    assert (found.tokens[untouched] == tokens[untouched]).all()
    assert (np.diff(found.example_reads) >= 1).all()
    ordinary = ~np.isin(tokens, VOCABULARY.special)
    assert abs(len(at) / ordinary.sum() - SHARE) < 0.02
    assert abs((shown == VOCABULARY.mask).mean() - 0.8) < 0.02
    kept = (shown == found.labels).mean()
    assert 0.08 < kept < 0.12, "a tenth stays, and one in a hundred is replaced by itself"
    assert not np.isin(shown, [0, 1, 2]).any()


def test_masks_follow_from_the_seed_alone() -> None:
    data, chosen = text(), np.arange(10)
    first, again, other = (masked(data, chosen, VOCABULARY, seed) for seed in (1, 1, 2))
    assert (first.tokens == again.tokens).all() and (first.read_tokens == again.read_tokens).all()
    assert len(first.read_tokens) != len(other.read_tokens) or (first.read_tokens != other.read_tokens).any()
    assert len(masked(data, chosen[:0], VOCABULARY, 1)) == 0


def test_a_text_of_special_tokens_is_read_once() -> None:
    data = text(examples=2)
    bare = replace(data, tokens=np.where(np.arange(len(data.tokens)) >= data.sequence_offsets[1], 2, data.tokens))
    assert np.diff(masked(bare, np.arange(2), VOCABULARY, 3).example_reads)[1] == 1


def company(enc: PackedEncoder, method: MethodSpec) -> list[TrainingCell]:
    settings: dict[str, Any] = {"steps": 6, "learning_rate": 1e-2}
    several = mixed(method, **settings)
    both = replace(several, key="both", tasks=(*several.tasks, *reader(method).tasks), probabilities=np.full(4, 0.25))
    cells = [
        reader(method, **settings),
        reader(method, seed=2, data_seed=3, batch_size=3, **settings),
        both,
        cell(method, seed=5, **settings),
    ]
    if isinstance(method, Bottleneck) and method.invertible is None:
        cells = [replace(one, lower=(Slot(LANGUAGE, slot(LANGUAGE, 5 + at, enc)),)) for at, one in enumerate(cells)]
    return cells


WAYS = {"as-is": Options(workers=0), "aligned": Options(aligned=True, lag=4, graphs=False)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "method",
    [LANGUAGE, Bottleneck(reduction_factor=4.0), Lora(rank=2, layers=(1, 2))],
    ids=["language", "task", "lora"],
)
def test_cells_in_a_bundle_equal_the_cells_alone(method: MethodSpec, architecture: str) -> None:
    enc = packed(architecture)
    cells = company(enc, method)
    expected = [train(enc, [one])[0] for one in cells]
    for options in WAYS.values():
        assert_same(train(enc, cells, options=options), expected)
    with patch.object(PackedEncoder, "spans", property(lambda own: True)):
        assert_same(train(enc, cells, options=Options(aligned=True, graphs=False)), expected)
    assert_same(train(enc, cells, prefix=PrefixCache(enc, 10**9)), expected)


def test_a_batch_in_parts_gives_the_same_gradients() -> None:
    enc = packed()
    cells = company(enc, LANGUAGE)[:2]
    for parts in (2, 3):
        whole, cut = (
            Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], parts=number)
            for number in (1, parts)
        )
        for bundle in (whole, cut):
            bundle.step()
        for one, other in zip(whole.book()[0], cut.book()[0], strict=True):
            assert one == pytest.approx(other, abs=2e-6)
        torch.testing.assert_close(
            whole.trained.adapter.bank.gradients, cut.trained.adapter.bank.gradients, atol=2e-6, rtol=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize("method", [LANGUAGE, Full()], ids=["language", "full"])
def test_it_learns(method: MethodSpec) -> None:
    """A neighbour tells the hidden token: the loss falls well below that of guessing, and the backbone stays."""
    model = encoder("xlm-roberta")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    enc = PackedEncoder(model)
    one = reader(method, steps=150, learning_rate=1e-2 if method is LANGUAGE else 2e-3, batch_size=16)
    if isinstance(method, Full):
        one = replace(one, initial=enc.weights())
    (outcome,) = train(enc, [one])
    assert np.mean(losses(outcome)[-10:]) < np.mean(losses(outcome)[:3]) - 0.5
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    if method is LANGUAGE:
        start = CellState.start(one, shape_of(enc)).adapter.values
        assert (outcome.state.adapter.values != start).float().mean() > 0.9


def test_a_head_starts_where_the_checkpoint_s_own_is() -> None:
    enc, one = packed(), reader(LANGUAGE)
    (task,) = one.tasks
    given = {"head.text.dense.weight": torch.full((32, 32), 0.25)}
    cells = [one, replace(one, tasks=(replace(task, initial=given),))]
    plain, started = (CellState.start(each, shape_of(enc)).head.values for each in cells)
    assert (started == 0.25).sum() == 32 * 32 and (plain == 0.25).sum() == 0
    assert (plain[32 * 32 :] == started[32 * 32 :]).all()
