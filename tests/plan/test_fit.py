"""What fits is done whole or in parts; what cannot is refused, with its arithmetic in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterx.backbones.precisions import PRECISIONS, precision
from adapterx.backbones.spec import Backbone
from adapterx.doctor.fits import SIZES
from adapterx.machine.kernels import Kernels
from adapterx.methods.base import MethodSpec
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.plan import Plan, build, cost, fit
from adapterx.plan.lengths import TextLengths, measured, stated
from adapterx.plan.memory import StageMemory
from adapterx.plan.stage import Training
from adapterx.recipe import Sampling
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks

CARD = cost.PredictedBy(kernels=Kernels(gpu=True, bfloat16=True))
CPU = cost.PredictedBy(kernels=Kernels(gpu=False, bfloat16=False))
LEAST = Full(gradient_checkpointing=True, optimizer="adamw_8bit")


def memory(
    size: str, method: MethodSpec, load: str = "bfloat16", known: cost.PredictedBy = CARD, batch: int = 32
) -> StageMemory:
    part = TaskPart("t", "pair-classification", ("a", "b", "c"), "none", ("en",), "", 128)
    settings = TrainSettings(1e-5, batch, steps=1000, max_length=256)
    work = Training((part,), Sampling(), settings, 1, None)
    return cost.training(Backbone(model="m", load=load), SIZES[size], method, work, None, known=known).memory


def test_full_fine_tuning_of_xl_fits_a_card_of_80_gb_only_with_all_that_saves_memory() -> None:
    assert fit.refusal(memory("XLM-R XL", LEAST), 80_000_000_000, "it") == ""
    assert memory("XLM-R XL", LEAST).of().needed < 80_000_000_000
    assert memory("XLM-R XL", Full()).of().needed > 80_000_000_000


def test_xxl_is_refused_with_every_term() -> None:
    why = fit.refusal(memory("XLM-R XXL", LEAST), 80_000_000_000, "training 'full' on 'xxl'")
    assert why.startswith("training 'full' on 'xxl' takes 42.") and why.endswith("and this machine has 80.0 GB")
    for term in ("trained weights", "gradients", "gradients on their way", "frozen weights", "moments"):
        assert f"GB of {term}" in why
    named, _, total = why.removeprefix("training 'full' on 'xxl' takes ").partition(" = ")
    terms = [float(one.split()[0]) for one in named.split(" + ")]
    assert sum(terms) == pytest.approx(float(total.split()[0]), abs=0.3)


def test_memory_grows_with_cells_and_shrinks_with_parts() -> None:
    found = memory("XLM-R base", Lora(), "float32", CPU)
    one, two, cut = found.of(), found.of(2), found.of(1, parts=8)
    assert cut.needed < one.needed < two.needed < 2 * one.needed
    assert fit.parts(found, 1, None) == fit.parts(found, 1, one.needed) == 1
    assert fit.parts(found, 1, one.needed - 1) == 2
    assert fit.parts(found, 1, 0) == 32, "not finer than an example a part"


def test_no_precision_is_guessed_at() -> None:
    with pytest.raises(ValueError, match="no precision is named 'float64'; there are float32"):
        precision("float64")
    small = {name: memory("XLM-R XL", Lora(), name).weights.bytes for name in PRECISIONS}
    assert small["nf4"] < small["int8-rows"] < small["bfloat16"] < small["float32"]


def test_fewer_embeddings_take_less() -> None:
    whole = memory("XLM-R base", Lora(), "bfloat16").setting
    fewer = replace(whole, rows=50_000)
    saved = whole.weights(1.0).bytes - fewer.weights(1.0).bytes
    assert saved == 2 * 768 * (whole.vocabulary - 50_000)


def test_a_plan_refuses_what_the_machine_can_never_hold() -> None:
    def plan(room: int | None) -> Plan:
        known = cost.PredictedBy(room=room)
        return build(recipe(intermediates={"none": None}), Path("recipes"), FakeBackbones(), FakeTasks(), known=known)

    assert not plan(None).refused and not plan(50_000_000_000).refused
    tiny = plan(100_000_000)
    assert not tiny.stages and all("and this machine has 0.1 GB" in why for why in tiny.refused.values())
    assert {tuple(plan(None).stages)} == {tuple(plan(50_000_000_000).stages)}, "ids know nothing of memory"


@pytest.mark.parametrize("count", [1, 8, 64])
def test_the_largest_batch_of_many_is_larger_than_a_typical_one(count: int) -> None:
    of = TextLengths(tuple(range(10, 110)))
    typical, largest = of.drawn(count), of.drawn(count, steps=1000)
    assert typical.rows <= largest.rows <= count * 109 and typical.rows <= typical.slots
    assert largest.longest <= 109 and largest.reads == count


def test_lengths_of_data_and_of_what_a_task_says() -> None:
    import numpy as np

    found = measured(np.arange(1, 1001), examples=500, reads=1000)
    assert found.told and found.per_example == 2.0 and found.quantiles[-1] == 1000
    part: Any = TaskPart("t", "extractive-qa", (), "none", ("en",), "", 600)
    windows = stated(part, 384)
    assert set(windows.quantiles) == {384} and windows.per_example > 2 and windows.read == 1.0
