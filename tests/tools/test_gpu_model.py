"""The model of a GPU's steps counts what the engine does: the same operations as one that is computed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapterx.backbones.packed import PackedEncoder
from adapterx.kernels import choice
from adapterx.kernels.choice import NAMES, Name
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.cells import cell
from tests.models import encoder
from tools.gpu_cost.record import Step, recorded, shapes_alone
from tools.gpu_cost.times import Card, costs


def counted(step: Step) -> Counter[tuple[str, str]]:
    return Counter((operation.stage, operation.name) for operation in step.operations)


@pytest.mark.parametrize("names", [(), NAMES])
@pytest.mark.parametrize("method", [Lora(rank=4, alpha=8.0), Bottleneck(reduction_factor=4.0)])
def test_shapes_alone_do_what_numbers_do(method: MethodSpec, names: tuple[Name, ...]) -> None:
    """A step whose tensors have shapes alone against one that is computed, on a small encoder in bfloat16."""
    sizes: dict[str, Any] = {"hidden": 32, "layers": 2, "heads": 2}
    cells = [cell(method, seed, batch_size=2) for seed in (1, 2)]
    with shapes_alone(lambda: encoder("xlm-roberta", **sizes)) as (fake, mode):
        modelled = recorded(fake, cells, names, mode)
    with choice.emulated([]):
        real = PackedEncoder(encoder("xlm-roberta", **sizes))
    computed = recorded(real, cells, names)
    # Numbers in float32 need no cast on their way to the heads, which are in float32.
    strip = ("_to_copy",)
    assert {key: count for key, count in counted(modelled).items() if key[1] not in strip} == {
        key: count for key, count in counted(computed).items() if key[1] not in strip
    }
    own = {operation.name for operation in modelled.operations if operation.own}
    assert bool(own) == bool(names)
    found = costs(modelled, Card())
    assert found.total.kernels >= len(modelled.operations) and found.total.seconds > 0
    assert found.total.seconds == pytest.approx(sum(one.seconds for one in found.classes.values()))


def test_every_kernel_saves_launches() -> None:
    cells = [cell(Lora(rank=4, alpha=8.0), seed, batch_size=2) for seed in (1, 2)]
    with shapes_alone(lambda: encoder("xlm-roberta", hidden=32, layers=3, heads=2)) as (fake, mode):
        kernels = [costs(recorded(fake, cells, names, mode), Card()).total.kernels for names in ((), NAMES)]
    assert kernels[1] * 2 < kernels[0]
