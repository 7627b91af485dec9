"""A backbone with the embeddings of some tokens: the same numbers, their bytes alone, and no row of another token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions import PRECISIONS
from adapterx.backbones.spec import Backbone
from adapterx.backbones.token_rows import TokenRows
from tests.backbones.checkpoints import save
from tests.backbones.test_packed import LENGTHS, batch_of

LOADS = [name for name, one in PRECISIONS.items() if one.capability == (0, 0)]
TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: save(root / name, name) for name in ("xlm-roberta", "xlm-roberta-xl")}


def numbers(module: nn.Module) -> int:
    """Bytes of parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("name", LOADS)
def test_hidden_states_are_the_same_bits_and_other_tokens_take_no_memory(
    name: str, architecture: str, models: dict[str, Path]
) -> None:
    backbone = Backbone(model=str(models[architecture]), load=name)
    _, batch = batch_of(LENGTHS[:3])
    used = np.unique(batch.tokens.numpy())
    assert 2 < len(used) < 100
    whole, cut = load(backbone).model, load(backbone, token_ids=used).model
    own, table = PackedEncoder(cut).token_embeddings, PackedEncoder(whole).token_embeddings
    assert own.dtype == table.dtype and torch.equal(own, table[torch.from_numpy(used)])
    assert numbers(whole) - numbers(cut) == table.nbytes - own.nbytes == (120 - len(used)) * 32 * own.itemsize
    assert torch.equal(PackedEncoder(cut)(batch), PackedEncoder(whole)(batch))


def test_a_token_without_a_row_is_an_error_that_names_it() -> None:
    table = torch.randn(10, 4)
    tokens = torch.tensor([0, 3, 9])
    rows = TokenRows(tokens, table[tokens].clone(), 10)
    assert torch.equal(rows(torch.tensor([9, 0, 3, 3])), table[[9, 0, 3, 3]])
    for absent in (1, 8):
        with pytest.raises(IndexError, match=f"token {absent} is not among the 3 whose embeddings were loaded"):
            rows(torch.tensor([0, absent, 9]))
    # A GPU is not asked in every step: what stands for an absent token is a place that no device reads.
    assert rows.places.tolist() == [0, 3, 3, 1, 3, 3, 3, 3, 3, 2]
    with pytest.raises(IndexError):
        nn.functional.embedding(rows.places[[1]], rows.weight)


def test_no_other_row_is_looked_at(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    weights[TABLE][7] = torch.nan
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    backbone = Backbone(model=str(directory))
    load(backbone, token_ids=np.array([0, 1, 2, 3, 8]))
    for wanted in (np.array([0, 7]), None):
        with pytest.raises(BackboneError, match=f"not finite: {TABLE}"):
            load(backbone, token_ids=wanted)


def test_a_table_of_more_rows_than_are_read_at_once(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from adapterx.backbones import assemble

    monkeypatch.setattr(assemble, "_ROWS", 7)
    backbone = Backbone(model=str(models["xlm-roberta"]), load="bfloat16")
    used = np.arange(0, 120, 2)
    table = PackedEncoder(load(backbone).model).token_embeddings
    assert torch.equal(PackedEncoder(load(backbone, token_ids=used).model).token_embeddings, table[::2])


def test_weights_of_a_whole_model_are_refused(models: dict[str, Path]) -> None:
    backbone: Any = Backbone(model=str(models["xlm-roberta"]))
    cut = PackedEncoder(load(backbone, token_ids=np.arange(5)).model)
    with pytest.raises(ValueError, match="some tokens alone"):
        cut.with_weights(cut.weights())
