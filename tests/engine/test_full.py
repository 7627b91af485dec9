"""Full fine-tuning through the packed encoder equals that of the Hugging Face model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import train as train_module
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.predict import predict
from adapterx.engine.state import CellState, head_parameters
from adapterx.engine.train import train
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.methods.parameters import initial
from adapterx.train_settings import EarlyStopping
from tests.cells import cell
from tests.models import encoder

ARCHITECTURES = ["xlm-roberta", "xlm-roberta-xl"]


def full(packed: PackedEncoder, checkpointing: bool = False, **changes: Any) -> TrainingCell:
    """A cell that starts at the backbone."""
    values: dict[str, Any] = {"steps": 6, "learning_rate": 1e-3, "weight_decay": 0.1, **changes}
    return replace(cell(Full(gradient_checkpointing=checkpointing), **values), initial=packed.weights())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equals_the_hugging_face_model(architecture: str) -> None:
    packed = PackedEncoder(encoder(architecture))
    before = {name: tensor.clone() for name, tensor in packed.weights().items()}
    one = full(packed)
    (outcome,) = train(packed, [one])
    assert all(torch.equal(tensor, before[name]) for name, tensor in packed.weights().items())
    losses, model, head = by_hand(encoder(architecture), packed, one)
    np.testing.assert_allclose([loss for loss, _ in outcome.state.losses], losses, rtol=1e-5)
    (slot,) = outcome.trained.slots
    theirs = dict(model.named_parameters())
    assert slot.tensors.keys() == theirs.keys()
    for name, tensor in slot.tensors.items():
        # A key's bias moves all scores of a query alike: its gradient is rounding, of which Adam makes whole steps.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(tensor, theirs[name].detach(), atol=2e-5, rtol=1e-4)
            assert name.endswith("token_type_embeddings.weight") or not torch.equal(tensor, before[name]), name
    for name, tensor in outcome.trained.heads.items():
        torch.testing.assert_close(tensor, head[name].detach(), atol=2e-5, rtol=1e-4)


def by_hand(
    model: PreTrainedModel, packed: PackedEncoder, one: TrainingCell
) -> tuple[list[float], PreTrainedModel, dict[str, Tensor]]:
    """Losses of each step, and the model and head afterwards, with padded batches and torch's own optimiser."""
    specs = head_parameters(one, shape_of(packed))
    head = {name: tensor.requires_grad_() for name, tensor in initial(specs, one.seed).items()}
    model.requires_grad_(True)
    named = [*model.named_parameters(), *head.items()]
    decaying = [tensor for _, tensor in named if tensor.dim() > 1]
    others = [tensor for _, tensor in named if tensor.dim() == 1]
    decay = one.settings.weight_decay
    optimiser = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}], eps=1e-8
    )
    (task,) = one.tasks
    data, found = task.train[0].data, []
    for step in range(one.total_steps):
        chosen = [example for _, example in one.sampler.batch(step)]
        texts = [data.tokens[data.sequence_offsets[at] : data.sequence_offsets[at + 1]] for at in chosen]
        ids = torch.full((len(texts), max(map(len, texts))), 1)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.as_tensor(np.array(text))
            mask[row, : len(text)] = 1
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        labels = torch.as_tensor(np.array([data.labels[at] for at in chosen]))
        loss = cross_entropy(task.head.scores(head, hidden), labels)
        for group in optimiser.param_groups:
            group["lr"] = one.learning_rate(step)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_([tensor for _, tensor in named], one.settings.max_grad_norm)
        optimiser.step()
        found.append(float(loss.detach()))
    return found, model, head


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpointing_changes_nothing_but_memory(architecture: str) -> None:
    packed = PackedEncoder(encoder(architecture))
    plain, again = (train(packed, [full(packed, checkpointing, steps=3)])[0] for checkpointing in (False, True))
    assert plain.state.losses == again.state.losses
    for name, tensor in plain.trained.slots[0].tensors.items():
        assert torch.equal(tensor, again.trained.slots[0].tensors[name]), name


def test_scores_are_those_of_the_trained_weights() -> None:
    """Whoever is asked beside: each of them has the encoder it needs."""
    packed = PackedEncoder(encoder("xlm-roberta"))
    (whole,) = train(packed, [full(packed, steps=3)])
    (lora,) = train(packed, [cell(Lora(rank=2), seed=2, steps=3)])
    task = full(packed).tasks[0]
    pools = [task.dev[0].data]
    together = predict(packed, [(whole.trained, task.head), (lora.trained, task.head)], pools)
    model = deepcopy(encoder("xlm-roberta"))
    model.load_state_dict(dict(whole.trained.slots[0].tensors))
    bare = replace(whole.trained, slots=())
    for trained, scores in zip((whole.trained, lora.trained), together, strict=True):
        (expected,) = predict(
            PackedEncoder(model) if trained is whole.trained else packed,
            [(bare if trained is whole.trained else trained, task.head)],
            pools,
        )
        np.testing.assert_allclose(np.concatenate(scores[0]), np.concatenate(expected[0]), atol=2e-6)


def test_goes_on_from_an_intermediate() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    (first,) = train(packed, [full(packed, steps=3)])
    start = dict(first.trained.slots[0].tensors)
    (second,) = train(packed, [replace(full(packed, steps=1, learning_rate=1e-9, seed=5), initial=start)])
    for name, tensor in second.trained.slots[0].tensors.items():
        torch.testing.assert_close(tensor, start[name], atol=1e-7, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plan_counts_what_is_trained(architecture: Literal["xlm-roberta", "xlm-roberta-xl"]) -> None:
    packed = PackedEncoder(encoder(architecture))
    info = BackboneInfo("", architecture, 32, 3, 4, 128, 120, 512)
    assert info.parameters == sum(tensor.numel() for tensor in packed.weights().values())


def test_weights_that_do_not_fit_are_refused() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    with pytest.raises(ValueError, match="do not fit"):
        packed.with_weights({"encoder.layer.0.output.dense.weight": torch.zeros(1)})


class Killed(Exception):
    pass


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_resumed_with_looks_equals_uninterrupted(architecture: str, checkpointing: bool, tmp_path: Path) -> None:
    packed = PackedEncoder(encoder(architecture))
    stopping = EarlyStopping(every=2, patience=9)
    one = full(packed, checkpointing, steps=8, early_stopping=stopping)
    checkpoints = Checkpoints(tmp_path, seconds=0.0)

    def kill(progress: train_module.Progress) -> None:
        if progress.cells[0][1] == 5:
            raise Killed

    with pytest.raises(Killed):
        train(packed, [one], checkpoints, observe=kill)
    (resumed,), (straight,) = train(packed, [one], checkpoints), train(packed, [one])
    assert resumed.state.losses == straight.state.losses and resumed.state.dev_scores == straight.state.dev_scores
    assert torch.equal(resumed.state.adapter.values, straight.state.adapter.values)
    assert torch.equal(resumed.state.adapter.second, straight.state.adapter.second)
    assert torch.equal(resumed.state.head.values, straight.state.head.values)


def test_the_best_step_is_what_is_kept() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    one = full(packed, steps=12, early_stopping=EarlyStopping(every=3, patience=9))
    (outcome,) = train(packed, [one])
    best = outcome.state.best
    assert best is not None and len(outcome.state.dev_scores) == 4
    assert best.score == max(score for _, score in outcome.state.dev_scores)
    task = one.tasks[0]
    (scores,) = predict(packed, [(outcome.trained, task.head)], [task.dev[0].data])
    chosen = np.array([scores_of.argmax() for scores_of in scores[0]])
    assert best.score == pytest.approx((chosen == task.dev[0].data.labels).mean())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_parts_change_nothing(checkpointing: bool) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    one = full(packed, checkpointing, steps=4)
    losses = []
    for parts in (1, 4):
        bundle = Bundle(packed, [one], [CellState.start(one, shape_of(packed))], parts=parts)
        for _ in range(4):
            bundle.step()
        losses.append(np.array(bundle.book())[:, 0])
        bundle.close()
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
