"""What autograd keeps of a step is what a plan counts: by the bytes of the tensors, on any machine the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import MODULE_PATH
from adapterx.backbones.packed import PackedEncoder
from adapterx.doctor.points import _texts
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.machine.kernels import Kernels
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.head import Head
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.lora.spec import Lora
from adapterx.plan.kept import row_bytes
from adapterx.plan.lengths import measured
from adapterx.plan.memory import LoadedWith
from adapterx.train_settings import TrainSettings
from tests.models import encoder

HIDDEN, LAYERS, HEADS, BATCH, LENGTH = 64, 5, 4, 6, 40
EVERYWHERE = tuple(MODULE_PATH)
METHODS: dict[str, MethodSpec] = {
    "lora": Lora(),
    "lora everywhere": Lora(target_modules=EVERYWHERE),
    "lora with dropout": Lora(dropout=0.1),
    "lora above": Lora(layers="top-3"),
    "sequential": Bottleneck(),
    "double": Bottleneck(placement="double"),
    "parallel": Bottleneck(placement="parallel"),
    "ia3": Ia3(),
    "full": Full(),
    "full, again on the way back": Full(gradient_checkpointing=True),
}


def bundle(method: MethodSpec, architecture: str, cells: int = 1) -> Bundle:
    enc = PackedEncoder(encoder(architecture, hidden=HIDDEN, layers=LAYERS, heads=HEADS))
    head = Head("task", "pair-classification", 3)
    settings = TrainSettings(1e-4, BATCH, steps=10, warmup_ratio=0.0, max_length=512)
    made = []
    for seed in range(1, 1 + cells):
        tasks = (TaskData(head, None, (Pool("en", _texts(LENGTH, 4 * BATCH, seed)),)),)
        initial = enc.weights() if method.trains_backbone else None
        made.append(TrainingCell(f"{seed}", f"{seed}", seed, method, settings, tasks, np.ones(1), initial))
    return Bundle(enc, made, [CellState.start(one, shape_of(enc)) for one in made], Options(workers=0))


def kept(own: Bundle) -> int:
    """Bytes of what the backward pass of the next step needs, weights apart, each storage once."""
    trained = [own.trained.adapter, *(group.optimiser for group in own.trained.heads)]
    known = [*own.backbone.weights().values(), *(one.bank.values for one in trained)]
    weights = {tensor.untyped_storage().data_ptr() for tensor in known}
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Any:
        found.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        own.step()
    own.book()
    # Small ones: weights turned into another format, indices, masks.
    rows = sum(own.rows)
    own_ones = [one for place, one in found.items() if place not in weights and len(one.shape) and one.numel() > rows]
    return sum(one.untyped_storage().nbytes() for one in own_ones)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("name", METHODS)
def test_a_plan_counts_what_autograd_keeps(name: str, architecture: Any) -> None:
    method = METHODS[name]
    own = bundle(method, architecture)
    own.step()
    own.book()
    pools = own.cells[0].pools
    found, rows = kept(own), sum(own.rows)
    setting = LoadedWith(
        BackboneInfo("k", architecture, HIDDEN, LAYERS, HEADS, 4 * HIDDEN, 120, 512), "float32", Kernels(False, False)
    )
    data = pools[0][1].data
    drawn = measured(np.diff(data.sequence_offsets), len(data), len(data)).drawn(BATCH)
    counted = row_bytes(setting, method).kept(drawn) * rows / drawn.rows
    assert counted == pytest.approx(found, rel=0.08), f"{counted / found:.3f}"


def test_several_cells_keep_as_much_each() -> None:
    one, three = bundle(Lora(), "xlm-roberta"), bundle(Lora(), "xlm-roberta", cells=3)
    assert kept(three) == pytest.approx(3 * kept(one), rel=0.1)
