"""Batches of several cells: padding to one size, cutting into parts, weights of labels, and sequences shared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adapterx.engine.alignment import FILLER, PAD, READS_STEP, ROWS_STEP, Counts, filled, size_of
from adapterx.engine.batches import Batch, Selection, cut, weighed
from adapterx.engine.collate import collate
from adapterx.tasks.encoded import Encoded
from tests.cells import encoded
from tests.engine.choices import choices

PAIRS, TAGS, CHOICES = (encoded(one) for one in ("pair-classification", "tagging", "multiple-choice"))


def chosen(data: Encoded, *examples: int, head: int = 0) -> Selection:
    return Selection(head, data, np.array(examples))


@pytest.mark.parametrize("seed", range(30))
def test_every_cell_fits_a_size_with_fillers_that_are_read_as_they_must(seed: int) -> None:
    random = np.random.default_rng(seed)
    cells = [Counts(0, 0, 0)] if seed % 3 == 0 else []
    for _ in range(random.integers(1, 6)):
        rows = int(random.integers(2, 700))
        reads = int(random.integers(1, rows))
        cells.append(Counts(rows, reads, int(random.integers(1, reads + 1))))
    size = size_of(cells)
    assert size.rows % ROWS_STEP == 0 and size.reads % READS_STEP == 0
    for cell in cells:
        filler = filled(cell, size)
        assert cell.rows + len(filler.tokens) == size.rows == cell.rows + filler.lengths.sum()
        assert cell.reads + len(filler.reads) == size.reads
        assert cell.sequences + len(filler.lengths) <= size.sequences
        assert filler.lengths.min() >= 1 and filler.lengths.max() <= FILLER and (filler.tokens == PAD).all()
        assert (np.diff(filler.reads) > 0).all() and filler.reads[-1] < len(filler.tokens)
        starts = np.cumsum(filler.lengths) - filler.lengths
        assert np.isin(starts, filler.reads).all(), "every sequence is read"


def test_padded_cells_have_their_own_rows_first_and_weigh_no_filler() -> None:
    cells = [[chosen(PAIRS, 3, 1)], [chosen(TAGS, 0, 5, 9)], [], [chosen(CHOICES, 2)]]
    plain, padded = collate(cells), collate(cells, spans=True, align=True)
    assert len(set(padded.packed.rows)) == len(set(padded.packed.read_rows)) == 1
    assert plain.tokens == padded.tokens == plain.packed.rows
    assert plain.reads == padded.reads == plain.packed.read_rows
    for cell in range(4):
        assert torch.equal(tokens_of(plain, cell), tokens_of(padded, cell)[: plain.tokens[cell]])
        assert torch.equal(reads_of(plain, cell), reads_of(padded, cell)[: plain.reads[cell]])
    assert padded.aligned is not None
    assert padded.aligned.choices == (1, 1, 0, 3)
    labels = [sum(len(rows.labels) for rows in heads) for heads in padded.cells]
    assert (padded.aligned.weights != 0).sum(1).tolist() == labels
    assert plain.aligned is None


def tokens_of(batch: Batch, cell: int) -> torch.Tensor:
    return torch.split(batch.packed.tokens, list(batch.packed.rows))[cell]


def reads_of(batch: Batch, cell: int) -> torch.Tensor:
    """Tokens that are read."""
    return torch.split(batch.packed.tokens[batch.packed.reads], list(batch.packed.read_rows))[cell]


@pytest.mark.parametrize("align", [False, True])
def test_expanded_rows_are_those_that_are_shared(align: bool) -> None:
    same, other = [chosen(PAIRS, 4, 2)], [chosen(TAGS, 1)]
    batch = collate([same, other, same, [], same], spans=align, align=align)
    expansion = batch.packed.expansion
    assert expansion is not None
    shared = expansion.shared
    assert len(shared.rows) == 3, "two kinds of examples and none"
    assert torch.equal(shared.tokens[expansion.rows], batch.packed.tokens)
    assert torch.equal(shared.positions[expansion.rows], batch.packed.positions)
    assert torch.equal(shared.reads[expansion.reads], expansion.rows[batch.packed.reads])
    assert [source.data for source in batch.sources] == [PAIRS, TAGS]
    for source in batch.sources:
        found = shared.tokens[source.start : source.start + len(source.tokens)]
        assert found.tolist() == source.data.tokens[source.tokens].tolist()


def test_the_same_examples_in_another_order_are_another_batch() -> None:
    assert collate([[chosen(PAIRS, 1, 2)], [chosen(PAIRS, 2, 1)]]).packed.expansion is None
    assert collate([[chosen(PAIRS, 1, 2)], [chosen(encoded("pair-classification"), 1, 2)]]).packed.expansion is None


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8, 16])
def test_parts_are_nearly_equal_and_together_the_whole_in_order(parts: int) -> None:
    whole = weighed([chosen(TAGS, 7, 3, 9, head=1), chosen(PAIRS, 4, 4, 0, 1), chosen(PAIRS, 11)])
    found = cut(whole, parts)
    sizes = [sum(len(one.examples) for one in part) for part in found]
    assert len(found) == parts and sum(sizes) == 8 and max(sizes) - min(sizes) <= 1
    together = [(one.head, example, one.weight) for part in found for one in part for example in one.examples]
    assert together == [(one.head, example, one.weight) for one in whole for example in one.examples]


def test_weights_make_the_mean_of_each_task_by_its_share_of_the_examples() -> None:
    whole = weighed([chosen(TAGS, 7, 3, head=1), chosen(PAIRS, 4, 0, 1), chosen(TAGS, 5, head=1)])
    assert [one.head for one in whole] == [0, 1, 1]
    words = sum(int(np.diff(TAGS.example_labels)[example]) for example in (7, 3, 5))
    assert [one.weight for one in whole] == pytest.approx([1 / 6, 0.5 / words, 0.5 / words])


def test_choices_of_unequal_number_have_no_joint_labels() -> None:
    two, three = (choices(count).train[0].data for count in (2, 3))
    mixed = [[chosen(two, 0), chosen(three, 1)]]
    assert collate(mixed, align=True).aligned is None
    apart = collate([[chosen(two, 0)], [chosen(three, 1)]], align=True).aligned
    assert apart is not None and apart.choices == (2, 3)
    heads = collate([[chosen(PAIRS, 0), chosen(TAGS, 0, head=1)]], align=True)
    assert heads.aligned is None and heads.packed.rows[0] % ROWS_STEP == 0
