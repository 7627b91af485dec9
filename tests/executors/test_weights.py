"""Merge weights chosen on what the members learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.train import train
from adapterx.executors import weights
from adapterx.executors.weights import Member
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.merging import Merging
from adapterx.methods.method import Slot
from adapterx.results.merge_weights import TriedWeights
from tests.cells import cell
from tests.engine.trainings import packed, slot

METHODS: dict[str, tuple[MethodSpec, Sequence[str]]] = {
    "lora": (Lora(rank=4, alpha=8.0), ("linear", "cat", "dare_ties")),
    "bottleneck": (Bottleneck(reduction_factor=4.0), ("average", "task_arithmetic")),
}


def learnt(method: MethodSpec, encoder: PackedEncoder, steps: int = 300) -> Member:
    """An adapter that has learnt what is visible in its texts, to be judged on other such texts."""
    one = cell(method, seed=1, steps=steps, learning_rate=1e-2, batch_size=16)
    trained = train(encoder, [one])[0].trained
    return Member(trained.slots[-1], trained.heads, one.tasks)


def noise(like: Member, encoder: PackedEncoder) -> Member:
    """An adapter that disturbs what the other has learnt."""
    tensors = {name: 10 * tensor for name, tensor in slot(like.slot.method, 3, encoder).items()}
    return Member(Slot(like.slot.method, tensors), like.heads, like.tasks)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_member_that_disturbs_gets_no_more_than_half(name: str) -> None:
    encoder = packed()
    method, ways = METHODS[name]
    good = learnt(method, encoder)
    members = [noise(good, encoder), good]
    for way in ways:
        found = weights.choose(encoder, members, Merging(way, density=0.5), seed=1)
        again = weights.choose(encoder, members, Merging(way, density=0.5), seed=1)
        assert found == again, "nothing but its arguments has a part in it"
        assert len(found.trials) == 5 + found.merging.sums
        assert found.merging.arithmetic == way and found.merging.weights is not None
        assert found.merging.weights[0] <= found.merging.weights[1]
        alone = next(trial for trial in found.trials if trial.weights == (Fraction(0), Fraction(1)))
        if way != "dare_ties":  # which drops half of the only member
            assert alone.scores[1] > 0.5
        assert max(trial.score for trial in found.trials) == pytest.approx(max(np.mean(t.scores) for t in found.trials))


def test_members_of_several_tasks_answer_with_each_of_their_heads() -> None:
    encoder = packed()
    good = learnt(METHODS["lora"][0], encoder, steps=5)
    (task,) = good.tasks
    other = replace(task, head=replace(task.head, task="other"))
    heads = {
        **good.heads,
        **{key.replace(task.head.task, "other"): torch.zeros_like(t) for key, t in good.heads.items()},
    }
    both = Member(good.slot, heads, (task, other))
    found = weights.choose(encoder, [good, both], Merging("linear"), seed=1)
    assert found.merging.weights == (0.5, 0.5), "equal members: the even weights"
    one, two = found.trials[0].scores
    zeros = 40 * [0]
    gold = task.dev[0].data.labels
    assert two == pytest.approx((one + np.mean(gold == zeros)) / 2)
    told = weights.record(found)
    assert told.weights == (0.5, 0.5) and len(told.tried) == 5
    first = TriedWeights(weights=[0.5, 0.5], dev=(one + two) / 2, dev_by_member=[one, two])
    assert told.tried[0] == first and told.default == first.dev
