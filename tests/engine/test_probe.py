"""A linear probe trains its head upon the encoder as it is, as plain torch would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import head_parameters
from adapterx.engine.train import train
from adapterx.methods.parameters import initial
from adapterx.methods.probe.spec import Probe
from tests.cells import cell
from tests.models import encoder

PROBE = Probe()


def by_hand(architecture: str, one: TrainingCell) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of each step and the trained head: one text at a time, with Hugging Face's model and torch's optimiser."""
    model = encoder(architecture)
    shape = shape_of(PackedEncoder(encoder(architecture)))
    head = {name: value.requires_grad_() for name, value in initial(head_parameters(one, shape), one.seed).items()}
    decaying = [value for value in head.values() if value.dim() > 1]
    others = [value for value in head.values() if value.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": one.settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    )
    (task,) = one.tasks
    data, losses = task.train[0].data, []
    for step in range(one.total_steps):
        rows, gold = [], []
        for _, at in one.sampler.batch(step):
            first, last = data.sequence_offsets[at], data.sequence_offsets[at + 1]
            ids = torch.as_tensor(np.array(data.tokens[first:last]), dtype=torch.long)[None]
            with torch.no_grad():
                rows.append(model(input_ids=ids).last_hidden_state[0, 0])
            gold.append(int(data.labels[at]))
        loss = cross_entropy(task.head.scores(head, torch.stack(rows)), torch.tensor(gold))
        for group in optimiser.param_groups:
            group["lr"] = one.learning_rate(step)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(list(head.values()), one.settings.max_grad_norm)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses, {name: value.detach() for name, value in head.items()}


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_equals_plain_torch_alone_and_in_a_bundle(architecture: str) -> None:
    packed = PackedEncoder(encoder(architecture))
    one = cell(PROBE, seed=1, steps=6, learning_rate=1e-3, weight_decay=0.1)
    other = cell(PROBE, seed=2, steps=4, batch_size=5, format_="tagging")
    losses, head = by_hand(architecture, one)
    kept = PrefixCache(packed, 10**8)
    for outcome in (*train(packed, [one]), train(packed, [one, other])[0], train(packed, [other, one], prefix=kept)[1]):
        np.testing.assert_allclose([loss for loss, _ in outcome.state.losses], losses, rtol=1e-5)
        assert outcome.state.adapter.values.numel() == 0
        assert outcome.trained.heads.keys() == head.keys()
        for name, value in outcome.trained.heads.items():
            torch.testing.assert_close(value, head[name], atol=2e-5, rtol=1e-4)
