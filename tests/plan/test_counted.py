"""What a stage computes is what the engine cannot do without, counted by the benchmark in its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe
from adapterx.pace.workload import Workload
from adapterx.plan import Evaluation, Training
from adapterx.plan.counted import PASS_ROWS, StageWork, evaluation, training
from adapterx.recipe import Sampling
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings
from tests.support.present import present
from tools.bench.flops import necessary
from tools.bench.variants import PLAIN, Contender, Variant

BASE = BackboneInfo("base", "xlm-roberta", 768, 12, 12, 3072, 250002, 512)
LENGTH, BATCH = 64, 32


def part(format: str = "pair-classification", tokens: int = LENGTH) -> TaskPart:
    return TaskPart("t", format, ("a", "b", "c"), "embedded", ("en",), "x", tokens)


def trained(
    method: MethodSpec,
    examples: int | None = None,
    kept: bool = False,
    steps: int = 1,
    format: str = "pair-classification",
) -> StageWork:
    """A training, its adapter's own products left out."""
    settings = TrainSettings(1e-3, BATCH, steps=steps, max_length=512)
    work = Training((part(format),), Sampling(), settings, 1, None)
    return present(training(BASE, method, work, examples, (), 0, kept))


@pytest.mark.parametrize(
    ("kind", "layers", "method"),
    [
        ("lora", None, Lora()),
        ("lora", 4, Lora(layers="top-4")),
        ("lora", 1, Lora(layers="top-1")),
        ("bottleneck", None, Bottleneck()),
        ("bottleneck", 2, Bottleneck(layers="top-2")),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
def test_products_of_a_training_are_those_that_are_necessary(
    kind: Literal["lora", "bottleneck"], layers: int | None, method: MethodSpec, kept: bool
) -> None:
    variant = Variant("v", "train", "base", (PLAIN,), BATCH, kind, layers)
    expected = BATCH * necessary(variant, Contender("c", "adapterx", prefix=kept), LENGTH)
    # Kept states are computed once: of very many steps over few examples next to nothing is left.
    steps = 1_000_000 if kept else 1
    found = trained(method, examples=1, kept=kept, steps=steps)
    assert found.alone.products / steps == pytest.approx(expected, rel=0.02)


def test_kept_states_are_computed_once_for_each_example() -> None:
    top = Lora(layers="top-4")
    every, once = trained(top, 64, False, steps=10), trained(top, 64, True, steps=10)
    assert once.own == every.own
    assert once.shared.products == pytest.approx(every.shared.products * 64 / (10 * BATCH))
    assert trained(top, None, True, steps=10) == every, "nobody knows how often an example comes again"
    assert trained(Lora(), 64, True, steps=10) == trained(Lora(), 64, False, steps=10)


def test_what_is_drawn_anew_at_each_step_is_not_kept() -> None:
    top = Lora(layers="top-4")
    assert trained(top, 64, True, 10, "masked-lm").shared == trained(top, 64, False, 10, "masked-lm").shared


def test_a_probe_has_no_way_back_and_full_tuning_three_ways() -> None:
    assert trained(Probe()).own.products < trained(Lora(layers="top-1")).own.products
    full = trained(Full())
    assert full.shared.products == 0 and full.own.products == pytest.approx(3 * _forward().products)
    again = trained(Full(gradient_checkpointing=True))
    assert again.own.products == pytest.approx(4 / 3 * full.own.products)


def _forward() -> Workload:
    """Through all layers, as an evaluation that mixes nothing."""
    return trained(Lora(layers="top-1")).shared + trained(Probe()).own


def test_gradients_end_at_the_lowest_adapter() -> None:
    double = Bottleneck(placement="double")
    products = [trained(one).alone.products for one in (Bottleneck(), double, Lora(), Bottleneck(invertible="nice"))]
    assert products == sorted(products) and len(set(products)) == 4


def test_steps_follow_from_epochs_where_the_size_of_the_data_is_known() -> None:
    by_epochs = TrainSettings(1e-3, BATCH, epochs=2.0)
    work = Training((part(),), Sampling(), by_epochs, 1, None)
    assert training(BASE, Lora(), work, None, (), 0, True) is None
    assert present(training(BASE, Lora(), work, 160, (), 0, True)) == trained(Lora(), 160, True, steps=10)


def evaluated(method: MethodSpec, items: int = 100, format: str = "pair-classification") -> StageWork:
    return evaluation(BASE, method, Evaluation(part(format), None), items, (), 0)


def test_an_evaluation_does_without_most_of_the_last_layer() -> None:
    layer = _forward().products / BATCH
    found = evaluated(Lora()).alone.products / 100
    assert 10.9 / 11.2 * layer * 0.98 < found < layer
    words = evaluated(Lora(), format="tagging").alone.products / 100
    assert found < words < evaluated(Lora(), format="extractive-qa").alone.products / 100


def test_cells_share_what_lies_below_their_adapters() -> None:
    all_layers, top, probe = (evaluated(one) for one in (Lora(), Lora(layers="top-4"), Probe()))
    assert all_layers.shared.products == 0 < top.shared.products < probe.shared.products
    assert all_layers.alone.products == pytest.approx(top.alone.products)
    full = evaluated(Full())
    assert full.shared.products == 0 and full.alone.products == pytest.approx(top.alone.products)


def test_the_engine_reads_as_many_rows_in_a_pass_as_are_counted() -> None:
    from adapterx.backbones import mixed_context
    from adapterx.engine.options import ROWS
    from adapterx.plan import counted

    assert ROWS["cpu"] == PASS_ROWS and counted._READS_TO_MIX == mixed_context._READS_TO_MIX
    whole = evaluated(Lora(), items=PASS_ROWS // LENGTH)
    assert whole.shared.calls == 12 and evaluated(Lora(), items=1 + PASS_ROWS // LENGTH).shared.calls == 24


def test_longer_sequences_take_more_attention_for_the_same_products() -> None:
    short, long = part(tokens=16), part(tokens=256)
    settings = TrainSettings(1e-3, BATCH, steps=16, max_length=512)
    one, other = (
        present(training(BASE, Lora(), Training((of,), Sampling(), given, 1, None), None, (), 0, False)).alone
        for of, given in ((short, settings), (long, replace(settings, steps=1)))
    )
    assert other.attention / one.attention == pytest.approx(16, rel=0.05)
    assert other.products == pytest.approx(one.products, rel=0.05)
