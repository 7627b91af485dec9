"""However a bundle is worked off, each of its cells trains as it does alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from adapterx.backbones.forward_pass import ForwardPass
from adapterx.backbones.modules import Module
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.products import Product, Reordered
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.tasks.sampling import Sampler
from tests.cells import cell
from tests.engine.choices import choices
from tests.engine.trainings import ARCHITECTURES, CASES, alone, assert_same, like, losses, mixed, packed, slot
from tests.models import encoder

WAYS = {
    "bundled": Options(workers=0),
    "aligned": Options(aligned=True),
    "ahead": Options(lag=4, workers=3),
    "aligned-ahead": Options(aligned=True, lag=16, workers=0),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_cells_in_a_bundle_equal_the_cells_alone(way: str, case: str, architecture: str) -> None:
    enc, cells, expected = alone(case, architecture)
    assert_same(train(enc, cells, options=WAYS[way]), expected)


@pytest.mark.parametrize("case", CASES)
def test_heads_computed_together_equal_the_cells_alone(case: str) -> None:
    """Without the cell of several tasks, which has them computed one by one."""
    enc, cells, expected = alone(case, "xlm-roberta")
    assert_same(train(enc, cells[:5], options=Options(aligned=True)), expected[:5])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("aligned", [False, True])
def test_variable_length_attention_equals_rectangles(aligned: bool, architecture: str) -> None:
    for case in ("lora", "double-upper"):
        enc, cells, expected = alone(case, architecture)
        with patch.object(PackedEncoder, "spans", property(lambda own: True)):
            found = train(enc, cells, options=Options(aligned=aligned, graphs=False))
        assert_same(found, expected)


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.method.lowest_layer(3)])
def test_kept_hidden_states_change_nothing(case: str) -> None:
    for architecture in ARCHITECTURES:
        enc, cells, expected = alone(case, architecture)
        for options in (Options(), Options(aligned=True, lag=4, workers=3)):
            assert_same(train(enc, cells, options=options, prefix=PrefixCache(enc, 10**9)), expected)


class Counted:
    """A frozen product that counts the rows it is given."""

    recordable: ClassVar[bool] = True

    def __init__(self, product: Product) -> None:
        self.product = product
        self.rows = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        return self.product(inputs)


def counted(enc: PackedEncoder) -> list[dict[tuple[Module, ...], Counted]]:
    """Put counters around all products of an encoder."""
    counters = [{key: Counted(one) for key, one in layer.items()} for layer in enc.products]
    enc.products = [dict(layer) for layer in counters]
    return counters


def test_cells_that_see_the_same_batches_share_what_lies_below_their_adapters() -> None:
    rows = {}
    method = Lora(rank=2, layers=(1, 2))
    for together in (1, 2, 3):
        enc = packed()
        first = cell(method, seed=1, steps=1)
        cells = [like(first, f"like {rate}", learning_rate=rate) for rate in (1e-2, 1e-3, 1e-4)][:together]
        products = counted(enc)
        train(enc, cells)
        rows[together] = {
            "below": products[0]["output",].rows,
            "first adapted product": products[1]["query", "key", "value"].rows,
            "above": products[1]["output",].rows,
        }
    tokens = rows[1]["below"]
    assert rows[1] == {"below": tokens, "first adapted product": tokens, "above": tokens}
    for together in (2, 3):
        assert rows[together] == {"below": tokens, "first adapted product": tokens, "above": together * tokens}


def test_other_examples_share_nothing() -> None:
    enc = packed()
    method = Lora(rank=2, layers=(2,))
    one = cell(method, seed=1, steps=1)
    products = counted(enc)
    (outcome,) = train(enc, [one])
    alone_rows = products[0]["output",].rows
    assert alone_rows == outcome.state.tokens
    other = replace(one, key="other", seed=2)
    outcomes = train(enc, [one, other])
    assert products[0]["output",].rows - alone_rows == sum(outcome.state.tokens for outcome in outcomes)


@pytest.mark.parametrize("method", [Lora(rank=2, layers=(2,)), Lora(rank=2, target_modules=("output",), layers=(1,))])
def test_nothing_is_differentiated_below_the_lowest_adapter(method: Lora) -> None:
    enc = packed()
    needed: dict[int, bool] = {}
    layer = PackedEncoder.layer

    def watched(own: PackedEncoder, index: int, hidden: Tensor, forward: ForwardPass) -> Tensor:
        needed[index] = hidden.requires_grad
        return layer(own, index, hidden, forward)

    differentiated: list[int] = []
    products = {id(one): index for index, all_of in enumerate(enc.products) for one in all_of.values()}
    gradient = Reordered.input_gradient

    def counting(own: Reordered, rows: Tensor) -> Tensor:
        differentiated.append(products[id(own)])
        return gradient(own, rows)

    with patch.object(PackedEncoder, "layer", watched), patch.object(Reordered, "input_gradient", counting):
        train(enc, [cell(method, seed=seed, steps=1) for seed in (1, 2)])
    (lowest,) = method.adapted(3)
    assert needed == {index: index > lowest for index in range(3)}
    assert not [index for index in differentiated if index < lowest]
    if method.target_modules == ("output",):
        assert lowest not in differentiated, "below its output product there is nothing to train"


def test_a_head_over_empty_parts_and_unequal_choices_gets_its_own_loss() -> None:
    """Cells of one group, whose first has no example in a part, and cells of which one has other choices."""
    enc = packed()
    method = Lora(rank=2)
    several = [cell(method, seed=seed, format_="multiple-choice", steps=3) for seed in (1, 2)]
    several[0] = like(several[0], "few", batch_size=2)
    several[1] = replace(several[1], key="more")
    bundle = Bundle(
        enc, several, [CellState.start(one, shape_of(enc)) for one in several], Options(aligned=True), parts=4
    )
    bundle.step()
    (found,) = bundle.book()
    bundle.close()
    assert found == pytest.approx([losses(train(enc, [one])[0])[0] for one in several], abs=1e-6)
    unequal = [
        replace(one, tasks=(choices(count),), key=str(count)) for count, one in zip((2, 3), several, strict=True)
    ]
    expected = [train(enc, [one])[0] for one in unequal]
    assert_same(train(enc, unequal, options=Options(aligned=True)), expected)


def test_a_cell_of_several_tasks_whose_batch_is_of_one_is_computed_alike() -> None:
    enc = packed()
    cells = [mixed(Lora(rank=2), seed=seed, batch_size=1, steps=5) for seed in (1, 2)]
    cells = [replace(one, key=str(one.seed)) for one in cells]
    expected = [train(enc, [one])[0] for one in cells]
    assert_same(train(enc, cells, options=Options(aligned=True)), expected)


def test_a_cell_that_diverges_while_steps_run_ahead_stops_there_and_disturbs_nobody() -> None:
    enc = packed()
    cells = [cell(Lora(rank=2), seed=seed, steps=12) for seed in (1, 2, 3)]
    rate = TrainingCell.learning_rate

    def wild(own: TrainingCell, step: int) -> float:
        return math.inf if own is cells[1] and step == 5 else rate(own, step)

    with patch.object(TrainingCell, "learning_rate", wild):
        prompt = train(enc, cells)
        late = train(enc, cells, options=Options(lag=8, aligned=True))
    healthy = train(enc, [cells[0], cells[2]])
    assert [outcome.status for outcome in late] == ["done", "diverged", "done"]
    assert late[1].state.step == prompt[1].state.step == 6  # the step at an infinite rate itself has a loss
    assert len(late[1].state.losses) == 6 and all(map(math.isfinite, losses(late[1])))
    assert_same([late[0], late[2]], healthy)
    assert torch.equal(late[1].state.adapter.values.isfinite(), prompt[1].state.adapter.values.isfinite())


def test_steps_after_a_divergence_are_not_counted() -> None:
    """Directly: the host learns of it late, and nothing of the cell has moved since."""
    enc = packed()
    cells = [cell(Lora(rank=2), seed=seed, steps=20) for seed in (1, 2)]
    states = [CellState.start(one, shape_of(enc)) for one in cells]
    bundle = Bundle(enc, cells, states)
    bundle.step()
    bundle.book()
    name = next(iter(bundle.trained.adapter.bank.views))
    with torch.no_grad():
        bundle.trained.adapter.bank.views[name][1] = math.nan
    kept = bundle.state(1).head.values
    for _ in range(3):
        bundle.step()
    found = bundle.book()
    bundle.close()
    assert [[math.isnan(loss) for loss in line] for line in found] == [[False, True]] * 3
    assert [state.step for state in bundle.states] == [4, 1]
    assert torch.equal(bundle.state(1).head.values, kept)
    assert bundle.trained.alive.tolist() == [True, False]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_are_the_samplers_in_order_whatever_the_threads(workers: int) -> None:
    one = mixed(Lora(rank=2), steps=9, batch_size=4)
    enc = packed()
    bundle = Bundle(enc, [one], [CellState.start(one, shape_of(enc))], Options(workers=workers))
    fresh = Sampler([40, 40, 40], one.probabilities, 4, one.seed)
    for step in range(9):
        (batch,) = bundle.loader.next()
        drawn: dict[int, list[int]] = {}
        for pool, example in fresh.batch(step):
            drawn.setdefault(pool, []).append(example)
        found = [(source.data, source.examples.tolist()) for source in batch.sources]
        assert found == [(one.pools[pool][1].data, drawn[pool]) for pool in sorted(drawn)]
    bundle.close()


def test_resumed_in_other_parts_is_the_same_training() -> None:
    """States go on in bundles cut otherwise, dropout and several tasks included."""
    enc = packed()
    method = Lora(rank=2, dropout=0.3)
    cells = [mixed(method, steps=6), cell(method, seed=2, steps=6, batch_size=5)]
    expected = train(enc, cells)
    states = [CellState.start(one, shape_of(enc)) for one in cells]
    for parts in (1, 8, 2):
        bundle = Bundle(enc, cells, states, parts=parts)
        for _ in range(2):
            bundle.step()
        bundle.book()
        states = [bundle.state(place) for place in range(2)]
        bundle.close()
    for state, outcome in zip(states, expected, strict=True):
        assert [loss for loss, _ in state.losses] == pytest.approx(losses(outcome), abs=2e-6)
        torch.testing.assert_close(state.adapter.values, outcome.state.adapter.values, atol=1e-4, rtol=1e-3)


def test_a_frozen_adapter_below_does_not_move() -> None:
    enc = packed()
    case = CASES["lora-stacked"]
    lower = slot(case.method, 1, enc)
    before = {name: tensor.clone() for name, tensor in lower.items()}
    (outcome,) = train(enc, [replace(cell(case.method, steps=3), lower=(Slot(case.method, lower),))])
    assert all(torch.equal(outcome.trained.slots[0].tensors[name], before[name]) for name in before)


def test_layers_named_in_the_method_alone_have_parameters() -> None:
    enc = PackedEncoder(encoder("xlm-roberta", layers=4))
    for method in (Lora(rank=2, layers=(1, 3)), CASES["double-upper"].method.model_copy(update={"layers": (1, 3)})):
        (outcome,) = train(enc, [cell(method, steps=1)])
        (names,) = (set(one.tensors) for one in outcome.trained.slots)
        assert {name.split(".")[2] for name in names} == {"1", "3"}
    with pytest.raises(ValueError, match=r"layer 4 \(counted from 0\) of an encoder with 4 layers"):
        train(enc, [cell(Lora(layers=(4,)), steps=1)])
