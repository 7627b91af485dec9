"""Vectors equal those of Hugging Face's hidden states, and languages are searched as a task says."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from adapterx import reference
from adapterx.backbones.forward_pass import ForwardPass
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import Pool
from adapterx.engine.predict import TrainedCell, embed
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.retrieve import Side, Vectors, mined, rankings, sides
from adapterx.engine.search import Similarity
from adapterx.limits import Limit
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.methods.pooling import Pooling
from adapterx.methods.probe.spec import Probe
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.spec import Pool as Among
from tests.engine.trainings import ARCHITECTURES, slot
from tests.models import encoder

BARE = TrainedCell((Slot(Probe(), {}),), {})
CPU = torch.device("cpu")


def sought(labels: list[list[int]], ids: list[str] | None = None, seed: int = 0) -> Encoded:
    """Texts of random tokens, all of which are read; the shortest have none but <s> and </s>."""
    random = np.random.default_rng(seed)
    lengths = 2 + random.integers(0, 12, len(labels))
    tokens = np.array([token for n in lengths for token in (0, *random.integers(5, 100, n - 2), 2)], np.int32)
    bounds = offsets(lengths)
    return Encoded(
        ids=tuple(ids or map(str, range(len(labels)))),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=np.arange(len(labels) + 1),
        read_tokens=np.arange(len(tokens)),
        example_reads=bounds,
        labels=np.array([one for of in labels for one in of], np.int64),
        example_labels=offsets([len(one) for one in labels]),
    )


def asked(pooling: Pooling, *cells: TrainedCell) -> list[tuple[TrainedCell, tuple[Pooling, ...]]]:
    """The same of every cell."""
    return [(cell, (pooling,)) for cell in cells]


@pytest.mark.parametrize("special_tokens", [True, False])
@pytest.mark.parametrize("kind", ["mean", "cls"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_layer_pooled_as_hugging_faces_model_has_it(
    architecture: str, kind: Literal["mean", "cls"], special_tokens: bool
) -> None:
    model, data = encoder(architecture), sought([[-1]] * 20)
    cell = TrainedCell(
        (
            Slot(
                Lora(rank=2, layers=(1, 2)), slot(Lora(rank=2, layers=(1, 2)), 1, PackedEncoder(encoder(architecture)))
            ),
        ),
        {},
    )
    texts = np.split(data.tokens, data.sequence_offsets[1:-1])
    enc = PackedEncoder(encoder(architecture))
    for layer in range(4):
        pooling = Pooling(layer, kind, special_tokens)
        with_adapter, bare = (found[0][0] for found in embed(enc, asked(pooling, cell, BARE), [data], rows=60))
        (cached,) = embed(enc, asked(pooling, BARE), [data], PrefixCache(enc, 10**8))[0][0]
        np.testing.assert_allclose(cached, bare, atol=2e-6)
        assert (np.abs(with_adapter - bare).max() > 1e-4) == (layer > 1)
        for text, own in zip(texts, bare, strict=True):
            with torch.no_grad():
                states = model(torch.tensor(text[None].astype(np.int64)), output_hidden_states=True).hidden_states
            inner = states[layer][0]
            if kind == "cls":
                inner = inner[:1]
            elif not special_tokens and len(text) > 2:
                inner = inner[1:-1]
            np.testing.assert_allclose(own, inner.mean(dim=0).numpy(), atol=3e-6)
        (of_reference,) = reference.embed(model, BARE, pooling, [data], 1)
        np.testing.assert_allclose(of_reference, bare, atol=3e-6)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_several_layers_of_a_cell_take_one_pass(architecture: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells with adapters at the embeddings, above the first layer, and none; vectors are those of one layer alone."""
    enc, data = PackedEncoder(encoder(architecture)), sought([[-1]] * 20)
    methods = (Lora(rank=2, layers=(1, 2)), Bottleneck(reduction_factor=4.0, invertible="nice"))
    cells = [BARE, *(TrainedCell((Slot(method, slot(method, 1, enc)),), {}) for method in methods)]
    readers = [(Pooling(3), Pooling(1, "cls")), (Pooling(2), Pooling(2, "cls"), Pooling(0)), (Pooling(0), Pooling(3))]
    layer, computed = PackedEncoder.layer, []

    def counted(own: PackedEncoder, index: int, hidden: Tensor, forward: ForwardPass) -> Tensor:
        computed.append(index)
        return layer(own, index, hidden, forward)

    for some in ([0], [1], [0, 1], [0, 1, 2]):
        asked = [(cells[number], readers[number]) for number in some]
        monkeypatch.setattr(PackedEncoder, "layer", counted)
        computed.clear()
        found = embed(enc, asked, [data], PrefixCache(enc, 10**8) if kept else None, rows=10**6)
        deepest = [max(reader.layer for reader in of_cell) for _, of_cell in asked]
        assert len(computed) <= sum(deepest), "no layer is computed twice for a cell"
        monkeypatch.undo()
        for (cell, poolings), of_cell in zip(asked, found, strict=True):
            for pooling, (own,) in zip(poolings, of_cell, strict=True):
                (alone,) = embed(enc, [(cell, (pooling,))], [data], rows=10**6)[0][0]
                np.testing.assert_allclose(own, alone, atol=2e-6)


def test_what_is_read_is_told() -> None:
    enc, data = PackedEncoder(encoder("xlm-roberta")), [sought([[-1]] * 20), sought([[-1]] * 7)]
    told: list[tuple[int, int]] = []
    embed(enc, [(BARE, (Pooling(1), Pooling(2)))] * 2, data, rows=40, observe=lambda *more: told.append(more))
    assert len(told) > 2
    assert tuple(map(sum, zip(*told, strict=True))) == (2 * 27, 2 * sum(len(pool.tokens) for pool in data))


def test_an_empty_pool_has_no_vectors() -> None:
    enc = PackedEncoder(encoder("xlm-roberta"))
    assert embed(enc, asked(Pooling(1), BARE), [sought([])])[0][0][0].shape == (0, 32)


def language(code: str, relevant: list[list[int]], candidates: int, ids: list[str], seed: int) -> tuple[Pool, Vectors]:
    """Queries, then candidates; the vector of a query is near that of its first relevant candidate."""
    random = np.random.default_rng(seed)
    data = sought([*relevant, *[[-1]] * candidates], [*ids, *(f"{code}{n}" for n in range(candidates))])
    found = random.normal(size=(candidates, 5)).astype(np.float32)
    asked = np.array([found[one[0]] if one else random.normal(size=5) for one in relevant], np.float32)
    return Pool(code, data), np.concatenate([asked + 0.01, found]).astype(np.float32)


def tongues(first: tuple[Pool, Vectors], second: tuple[Pool, Vectors]) -> tuple[Side, Side]:
    """The sides of two languages with their vectors."""
    one, other = sides((first[0], second[0]), (first[1], second[1]), CPU)
    return one, other


def test_each_pool_of_candidates() -> None:
    first = language("en", [[0], [2]], 4, ["a", "b"], 1)
    second = language("de", [[1], [0, 3]], 5, ["b", "a"], 2)
    both = tongues(first, second)
    own = rankings(both, "own", Similarity())
    assert [list(one.ids) for one in own] == [["a", "b"], ["b", "a"]]
    assert [one.tolist() for one in own[0].prediction] == [[0, 1], [2, 1]]
    assert own[1].prediction[1][:2].tolist() == [0, 1] and own[1].gold[1].tolist() == [0, 3]

    each = rankings(both, "each", Similarity())
    assert list(each[0].ids) == ["a@de", "b@de"]
    assert [one.tolist() for one in each[0].gold] == [[0, 3], [1]], "those of the German query of the same id"

    every = rankings(both, "all", Similarity())
    assert [one.tolist() for one in every[0].gold] == [[0, 4, 7], [2, 5]], (
        "German candidates come after the four English"
    )
    assert every[0].prediction[0][:2].tolist() == [0, 1]
    assert sorted(every[1].prediction[0][1:].tolist())[0] == 1


def test_a_limit_leaves_what_later_queries_tell() -> None:
    first, second = language("en", [[0], [2]], 4, ["a", "b"], 1), language("de", [[1], [0, 3]], 5, ["b", "a"], 2)
    both = tongues(first, second)
    searched: tuple[Among, ...] = ("each", "all")
    for among in searched:
        whole = rankings(both, among, Similarity())
        short = rankings(both, among, Similarity(), limit=Limit(1, "first"))
        assert [list(one.ids) for one in short] == [list(one.ids)[:1] for one in whole]
        assert [one.gold[0].tolist() for one in short] == [one.gold[0].tolist() for one in whole], (
            "the German a is second"
        )


def test_queries_without_a_translation_are_left_out_of_a_turn() -> None:
    both = tongues(language("en", [[0], [1]], 2, ["a", "b"], 1), language("de", [[0]], 2, ["b"], 2))
    each = rankings(both, "each", Similarity())
    assert [list(one.ids) for one in each] == [["b@de"], ["b@en"]]


def test_queries_past_the_limit_still_say_what_is_relevant() -> None:
    first, second = language("en", [[0], [1]], 2, ["a", "b"], 1), language("de", [[1], [0]], 2, ["b", "a"], 2)
    both = tongues(first, second)
    every = rankings(both, "all", Similarity(), limit=Limit(1, "first"))
    assert [list(one.ids) for one in every] == [["a"], ["b"]]
    assert [one.gold[0].tolist() for one in every] == [[0, 2], [1, 3]], "German a, and English b, are not asked"
    each = rankings(both, "each", Similarity(), limit=Limit(1, "first"))
    assert [list(one.ids) for one in each] == [["a@de"], ["b@en"]]
    assert [one.gold[0].tolist() for one in each] == [[0], [1]]


def test_the_threshold_of_dev_pairs_decides_in_the_test_set() -> None:
    relevant: list[list[int]] = [[n] if n < 6 else [] for n in range(12)]
    dev, test = (language("de", relevant, 30, [f"q{n}" for n in range(12)], seed) for seed in (3, 4))
    found = mined(*tongues(dev, test), Similarity(True, 4))
    assert list(found.predictions.prediction[:6]) == [f"de{n}" for n in range(6)]
    assert found.predictions.gold[0] == ["de0"] and found.predictions.gold[7] == []
    assert found.dev_f1 > 0.9
    assert all(
        (found.threshold <= score) == (said != "")
        for score, said in zip(np.ravel(found.predictions.scores), found.predictions.prediction, strict=True)
    )
    unknown = replace(dev[0].data, labels=np.where(dev[0].data.labels >= 0, 29, -1))  # no pair of dev's is right
    nothing = mined(*tongues((replace(dev[0], data=unknown), dev[1]), test), Similarity(True, 4))
    assert set(nothing.predictions.prediction) == {""} and nothing.dev_f1 == 0
