"""Texts that could not be read when a backbone was loaded are told of; none is read with the rows of other tokens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import load_tokenizer
from adapterx.backbones.spec import Backbone
from adapterx.executors.backbones import BackboneRequest, Backbones, HeldBackbone
from adapterx.executors.data import Data
from adapterx.executors.texts import ReadTexts
from adapterx.executors.vocabularies import ReadTokens
from adapterx.limits import Limit
from adapterx.plan import build
from adapterx.recipe import Recipe
from adapterx.tasks import data as catalog
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.known_tokenizers import KnownTokenizers
from tests.backbones.checkpoints import PIECES, save, tokenizer
from tests.plan.fakes import FakeTasks

SPECIAL = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}


def texts(task: str) -> ReadTexts:
    spec = catalog.find(task, None)
    return ReadTexts(
        TaskPart(task, spec.format, spec.labels, "embedded", ("de",), "of the plan", 16), "dev", Limit(4), 32
    )


def held(readable: frozenset[ReadTexts] | None) -> HeldBackbone:
    loaded: Any = SimpleNamespace(tokenizer=tokenizer(), tokenizer_key="letters")
    nothing: Any = None
    return HeldBackbone(BackboneRequest(Backbone(model="base"), False), loaded, nothing, nothing, readable)


def test_a_backbone_without_their_tokens_gives_no_texts() -> None:
    data, order, match = Data(None), texts("time-order"), texts("place-match")
    for whole in (held(None), held(frozenset([order, match]))):
        assert whole.pools(data, order) and whole.pools(data, match)
    some = held(frozenset([order]))
    assert some.pools(data, order)
    with pytest.raises(BackboneError, match="dev texts of place-match could not be read when base was loaded"):
        some.pools(data, match)


def test_tokens_are_those_of_what_can_be_read_and_those_around_them() -> None:
    data, order = Data(None), texts("time-order")
    found = ReadTokens(tokenizer(), len(PIECES))
    assert {PIECES[token] for token in found.tokens.ids()} == SPECIAL
    found.read(order, data)
    (pool,) = data.pools(order, tokenizer(), found.key)
    assert {*found.tokens.ids()} == {*pool.data.tokens, *(PIECES.index(piece) for piece in SPECIAL)}
    missing = ReadTexts(TaskPart("nowhere", "tagging", (), "embedded", ("de",), "of the plan", 16), "dev", None, 32)
    before = len(found.tokens)
    found.read(missing, data)
    assert found.texts == {order} and len(found.tokens) == before


class Fixed:
    """Tokens that somebody has read."""

    def __init__(self, read: ReadTokens) -> None:
        self.of = lambda bundle: read


def test_a_tokenizer_that_changed_meanwhile_is_noticed(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    content = {"adapterx": 1, "name": "one", "backbones": {"base": {"model": str(model), "vocabulary": "used"}}}
    recipe = Recipe.model_validate({**content, "methods": {"lora": {"kind": "lora"}}, "targets": ["months"]})
    (stage, _) = build(recipe, None, describe, FakeTasks()).stages.values()

    def backbones(read: ReadTokens) -> Backbones:
        fixed: Any = Fixed(read)
        return Backbones("cpu", fixed, KnownTokenizers(tmp_path / "notes"), recipe.prefix_cache, tmp_path / "prefix")

    same = ReadTokens(load_tokenizer(stage.backbone), 120)
    assert len(backbones(same).of([stage]).encoder.token_embeddings) == len(SPECIAL)
    assert KnownTokenizers(tmp_path / "notes").find(stage.info.key) is not None
    other = load_tokenizer(stage.backbone)
    other.add_tokens(["▁dog"])
    with pytest.raises(BackboneError, match="model changed after texts were read"):
        backbones(ReadTokens(other, 120)).of([stage])
